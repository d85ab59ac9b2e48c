"""Ticks of the alerts app: the database says what is due."""

from celery import shared_task
from django.utils import timezone

from apps.alerts import services


@shared_task
def track_prices() -> int:
    """Record a price for every alert checkpoint that has come due."""
    return services.track_due_prices(now=timezone.now())


@shared_task
def settle_alerts() -> int:
    """Judge the alerts that have moved."""
    return services.settle_alerts(now=timezone.now())
