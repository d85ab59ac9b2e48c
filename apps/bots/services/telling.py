"""What staff are told of bots: each spell once, in the transaction that begins or ends it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib.admin.utils import quote
from django.db import connection

from apps.bots.choices import BotHealth
from apps.bots.models import BotInstance
from apps.logs.choices import NotificationLevel
from apps.logs.services.notifications import notify, notify_all
from apps.shared.fields import plain_text

# So many of the open trades are named; the rest is counted.
NAMED_TRADES = 5
HELD_OPEN = """
SELECT bot_id, symbol, direction, size, number FROM (
    SELECT bot_id, symbol, direction, coalesce(remaining_position_size, size) AS size,
        row_number() OVER (PARTITION BY bot_id ORDER BY created_at, id) AS place,
        count(*) OVER (PARTITION BY bot_id) AS number
    FROM trades
    WHERE bot_id = ANY(%(bots)s) AND status = 'open' AND parent_trade_id IS NULL
) open_trades
WHERE place <= %(named)s
ORDER BY bot_id, place
"""


def tell_spells(turned: Sequence[Mapping[str, Any]], *, now: datetime) -> None:
    """Tell of bots that turned silent, stale or idle (``id``, ``health`` and what it rests on)."""
    silent = [bot["id"] for bot in turned if bot["health"] == BotHealth.SILENT]
    held = held_open(silent)
    rows = []
    for bot in turned:
        words, spell = WORDS[bot["health"]](bot)
        if bot["health"] == BotHealth.SILENT:
            words = f"{words} {held.get(bot['id'], 'It held no trades open.')}"
        rows.append(
            about(
                f"bot_{bot['health']}",
                bot["id"],
                f"{TITLES[bot['health']]}: {bot['id']}",
                words,
                spell=spell,
                level=LEVELS[bot["health"]],
            )
        )
    notify_all(rows, now=now)


def tell_recovery(bot: BotInstance, *, now: datetime) -> None:
    """Tell that a silent bot, given as it was before, is heard of again."""
    since = moment(bot.health_since)
    words = f"{bot.pk} is heard of again. It was marked as silent at {since}."
    spell = bot.health_since.isoformat() if bot.health_since else str(bot.beats)
    told = about("bot_recovered", bot.pk, f"Back: {bot.pk}", words, spell=spell)
    notify(**told | {"level": NotificationLevel.INFO}, now=now)


def tell_error(bot: BotInstance, *, error: str, now: datetime) -> None:
    """Tell that a bot, given as it was before, says that it is in error."""
    words = f"{bot.pk} was {bot.status} and says that it is in error. {error}".strip()
    told = about("bot_error", bot.pk, f"In error: {bot.pk}", words, spell=f"{bot.beats + 1}")
    notify(**told | {"level": NotificationLevel.CRITICAL}, now=now)


def held_open(bots: Sequence[str]) -> dict[str, str]:
    """Return in words what bots hold open: every trade's size and symbol, the first of many."""
    if not bots:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(HELD_OPEN, {"bots": list(bots), "named": NAMED_TRADES})
        found: dict[str, list[Any]] = {}
        for bot, *trade in cursor.fetchall():
            found.setdefault(bot, []).append(trade)
    return {bot: in_words(trades) for bot, trades in found.items()}


def in_words(trades: Iterable[Sequence[Any]]) -> str:
    named = [f"{sized(size)}{symbol} {direction}" for symbol, direction, size, _ in trades]
    number = next(number for *_, number in trades)
    rest = f" and {number - len(named)} more" if number > len(named) else ""
    return (
        f"It held {number} {'trade' if number == 1 else 'trades'} open: {', '.join(named)}{rest}."
    )


def sized(size: Decimal | None) -> str:
    return "" if size is None else f"{plain_text(size)} "


def about(
    what: str,
    bot_id: str,
    subject: str,
    message: str,
    *,
    spell: str,
    level: NotificationLevel = NotificationLevel.WARNING,
) -> dict[str, Any]:
    """Return a notification that names a bot; of one spell it is told once."""
    # Names may be as long as a whole key.
    name = hashlib.sha256(bot_id.encode()).hexdigest()
    return {
        "what": what,
        "level": level,
        "subject": subject,
        "message": message,
        "link": f"/admin/bots/botinstance/{quote(bot_id)}/change/",
        "dedupe_key": f"{what}:{name}:{spell}",
    }


def moment(value: datetime | None) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S} UTC" if value else "an unknown time"


def silent_words(bot: Mapping[str, Any]) -> tuple[str, str]:
    heard = bot["last_heartbeat"]
    since = (
        f"since {moment(heard)}" if heard else f"since it was registered ({moment(bot['heard'])})"
    )
    interval = bot["heartbeat_interval_seconds"]
    words = f"{bot['id']} was not heard of {since}; its interval is {interval} seconds."
    return words, bot["heard"].isoformat()


def stale_words(bot: Mapping[str, Any]) -> tuple[str, str]:
    interval = bot["candle_interval_seconds"]
    words = (
        f"{bot['id']} is alive, but its last candle is of {moment(bot['last_candle_at'])};"
        f" one comes every {interval} seconds."
    )
    return words, bot["stale_base"].isoformat()


def idle_words(bot: Mapping[str, Any]) -> tuple[str, str]:
    words = (
        f"{bot['id']} is alive, but has not traded or decided since"
        f" {moment(bot['last_activity_at'])}; usually {plain_text(bot['usual_gap_seconds'])}"
        " seconds lie between."
    )
    return words, bot["idle_base"].isoformat()


WORDS = {
    BotHealth.SILENT: silent_words,
    BotHealth.STALE: stale_words,
    BotHealth.IDLE: idle_words,
}
TITLES = {
    BotHealth.SILENT: "Silent",
    BotHealth.STALE: "Stale data",
    BotHealth.IDLE: "Alive but idle",
}
LEVELS = {
    BotHealth.SILENT: NotificationLevel.CRITICAL,
    BotHealth.STALE: NotificationLevel.WARNING,
    BotHealth.IDLE: NotificationLevel.WARNING,
}
