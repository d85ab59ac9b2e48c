"""Rows on their way from COPY into a Parquet file, and back from the disk to be compared."""

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from apps.shared.errors import DomainError
from apps.shared.retention.cells import array_of
from apps.shared.retention.checksums import Digest, arrow_digests
from apps.shared.retention.columns import Column
from apps.shared.retention.manifests import BLOCK, DamagedArchive, open_inside

COMPRESSION: Final = "zstd"
LEVEL: Final = 1
GROUP_ROWS: Final = 20_000
# Threads that look at what was read back; the database has nothing to do meanwhile.
THREADS: Final = 2


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
        # Few large pieces are written, and read, faster than many small ones.
        self.held: list[pa.Table] = []
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

    def add(self, block: int, rows: int, cells: Sequence[bytes]) -> None:
        """Write the next block, of each column its cells as PostgreSQL sent them.

        Raises Inexact for a value that a file cannot hold.
        """
        arrays = [pa.repeat(pa.scalar(block, pa.int32()), rows)]
        for column, each in zip(self.columns, cells, strict=True):
            try:
                arrays.append(array_of(each, rows, column))
            except (pa.ArrowException, ValueError) as error:
                raise Inexact(
                    f"A value of {column.name} cannot be archived exactly in {self.name}: {error}"
                ) from error
        self.held.append(pa.Table.from_arrays(arrays, schema=self.schema))
        if sum(map(len, self.held)) >= GROUP_ROWS:
            self.write()

    def write(self) -> None:
        """Write what is held."""
        if self.held:
            self.writer.write_table(pa.concat_tables(self.held))
            self.held.clear()

    def finish(self) -> FileFound:
        """Have the file on the disk, and return what is read there.

        Raises DamagedArchive when that is not what was written.
        """
        self.write()
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
        # Whole: threads of Arrow may wait for each other over a file of Python's.
        content = file.read()
    try:
        table = pq.read_table(pa.BufferReader(content), page_checksum_verification=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DamagedArchive(f"The file {name} cannot be read back: {error}") from error
    sha256 = hashlib.sha256(content).hexdigest()
    return FileFound(sha256, len(content), dict(blocks_in(table, columns)))


def blocks_in(table: pa.Table, columns: Sequence[Column]) -> Iterator[tuple[int, BlockFound]]:
    """Yield the blocks of a table whose rows stand by (block, key)."""
    numbers = table.column(BLOCK).combine_chunks().to_numpy()
    bounds = [*np.flatnonzero(np.diff(numbers, prepend=-1)).tolist(), len(numbers)]

    def found(start: int, end: int) -> tuple[int, BlockFound]:
        block = table.slice(start, end - start)
        return int(numbers[start]), BlockFound(end - start, arrow_digests(block, columns))

    with ThreadPoolExecutor(THREADS) as threads:
        yield from threads.map(found, bounds[:-1], bounds[1:])
