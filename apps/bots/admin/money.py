"""How money, sizes and marks look on the pages of lots, limits and paper portfolios."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.market.services.prices import MAX_PRICE_AGE, NewestPrice, newest_prices
from apps.shared import display
from apps.shared.admin.figures import MINUS, WIDE, money, money_words, signed_money, size
from apps.shared.fields import plain_text

__all__ = [
    "MINUS", "NO_PRICE", "WIDE", "bot_link", "gain", "mark", "marks_of", "money", "money_words",
    "price_of", "signed_money", "size", "thing_url", "why_no_gain",
]  # fmt: skip

NO_PRICE = "No candle of this symbol is stored."
# Older than that a mark says so beside itself.
OLD_MARK = timedelta(hours=1)


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
