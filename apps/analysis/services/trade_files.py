"""Trade lists as Parquet files below the media root; nothing outside of it is read or written."""

import contextlib
import hashlib
import json
import logging
import os
import re
import stat
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq
from django.conf import settings

from apps.analysis.domain.trades import FORM, TradeRecord, digest
from apps.analysis.models import Analysis
from apps.shared.errors import DomainError
from apps.shared.fields import PRICE_DIGITS, PRICE_PLACES, RATIO_DIGITS, RATIO_PLACES, plain

logger = logging.getLogger(__name__)

FOLDER: Final = "analyses"
MAGIC: Final = b"PAR1"
LONGEST_PATH: Final = 500
LONGEST_NAME: Final = 255
DRIVE: Final = re.compile(r"[A-Za-z]:")
CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
READ_BYTES: Final = 1024 * 1024

PRICE: Final = pa.decimal128(PRICE_DIGITS, PRICE_PLACES)
RATIO: Final = pa.decimal128(RATIO_DIGITS, RATIO_PLACES)
MOMENT: Final = pa.timestamp("us", tz="UTC")
SCHEMA: Final = pa.schema(
    [
        pa.field("trade_number", pa.int64(), nullable=False),
        pa.field("direction", pa.int8(), nullable=False),
        pa.field("entry_time", MOMENT, nullable=False),
        pa.field("exit_time", MOMENT),
        pa.field("entry_price", PRICE, nullable=False),
        pa.field("exit_price", PRICE),
        pa.field("stop_price", PRICE),
        pa.field("target_price", PRICE),
        pa.field("leverage", RATIO, nullable=False),
        pa.field("confidence", RATIO),
        pa.field("exit_reason", pa.string(), nullable=False),
        pa.field("gross_pct", RATIO),
        pa.field("fees_pct", RATIO),
        pa.field("net_pct", RATIO),
    ]
)
assert SCHEMA.names == [each.name for each in fields(TradeRecord)]


class MissingFile(DomainError):
    """There is no trades file, or none that may be read."""

    code = "missing_file"
    status = 404


class TamperedFile(DomainError):
    """The file is no longer what was written: its checksum is another one."""

    code = "tampered_file"
    status = 409


class UnreadableTrades(DomainError):
    """The file is no list of trades in the form that is written here."""

    code = "unreadable_trades"


# --- Paths --------------------------------------------------------------------------------


def path_problem(text: str) -> str:
    """Say why a path cannot name a file below the media root; "" if it can, or names none."""
    if not text:
        return ""
    if len(text) > LONGEST_PATH:
        return f"Must have at most {LONGEST_PATH} characters."
    if CONTROLS.search(text):
        return "Holds NUL or another control character."
    if "\\" in text:
        return "Holds a backslash; folders are parted by /."
    if text.startswith("/") or DRIVE.match(text):
        return "Must be relative to the media root."
    for part in text.split("/"):
        if part in ("", ".", ".."):
            return "Holds an empty step, . or ..; it must lead down from the media root."
        if len(part.encode()) > LONGEST_NAME:
            return f"Holds a name longer than {LONGEST_NAME} bytes."
    return ""


def path_of(key: Sequence[str], trades: Sequence[TradeRecord]) -> str:
    """Return where a list of trades is kept: a name that follows from what it holds."""
    name = digest(key, trades)
    return f"{FOLDER}/{name[:2]}/{name}.parquet"


def key_of(analysis: Analysis) -> tuple[str, str, str, str]:
    """Return what names an analysis to the outside."""
    return analysis.execution_id, analysis.symbol, analysis.timeframe, analysis.config


def media_root() -> Path:
    return Path(settings.MEDIA_ROOT)


def place_of(path: str) -> Path:
    """Return the file that a path names, every link followed.

    Raises MissingFile when there is none, and when it lies outside of the media root.
    """
    if not path:
        raise MissingFile("This analysis has no trades file.")
    if problem := path_problem(path):
        raise MissingFile(f"The path of the trades file cannot be followed. {problem}")
    try:
        root = media_root().resolve()
        place = (root / path).resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise MissingFile("The trades file is not there.") from error
    if not place.is_relative_to(root):
        logger.warning("A trades file leads out of the media root: %s", path)
        raise MissingFile("The path of the trades file leads out of the media root.")
    return place


# --- Writing ------------------------------------------------------------------------------


def write_trades(*, analysis: Analysis, trades: Sequence[TradeRecord]) -> None:
    """Write the trades of an analysis and note where they are; the caller saves the analysis.

    The name of the file follows from the analysis and its trades, so a transaction that is taken
    back leaves at worst a file that no row names: never one that passes for other trades, and
    writing the same again takes its place. Such files are not swept up.
    """
    path = path_of(key_of(analysis), trades)
    if analysis.compressed_path == path and is_whole(analysis):
        return
    content = as_parquet(key_of(analysis), trades)
    put(path, content)
    analysis.compressed_path = path
    analysis.trades_checksum = hashlib.sha256(content).hexdigest()
    analysis.trades_bytes = len(content)


def is_whole(analysis: Analysis) -> bool:
    """Tell whether the file of an analysis is there, as it was written."""
    if not analysis.trades_checksum:
        return False
    try:
        open_file(analysis).close()
    except (MissingFile, TamperedFile):
        return False
    return True


def as_parquet(key: Sequence[str], trades: Sequence[TradeRecord]) -> bytes:
    """Return the file: exact prices, times in UTC, and in its metadata whose trades they are."""
    ordered = sorted(trades, key=lambda one: one.trade_number)
    names = ("execution_id", "symbol", "timeframe", "config")
    about = json.dumps(dict(zip(names, key, strict=True)))
    schema = SCHEMA.with_metadata({"blotter.form": FORM, "blotter.analysis": about})
    columns = [
        pa.array([getattr(trade, each.name) for trade in ordered], each.type) for each in schema
    ]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def put(path: str, content: bytes) -> None:
    """Write a file whole or not at all: under another name first, then renamed."""
    place = media_root() / path
    place.parent.mkdir(parents=True, exist_ok=True)
    folder = place.parent.resolve(strict=True)
    if not folder.is_relative_to(media_root().resolve()):
        raise MissingFile("The folder of trades files leads out of the media root.")
    draft = folder / f".{uuid.uuid4().hex}.draft"
    try:
        with draft.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder / place.name)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    # The name too must outlive a power cut.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- Reading ------------------------------------------------------------------------------


def open_file(analysis: Analysis) -> BinaryIO:
    """Return the trades file, open for reading at its beginning.

    Raises MissingFile when there is none below the media root, TamperedFile when it was written
    here and is no longer the same.
    """
    place = place_of(analysis.compressed_path)
    try:
        # Without waiting: a pipe of that name would never open.
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise MissingFile("The trades file cannot be opened.") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise MissingFile("The path of the trades file names no file.")
    file = os.fdopen(descriptor, "rb")
    try:
        if analysis.trades_checksum and checksum(file) != analysis.trades_checksum:
            logger.error("The trades file of analysis %s was changed.", analysis.pk)
            raise TamperedFile("The trades file is no longer what was written.")
    except BaseException:
        file.close()
        raise
    return file


def checksum(file: BinaryIO) -> str:
    """Return the SHA-256 of a file, which then stands at its beginning again."""
    file.seek(0)
    hashed = hashlib.sha256()
    while piece := file.read(READ_BYTES):
        hashed.update(piece)
    file.seek(0)
    return hashed.hexdigest()


def read_trades(
    analysis: Analysis, *, offset: int = 0, limit: int | None = None
) -> list[TradeRecord]:
    """Return the trades of an analysis by number, from ``offset`` on and at most ``limit``.

    Raises MissingFile and TamperedFile as ``open_file`` does, and UnreadableTrades for a file
    that somebody else has written.
    """
    return page_of_trades(analysis, offset=offset, limit=limit)[1]


def page_of_trades(
    analysis: Analysis, *, offset: int, limit: int | None
) -> tuple[int, list[TradeRecord]]:
    """Return how many trades the file holds, and some of them as ``read_trades`` does."""
    with open_file(analysis) as file:
        table = read_table(file)
    return table.num_rows, list(records(table.slice(offset, limit)))


@contextlib.contextmanager
def parquet(file: BinaryIO) -> Iterator[Any]:
    """Open a file written here; raises UnreadableTrades for anything else."""
    try:
        with pq.ParquetFile(file) as found:
            form = (found.schema_arrow.metadata or {}).get(b"blotter.form", b"")
            if form != FORM.encode() or found.schema_arrow.names != SCHEMA.names:
                raise UnreadableTrades("The trades file was not written here: fetch it as it is.")
            yield found
    except (pa.ArrowException, OSError) as error:
        raise UnreadableTrades("The trades file is no Parquet file.") from error


def read_table(file: BinaryIO) -> Any:
    with parquet(file) as found:
        return found.read()


def records(table: Any) -> Iterator[TradeRecord]:
    for row in table.to_pylist():
        yield TradeRecord(**{name: as_stored(value) for name, value in row.items()})


def as_stored(value: Any) -> Any:
    """Return a value without what the file added: padding zeros, another name of UTC."""
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return value
