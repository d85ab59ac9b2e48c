"""Importing candle files: exact values, every refused line named, repeatable."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import PurePath
from typing import BinaryIO, Literal, NamedTuple

from django.db import transaction

from apps.market.choices import Granularity
from apps.market.domain.candles import CandleRow, Gap, known_at
from apps.market.domain.texts import decimals, shown, times
from apps.market.models import Candle
from apps.market.services.candle_files import Block, UnreadableFile, read_blocks
from apps.market.services.candles import store_candles
from apps.shared.errors import FieldError
from apps.shared.ingest import RowStatus

PRICES = ("open", "high", "low", "close", "volume")
SHOWN_ERRORS = 20
SHOWN_ROWS = 10
STORED_AT_ONCE = 50_000
# ETH_BTC-5m.csv.gz, BTC-USD_1d.parquet, AAPL-1h.csv
FILE_NAME = re.compile(
    r"(?P<symbol>[^-\s]+(?:-[^-\s]+)?)[-_](?P<granularity>\d+[a-zA-Z])\.(csv|csv\.gz|parquet)"
)


@dataclass(frozen=True, slots=True)
class FileOptions:
    """What a file does not say itself; empty means: from its columns, or from its name."""

    symbol: str = ""
    source: str = ""
    default_source: str = ""
    granularity: str = ""
    naive_is_utc: bool = False
    epoch: Literal["", "s", "ms"] = ""


class LineError(NamedTuple):
    """Why one line is refused."""

    line: int
    errors: list[FieldError]

    def __str__(self) -> str:
        return " ".join(
            f"{each.pointer[1:]}: {each.message}" if each.pointer != "/" else each.message
            for each in self.errors
        )


class SeriesKey(NamedTuple):
    symbol: str
    source: str
    granularity: str


@dataclass(slots=True)
class SeriesSpan:
    """What a file holds of one series, and what is missing in between once it is stored."""

    first: datetime
    last: datetime
    rows: int = 0
    gaps: list[Gap] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """How many candles are missing in all gaps together."""
        return sum(gap.missing for gap in self.gaps)


@dataclass(slots=True)
class ImportReport:
    """What became of a file, or in a dry run would become of it."""

    created: int = 0
    unchanged: int = 0
    replaced: int = 0
    refused: int = 0
    stored: bool = True
    errors: list[LineError] = field(default_factory=list)
    first_rows: list[CandleRow] = field(default_factory=list)
    series: dict[SeriesKey, SeriesSpan] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return self.created + self.unchanged + self.replaced + self.refused

    def counts(self) -> dict[str, int]:
        """Return how many rows fared how."""
        names = ("created", "unchanged", "replaced", "refused")
        return {name: getattr(self, name) for name in names}

    @property
    def gap_count(self) -> int:
        return sum(len(span.gaps) for span in self.series.values())

    @property
    def missing(self) -> int:
        """How many candles are missing in all gaps together."""
        return sum(span.missing for span in self.series.values())

    def refuse(self, line: int, errors: list[FieldError]) -> None:
        """Count a refused line; its errors are kept as long as it may be among the first."""
        self.refused += 1
        self.errors.append(LineError(line, errors))
        if len(self.errors) > 50 * SHOWN_ERRORS:
            self.shorten()

    def shorten(self) -> None:
        """Keep the errors of the first lines alone, in the order of the file."""
        self.errors.sort(key=lambda each: each.line)
        del self.errors[SHOWN_ERRORS:]

    def extend(self, key: SeriesKey, first: datetime, last: datetime, rows: int) -> None:
        """Add stored rows to the span of their series."""
        span = self.series.setdefault(key, SeriesSpan(first, last))
        span.first = min(span.first, first)
        span.last = max(span.last, last)
        span.rows += rows


@transaction.atomic
def import_candles(
    file: BinaryIO,
    *,
    name: str,
    options: FileOptions,
    now: datetime,
    all_or_nothing: bool = False,
    dry_run: bool = False,
    most_rows: int | None = None,
    progress: Callable[[], None] = lambda: None,
) -> ImportReport:
    """Store the candles of a file and report what became of them.

    Lines that are wrong are refused one by one; with ``all_or_nothing`` a single one keeps
    the whole file out. ``dry_run`` does everything and takes it back. ``progress`` is called
    after each block. Raises UnreadableFile, also for more than ``most_rows``, and then nothing
    is stored.
    """
    defaults = named_series(name, options)
    report = ImportReport()
    for rows, lines in batches(read_blocks(file), defaults, options, report, progress):
        store(rows, lines, now, report)
        if most_rows is not None and report.rows > most_rows:
            raise UnreadableFile(f"The file has more than {most_rows:,} rows.")
    for key, span in report.series.items():
        span.gaps = Candle.objects.gaps(*key, span.first, known_at(span.last, key.granularity))
    if dry_run or (all_or_nothing and report.refused):
        transaction.set_rollback(True)
        report.stored = False
    report.shorten()
    return report


def named_series(name: str, options: FileOptions) -> dict[str, str]:
    """Return symbol, source and granularity as far as options or the file's name say them.

    ``ETH_BTC-5m.csv.gz`` is ETH/BTC in candles of 5m; ``AAPL-1d.csv`` is AAPL, daily.
    """
    match = FILE_NAME.fullmatch(PurePath(name).name)
    symbol = match["symbol"].replace("_", "/") if match else ""
    granularity = match["granularity"] if match else ""
    return {
        "symbol": options.symbol or symbol,
        "source": options.source or options.default_source,
        "granularity": options.granularity
        or (granularity if granularity in Granularity.values else ""),
    }


Batch = tuple[list[CandleRow], list[int]]


def batches(
    blocks: Iterator[Block],
    defaults: dict[str, str],
    options: FileOptions,
    report: ImportReport,
    progress: Callable[[], None],
) -> Iterator[Batch]:
    """Yield rows worth a statement of their own; what cannot be read goes to the report."""
    rows: list[CandleRow] = []
    lines: list[int] = []
    for block in blocks:
        for line, cells in block.ragged:
            message = f"Has {cells} cells, not as many as the header."
            report.refuse(line, [FieldError("/", "cells", message)])
        more, their_lines = parsed(block, series_columns(block, defaults, options), options, report)
        rows += more
        lines += their_lines
        progress()
        if len(rows) >= STORED_AT_ONCE:
            yield rows, lines
            rows, lines = [], []
    if rows:
        yield rows, lines


def series_columns(
    block: Block, defaults: dict[str, str], options: FileOptions
) -> list[Sequence[str]]:
    """Return the columns symbol, source and granularity: an option, a column, or the name."""
    columns: list[Sequence[str]] = []
    for name, default in defaults.items():
        if name in block.columns and not getattr(options, name):
            columns.append(block.columns[name])
        elif default:
            columns.append([default] * len(block.lines))
        else:
            raise UnreadableFile(f"Neither an option nor the file says which {name} it holds.")
    return columns


def parsed(
    block: Block, series: list[Sequence[str]], options: FileOptions, report: ImportReport
) -> tuple[list[CandleRow], Sequence[int]]:
    """Turn text into values, whole columns at a time; a block with a fault line by line."""
    moments = block.columns["timestamp"]
    numbers = [block.columns[name] for name in PRICES]
    try:
        values = zip(
            *series,
            times(moments, options.epoch, naive_is_utc=options.naive_is_utc),
            *map(decimals, numbers),
            strict=True,
        )
        return list(map(CandleRow._make, values)), block.lines
    except (ValueError, InvalidOperation, OverflowError):
        rows: list[CandleRow] = []
        lines: list[int] = []
    for line, names, moment, *cells in zip(
        block.lines, zip(*series, strict=True), moments, *numbers, strict=True
    ):
        errors: list[FieldError] = []
        found: list[datetime | Decimal] = []
        try:
            found += times([moment], options.epoch, naive_is_utc=options.naive_is_utc)
        except (ValueError, OverflowError) as error:
            errors.append(FieldError("/timestamp", "invalid", f"{error}"))
        for name, cell in zip(PRICES, cells, strict=True):
            try:
                found += decimals([cell])
            except (ValueError, InvalidOperation):
                errors.append(FieldError(f"/{name}", "invalid", f"{shown(cell)} is not a number."))
        if errors:
            report.refuse(line, errors)
        else:
            rows.append(CandleRow._make((*names, *found)))
            lines.append(line)
    return rows, lines


def store(rows: list[CandleRow], lines: Sequence[int], now: datetime, report: ImportReport) -> None:
    """Store one batch and add to the report what became of it."""
    outcome = store_candles(rows, now=now)
    report.created += outcome.created
    report.unchanged += outcome.unchanged
    report.replaced += outcome.replaced
    refused = set()
    for result in outcome.results:
        if result.status is RowStatus.FAILED:
            report.refuse(lines[result.index], list(result.errors))
            refused.add(result.index)
    good = [row for place, row in enumerate(rows) if place not in refused] if refused else rows
    report.first_rows.extend(good[: SHOWN_ROWS - len(report.first_rows)])
    starts: defaultdict[SeriesKey, list[datetime]] = defaultdict(list)
    for row in good:
        starts[SeriesKey(row.symbol, row.source, row.granularity)].append(row.timestamp)
    for key, moments in starts.items():
        report.extend(key, min(moments), max(moments), len(moments))
