"""How limits look: how near they are, what they measure, whom they hold."""

from decimal import Decimal
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.bots.admin import money
from apps.bots.choices import COLORS, Direction, LimitAction, LimitStatus, LimitType, TradeType
from apps.bots.domain.limits import PRICE_KINDS, fires_above
from apps.bots.models import TradingLimit
from apps.shared import display
from apps.shared.admin.figures import filled_bar, tone_of_use
from apps.shared.fields import plain_text

NEAR, REACHED = Decimal("0.8"), Decimal(1)
NOT_EVALUATED = "It has not been looked at yet."
NOT_FIRED = "It has not fired."
ACTION_TONES = {LimitAction.PAUSE: "warning", LimitAction.STOP: "danger"}


def usage_bar(limit: TradingLimit) -> SafeString:
    """Return how much of a limit is used up as a bar, its figure and a word; never color alone."""
    if limit.status == LimitStatus.TRIGGERED:
        return filled_bar(REACHED, "fired", "danger")
    if limit.usage is None:
        return display.empty(why_unused(limit))
    if limit.status == LimitStatus.CANCELLED:
        return filled_bar(limit.usage, "", "default")
    if limit.usage >= REACHED:
        return filled_bar(limit.usage, "reached", "danger")
    return filled_bar(limit.usage, "near" if limit.usage >= NEAR else "", tone_of_use(limit.usage))


def why_unused(limit: TradingLimit) -> str:
    if limit.evaluated_at is None:
        return NOT_EVALUATED
    if limit.limit_type in PRICE_KINDS:
        return "The way to its price cannot be told: no price is known, or it began there."
    return "What it measures is not known."


# --- Values -------------------------------------------------------------------------------


def unit(limit: TradingLimit) -> str:
    """Return in what a limit of the operator's counts."""
    if limit.limit_type == LimitType.MAX_DRAWDOWN:
        return "%"
    return "trades" if limit.limit_type == LimitType.MAX_TRADES_PER_HOUR else limit.currency


def amount_words(limit: TradingLimit, value: Decimal) -> str:
    """Return an amount as the kind of limit counts it."""
    if limit.limit_type in PRICE_KINDS:
        return display.grouped(value)
    if limit.limit_type == LimitType.MAX_TRADES_PER_HOUR:
        return f"{value:,.0f}"
    return money.money_words(value)


def bound_words(limit: TradingLimit) -> str:
    """Return where it fires.

    A price limit fires at its price and beyond, another at its threshold and beyond.
    """
    if limit.price is not None:
        side = "above" if fires_above(limit.limit_type, limit.direction) else "below"
        return f"{display.grouped(limit.price)} or {side}"
    assert limit.threshold is not None
    return f"{amount_words(limit, limit.threshold)} {unit(limit)}".strip()


def standing(limit: TradingLimit) -> SafeString:
    """Return the value as it was last looked at, against the one at which it fires."""
    if limit.current_value is None:
        now = display.empty(why_unused(limit), figure=True)
    else:
        exact = plain_text(limit.current_value)
        now = display.figure(amount_words(limit, limit.current_value), exact)
    if limit.price is None:
        between, bound = "of", bound_words(limit)
    else:
        between = "≥" if fires_above(limit.limit_type, limit.direction) else "≤"
        bound = display.grouped(limit.price)
    return format_html(
        '<span class="b-against" title="Fires at {}">{} <span class="b-quiet">{}</span> '
        '<span class="b-num">{}</span></span>',
        bound_words(limit),
        now,
        f"fires {between}" if limit.price is not None else between,
        bound,
    )


def fired(limit: TradingLimit) -> SafeString:
    """Return when a limit fired, and at what."""
    if limit.triggered_at is None:
        return display.empty(NOT_FIRED)
    value = limit.trigger_price if limit.price is not None else limit.triggered_value
    if value is None:
        return display.age(limit.triggered_at)
    what = amount_words(limit, value)
    if limit.price is None:
        what = f"{what} {unit(limit)}".strip()
    when = display.age(limit.triggered_at)
    return format_html('{} <span class="b-under-rate">at {}</span>', when, what)


# --- Whom it holds ------------------------------------------------------------------------


def scope_words(limit: TradingLimit) -> str:
    """Return whom a limit holds, in words: ``bot x · BTC/USD · live``."""
    words = [f"bot {limit.bot_id}" if limit.bot_id else "all bots"]
    words += [limit.symbol or "all symbols"]
    words += [f"lot {limit.lot_id}"] if limit.lot_id else []
    words += [str(TradeType(limit.type).label).lower()]
    if limit.price is not None and limit.direction == Direction.SHORT:
        words += ["short"]
    return " · ".join(words)


def scope(limit: TradingLimit) -> SafeString:
    """Return whom a limit holds, with links."""
    whole = scope_words(limit)
    parts = [display.short_text(word) for word in whole.split(" · ")]
    if limit.bot_id:
        parts[0] = format_html("bot {}", money.bot_link(limit.bot_id))
    if limit.lot_id:
        lot = display.short_text(limit.lot_id)
        parts[2] = format_html(
            "lot {}", display.link(money.thing_url("position", limit.lot_id), lot)
        )
    joined = parts[0]
    for part in parts[1:]:
        joined = format_html('{} <span class="b-quiet">·</span> {}', joined, part)
    return format_html('<span class="b-scope">{}</span>', joined)


def kind_words(limit: TradingLimit) -> str:
    return str(LimitType(limit.limit_type).label)


def told(limit: TradingLimit) -> str:
    """Return what a limit is in one line of text."""
    return f"{kind_words(limit)} at {bound_words(limit)}: {scope_words(limit)}"


def short_kind(limit: TradingLimit) -> str:
    """Return the kind without what goes without saying, for a list."""
    words = kind_words(limit).removeprefix("Maximum ")
    return words[:1].upper() + words[1:]


def action(limit: TradingLimit) -> SafeString:
    """Return what becomes of the bots when it fires."""
    chosen = LimitAction(limit.action)
    return display.badge(str(chosen.label), ACTION_TONES.get(chosen, "default"))


def short_action(limit: TradingLimit) -> SafeString:
    """Return what becomes of the bots in a word, for a list."""
    chosen = LimitAction(limit.action)
    word = "Tell" if chosen == LimitAction.NOTIFY else chosen.value.capitalize()
    return display.badge(word, ACTION_TONES.get(chosen, "default"), str(chosen.label))


def state(limit: TradingLimit) -> SafeString:
    status = LimitStatus(limit.status)
    return display.badge(str(status.label), COLORS.get(status, "default"))


def limit_line(limit: TradingLimit) -> dict[str, Any]:
    """Return one line of a table of limits."""
    link = display.link(money.thing_url("tradinglimit", limit.pk), kind_words(limit))
    return {
        "link": link,
        "scope": scope(limit),
        "bar": usage_bar(limit),
        "standing": standing(limit),
        "action": short_action(limit),
        "state": state(limit),
        "fired": fired(limit),
    }
