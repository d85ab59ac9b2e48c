"""Have the rows that the market's code brings along; run after every migrate."""

from typing import Any

from django.core.management.base import BaseCommand

from apps.market.services.basics import ensure_basics


class Command(BaseCommand):
    help = "Create the versions of features computed here and the rules of the cache."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{ensure_basics()} rules of the cache added")
