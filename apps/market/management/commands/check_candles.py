"""Look at stored candles and show how sound they are."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from apps.market.choices import Freshness
from apps.market.models import CandleSeries
from apps.market.services.health import check_series, series_states

KINDS = ("gaps", "duplicates", "zero_volume", "outliers", "spreads")
STYLES = {Freshness.FRESH: "green", Freshness.STALE: "red", Freshness.ENDED: "dim"}


class Command(BaseCommand):
    help = (
        "Look at stored candles where they are new or changed, and show what is known of each "
        "series: how many candles there are of how many that should be, the open defects by "
        "kind, and whether it comes in as it should. Exit code 0, whatever is found."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--symbol", default="", help="Only series of this symbol.")
        parser.add_argument("--source", default="", help="Only series from this source.")
        parser.add_argument("--granularity", default="", help="Only series of this granularity.")
        parser.add_argument(
            "--whole", action="store_true", help="Look at every candle again, not only new ones."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        names = ("symbol", "source", "granularity")
        wanted = {name: options[name] for name in names if options[name]}
        series = CandleSeries.objects.filter(**wanted)
        # One after another, so that a table of thousands does not wait for the last of them.
        for pk in series.values_list("pk", flat=True):
            check_series(series_ids=[pk], now=now, whole=options["whole"])
        table = Table(title=f"Candles at {now:%Y-%m-%d %H:%M} UTC")
        for name in ("Symbol", "Granularity", "Source", "State", "Last candle"):
            table.add_column(name)
        for name in ("Candles", "Missing", "Coverage", *KINDS):
            table.add_column(name.replace("_", " ").capitalize(), justify="right")
        for row, state, _, _ in series_states(now, list(series.all())):
            share = "–"
            if row.expected and row.missing is not None:
                share = f"{100 * (row.expected - row.missing) / row.expected:.2f} %"
            table.add_row(
                escape(row.symbol),
                row.granularity,
                escape(row.source),
                f"[{STYLES[state]}]{state.label}[/]",
                f"{row.last_timestamp:%Y-%m-%d %H:%M}",
                f"{row.candles:,}",
                "–" if row.missing is None else f"{row.missing:,}",
                share,
                *(f"{getattr(row, kind):,}" for kind in KINDS),
            )
        console = Console(width=None if self.stdout.isatty() else 160)
        with console.capture() as shown:
            console.print(table)
        self.stdout.write(shown.get())
