"""What the market app does by the clock."""

from celery import shared_task
from django.utils import timezone

from apps.market.services.feeds import fetch_due_feeds


@shared_task
def fetch_candles() -> int:
    """Fetch the feeds that are due."""
    return fetch_due_feeds(now=timezone.now())
