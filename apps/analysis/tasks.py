"""Ticks of the analysis app: the database says what is due."""

from celery import shared_task
from django.utils import timezone

from apps.analysis.services import judging, symbol_steps
from apps.analysis.services.symbol_additions import RUNNER
from apps.shared.wakeups import wake


@shared_task
def settle_claims() -> int:
    """Judge the predictions and signals whose horizon has passed."""
    return judging.settle_claims(now=timezone.now())


@shared_task
def run_symbol_additions() -> int:
    """Do the next steps of the symbols that are being added; call others to help."""
    done = symbol_steps.work(clock=timezone.now, joined=lambda: wake(RUNNER))
    if done:
        wake(RUNNER)
    return done
