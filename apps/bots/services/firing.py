"""Limits that fire: all active ones measured at once, each fired at most once.

One statement per kind (``services/measuring``) locks the active limits that nobody else is just
looking at, measures them, writes what was measured, and turns those that are reached to
*triggered*. The notification and the wish for the bots stand in the same transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pglock
from django.contrib.admin.utils import quote
from django.db import connection, transaction
from django.db.models import QuerySet

from apps.bots.choices import DesiredState, LimitAction, LimitType
from apps.bots.domain.limits import MONEY_KINDS, PRICE_KINDS
from apps.bots.models import BotInstance, Trade, TradingLimit
from apps.bots.services.measuring import STATEMENTS, parameters
from apps.bots.services.wishes import wish
from apps.logs.choices import NotificationLevel
from apps.logs.services.events import record_trading_events
from apps.logs.services.notifications import notify
from apps.shared.fields import plain_text

# --- Looking ------------------------------------------------------------------------------


def evaluate_limits(*, now: datetime) -> int:
    """Look once at all active limits; return how many fired.

    May run several times at once: a limit fires once, tells staff once, and asks once of its
    bots. Costs one read of a small index when nothing is active.
    """
    kinds = set(TradingLimit.objects.active().values_list("limit_type", flat=True).distinct())
    return sum(
        fire(statement, sorted(wanted & kinds), now=now)
        for wanted, statement in STATEMENTS
        if wanted & kinds
    )


@transaction.atomic
def fire(statement: str, kinds: Sequence[str], *, now: datetime) -> int:
    """Measure the active limits of these kinds, and fire those that are reached."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters(kinds, now=now))
        ids = [limit_id for (limit_id,) in cursor.fetchall()]
    if not ids:
        return 0
    # Two that fire at once might want the same bots, in an order of their own.
    pglock.advisory("bots.limits.fired", xact=True).acquire()
    fired = list(TradingLimit.objects.filter(pk__in=ids).order_by("pk"))
    for limit in fired:
        tell(limit, asked=ask(limit, now=now), now=now)
    record_trading_events([event(limit) for limit in fired])
    return len(fired)


def ask(limit: TradingLimit, *, now: datetime) -> int:
    """Wish what a limit that fired asks of the bots it holds; return how many it is new to.

    A bot that is to stop is left so.
    """
    if limit.action == LimitAction.NOTIFY:
        return 0
    rows = held_bots(limit)
    if limit.action == LimitAction.PAUSE:
        rows, state = rows.filter(desired_state=DesiredState.RUN), DesiredState.PAUSE
    else:
        rows, state = rows.exclude(desired_state=DesiredState.STOP), DesiredState.STOP
    # Locked here, so that a stop that staff wish this very moment is seen and not weakened.
    locked = rows.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True)
    bots = BotInstance.objects.filter(pk__in=list(locked))
    return wish(bots, state=state, by=f"limit {limit.pk}", reason=reason(limit), now=now)


def held_bots(limit: TradingLimit) -> QuerySet[BotInstance]:
    """Return the bots a limit holds: its own, or all of its type.

    With a symbol those that have an open trade on it; an amount of money holds those that trade
    in its currency, or do not say in which.
    """
    if limit.bot_id is not None:
        return BotInstance.objects.filter(pk=limit.bot_id)
    rows = BotInstance.objects.filter(type=limit.type)
    if limit.limit_type in MONEY_KINDS:
        rows = rows.filter(quote_currency__in=[limit.currency, ""])
    if limit.symbol:
        trades = Trade.objects.open().of_type(limit.type).filter(symbol=limit.symbol)
        rows = rows.filter(pk__in=trades.values("bot_id"))
    return rows


# --- Telling ------------------------------------------------------------------------------

UNITS = {LimitType.MAX_DRAWDOWN: " %", LimitType.MAX_TRADES_PER_HOUR: " trades"}


def tell(limit: TradingLimit, *, asked: int, now: datetime) -> None:
    """Tell staff of a limit that fired, in the transaction in which it did."""
    # Ids may be as long as a whole key.
    name = hashlib.sha256(limit.pk.encode()).hexdigest()
    sentences = [reason(limit)]
    if asked:
        bots = "1 bot is" if asked == 1 else f"{asked} bots are"
        sentences.append(f"{bots} told to {limit.action}.")
    notify(
        what="limit_triggered",
        level=level(limit.limit_type),
        subject=f"{limit.get_limit_type_display()} reached: {about(limit)}",
        message=" ".join(sentences),
        link=f"/admin/bots/tradinglimit/{quote(limit.pk)}/change/",
        dedupe_key=f"limit_triggered:{name}",
        now=now,
    )


def level(limit_type: str) -> NotificationLevel:
    """Return how loudly a kind is told: profits are news, the operator's own limits are grave."""
    if limit_type == LimitType.TAKE_PROFIT:
        return NotificationLevel.INFO
    if limit_type == LimitType.STOP_LOSS:
        return NotificationLevel.WARNING
    return NotificationLevel.CRITICAL


def about(limit: TradingLimit) -> str:
    """Return what a limit holds, in a few words."""
    held = [str(word) for word in (limit.bot_id, limit.symbol, limit.lot_id) if word]
    return f"{', '.join(held) or 'all bots'} ({limit.type})"


def reason(limit: TradingLimit) -> str:
    """Return why a limit fired, in a sentence."""
    kind = limit.get_limit_type_display()
    if limit.limit_type in PRICE_KINDS:
        at = f"{limit.triggered_at:%Y-%m-%d %H:%M} UTC"
        return f"{kind} {text(limit.price)} was reached at {text(limit.trigger_price)}, {at}."
    unit = UNITS.get(LimitType(limit.limit_type), f" {limit.currency}")
    return f"{kind} {text(limit.threshold)}{unit} was reached: {text(limit.triggered_value)}{unit}."


def text(value: Any) -> str:
    return "?" if value is None else plain_text(value)


def event(limit: TradingLimit) -> dict[str, Any]:
    """Return what the logs say of a limit that fired."""
    return {
        "event_type": "limit_triggered",
        "symbol": limit.symbol,
        "price": limit.trigger_price,
        "limit": limit.pk,
        "limit_type": limit.limit_type,
        "bot": limit.bot_id or "",
        "value": text(limit.triggered_value),
    }
