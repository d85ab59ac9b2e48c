"""Ticks of the executions app: the database says what is due."""

from celery import shared_task
from django.utils import timezone

from apps.executions.services import watching
from apps.shared.wakeups import wake


@shared_task
def watch_executions() -> list[str]:
    """Look after all running runs, and wake the workers of those that have work to do."""
    runners = watching.watch_executions(now=timezone.now())
    for runner in runners:
        wake(runner)
    return runners
