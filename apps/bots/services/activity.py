"""When bots last traded or decided, and how long they usually take between."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import connection

from apps.bots.domain.heartbeats import FEWEST_GAPS, LAST_MOMENTS

NOTE = """
WITH active AS MATERIALIZED (
    SELECT id FROM bot_instances WHERE id = ANY(%(bots)s) ORDER BY id FOR NO KEY UPDATE
)
UPDATE bot_instances b SET
    last_activity_at = greatest(b.last_activity_at, %(now)s),
    health = CASE b.health WHEN 'idle' THEN 'ok' ELSE b.health END,
    health_since = CASE b.health WHEN 'idle' THEN %(now)s ELSE b.health_since END,
    overdue_at = CASE
        WHEN b.health = 'idle' THEN %(now)s
        -- From now on it may be idle one day.
        WHEN b.last_activity_at IS NULL AND b.overdue_at > %(now)s THEN %(now)s
        ELSE b.overdue_at END
FROM active
WHERE b.id = active.id
"""

# Of a trade both ends are moments. Its newest rows are read by their index.
MEASURE = """
WITH measured AS (
    SELECT b.id, usual.seconds
    FROM bot_instances b CROSS JOIN LATERAL (
        SELECT CASE WHEN count(*) >= %(fewest)s THEN
            percentile_cont(0.5) WITHIN GROUP (ORDER BY gap)::numeric(20, 8)
            -- Its trades may have left for an archive: what was usual is so still.
            ELSE b.usual_gap_seconds END AS seconds
        FROM (
            SELECT extract(epoch FROM at - lag(at) OVER (ORDER BY at)) AS gap
            FROM (
                SELECT DISTINCT at FROM (
                    SELECT t.entry_time, t.exit_time FROM trades t
                    WHERE t.bot_id = b.id AND t.trade_type = b.type
                    ORDER BY t.created_at DESC, t.id DESC LIMIT %(last)s
                ) newest, unnest(ARRAY[newest.entry_time, newest.exit_time]) AS at
                WHERE at IS NOT NULL ORDER BY at DESC LIMIT %(last)s
            ) moments
        ) gaps
        WHERE gap IS NOT NULL
    ) usual
    WHERE b.status = 'running'
),
-- In one order, and past those that somebody writes: the next time will do.
held AS MATERIALIZED (
    SELECT b.id FROM bot_instances b JOIN measured m USING (id)
    WHERE b.usual_gap_seconds IS DISTINCT FROM m.seconds
    ORDER BY b.id FOR NO KEY UPDATE OF b SKIP LOCKED
)
UPDATE bot_instances b SET
    usual_gap_seconds = m.seconds,
    overdue_at = CASE WHEN b.overdue_at > %(now)s THEN %(now)s ELSE b.overdue_at END
FROM measured m JOIN held USING (id)
WHERE b.id = m.id AND b.usual_gap_seconds IS DISTINCT FROM m.seconds
"""


def note_activity(bot_ids: Iterable[str], *, now: datetime) -> None:
    """Note that bots trade or decide, in one statement; who was idle is so no more.

    Belongs into the transaction that stores what they did. Unknown names are passed over.
    """
    bots = sorted({bot for bot in bot_ids if bot})
    if bots:
        run(NOTE, {"bots": bots, "now": now})


def measure_usual_gaps(*, now: datetime) -> int:
    """Learn how long running bots usually take between trades; return for how many it changed.

    The median of the gaps between the last 50 entries and exits of its own type; with fewer than
    five gaps nothing becomes usual. For all bots in one statement; to be done seldom.
    """
    return run(MEASURE, {"now": now, "fewest": FEWEST_GAPS, "last": LAST_MOMENTS})


def run(statement: str, values: dict[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows: int = cursor.rowcount
    return rows
