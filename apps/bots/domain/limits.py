"""Limits: what one must say, when it is reached, how far it is used up. Pure rules.

A **price limit** (stop loss, take profit) is reached when a candle touches its price; one that
opens beyond it, after a gap, reaches it at its open. An **operator's limit** is reached when what
is measured (a loss, a drawdown, an exposure, a number of trades) equals its threshold or exceeds
it: of ten trades per hour the tenth fires, so that there is no eleventh.
"""

import hashlib
import re
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Protocol

from apps.bots.choices import Direction, LimitType
from apps.shared.errors import FieldError

PRICE_KINDS = frozenset({LimitType.STOP_LOSS, LimitType.TAKE_PROFIT})
# Sums of money of several currencies mean nothing.
MONEY_KINDS = frozenset({LimitType.MAX_DAILY_LOSS, LimitType.MAX_DRAWDOWN, LimitType.MAX_EXPOSURE})

HUNDRED = Decimal(100)
USAGE_PLACES = Decimal("0.00000001")
# How far beyond a limit is no longer of interest.
MOST_USAGE = Decimal(1_000_000)
# Prices carry 38 digits; Python computes with 28 unless told otherwise.
WIDE = Context(prec=100, rounding=ROUND_HALF_EVEN)

ID_LENGTH = 100
NUMBERED = re.compile(r"(?P<base>.+)~(?P<number>[0-9]{1,9})", re.DOTALL)


class LimitLike(Protocol):
    """A limit as it arrives: whatever has these values."""

    @property
    def id(self) -> str: ...
    @property
    def limit_type(self) -> str: ...
    @property
    def bot_id(self) -> str | None: ...
    @property
    def type(self) -> str: ...
    @property
    def symbol(self) -> str: ...
    @property
    def lot_id(self) -> str | None: ...
    @property
    def direction(self) -> str: ...
    @property
    def price(self) -> Decimal | None: ...
    @property
    def size(self) -> Decimal | None: ...
    @property
    def threshold(self) -> Decimal | None: ...
    @property
    def currency(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def notes(self) -> str: ...


def problems(row: LimitLike) -> list[FieldError]:
    """Return everything that does not go together in a limit; an empty list for a good one."""
    return price_problems(row) if row.limit_type in PRICE_KINDS else operator_problems(row)


def price_problems(row: LimitLike) -> list[FieldError]:
    """Say what a stop loss or take profit lacks, or holds beside its price."""
    found = []
    if row.price is None:
        found.append(FieldError("/price", "required", "A stop loss or take profit needs a price."))
    if row.threshold is not None:
        message = "A stop loss or take profit has a price, and no threshold."
        found.append(FieldError("/threshold", "does_not_apply", message))
    if not row.symbol and not row.lot_id:
        message = "A stop loss or take profit is about a symbol or a lot."
        found.append(FieldError("/symbol", "required", message))
    if row.lot_id and row.direction == Direction.SHORT:
        message = "A lot is what was bought: it is held long."
        found.append(FieldError("/direction", "does_not_apply", message))
    return found


def operator_problems(row: LimitLike) -> list[FieldError]:
    """Say what a limit of the operator's lacks, or holds beside its threshold."""
    found = []
    kind = LimitType(row.limit_type)
    if row.threshold is None:
        found.append(FieldError("/threshold", "required", f"{kind.label} needs a threshold."))
    elif kind == LimitType.MAX_DRAWDOWN and row.threshold > HUNDRED:
        message = "A drawdown is a percentage: at most 100."
        found.append(FieldError("/threshold", "out_of_range", message))
    elif kind == LimitType.MAX_TRADES_PER_HOUR and row.threshold % 1:
        found.append(FieldError("/threshold", "not_whole", "Trades are counted in whole numbers."))
    for name in ("price", "size", "lot_id"):
        if getattr(row, name) is not None:
            message = f"{kind.label} has a threshold, and no {name.removesuffix('_id')}."
            found.append(FieldError(f"/{name}", "does_not_apply", message))
    if row.direction == Direction.SHORT:
        message = f"{kind.label} is about what is held either way."
        found.append(FieldError("/direction", "does_not_apply", message))
    return found


# --- Prices -------------------------------------------------------------------------------


def fires_above(limit_type: str, direction: str) -> bool:
    """Tell on which side of the price a price limit fires: at it and above, or at it and below.

    The target of a long and the stop of a short lie above.
    """
    return (limit_type == LimitType.TAKE_PROFIT) == (direction == Direction.LONG)


def crossed_at(
    *, price: Decimal, above: bool, opened: Decimal, high: Decimal, low: Decimal
) -> Decimal | None:
    """Return the price at which a candle reaches a price limit; None where it does not.

    That is the limit's own price, touched on the way; or the open, where the candle opens beyond
    it already (a gap: nobody could have traded at the limit's price).
    """
    if above:
        return None if high < price else max(opened, price)
    return None if low > price else min(opened, price)


def way_used(*, reference: Decimal | None, price: Decimal, current: Decimal) -> Decimal | None:
    """Return how much of the way from the reference price to a price limit is gone.

    ``(reference − current) / (reference − price)``, to 8 places, half to even: 0 at the reference
    price and on the other side of it, 1 at the limit's price, more beyond. None without a
    reference price and where it is the limit's own.
    """
    if reference is None or reference == price:
        return None
    used = WIDE.divide(WIDE.subtract(reference, current), WIDE.subtract(reference, price))
    return within(used)


# --- What the operator allows -------------------------------------------------------------


def share_used(*, value: Decimal | None, threshold: Decimal) -> Decimal | None:
    """Return ``value / threshold``, to 8 places, half to even, and no less than 0.

    None where the value is unknown. From 1 on the limit fires.
    """
    return None if value is None else within(WIDE.divide(value, threshold))


def reached(*, value: Decimal | None, threshold: Decimal) -> bool:
    """Tell whether what was measured reaches the threshold; what is unknown does not."""
    return value is not None and value >= threshold


def drawdown_pct(*, initial: Decimal, results: list[Decimal], unrealized: Decimal) -> Decimal:
    """Return how far the equity stands below its peak, in percent, to 18 places.

    ``results`` are net results in the order of their closing; the peak is the highest of the
    initial balance and of the balance after each of them, so gains that were never realized are
    no peak. The equity is the last balance and what open trades stand at. 0 at the peak and above.
    """
    balance = peak = initial
    for result in results:
        balance = WIDE.add(balance, result)
        peak = max(peak, balance)
    equity = WIDE.add(balance, unrealized)
    fall = WIDE.divide(WIDE.multiply(WIDE.subtract(peak, equity), HUNDRED), peak)
    return max(Decimal(0), fall).quantize(Decimal(1).scaleb(-18), context=WIDE)


def within(used: Decimal) -> Decimal:
    """Return a share as it is stored."""
    return max(Decimal(0), min(used, MOST_USAGE)).quantize(USAGE_PLACES, context=WIDE)


# --- Names --------------------------------------------------------------------------------


def next_id(limit_id: str) -> str:
    """Return the id of the limit that takes over from a final one: ``stop`` → ``stop~2`` → …

    One limit has one successor, so that arming it twice makes one. A name too long for the
    number behind it is cut, and told apart by its hash.

    >>> next_id("stop"), next_id("stop~2")
    ('stop~2', 'stop~3')
    """
    found = NUMBERED.fullmatch(limit_id)
    base, number = (found["base"], int(found["number"])) if found else (limit_id, 1)
    name = f"{base}~{number + 1}"
    if len(name) <= ID_LENGTH:
        return name
    mark = hashlib.sha256(base.encode()).hexdigest()[:16]
    return f"{base[:60]}#{mark}~{number + 1}"
