"""Counting up what became of alerts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings

from apps.alerts.domain.scorecard import ScorecardRow
from apps.alerts.domain.tracking import checkpoint_hours
from apps.market.services import scorecards

# What a scorecard can be counted up by, and the expression of its key.
GROUPINGS = {
    "strategy": "a.strategy",
    "symbol": "a.symbol",
    "timeframe": "a.timeframe",
    "direction": "a.direction",
    "confidence_band": scorecards.band_name("a.confidence"),
    "all": "''",
}

SETTLED = "FILTER (WHERE settled)"
TO_TARGET = "FILTER (WHERE settled AND first_touch = 'target')"

STATEMENT = f"""
WITH picked AS MATERIALIZED (
    SELECT a.alert_id, {{key}} AS key, a.confidence, p.status = 'settled' AS settled,
        CASE WHEN p.status = 'settled' THEN p.is_success END AS hit,
        p.first_touch, p.max_gain, p.max_loss,
        extract(epoch FROM p.first_touch_at - a.timestamp) AS touched_after
    FROM alerts a JOIN performance_summary p ON p.alert_id = a.alert_id
    WHERE {{where}}
),
prices AS MATERIALIZED (
    SELECT k.key, t.time_elapsed_hours AS hours,
        {scorecards.changes("t.percentage_change", missing="t.status = 'missing'")}
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
{scorecards.reliability_bands("bands", of="picked")}
SELECT s.*, coalesce(g.missing, 0) AS missing,
    {scorecards.joined("prices", by="hours")} AS horizons,
    {scorecards.joined("bands", by="band")} AS bands
FROM (
    SELECT key, {scorecards.COUNTS},
        count(*) FILTER (WHERE NOT settled) AS open,
        count(*) FILTER (WHERE settled AND hit IS NULL) AS undecided,
        count(*) FILTER (WHERE settled AND first_touch = 'target') AS touched_target,
        count(*) FILTER (WHERE settled AND first_touch = 'stop') AS touched_stop,
        count(*) FILTER (WHERE settled AND first_touch = 'ambiguous') AS ambiguous,
        count(*) FILTER (WHERE settled AND first_touch = 'none') AS untouched,
        {scorecards.quantiles("max_gain", SETTLED)} AS max_gain,
        {scorecards.quantiles("max_loss", SETTLED)} AS max_loss,
        {scorecards.doubled_median("touched_after", TO_TARGET)} AS doubled_seconds
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
    scorecards.check_grouping(by, GROUPINGS)
    hours = checkpoint_hours(settings.ALERT_CHECKPOINT_HOURS)
    parts, parameters = scorecards.conditions(
        "a",
        {name: getattr(filters, name) for name in WORDS},
        moment="timestamp",
        after=filters.timestamp_after,
        before=filters.timestamp_before,
    )
    statement = STATEMENT.format(key=GROUPINGS[by], where=" AND ".join(parts))
    found = scorecards.counted(statement, {**parameters, "hours": hours})
    return [row_of(each, hours) for each in found]


def row_of(found: Mapping[str, Any], hours: Sequence[int]) -> ScorecardRow:
    touches = ("touched_target", "touched_stop", "ambiguous", "untouched")
    return ScorecardRow(
        **scorecards.common(found),
        **{name: found[name] for name in touches},
        horizons=scorecards.read_horizons(found["horizons"], hours),
        seconds_to_target=scorecards.half(found["doubled_seconds"]),
    )
