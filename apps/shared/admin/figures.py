"""How amounts, sizes, ratios and percent look: short to read, all their digits on hover."""

from decimal import ROUND_HALF_EVEN, Context, Decimal

from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.shared import display
from apps.shared.fields import plain_text

MINUS = "\u2212"
PLACES = 2
# Of less than one unit so many digits are told.
SMALL_DIGITS = 4
# Amounts within these bounds are told in plain digits.
FEWEST, MOST = Decimal(1).scaleb(-10), Decimal(10) ** 15
# Prices carry 38 digits; Python computes with 28 unless told otherwise.
WIDE = Context(prec=100, rounding=ROUND_HALF_EVEN)
# Beyond that digits are a wall: 1.2e+15 says as much.
LARGEST = 1_000_000_000


# --- Money and sizes ----------------------------------------------------------------------


def money_words(value: Decimal, *, signed: bool = False) -> str:
    """Return an amount to two places, a small one to four digits, with a real minus sign.

    >>> [money_words(Decimal(each)) for each in ("1234.567", "-0.000123456", "0")]
    ['1,234.57', '−0.0001235', '0.00']
    >>> money_words(Decimal("89.9"), signed=True)
    '+89.90'
    """
    # Unlike abs(), this does not round to 28 digits.
    size = value.copy_abs()
    places = PLACES
    if 0 < size < 1:
        places = max(PLACES, SMALL_DIGITS - 1 - size.adjusted())
    rounded = WIDE.quantize(size, Decimal(1).scaleb(-places))
    if rounded == 0:
        return f"{Decimal(0):.{PLACES}f}"
    sign = MINUS if value < 0 else "+" if signed else ""
    return f"{sign}{rounded:,.{places}f}"


def short_words(value: Decimal, *, signed: bool = False) -> str:
    """Return an amount as ``money_words``, but one whose digits are a wall by three of them.

    >>> short_words(Decimal("-99999999999999999999.5")), short_words(Decimal("1E-18"))
    ('−1.00e+20', '1.00e-18')
    """
    size = value.copy_abs()
    if size == 0 or FEWEST <= size < MOST:
        return money_words(value, signed=signed)
    sign = MINUS if value < 0 else "+" if signed else ""
    return f"{sign}{size:.2e}"


def money(value: Decimal | None, reason: str = "", currency: str = "") -> SafeString:
    """Return an amount, all its digits on hover."""
    if value is None:
        return display.empty(reason, figure=True)
    return display.figure(short_words(value), exact(value, currency))


def signed_money(value: Decimal | None, reason: str = "", currency: str = "") -> SafeString:
    """Return a gain or loss, told apart by sign and color, all its digits on hover."""
    if value is None:
        return display.empty(reason, figure=True)
    words = short_words(value, signed=True)
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
    digits = max(value.adjusted() + 1, 0) + 4 if value.copy_abs() >= 1 else 6
    short = Context(prec=max(digits, 6), rounding=ROUND_HALF_EVEN).plus(value)
    return display.figure(f"{display.grouped(short)}…", whole)


def with_unit(shown: SafeString, currency: str) -> SafeString:
    """Return an amount with its currency beside it, where it stands alone."""
    return format_html('<span class="b-num">{}{}</span>', shown, unit(currency))


def unit(currency: str) -> SafeString | str:
    if not currency:
        return ""
    return format_html(' <span class="b-quiet">{}</span>', display.visible(currency))


# --- Ratios and percent -------------------------------------------------------------------


def ratio(value: float | None, reason: str = "") -> SafeString:
    """Return a ratio to two places, the whole number on hover."""
    if value is None:
        return display.empty(reason, figure=True)
    if abs(value) >= LARGEST:
        return display.figure(f"{value:.3g}", repr(value))
    words = f"{abs(value):,.2f}"
    return display.figure(f"{MINUS if value < 0 and words != '0.00' else ''}{words}", repr(value))


def percent(value: float | None, reason: str = "") -> SafeString:
    """Return percent to one place, the whole number on hover."""
    if value is None:
        return display.empty(reason, figure=True)
    words = f"{abs(value):.3g}" if abs(value) >= LARGEST else f"{abs(value):,.1f}"
    sign = MINUS if value < 0 and words != "0.0" else ""
    return display.figure(f"{sign}{words} %", f"{value!r} %")


def signed_percent(value: float | None, reason: str = "") -> SafeString:
    """Return a return in percent, gain and loss told apart."""
    if value is None:
        return display.empty(reason, figure=True)
    tone = "b-gain" if value > 0 else "b-loss" if value < 0 else ""
    sign = "+" if value > 0 else MINUS if value < 0 else ""
    words = f"{abs(value):.3g}" if abs(value) >= LARGEST else f"{abs(value):,.2f}"
    return format_html(
        '<span class="b-num {}" title="{} %">{}{} %</span>', tone, repr(value), sign, words
    )


# --- Shares that are used up --------------------------------------------------------------


def tone_of_use(share: Decimal) -> str:
    """Return the tone of a share that is used up: a warning from 80 %, danger from 100 %."""
    if share >= 1:
        return "danger"
    return "warning" if share >= Decimal("0.8") else "info"


def filled_bar(share: Decimal, word: str, tone: str, words: str | None = None) -> SafeString:
    """Return a bar from 0 to 100 %, with its figure and a word; never color alone."""
    if words is None:
        words = display.pct_words(share * 100, signed=False, places=0)
    return format_html(
        '<span class="b-progress b-usage b-{}"><progress max="100" value="{}">{}</progress>'
        '<span class="b-num">{}</span>{}</span>',
        tone,
        f"{min(share * 100, Decimal(100)):.1f}",
        words,
        words,
        format_html(' <span class="b-word">{}</span>', word) if word else "",
    )
