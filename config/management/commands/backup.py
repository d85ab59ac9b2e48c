"""Back the database up while it is in use."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.utils import timezone

from config.backup import making, report
from config.backup.manifests import timed_name
from config.backup.programs import BackupError, Database


class Command(BaseCommand):
    help = (
        "Back the database up, as of one moment and while everybody goes on writing. "
        "Archives and lists of trades are files: the backup names them, copy them yourself."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--to", type=Path, metavar="FOLDER", help="a new folder (below BACKUP_ROOT, by time)"
        )
        parser.add_argument(
            "--keep", type=int, metavar="N", help="delete older backups below BACKUP_ROOT beyond N"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        keep, now = options["keep"], timezone.now()
        if keep is not None and (keep < 1 or options["to"]):
            raise CommandError("--keep must be at least 1, and goes without --to.")
        folder = options["to"] or Path(settings.BACKUP_ROOT) / timed_name(now)
        database = Database.of(connection.settings_dict)
        try:
            made = making.make(database=database, folder=folder.absolute(), now=now, keep=keep)
        except BackupError as error:
            raise CommandError(error.message) from error
        except KeyboardInterrupt:
            words = "Interrupted: nothing half made was left behind."
            raise CommandError(words, returncode=130) from None
        self.stdout.write(report.of_backup(made))
