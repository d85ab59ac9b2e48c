"""Trading with pretended money: what an order costs and brings, exactly. Pure rules.

Amounts of money and of the asset have 18 places. What is rounded, is rounded in one place each:

- the price paid is ``market × (1 + slippage)`` for a purchase and ``market × (1 − slippage)`` for
  a sale, half to even;
- an order over an **amount** has the value ``price × amount``, half to even; an order over a
  **value** has the amount ``value / price``, rounded so that nobody gets more than he pays for: a
  purchase down, a sale up;
- the fee is ``value × fee rate``, half to even, and comes on top: a purchase takes ``value + fee``
  from the cash, a sale adds ``value − fee`` to it.

Cost of what is held: ``cost = initial balance + realized P&L − cash``. It holds at all times and
exactly, because a purchase moves money from cash to cost (its fee included) and a sale takes the
share ``cost × amount / held`` out of it, half to even; the last sale takes all the rest. The P&L
of a sale is ``value − fee − share``: after the fees of both sides. Once nothing is held, realized
P&L and total P&L are the same number to the last digit.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_UP, Context, Decimal
from typing import NamedTuple

from apps.bots.choices import Side
from apps.shared.errors import DomainError
from apps.shared.quant.performance import Conventions, Metric, sharpe_ratio, simple_returns

PLACES = Decimal(1).scaleb(-18)
RATIO_PLACES = Decimal("0.00000001")
LIMIT = Decimal(10) ** 20
ZERO, ONE, HUNDRED = Decimal(0), Decimal(1), Decimal(100)
WIDE = Context(prec=120, rounding=ROUND_HALF_EVEN)

SNAPSHOT_EVERY = timedelta(minutes=15)
# Days of a market that never closes.
CONVENTIONS = Conventions(periods_per_year=365)


class InsufficientFunds(DomainError):
    """A purchase costs more than there is."""

    code = "insufficient_funds"


class InsufficientAsset(DomainError):
    """A sale is about more than is held."""

    code = "insufficient_asset"


class OrderTooSmall(DomainError):
    """An order of which nothing is left after rounding."""

    code = "too_small"


class OrderTooLarge(DomainError):
    """An order whose numbers fit in no column."""

    code = "too_large"


class Holdings(NamedTuple):
    """What a portfolio has, and what it began with."""

    initial: Decimal
    cash: Decimal
    asset: Decimal
    realized: Decimal

    @property
    def cost(self) -> Decimal:
        """What was paid for the asset that is held, fees included."""
        return WIDE.subtract(WIDE.add(self.initial, self.realized), self.cash)

    @property
    def average(self) -> Decimal | None:
        """The cost of one unit, to 18 places; None while nothing is held or it cost nothing."""
        if not self.asset:
            return None
        average = rounded(WIDE.divide(self.cost, self.asset))
        return average if ZERO < average < LIMIT else None


class Terms(NamedTuple):
    """What a portfolio pays for trading, as fractions."""

    fee_rate: Decimal = ZERO
    slippage: Decimal = ZERO


FREE = Terms()


class Deal(NamedTuple):
    """What became of an order: the trade, and what is held after it."""

    side: Side
    price: Decimal
    amount: Decimal
    value: Decimal
    fee: Decimal
    pnl: Decimal | None
    holdings: Holdings


def rounded(value: Decimal, rounding: str = ROUND_HALF_EVEN) -> Decimal:
    """Return the value with 18 places."""
    return value.quantize(PLACES, rounding=rounding, context=WIDE)


def plain(value: Decimal) -> str:
    """Return the number in plain notation, without padding zeros."""
    return f"{value.normalize(WIDE):f}"


def paid_price(market: Decimal, *, side: Side, slippage: Decimal) -> Decimal:
    """Return the price after slippage, which always goes against the order."""
    factor = ONE + slippage if side == Side.BUY else ONE - slippage
    return rounded(WIDE.multiply(market, factor))


def sizes(
    price: Decimal, *, side: Side, amount: Decimal | None, value: Decimal | None
) -> tuple[Decimal, Decimal]:
    """Return amount and value of an order that names one of the two."""
    if (amount is None) == (value is None):
        raise ValueError("An order names its amount or its value.")
    if amount is not None:
        return amount, rounded(WIDE.multiply(price, amount))
    assert value is not None
    rounding = ROUND_DOWN if side == Side.BUY else ROUND_UP
    return rounded(WIDE.divide(value, price), rounding), value


def deal(
    holdings: Holdings,
    *,
    side: Side,
    market: Decimal,
    amount: Decimal | None = None,
    value: Decimal | None = None,
    terms: Terms = FREE,
) -> Deal:
    """Return the trade that an order makes at this market price, and what is held after it.

    ``amount`` (of the asset) or ``value`` (in the quote currency, before the fee) is given, the
    other follows. Raises InsufficientFunds, InsufficientAsset, OrderTooSmall, OrderTooLarge.
    """
    price = paid_price(market, side=side, slippage=terms.slippage)
    if not price:
        raise OrderTooSmall("After slippage the price is less than can be told.")
    amount, value = sizes(price, side=side, amount=amount, value=value)
    fee = rounded(WIDE.multiply(value, terms.fee_rate))
    if not amount or not value:
        raise OrderTooSmall("Of this order nothing is left after rounding to 18 places.")
    if max(price, amount, value) >= LIMIT:
        raise OrderTooLarge("The numbers of this order have more than 20 digits before the point.")
    moved = bought if side == Side.BUY else sold
    after, pnl = moved(holdings, amount=amount, value=value, fee=fee)
    if max(after.cash, after.asset, abs(after.realized)) >= LIMIT:
        raise OrderTooLarge("What is held after it has more than 20 digits before the point.")
    return Deal(side, price, amount, value, fee, pnl, after)


def bought(
    held: Holdings, *, amount: Decimal, value: Decimal, fee: Decimal
) -> tuple[Holdings, None]:
    """Return what is held after a purchase. Raises InsufficientFunds."""
    cost = WIDE.add(value, fee)
    if cost > held.cash:
        parts = f"It costs {plain(cost)}, of which {plain(fee)} are fees"
        raise InsufficientFunds(f"{parts}; {plain(held.cash)} is there.")
    after = held._replace(cash=WIDE.subtract(held.cash, cost), asset=WIDE.add(held.asset, amount))
    return after, None


def sold(
    held: Holdings, *, amount: Decimal, value: Decimal, fee: Decimal
) -> tuple[Holdings, Decimal]:
    """Return what is held after a sale, and its P&L. Raises InsufficientAsset."""
    if amount > held.asset:
        raise InsufficientAsset(f"It is about {plain(amount)}; {plain(held.asset)} is there.")
    left = WIDE.subtract(held.asset, amount)
    share = held.cost
    if left:
        share = rounded(WIDE.divide(WIDE.multiply(share, amount), held.asset))
    brought = WIDE.subtract(value, fee)
    pnl = WIDE.subtract(brought, share)
    after = held._replace(
        cash=WIDE.add(held.cash, brought), asset=left, realized=WIDE.add(held.realized, pnl)
    )
    return after, pnl


def equity(holdings: Holdings, price: Decimal | None) -> Decimal | None:
    """Return ``cash + asset × price``, to 18 places; None where a price is needed and unknown."""
    if not holdings.asset:
        return holdings.cash
    if price is None:
        return None
    return rounded(WIDE.add(holdings.cash, WIDE.multiply(holdings.asset, price)))


# --- Snapshots ----------------------------------------------------------------------------


def snapshot_moment(now: datetime) -> datetime:
    """Return the quarter of an hour that ``now`` lies in: its beginning."""
    return now - (now - datetime.min.replace(tzinfo=now.tzinfo)) % SNAPSHOT_EVERY


def win_rate(wins: int, losses: int) -> Decimal | None:
    """Return the sales that won in percent of those that won or lost, to 8 places.

    A sale with a P&L of zero is neither. None without any that counts.
    """
    if not wins + losses:
        return None
    return ratio(WIDE.divide(HUNDRED * wins, Decimal(wins + losses)))


def drawdown(value: Decimal, peak: Decimal) -> Decimal:
    """Return how far a value lies below its peak, in percent, to 8 places; 0 at the peak."""
    fall = WIDE.divide(WIDE.multiply(WIDE.subtract(peak, value), HUNDRED), peak)
    return ratio(max(ZERO, fall))


def ratio(value: Decimal) -> Decimal:
    """Return the value with 8 places."""
    return value.quantize(RATIO_PLACES, context=WIDE)


def daily_sharpe(initial: Decimal, ends: Mapping[date, Decimal]) -> Metric | None:
    """Return the Sharpe ratio of the returns from day to day, ``sharpe_ratio`` with 365 days.

    ``ends`` has the last value of each day that is over. The first day is measured from the
    initial balance; a day without a value has the value of the day before (nothing was seen to
    change). None once a value was zero: there is no return from nothing.
    """
    values = [initial]
    for day in days_between(sorted(ends)):
        values.append(ends.get(day, values[-1]))
    if any(value <= 0 for value in values):
        return None
    returns = simple_returns([float(value) for value in values])
    return sharpe_ratio(returns, CONVENTIONS)


def days_between(days: Sequence[date]) -> list[date]:
    """Return every day from the first to the last of days in order."""
    if not days:
        return []
    return [days[0] + timedelta(days=n) for n in range((days[-1] - days[0]).days + 1)]
