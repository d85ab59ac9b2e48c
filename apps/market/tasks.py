"""What the market app does by the clock."""

from typing import Any

from celery import shared_task
from celery.signals import worker_process_shutdown
from django.utils import timezone

from apps.market.services import backfill, cache, coverage, health, regimes
from apps.market.services.features import building, verifying
from apps.market.services.feeds import fetch_due_feeds
from apps.shared.wakeups import wake


@shared_task
def fetch_candles() -> int:
    """Fetch the feeds that are due."""
    return fetch_due_feeds(now=timezone.now())


@shared_task
def expire_cache() -> int:
    """Delete cached answers that may not even stand in any more; measure what is kept."""
    return cache.expire(now=timezone.now())


@shared_task
def classify_regimes() -> int:
    """Classify the days of markets that have ended, or whose close is another one now."""
    return regimes.classify_regimes(now=timezone.now())


@shared_task
def check_candles() -> int:
    """Look at the series that have new candles, and go on while there are such."""
    done = health.check_health(now=timezone.now())
    if done:
        wake("apps.market.tasks.check_candles")
    return done


@shared_task
def run_backfills() -> int:
    """Do the next steps of what is being fetched again; call others to help."""
    done = backfill.work(clock=timezone.now, joined=lambda: wake(backfill.RUNNER))
    if done:
        wake(backfill.RUNNER)
    return done


@shared_task
def build_features() -> int:
    """Plan what features are due, do the next steps, call others to help."""
    building.plan_build(now=timezone.now())
    done = building.work(clock=timezone.now, joined=lambda: wake(building.RUNNER))
    if done:
        wake(building.RUNNER)
    return done


@shared_task
def verify_features() -> int:
    """Compare features with candles; what differs is due for a build."""
    return verifying.verify_series(now=timezone.now())


@shared_task
def refresh_coverage() -> int:
    """Compute the summary of features anew."""
    return coverage.refresh_coverage(now=timezone.now()).symbols


@shared_task
def run_coverage_refreshes() -> int:
    """Do the refreshes that staff have asked for."""
    return coverage.run_refreshes(clock=timezone.now)


@worker_process_shutdown.connect
def store_last_counts(**kwargs: Any) -> None:
    """Store what the cache has counted: a process of the pool ends without Python's farewell."""
    cache.flush_at_exit()
