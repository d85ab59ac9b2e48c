"""Putting what was found in the place of what was known, in the transaction that looked."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from django.db import connection

from apps.market.domain.candles import known_at
from apps.market.domain.health.frames import moment
from apps.market.models import CandleSeries
from apps.market.services.health.looking import Piece

EPOCH_DAY: Final = date(1970, 1, 1)
FOREVER: Final = datetime.max.replace(tzinfo=UTC)

SENT_DEFECTS = """
WITH sent AS (
    SELECT * FROM unnest(%(kinds)s::text[], %(starts)s::timestamptz[], %(ends)s::timestamptz[],
        %(candles)s::int[], %(values)s::float8[], %(details)s::text[])
        AS sent (kind, start, "end", candles, value, detail)
)
"""
FORGET_DEFECTS = (
    SENT_DEFECTS
    + """
DELETE FROM candle_defects AS held
WHERE held.series_id = %(series)s AND held.start >= %(since)s AND held.start < %(until)s
  AND NOT EXISTS (SELECT FROM sent WHERE (sent.kind, sent.start) = (held.kind, held.start))
"""
)
# Who accepted it and when it was found stays, and what is known of a gap that is still the same.
# What is left of one that was accepted is accepted, too: of a kind no two overlap, so that can only
# be the one that began last before.
STORE_DEFECTS = (
    SENT_DEFECTS
    + """
INSERT INTO candle_defects AS held
    (series_id, kind, start, "end", candles, value, detail, found_at, accepted_at, accepted_by)
SELECT %(series)s, sent.*, %(now)s, known.accepted_at, coalesce(known.accepted_by, '')
FROM sent LEFT JOIN LATERAL (
    SELECT "end", accepted_at, accepted_by FROM candle_defects before
    WHERE before.series_id = %(series)s AND before.kind = sent.kind AND before.start < sent.start
    ORDER BY before.start DESC LIMIT 1
) AS known ON known."end" >= sent."end"
ON CONFLICT (series_id, kind, start) DO UPDATE
SET "end" = excluded."end", candles = excluded.candles, value = excluded.value,
    detail = CASE WHEN excluded.detail = '' AND held."end" = excluded."end"
        THEN held.detail ELSE excluded.detail END
WHERE (held."end", held.candles, held.value) IS DISTINCT FROM
        (excluded."end", excluded.candles, excluded.value)
   OR excluded.detail NOT IN ('', held.detail)
"""
)
SENT_DAYS = """
WITH sent AS (
    SELECT * FROM unnest(%(days)s::date[], %(candles)s::int[], %(expected)s::int[],
        %(zeros)s::int[], %(defects)s::int[])
        AS sent (day, candles, expected, zero_volume, defects)
)
"""
FORGET_DAYS = (
    SENT_DAYS
    + """
DELETE FROM candle_days AS held
WHERE held.series_id = %(series)s AND held.day >= %(since)s AND held.day < %(until)s
  AND NOT EXISTS (SELECT FROM sent WHERE sent.day = held.day)
"""
)
STORE_DAYS = (
    SENT_DAYS
    + """
INSERT INTO candle_days AS held (series_id, day, candles, expected, zero_volume, defects)
SELECT %(series)s, day, candles, expected, zero_volume, defects FROM sent
ON CONFLICT (series_id, day) DO UPDATE
SET candles = excluded.candles, expected = excluded.expected,
    zero_volume = excluded.zero_volume, defects = excluded.defects
WHERE (held.candles, held.expected, held.zero_volume, held.defects) IS DISTINCT FROM
    (excluded.candles, excluded.expected, excluded.zero_volume, excluded.defects)
"""
)
# Defects that somebody accepted are known: they are not counted.
COUNTED = """
UPDATE candle_series AS held
SET gaps = found.gaps, duplicates = found.duplicates, zero_volume = found.zero_volume,
    outliers = found.outliers, spreads = found.spreads
FROM (
    SELECT series.id,
        count(*) FILTER (WHERE kind = 'gap') AS gaps,
        count(*) FILTER (WHERE kind = 'duplicate') AS duplicates,
        count(*) FILTER (WHERE kind = 'zero_volume') AS zero_volume,
        count(*) FILTER (WHERE kind = 'outlier') AS outliers,
        count(*) FILTER (WHERE kind = 'spread') AS spreads
    FROM unnest(%s::bigint[]) AS series (id)
    LEFT JOIN candle_defects d ON d.series_id = series.id AND d.accepted_at IS NULL
    GROUP BY series.id
) AS found
WHERE held.id = found.id
"""
SUMMED = """
UPDATE candle_series
SET (candles, expected, missing) = (
        SELECT coalesce(sum(candles), 0), coalesce(sum(expected), 0),
            coalesce(sum(expected - candles), 0)
        FROM candle_days WHERE series_id = %(series)s
    ),
    checked_until = %(checked_until)s, recheck_from = %(recheck_from)s,
    checked_at = %(checked_at)s, updated_at = %(now)s
WHERE id = %(series)s
"""


def replace(series: CandleSeries, piece: Piece, *, now: datetime) -> None:
    """Put what was found in a piece in the place of what was known of it; count anew."""
    (defects, days), since, until = piece
    # Behind its last candle there may be what is known of candles that were deleted.
    behind = FOREVER if until is None else moment(until)
    found: dict[str, Any] = {
        "series": series.pk,
        "since": moment(since),
        "until": behind,
        "now": now,
        "kinds": [each.kind.value for each in defects],
        "starts": [moment(each.start) for each in defects],
        "ends": [moment(each.end) for each in defects],
        "candles": [each.candles for each in defects],
        "values": [each.value for each in defects],
        "details": [each.detail[:300] for each in defects],
    }
    counted: dict[str, Any] = {
        "series": series.pk,
        "since": moment(since).date(),
        "until": behind.date(),
        "days": [EPOCH_DAY + timedelta(days=each.day) for each in days],
        "candles": [each.candles for each in days],
        "expected": [each.expected for each in days],
        "zeros": [each.zero_volume for each in days],
        "defects": [each.defects for each in days],
    }
    with connection.cursor() as cursor:
        cursor.execute(STORE_DEFECTS, found)
        cursor.execute(FORGET_DEFECTS, found)
        cursor.execute(FORGET_DAYS, counted)
        cursor.execute(STORE_DAYS, counted)
        cursor.execute(SUMMED, progress(series, until, now))
    count_defects([series.pk])


def progress(series: CandleSeries, until: int | None, now: datetime) -> dict[str, Any]:
    """Return how far a series is looked at, after a piece that ends there (None: at its end)."""
    checked_until, checked_at, recheck_from = series.checked_until, series.checked_at, None
    if until is None:
        checked_until = known_at(series.last_timestamp, series.granularity)
        checked_at = now
    elif checked_until is not None and moment(until) < checked_until:
        recheck_from = moment(until)
    else:
        checked_until = moment(until)
    return {
        "series": series.pk,
        "now": now,
        "checked_until": checked_until,
        "checked_at": checked_at,
        "recheck_from": recheck_from,
    }


def count_defects(series_ids: list[int]) -> None:
    """Count the open defects of these series, whose rows the caller holds."""
    with connection.cursor() as cursor:
        cursor.execute(COUNTED, [series_ids])
