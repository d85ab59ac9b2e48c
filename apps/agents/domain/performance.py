"""What an account of an agent says at a moment: its figures, its falls, its Sharpe ratio.

The equity is the initial balance, what closed trades brought, and what open ones would bring at
the market's price; all net of the fees paid so far. What the models cost is no part of it: it is
paid elsewhere, and netted by the league. A trade that is over without a known exit price is
counted apart and brings nothing, an open one that has no price likewise.

Earlier snapshots are read as P&L on top of the balance the agent has now: money that was put in
or taken out is no gain and no fall.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apps.agents.domain.trades import unrealized
from apps.shared.quant.digits import RATIO_PLACES
from apps.shared.quant.money import EXACT, HUNDRED, ZERO, TooLarge, kept
from apps.shared.quant.performance import Conventions, define, identify, sharpe_ratio

CONVENTIONS: Final = Conventions(periods_per_year=365, risk_free_rate=0, ddof=1)
# Column → the id under which ``shared.quant.performance.define`` tells the formula.
DEFINITIONS: Final[Mapping[str, str]] = {
    "win_rate": "win_rate/net/decided/percent",
    "avg_win": "average_win/money",
    "avg_loss": "average_loss/money",
    "profit_factor": "profit_factor/money",
    "sharpe_ratio": identify("sharpe_ratio", CONVENTIONS),
}
MEANINGS: Final[Mapping[str, str]] = {
    "total_value": "Equity: the initial balance and the total P&L.",
    "cash_balance": "Cash: the initial balance and the realized P&L.",
    "position_value": "Equity less cash: what open trades would bring.",
    "realized_pnl": "Realized P&L: Σ (gross − fees) of the trades that are over.",
    "unrealized_pnl": (
        "Unrealized P&L: Σ ((price − entry) × size × (1 long, −1 short) − fees paid so far) of "
        "open trades, at the newest price of the market, unless that is older than five days."
    ),
    "total_pnl": "Total P&L: realized and unrealized. What the models cost is no part of it.",
    "roi_percent": "Return: 100 × total P&L / initial balance.",
    "num_trades": "Trades: how many are over with a known P&L, those that broke even included.",
    "num_winning_trades": "Won: how many of these have a realized P&L above zero.",
    "num_losing_trades": "Lost: how many of these have a realized P&L below zero.",
    **{column: define(each) for column, each in DEFINITIONS.items()},
    "sharpe_ratio": (
        f"{define(DEFINITIONS['sharpe_ratio'])} The returns are those of the equity at the ends "
        "of the days (UTC) that are over, from one day to the next; a day without a snapshot "
        "returns zero."
    ),
    "max_drawdown": (
        "Drawdown in money: the largest fall of the equity, snapshot by snapshot, from its "
        "highest point so far, the initial balance included."
    ),
    "max_drawdown_percent": (
        "Drawdown in percent: the largest fall of the equity, snapshot by snapshot, in percent "
        "of its highest point so far, the initial balance included."
    ),
    "peak_value": "Peak: the highest equity of all snapshots so far, the initial balance included.",
    "fees": "Fees: all that was paid for trades so far, as told.",
    "model_cost": "Model cost: what all calls of models cost so far, as far as it is known.",
    "open_trades": "Open trades: how many are not over.",
    "unknown_trades": "P&L unknown: trades that are over, but nobody has told at what price.",
    "unpriced_trades": "Unpriced: open trades without an entry price or a price of the market.",
}

NO_TRADE = "No trade is over with a known P&L yet."
ALL_EVEN = "Every trade broke even."
NO_WIN = "No trade won."
NO_LOSS = "No trade lost."
RETURN_TOO_LARGE = "The return has more digits than are kept."
RUINED = "The equity fell to zero or below; there is no return from there."
NO_DAYS = "It takes the returns of two days: three days have to be over."

Days = NDArray[np.int64]
Amounts = NDArray[np.float64]


class Opened(NamedTuple):
    """An open trade, and the price at which it is marked if there is one."""

    side: str
    size: Decimal
    entry_price: Decimal | None
    fees: Decimal | None
    price: Decimal | None


class Ledger(NamedTuple):
    """The exact sums of an agent's trades.

    ``trades`` are over with a known P&L, of which ``winning`` had one above zero and ``losing``
    one below; ``won`` and ``lost`` (zero or negative) add those up. ``unknown`` are over without
    a known P&L, ``unpriced`` some of those that are ``open``.
    """

    trades: int = 0
    winning: int = 0
    losing: int = 0
    won: Decimal = ZERO
    lost: Decimal = ZERO
    unrealized: Decimal = ZERO
    fees: Decimal = ZERO
    open: int = 0
    unknown: int = 0
    unpriced: int = 0

    @property
    def realized(self) -> Decimal:
        return EXACT.add(self.won, self.lost)


class Course(NamedTuple):
    """What the snapshots so far leave to the next one.

    ``peak`` is the highest total P&L so far (zero or more), the falls are the largest so far.
    """

    peak: Decimal = ZERO
    fall: Decimal = ZERO
    fall_percent: Decimal = ZERO


@dataclass(slots=True)
class Figures:
    """The columns of a snapshot; what is undefined is ``None``, and ``reasons`` says why."""

    values: dict[str, Decimal | float | int | None]
    reasons: dict[str, str] = field(default_factory=dict)


def unrealized_of(trades: Iterable[Opened]) -> tuple[Decimal, int]:
    """Return what open trades would bring net of the fees paid so far, and how many have no price.

    Exact. One without an entry price or a price to mark it at brings nothing, its fees included.
    """
    brought, unpriced = ZERO, 0
    for trade in trades:
        gain = unrealized(**trade._asdict())
        if gain is None:
            unpriced += 1
        else:
            brought = EXACT.add(brought, gain)
    return brought, unpriced


def figures_of(
    ledger: Ledger,
    *,
    initial: Decimal,
    before: Course,
    model_cost: Decimal,
    sharpe: tuple[float | None, str],
) -> Figures:
    """Return every figure of a snapshot, as ``MEANINGS`` tells them.

    ``initial`` is above zero. Money is exact, means are rounded half even at 18 places, percents
    at 8. Undefined: without a closed trade, a win or a loss what is made of them; what ``sharpe``
    (a value or its reason) says; a return too large for its column. Raises TooLarge where another
    figure is.
    """
    realized = kept(ledger.realized, "realized_pnl")
    floating = kept(ledger.unrealized, "unrealized_pnl")
    total = kept(EXACT.add(realized, floating), "total_pnl")
    equity = kept(EXACT.add(initial, total), "total_value")
    peak = kept(EXACT.add(initial, max(before.peak, total, ZERO)), "peak_value")
    fall = kept(EXACT.subtract(peak, equity), "max_drawdown")
    decided = ledger.winning + ledger.losing
    found = Figures(
        {
            "total_value": equity,
            "cash_balance": kept(EXACT.add(initial, realized), "cash_balance"),
            "position_value": floating,
            "realized_pnl": realized,
            "unrealized_pnl": floating,
            "total_pnl": total,
            "num_trades": ledger.trades,
            "num_winning_trades": ledger.winning,
            "num_losing_trades": ledger.losing,
            "win_rate": percent(Decimal(ledger.winning), Decimal(decided)) if decided else None,
            "avg_win": mean(ledger.won, ledger.winning),
            "avg_loss": mean(ledger.lost, ledger.losing),
            "profit_factor": (
                float(EXACT.divide(ledger.won, EXACT.minus(ledger.lost))) if ledger.losing else None
            ),
            "sharpe_ratio": sharpe[0],
            "max_drawdown": max(before.fall, fall),
            "max_drawdown_percent": max(before.fall_percent, percent(fall, peak)),
            "peak_value": peak,
            "fees": kept(ledger.fees, "fees"),
            "model_cost": kept(model_cost, "model_cost"),
            "open_trades": ledger.open,
            "unknown_trades": ledger.unknown,
            "unpriced_trades": ledger.unpriced,
        }
    )
    try:
        found.values["roi_percent"] = percent(total, initial)
    except TooLarge:
        found.values["roi_percent"] = None
        found.reasons["roi_percent"] = RETURN_TOO_LARGE
    if not decided:
        found.reasons["win_rate"] = ALL_EVEN if ledger.trades else NO_TRADE
    if not ledger.winning:
        found.reasons["avg_win"] = NO_WIN if ledger.trades else NO_TRADE
    if not ledger.losing:
        reason = NO_LOSS if ledger.trades else NO_TRADE
        found.reasons |= dict.fromkeys(("avg_loss", "profit_factor"), reason)
    if sharpe[0] is None:
        found.reasons["sharpe_ratio"] = sharpe[1]
    return found


def percent(part: Decimal, whole: Decimal) -> Decimal:
    """Return 100 × part / whole at 8 places, half to even. Raises TooLarge."""
    share = EXACT.divide(EXACT.multiply(part, HUNDRED), whole)
    return kept(share, "percent", places=RATIO_PLACES)


def mean(total: Decimal, count: int) -> Decimal | None:
    """Return the mean of so many amounts at 18 places; ``None`` of none."""
    return kept(EXACT.divide(total, Decimal(count)), "mean") if count else None


# --- The course of the equity -------------------------------------------------------------


def sharpe_of(days: Days, equity: Amounts) -> tuple[float | None, str]:
    """Return the Sharpe ratio of the equity at the ends of days, or why there is none.

    ``days`` are numbers of days, rising; ``equity`` is that at the end of each. A return leads from
    one day to the next; a day that is missing between two others returns zero. 365 days make a
    year, n − 1 divides, there is no risk-free rate. Undefined under two returns, where the equity
    is zero or less at the end of some day, and where the returns do not vary.
    """
    if len(days) == 0:
        return None, NO_DAYS
    if equity.min() <= 0:
        return None, RUINED
    returns = np.zeros(int(days[-1] - days[0]))
    returns[days[1:] - days[0] - 1] = np.diff(equity) / equity[:-1]
    if len(returns) < 2:
        return None, NO_DAYS
    metric = sharpe_ratio(returns, CONVENTIONS)
    return metric.value, metric.reason


def deepest_fall(equity: Amounts, *, start: float) -> float:
    """Return the largest fall of an equity in percent of its highest point so far.

    Zero or positive, above 100 where more than everything was lost; the highest point starts at
    ``start``, which is above zero.
    """
    if not len(equity):
        return 0.0
    peak = np.maximum(np.maximum.accumulate(equity), start)
    return float(100 * (1 - equity / peak).max())
