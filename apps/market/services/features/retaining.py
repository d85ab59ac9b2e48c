"""Features that leave for an archive or come back from one: where their series stand follows."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from django.db import connection

from apps.market.services.features.encoding import SeriesKey
from apps.market.services.features.lineage import Counts
from apps.shared.errors import DomainError

# Those of the rows that stand there, by the names that they share.
COUNTED: Final = """
SELECT symbol, source, granularity, feature_version,
    count(*), count(rsi_1d), count(price_ma_short)
FROM feature_engineered_data WHERE id = ANY(%(keys)s::bigint[])
GROUP BY symbol, source, granularity, feature_version
ORDER BY symbol, source, granularity, feature_version
"""
NAMED: Final = """unnest(
    %(symbols)s::text[], %(sources)s::text[], %(granularities)s::text[], %(versions)s::text[]
) AS named (symbol, source, granularity, feature_version)"""
# As whoever builds and whoever stores candles locks them, but patiently: rows leave whoever is
# at work. In one order, so that nobody waits in a circle.
LOCK_CANDLES: Final = f"""
SELECT c.id FROM candle_series c
WHERE (c.symbol, c.source, c.granularity) IN (SELECT symbol, source, granularity FROM {NAMED})
ORDER BY c.symbol, c.source, c.granularity
FOR NO KEY UPDATE
"""
# As whoever takes in reported features locks them.
LOCK_SERIES: Final = f"""
SELECT f.id FROM feature_series f
WHERE (f.symbol, f.source, f.granularity, f.feature_version) IN (SELECT * FROM {NAMED})
ORDER BY f.id
FOR NO KEY UPDATE
"""
UNKNOWN: Final = f"""
SELECT DISTINCT feature_version FROM {NAMED}
WHERE NOT EXISTS (SELECT FROM feature_versions v WHERE v.version = named.feature_version)
ORDER BY feature_version
"""
# Without a last row, one that is computed here counts as never built.
MAKE: Final = f"""
INSERT INTO feature_series (
    symbol, source, granularity, feature_version, definition_hash, timezone, created_at, updated_at
)
SELECT *, '', '', now(), now() FROM {NAMED}
WHERE NOT EXISTS (
    SELECT FROM feature_series f
    WHERE (f.symbol, f.source, f.granularity, f.feature_version)
        = (named.symbol, named.source, named.granularity, named.feature_version)
)
ON CONFLICT (symbol, source, granularity, feature_version) DO NOTHING
"""
# One probe of the unique index at each end of a series.
MOVE: Final = """
WITH changed AS (
    SELECT f.id, v.origin, n.rows, n.rsi_rows, n.ma_rows, first.timestamp AS first,
        last.timestamp AS last, last.rsi_1d AS rsi, last.price_ma_short AS average
    FROM unnest(
        %(symbols)s::text[], %(sources)s::text[], %(granularities)s::text[], %(versions)s::text[],
        %(rows)s::bigint[], %(rsi_rows)s::bigint[], %(ma_rows)s::bigint[]
    ) AS n (symbol, source, granularity, version, rows, rsi_rows, ma_rows)
    JOIN feature_series f ON (f.symbol, f.source, f.granularity, f.feature_version)
        = (n.symbol, n.source, n.granularity, n.version)
    JOIN feature_versions v ON v.version = n.version
    LEFT JOIN LATERAL (
        SELECT timestamp FROM feature_engineered_data d
        WHERE d.symbol = n.symbol AND d.source = n.source AND d.granularity = n.granularity
          AND d.feature_version = n.version
        ORDER BY timestamp LIMIT 1
    ) AS first ON true
    LEFT JOIN LATERAL (
        SELECT timestamp, rsi_1d, price_ma_short FROM feature_engineered_data d
        WHERE v.origin <> 'computed'
          AND d.symbol = n.symbol AND d.source = n.source AND d.granularity = n.granularity
          AND d.feature_version = n.version
        ORDER BY timestamp DESC LIMIT 1
    ) AS last ON true
), emptied AS (
    -- Of what is reported a series is no more than its rows.
    DELETE FROM feature_series f USING changed
    WHERE f.id = changed.id AND changed.origin <> 'computed' AND changed.first IS NULL
)
UPDATE feature_series f SET
    rows = greatest(f.rows + n.rows, 0),
    rsi_rows = greatest(least(f.rsi_rows + n.rsi_rows, f.rows + n.rows), 0),
    ma_rows = greatest(least(f.ma_rows + n.ma_rows, f.rows + n.rows), 0),
    first_timestamp = n.first,
    -- What is computed goes on behind its last candle, whether the row of that one stands or not.
    last_timestamp = CASE n.origin WHEN 'computed' THEN f.last_timestamp ELSE n.last END,
    latest_rsi = CASE n.origin WHEN 'computed' THEN f.latest_rsi ELSE n.rsi END,
    latest_ma = CASE n.origin WHEN 'computed' THEN f.latest_ma ELSE n.average END,
    computed_at = CASE n.origin WHEN 'computed' THEN f.computed_at
        ELSE coalesce(f.computed_at, now()) END,
    updated_at = now()
FROM changed n
WHERE f.id = n.id AND (n.origin = 'computed' OR n.first IS NOT NULL)
"""

NOTHING: Final = Counts()


class MissingVersion(DomainError):
    """Features come back of a version that is not registered any more."""

    code = "missing_version"
    status = 409


@contextmanager
def retained(keys: Collection[Any]) -> Iterator[None]:
    """Have the lineage follow while feature vectors with these keys leave, or come back.

    Needs an open transaction. Counts and the first moment of each series become those of its rows.
    The last moment of a computed one stays, and with it all that the next candle is computed from:
    what has left is not built again. A reported series without rows has no lineage, and gets it
    back with them. Raises MissingVersion.
    """
    wanted = [int(key) for key in keys]
    before = count(wanted)
    if before:
        lock(list(before))
        # Somebody may have written them while we waited.
        before = count(wanted)
    yield
    after = count(wanted)
    came = [series for series in after if series not in before]
    if came:
        make(came)
        lock(came)
    move(
        {
            series: after.get(series, NOTHING).less(before.get(series, NOTHING))
            for series in sorted(before.keys() | after.keys())
        }
    )


def count(keys: Sequence[int]) -> dict[SeriesKey, Counts]:
    """Return what stands of these rows, by series."""
    with connection.cursor() as cursor:
        cursor.execute(COUNTED, {"keys": list(keys)})
        return {tuple(row[:4]): Counts(*row[4:]) for row in cursor.fetchall()}


def named(series: Sequence[SeriesKey]) -> dict[str, Any]:
    names = ("symbols", "sources", "granularities", "versions")
    return dict(zip(names, map(list, zip(*series, strict=True)), strict=True))


def lock(series: Sequence[SeriesKey]) -> None:
    """Keep everybody from writing features of these series until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK_CANDLES, named(series))
        cursor.execute(LOCK_SERIES, named(series))


def make(series: Sequence[SeriesKey]) -> None:
    """Make the lineage of series that have none. Raises MissingVersion."""
    with connection.cursor() as cursor:
        cursor.execute(UNKNOWN, named(series))
        if unknown := [version for (version,) in cursor.fetchall()]:
            versions = ", ".join(unknown)
            raise MissingVersion(f"Features of version {versions} come back: register it first.")
        cursor.execute(MAKE, named(series))


def move(changes: dict[SeriesKey, Counts]) -> None:
    """Write what has become of the series, in one statement."""
    if not changes:
        return
    counts = dict(zip(Counts._fields, map(list, zip(*changes.values(), strict=True)), strict=True))
    with connection.cursor() as cursor:
        cursor.execute(MOVE, named(list(changes)) | counts)
