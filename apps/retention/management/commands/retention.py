"""Show what would leave, or let it leave, in the foreground."""

import json
import sys
import time
from argparse import ArgumentParser
from contextlib import nullcontext
from datetime import datetime
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError
from django.utils import timezone
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from apps.executions.choices import ExecutionStatus
from apps.executions.domain.states import FINAL
from apps.executions.models import Execution
from apps.executions.services.work import give_back_steps
from apps.retention.services import stepping
from apps.retention.services.policies import ensure_policies, policy_of
from apps.retention.services.previews import preview, told
from apps.retention.services.runs import (
    COUNT,
    plan_nightly,
    plan_retention,
    run_under_way,
)
from apps.shared.errors import Conflict, DomainError
from apps.shared.retention.datasets import datasets
from apps.shared.retention.selecting import Plan

# Where a worker is at it, this looks again after so many seconds.
PAUSE_SECONDS: Final = 0.5
ALL: Final = ""
UNITS: Final = ("B", "kB", "MB", "GB", "TB")


class Command(BaseCommand):
    help = (
        "Show what the policies of retention would delete now, and why the rest stays; with --run, "
        "archive and delete it. A run is an execution, which workers go on with if this ends. "
        "Exit code 1 when something is refused or fails."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        asked = parser.add_mutually_exclusive_group()
        asked.add_argument(
            "--preview",
            nargs="?",
            const=ALL,
            metavar="DATASET",
            help="Count, and change nothing; also what is off. This is what is done anyway.",
        )
        asked.add_argument(
            "--run",
            nargs="?",
            const=ALL,
            metavar="DATASET",
            help="Let rows leave: of one dataset, on or off, or by all policies that are on.",
        )
        parser.add_argument("--json", action="store_true", help="Say it as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        try:
            ensure_policies(now=now)
            if options["run"] is not None:
                self.run(options["run"], now, as_json=options["json"])
            elif options["preview"]:
                self.preview(options["preview"], now, as_json=options["json"])
            else:
                self.preview_all(now, as_json=options["json"])
        except DomainError as refusal:
            raise CommandError(refusal.message, returncode=1) from refusal
        except OperationalError as error:
            reason = str(error).partition("\n")[0]
            raise CommandError(f"The database cannot be used: {reason}", returncode=1) from error
        except KeyboardInterrupt:
            going_on = "" if options["run"] is None else ": workers go on with what was planned"
            raise CommandError(f"Interrupted{going_on}.", returncode=130) from None

    # --- Preview --------------------------------------------------------------------------

    def preview_all(self, now: datetime, *, as_json: bool) -> None:
        """Show a line for each dataset. A policy that is refused is told, and is an error."""
        plans: dict[str, Plan | DomainError] = {}
        for declared in datasets():
            try:
                plans[declared.name] = preview(dataset=declared.name, now=now)
            except DomainError as refusal:
                plans[declared.name] = refusal
        if as_json:
            self.say_json([shown(name, found, now) for name, found in plans.items()])
        else:
            self.print(overview(plans, now))
        refused = [each for each in plans.values() if isinstance(each, DomainError)]
        if refused:
            raise CommandError(" ".join(each.message for each in refused), returncode=1)

    def preview(self, name: str, now: datetime, *, as_json: bool) -> None:
        """Show one dataset: what leaves, table by table, and what stays, reason by reason."""
        found = preview(dataset=name, now=now)
        if as_json:
            self.say_json(shown(name, found, now))
            return
        policy = policy_of(name)
        self.stdout.write(
            f"{name}: rows whose {found.time} lies before {found.cutoff:%Y-%m-%d %H:%M} UTC "
            f"({policy.age_days:,} days); the policy is {state_of(name, now)}."
        )
        if found.oldest and found.newest:
            self.stdout.write(
                f"What would leave is of {found.oldest:%Y-%m-%d} to {found.newest:%Y-%m-%d}, "
                f"{size(found.bytes)}."
            )
        if found.months:
            months = ", ".join(f"{month:%Y-%m}" for month in found.months)
            self.stdout.write(f"Whole months: {months}.")
        table = Table()
        table.add_column("Old rows")
        table.add_column("", justify="right")
        table.add_row("would leave", f"{found.rows:,}")
        for name_of, rows in found.dependents.items():
            table.add_row(f"  with them, of {name_of}", f"{rows:,}")
        for each in found.exempt:
            table.add_row(f"stay: {escape(each.why)}", f"{each.rows:,}")
        self.print(table)

    # --- Run ------------------------------------------------------------------------------

    def run(self, name: str, now: datetime, *, as_json: bool) -> None:
        """Plan and do the work; where a worker is at it, watch."""
        runs = self.planned(name, now)
        self.follow(runs)
        if as_json:
            self.say_json([ended(run) for run in runs])
        elif not runs:
            self.stdout.write("No policy is on.")
        else:
            for run in runs:
                self.stdout.write(told_end(run))
        failed = [run for run in runs if run.status != ExecutionStatus.COMPLETED]
        if failed:
            names = ", ".join(str(run.metadata["dataset"]) for run in failed)
            raise CommandError(f"Not everything came to its end: {names}.", returncode=1)

    def planned(self, name: str, now: datetime) -> list[Execution]:
        if name == ALL:
            open_runs = [run_under_way(each.name) for each in datasets()]
            return [run for run in open_runs if run] + plan_nightly(now=now)
        try:
            return [plan_retention(dataset=name, by="COMMAND", now=now)]
        except Conflict:
            # It ended in between where there is none.
            if run := run_under_way(name):
                return [run]
            raise

    def follow(self, runs: list[Execution]) -> None:
        """Work until all of the runs are over, with a bar on a terminal."""
        bar = Progress(console=Console(file=sys.stderr), transient=True)
        with bar if sys.stderr.isatty() else nullcontext():
            task = bar.add_task("Retention", total=max(100 * len(runs), 1))
            while any(run.status not in FINAL for run in runs):
                give_back_steps(now=timezone.now())
                if not stepping.work(clock=timezone.now, joined=lambda: None):
                    time.sleep(PAUSE_SECONDS)
                for run in runs:
                    run.refresh_from_db()
                current = next((run for run in runs if run.status not in FINAL), None)
                bar.update(
                    task,
                    completed=sum(
                        100.0 if run.status in FINAL else float(run.progress_percentage)
                        for run in runs
                    ),
                    description=current.current_operation if current else "Retention",
                )

    # --- How it is said -------------------------------------------------------------------

    def say_json(self, told: Any) -> None:
        self.stdout.write(json.dumps(told, indent=2))

    def print(self, table: Table) -> None:
        console = Console(width=None if self.stdout.isatty() else 160)
        with console.capture() as captured:
            console.print(table)
        self.stdout.write(captured.get())


def state_of(name: str, now: datetime) -> str:
    policy = policy_of(name)
    if policy.held_until and policy.held_until > now:
        return "held"
    return "on" if policy.enabled else "off"


def shown(name: str, found: Plan | DomainError, now: datetime) -> dict[str, Any]:
    policy = {"policy": state_of(name, now), "age_days": policy_of(name).age_days}
    if isinstance(found, DomainError):
        return {"dataset": name, **policy, "refused": found.message}
    return {**told(found), **policy}


def overview(plans: dict[str, Plan | DomainError], now: datetime) -> Table:
    """Return the table of all datasets."""
    table = Table(title=f"What would leave at {now:%Y-%m-%d %H:%M} UTC")
    table.add_column("Dataset", no_wrap=True)
    for heading in ("Policy", "Days", "Old", "Leave", "Along"):
        table.add_column(heading, justify="left" if heading == "Policy" else "right")
    table.add_column("Stay")
    table.add_column("Oldest", no_wrap=True)
    table.add_column("Size", justify="right", no_wrap=True)
    for name, found in plans.items():
        begin = (name, state_of(name, now), f"{policy_of(name).age_days:,}")
        if isinstance(found, DomainError):
            table.add_row(*begin, "", "", "", escape(f"refused: {found.message}"), "", "")
            continue
        kept = [f"{each.name} {each.rows:,}" for each in found.exempt if each.rows]
        table.add_row(
            *begin,
            f"{found.old:,}",
            f"{found.rows:,}",
            f"{sum(found.dependents.values()):,}",
            escape(", ".join(kept)) or "–",
            f"{found.oldest:%Y-%m-%d}" if found.oldest else "–",
            size(found.bytes),
        )
    return table


def size(count: int) -> str:
    """Return a number of bytes in words: ``12.3 MB``."""
    value, unit = float(count), 0
    while value >= 1000 and unit < len(UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:,.1f} {UNITS[unit]}" if unit else f"{count} B"


def ended(run: Execution) -> dict[str, Any]:
    steps = {step.step_name: step for step in run.steps.all()}
    errors = [step.error_message for step in steps.values() if step.error_message]
    return {
        "execution": run.pk,
        "dataset": run.metadata["dataset"],
        "status": run.status,
        "error": " ".join(errors),
        "steps": {name: step.result_data for name, step in steps.items()},
    }


def told_end(run: Execution) -> str:
    """Return in one line what became of a run."""
    end = ended(run)
    counted = end["steps"][COUNT]
    line = f"{end['dataset']}: {run.get_status_display()}"
    if end["error"]:
        return f"{line}. {end['error']} ({run.pk})"
    if not counted:
        return f"{line}, nothing was to leave. ({run.pk})"
    stayed = f", {counted['stayed']:,} stayed" if counted["stayed"] else ""
    rows = f"{counted['freed']:,} row{'' if counted['freed'] == 1 else 's'}"
    return f"{line}, {rows} freed{stayed}. ({run.pk})"
