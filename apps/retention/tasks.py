"""What retention does by the clock."""

from celery import shared_task
from django.utils import timezone

from apps.retention.services import runs, stepping
from apps.shared.wakeups import wake


@shared_task
def retain() -> int:
    """Plan a run of each policy that is in force; workers are woken for them."""
    return len(runs.plan_nightly(now=timezone.now()))


@shared_task
def run_retention() -> int:
    """Do the next steps of what shall leave, alone; call again while there are any."""
    done = stepping.work(clock=timezone.now, joined=lambda: None)
    if done:
        wake(runs.RUNNER)
    return done
