"""Reading candle files: CSV, gzipped CSV and Parquet become columns of text, block by block."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, count, islice
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from apps.shared.errors import DomainError

GZIP_MAGIC, PARQUET_MAGIC = b"\x1f\x8b", b"PAR1"
BLOCK_BYTES = 1_000_000
BLOCK_ROWS = 10_000
HEADER_LIMIT = 10_000
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

    columns: Mapping[str, Sequence[str]]
    lines: Sequence[int]
    ragged: Sequence[tuple[int, int]] = ()


def read_blocks(file: BinaryIO) -> Iterator[Block]:
    """Yield the rows of a seekable binary file; what it is stands in its first bytes.

    Raises UnreadableFile for anything that is not a whole file of candles.
    """
    magic = file.read(4)
    file.seek(0)
    rows = 0
    try:
        for block in blocks_of(file, magic):
            rows += len(block.lines) + len(block.ragged)
            yield block
    except EOFError:
        raise UnreadableFile("The compressed file ends in the middle: it is cut off.") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UnreadableFile(f"The compressed file is damaged: {error}.") from None
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFile(f"The file cannot be read: {reason(error)}") from None
    if not rows:
        raise UnreadableFile("The file has a header and no rows.")


def blocks_of(file: BinaryIO, magic: bytes) -> Iterator[Block]:
    if magic == PARQUET_MAGIC:
        yield from parquet_blocks(file)
    elif magic[:2] == GZIP_MAGIC:
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield from csv_blocks(io.BufferedReader(unpacked))
    else:
        buffered = io.BufferedReader(cast(io.RawIOBase, file))
        try:
            yield from csv_blocks(buffered)
        finally:
            # The file belongs to the caller: leave it open.
            buffered.detach()


def reason(error: Exception) -> str:
    """Say in our words what Arrow says of the faults that people meet."""
    message = str(error).splitlines()[0]
    if "straddling" in message:
        return f"a line is longer than {BLOCK_BYTES} bytes."
    if "UTF8" in message:
        return "it holds bytes that are not UTF-8 text."
    return message


# --- CSV ----------------------------------------------------------------------------------


def csv_blocks(file: io.BufferedReader[Any]) -> Iterator[Block]:
    line, header = csv_header(file)
    names = known_columns(header)
    if not file.peek(1):
        return
    keys = [str(place) for place in range(len(names))]
    ragged: list[tuple[int, int]] = []

    def skip(row: arrow_csv.InvalidRow) -> str:
        ragged.append((line + row.number, row.actual_columns))
        return "skip"

    batches = arrow_csv.open_csv(
        file,
        # Without threads, because only then a wrong row comes with its number.
        read_options=arrow_csv.ReadOptions(
            use_threads=False, block_size=BLOCK_BYTES, column_names=keys
        ),
        parse_options=arrow_csv.ParseOptions(invalid_row_handler=skip, ignore_empty_lines=False),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(keys, pa.string()), strings_can_be_null=False
        ),
    )
    wrong: set[int] = set()
    numbers = (number for number in count(line + 1) if number not in wrong)
    for batch in batches:
        wrong.update(number for number, _ in ragged)
        columns = {
            name: batch.column(key).to_pylist()
            for key, name in zip(keys, names, strict=True)
            if name
        }
        lines = list(islice(numbers, batch.num_rows))
        yield Block(*without_empty(columns, lines), ragged=list(ragged))
        ragged.clear()


def without_empty(
    columns: dict[str, list[str]], lines: list[int]
) -> tuple[dict[str, list[str]], list[int]]:
    """Leave out rows of which every cell is empty: blank lines at the end, mostly."""
    filled = [any(cells) for cells in zip(*columns.values(), strict=True)]
    if all(filled):
        return columns, lines
    kept = {name: list(compress(column, filled)) for name, column in columns.items()}
    return kept, list(compress(lines, filled))


def csv_header(file: io.BufferedReader[Any]) -> tuple[int, list[str]]:
    """Read the first line that holds something; return its number and its cells."""
    for number in count(1):
        line = file.readline(HEADER_LIMIT)
        if not line:
            raise UnreadableFile("The file is empty.")
        if not line.strip():
            continue
        try:
            text = line.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise UnreadableFile("Not a CSV file: it does not begin with text.") from None
        if len(line) == HEADER_LIMIT or "\0" in text:
            raise UnreadableFile("Not a CSV file: it does not begin with a header.")
        return number, next(csv.reader([text.strip()]))
    raise AssertionError("count() has no end")


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
        where = f" ({shown})" if shown.isprintable() else ""
        raise UnreadableFile(f"Missing in the header{where}: {', '.join(missing)}.")
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
