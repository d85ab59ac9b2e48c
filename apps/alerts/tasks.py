"""Ticks of the alerts app: the database says what is due."""

import pglock
from celery import shared_task
from django.utils import timezone

from apps.alerts import services


@shared_task
def track_prices() -> int:
    """Record a price for every alert checkpoint that has come due."""
    # Two at once would be right too, only slower.
    with pglock.advisory("alerts.track_prices", timeout=0) as free:
        return services.track_due_prices(now=timezone.now()) if free else 0


@shared_task
def settle_alerts() -> int:
    """Judge the alerts that have moved."""
    with pglock.advisory("alerts.settle_alerts", timeout=0) as free:
        return services.settle_alerts(now=timezone.now()) if free else 0
