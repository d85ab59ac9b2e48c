"""Import candles from CSV, gzipped CSV and Parquet files."""

import gc
import os
import sys
from argparse import ArgumentParser
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.console import Console
from rich.progress import Progress

from apps.executions.tracking import TrackedRun, tracked_execution
from apps.market.choices import Granularity
from apps.market.services.candle_files import UnreadableFile
from apps.market.services.candles import refresh_statistics
from apps.market.services.importing import FileOptions, ImportReport, import_candles

DEFAULT_SOURCE = "import"
SHOWN_GAPS = 5


class Command(BaseCommand):
    help = (
        "Import candles from CSV, CSV.gz or Parquet files. A file may be imported again: what "
        "is stored already stays as it is, what differs is replaced. Lines that are wrong are "
        "named and left out. Exit code 1 when anything was refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
        parser.add_argument(
            "--symbol",
            default="",
            help="Without it: the file's column, or its name: ETH_BTC-5m.csv.gz is ETH/BTC.",
        )
        parser.add_argument(
            "--source",
            default="",
            help=f"Where the candles come from. Without it: the column, or {DEFAULT_SOURCE!r}.",
        )
        parser.add_argument(
            "--granularity",
            default="",
            choices=Granularity.values,
            help="Without it: the column, or the name: ETH_BTC-5m.csv.gz holds 5m.",
        )
        parser.add_argument(
            "--utc", action="store_true", help="Read times without an offset as UTC."
        )
        parser.add_argument(
            "--epoch",
            default="",
            choices=["s", "ms"],
            help="Times are seconds or milliseconds since 1970.",
        )
        parser.add_argument(
            "--atomic", action="store_true", help="One refused line keeps its whole file out."
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Only say what an import would do."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        # A million rows hold no cycles; looking for them would cost a sixth of the time.
        gc.disable()
        files = options["files"]
        run: AbstractContextManager[TrackedRun | None] = (
            nullcontext()
            if options["dry_run"]
            else tracked_execution("CANDLE_IMPORT", triggered_by="COMMAND", total_tasks=len(files))
        )
        with run as tracked:
            wrong = sum(self.take(path, options, tracked) for path in files)
        gc.enable()
        if not options["dry_run"]:
            refresh_statistics()
        if wrong:
            raise CommandError("Not everything could be imported.", returncode=1)

    def take(self, path: Path, options: dict[str, Any], run: TrackedRun | None) -> int:
        """Import one file, as a step where there is a run; return how much of it was wrong."""
        step: AbstractContextManager[dict[str, Any]] = (
            run.step(path.name) if run else nullcontext({})
        )
        try:
            with step as result:
                report = self.import_file(path, options)
                result.update(report.counts())
        except (UnreadableFile, OSError) as error:
            self.stderr.write(self.style.ERROR(f"{path.name}: {error}"))
            return 1
        self.show(path, report)
        return report.refused

    def import_file(self, path: Path, options: dict[str, Any]) -> ImportReport:
        """Import one file in a transaction of its own, with a bar on a terminal."""
        bar = Progress(console=Console(file=sys.stderr), transient=True)
        with path.open("rb") as file, bar if sys.stderr.isatty() else nullcontext():
            task = bar.add_task(path.name, total=os.fstat(file.fileno()).st_size)
            return import_candles(
                file,
                name=path.name,
                options=FileOptions(
                    symbol=options["symbol"],
                    source=options["source"],
                    default_source=DEFAULT_SOURCE,
                    granularity=options["granularity"],
                    naive_is_utc=options["utc"],
                    epoch=options["epoch"],
                ),
                now=timezone.now(),
                all_or_nothing=options["atomic"],
                dry_run=options["dry_run"],
                progress=lambda: bar.update(task, completed=position(file)),
            )

    def show(self, path: Path, report: ImportReport) -> None:
        """Write what became of a file."""
        aside = "" if report.stored else " (nothing stored)"
        self.stdout.write(
            f"{path.name}: {report.created} new, {report.unchanged} unchanged, "
            f"{report.replaced} replaced, {report.refused} refused{aside}"
        )
        for error in report.errors:
            self.stderr.write(self.style.WARNING(f"  line {error.line}: {error}"))
        if report.refused > len(report.errors):
            self.stderr.write(f"  … and {report.refused - len(report.errors)} more lines refused")
        for key, span in report.series.items():
            self.stdout.write(
                f"  {key.symbol} {key.granularity} from {key.source}: "
                f"{span.first:%Y-%m-%d %H:%M} to {span.last:%Y-%m-%d %H:%M}, "
                f"{len(span.gaps)} gaps ({span.missing} candles missing)"
            )
            for gap in sorted(span.gaps, key=lambda gap: -gap.missing)[:SHOWN_GAPS]:
                self.stdout.write(
                    f"    {gap.start:%Y-%m-%d %H:%M} to {gap.end:%Y-%m-%d %H:%M}: "
                    f"{gap.missing} missing"
                )


def position(file: BinaryIO) -> int:
    """Return how far the file has been read; Parquet closes it at its end."""
    return 0 if file.closed else file.tell()
