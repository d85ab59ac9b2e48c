"""Ticks of the bots app: the database says what is due."""

from celery import shared_task
from django.utils import timezone

from apps.bots.services import activity, firing, paper_performance, performance, watching


@shared_task
def check_heartbeats() -> int:
    """Mark the bots that have fallen silent, idle, or behind with their data."""
    return watching.watch_bots(now=timezone.now())


@shared_task
def check_limits() -> int:
    """Let the limits fire that new prices and trades have reached."""
    return firing.evaluate_limits(now=timezone.now())


@shared_task
def snapshot_bots() -> int:
    """Compute the figures of all bots as of this quarter of an hour."""
    return performance.snapshot_bots(now=timezone.now())


@shared_task
def snapshot_portfolios() -> int:
    """Mark all paper portfolios to market as of this quarter of an hour."""
    return paper_performance.snapshot_portfolios(now=timezone.now())


@shared_task
def measure_usual_gaps() -> int:
    """Learn how often each bot usually trades."""
    return activity.measure_usual_gaps(now=timezone.now())
