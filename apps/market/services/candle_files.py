"""Reading candle files: CSV, gzipped CSV and Parquet become columns of text, block by block."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from apps.shared.errors import DomainError

GZIP_MAGIC, PARQUET_MAGIC = b"\x1f\x8b", b"PAR1"
BLOCK_ROWS = 5_000
CHUNK_CHARACTERS = 200_000
NEEDED = ("timestamp", "open", "high", "low", "close", "volume")
NAMING = ("symbol", "source", "granularity")
ALIASES = {
    "time": "timestamp",
    "date": "timestamp",
    "datetime": "timestamp",
    "open_time": "timestamp",
    "t": "timestamp",
    "o": "open",
    "h": "high",
    "l": "low",
    "c": "close",
    "v": "volume",
    "vol": "volume",
    "timeframe": "granularity",
    "interval": "granularity",
}


class UnreadableFile(DomainError):
    """The file as a whole cannot be read; nothing of it is stored."""

    code = "unreadable_file"


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of a file, by column. ``lines[i]`` is the line or row number of row ``i``.

    ``ragged`` are rows with another number of cells than the header: line and count.
    """

    columns: dict[str, Sequence[str]]
    lines: Sequence[int]
    ragged: Sequence[tuple[int, int]] = ()


def read_blocks(file: BinaryIO) -> Iterator[Block]:
    """Yield the rows of a seekable binary file; what it is stands in its first bytes.

    Raises UnreadableFile for anything that is not a whole file of candles.
    """
    magic = file.read(4)
    file.seek(0)
    try:
        if magic == PARQUET_MAGIC:
            yield from parquet_blocks(file)
        elif magic[:2] == GZIP_MAGIC:
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield from csv_blocks(unpacked)
        else:
            yield from csv_blocks(file)
    except EOFError:
        raise UnreadableFile("The compressed file ends in the middle: it is cut off.") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UnreadableFile(f"The compressed file is damaged: {error}.") from None
    except UnicodeDecodeError as error:
        message = f"Not a text file: byte {error.object[error.start]:#04x} is not UTF-8."
        raise UnreadableFile(message) from None
    except csv.Error as error:
        raise UnreadableFile(f"Not a CSV file: {error}.") from None
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UnreadableFile(f"The file cannot be read: {reason}") from None


# --- CSV ----------------------------------------------------------------------------------


def csv_blocks(file: BinaryIO | gzip.GzipFile) -> Iterator[Block]:
    text = io.TextIOWrapper(file, encoding="utf-8-sig")  # type: ignore[type-var]
    try:
        reader = csv.reader(chain.from_iterable(chunks_of_lines(text)), strict=True)
        header = next(filter(None, reader), None)
        if header is None:
            raise UnreadableFile("The file is empty.")
        names = known_columns(header)
        before = reader.line_num
        while rows := list(islice(reader, BLOCK_ROWS)):
            lines = range(before + 1, reader.line_num + 1)
            if len(lines) != len(rows):
                raise UnreadableFile(f"After line {before} a quoted cell holds a line break.")
            yield csv_block(rows, lines, names)
            before = reader.line_num
    finally:
        # The file belongs to the caller: leave it open.
        text.detach()


def csv_block(rows: list[list[str]], lines: Sequence[int], names: Sequence[str]) -> Block:
    width, ragged = len(names), []
    if set(map(len, rows)) != {width}:
        numbered = list(zip(lines, rows, strict=True))
        ragged = [(line, len(row)) for line, row in numbered if row and len(row) != width]
        whole = [(line, row) for line, row in numbered if len(row) == width]
        lines, rows = [line for line, _ in whole], [row for _, row in whole]
    cells = list(zip(*rows, strict=True)) or [()] * width
    columns = {name: column for name, column in zip(names, cells, strict=True) if name}
    return Block(columns, lines, ragged)


def chunks_of_lines(text: io.TextIOWrapper) -> Iterator[list[str]]:
    """Yield whole lines, many at a time; a line without an end must not fill the memory."""
    rest = ""
    while chunk := text.read(CHUNK_CHARACTERS):
        if "\0" in chunk:
            raise UnreadableFile("The file holds NUL characters: it is not text.")
        *lines, rest = (rest + chunk).split("\n")
        if not lines:
            raise UnreadableFile(f"A line is longer than {CHUNK_CHARACTERS} characters.")
        yield lines
    if rest:
        yield [rest]


def known_columns(header: Sequence[str]) -> list[str]:
    """Return our name of each column, "" for one that is not read.

    Raises UnreadableFile when one is missing or named twice.
    """
    plain = [cell.strip().lower() for cell in header]
    names = [ALIASES.get(cell, cell) for cell in plain]
    names = [name if name in NEEDED or name in NAMING else "" for name in names]
    missing = [name for name in NEEDED if name not in names]
    if missing:
        shown = ", ".join(cell[:30] for cell in header[:12])
        message = f"No column {' and no column '.join(missing)} in the header: {shown}."
        raise UnreadableFile(message if shown.isprintable() else message.split(" in the")[0] + ".")
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise UnreadableFile(f"More than one column means {' and '.join(twice)}.")
    return names


# --- Parquet ------------------------------------------------------------------------------


def parquet_blocks(file: BinaryIO) -> Iterator[Block]:
    table = pq.ParquetFile(file)
    header = table.schema_arrow.names
    names = known_columns(header)
    used = [(cell, name) for cell, name in zip(header, names, strict=True) if name]
    row = 0
    for batch in table.iter_batches(BLOCK_ROWS, columns=[cell for cell, _ in used]):
        columns = {name: texts(batch.column(cell)) for cell, name in used}
        yield Block(columns, range(row + 1, row + 1 + batch.num_rows))
        row += batch.num_rows


def texts(column: pa.Array) -> list[str]:
    """Return the values as text: a float as its shortest exact form, a time in UTC, null as ""."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
    elif pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", "UTC" if kind.tz else None))
    return [text or "" for text in column.cast(pa.string()).to_pylist()]


def peek(blocks: Iterator[Block]) -> Iterator[Block]:
    """Read the first block now, so that a file of another kind is refused at once."""
    first = next(blocks, None)
    if first is None:
        raise UnreadableFile("The file has a header and no rows.")
    return chain([first], blocks)
