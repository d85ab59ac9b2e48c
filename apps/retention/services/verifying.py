"""Archives read again from the disk: whether they are still what was written."""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

from apps.retention.choices import ArchiveStatus
from apps.retention.models import Archive
from apps.shared.retention.manifests import (
    DamagedArchive,
    Manifest,
    read_manifest,
    resolve,
    verify_files,
)

DAMAGE_SEEN, MENDED = "Found damaged on", "Found whole again on"


class File(NamedTuple):
    """A file of an archive: rows of one table. ``there``: as long as it was when written."""

    table: str
    name: str
    rows: int
    bytes: int
    sha256: str
    there: bool


def folder_of(archive: Archive) -> Path:
    """Return where an archive is. Raises OutsideRoot."""
    return resolve(Path(settings.ARCHIVE_ROOT), archive.path)


def manifest_of(archive: Archive) -> Manifest:
    """Return the manifest that was written with an archive. Raises OutsideRoot, DamagedArchive."""
    return read_manifest(folder_of(archive), sha256=archive.sha256)


def files_of(archive: Archive) -> list[File]:
    """Return the files of an archive and whether they are there; only the manifest is read.

    Raises OutsideRoot, and DamagedArchive when the manifest is missing or another one.
    """
    folder = folder_of(archive)
    return [
        File(
            table=record.table,
            name=record.file,
            rows=record.rows,
            bytes=record.bytes,
            sha256=record.sha256,
            there=is_there(folder / record.file, record.bytes),
        )
        for record in manifest_of(archive).tables
    ]


def is_there(file: Path, length: int) -> bool:
    try:
        return file.is_file() and file.stat().st_size == length
    except OSError:
        return False


def verify_archive(*, archive: Archive, now: datetime) -> str:
    """Read all files of an archive again; return what is wrong with them, empty if nothing is.

    One that is damaged is marked so, and then nothing is deleted by it; one that was damaged and
    is whole again, because its files were brought back, takes up the state it had. Raises
    OutsideRoot.
    """
    folder = folder_of(archive)
    wrong = ""
    try:
        verify_files(folder, read_manifest(folder, sha256=archive.sha256))
    except DamagedArchive as damage:
        wrong = damage.message
    # Only from the state that was seen: a run may have moved it in the meantime.
    seen = Archive.objects.filter(pk=archive.pk, status=archive.status)
    damaged = archive.status == ArchiveStatus.DAMAGED
    if wrong and not damaged:
        note = f"{DAMAGE_SEEN} {now:%Y-%m-%d}: {wrong}"
        seen.update(status=ArchiveStatus.DAMAGED, note=note[:500])
    if not wrong and damaged:
        seen.update(status=state_of(archive), note=f"{MENDED} {now:%Y-%m-%d}.")
    return wrong


def state_of(archive: Archive) -> ArchiveStatus:
    """Return how far an archive is by what was done with it."""
    if archive.emptied_at is not None:
        restored = archive.restored_at is not None
        return ArchiveStatus.RESTORED if restored else ArchiveStatus.KEPT
    return ArchiveStatus.EMPTYING if archive.blocks_done else ArchiveStatus.WRITTEN
