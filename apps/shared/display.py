"""How values look on admin pages: ages, prices, percentages, badges, and what is not known."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.shared.fields import WIDE, ExactDecimal, Ratio, plain_text

EMPTY = "—"
TONES = {"success", "danger", "warning", "info", "default"}
# Longer texts are cut in a list; the page of the thing shows them whole.
LIST_TEXT_LIMIT = 60
# What a list reads of a long text, which is also what it shows on hover.
READ_TEXT_LIMIT = 1_000

# Characters that are not seen but change what is seen: controls, turned direction, no width.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u2069\u3164\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)

Show = Callable[[Any, str], SafeString]


def empty(reason: str = "", *, figure: bool = False) -> SafeString:
    """Return the sign of what is not known, with the reason for those who hover or listen.

    ``figure``: it stands in a column of digits.
    """
    kind = "b-empty b-num" if figure else "b-empty"
    if not reason:
        return format_html('<span class="{}">{}</span>', kind, EMPTY)
    told = visible(reason)
    return format_html(
        '<span class="{}" title="{}">{}<span class="b-sr">{}</span></span>',
        kind,
        told,
        EMPTY,
        told,
    )


def span_words(span: timedelta) -> str:
    """Return a span in its one or two leading units.

    >>> span_words(timedelta(minutes=4, seconds=10)), span_words(timedelta(days=2, hours=5))
    ('4 min', '2 d 5 h')
    """
    seconds = int(abs(span).total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 60:
        return f"{minutes} min"
    if hours < 24:
        rest = minutes % 60
        return f"{hours} h {rest} min" if hours < 6 and rest else f"{hours} h"
    if days < 7 and hours % 24:
        return f"{days} d {hours % 24} h"
    return f"{days:,} d"


def utc_words(moment: datetime) -> str:
    """Return the exact time as every machine here names it."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def age(moment: datetime | None, reason: str = "", *, now: datetime | None = None) -> SafeString:
    """Return "4 min ago"; the browser keeps it true and puts the exact times on hover."""
    if moment is None:
        return empty(reason)
    span = (now or timezone.now()) - moment
    words = span_words(span)
    return format_html(
        '<time class="b-num" datetime="{}" title="{}" data-age>{}</time>',
        moment.astimezone(UTC).isoformat(),
        utc_words(moment),
        f"{words} ago" if span >= timedelta(0) else f"in {words}",
    )


def moment(value: datetime | None, reason: str = "") -> SafeString:
    """Return the time itself; the browser shows it in the viewer's zone, UTC on hover."""
    if value is None:
        return empty(reason)
    return format_html(
        '<time class="b-num" datetime="{}" title="{}" data-local>{}</time>',
        value.astimezone(UTC).isoformat(),
        utc_words(value),
        f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
    )


def exact_moment(value: datetime | None, reason: str = "") -> SafeString:
    """Return the time to the millisecond, for what is read in the order it happened."""
    if value is None:
        return empty(reason)
    return format_html(
        '<time class="b-num" datetime="{}" title="{}" data-local="exact">{}</time>',
        value.astimezone(UTC).isoformat(),
        utc_words(value),
        f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}.{value.microsecond // 1000:03} UTC",
    )


def grouped(value: Decimal) -> str:
    """Return plain digits with thousands apart, without padding zeros.

    >>> grouped(Decimal("19345.490000")), grouped(Decimal("0.000000061200"))
    ('19,345.49', '0.0000000612')
    """
    whole, _, places = plain_text(value).partition(".")
    sign = "-" if whole.startswith("-") else ""
    whole = f"{sign}{int(whole.lstrip('-')):,}"
    return f"{whole}.{places}" if places else whole


def price(value: Decimal | None, reason: str = "") -> SafeString:
    """Return a price or size by its significant digits."""
    if value is None:
        return empty(reason, figure=True)
    return format_html('<span class="b-num">{}</span>', grouped(value))


def pct_words(value: Decimal, *, signed: bool = True, places: int = 2) -> str:
    """Return percent with a real minus sign, so that digits stand in columns."""
    # In Python's usual context a number of more than 28 digits cannot be rounded at all.
    rounded = value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN, context=WIDE)
    bare = rounded.copy_abs()
    if rounded == 0:
        return f"{bare:.{places}f} %"
    sign = "\u2212" if rounded < 0 else ("+" if signed else "")
    return f"{sign}{bare:,.{places}f} %"


def signed_pct(value: Decimal | None, reason: str = "") -> SafeString:
    """Return a change in percent, gains and losses told apart by sign and color."""
    if value is None:
        return empty(reason, figure=True)
    words = pct_words(value)
    tone = {"+": "b-gain", "\u2212": "b-loss"}.get(words[0], "")
    return format_html(
        '<span class="b-num {}" title="{} %">{}</span>',
        tone,
        plain_text(value),
        words,
    )


def share(value: Decimal | None, reason: str = "") -> SafeString:
    """Return a probability or share, 0 to 1, as percent with all its digits."""
    if value is None:
        return empty(reason, figure=True)
    return figure(f"{grouped(value * 100)} %")


def times(value: Decimal | None, reason: str = "") -> SafeString:
    """Return a multiple, such as leverage."""
    if value is None:
        return empty(reason, figure=True)
    return figure(f"{grouped(value)}\u00d7")


def figure(words: str, title: str = "") -> SafeString:
    """Return a figure already put into words, its digits in columns."""
    if title:
        return format_html('<span class="b-num b-tip" title="{}">{}</span>', title, words)
    return format_html('<span class="b-num">{}</span>', words)


def badge(text: str, tone: str = "default", title: str = "") -> SafeString:
    """Return a state in its color; ``tone`` is one of ``TONES``."""
    if tone not in TONES:
        raise ValueError(f"A badge has no tone {tone!r}.")
    if title:
        return format_html('<span class="b-badge b-{}" title="{}">{}</span>', tone, title, text)
    return format_html('<span class="b-badge b-{}">{}</span>', tone, text)


def yes_no(value: bool | None, reason: str = "") -> SafeString:
    """Return a flag as a word; color alone says nothing to many."""
    if value is None:
        return empty(reason)
    return badge("Yes", "success") if value else badge("No", "default")


def visible(text: str) -> str:
    r"""Return foreign text so that all of it is seen and none of it acts; lines and tabs stay.

    >>> visible("\x1b[31mlate\x7f"), visible("a\u202eb")
    ('␛[31mlate␡', 'a⟦U+202E⟧b')
    """
    return _UNSEEN.sub(_picture, text) if _UNSEEN.search(text) else text


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return f"\\x{code:02x}" if code < 0xA0 else f"⟦U+{code:04X}⟧"


def raw_json(value: Any, reason: str = "") -> SafeString:
    """Return foreign JSON as indented text, never as markup."""
    if value in (None, {}, [], ""):
        return empty(reason or "Nothing was sent.")
    return block(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def block(value: Any, reason: str = "") -> SafeString:
    """Return foreign text of many lines, as it stands."""
    if value in (None, ""):
        return empty(reason)
    # A browser drops a line break that a block begins with.
    return format_html('<pre class="b-raw">\n{}</pre>', visible(str(value)))


def folded(summary: str, value: Any, reason: str = "") -> SafeString:
    """Return a block that opens at its summary."""
    if value in (None, ""):
        return empty(reason)
    return format_html(
        '<details class="b-fold"><summary>{}</summary>{}</details>', visible(summary), block(value)
    )


def text(value: Any, reason: str = "") -> SafeString:
    """Return foreign text as text."""
    return format_html("{}", visible(str(value))) if value not in (None, "") else empty(reason)


def short_text(value: Any, reason: str = "") -> SafeString:
    """Return foreign text, cut for a list, more of it on hover."""
    words = "" if value is None else str(value)
    if len(words) <= LIST_TEXT_LIMIT:
        return text(words, reason)
    shown, cut = visible(words[:READ_TEXT_LIMIT]), visible(words[: LIST_TEXT_LIMIT - 1])
    return format_html('<span class="b-cut" title="{}">{}…</span>', shown, cut)


def link(url: str, words: str) -> SafeString:
    """Return a link to the page of another thing."""
    return format_html('<a class="b-link" href="{}">{}</a>', url, words)


def milliseconds(value: Decimal | None, reason: str = "") -> SafeString:
    """Return a duration, whole on hover."""
    if value is None:
        return empty(reason, figure=True)
    return figure(duration_words(value), f"{plain_text(value)} ms")


def duration_words(value: Decimal) -> str:
    """Return milliseconds in the unit that fits, to about three digits.

    >>> [duration_words(Decimal(ms)) for ms in ("0.0312", "12.5", "950.2", "61250", "3600000")]
    ['0.031 ms', '12.5 ms', '950 ms', '61.3 s', '60.0 min']
    """
    number, unit = value, "ms"
    if value >= 600_000:
        number, unit = value / 60_000, "min"
    elif value >= 1_000:
        number, unit = value / 1_000, "s"
    places = 3 if number < 1 else 2 if number < 10 else 1 if number < 100 or unit == "min" else 0
    rounded = number.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    return f"{rounded:,} {unit}"


def sparkline(values: Sequence[int], summary: str, titles: Sequence[str] = ()) -> SafeString:
    """Return counts as a row of small bars; ``titles`` are said on hover over each."""
    most = max(values, default=0) or 1
    # Whatever happened at all is to be seen.
    heights = [max(round(value / most * 20), 2) if value else 0 for value in values]
    bars = (
        (place * 5, 20 - height, height, title)
        for place, (height, title) in enumerate(
            zip(heights, [*titles, *[""] * (len(values) - len(titles))], strict=True)
        )
    )
    return format_html(
        '<svg class="b-spark" viewBox="0 0 {} 21" role="img" aria-label="{}" '
        'preserveAspectRatio="none"><title>{}</title>{}<rect class="b-floor" y="20" width="100%" '
        'height="1"/></svg>',
        len(values) * 5,
        summary,
        summary,
        format_html_join(
            "", '<rect x="{}" y="{}" width="4" height="{}"><title>{}</title></rect>', bars
        ),
    )


def number(value: float | None, reason: str = "") -> SafeString:
    """Return a count or measure with thousands apart."""
    if value is None:
        return empty(reason, figure=True)
    return format_html('<span class="b-num">{}</span>', f"{value:,}")


def choice(field: models.Field, colors: Mapping[Any, str]) -> Show:
    """Return the display of a closed vocabulary: a badge where it has colors, else its label."""
    labels = dict(field.flatchoices)

    def show(value: Any, reason: str = "") -> SafeString:
        if value in (None, ""):
            return empty(reason)
        label = str(labels.get(value, value))
        return badge(label, colors[value]) if value in colors else text(label)

    return show


def for_field(
    field: models.Field, *, colors: Mapping[Any, str], signed: bool, listed: bool
) -> Show | None:
    """Return how values of ``field`` are shown; ``None`` where Django's own way will do.

    ``listed``: for a row of a list, where times are ages and texts are cut.
    """
    # What the database computes is shown as what comes of it.
    field = getattr(field, "output_field", field)
    if field.choices:
        return choice(field, colors)
    if isinstance(field, models.DateTimeField):
        return age if listed else moment
    if isinstance(field, ExactDecimal):
        return signed_pct if signed and isinstance(field, Ratio) else price
    if isinstance(field, models.BooleanField):
        return yes_no
    if isinstance(field, models.JSONField):
        return None if listed else raw_json
    if isinstance(field, (models.IntegerField, models.FloatField)) and not field.primary_key:
        return number
    if isinstance(field, (models.CharField, models.TextField)):
        return short_text if listed else text
    return None


def for_export(value: Any) -> Any:
    """Return a value as a cell of a spreadsheet: times in UTC, decimals exact, the rest text."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if value is None or isinstance(value, (bool, int, float, Decimal)):
        return value
    if isinstance(value, (dict, list)):
        return visible(json.dumps(value, ensure_ascii=False, default=str))
    return visible(str(value))
