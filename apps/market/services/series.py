"""On-chain and sentiment series: taking them in, their latest values, and where points miss.

All reads go along the index that holds the key, so they cost by what they answer and not by how
many points are stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db import connection, models, transaction

from apps.market.domain.candles import EARLIEST
from apps.market.domain.series import SeriesGap, find_gaps, overdue, usual_distance
from apps.market.models import OnchainMetric, SentimentScore
from apps.shared.errors import FieldError
from apps.shared.ingest import Ingested, ingest

# The usual distance is learned from the newest points: how often they come now.
LEARNED_FROM: Final = 500
# So many of the newest points are looked at for gaps when no window is named, and at most.
USUAL_POINTS: Final = 2_000
MOST_POINTS: Final = 20_000

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of series: where its points stand, what names one of them, what its value is."""

    model: type[models.Model]
    key: tuple[str, ...]
    value: str

    @property
    def name(self) -> str:
        return self.model._meta.db_table

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.key, "timestamp", self.value)


ONCHAIN: Final = Table(OnchainMetric, ("symbol", "source", "metric_name"), "metric_value")
SENTIMENT: Final = Table(SentimentScore, ("symbol", "source"), "sentiment_score")


class Latest(NamedTuple):
    """The last point of a series; ``key`` are symbol, source and, on chain, the metric."""

    key: Key
    timestamp: datetime
    value: float


class Completeness(NamedTuple):
    """Whether points of a series are missing.

    ``points`` were looked at, from ``first`` to ``last``; ``cut`` when the window holds more. The
    usual distance, learned from the newest points of the series, is None with fewer than four;
    then ``gaps`` is empty and nothing is overdue. ``silent`` since the last point of the series,
    None unless that is longer than ever should be.
    """

    cadence: timedelta | None
    points: int
    first: datetime | None
    last: datetime | None
    gaps: list[SeriesGap]
    silent: timedelta | None
    cut: bool


# --- Taking in ----------------------------------------------------------------------------


@transaction.atomic
def store_points(table: Table, rows: Sequence[Any], *, now: datetime) -> Ingested:
    """Store points that were told; say what became of each.

    Unique by key and time: the same again is *unchanged*, another value for them *failed*, as is
    a point of the future or of before 1900.
    """
    outcome = Ingested()
    places, values = [], []
    for place, row in enumerate(rows):
        if error := time_problem(row.timestamp, now):
            outcome.fail(place, [error])
            continue
        places.append(place)
        values.append(tuple(getattr(row, name) for name in table.columns))
    key = (*table.key, "timestamp")
    stored = ingest(table.model, values, columns=table.columns, key=key, on_conflict="refuse")
    outcome.merge(stored, places)
    outcome.sort()
    return outcome


def time_problem(timestamp: datetime, now: datetime) -> FieldError | None:
    """Say what speaks against the time of something that happened, if anything does."""
    if timestamp > now + settings.CLOCK_TOLERANCE:
        return FieldError("/timestamp", "future", "Lies in the future.")
    if timestamp < EARLIEST:
        message = f"Must not lie before {EARLIEST:%Y-%m-%d}."
        return FieldError("/timestamp", "too_old", message)
    return None


# --- Reading ------------------------------------------------------------------------------


def latest_points(
    table: Table,
    *,
    limit: int,
    after: Key = (),
    symbol: str = "",
    source: str = "",
    metric_name: str = "",
) -> list[Latest]:
    """Return the last point of up to ``limit`` series, in the order of their keys.

    Behind the key ``after``, and of one symbol, source or metric where it is named; a place
    behind another symbol than that does not count. One index probe finds the next series, another
    its last point.
    """
    if symbol and after[:1] != (symbol,):
        after = ()
    columns = ", ".join(table.key)
    named = {"symbol": symbol, "source": source, "metric_name": metric_name}
    # The symbol leads the index; the others pick among the series that were found.
    picked = [f"{name} = %({name})s" for name in table.key[1:] if named[name]]
    # Of one symbol only what follows it is compared, or the index would be walked, not probed.
    compared = table.key[1:] if symbol else table.key
    of_symbol = "symbol = %(symbol)s" if symbol else "true"
    run = ", ".join(compared)
    place = ", ".join(f"%(after_{name})s" for name in compared)
    begin = f"({run}) > ({place})" if after else "true"
    following = ", ".join(f"series.{name}" for name in compared)
    mine = " AND ".join(f"{name} = series.{name}" for name in table.key)
    qualified = ", ".join(f"series.{name}" for name in table.key)
    sql = f"""
WITH RECURSIVE series AS (
    (SELECT {columns} FROM {table.name}
     WHERE {of_symbol} AND {begin} ORDER BY {columns} LIMIT 1)
    UNION ALL
    SELECT following.* FROM series CROSS JOIN LATERAL (
        SELECT {columns} FROM {table.name}
        WHERE {of_symbol} AND ({run}) > ({following}) ORDER BY {columns} LIMIT 1
    ) AS following
)
SELECT {qualified}, last.timestamp, last.value
FROM (SELECT * FROM series WHERE {" AND ".join(picked) or "true"} LIMIT %(limit)s) AS series
CROSS JOIN LATERAL (
    SELECT timestamp, {table.value} AS value FROM {table.name}
    WHERE {mine} ORDER BY timestamp DESC LIMIT 1
) AS last
"""
    places = {f"after_{name}": text for name, text in zip(table.key, after, strict=False)}
    size = len(table.key)
    rows = fetched(sql, named | places | {"limit": limit})
    return [Latest(tuple(row[:size]), row[size], row[size + 1]) for row in rows]


def newest_times(table: Table, keys: Sequence[Key], *, points: int) -> dict[Key, list[datetime]]:
    """Return the times of the newest points of several series, oldest first, in one read."""
    if not keys:
        return {}
    asked = ", ".join(f"%(key_{place})s::text[]" for place in range(len(table.key)))
    mine = " AND ".join(f"{name} = asked.{name}" for name in table.key)
    qualified = ", ".join(f"asked.{name}" for name in table.key)
    sql = f"""
SELECT {qualified}, newest.times
FROM unnest({asked}) AS asked ({", ".join(table.key)})
CROSS JOIN LATERAL (
    SELECT array_agg(timestamp ORDER BY timestamp) AS times FROM (
        SELECT timestamp FROM {table.name} WHERE {mine} ORDER BY timestamp DESC LIMIT %(points)s
    ) AS points
) AS newest
"""
    columns = {f"key_{place}": list(column) for place, column in enumerate(zip(*keys, strict=True))}
    rows = fetched(sql, columns | {"points": points})
    return {tuple(row[:-1]): row[-1] or [] for row in rows}


def points_of(
    table: Table,
    key: Key,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    limit: int,
) -> list[tuple[datetime, float]]:
    """Return the newest points of a series with start ≤ timestamp < end, oldest first."""
    rows = table.model._default_manager.filter(**dict(zip(table.key, key, strict=True)))
    if start is not None:
        rows = rows.filter(timestamp__gte=start)
    if end is not None:
        rows = rows.filter(timestamp__lt=end)
    newest = rows.order_by("-timestamp").values_list("timestamp", table.value)[:limit]
    return list(newest)[::-1]


def completeness(
    table: Table,
    key: Key,
    *,
    now: datetime,
    start: datetime | None = None,
    end: datetime | None = None,
) -> Completeness:
    """Return where points of a series are missing with start ≤ timestamp < end.

    Without a window among the newest 2,000 points; of a window the newest 20,000.
    """
    newest = newest_times(table, [key], points=LEARNED_FROM)[key]
    cadence = usual_distance(newest)
    limit = USUAL_POINTS if start is None and end is None else MOST_POINTS
    found = [at for at, _ in points_of(table, key, start=start, end=end, limit=limit + 1)]
    times = found[-limit:]
    return Completeness(
        cadence,
        len(times),
        times[0] if times else None,
        times[-1] if times else None,
        find_gaps(times, cadence),
        overdue(newest[-1], cadence, now) if newest else None,
        cut=len(found) > limit,
    )


def fetched(sql: str, asked: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, asked)
        return list(cursor.fetchall())
