"""How a claim about a price is judged: the pure rules, and the reference for the SQL of them.

Prices are ``Decimal``, moments are aware ``datetime``, widths are ``timedelta``. A candle starts
at ``start`` and is *known* at its end, ``start + width``; nothing known later than the moment
asked is ever used. Undefined is ``None``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from enum import StrEnum
from typing import NamedTuple

LONG, SHORT = 1, -1

LEAST_TOLERANCE = timedelta(minutes=10)
CHANGE_PLACES = Decimal("0.00000001")
# Changes from here on are undefined: the column has 12 digits before the point.
CHANGE_LIMIT = Decimal(10) ** 11
# Enough to tell a tie from its neighbors: prices carry 38 digits each.
EXACT = 160


class Bar(NamedTuple):
    """One candle, as far as judging needs it."""

    start: datetime
    high: Decimal
    low: Decimal
    close: Decimal


class QuoteState(StrEnum):
    KNOWN = "known"
    MISSING = "missing"
    WAITS = "waits"


class Quote(NamedTuple):
    """The price at a moment; ``price`` and ``start`` (of its candle) only when known."""

    state: QuoteState
    price: Decimal | None = None
    start: datetime | None = None


class TouchKind(StrEnum):
    TARGET = "target"
    STOP = "stop"
    AMBIGUOUS = "ambiguous"
    NONE = "none"


class Touch(NamedTuple):
    """Which of target and stop came first, and the start of the candle that touched."""

    kind: TouchKind
    start: datetime | None = None


class Excursions(NamedTuple):
    """Best and worst change inside the window, in percent."""

    max_gain: Decimal | None
    max_loss: Decimal | None


@dataclass(frozen=True, slots=True)
class Claim:
    """What was claimed: at ``moment``, this ``direction`` (+1 long, −1 short)."""

    moment: datetime
    direction: int
    entry: Decimal | None = None
    target: Decimal | None = None
    stop: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a claim.

    ``entry_state`` is *known* for a claim with its own entry; ``changes`` hold the known
    checkpoints by hours; ``candles`` counts those inside the window.
    """

    settled: bool
    entry: Decimal | None
    entry_state: QuoteState
    candles: int
    quotes: Mapping[int, Quote]
    changes: Mapping[int, Decimal]
    excursions: Excursions
    at_checkpoints: Excursions
    touch: Touch | None
    success: bool | None


def change_pct(direction: int, price: Decimal, entry: Decimal) -> Decimal | None:
    """Return ``direction × (price − entry) / entry × 100``, to 8 places, half to even.

    Exact: no digit is lost before the one rounding. ``None`` where the change is too large to
    be stored (10^11 % and beyond). Raises ValueError unless the entry is above zero.
    """
    if not entry > 0:
        raise ValueError("A change needs an entry price above zero.")
    with localcontext(prec=EXACT):
        change = direction * (price - entry) * 100 / entry
        if abs(change) >= CHANGE_LIMIT:
            return None
        return change.quantize(CHANGE_PLACES, rounding=ROUND_HALF_EVEN) + 0  # no minus zero


def tolerance(width: timedelta) -> timedelta:
    """Return how old the last close may be at a moment: ``max(2 × width, 10 minutes)``."""
    return max(2 * width, LEAST_TOLERANCE)


def quote_at(bars: Iterable[Bar], moment: datetime, *, width: timedelta, now: datetime) -> Quote:
    """Return the price at ``moment``: the close of the last candle with ``end ≤ moment``.

    The age of a close is ``moment − end``. Older than the tolerance, it is not the price:
    *missing* when newer candles are known, else it *waits*. Within the tolerance it is known at
    once, unless a candle that ends by ``moment`` may still be on its way (the age is a whole
    width or more and none newer is there): then it waits for a newer one, and no longer than
    the tolerance. So a worker in time and a worker days late say the same. The order of
    ``bars`` does not matter; those not yet known at ``now`` do not count.
    """
    if moment > now:
        return Quote(QuoteState.WAITS)
    known = [bar for bar in bars if bar.start + width <= now]
    newer = any(bar.start + width > moment for bar in known)
    last = max((bar for bar in known if bar.start + width <= moment), default=None)
    age = None if last is None else moment - (last.start + width)
    if last is None or age is None or age > tolerance(width):
        return Quote(QuoteState.MISSING if newer else QuoteState.WAITS)
    if newer or age < width or now >= moment + tolerance(width):
        return Quote(QuoteState.KNOWN, last.close, last.start)
    return Quote(QuoteState.WAITS)


def window(
    bars: Iterable[Bar], opens: datetime, closes: datetime, *, width: timedelta
) -> list[Bar]:
    """Return the whole candles with ``start ≥ opens`` and ``end ≤ closes``, oldest first."""
    return sorted(bar for bar in bars if bar.start >= opens and bar.start + width <= closes)


def excursions(direction: int, entry: Decimal | None, bars: Sequence[Bar]) -> Excursions:
    """Return the best and the worst change that highs and lows reached.

    Long: ``max_gain`` by the highest high, ``max_loss`` by the lowest low; short the other way
    round. ``max_gain`` may be negative and ``max_loss`` positive. Undefined without an entry or
    without candles.
    """
    if entry is None or not bars:
        return Excursions(None, None)
    highest, lowest = max(bar.high for bar in bars), min(bar.low for bar in bars)
    best, worst = (highest, lowest) if direction == LONG else (lowest, highest)
    return Excursions(change_pct(direction, best, entry), change_pct(direction, worst, entry))


def first_touch(
    direction: int, target: Decimal | None, stop: Decimal | None, bars: Iterable[Bar]
) -> Touch | None:
    """Return which of target and stop the candles touched first.

    A long's target is touched by ``high ≥ target``, its stop by ``low ≤ stop``; a short's the
    other way round. Both within one candle: *ambiguous*, for nobody knows the order inside it.
    ``None`` when neither was named.
    """
    if target is None and stop is None:
        return None
    for bar in sorted(bars):
        best, worst = (bar.high, bar.low) if direction == LONG else (bar.low, bar.high)
        at_target = target is not None and direction * (best - target) >= 0
        at_stop = stop is not None and direction * (worst - stop) <= 0
        if at_target and at_stop:
            return Touch(TouchKind.AMBIGUOUS, bar.start)
        if at_target or at_stop:
            return Touch(TouchKind.TARGET if at_target else TouchKind.STOP, bar.start)
    return Touch(TouchKind.NONE)


def succeeded(
    quotes: Mapping[int, Quote], changes: Mapping[int, Decimal], thresholds: Mapping[int, Decimal]
) -> bool | None:
    """Say whether a claim reached a threshold (percent) at one of the hours that have one.

    Yes as soon as one change is at or above its threshold. No when every such checkpoint is
    decided and at least one of them is known. Else undecided: one still waits, or all are
    missing, or the checkpoints have none of these hours.
    """
    counted = [hours for hours in thresholds if hours in quotes]
    if any(hours in changes and changes[hours] >= thresholds[hours] for hours in counted):
        return True
    if any(quotes[hours].state == QuoteState.WAITS for hours in counted):
        return None
    return False if any(hours in changes for hours in counted) else None


def judge(
    claim: Claim,
    bars: Sequence[Bar],
    *,
    width: timedelta,
    hours: Sequence[int],
    thresholds: Mapping[int, Decimal],
    now: datetime,
) -> Outcome:
    """Judge one claim on one series of candles, as far as it can be known at ``now``.

    ``hours`` are the checkpoints; ``thresholds`` say which change (percent) at which of them is
    a success. Settled once no checkpoint waits, which also closes the window. Until then a
    touch that has not happened is empty, not *none*.
    """
    own = quote_at(bars, claim.moment, width=width, now=now)
    if claim.entry is not None:
        own = Quote(QuoteState.KNOWN, claim.entry)
    entry = own.price
    quotes = {
        h: quote_at(bars, claim.moment + timedelta(hours=h), width=width, now=now)
        for h in sorted(set(hours))
    }
    settled = all(quote.state != QuoteState.WAITS for quote in quotes.values())
    changes: dict[int, Decimal] = {}
    for h, quote in quotes.items():
        if entry is not None and quote.price is not None:
            change = change_pct(claim.direction, quote.price, entry)
            if change is not None:
                changes[h] = change
    closes = min(claim.moment + timedelta(hours=max(hours)), now)
    inside = window(bars, claim.moment, closes, width=width)
    touch = first_touch(claim.direction, claim.target, claim.stop, inside)
    if touch is not None and touch.kind == TouchKind.NONE and not settled:
        touch = None
    return Outcome(
        settled=settled,
        entry=entry,
        entry_state=own.state,
        candles=len(inside),
        quotes=quotes,
        changes=changes,
        excursions=excursions(claim.direction, entry, inside),
        at_checkpoints=Excursions(
            max(changes.values(), default=None), min(changes.values(), default=None)
        ),
        touch=touch,
        success=succeeded(quotes, changes, thresholds),
    )


class Series(NamedTuple):
    """The ends of one series' candles that are known by now, for choosing between series."""

    source: str
    width: timedelta
    ends: Sequence[datetime]


def choose_series(candidates: Iterable[Series], moment: datetime) -> Series | None:
    """Return the series that a claim of ``moment`` is judged on.

    The source is the one whose last candle before the moment (``end ≤ moment``) is the most
    recent; if none has any, the one whose first candle after it comes first; among equals the
    first by name. Of that source it is the finest width with a close within its tolerance at
    the moment, or, where there is none, the width whose next candle comes first (among equals
    the finest). ``None`` while that source has neither. A caller with a primary source passes
    only that one's series.
    """
    far = datetime.max.replace(tzinfo=moment.tzinfo)
    past: dict[Series, datetime] = {}
    after: dict[Series, datetime] = {}
    found = [Series(item.source, item.width, tuple(item.ends)) for item in candidates]
    for item in found:
        if before := [end for end in item.ends if end <= moment]:
            past[item] = max(before)
        if later := [end for end in item.ends if end > moment]:
            after[item] = min(later)
    if past:
        latest = max(past.values())
        source = min(item.source for item, end in past.items() if end == latest)
    elif after:
        source = min((end, item.source) for item, end in after.items())[1]
    else:
        return None
    mine = [item for item in found if item.source == source]
    fresh = [i for i in mine if i in past and moment - past[i] <= tolerance(i.width)]
    if fresh:
        return min(fresh, key=lambda item: item.width)
    best = min(mine, key=lambda item: (after.get(item, far), item.width))
    return best if best in after else None
