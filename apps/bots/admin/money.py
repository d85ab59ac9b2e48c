"""How money, sizes and marks look on the pages of lots, limits and paper portfolios."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.bots.services.prices import MAX_PRICE_AGE, NewestPrice, newest_prices
from apps.shared import display
from apps.shared.fields import plain_text

MINUS = "\u2212"
PLACES = 2
# Of less than one unit so many digits are told.
SMALL_DIGITS = 4
# Prices carry 38 digits; Python computes with 28 unless told otherwise.
WIDE = Context(prec=100, rounding=ROUND_HALF_EVEN)
NO_PRICE = "No candle of this symbol is stored."
# Older than that a mark says so beside itself.
OLD_MARK = timedelta(hours=1)


def money_words(value: Decimal, *, signed: bool = False) -> str:
    """Return an amount to two places, a small one to four digits, with a real minus sign.

    >>> [money_words(Decimal(each)) for each in ("1234.567", "-0.000123456", "0")]
    ['1,234.57', '−0.0001235', '0.00']
    >>> money_words(Decimal("89.9"), signed=True)
    '+89.90'
    """
    size = abs(value)
    places = PLACES
    if 0 < size < 1:
        places = max(PLACES, SMALL_DIGITS - 1 - size.adjusted())
    rounded = WIDE.quantize(size, Decimal(1).scaleb(-places))
    if rounded == 0:
        return f"{Decimal(0):.{PLACES}f}"
    sign = MINUS if value < 0 else "+" if signed else ""
    return f"{sign}{rounded:,.{places}f}"


def money(value: Decimal | None, reason: str = "", currency: str = "") -> SafeString:
    """Return an amount, all its digits on hover."""
    if value is None:
        return display.empty(reason, figure=True)
    return display.figure(money_words(value), exact(value, currency))


def signed_money(value: Decimal | None, reason: str = "", currency: str = "") -> SafeString:
    """Return a gain or loss, told apart by sign and color, all its digits on hover."""
    if value is None:
        return display.empty(reason, figure=True)
    words = money_words(value, signed=True)
    tone = {"+": "b-gain", MINUS: "b-loss"}.get(words[0], "")
    return format_html(
        '<span class="b-num {}" title="{}">{}</span>', tone, exact(value, currency), words
    )


def exact(value: Decimal, currency: str = "") -> str:
    return f"{plain_text(value)} {currency}".strip()


def size(value: Decimal | None, reason: str = "") -> SafeString:
    """Return a price or size by its significant digits, an endless one cut, whole on hover."""
    if value is None:
        return display.empty(reason, figure=True)
    whole = plain_text(value)
    if len(whole) <= 14:
        return display.price(value)
    digits = max(value.adjusted() + 1, 0) + 4 if abs(value) >= 1 else 6
    short = Context(prec=max(digits, 6), rounding=ROUND_HALF_EVEN).plus(value)
    return display.figure(f"{display.grouped(short)}…", whole)


# --- Marks --------------------------------------------------------------------------------


def marks_of(symbols: Iterable[str], *, now: datetime) -> dict[str, NewestPrice]:
    """Return the newest prices by symbol, by one statement."""
    return newest_prices(symbols, now=now)


def mark(found: NewestPrice | None, *, now: datetime) -> SafeString:
    """Return the newest price; one that is old says so."""
    old = now - found.known_at if found else OLD_MARK
    if found is None or old <= OLD_MARK:
        return price_of(found)
    told = f"{plain_text(found.price)}, known since {display.utc_words(found.known_at)}"
    tone = "b-warn" if old > MAX_PRICE_AGE else "b-quiet"
    return format_html(
        '<span class="b-num b-tip" title="{}">{} <span class="{}">{} old</span></span>',
        told,
        display.grouped(found.price),
        tone,
        display.span_words(old),
    )


def price_of(found: NewestPrice | None) -> SafeString:
    """Return the newest price alone, where its age is told beside it."""
    if found is None:
        return display.empty(NO_PRICE, figure=True)
    told = f"{plain_text(found.price)}, known since {display.utc_words(found.known_at)}"
    return display.figure(display.grouped(found.price), told)


def gain(held: Decimal, cost: Decimal | None, found: NewestPrice | None) -> Decimal | None:
    """Return what is gained on what is held at the newest price; None where one is unknown."""
    if not held:
        return Decimal(0)
    if cost is None or found is None:
        return None
    return WIDE.multiply(held, WIDE.subtract(found.price, cost))


def why_no_gain(cost: Decimal | None) -> str:
    return "What it cost is not known." if cost is None else NO_PRICE


# --- Links --------------------------------------------------------------------------------


def thing_url(model: str, pk: Any) -> str:
    """Return the address of the page of a thing of this app, by its key alone."""
    return reverse(f"admin:bots_{model}_change", args=[quote(pk)])


def bot_link(bot_id: str | None, reason: str = "It belongs to no bot.") -> SafeString:
    """Return the link to a bot by its name: the bot itself need not be read for that."""
    if not bot_id:
        return display.empty(reason)
    return display.link(thing_url("botinstance", bot_id), display.short_text(bot_id))
