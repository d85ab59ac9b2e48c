"""What became of each alert."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings

from apps.alerts.domain import evaluation
from apps.alerts.domain.tracking import checkpoint_hours
from apps.alerts.services.tracking import ALERT, OPEN_SERIES
from apps.market.services import changes, outcomes

# What a judgement decides; a row is written only when one of these, or how far it looked, moves.
JUDGED = (
    "status",
    "is_success",
    "max_gain",
    "max_loss",
    "checkpoint_max_gain",
    "checkpoint_max_loss",
    "final_return_24h",
    "final_return_72h",
    "first_touch",
    "first_touch_at",
    "evaluation_note",
    "next_checkpoint_at",
    "judged_through",
)


def note(text: str, *, when: str) -> str:
    return f"CASE WHEN {when} THEN {changes.quoted(text)} END"


UNSTORABLE = "too_large OR (highest IS NOT NULL AND (gain IS NULL OR loss IS NULL))"

# Reads the CTE ``claims``: rows of performance_summary, each with its alert's raised_at, sign,
# target and stop; and ``series``.
JUDGE = f"""
spans AS (
    SELECT q.*, s.width, s.newest,
        raised_at AS opens, raised_at + %(last)s * interval '1 hour' AS closes
    FROM claims q
    JOIN series s ON s.source = q.source AND s.symbol = q.symbol AND s.granularity = q.granularity
),
{outcomes.windows("seen", claims="spans")},
asked AS MATERIALIZED (
    SELECT h.hours, s.threshold FROM unnest(%(hours)s::int[]) AS h (hours)
    LEFT JOIN unnest(%(success_hours)s::int[], %(thresholds)s::numeric[]) AS s (hours, threshold)
      ON s.hours = h.hours
),
measured AS (
    SELECT q.*, t.*, {changes.MAX_GAIN} AS gain, {changes.MAX_LOSS} AS loss
    FROM {changes.moves("highest", "lowest", of="seen")}
    CROSS JOIN LATERAL (
        SELECT bool_and(t.id IS NOT NULL) AS settled,
            min(k.hours) FILTER (WHERE t.id IS NULL) AS next_hours,
            max(t.percentage_change) AS best, min(t.percentage_change) AS worst,
            max(t.percentage_change) FILTER (WHERE k.hours = 24) AS after_24,
            max(t.percentage_change) FILTER (WHERE k.hours = 72) AS after_72,
            coalesce(bool_or(t.percentage_change >= k.threshold), false) AS hit,
            count(k.threshold) AS deciding,
            count(*) FILTER (WHERE k.threshold IS NOT NULL AND t.id IS NULL) AS deciding_open,
            count(t.percentage_change) FILTER (WHERE k.threshold IS NOT NULL) AS deciding_known,
            count(t.price) FILTER (WHERE k.threshold IS NOT NULL) AS deciding_priced,
            count(t.price) > count(t.percentage_change) AS too_large
        FROM asked k
        LEFT JOIN price_tracking t ON t.alert_id = q.alert_id AND t.time_elapsed_hours = k.hours
    ) t
),
verdicts AS MATERIALIZED (
    SELECT place, least(newest, closes) AS judged_through,
        CASE WHEN settled THEN 'settled' ELSE 'open' END AS status,
        CASE WHEN hit THEN true
             WHEN deciding_open = 0 AND deciding_known > 0 THEN false END AS is_success,
        gain AS max_gain, loss AS max_loss,
        best AS checkpoint_max_gain, worst AS checkpoint_max_loss,
        after_24 AS final_return_24h, after_72 AS final_return_72h,
        {changes.first_touch(settled="settled")} AS first_touch,
        least(target_at, stop_at) AS first_touch_at,
        raised_at + next_hours * interval '1 hour' AS next_checkpoint_at,
        CASE WHEN entry_price IS NULL THEN {changes.quoted(evaluation.NO_ENTRY)}
             WHEN NOT settled THEN ''
             ELSE concat_ws(' ',
                {note(evaluation.NO_SUCCESS_CHECKPOINT, when="deciding = 0")},
                {note(evaluation.SUCCESS_MISSING, when="deciding > 0 AND deciding_priced = 0")},
                {note(evaluation.EMPTY_WINDOW, when="highest IS NULL")},
                {note(evaluation.TOO_LARGE, when=UNSTORABLE)})
        END AS evaluation_note
    FROM measured
)"""

SET_JUDGED = f"""
    SET {", ".join(f"{name} = v.{name}" for name in JUDGED)}, updated_at = %(now)s,
        settled_at = CASE WHEN v.status = 'settled' THEN coalesce(p.settled_at, %(now)s) END
"""

SETTLE = f"""
WITH RECURSIVE {outcomes.widths()},
{OPEN_SERIES},
{outcomes.newest_of("series", series="open_series")},
-- Only what can have moved: a checkpoint has passed, or candles came that the row has not seen.
moved AS (
    SELECT p.id FROM series s JOIN performance_summary p
      ON p.source = s.source AND p.symbol = s.symbol AND p.granularity = s.granularity
      AND p.status = 'open' AND p.next_checkpoint_at <= least(%(now)s, s.newest + s.tolerance)
    UNION
    SELECT p.id FROM series s JOIN performance_summary p
      ON p.source = s.source AND p.symbol = s.symbol AND p.granularity = s.granularity
      AND p.status = 'open' AND p.judged_through < s.newest
),
claims AS MATERIALIZED (
    SELECT p.id, p.ctid AS place, p.alert_id, p.symbol, p.source, p.granularity, p.entry_price,
        a.timestamp AS raised_at, a.target_price AS target, a.stop_loss AS stop,
        CASE a.direction WHEN 'long' THEN 1 ELSE -1 END AS sign
    FROM performance_summary p {ALERT}
    WHERE p.id IN (SELECT id FROM moved) AND p.status = 'open' AND p.id > %(after)s
    ORDER BY p.id LIMIT %(batch)s
    FOR NO KEY UPDATE OF p SKIP LOCKED
),
{JUDGE},
written AS (
    UPDATE performance_summary p {SET_JUDGED}
    FROM verdicts v WHERE p.ctid = v.place
    RETURNING p.status
)
SELECT (SELECT count(*) FROM claims), (SELECT max(id) FROM claims),
    (SELECT count(*) FROM written WHERE status = 'settled')
"""


def rules() -> dict[str, Any]:
    """Return the settings as the parameters of ``JUDGE``."""
    hours = checkpoint_hours(settings.ALERT_CHECKPOINT_HOURS)
    thresholds: dict[int, Decimal] = evaluation.success_thresholds(settings.ALERT_SUCCESS)
    return {
        "hours": hours,
        "last": hours[-1],
        "success_hours": list(thresholds),
        "thresholds": list(thresholds.values()),
    }


def settle_alerts(*, now: datetime) -> int:
    """Judge every open alert that can have moved; return how many were settled for good.

    The others keep provisional values and stay open: until no checkpoint waits any more, which
    is also when the window has closed. Costs what has moved: alerts that wait for candles are
    not looked at again before some come. May run twice at once.
    """
    return outcomes.in_batches(SETTLE, now=now, **rules())
