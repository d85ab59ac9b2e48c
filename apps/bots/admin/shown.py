"""How bots, trades and orders look: their states, their money, their durations."""

import json
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db.models import Model, TextChoices
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.bots.choices import (
    COLORS,
    BotHealth,
    BotStatus,
    DesiredState,
    Direction,
    OrderStatus,
    Side,
    TradeStatus,
    TradeType,
)
from apps.bots.models import BotInstance, Order, Trade
from apps.bots.models.instances import AT_WORK
from apps.shared import display
from apps.shared.admin.figures import percent as percent
from apps.shared.admin.figures import ratio as ratio
from apps.shared.admin.figures import signed_money
from apps.shared.admin.figures import signed_percent as signed_percent
from apps.shared.admin.figures import unit as unit
from apps.shared.admin.figures import with_unit as with_unit
from apps.shared.fields import plain_text

# The first part of a UUID or of a hash tells apart those that stand on one page.
BEGINNING = 8
NOT_CLOSED = "It is not closed."
NOT_TOLD = "The bot has not told."
TENTH = Decimal("0.1")


def paid(value: Decimal | None, reason: str = "", currency: str = "") -> SafeString:
    """Return fees as what they take away; one that was refunded adds."""
    return signed_money(None if value is None else -value, reason, currency)


def badge(kind: type[TextChoices], value: str, why: str = "") -> SafeString:
    """Return a state in its color."""
    found = kind(value)
    return display.badge(str(found.label), COLORS.get(found, "default"), why)


def trade_type(value: str) -> SafeString:
    return badge(TradeType, value)


def direction(value: str) -> SafeString:
    return badge(Direction, value)


def trade_status(value: str) -> SafeString:
    return badge(TradeStatus, value)


def order_status(value: str) -> SafeString:
    return badge(OrderStatus, value)


def side(value: str) -> SafeString:
    return badge(Side, value)


def bot_status(bot: BotInstance) -> SafeString:
    """Return what a bot says of itself."""
    return badge(BotStatus, bot.status, "What it says of itself.")


HEALTH = {
    BotHealth.OK: "It is heard of, and its data are fresh.",
    BotHealth.SILENT: "It was not heard of for three of its heartbeats.",
    BotHealth.STALE: "It is heard of, but its last candle is old.",
    BotHealth.IDLE: "It is heard of, but does nothing for much longer than it usually does.",
}


def bot_health(bot: BotInstance) -> SafeString:
    """Return how a bot looks from outside; who is not at work is not looked after."""
    if bot.status not in AT_WORK:
        return display.empty("It is not at work, so nobody waits for its heartbeats.")
    if bot.last_heartbeat is None and bot.health == BotHealth.OK:
        return display.empty("It has never been heard of.")
    return badge(BotHealth, bot.health, HEALTH[BotHealth(bot.health)])


def wish(bot: BotInstance) -> SafeString:
    """Return what staff want of a bot, and how far that has come."""
    if not bot.instruction:
        return display.empty("Nobody has asked anything of it: it runs as it likes.")
    words = "asked"
    if bot.acknowledged_at:
        words = "acknowledged"
    elif bot.delivered_at:
        words = "delivered"
    why = " ".join(each for each in (bot.desired_by, bot.desired_reason) if each)
    shown = badge(DesiredState, bot.desired_state, display.visible(why))
    return format_html('{} <span class="b-quiet">{}</span>', shown, words)


# --- Links --------------------------------------------------------------------------------


def page_of(model: type[Model], key: Any) -> str:
    """Return the address of the page of a thing, however odd its key; "" where it has none."""
    if model not in admin.site._registry:
        return ""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
    return reverse(name, args=[quote(key)])


def list_of(model: type[Model]) -> str:
    """Return the address of the list of a model; "" where it has none."""
    if model not in admin.site._registry:
        return ""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def link(model: type[Model], key: Any, words: Any) -> SafeString:
    """Return a link to a thing, its words alone where it has no page."""
    url, text = page_of(model, key), display.short_text(words)
    return display.link(url, text) if url else text


def bot_listed(bot_id: str | None) -> SafeString:
    """Return the link to a bot where a list has little room for its name."""
    if not bot_id:
        return display.empty("It belongs to no bot.")
    return display.link(page_of(BotInstance, bot_id), middle_cut(bot_id))


def trade_link(trade_id: Any, reason: str = "It belongs to no trade.") -> SafeString:
    """Return a link to a trade by the beginning of its id."""
    if trade_id is None:
        return display.empty(reason)
    words = format_html('<span title="{}">{}</span>', trade_id, str(trade_id)[:BEGINNING])
    return display.link(page_of(Trade, trade_id), words)


# --- Times --------------------------------------------------------------------------------


def span(length: timedelta) -> str:
    """Return a duration, to the second where that says something.

    >>> [span(timedelta(seconds=each)) for each in (0.25, 75, 7_380)]
    ['0.25 s', '1 min 15 s', '2 h 3 min']
    """
    seconds = length / timedelta(seconds=1)
    if 0 < seconds < 1:
        return f"{seconds:.2f} s"
    if 60 <= seconds < 600 and int(seconds) % 60:
        return f"{int(seconds) // 60} min {int(seconds) % 60:02} s"
    return display.span_words(length)


def seconds(value: Decimal | int | None, reason: str = "") -> SafeString:
    """Return a number of seconds in the unit that fits."""
    if value is None:
        return display.empty(reason, figure=True)
    return display.figure(span(timedelta(seconds=float(value))), f"{value} s")


def held(trade: Trade, now: datetime) -> SafeString:
    """Return how long a trade was held, or has been so far."""
    if trade.entry_time is None:
        return display.empty("When it was entered is not known.", figure=True)
    if trade.exit_time is not None:
        return display.figure(span(trade.exit_time - trade.entry_time))
    if trade.status != TradeStatus.OPEN:
        return display.empty("It came to nothing.", figure=True)
    return display.age(trade.entry_time, now=now)


def digest(value: str, reason: str) -> SafeString:
    """Return the beginning of a hash, all of it on hover."""
    if not value:
        return display.empty(reason)
    whole = display.visible(value)
    return format_html('<code title="{}">{}</code>', whole, display.visible(value[:12]))


def document(value: Any) -> SafeString:
    """Return any JSON as indented text, never as markup."""
    return display.block(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def trade_state(trade: Trade) -> SafeString:
    """Return how a trade stands, and whether it is a part, or was closed in parts."""
    shown = trade_status(trade.status)
    if trade.is_partial_exit:
        return format_html('{} <span class="b-quiet">part {}</span>', shown,
                           trade.partial_exit_sequence)  # fmt: skip
    if trade.partial_exits:
        parts = "1 part" if trade.partial_exits == 1 else f"{trade.partial_exits:,} parts"
        return format_html('{} <span class="b-quiet">{}</span>', shown, parts)
    return shown


# --- Orders -------------------------------------------------------------------------------

# Ids that programs make end in what tells them apart.
LONGEST_ID, START_OF_ID, END_OF_ID = 24, 10, 10


def middle_cut(name: str) -> SafeString:
    """Return an id, a long one without its middle."""
    if len(name) <= LONGEST_ID:
        return display.text(name)
    whole, first, last = (
        display.visible(each) for each in (name, name[:START_OF_ID], name[-END_OF_ID:])
    )
    return format_html('<span title="{}">{}…{}</span>', whole, first, last)


def order_link(order: Order) -> SafeString:
    return display.link(page_of(Order, order.pk), middle_cut(order.order_id))


def filled(order: Order) -> SafeString:
    """Return how much of an order is filled, as percent, the sizes on hover."""
    percent_filled = order.filled_quantity / order.quantity * 100
    if order.filled_quantity < order.quantity:
        # Nearly all is not all.
        percent_filled = percent_filled.quantize(TENTH, rounding=ROUND_DOWN)
    whole = f"{plain_text(order.filled_quantity)} of {plain_text(order.quantity)}"
    places = 0 if percent_filled == percent_filled.to_integral() else 1
    return display.figure(display.pct_words(percent_filled, signed=False, places=places), whole)
