"""Rows on their way from COPY into a Parquet file, and back from the disk to be compared."""

import contextlib
import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from apps.shared.errors import DomainError
from apps.shared.retention.checksums import Digest, arrow_digests
from apps.shared.retention.columns import Column
from apps.shared.retention.manifests import BLOCK, DamagedArchive, checksum, open_inside

CHUNK_BYTES: Final = 4 * 1024 * 1024
COMPRESSION: Final = "zstd"
LEVEL: Final = 1


class Inexact(DomainError):
    """A value that an archive cannot hold exactly as it stands in the database."""

    code = "inexact_archive"


class BlockFound(NamedTuple):
    """The rows of one block, and the digests of its columns."""

    rows: int
    digests: list[Digest]


class FileFound(NamedTuple):
    """A file as it was read back from the disk."""

    sha256: str
    bytes: int
    blocks: dict[int, BlockFound]


def schema_of(columns: Sequence[Column]) -> pa.Schema:
    """Return the columns of a file: the block of a row, then its own."""
    own = [pa.field(each.name, each.arrow_type) for each in columns]
    return pa.schema([pa.field(BLOCK, pa.int32()), *own])


def chunks(rows: Iterable[Any]) -> Iterator[bytearray]:
    """Join rows of CSV, of which none is parted, to pieces of some megabytes."""
    # Kept one by one they would keep the search for garbage busy.
    held = bytearray()
    for row in rows:
        held += row
        if len(held) >= CHUNK_BYTES:
            yield held
            held = bytearray()
    if held:
        yield held


class Hashed(io.RawIOBase):
    """A new file that nobody else may read, and the SHA-256 of what was written to it."""

    def __init__(self, place: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self.file = os.fdopen(os.open(place, flags, 0o600), "wb")
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        return self.file.write(data)

    def tell(self) -> int:
        return self.file.tell()

    def settle(self) -> None:
        """Have it all on the disk, from where it is read next, not out of memory."""
        self.file.flush()
        os.fsync(self.file.fileno())
        os.posix_fadvise(self.file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        self.close()

    def close(self) -> None:
        try:
            self.file.close()
        finally:
            super().close()


class TableFile:
    """A Parquet file that is being written; its folder is nobody else's yet."""

    def __init__(self, folder: Path, name: str, columns: Sequence[Column]) -> None:
        self.folder, self.name, self.columns = folder, name, columns
        self.schema = schema_of(columns)
        self.file = Hashed(folder / name)
        try:
            self.writer = pq.ParquetWriter(
                self.file,
                self.schema,
                compression=COMPRESSION,
                compression_level=LEVEL,
                write_statistics=False,
                write_page_checksum=True,
            )
        except BaseException:
            self.file.close()
            raise
        self.options = csv.ConvertOptions(
            column_types=self.schema,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        )

    def add(self, chunk: bytes | bytearray) -> None:
        """Write rows given as CSV. Raises Inexact for a value that its column cannot hold."""
        try:
            table = csv.read_csv(
                pa.BufferReader(chunk),
                csv.ReadOptions(column_names=self.schema.names, block_size=len(chunk) + 1),
                csv.ParseOptions(newlines_in_values=True),
                self.options,
            )
        except pa.ArrowException as error:
            raise Inexact(f"A value of {self.name} cannot be archived exactly: {error}") from error
        self.writer.write_table(table)

    def finish(self) -> FileFound:
        """Have the file on the disk, and return what is read there.

        Raises DamagedArchive when that is not what was written.
        """
        self.writer.close()
        self.file.settle()
        found = found_in(self.folder, self.name, self.columns)
        if found.sha256 != self.file.sha256.hexdigest():
            raise DamagedArchive(f"The disk does not give back {self.name} as it was written.")
        return found

    def close(self) -> None:
        """Let go of the file, finished or not."""
        # What cannot be finished will be removed: why it could not is told already.
        with contextlib.suppress(pa.ArrowException, OSError, ValueError):
            self.writer.close()
        with contextlib.suppress(OSError):
            self.file.close()


def found_in(folder: Path, name: str, columns: Sequence[Column]) -> FileFound:
    """Read a file and return the digests of its blocks. Raises DamagedArchive."""
    with open_inside(folder, name) as file:
        sha256, size = checksum(file)
        file.seek(0)
        try:
            table = pq.read_table(file, page_checksum_verification=True)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DamagedArchive(f"The file {name} cannot be read back: {error}") from error
    return FileFound(sha256, size, dict(blocks_in(table, columns)))


def blocks_in(table: pa.Table, columns: Sequence[Column]) -> Iterator[tuple[int, BlockFound]]:
    """Yield the blocks of a table whose rows stand by (block, key)."""
    numbers = table.column(BLOCK).combine_chunks().to_numpy()
    bounds = [*np.flatnonzero(np.diff(numbers, prepend=-1)).tolist(), len(numbers)]
    for start, end in pairwise(bounds):
        block = table.slice(start, end - start)
        yield int(numbers[start]), BlockFound(end - start, arrow_digests(block, columns))
