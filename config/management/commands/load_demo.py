"""Load the demo into any database, or bring it up to now."""

from typing import Any

from django.core.management.base import BaseCommand

from config import demo


class Command(BaseCommand):
    help = (
        "Load the demo: real candles of long ago, moved to end now, and alerts on them. "
        "May be repeated: it adds what has become known since, and nothing twice."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(demo.load())
