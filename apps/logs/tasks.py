"""What the schedule does for the logs."""

from celery import shared_task
from django.utils import timezone

from apps.logs.services import partitions


@shared_task
def make_partitions() -> int:
    """Have the months of the log tables ahead of time."""
    return partitions.make_partitions(now=timezone.now())
