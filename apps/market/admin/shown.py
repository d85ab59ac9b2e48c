"""How features, coverage and sizes look, and links between the pages of the market."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib.admin.utils import quote
from django.db.models import Model
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from apps.market.domain.candles import known_at
from apps.shared import display
from apps.shared.admin.figures import filled_bar

# Features are told by so many digits; the whole number stands on hover.
DIGITS, WALL = 6, 1e15
# What is nearly whole, and what is half: shares from there on are shown without alarm.
GOOD, FAIR = 0.95, 0.5
MINUS = "\u2212"


def feature(value: float | str | None, reason: str = "") -> SafeString:
    """Return a feature by its leading digits, the whole number on hover."""
    if value is None or isinstance(value, str):
        return display.text(value, reason)
    if isinstance(value, int):
        return display.figure(f"{value}")
    # Above that the digits are all before the point; a wall of them is no figure any more.
    whole = 10**DIGITS <= abs(value) < WALL
    words = f"{abs(value):,.0f}" if whole else f"{abs(value):,.{DIGITS}g}"
    return display.figure(f"{MINUS if value < 0 else ''}{words}", repr(value))


def coverage(share: float | None, reason: str = "") -> SafeString:
    """Return a share between 0 and 1 as a bar with its figure."""
    if share is None:
        return display.empty(reason, figure=True)
    tone = "info" if share >= GOOD else "warning" if share >= FAIR else "danger"
    return filled_bar(Decimal(repr(share)), "", tone, words=share_words(share))


def known_share(part: int, whole: int) -> SafeString:
    """Return of how many values something is known, standing out where it is not of all."""
    share = share_of(part, whole)
    if share is None:
        return display.empty("There is nothing that it could be known of.", figure=True)
    tone = "b-quiet" if share >= 1 else "b-warn"
    words = share_words(share)
    return format_html(
        '<span class="b-num {}" title="{} of {}">{}</span>', tone, part, whole, words
    )


def share_words(share: float) -> str:
    """Return a share in percent that says 100 and 0 only where it is so.

    >>> share_words(1.0), share_words(0.99996), share_words(0.00001), share_words(0.5)
    ('100 %', '99.9 %', '0.1 %', '50 %')
    """
    percent = share * 100
    if 0 < percent < 0.1 or 99.9 < percent < 100:
        percent = 0.1 if percent < 50 else 99.9
    return f"{percent:.1f}".removesuffix(".0") + " %"


def share_of(part: int, whole: int) -> float | None:
    """Return a share between 0 and 1; None of nothing."""
    return min(max(part / whole, 0.0), 1.0) if whole else None


def size(value: int | None, reason: str = "") -> SafeString:
    """Return bytes in words, exactly on hover."""
    if value is None:
        return display.empty(reason, figure=True)
    return display.figure(filesizeformat(value), f"{value:,} bytes")


def granularities(value: Any, reason: str = "") -> SafeString:
    """Return a stored list of granularities as words."""
    words = ", ".join(map(str, value)) if isinstance(value, Sequence) else ""
    return display.text(words, reason)


def ended(start: datetime | None, granularity: str, reason: str = "") -> SafeString:
    """Return how long ago the candle that began then ended."""
    return display.age(start and known_at(start, granularity), reason)


def address(model: type[Model], action: str, *args: Any, **query: Any) -> str:
    """Return the address of a page of the admin: ``address(Candle, "changelist", symbol=…)``."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{action}"
    url = reverse(name, args=[quote(str(each)) for each in args])
    return f"{url}?{urlencode(query)}" if query else url


def rate(part: int, whole: int) -> SafeString:
    """Return a share in percent, with what it is of on hover."""
    share = share_of(part, whole)
    if share is None:
        return display.empty("Nothing was asked for.", figure=True)
    return display.figure(share_words(share), f"{part:,} of {whole:,}")


def seconds_words(value: int) -> str:
    """Return seconds in the largest unit that says them exactly, else in leading units.

    >>> [seconds_words(each) for each in (45, 300, 3600, 86400, 90)]
    ['45 s', '5 min', '1 h', '1 d', '90 s']
    """
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if value and value % length == 0:
            return f"{value // length:,} {unit}"
    return f"{value:,} s"
