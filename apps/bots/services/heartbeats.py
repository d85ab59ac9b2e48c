"""Heartbeats: what a bot says of itself is kept, what staff want of it is its answer.

The ordinary heartbeat is one statement that is committed by itself, without waiting for the disk:
the next one makes good what a crash of the database would lose. One that changes how its bot
stands is taken in under the lock of its row, in one transaction with what staff are told of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from apps.bots.choices import BotHealth, BotStatus, DesiredState
from apps.bots.domain.heartbeats import (
    AT_WORK,
    NEAR,
    Life,
    acknowledges,
    is_replay,
    overdue_at,
    still,
)
from apps.bots.models import BotInstance
from apps.bots.services.deadlines import BEGUN, SAYS_DONE, Terms
from apps.bots.services.instances import UnknownBot
from apps.bots.services.telling import tell_error, tell_recovery
from apps.logs.domain.cleaning import clean
from apps.logs.domain.evidence import UNSTORABLE
from apps.shared.prepared import prepared

LONGEST_ERROR = 10_000

# As it is after a heartbeat that changes neither status nor health.
AFTER = Terms(
    status="b.status",
    heard="t.now",
    candle_at="coalesce(t.last_candle_at, b.last_candle_at)",
    activity_at="greatest(b.last_activity_at, t.last_decision_at)",
    begun=BEGUN,
    now="t.now",
)
# What a heartbeat tells comes in by one row, with its types; the rest speaks of columns. Most
# heartbeats write no column that has an index, so that the row stays in its page.
ORDINARY = f"""
WITH t AS MATERIALIZED (
    SELECT %(now)s::timestamptz AS now, %(status)s::text AS status,
        %(current_balance)s::numeric AS current_balance, %(total_pnl)s::numeric AS total_pnl,
        %(open_positions)s::int AS open_positions,
        %(last_candle_at)s::timestamptz AS last_candle_at,
        %(last_decision_at)s::timestamptz AS last_decision_at,
        %(error_count)s::int AS error_count, %(last_error)s::text AS last_error,
        %(loop_time_ms)s::numeric AS loop_time_ms, %(config_hash)s::text AS config_hash,
        %(acknowledged)s::bigint AS acknowledged, %(beat)s::bigint AS beat,
        %(sent_at)s::timestamptz AS sent_at,
        set_config('synchronous_commit', CASE WHEN %(alone)s::boolean THEN 'off'
            ELSE current_setting('synchronous_commit') END, true)
)
UPDATE bot_instances b SET
    beats = b.beats + 1,
    last_heartbeat = greatest(b.last_heartbeat, t.now),
    reported_at = coalesce(t.sent_at, b.reported_at),
    current_balance = coalesce(t.current_balance, b.current_balance),
    total_pnl = coalesce(t.total_pnl, b.total_pnl),
    open_positions = coalesce(t.open_positions, b.open_positions),
    last_candle_at = {AFTER.candle_at},
    last_decision_at = coalesce(t.last_decision_at, b.last_decision_at),
    last_activity_at = {AFTER.activity_at},
    error_count = coalesce(t.error_count, b.error_count),
    last_error = coalesce(t.last_error, b.last_error),
    loop_time_ms = coalesce(t.loop_time_ms, b.loop_time_ms),
    reported_config_hash = coalesce(t.config_hash, b.reported_config_hash),
    overdue_at = CASE
        WHEN b.overdue_at >= t.now + {NEAR} * b.heartbeat_interval_seconds * interval '1 second'
        THEN b.overdue_at ELSE {AFTER.overdue_at(BotHealth.OK)} END,
    delivered_at = CASE WHEN b.instruction > 0 THEN coalesce(b.delivered_at, t.now) END,
    acknowledged_at = CASE
        WHEN b.acknowledged_at IS NULL AND b.delivered_at IS NOT NULL
            AND coalesce(t.acknowledged = b.instruction, {SAYS_DONE.format(status="b.status")})
        THEN t.now ELSE b.acknowledged_at END,
    updated_at = t.now
FROM t
WHERE b.id = %(bot_id)s AND b.health = 'ok' AND coalesce(t.status = b.status, true)
    AND coalesce(t.last_candle_at >= b.last_candle_at, t.last_candle_at IS NULL)
    AND (t.last_decision_at IS NULL OR b.last_activity_at IS NOT NULL)
    AND NOT (CASE WHEN t.beat IS NOT NULL THEN t.beat < b.beats
            AND NOT coalesce(t.sent_at > b.reported_at, t.sent_at IS NOT NULL)
        ELSE coalesce(t.sent_at <= b.reported_at
            AND t.sent_at < t.now - b.heartbeat_interval_seconds * interval '1 second', false) END)
RETURNING b.desired_state, b.instruction, b.desired_reason, b.config_hash, b.beats, b.health
"""
# What is short enough is taken apart once and not at every heartbeat (psycopg's own limit: 4096).
ORDINARY = " ".join(ORDINARY.split())
# What is told simply takes the place of what was told before.
PLAINLY_TOLD = (
    "current_balance",
    "total_pnl",
    "open_positions",
    "last_candle_at",
    "last_decision_at",
    "error_count",
    "last_error",
    "loop_time_ms",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatReport:
    """What a bot says of itself with a heartbeat. What is None is not told and stays as it was."""

    status: BotStatus | None = None
    current_balance: Decimal | None = None
    total_pnl: Decimal | None = None
    open_positions: int | None = None
    last_candle_at: datetime | None = None
    last_decision_at: datetime | None = None
    error_count: int | None = None
    last_error: str | None = None
    loop_time_ms: Decimal | None = None
    config_hash: str | None = None
    # The number of the instruction that it has carried out, and our count that it got last.
    acknowledged: int | None = None
    beat: int | None = None
    # By its own clock.
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """What staff want of a bot, and how we see it."""

    id: str
    desired_state: DesiredState
    instruction: int
    reason: str
    config_hash: str
    beat: int
    health: BotHealth


def beat(*, bot_id: str, report: BeatReport, now: datetime) -> Instruction:
    """Take in a sign of life; return what is wanted of the bot.

    An instruction is delivered by the answer to this heartbeat and acknowledged by a later one.
    An old heartbeat that comes once more is answered and changes nothing. Raises UnknownBot.
    """
    if UNSTORABLE.search(bot_id):
        raise UnknownBot("There is no bot of this name.")
    values = values_of(report, now=now) | {
        "bot_id": bot_id,
        "alone": not connection.in_atomic_block,
    }
    found = written(ORDINARY, values)
    return instruction_of(bot_id, found) if found else beat_under_lock(bot_id, report, values)


@transaction.atomic
def beat_under_lock(bot_id: str, report: BeatReport, values: dict[str, Any]) -> Instruction:
    """Take in a heartbeat that changes how its bot stands, or that does not count."""
    now = values["now"]
    bot = BotInstance.objects.select_for_update(no_key=True).filter(pk=bot_id).first()
    if bot is None:
        raise UnknownBot("There is no bot of this name.")
    replayed = is_replay(
        now=now,
        beat=report.beat,
        counted=bot.beats,
        sent_at=report.sent_at,
        last_sent_at=bot.reported_at,
        interval=bot.heartbeat_interval_seconds,
    )
    if replayed:
        return standing(bot)
    before = BotInstance(pk=bot.pk, status=bot.status, beats=bot.beats)
    before.health, before.health_since = bot.health, bot.health_since
    changes = changes_of(bot, report, values)
    for name, value in changes.items():
        setattr(bot, name, value)
    BotInstance.objects.filter(pk=bot.pk).update(**changes)
    if before.health == BotHealth.SILENT:
        tell_recovery(before, now=now)
    if bot.status == BotStatus.ERROR and before.status != BotStatus.ERROR:
        tell_error(before, error=values["last_error"] or "", now=now)
    return standing(bot)


def changes_of(bot: BotInstance, report: BeatReport, values: dict[str, Any]) -> dict[str, Any]:
    """Return what a heartbeat writes into its bot, which is held."""
    now = values["now"]
    status = BotStatus(report.status or bot.status)
    told = {name: values[name] for name in PLAINLY_TOLD if values[name] is not None}
    begins = (status in AT_WORK and bot.status not in AT_WORK) or (
        status == BotStatus.RUNNING and bot.status == BotStatus.STARTING
    )
    started_at = now if begins else bot.started_at
    activity_at = latest(bot.last_activity_at, values["last_decision_at"])
    if activity_at and status == BotStatus.RUNNING and bot.status == BotStatus.PAUSED:
        # While it paused nothing was to be expected of it.
        activity_at = now
    heard = max(bot.last_heartbeat or now, now)
    life = Life(
        status=status,
        heard=heard,
        interval=bot.heartbeat_interval_seconds,
        candle_at=told.get("last_candle_at", bot.last_candle_at),
        candle_interval=bot.candle_interval_seconds,
        activity_at=activity_at,
        usual_gap=None if bot.usual_gap_seconds is None else float(bot.usual_gap_seconds),
        begun=latest(started_at, bot.acknowledged_at),
    )
    health = still(life, BotHealth(bot.health), now=now)
    changes = told | {
        "beats": bot.beats + 1,
        "last_heartbeat": heard,
        "reported_at": report.sent_at or bot.reported_at,
        "reported_config_hash": report.config_hash or bot.reported_config_hash,
        "status": status.value,
        "started_at": started_at,
        "last_activity_at": activity_at,
        "health": health.value,
        "overdue_at": overdue_at(life, health),
        "updated_at": now,
    }
    if health != bot.health:
        changes["health_since"] = now
    return changes | carried_out(bot, report, status, now=now)


def carried_out(
    bot: BotInstance, report: BeatReport, status: BotStatus, *, now: datetime
) -> dict[str, Any]:
    """Return what a heartbeat writes of the instruction of its bot."""
    if not bot.instruction:
        return {}
    if bot.delivered_at is None:
        return {"delivered_at": now}
    desired = DesiredState(bot.desired_state)
    done = acknowledges(desired, bot.instruction, acknowledged=report.acknowledged, status=status)
    return {"acknowledged_at": now} if done and bot.acknowledged_at is None else {}


def latest(*times: datetime | None) -> datetime | None:
    return max((time for time in times if time is not None), default=None)


def written(statement: str, values: dict[str, Any]) -> Any:
    """Run a statement that the server prepares, as it comes again with every heartbeat."""
    with prepared(connection) as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone()


def values_of(report: BeatReport, *, now: datetime) -> dict[str, Any]:
    """Return what a report writes; the text of an error without secrets, cut to its length."""
    values = {name: getattr(report, name) for name in report.__slots__}
    for name in ("last_candle_at", "last_decision_at"):
        # A clock that is ahead of ours keeps nobody well for longer.
        values[name] = min(values[name], now) if values[name] else None
    if report.last_error:
        values["last_error"] = clean(
            {"last_error": report.last_error}, {"last_error": LONGEST_ERROR}
        )["last_error"]
    if report.status is not None:
        values["status"] = str(report.status)
    return values | {"now": now}


def instruction_of(bot_id: str, found: Any) -> Instruction:
    desired, number, reason, config_hash, beats, health = found
    return Instruction(
        id=bot_id,
        desired_state=DesiredState(desired),
        instruction=number,
        reason=reason,
        config_hash=config_hash,
        beat=beats,
        health=BotHealth(health),
    )


def standing(bot: BotInstance) -> Instruction:
    """Return what is wanted of a bot as it stands."""
    return instruction_of(
        bot.pk,
        (
            bot.desired_state,
            bot.instruction,
            bot.desired_reason,
            bot.config_hash,
            bot.beats,
            bot.health,
        ),
    )
