"""What a question to a model costs by a table of prices, and what that is of a day's budget."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from apps.shared.quant.money import EXACT, TooLarge, kept

MILLION: Final = Decimal(1_000_000)
WARNED_FROM: Final = Decimal("0.8")
DAY: Final = timedelta(days=1)

TOKENS_UNTOLD = "Its tokens are not told."
NO_PRICE = "No price is known for its provider and model at its time."
TOO_LARGE = "The cost would have more than 20 digits before the point."


class BudgetState(StrEnum):
    """How a day's spend stands to its budget."""

    UNLIMITED = "unlimited"
    OK = "ok"
    WARNING = "warning"
    OVER = "over"


class Price(NamedTuple):
    """What a million tokens cost, in USD, from a moment on until the next price of its model."""

    valid_from: datetime
    input_per_million: Decimal
    output_per_million: Decimal


class Cost(NamedTuple):
    """A cost in USD or, where there is none, why not."""

    amount: Decimal | None
    reason: str = ""


def cost_of(tokens_in: int | None, tokens_out: int | None, price: Price | None) -> Decimal | None:
    """Return the cost of a call in USD, None where it is undefined; ``cost`` says why."""
    return cost(tokens_in, tokens_out, price).amount


def cost(tokens_in: int | None, tokens_out: int | None, price: Price | None) -> Cost:
    """Return tokens in × price in / 10⁶ + tokens out × price out / 10⁶, in USD, or why not.

    Exact, and rounded once: half to even, at 18 places. Undefined where either count of tokens is
    not told (half a cost is none), where no price is known, and where numeric(38,18) cannot hold
    it. A call of no tokens costs 0.

    >>> price = Price(datetime(2026, 1, 1, tzinfo=UTC), Decimal("0.27"), Decimal("1.10"))
    >>> str(cost(10_000, 2_000, price).amount.normalize())
    '0.0049'
    """
    if tokens_in is None or tokens_out is None:
        return Cost(None, TOKENS_UNTOLD)
    if price is None:
        return Cost(None, NO_PRICE)
    millionths = EXACT.add(
        EXACT.multiply(Decimal(tokens_in), price.input_per_million),
        EXACT.multiply(Decimal(tokens_out), price.output_per_million),
    )
    try:
        return Cost(kept(EXACT.divide(millionths, MILLION), "cost"))
    except TooLarge:
        return Cost(None, TOO_LARGE)


def price_at(prices: Sequence[Price], moment: datetime) -> Price | None:
    """Return the price of a model that holds at ``moment``: the newest one valid by then.

    ``prices`` are those of one provider and model in the order of ``valid_from``. A price holds
    from its very moment on; before the first one none is known. Of several with the same moment
    the last one is taken.
    """
    place = bisect_right(prices, moment, key=lambda price: price.valid_from)
    return prices[place - 1] if place else None


# --- Budgets ------------------------------------------------------------------------------


def day_of(moment: datetime) -> tuple[datetime, datetime]:
    """Return the first moment of the UTC day that holds ``moment``, and that of the next day."""
    begin = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return begin, begin + DAY


def budget_state(spent: Decimal, budget: Decimal | None) -> BudgetState:
    """Return how the day's spend stands to the budget.

    From 80 % on it is a warning, above 100 % over. Exactly 100 % is still a warning: a budget says
    how much may be spent, so spending all of it breaks nothing, and the next cent does. Where the
    budget is 0, nothing may be spent: 0 is ok and anything more is over. Without a budget there is
    no limit.
    """
    if budget is None:
        return BudgetState.UNLIMITED
    if spent > budget:
        return BudgetState.OVER
    # Multiplied, not divided: exact, and a budget of 0 has no share.
    if spent > 0 and spent >= EXACT.multiply(budget, WARNED_FROM):
        return BudgetState.WARNING
    return BudgetState.OK


def share_of_budget(spent: Decimal, budget: Decimal | None) -> Decimal | None:
    """Return spent / budget as a fraction at 8 places, half to even.

    For showing; ``budget_state`` decides. Undefined without a budget and with one of 0.
    """
    if not budget:
        return None
    try:
        return kept(EXACT.divide(spent, budget), "share", places=8)
    except TooLarge:
        return None
