"""What stands behind all candles of a series: its row, its bounds, and what changed in its past."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from django.db import connection

SeriesKey = tuple[str, str, str]


class Bounds(NamedTuple):
    """The first and the last start of some candles."""

    first: datetime
    last: datetime


series_of = itemgetter(0, 1, 2)
start_of = itemgetter(3)

# In the order of their keys, so that two batches never wait for each other in a circle. A row
# that stays as it is gets locked all the same.
HOLD = """
INSERT INTO candle_series (symbol, source, granularity, first_timestamp, last_timestamp)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[])
    AS sent (symbol, source, granularity, first, last)
ORDER BY symbol, source, granularity
ON CONFLICT (symbol, source, granularity) DO UPDATE
SET first_timestamp = least(candle_series.first_timestamp, excluded.first_timestamp),
    last_timestamp = greatest(candle_series.last_timestamp, excluded.last_timestamp),
    updated_at = statement_timestamp()
WHERE candle_series.first_timestamp > excluded.first_timestamp
   OR candle_series.last_timestamp < excluded.last_timestamp
"""
CHANGED = """
WITH sent AS (
    SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[])
        AS sent (symbol, source, granularity, start)
)
"""
RECHECK = (
    CHANGED
    + """
UPDATE candle_series AS held SET recheck_from = least(held.recheck_from, sent.start)
FROM sent
WHERE (held.symbol, held.source, held.granularity)
        = (sent.symbol, sent.source, sent.granularity)
  AND held.checked_until > sent.start
  AND (held.recheck_from IS NULL OR held.recheck_from > sent.start)
"""
)
RECOMPUTE = (
    CHANGED
    + """
UPDATE feature_series AS held SET changed_from = least(held.changed_from, sent.start)
FROM sent, feature_versions AS version
WHERE (held.symbol, held.source, held.granularity)
        = (sent.symbol, sent.source, sent.granularity)
  AND version.version = held.feature_version AND version.origin = 'computed'
  AND held.last_timestamp >= sent.start
  AND (held.changed_from IS NULL OR held.changed_from > sent.start)
"""
)


def bounds(rows: Iterable[Sequence[Any]]) -> dict[SeriesKey, Bounds]:
    """Return the first and last start of each series among (symbol, source, granularity, start)."""
    found: dict[SeriesKey, Bounds] = {}
    # Rows of one series stand together, mostly: this runs once per stretch, not once per row.
    for key, group in groupby(rows, key=series_of):
        starts = list(map(start_of, group))
        first, last = min(starts), max(starts)
        if key in found:
            first, last = min(first, found[key].first), max(last, found[key].last)
        found[key] = Bounds(first, last)
    return found


def hold_series(rows: Iterable[Sequence[Any]]) -> dict[SeriesKey, Bounds]:
    """Lock the series that candles are about to be stored into; make those that are new.

    Needs an open transaction; the locks last as long as it does. Returns the bounds of what is
    about to be stored. Whoever computes from candles takes the same lock first, so no candle is
    ever stored behind its back.
    """
    found = bounds(rows)
    if found:
        last = [one.last for one in found.values()]
        with connection.cursor() as cursor:
            cursor.execute(HOLD, [*columns_of(found), last])
    return found


def note_changes(changed: Mapping[SeriesKey, Bounds]) -> None:
    """Note from when on stored candles are new or others than they were.

    What lies behind that which was checked or computed already will be once more.
    """
    if not changed:
        return
    with connection.cursor() as cursor:
        cursor.execute(RECHECK, columns_of(changed))
        cursor.execute(RECOMPUTE, columns_of(changed))


def columns_of(found: Mapping[SeriesKey, Bounds]) -> list[list[Any]]:
    symbols, sources, granularities = (list(column) for column in zip(*found, strict=True))
    return [symbols, sources, granularities, [one.first for one in found.values()]]
