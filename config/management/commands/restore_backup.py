"""Prove that a backup can be restored, or restore it."""

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.backup import report, restoring
from config.backup.programs import BackupError


class Command(BaseCommand):
    help = (
        "Restore a backup into a throw-away server and examine everything there (--verify), or "
        "into an empty database (--into)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("backup", help="its folder, or its name below BACKUP_ROOT")
        ways = parser.add_mutually_exclusive_group(required=True)
        ways.add_argument(
            "--verify", action="store_true", help="touches nothing; needs scratch space in TMPDIR"
        )
        ways.add_argument("--into", metavar="DATABASE_URL", help="must be empty")
        parser.add_argument("--json", action="store_true", help="the report for a program")

    def handle(self, *args: Any, **options: Any) -> None:
        folder = Path(options["backup"]).absolute()
        if not os.path.exists(folder):
            folder = Path(settings.BACKUP_ROOT) / options["backup"]
        try:
            if options["verify"]:
                findings = restoring.verify(folder)
            else:
                findings = restoring.restore(folder, options["into"])
        except BackupError as error:
            raise CommandError(error.message) from error
        except KeyboardInterrupt:
            left = "nothing is left of it" if options["verify"] else "what was restored is unproven"
            raise CommandError(f"Interrupted: {left}.", returncode=130) from None
        shown = report.as_json if options["json"] else report.as_table
        self.stdout.write(shown(findings))
        if failed := report.failed(findings):
            raise CommandError(f"The backup is not good: {', '.join(failed)}.")
