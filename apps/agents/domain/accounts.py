"""What an agent has to work with: its balance, what it won and lost, and what its trades tie up."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple

from apps.agents.domain.trades import unrealized
from apps.shared.quant.digits import PRICE_PLACES
from apps.shared.quant.money import EXACT, ZERO

QUANTUM: Final = Decimal(1).scaleb(-PRICE_PLACES)


class OpenTrade(NamedTuple):
    """What an account needs to know of a trade that is open; ``fees`` are those paid so far."""

    coin: str
    symbol: str
    side: str
    size: Decimal
    leverage: Decimal | None
    entry_price: Decimal | None
    fees: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An agent's account at a moment, in its quote currency.

    ``value`` = initial balance + ``realized`` + ``unrealized``, both net of fees; what the model
    costs is paid elsewhere. ``exposure`` is what the open trades are worth at the market's price,
    ``margin_used`` what they tie up, ``withdrawable`` = value − margin_used, never below 0.
    ``held`` has the side of each coin that is open (of several trades the one told last).
    ``unpriced`` counts open trades without an entry or a price: nothing unrealized is known of
    them. ``unknown`` counts trades that are over at a price that nobody told: what they came to
    is in none of the figures.
    """

    value: Decimal
    withdrawable: Decimal
    realized: Decimal
    unrealized: Decimal
    margin_used: Decimal
    held: Mapping[str, str] = field(default_factory=dict)
    exposure: Decimal = ZERO
    open_trades: int = 0
    unpriced: int = 0
    unknown: int = 0


def account_of(
    *,
    initial: Decimal,
    max_leverage: int,
    realized: Decimal,
    trades: Iterable[OpenTrade],
    prices: Mapping[str, Decimal],
    unknown: int = 0,
) -> Account:
    """Return the account of an agent.

    ``realized`` is the sum of what its trades came to, ``trades`` are the open ones in the order
    they were told, ``prices`` those of the market by symbol. A trade ties up size × price /
    leverage, its own or else the agent's largest; without a price of the market its entry counts,
    and without both it ties up nothing. Rounded half to even at 18 places, trade by trade.
    """
    won = tied = exposure = ZERO
    held: dict[str, str] = {}
    count = unpriced = 0
    for trade in trades:
        count += 1
        held[trade.coin] = trade.side
        mark = prices.get(trade.symbol)
        gain = unrealized(
            side=trade.side,
            size=trade.size,
            entry_price=trade.entry_price,
            price=mark,
            fees=trade.fees,
        )
        if gain is None:
            unpriced += 1
        else:
            won = EXACT.add(won, gain)
        price = mark or trade.entry_price
        if price is not None:
            worth = EXACT.multiply(price, trade.size)
            leverage = trade.leverage or Decimal(max_leverage)
            exposure = EXACT.add(exposure, rounded(worth))
            tied = EXACT.add(tied, rounded(EXACT.divide(worth, leverage)))
    value = EXACT.add(EXACT.add(initial, realized), won)
    return Account(
        value=value,
        withdrawable=max(EXACT.subtract(value, tied), ZERO),
        realized=realized,
        unrealized=won,
        margin_used=tied,
        held=held,
        exposure=exposure,
        open_trades=count,
        unpriced=unpriced,
        unknown=unknown,
    )


def rounded(value: Decimal) -> Decimal:
    """Return an amount at the places that money has, half to even."""
    return value.quantize(QUANTUM, context=EXACT)
