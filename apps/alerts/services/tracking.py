"""Prices at the checkpoints after each alert."""

from datetime import datetime
from typing import Any

import pglock
from django.conf import settings
from django.db import connection, transaction

from apps.alerts.domain.tracking import checkpoint_hours
from apps.market.services import changes, outcomes

OPEN_SERIES = outcomes.open_series("open_series", table="performance_summary")

# By its key, whatever the planner believes of the tables' sizes.
ALERT = """CROSS JOIN LATERAL (
        SELECT timestamp, direction, entry_price, target_price, stop_loss FROM alerts
        WHERE alerts.alert_id = p.alert_id OFFSET 0
    ) a"""

# A row is locked by whoever works on it, and skipped by the others: two workers share the work
# and never wait for each other.
PLACE = f"""
WITH RECURSIVE {outcomes.widths()},
{outcomes.waiting_symbols("symbols", table="performance_summary")},
{outcomes.series_of("series", claims="symbols")},
-- Later than its symbol's newest candle and its tolerance, an alert can only wait.
reach AS (SELECT symbol, max(newest + tolerance) AS until FROM series GROUP BY symbol),
claims AS MATERIALIZED (
    SELECT p.id, p.ctid AS place, p.symbol, a.timestamp AS moment, a.entry_price AS own_entry
    FROM reach r
    JOIN performance_summary p ON p.symbol = r.symbol AND p.source = '' AND p.status = 'open'
      AND p.next_checkpoint_at <= least(%(now)s, r.until)
    {ALERT}
    WHERE p.id > %(after)s
    ORDER BY p.id LIMIT %(batch)s
    FOR NO KEY UPDATE OF p SKIP LOCKED
),
{outcomes.chosen_series("chosen", claims="claims", series="series")},
placed AS (
    UPDATE performance_summary p
    SET source = c.source, granularity = c.granularity,
        entry_price = coalesce(c.own_entry, c.price),
        next_checkpoint_at = c.moment + %(first)s * interval '1 hour', updated_at = %(now)s
    FROM chosen c
    WHERE p.ctid = c.place AND c.state <> 'waits'
    RETURNING 1
)
SELECT (SELECT count(*) FROM claims), (SELECT max(id) FROM claims), (SELECT count(*) FROM placed)
"""

DUE = """FROM series s
    JOIN performance_summary p
      ON p.source = s.source AND p.symbol = s.symbol AND p.granularity = s.granularity
      AND p.status = 'open' AND p.next_checkpoint_at <= least(%(now)s, s.newest + s.tolerance)"""

NEXT_BATCH = f"""
WITH RECURSIVE {outcomes.widths()},
{OPEN_SERIES},
{outcomes.newest_of("series", series="open_series")}
SELECT max(id) FROM (
    SELECT p.id {DUE} WHERE p.id > %(after)s ORDER BY p.id LIMIT %(batch)s
) due
"""

# Of the CTE ``priced``, with the columns sign and entry_price carried along.
MOVED = f"""(
    SELECT p.*, {changes.moved(price="p.price", entry="p.entry_price")} AS moved
    FROM priced p OFFSET 0
) p WHERE p.state <> 'waits'"""
PRICE_CHANGE = changes.change(sign="sign", moved="moved", price="price", entry="entry_price")

# Plain INSERT: ON CONFLICT and RETURNING would cost as much again as finding the prices. One
# worker at a time holds the lock, so what is taken already stands in the table for all to see.
PRICE = f"""
WITH RECURSIVE {outcomes.widths()},
{OPEN_SERIES},
{outcomes.newest_of("series", series="open_series")},
due AS MATERIALIZED (
    SELECT s.*, p.alert_id, p.entry_price, a.timestamp AS raised_at,
        CASE a.direction WHEN 'long' THEN 1 ELSE -1 END AS sign,
        ARRAY(SELECT t.time_elapsed_hours FROM price_tracking t
              WHERE t.alert_id = p.alert_id) AS taken
    {DUE}
    {ALERT}
    WHERE p.id > %(after)s AND p.id <= %(upto)s
    ORDER BY p.id
),
points AS (
    SELECT d.*, h.hours, h.moment
    -- OFFSET 0: alert by alert, the order in which the rows go fastest into their index.
    FROM due d CROSS JOIN LATERAL (
        SELECT hours, d.raised_at + hours * interval '1 hour' AS moment
        FROM unnest(%(hours)s::int[]) AS h (hours) WHERE hours <> ALL (d.taken) OFFSET 0
    ) h
    WHERE h.moment <= %(now)s
),
{outcomes.quotes("priced", points="points")}
INSERT INTO price_tracking (alert_id, symbol, timestamp, time_elapsed_hours, status, price,
    percentage_change, candle_timestamp, created_at)
SELECT alert_id, symbol, moment, hours, state, price, {PRICE_CHANGE}, candle_timestamp, %(now)s
FROM {MOVED}
"""


def track_due_prices(*, now: datetime) -> int:
    """Record the price at every checkpoint that has come due; return how many were recorded.

    Each price is the one of the checkpoint's own moment, however late this runs. A checkpoint
    whose candles never came while newer ones did is recorded as missing; one whose candles may
    still come waits. New alerts first get the series of candles they are judged on, and their
    entry price. Running twice, or in two workers at once, records nothing twice.
    """
    hours = checkpoint_hours(settings.ALERT_CHECKPOINT_HOURS)
    outcomes.in_batches(PLACE, now=now, first=hours[0])
    recorded, after = 0, 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            if not prices_lock(timeout=0).acquire():
                return recorded  # Another worker is at it.
            bounds: dict[str, Any] = {"now": now, "after": after, "batch": outcomes.BATCH}
            cursor.execute(NEXT_BATCH, bounds)
            (upto,) = cursor.fetchone()
            if upto is None:
                return recorded
            cursor.execute(PRICE, bounds | {"upto": upto, "hours": hours})
            recorded += cursor.rowcount
        after = upto


def prices_lock(*, timeout: float | None = None) -> pglock.advisory:
    """Return the lock that whoever writes tracked prices holds until the transaction ends."""
    return pglock.advisory("alerts.tracked_prices", xact=True, timeout=timeout)
