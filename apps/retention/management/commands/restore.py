"""Bring the rows of an archive back, or show what that would do."""

import getpass
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError
from django.utils import timezone
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from apps.retention.services.restoring import find_archive, preview_restore, restore_archive
from apps.shared.errors import DomainError
from apps.shared.retention.restoring import Restored, TablePreview


class Command(BaseCommand):
    help = (
        "Bring the rows of an archive back, as they were. What stands there already stays as it "
        "is, so it may be restored again. Exit code 1 when nothing could be restored."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "archive", metavar="ARCHIVE", help="Its id, or its folder below the archive root."
        )
        parser.add_argument(
            "--preview", action="store_true", help="Only show what a restore would do."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        try:
            archive = find_archive(options["archive"])
            if options["preview"]:
                told = preview_restore(archive=archive, now=now)
                self.show(preview_table(archive.path, told))
                refused = [each.refused for each in told if each.refused]
                if refused:
                    raise CommandError(" ".join(refused))
                return
            done = restore_archive(archive=archive, by=f"command ({user()})", now=now)
        except DomainError as refusal:
            raise CommandError(refusal.message) from refusal
        except OperationalError as error:
            reason = str(error).partition("\n")[0]
            raise CommandError(f"The database cannot be used: {reason}") from error
        except KeyboardInterrupt:
            words = "Interrupted: rows come back all at once, or not at all."
            raise CommandError(words, returncode=130) from None
        self.show(restored_table(archive.path, done))
        for each in done:
            for line in each.conflicts:
                self.stdout.write(f"Not restored: {line}")
        inserted = sum(each.inserted for each in done)
        self.stdout.write(
            f"{inserted:,} row{'' if inserted == 1 else 's'} came back."
            if inserted
            else "Nothing was missing: 0 rows came back."
        )

    def show(self, table: Table) -> None:
        console = Console(width=None if self.stdout.isatty() else 160)
        with console.capture() as shown:
            console.print(table)
        self.stdout.write(shown.get())


def user() -> str:
    """Return who runs the command, as far as the system knows."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def table_of(title: str, *columns: str) -> Table:
    table = Table(title=escape(title))
    table.add_column("Table")
    for name in columns:
        table.add_column(name, justify="right")
    return table


def preview_table(path: str, told: list[TablePreview]) -> Table:
    columns = ("Rows", "Would come back", "There already", "Differ", "In the way")
    table = table_of(f"Restore of {path}", *columns)
    for each in told:
        comes = each.missing - each.conflicting
        counts = (each.rows, comes, each.same, each.differing, each.conflicting)
        table.add_row(escape(each.table), *(f"{count:,}" for count in counts))
    return table


def restored_table(path: str, done: list[Restored]) -> Table:
    table = table_of(f"Restored {path}", "Came back", "There already", "Differ", "In the way")
    for each in done:
        counts = (each.inserted, each.same, each.differing, each.conflicting)
        table.add_row(escape(each.table), *(f"{count:,}" for count in counts))
    return table
