"""Counting up what became of alerts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection

from apps.alerts.domain.scorecard import Horizon, Quantiles, ScorecardRow
from apps.alerts.domain.tracking import checkpoint_hours
from apps.shared.quant import calibration
from apps.shared.quant.samples import ratio

BAND = "CASE WHEN confidence IS NULL THEN -1 ELSE least(floor(confidence * 10), 9)::int END"

# What a scorecard can be counted up by, and the expression of its key.
GROUPINGS = {
    "strategy": "a.strategy",
    "symbol": "a.symbol",
    "timeframe": "a.timeframe",
    "direction": "a.direction",
    "confidence_band": f"""CASE WHEN a.confidence IS NULL THEN ''
        ELSE ('{{0.0–0.1,0.1–0.2,0.2–0.3,0.3–0.4,0.4–0.5,0.5–0.6,0.6–0.7,0.7–0.8,0.8–0.9,0.9–1.0}}'
            ::text[])[1 + {BAND.replace("confidence", "a.confidence")}] END""",
    "all": "''",
}

# The median of an even number of values is the mean of the two middle ones; percentile_cont
# would compute it in floating point, these two name both exactly.
MIDDLE = """percentile_disc(0.5) WITHIN GROUP (ORDER BY {0}) {1}
        + percentile_disc(0.5) WITHIN GROUP (ORDER BY {0} DESC) {1}"""
QUANTILES = "percentile_disc(ARRAY[0.1, 0.5, 0.9]) WITHIN GROUP (ORDER BY {0}) {1}"
SETTLED = "FILTER (WHERE settled)"
TO_TARGET = "FILTER (WHERE settled AND first_touch = 'target')"

STATEMENT = """
WITH picked AS MATERIALIZED (
    SELECT a.alert_id, {key} AS key, a.confidence, p.status = 'settled' AS settled, p.is_success,
        p.first_touch, p.max_gain, p.max_loss,
        extract(epoch FROM p.first_touch_at - a.timestamp) AS touched_after
    FROM alerts a JOIN performance_summary p ON p.alert_id = a.alert_id
    WHERE {where}
),
prices AS (
    SELECT k.key, t.time_elapsed_hours AS hours,
        count(t.percentage_change) AS n, count(*) FILTER (WHERE t.status = 'missing') AS missing,
        sum(t.percentage_change)::text AS total, ({middle_change})::text AS doubled_median
    FROM picked k JOIN price_tracking t ON t.alert_id = k.alert_id
    WHERE k.settled AND t.time_elapsed_hours = ANY(%(hours)s)
    GROUP BY k.key, t.time_elapsed_hours
),
gaps AS (
    SELECT k.key, count(*) AS missing FROM picked k
    WHERE k.settled AND EXISTS (
        SELECT FROM price_tracking t WHERE t.alert_id = k.alert_id AND t.status = 'missing')
    GROUP BY k.key
),
bands AS (
    SELECT key, {band} AS band, count(*) AS n, count(*) FILTER (WHERE is_success) AS hits,
        sum(confidence)::text AS total
    FROM picked WHERE settled AND is_success IS NOT NULL AND confidence IS NOT NULL
    GROUP BY key, {band}
)
SELECT s.*, coalesce(g.missing, 0) AS missing,
    (SELECT jsonb_agg(to_jsonb(h) - 'key' ORDER BY h.hours) FROM prices h WHERE h.key = s.key)
        AS horizons,
    (SELECT jsonb_agg(to_jsonb(b) - 'key' ORDER BY b.band) FROM bands b WHERE b.key = s.key)
        AS bands
FROM (
    SELECT key, count(*) AS total, count(*) FILTER (WHERE NOT settled) AS open,
        count(is_success) FILTER (WHERE settled) AS n,
        count(*) FILTER (WHERE settled AND is_success) AS hits,
        count(*) FILTER (WHERE settled AND is_success IS NULL) AS undecided,
        count(*) FILTER (WHERE settled AND first_touch = 'target') AS touched_target,
        count(*) FILTER (WHERE settled AND first_touch = 'stop') AS touched_stop,
        count(*) FILTER (WHERE settled AND first_touch = 'ambiguous') AS ambiguous,
        count(*) FILTER (WHERE settled AND first_touch = 'none') AS untouched,
        {quantiles_gain} AS max_gain, {quantiles_loss} AS max_loss,
        {middle_touch} AS doubled_seconds,
        sum((confidence - is_success::int) ^ 2) {decided} AS squares,
        count(confidence) {decided} AS confident
    FROM picked GROUP BY key
) s
LEFT JOIN gaps g ON g.key = s.key
ORDER BY s.n DESC, s.total DESC, s.key
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which alerts to count: any of the words where words are given, within the times."""

    symbol: Sequence[str] = ()
    strategy: Sequence[str] = ()
    timeframe: Sequence[str] = ()
    direction: Sequence[str] = ()
    alert_type: Sequence[str] = ()
    priority: Sequence[str] = ()
    timestamp_after: datetime | None = None
    timestamp_before: datetime | None = None


WORDS = ("symbol", "strategy", "timeframe", "direction", "alert_type", "priority")
EVERYTHING = Filters()


def scorecard(*, by: str = "strategy", filters: Filters = EVERYTHING) -> list[ScorecardRow]:
    """Return one row per group of alerts, the most decided first.

    ``by`` is one of ``GROUPINGS``; anything else raises ValueError. One statement, whatever the
    number of groups. Sums, medians and quantiles are exact decimals.
    """
    if by not in GROUPINGS:
        raise ValueError(f"A scorecard is counted up by {', '.join(GROUPINGS)}, not by {by!r}.")
    hours = checkpoint_hours(settings.ALERT_CHECKPOINT_HOURS)
    where, parameters = conditions(filters)
    statement = STATEMENT.format(
        key=GROUPINGS[by],
        where=where,
        band=BAND,
        middle_change=MIDDLE.format("t.percentage_change", ""),
        quantiles_gain=QUANTILES.format("max_gain", SETTLED),
        quantiles_loss=QUANTILES.format("max_loss", SETTLED),
        middle_touch=MIDDLE.format("touched_after", TO_TARGET),
        decided="FILTER (WHERE settled AND is_success IS NOT NULL)",
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, {**parameters, "hours": hours})
        names = [column.name for column in cursor.description]
        return [row_of(dict(zip(names, row, strict=True)), hours) for row in cursor.fetchall()]


def conditions(filters: Filters) -> tuple[str, dict[str, Any]]:
    """Return the WHERE of the filters that are set, and its parameters."""
    parts, parameters = ["true"], dict[str, Any]()
    for name in WORDS:
        if words := getattr(filters, name):
            parts.append(f"a.{name} = ANY(%({name})s)")
            parameters[name] = list(words)
    if filters.timestamp_after is not None:
        parts.append("a.timestamp >= %(after)s")
        parameters["after"] = filters.timestamp_after
    if filters.timestamp_before is not None:
        parts.append("a.timestamp < %(before)s")
        parameters["before"] = filters.timestamp_before
    return " AND ".join(parts), parameters


def row_of(found: Mapping[str, Any], hours: Sequence[int]) -> ScorecardRow:
    priced = {each["hours"]: each for each in loaded(found["horizons"])}
    banded = {each["band"]: each for each in loaded(found["bands"])}
    seconds = found["doubled_seconds"]
    counts = ("total", "open", "n", "hits", "undecided", "missing", "ambiguous", "untouched")
    return ScorecardRow(
        key=found["key"],
        **{name: found[name] for name in (*counts, "touched_target", "touched_stop")},
        horizons=[horizon(each, priced.get(each)) for each in hours],
        max_gain=Quantiles(*(found["max_gain"] or ())),
        max_loss=Quantiles(*(found["max_loss"] or ())),
        seconds_to_target=None if seconds is None else ratio(seconds, 2),
        brier=ratio(found["squares"] or 0, found["confident"]),
        reliability=[band(index, banded.get(index)) for index in range(calibration.BANDS)],
    )


def loaded(value: Any) -> list[dict[str, Any]]:
    """Return a JSON array; raw cursors of Django leave it as text."""
    if value is None:
        return []
    found: list[dict[str, Any]] = json.loads(value) if isinstance(value, str) else value
    return found


def horizon(hours: int, found: Mapping[str, Any] | None) -> Horizon:
    if found is None or not found["n"]:
        return Horizon(hours, 0, found["missing"] if found else 0, None, None)
    total, doubled = Decimal(found["total"]), Decimal(found["doubled_median"])
    return Horizon(hours, found["n"], found["missing"], ratio(total, found["n"]), ratio(doubled, 2))


def band(index: int, found: Mapping[str, Any] | None) -> calibration.Band:
    if found is None:
        return calibration.band(index, 0, 0, Decimal(0))
    return calibration.band(index, found["n"], found["hits"], Decimal(found["total"]))
