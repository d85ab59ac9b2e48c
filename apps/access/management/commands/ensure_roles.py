"""Bring the groups of staff up to date; run after every migrate."""

from typing import Any

from django.core.management.base import BaseCommand

from apps.access import services


class Command(BaseCommand):
    help = "Create the roles Viewer, Operator, Risk and Administrator, or bring them up to date."

    def handle(self, *args: Any, **options: Any) -> None:
        for role, count in services.ensure_roles().items():
            self.stdout.write(f"{role}: {count} permissions")
