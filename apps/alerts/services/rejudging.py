"""Judging again, after candles came late or were corrected."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from apps.alerts.models import AlertPerformance
from apps.alerts.services.evaluation import JUDGE, JUDGED, SET_JUDGED, rules
from apps.alerts.services.tracking import ALERT, MOVED, PRICE_CHANGE, prices_lock
from apps.market.services import outcomes

BATCH = 2_000

SERIES = f"""
{outcomes.widths()},
asked_series AS (
    SELECT DISTINCT source, symbol, granularity FROM performance_summary WHERE id = ANY(%(ids)s)
),
{outcomes.newest_of("series", series="asked_series")}"""

CLAIMS = f"""claims AS MATERIALIZED (
    SELECT p.id, p.ctid AS place, p.alert_id, p.symbol, p.source, p.granularity, p.entry_price,
        a.timestamp AS raised_at, a.entry_price AS own_entry, a.target_price AS target,
        a.stop_loss AS stop,
        CASE a.direction WHEN 'long' THEN 1 ELSE -1 END AS sign
    FROM performance_summary p {ALERT}
    WHERE p.id = ANY(%(ids)s)
)"""

ENTER = f"""
WITH {SERIES},
{CLAIMS},
points AS (
    SELECT q.*, s.width, s.tolerance, s.newest, q.raised_at AS moment
    FROM claims q
    JOIN series s ON s.source = q.source AND s.symbol = q.symbol AND s.granularity = q.granularity
    WHERE q.own_entry IS NULL
),
{outcomes.quotes("priced", points="points")}
UPDATE performance_summary p SET entry_price = q.price, updated_at = %(now)s
FROM priced q
WHERE p.id = q.id AND q.state = 'known' AND p.entry_price IS DISTINCT FROM q.price
"""

# What was known stays known: candles that are gone by now take no price back.
REPRICE = f"""
WITH {SERIES},
{CLAIMS},
points AS (
    SELECT q.*, s.width, s.tolerance, s.newest, h.hours,
        q.raised_at + h.hours * interval '1 hour' AS moment
    FROM claims q
    JOIN series s ON s.source = q.source AND s.symbol = q.symbol AND s.granularity = q.granularity
    CROSS JOIN unnest(%(hours)s::int[]) AS h (hours)
),
{outcomes.quotes("priced", points="points")}
INSERT INTO price_tracking AS t (alert_id, symbol, timestamp, time_elapsed_hours, status, price,
    percentage_change, candle_timestamp, created_at)
SELECT alert_id, symbol, moment, hours, state, price, {PRICE_CHANGE}, candle_timestamp, %(now)s
FROM {MOVED}
ON CONFLICT (alert_id, time_elapsed_hours) DO UPDATE
SET status = excluded.status, price = excluded.price, created_at = excluded.created_at,
    percentage_change = excluded.percentage_change, candle_timestamp = excluded.candle_timestamp
WHERE excluded.status = 'known'
  AND (t.status, t.price, t.percentage_change, t.candle_timestamp) IS DISTINCT FROM
    (excluded.status, excluded.price, excluded.percentage_change, excluded.candle_timestamp)
"""

REJUDGE = f"""
WITH {SERIES},
{CLAIMS},
{JUDGE}
UPDATE performance_summary p {SET_JUDGED}
FROM verdicts v WHERE p.ctid = v.place
"""

SHOWN = ["entry_price", *(name for name in JUDGED if name != "judged_through")]

CHECKPOINTS = """
    SELECT alert_id, time_elapsed_hours, status, price FROM price_tracking
    WHERE alert_id IN (SELECT alert_id FROM performance_summary WHERE id = ANY(%s))
"""


@dataclass(frozen=True, slots=True)
class Rejudged:
    """An alert whose judgement moved: name of what changed → (before, after)."""

    alert_id: str
    changes: Mapping[str, tuple[Any, Any]]


def rejudge_alerts(
    *, now: datetime, symbol: str = "", since: datetime | None = None
) -> Iterator[Rejudged]:
    """Judge alerts again by the candles of today, and yield those for which that changed a thing.

    Open and settled ones, on the series they were first judged on; ``symbol`` and ``since``
    (when they were raised) narrow it down. Fills in checkpoints that were missing, takes over
    corrected candles, and re-opens an alert only where a checkpoint was added to the settings
    and still waits. A batch at a time, each in one transaction; safe to repeat.
    """
    chosen = AlertPerformance.objects.exclude(source="").order_by("pk")
    if symbol:
        chosen = chosen.filter(symbol=symbol)
    if since is not None:
        chosen = chosen.filter(alert__timestamp__gte=since)
    after = 0
    while ids := list(chosen.filter(pk__gt=after).values_list("pk", flat=True)[:BATCH]):
        yield from rejudge(ids, now=now)
        after = ids[-1]


@transaction.atomic
def rejudge(ids: list[int], *, now: datetime) -> list[Rejudged]:
    prices_lock().acquire()
    rows = AlertPerformance.objects.filter(pk__in=ids).order_by("pk")
    list(rows.select_for_update(no_key=True).values_list("pk"))
    before = standing(ids)
    parameters = {**rules(), "now": now, "ids": ids}
    with connection.cursor() as cursor:
        for statement in (ENTER, REPRICE, REJUDGE):
            cursor.execute(statement, parameters)
    after = standing(ids)
    return [
        Rejudged(alert_id, changes)
        for alert_id, then in before.items()
        if (changes := differences(then, after[alert_id]))
    ]


def standing(ids: list[int]) -> dict[str, dict[str, Any]]:
    """Return, by alert, everything that a judgement may change."""
    rows = AlertPerformance.objects.filter(pk__in=ids).order_by("pk")
    found = {row.pop("alert_id"): row for row in rows.values("alert_id", *SHOWN)}
    with connection.cursor() as cursor:
        cursor.execute(CHECKPOINTS, [ids])
        for alert_id, hours, status, price in cursor.fetchall():
            found[alert_id][f"price after {hours} h"] = price if status == "known" else status
    return found


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {name: (then.get(name), value) for name, value in now.items() if then.get(name) != value}
