"""Make a key for a program, and show it once."""

from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.access import services
from apps.access.scopes import known_scopes


class Command(BaseCommand):
    help = "Make an API key and print it. It is kept nowhere and cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the program that will hold the key")
        parser.add_argument(
            "--scopes",
            nargs="+",
            required=True,
            metavar="APP:VERB",
            help=f"what the key opens, or 'all'; known: {', '.join(known_scopes())}",
        )
        parser.add_argument("--bot", default="", help="bind the key to this bot")
        parser.add_argument("--agent", default="", help="bind the key to this agent")
        parser.add_argument("--days", type=int, default=365, help="how long the key is valid")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["days"] <= 36_500:
            raise CommandError("--days must lie between 1 and 36500.")
        words = [scope for word in options["scopes"] for scope in word.split(",") if scope]
        now = timezone.now()
        try:
            issued = services.create_key(
                client=options["name"],
                scopes=known_scopes() if words == ["all"] else words,
                bot=options["bot"],
                agent=options["agent"],
                expires_at=now + timedelta(days=options["days"]),
                now=now,
            )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        key = issued.key
        self.stderr.write(
            f"{key}: {', '.join(key.scopes)}, until {key.expires_at:%Y-%m-%d %H:%M} UTC."
            " The key is shown this once:"
        )
        self.stdout.write(issued.text)
