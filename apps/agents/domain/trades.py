"""What a trade of an agent must hold, which ways its life can go, and what it comes to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Protocol

from apps.agents.choices import Side, TradeStatus
from apps.shared.errors import FieldError
from apps.shared.quant.digits import RATIO_PLACES, digits_behind
from apps.shared.quant.money import (
    EXACT,
    SIGNS,
    TooLarge,
    kept,
    number_faults,
    settle,
    time_faults,
    total,
)

OPEN, CLOSED = TradeStatus.OPEN, TradeStatus.CLOSED
LIQUIDATED, CANCELLED = TradeStatus.LIQUIDATED, TradeStatus.CANCELLED
# A final state is never left. One that was reached without an exit price is completed in place.
WAYS: Final[Mapping[TradeStatus, frozenset[TradeStatus]]] = {
    OPEN: frozenset({CLOSED, LIQUIDATED, CANCELLED}),
    CLOSED: frozenset(),
    LIQUIDATED: frozenset(),
    CANCELLED: frozenset(),
}
FINAL: Final = frozenset(state for state, ways in WAYS.items() if not ways)
# States that came to something, known or not.
OVER: Final = frozenset({CLOSED, LIQUIDATED})
MOST_LEVERAGE: Final = 1000
LONGEST_COIN: Final = 20

# Distances to liquidation below which a trade is near it, the farthest first.
NEAR: Final = Decimal("0.2")
CLOSE_BY: Final = Decimal("0.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pnl:
    """What a trade came to, or would come to at a price, in the quote currency."""

    gross: Decimal
    fees: Decimal
    net: Decimal


def pnl(
    *,
    side: str,
    size: Decimal,
    entry_price: Decimal,
    price: Decimal,
    fees: Decimal | None = None,
) -> Pnl:
    """Return what a trade comes to at a price: its exit (realized) or the market's (unrealized).

    gross = (price − entry) × size × (1 long, −1 short), rounded once, half to even, at 18 places;
    net = gross − fees, which are those paid by then; None counts as nothing. Raises TooLarge.

    >>> found = pnl(side="short", size=Decimal(2), entry_price=Decimal(100), price=Decimal(90),
    ...     fees=Decimal("0.5"))
    >>> f"{found.gross:.2f} {found.net:.2f}"
    '20.00 19.50'
    """
    came = settle(
        direction=side,
        size=size,
        entry_price=entry_price,
        exit_price=price,
        entry_fee=fees,
        exit_fee=None,
    )
    return Pnl(gross=came.gross, fees=came.fees, net=came.net)


def unrealized(
    *,
    side: str,
    size: Decimal,
    entry_price: Decimal | None,
    price: Decimal | None,
    fees: Decimal | None,
) -> Decimal | None:
    """Return what an open trade would come to at a price, net of the fees paid so far.

    None without an entry or a price, and where no column could hold it.
    """
    if entry_price is None or price is None:
        return None
    try:
        return pnl(side=side, size=size, entry_price=entry_price, price=price, fees=fees).net
    except TooLarge:
        return None


def fees_of(
    entry_fees: Decimal | None, exit_fees: Decimal | None, told: Decimal | None = None
) -> Decimal | None:
    """Return the fees of a trade: their total as told, else the sum of the legs that are told."""
    return told if told is not None else total(entry_fees, exit_fees, name="fees")


def size_for(size_usd: Decimal, entry_price: Decimal) -> Decimal:
    """Return the size that a value in the quote currency buys at a price. Raises TooLarge."""
    return kept(EXACT.divide(size_usd, entry_price), "size")


# --- Liquidation --------------------------------------------------------------------------


def liquidation_price(
    *, side: str, entry_price: Decimal | None, leverage: Decimal | None
) -> Decimal | None:
    """Return about where an exchange would close a trade: entry × (1 ∓ 1 / leverage).

    Minus for a long, plus for a short: the price at which the loss has eaten the margin. Fees,
    maintenance margin and other positions of the account are not in it. None without an entry or
    a leverage, for a long without leverage, which loses all at a price of 0 alone, and where no
    column can hold it. Source: hyper-demo, §5.

    >>> liquidation_price(side="long", entry_price=Decimal(100), leverage=Decimal(5))
    Decimal('80.000000000000000000')
    """
    if entry_price is None or leverage is None or leverage < 1:
        return None
    parts = EXACT.subtract(leverage, Decimal(SIGNS[side]))
    try:
        price = kept(EXACT.divide(EXACT.multiply(entry_price, parts), leverage), "liquidation")
    except TooLarge:
        return None
    return price if price > 0 else None


def distance_to_liquidation(
    *, side: str, mark: Decimal | None, liquidation: Decimal | None
) -> Decimal | None:
    """Return how far the market is from liquidation: (mark − liquidation) / mark for a long.

    Turned round for a short; a fraction at 8 places, below 0 where the market has passed it.
    None without either price, and where it cannot be told in 12 digits before the point.
    """
    if mark is None or liquidation is None or mark <= 0:
        return None
    moved = EXACT.multiply(EXACT.subtract(mark, liquidation), Decimal(SIGNS[side]))
    try:
        return kept(EXACT.divide(moved, mark), "distance", places=RATIO_PLACES)
    except TooLarge:
        return None


def crossed(before: Decimal | None, after: Decimal | None) -> Decimal | None:
    """Return the nearest level below which a distance to liquidation has fallen, if any.

    A distance that is not known before was above all of them.
    """
    if after is None:
        return None
    for level in (CLOSE_BY, NEAR):
        if after < level and (before is None or before >= level):
            return level
    return None


# --- What a trade must hold ---------------------------------------------------------------


class TradeLike(Protocol):
    """What is checked of a trade, with what follows from its decision filled in."""

    @property
    def status(self) -> str: ...
    @property
    def side(self) -> str | None: ...
    @property
    def coin(self) -> str | None: ...
    @property
    def size(self) -> Decimal | None: ...
    @property
    def leverage(self) -> Decimal | None: ...
    @property
    def entry_time(self) -> datetime | None: ...
    @property
    def exit_time(self) -> datetime | None: ...
    @property
    def entry_price(self) -> Decimal | None: ...
    @property
    def exit_price(self) -> Decimal | None: ...
    @property
    def entry_fees(self) -> Decimal | None: ...
    @property
    def exit_fees(self) -> Decimal | None: ...
    @property
    def fees(self) -> Decimal | None: ...
    @property
    def realized_pnl(self) -> Decimal | None: ...
    @property
    def exit_reason(self) -> str: ...


# What only a trade that is over has.
OF_EXIT: Final = ("exit_price", "exit_time", "exit_fees", "fees", "realized_pnl")
NUMBERS: Final = (
    ("size", True),
    ("entry_price", True),
    ("exit_price", True),
    ("entry_fees", False),
    ("exit_fees", False),
    ("fees", False),
    ("realized_pnl", False),
)


def faults(row: TradeLike, *, now: datetime, ahead: timedelta) -> list[FieldError]:
    """Return all that is wrong with a trade as it is told, each with its field.

    ``ahead`` is how far a time may stand before ``now``.
    """
    found = list(_named(row))
    for name, above_zero in NUMBERS:
        value = getattr(row, name)
        if value is not None:
            found += number_faults(name, value, above_zero=above_zero)
    if row.leverage is not None:
        found += leverage_faults(row.leverage)
    if row.status in OVER:
        if row.exit_time is None:
            found.append(error("exit_time", "required", f"A trade that is {row.status} has one."))
        if row.exit_price is not None and row.entry_price is None:
            found.append(no_entry())
    elif row.status in TradeStatus.values:
        found += [
            error(name, "not_closed", f"A trade that is {row.status} has no exit.")
            for name in OF_EXIT
            if getattr(row, name) is not None
        ]
        if row.exit_reason and row.status == OPEN:
            found.append(error("exit_reason", "not_closed", "A trade that is open has no exit."))
    found += time_faults(row.entry_time, row.exit_time, now=now, ahead=ahead)
    if not found:
        found += fee_faults(row.entry_fees, row.exit_fees, row.fees)
    return found


def _named(row: TradeLike) -> Iterator[FieldError]:
    """Yield what is missing or not known of what, which way and how much was traded."""
    if row.status not in TradeStatus.values:
        yield error("status", "not_a_choice", f"Must be one of {', '.join(TradeStatus.values)}.")
    if not row.coin:
        yield error("coin", "required", "Is neither told nor known from a decision.")
    elif len(row.coin) > LONGEST_COIN:
        # Some letters become two in upper case.
        yield error("coin", "too_long", f"Must have at most {LONGEST_COIN} letters, upper case.")
    if not row.side:
        yield error("side", "required", "Is neither told nor known from a decision.")
    elif row.side not in Side.values:
        yield error("side", "not_a_choice", "Must be long or short.")
    if row.size is None:
        message = "Is not told, and does not follow from a decision and a price at its time."
        yield error("size", "required", message)


def leverage_faults(leverage: Decimal) -> Iterator[FieldError]:
    """Yield what keeps a number from being the leverage of a trade: from 1 to 1,000.

    What an exchange granted is a fact, also beyond what the agent may ask for.
    """
    if not leverage.is_finite():
        yield error("leverage", "not_finite", "Must be a finite number.")
    elif not 1 <= leverage <= MOST_LEVERAGE:
        yield error("leverage", "out_of_range", f"Must lie between 1 and {MOST_LEVERAGE}.")
    elif digits_behind(leverage) > RATIO_PLACES:
        yield error("leverage", "too_precise", "Must have at most 8 digits behind the point.")


def fee_faults(
    entry_fees: Decimal | None, exit_fees: Decimal | None, fees: Decimal | None
) -> Iterator[FieldError]:
    """Yield that a total of fees is not the sum of its legs, where all three are told."""
    if fees is None or entry_fees is None or exit_fees is None:
        return
    if EXACT.add(entry_fees, exit_fees) != fees:
        yield error("fees", "not_the_sum", "Is not the sum of its legs; send one or the other.")


def no_entry() -> FieldError:
    """Return what is wrong with an exit price where the entry is not known."""
    message = "The price at which this trade was entered is not known; send it too."
    return error("entry_price", "no_entry", message)


def error(name: str, code: str, message: str) -> FieldError:
    """Return one fault of one field."""
    return FieldError(f"/{name}", code, message)
