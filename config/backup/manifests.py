"""What a backup says of itself, and the folder it is kept in: whole, or not there at all."""

import fcntl
import hashlib
import hmac
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from config.backup.programs import BackupError

FORMAT = 1
DUMP = "database.dump"
MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
UNFINISHED = ".unfinished-"
TIMED = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z")


class Figure(msgspec.Struct, frozen=True):
    """What a rule came to: rows it is about, rows against it, a checksum where it has one."""

    name: str
    seen: int
    against: int
    digest: str = ""


class ArchiveRecord(msgspec.Struct):
    """An archive as its row knows it; ``problem`` says what is wrong with its files."""

    path: str
    dataset: str
    status: str
    sha256: str
    rows: int
    problem: str = ""


class MediaRecord(msgspec.Struct):
    """A list of trades that is kept as a file; ``there`` unless it was missing."""

    path: str
    bytes: int | None
    sha256: str
    there: bool = True


class Manifest(msgspec.Struct):
    """What a backup holds, all of it as it stood at one moment."""

    format: int
    product: str
    server: int  # the major version of PostgreSQL
    program: int  # that of the pg_dump which wrote it
    made_at: datetime
    dump_bytes: int
    dump_sha256: str
    fingerprints: dict[str, str]
    tables: dict[str, int]
    partitions: dict[str, dict[str, int]]
    schema: dict[str, list[str]]
    migrations: dict[str, str]
    invariants: list[Figure]
    archives: list[ArchiveRecord]
    media: list[MediaRecord]

    @property
    def rows(self) -> int:
        return sum(self.tables.values())


def timed_name(moment: datetime) -> str:
    """Return what a backup made at a moment (UTC) is called; names sort by time."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H%M%SZ}"


def fingerprint(secret: str) -> str:
    """Return what tells two secrets apart and gives neither away."""
    return hmac.digest(secret.encode(), b"blotter backup", "sha256").hex()[:16]


# --- Writing ------------------------------------------------------------------------------


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a folder to fill; it gets its name when it is whole and on the disk.

    Raises BackupError when there is something of that name. Whatever goes wrong, nothing stays.
    """
    if folder.exists():
        raise BackupError(f"{folder} is there already.")
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _sweep(folder.parent)
    draft = folder.with_name(f"{UNFINISHED}{folder.name}-{os.getpid()}")
    draft.mkdir(mode=0o700)
    try:
        # Held for as long as somebody fills it: who sweeps sees that, in another container too.
        with _opened(draft) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield draft
            for path in draft.iterdir():
                path.chmod(0o600)
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            os.fsync(descriptor)
            draft.rename(folder)
        with _opened(folder.parent) as descriptor:
            os.fsync(descriptor)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def write(draft: Path, manifest: Manifest) -> None:
    """Write the manifest beside the dump, and the checksums of both (``sha256sum -c``)."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (draft / MANIFEST).write_bytes(text + b"\n")
    sums = {DUMP: manifest.dump_sha256, MANIFEST: sha256(draft / MANIFEST)}
    (draft / SUMS).write_text("".join(f"{each}  {name}\n" for name, each in sums.items()))


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _sweep(root: Path) -> None:
    """Remove what backups that were killed left behind."""
    for leftover in root.glob(f"{UNFINISHED}*"):
        with suppress(OSError), _opened(leftover) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(leftover)


# --- Reading ------------------------------------------------------------------------------


def read(folder: Path) -> Manifest:
    """Return the manifest of a backup, all of whose files are as they were written.

    Raises BackupError naming what is missing, was changed or is closed to us, and for a backup of
    another format.
    """
    try:
        return _read(folder)
    except OSError as error:
        where = error.filename or folder
        raise BackupError(f"{where} cannot be read: {error.strerror or error}.") from error


def _read(folder: Path) -> Manifest:
    if not folder.is_dir():
        raise BackupError(f"There is no backup at {folder}.")
    try:
        lines = (folder / SUMS).read_text(encoding="ascii").splitlines()
        sums = {name: told for told, _, name in (line.partition("  ") for line in lines)}
        if set(sums) != {DUMP, MANIFEST}:
            raise BackupError(f"{SUMS} is damaged: it must name {DUMP} and {MANIFEST}.")
        for name in (MANIFEST, DUMP):
            if sha256(folder / name) != sums[name]:
                raise BackupError(f"{name} is damaged: its checksum is another one.")
        content = (folder / MANIFEST).read_bytes()
    except (FileNotFoundError, UnicodeDecodeError) as error:
        missing = Path(getattr(error, "filename", None) or SUMS).name
        raise BackupError(f"{folder} is no whole backup: {missing} cannot be read.") from error
    try:
        if (form := msgspec.json.decode(content)["format"]) != FORMAT:
            raise BackupError(f"The backup is of format {form}; this Blotter reads {FORMAT}.")
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise BackupError(f"{MANIFEST} cannot be read: {error}.") from error
    if manifest.dump_sha256 != sums[DUMP]:
        raise BackupError(f"{DUMP} is not the one that {MANIFEST} is about.")
    return manifest


def existing(root: Path) -> list[Path]:
    """Return the backups below a folder that are named by their time, the newest first."""
    found = [path.parent for path in root.glob(f"*/{SUMS}") if TIMED.fullmatch(path.parent.name)]
    return sorted(found, key=lambda folder: folder.name, reverse=True)


def keep_newest(root: Path, number: int) -> list[Path]:
    """Delete all backups but the newest ``number``; return those that are gone."""
    gone = existing(root)[number:]
    for folder in gone:
        # Under another name first: half deleted, it must not pass for a backup.
        doomed = folder.rename(folder.with_name(f"{UNFINISHED}{folder.name}"))
        shutil.rmtree(doomed)
    return gone
