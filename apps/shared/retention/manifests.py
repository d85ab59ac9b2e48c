"""What a manifest says of an archive, and files that are believed only when they bear it out."""

import hashlib
import os
import re
import stat
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from apps.shared.errors import DomainError
from apps.shared.retention.columns import Column, Kind, schema_version

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
BLOCK: Final = "block"
READ_BYTES: Final = 1024 * 1024
LARGEST_MANIFEST: Final = 64 * 1024 * 1024
LONGEST_PATH: Final = 255
CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\\\\:]")


class OutsideRoot(DomainError):
    """A path that is no plain path below the root of archives."""

    code = "outside_archive_root"


class DamagedArchive(DomainError):
    """An archive that is no longer what was written, or was never whole."""

    code = "damaged_archive"
    status = 409


class BlockRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rows of one table that belong to one block of roots, and the digest of them."""

    rows: int
    digest: str


class TableRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file: rows of one table by (block, key).

    ``model``: "bots.Trade"; ``key``: the column of the primary key; ``columns``: name, kind and
    type of each; ``checksums``: by name of the column; ``blocks``: as many as the archive has.
    """

    table: str
    model: str
    file: str
    key: str
    rows: int
    bytes: int
    sha256: str
    schema_version: str
    columns: list[tuple[str, Kind, str]]
    checksums: dict[str, str]
    blocks: list[BlockRecord]

    def known_columns(self) -> list[Column]:
        return [Column(*each) for each in self.columns]


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An archive in its own words. ``time``: the column by which its rows were old.

    ``last_key``: the key, as text, of the last root; ``month``: the first day of the month whose
    partition they stood in; ``migrations``: the last one applied of each app concerned.
    """

    format: int = FORMAT
    dataset: str
    time: str
    cutoff: datetime
    first_time: datetime
    last_time: datetime
    last_key: str
    month: date | None = None
    migrations: dict[str, str]
    tables: list[TableRecord]

    @property
    def rows(self) -> int:
        """Of all tables."""
        return sum(each.rows for each in self.tables)

    @property
    def roots(self) -> int:
        """Of the dataset's own table, which is the first."""
        return self.tables[0].rows

    @property
    def bytes(self) -> int:
        """Of the files, without the manifest."""
        return sum(each.bytes for each in self.tables)

    @property
    def blocks(self) -> int:
        return len(self.tables[0].blocks)

    @property
    def schema_version(self) -> str:
        return schema_version([(each.table, each.known_columns()) for each in self.tables])


# --- Paths --------------------------------------------------------------------------------


def resolve(root: Path, path: str) -> Path:
    """Return the place of an archive below the root; it need not exist.

    Raises OutsideRoot for a path that is absolute, that goes by a link, or that is no plain path:
    empty, too long, with "..", a backslash, a colon or control characters.
    """
    parts = path.split("/")
    if CONTROLS.search(path) or len(path) > LONGEST_PATH or {"", ".", ".."}.intersection(parts):
        raise OutsideRoot("The path of an archive is a plain path below the archive root.")
    place = root.resolve() / path
    try:
        straight = place.resolve() == place
    except (OSError, RuntimeError) as error:
        raise OutsideRoot("The path of the archive cannot be followed.") from error
    if not straight:
        raise OutsideRoot("The path of the archive leads somewhere else by a link.")
    return place


def open_inside(folder: Path, name: str) -> BinaryIO:
    """Open a file of an archive, never by a link. Raises DamagedArchive when it cannot be."""
    if "/" in name or CONTROLS.search(name) or name in {"", ".", ".."}:
        raise DamagedArchive("The manifest names a file that is not in its own folder.")
    try:
        # Without waiting: a pipe of that name would never open.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(folder / name, flags)
    except OSError as error:
        raise DamagedArchive(f"The file {name} of the archive cannot be opened.") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DamagedArchive(f"{name} in the archive is no file.")
    return os.fdopen(descriptor, "rb")


# --- The manifest -------------------------------------------------------------------------


def as_json(manifest: Manifest) -> bytes:
    """Return the manifest as it is stored."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def read_manifest(folder: Path, *, sha256: str = "") -> Manifest:
    """Return the manifest of an archive, which has the given SHA-256 where one is given.

    Raises DamagedArchive when it is missing, unreadable or another one.
    """
    try:
        with open_inside(folder, MANIFEST) as file:
            content = file.read(LARGEST_MANIFEST)
    except OSError as error:
        raise DamagedArchive("The manifest of the archive cannot be read.") from error
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise DamagedArchive("The manifest of the archive is no longer what was written.")
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.MsgspecError, ValueError) as error:
        raise DamagedArchive("The manifest of the archive cannot be understood.") from error
    if manifest.format != FORMAT or not manifest.tables:
        raise DamagedArchive("The manifest of the archive has a form that is not known here.")
    if any(len(each.blocks) != manifest.blocks for each in manifest.tables):
        raise DamagedArchive("The tables of the archive do not have the same blocks.")
    return manifest


# --- Its files ----------------------------------------------------------------------------


def verify_files(folder: Path, manifest: Manifest) -> None:
    """Raise DamagedArchive, naming the file, where one is not what the manifest says."""
    for record in manifest.tables:
        with open_inside(folder, record.file) as file:
            found = checksum(file)
        if found != (record.sha256, record.bytes):
            raise DamagedArchive(f"The file {record.file} is no longer what was written.")


def checksum(file: BinaryIO) -> tuple[str, int]:
    """Return the SHA-256 and the length of a file. Raises DamagedArchive when it is unreadable."""
    hashed, length = hashlib.sha256(), 0
    try:
        while piece := file.read(READ_BYTES):
            hashed.update(piece)
            length += len(piece)
    except OSError as error:
        raise DamagedArchive(f"A file of the archive cannot be read: {error}.") from error
    return hashed.hexdigest(), length


def read_table(folder: Path, record: TableRecord, *, columns: Sequence[str] | None = None) -> Any:
    """Return the rows of a file as an Arrow table: ``block`` (int32), then the columns, or some.

    It is not verified here. Raises DamagedArchive for what is no such file.
    """
    names = [name for name, *_ in record.columns] if columns is None else list(columns)
    wanted = [BLOCK, *names]
    with open_inside(folder, record.file) as file:
        try:
            # In this thread alone: those of Arrow may wait for each other over a file of Python's.
            table = pq.ParquetFile(file).read(columns=wanted, use_threads=False)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DamagedArchive(f"The file {record.file} cannot be read.") from error
    if table.num_rows != record.rows or sorted(table.column_names) != sorted(wanted):
        raise DamagedArchive(f"The file {record.file} does not hold what the manifest says.")
    return table.select(wanted)
