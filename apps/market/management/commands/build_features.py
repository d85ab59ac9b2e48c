"""Build the features that are due, in the foreground."""

import sys
import time
from argparse import ArgumentParser
from contextlib import nullcontext
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from rich.console import Console
from rich.progress import Progress

from apps.executions.choices import ExecutionStatus
from apps.executions.domain.states import FINAL
from apps.executions.models import Execution
from apps.market.choices import Granularity
from apps.market.domain.features.versions import DEFINITIONS
from apps.market.services.features import building
from apps.market.services.features.versions import ensure_versions
from apps.shared.errors import DomainError

# Where workers have taken up all that is left, this looks again after so many seconds.
PAUSE_SECONDS = 0.5


class Command(BaseCommand):
    help = (
        "Compute the features that are due: of new, late and replaced candles. It runs as an "
        "execution, which workers help with. Exit code 1 when a series could not be built."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        # Django's own --version, that of Django, makes way for the one that is meant here.
        return super().create_parser(prog_name, subcommand, conflict_handler="resolve", **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--version",
            dest="feature_version",
            default="",
            help="One version, also one that is not kept up to date. Without it: all built ones.",
        )
        parser.add_argument("--symbol", action="append", dest="symbols", metavar="SYMBOL")
        parser.add_argument("--granularity", default="", choices=Granularity.values)
        parser.add_argument(
            "--anew",
            action="store_true",
            help="Write all rows of --version anew, whether they are due or not.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        ensure_versions()
        run = self.plan(options)
        if run is None:
            self.stdout.write("Nothing is due.")
            return
        self.follow(run)
        run.refresh_from_db()
        self.stdout.write(f"{run.pk}: {run.get_status_display()}, {run.current_operation}")
        for step in run.steps.exclude(error_message="").order_by("pk"):
            self.stderr.write(self.style.WARNING(f"  {step.step_name}: {step.error_message}"))
        if run.status != ExecutionStatus.COMPLETED:
            raise CommandError("Not everything could be built.", returncode=1)

    def plan(self, options: dict[str, Any]) -> Execution | None:
        version, symbols = options["feature_version"], options["symbols"]
        now = timezone.now()
        if version and version not in DEFINITIONS:
            known = ", ".join(DEFINITIONS)
            raise CommandError(f"Version {version} is not computed here; known are {known}.")
        if not options["anew"]:
            return building.plan_build(
                version=version,
                symbols=symbols,
                granularity=options["granularity"],
                triggered_by="COMMAND",
                now=now,
            )
        if not version or options["granularity"]:
            raise CommandError("--anew takes --version, and no --granularity.")
        try:
            return building.request_build(
                feature_version=version, symbols=symbols, by="COMMAND", now=now
            )
        except DomainError as refusal:
            raise CommandError(refusal.message) from refusal

    def follow(self, run: Execution) -> None:
        """Work until the run is over, with a bar on a terminal."""
        bar = Progress(console=Console(file=sys.stderr), transient=True)
        with bar if sys.stderr.isatty() else nullcontext():
            task = bar.add_task("Features", total=100)
            while run.status not in FINAL:
                if not building.work(clock=timezone.now, joined=lambda: None):
                    time.sleep(PAUSE_SECONDS)
                run.refresh_from_db()
                bar.update(
                    task,
                    completed=float(run.progress_percentage),
                    description=run.current_operation or "Features",
                )
