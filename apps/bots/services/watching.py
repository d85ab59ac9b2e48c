"""The watch over bots: who is silent, who is fed with stale data, who is alive but idle.

All bots are judged by one statement, whatever their number: it reads those whose deadline has
come. A row that somebody else is just writing is left to the next look.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection, transaction

from apps.bots.choices import BotHealth
from apps.bots.services.deadlines import STORED
from apps.bots.services.telling import tell_spells
from apps.executions.services.watching import awake_since

NAME = "bots"
# So many are judged in one transaction: enough to be fast, few enough to hold no lock for long.
BATCH = 500

JUDGE = f"""
WITH due AS MATERIALIZED (
    SELECT b.id, b.health AS before, {STORED.health()} AS health,
        {STORED.overdue_at(BotHealth.OK)} AS while_ok,
        {STORED.overdue_at(BotHealth.STALE)} AS while_stale,
        {STORED.overdue_at(BotHealth.IDLE)} AS while_idle,
        {STORED.heard} AS heard, {STORED.stale_base()} AS stale_base,
        {STORED.idle_base()} AS idle_base
    FROM bot_instances b
    WHERE b.overdue_at < %(now)s
    ORDER BY b.overdue_at LIMIT %(batch)s
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE bot_instances b
SET health = due.health,
    health_since = CASE WHEN due.before <> due.health THEN %(now)s ELSE b.health_since END,
    overdue_at = CASE due.health WHEN 'ok' THEN due.while_ok WHEN 'stale' THEN due.while_stale
        WHEN 'idle' THEN due.while_idle END
FROM due
WHERE b.id = due.id
RETURNING b.id, due.before, b.health, due.heard, due.stale_base, due.idle_base, b.last_heartbeat,
    b.heartbeat_interval_seconds, b.candle_interval_seconds, b.usual_gap_seconds,
    b.last_candle_at, b.last_activity_at
"""


def watch_bots(*, now: datetime) -> int:
    """Look once after all bots; return how many turned silent, stale or idle.

    Each such spell is told once, in the transaction that marks it. Spells of stale data and of
    idleness end here or with a heartbeat, silence with a heartbeat alone. May run several times
    at once.
    """
    awake = awake_since(name=NAME, now=now)
    found = 0
    # While no web server is at the door nobody can be heard.
    while awake is not None:
        looked, turned = judge(awake=awake, now=now)
        found += turned
        if looked < BATCH:
            break
    return found


@transaction.atomic
def judge(*, awake: datetime, now: datetime) -> tuple[int, int]:
    """Judge bots whose deadline has come; return how many there were, and how many got worse."""
    values: dict[str, Any] = {"awake": awake, "now": now, "batch": BATCH}
    with connection.cursor() as cursor:
        cursor.execute(JUDGE, values)
        names = [column.name for column in cursor.description]
        judged = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    turned = [bot for bot in judged if bot["health"] not in (bot["before"], BotHealth.OK)]
    tell_spells(turned, now=now)
    return len(judged), len(turned)
