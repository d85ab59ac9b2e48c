"""Ticks of the access app."""

from celery import shared_task
from django.utils import timezone

from apps.access import services


@shared_task
def expire_idempotency_keys() -> None:
    """Forget the answers that nobody can ask for any more."""
    services.forget_answers(now=timezone.now())
