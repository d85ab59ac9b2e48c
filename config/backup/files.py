"""Files that a database speaks of and a dump does not hold: archives and lists of trades."""

from pathlib import Path

from django.conf import settings

from apps.analysis.services.trade_files import MissingFile, place_of
from apps.retention.choices import ArchiveStatus
from apps.shared.retention.manifests import DamagedArchive, OutsideRoot, read_manifest, resolve
from config.backup.manifests import ArchiveRecord, MediaRecord

# Their rows stand nowhere else.
HOLDING = {ArchiveStatus.EMPTYING.value, ArchiveStatus.KEPT.value}


def archive_problem(archive: ArchiveRecord) -> str:
    """Say what is wrong with an archive; "" when its manifest is as it was and its files are there.

    What the files hold is compared when rows are restored: here their length must do.
    """
    try:
        folder = resolve(Path(settings.ARCHIVE_ROOT), archive.path)
        if not folder.is_dir():
            return "is not there"
        manifest = read_manifest(folder, sha256=archive.sha256)
        for table in manifest.tables:
            if (folder / table.file).stat().st_size != table.bytes:
                return f"is damaged: {table.file} has another length"
    except (OutsideRoot, DamagedArchive) as refusal:
        return f"cannot be used: {refusal.message}"
    except OSError as error:
        return f"cannot be read: {type(error).__name__}"
    return ""


def is_there(file: MediaRecord) -> bool:
    """Tell whether a list of trades is there in its full length."""
    try:
        size = place_of(file.path).stat().st_size
    except (MissingFile, OSError):
        return False
    return file.bytes is None or size == file.bytes
