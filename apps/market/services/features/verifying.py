"""Comparing features with candles: what did not come through the door is noticed here."""

from datetime import datetime
from typing import Final

from django.db import connection, transaction

from apps.market.services.features.lineage import hold

BATCH: Final = 100

# Ranges of indexes alone.
COUNTED = """
SELECT f.id
FROM feature_series f
JOIN feature_versions v ON v.version = f.feature_version AND v.built
    AND v.granularities ? f.granularity
CROSS JOIN LATERAL (
    SELECT count(*) AS candles FROM candles k
    WHERE k.symbol = f.symbol AND k.source = f.source AND k.granularity = f.granularity
      AND k.timestamp BETWEEN f.first_timestamp AND f.last_timestamp
) AS held
CROSS JOIN LATERAL (
    SELECT count(*) AS vectors, count(d.rsi_1d) AS with_rsi, count(d.price_ma_short) AS with_ma
    FROM feature_engineered_data d
    WHERE d.symbol = f.symbol AND d.source = f.source AND d.granularity = f.granularity
      AND d.feature_version = f.feature_version
) AS known
WHERE f.last_timestamp IS NOT NULL AND f.changed_from IS NULL
  AND (f.rows <> held.candles
    OR (f.rows, f.rsi_rows, f.ma_rows) <> (known.vectors, known.with_rsi, known.with_ma))
ORDER BY f.id
"""
# The first moment that has a candle and no vector, or a vector and no candle.
MARK = """
WITH differing AS (
    SELECT f.id, (
        SELECT min(timestamp) FROM (
            (SELECT k.timestamp FROM candles k
             WHERE k.symbol = f.symbol AND k.source = f.source
               AND k.granularity = f.granularity
               AND k.timestamp BETWEEN f.first_timestamp AND f.last_timestamp
             EXCEPT
             SELECT d.timestamp FROM feature_engineered_data d
             WHERE d.symbol = f.symbol AND d.source = f.source
               AND d.granularity = f.granularity AND d.feature_version = f.feature_version)
            UNION ALL
            (SELECT d.timestamp FROM feature_engineered_data d
             WHERE d.symbol = f.symbol AND d.source = f.source
               AND d.granularity = f.granularity AND d.feature_version = f.feature_version
             EXCEPT
             SELECT k.timestamp FROM candles k
             WHERE k.symbol = f.symbol AND k.source = f.source
               AND k.granularity = f.granularity
               AND k.timestamp BETWEEN f.first_timestamp AND f.last_timestamp)
        ) AS one_sided
    ) AS first, counted.*
    FROM feature_series f
    CROSS JOIN LATERAL (
        SELECT count(*) AS rows, count(d.rsi_1d) AS rsi_rows,
            count(d.price_ma_short) AS ma_rows
        FROM feature_engineered_data d
        WHERE d.symbol = f.symbol AND d.source = f.source AND d.granularity = f.granularity
          AND d.feature_version = f.feature_version
    ) AS counted
    WHERE f.id = ANY(%(ids)s)
)
UPDATE feature_series f
SET changed_from = least(f.changed_from, differing.first), rows = differing.rows,
    rsi_rows = differing.rsi_rows, ma_rows = differing.ma_rows, updated_at = %(now)s
FROM differing WHERE f.id = differing.id
"""


def verify_series(*, now: datetime) -> int:
    """Compare the rows of each built series with its candles; return how many differ.

    What differs is computed anew from there on, and its counts are put right. For candles and
    vectors that came or went by other ways than ours. Candles before the first row are no
    matter: their features may have been kept long enough.
    """
    with connection.cursor() as cursor:
        cursor.execute(COUNTED)
        suspects = [one for (one,) in cursor.fetchall()]
    marked = 0
    for first in range(0, len(suspects), BATCH):
        with transaction.atomic():
            # Who is being written right now is looked at the next time.
            held = [one.id for one in hold(suspects[first : first + BATCH])]
            with connection.cursor() as cursor:
                cursor.execute(MARK, {"ids": held, "now": now})
                marked += cursor.rowcount
    return marked
