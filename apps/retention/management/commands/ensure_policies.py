"""Have a policy for each dataset; run after every migrate."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from apps.retention.services.policies import ensure_policies


class Command(BaseCommand):
    help = "Create the retention policies that are missing; what staff changed stays."

    def handle(self, *args: Any, **options: Any) -> None:
        made = ensure_policies(now=timezone.now())
        self.stdout.write(f"{made} polic{'y' if made == 1 else 'ies'} added")
