"""The watch over running runs: who is lost, who is stuck, which step has lost its worker.

All running runs are judged by one statement each, whatever their number. The rules that the
statements follow stand in ``domain/liveness``. A row that somebody else is just writing is left
to the next look: it gives a sign of life this very moment.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.admin.utils import quote
from django.db import connection, transaction

from apps.executions.domain import liveness
from apps.executions.domain.progress import FIRST_ERRORS, LAST_ERRORS
from apps.executions.models import Watch
from apps.executions.services.work import (
    DUE_RUNNERS,
    MOST_ATTEMPTS,
    close_runs,
    give_back_steps,
)
from apps.logs.choices import NotificationLevel
from apps.logs.services.notifications import notify

__all__ = ["DOOR", "MOST_ATTEMPTS", "awake_since", "note_look", "watch_executions"]

NAME = "executions"
# The web servers note themselves under this name: nobody is silent whom nobody can hear.
DOOR = "door"
# So many are ended in one transaction: enough to be fast, few enough to hold no lock for long.
BATCH = 500

NOTE_LOOK = """
INSERT INTO watches AS held (name, looked_at, awake_since) VALUES (%(name)s, %(now)s, %(now)s)
ON CONFLICT (name) DO UPDATE SET
    looked_at = greatest(held.looked_at, excluded.looked_at),
    awake_since = CASE WHEN excluded.looked_at - held.looked_at > %(gap)s
        THEN excluded.looked_at ELSE held.awake_since END
RETURNING awake_since
"""

# Runs of ours are known by the leases of their steps, and live on with another worker.
END_LOST = """
WITH gone AS MATERIALIZED (
    SELECT execution_id FROM execution_logs
    WHERE status = 'RUNNING' AND runner = ''
      AND greatest(coalesce(heartbeat_at, timestamp_start), %(awake)s)
          + lease_seconds * interval '1 second' < %(now)s
    ORDER BY heartbeat_at LIMIT %(batch)s
    FOR NO KEY UPDATE SKIP LOCKED
),
told AS (
    SELECT e.execution_id, jsonb_build_object(
        'step', coalesce((
            SELECT max(s.step_name) FROM execution_steps s
            WHERE s.execution_id = e.execution_id AND s.status = 'RUNNING'
        ), ''),
        'error_type', 'Lost',
        'error_message', format('Not heard of for longer than its lease of %%s seconds.',
            e.lease_seconds),
        'traceback', '',
        'timestamp', %(moment)s::text
    ) AS error
    FROM gone JOIN execution_logs e USING (execution_id)
)
UPDATE execution_logs e
SET status = 'FAILED', health = 'lost', stuck_since = NULL, updated_at = %(now)s,
    timestamp_end = greatest(%(now)s, e.timestamp_start),
    error_count = e.error_count + 1,
    errors = CASE WHEN jsonb_array_length(e.errors) < %(most)s THEN e.errors
        ELSE e.errors - %(first)s::int END || told.error
FROM told
WHERE e.execution_id = told.execution_id AND e.status = 'RUNNING'
RETURNING e.execution_id, e.execution_type, e.symbol, e.heartbeat_at, e.lease_seconds
"""

END_STEPS_OF_LOST = """
UPDATE execution_steps
SET status = CASE status WHEN 'RUNNING' THEN 'FAILED' ELSE 'SKIPPED' END,
    error_type = CASE status WHEN 'RUNNING' THEN 'Lost' ELSE error_type END,
    timestamp_end = greatest(%(now)s, timestamp_start), leased_until = NULL
WHERE execution_id = ANY(%(lost)s) AND status IN ('PENDING', 'RUNNING')
"""

MARK_STUCK = """
WITH kinds AS (
    SELECT DISTINCT execution_type FROM execution_logs WHERE status = 'RUNNING'
),
usual AS (
    SELECT k.execution_type,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY w.longest_pause_seconds) AS seconds
    FROM kinds k CROSS JOIN LATERAL (
        SELECT longest_pause_seconds FROM execution_logs w
        WHERE w.execution_type = k.execution_type
          AND w.status IN ('COMPLETED', 'PARTIAL_SUCCESS')
          AND w.longest_pause_seconds IS NOT NULL
        ORDER BY w.timestamp_end DESC LIMIT %(last)s
    ) w
    GROUP BY k.execution_type HAVING count(*) >= %(fewest)s
),
patience AS (
    SELECT k.execution_type, CASE WHEN u.seconds IS NULL THEN %(otherwise)s
        ELSE %(times)s * greatest(u.seconds, %(shortest)s) * interval '1 second' END AS long
    FROM kinds k LEFT JOIN usual u USING (execution_type)
),
turned AS MATERIALIZED (
    SELECT e.execution_id FROM execution_logs e JOIN patience p USING (execution_type)
    WHERE e.status = 'RUNNING'
      AND (e.health = 'stuck') IS DISTINCT FROM (
        greatest(coalesce(e.progressed_at, e.timestamp_start), %(awake)s) + p.long < %(now)s
      )
    FOR NO KEY UPDATE OF e SKIP LOCKED
)
UPDATE execution_logs e
SET health = CASE e.health WHEN 'stuck' THEN 'ok' ELSE 'stuck' END,
    stuck_since = CASE e.health WHEN 'stuck' THEN NULL ELSE %(now)s END,
    updated_at = %(now)s
FROM turned
WHERE e.execution_id = turned.execution_id AND e.status = 'RUNNING'
RETURNING e.execution_id, e.execution_type, e.symbol, e.health,
    coalesce(e.progressed_at, e.timestamp_start)
"""


def watch_executions(*, now: datetime) -> list[str]:
    """Look once after all running runs; return the tasks of ours that have work to do.

    Lost runs end as FAILED, stuck ones are marked and unmarked, steps whose worker is gone are
    given back, runs of ours with nothing left to do are closed. May run several times at once.
    """
    awake = awake_since(name=NAME, now=now)
    while awake and end_lost(awake=awake, now=now) == BATCH:
        pass
    if awake:
        mark_stuck(awake=awake, now=now)
    give_back_steps(now=now)
    close_runs(now=now)
    with connection.cursor() as cursor:
        cursor.execute(DUE_RUNNERS)
        return [runner for (runner,) in cursor.fetchall()]


def awake_since(*, name: str, now: datetime) -> datetime | None:
    """Note a look of the watch ``name``; return since when anybody could be heard and was.

    None: nobody can be heard now, because no web server is at the door, and so nobody may be
    called silent. Where no web server ever noted itself, the watch alone counts.
    """
    looking = note_look(name=name, now=now)
    door = Watch.objects.filter(name=DOOR).first()
    if door is None:
        return looking
    if now - door.looked_at > liveness.DOOR_GAP:
        return None
    return max(looking, door.awake_since)


def note_look(*, name: str, now: datetime, gap: timedelta = liveness.LONGEST_GAP) -> datetime:
    """Note that somebody looks, and return since when somebody has without a longer ``gap``."""
    values: dict[str, Any] = {"name": name, "now": now, "gap": gap}
    with connection.cursor() as cursor:
        cursor.execute(NOTE_LOOK, values)
        (awake,) = cursor.fetchone()
    moment: datetime = awake
    return moment


@transaction.atomic
def end_lost(*, awake: datetime, now: datetime) -> int:
    """End runs that have not been heard of within their lease; return how many."""
    values: dict[str, Any] = {
        "awake": awake,
        "now": now,
        "moment": now.isoformat(),
        "batch": BATCH,
        "most": FIRST_ERRORS + LAST_ERRORS,
        "first": FIRST_ERRORS,
    }
    with connection.cursor() as cursor:
        cursor.execute(END_LOST, values)
        lost = cursor.fetchall()
        if lost:
            cursor.execute(END_STEPS_OF_LOST, {"now": now, "lost": [row[0] for row in lost]})
    for execution_id, execution_type, symbol, heartbeat_at, lease in lost:
        since = f"since {heartbeat_at:%Y-%m-%d %H:%M:%S} UTC" if heartbeat_at else "at all"
        tell(
            "execution_lost",
            execution_id,
            f"Lost: {named(execution_type, symbol)}",
            f"{execution_id} was not heard of {since}; its lease is {lease} seconds.",
            now=now,
        )
    return len(lost)


@transaction.atomic
def mark_stuck(*, awake: datetime, now: datetime) -> int:
    """Mark runs that go nowhere, unmark those that do not any more; return how many turned.

    Each spell without progress is told once.
    """
    values: dict[str, Any] = {
        "awake": awake,
        "now": now,
        "last": liveness.LAST_RUNS,
        "fewest": liveness.FEWEST_RUNS,
        "shortest": liveness.SHORTEST_PAUSE.total_seconds(),
        "times": settings.STUCK_TIMES,
        "otherwise": settings.STUCK_AFTER,
    }
    with connection.cursor() as cursor:
        cursor.execute(MARK_STUCK, values)
        turned = cursor.fetchall()
    for execution_id, execution_type, symbol, health, since in turned:
        if health == "stuck":
            tell(
                "execution_stuck",
                execution_id,
                f"Stuck: {named(execution_type, symbol)}",
                f"{execution_id} has made no progress since {since:%Y-%m-%d %H:%M:%S} UTC.",
                spell=since.isoformat(),
                now=now,
            )
    return len(turned)


def named(execution_type: str, symbol: str) -> str:
    return f"{execution_type} of {symbol}" if symbol else execution_type


def tell(
    what: str, execution_id: str, subject: str, message: str, *, now: datetime, spell: str = ""
) -> None:
    """Tell staff of a run, in the transaction that changes it."""
    # Ids may be as long as a whole key.
    name = hashlib.sha256(execution_id.encode()).hexdigest()
    values: dict[str, Any] = {
        "link": f"/admin/executions/execution/{quote(execution_id)}/change/",
        "dedupe_key": f"{what}:{name}:{spell}",
    }
    notify(
        what=what,
        level=NotificationLevel.WARNING,
        subject=subject,
        message=message,
        now=now,
        **values,
    )
