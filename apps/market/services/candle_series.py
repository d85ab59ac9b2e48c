"""What stands behind all candles of a series: its row, its bounds, and what changed in its past."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

SeriesKey = tuple[str, str, str]

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


def earliest(rows: Iterable[Sequence[Any]]) -> dict[SeriesKey, datetime]:
    """Return the earliest start of each series among rows (symbol, source, granularity, start)."""
    found: dict[SeriesKey, datetime] = {}
    for symbol, source, granularity, start, *_ in rows:
        key = (symbol, source, granularity)
        if key not in found or start < found[key]:
            found[key] = start
    return found


def latest(rows: Iterable[Sequence[Any]]) -> dict[SeriesKey, datetime]:
    """Return the latest start of each series among rows (symbol, source, granularity, start)."""
    found: dict[SeriesKey, datetime] = {}
    for symbol, source, granularity, start, *_ in rows:
        key = (symbol, source, granularity)
        if key not in found or start > found[key]:
            found[key] = start
    return found


def hold_series(rows: Sequence[Sequence[Any]]) -> dict[SeriesKey, datetime]:
    """Lock the series that candles are about to be stored into; make those that are new.

    Needs an open transaction; the locks last as long as it does. Returns the earliest start
    of each series. Whoever computes from candles takes the same lock first, so no candle is
    ever stored behind its back.
    """
    first, last = earliest(rows), latest(rows)
    if first:
        with connection.cursor() as cursor:
            cursor.execute(HOLD, [*columns_of(first), list(last.values())])
    return first


def note_changes(first: Mapping[SeriesKey, datetime]) -> None:
    """Note from when on stored candles are new or others than they were.

    What lies behind that which was checked or computed already will be once more.
    """
    if not first:
        return
    with connection.cursor() as cursor:
        cursor.execute(RECHECK, columns_of(first))
        cursor.execute(RECOMPUTE, columns_of(first))


def columns_of(starts: Mapping[SeriesKey, datetime]) -> list[list[Any]]:
    symbols, sources, granularities = (list(column) for column in zip(*starts, strict=True))
    return [symbols, sources, granularities, list(starts.values())]
