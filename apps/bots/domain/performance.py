"""How a bot has done: the figures of one ledger, each with its definition or why it is empty.

A ledger is what one bot closed of one trade type in one currency. Round trips (roots) are counted
and judged; what was booked at the exits (leaves: round trips and the parts of those that were
closed in parts) is added up. What the system that these figures come from got wrong is not
repeated here:

- a trade that broke even is neither won nor lost (there: lost);
- money is measured against the bot's own balance, and not measured without one (there: 1000);
- P&L is money and only money (there: percents were added to it);
- the drawdown is the largest in percent (there: the percent at the largest fall in money);
- every calendar day is a return, and 365 of them make a year (there: days without an exit were
  left out, and 252 made a year).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal
from math import sqrt
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apps.shared.quant.digits import PRICE_LIMIT, PRICE_PLACES
from apps.shared.quant.performance import identify

# Column → the id under which ``define`` tells the formula.
DEFINITIONS: Final[Mapping[str, str]] = {
    "sharpe_ratio": "sharpe_ratio/balance/days/365/ddof1/rf0",
    "win_rate": "win_rate/net/decided/percent",
    "profit_factor": "profit_factor/money",
    "max_drawdown": "max_drawdown/balance/percent",
    "total_return": "total_return/balance/percent",
    "total_trades": identify("total_trades"),
    "winning_trades": identify("winning_trades"),
    "losing_trades": identify("losing_trades"),
    "avg_win": "average_win/money",
    "avg_loss": "average_loss/money",
    "largest_win": "largest_win/money",
    "largest_loss": "largest_loss/money",
    "net_pnl": "net_pnl/booked/money",
    "equity": "equity/balance/money",
    "open_trades": "open_trades/count",
}
# Of a ledger whose older trades are archived: what only the kept ones can tell.
KEPT: Final[Mapping[str, str]] = {
    name: f"{DEFINITIONS[name]}/kept"
    for name in (
        "sharpe_ratio",
        "profit_factor",
        "max_drawdown",
        "avg_win",
        "avg_loss",
        "largest_win",
        "largest_loss",
    )
}
OF_CAPITAL: Final = ("sharpe_ratio", "max_drawdown", "total_return")

NO_TRADE = "No trade is closed yet."
ALL_EVEN = "Every trade broke even."
NO_WIN = "No trade won."
NO_LOSS = "No trade lost."
ARCHIVED_WINS = "Every trade that won is archived."
ARCHIVED_LOSSES = "Every trade that lost is archived."
ALL_ARCHIVED = "Every exit is archived."
BEGINS_RUINED = "The equity after the archived trades was zero or below."
NO_BALANCE = "The bot has no initial balance."
NOT_POSITIVE = "The initial balance is not above zero."
OTHER_TYPE = "The initial balance is not that of {} trades."
OTHER_CURRENCY = "The initial balance is not in the currency of these trades."
RUINED = "The equity fell to zero or below; there is no return from there."
SAME_DAY = "Exits on at least two days are needed."
NO_VARIATION = "The daily returns do not vary."
TOO_LARGE = "The amount has more digits than are kept."

MICROSECONDS_PER_DAY = 86_400_000_000
# Sums of millions of amounts of 38 digits, and their quotients, without a rounding on the way.
EXACT = Context(prec=100, rounding=ROUND_HALF_EVEN)
UNIT = Decimal(1).scaleb(-PRICE_PLACES)
DAYS_PER_YEAR = 365
# Returns that agree to twelve digits are the same return (as in shared.quant.performance).
SAME = 1e-12

Moments = NDArray[np.int64]
Amounts = NDArray[np.float64]


class Totals(NamedTuple):
    """The exact sums of a ledger.

    ``trades`` closed round trips, of which ``winning`` had a net P&L above zero and ``losing``
    one below; ``won`` and ``lost`` (zero or negative) add those up, ``largest_win`` and
    ``largest_loss`` are the largest of each. ``net`` adds up all that was booked.
    """

    trades: int
    winning: int
    losing: int
    won: Decimal
    lost: Decimal
    largest_win: Decimal | None
    largest_loss: Decimal | None
    net: Decimal


class Carried(NamedTuple):
    """What the archived trades of a ledger came to: round trips counted, and all they booked."""

    trades: int = 0
    winning: int = 0
    losing: int = 0
    net: Decimal = Decimal(0)


NOTHING_CARRIED: Final = Carried()


class Booked(NamedTuple):
    """What was booked and when: moments in microseconds since midnight (UTC) of any day, and
    net amounts, both of one length and in the same, any, order."""

    times: Moments
    nets: Amounts


class Capital(NamedTuple):
    """What an account began with, or why that is not known."""

    amount: Decimal | None
    reason: str = ""


@dataclass(slots=True)
class Figures:
    """The columns of a ledger; what is undefined is ``None``, and ``reasons`` says why."""

    values: dict[str, Decimal | float | int | None]
    reasons: dict[str, str] = field(default_factory=dict)
    definitions: Mapping[str, str] = field(default_factory=lambda: DEFINITIONS)


def totals_of(roots: Iterable[Decimal], leaves: Iterable[Decimal]) -> Totals:
    """Return the sums of closed round trips and of booked parts, each given by its net P&L."""
    closed = list(roots)
    wins = [net for net in closed if net > 0]
    losses = [net for net in closed if net < 0]
    return Totals(
        trades=len(closed),
        winning=len(wins),
        losing=len(losses),
        won=exact_sum(wins),
        lost=exact_sum(losses),
        largest_win=max(wins, default=None),
        largest_loss=min(losses, default=None),
        net=exact_sum(leaves),
    )


def exact_sum(amounts: Iterable[Decimal]) -> Decimal:
    """Return the sum to the last digit; Python's own would be cut to 28 of them."""
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


def capital_of(
    balance: Decimal | None,
    *,
    bot_type: str,
    bot_currency: str,
    trade_type: str,
    quote_currency: str,
) -> Capital:
    """Return the capital behind the trades of one type and currency.

    A bot has one initial balance, in its own currency, for what it is now: the paper trades of a
    bot that went live, or trades in another currency, have no capital that we know of.
    """
    if balance is None:
        return Capital(None, NO_BALANCE)
    if trade_type != bot_type:
        return Capital(None, OTHER_TYPE.format(trade_type))
    if quote_currency != bot_currency:
        return Capital(None, OTHER_CURRENCY)
    return Capital(balance)


def figures_of(
    totals: Totals,
    booked: Booked,
    capital: Capital,
    *,
    open_trades: int = 0,
    carried: Carried = NOTHING_CARRIED,
) -> Figures:
    """Return every figure of a ledger in which something was booked.

    What archived trades came to is ``carried``: counts, the win rate, net P&L, equity and total
    return are of all trades; the rest is of those that are kept (``KEPT``), and the course of the
    equity begins behind the archived ones: a high among them is forgotten.

    Money is exact, means are rounded half even at 18 places; win rate, drawdown (zero or
    positive) and total return are percent; ratios are floats. A largest win is a win: without
    one it is undefined, although some trade then lost least. A drawdown is above 100 where more
    than everything was lost.

    Undefined: without a closed trade, a win or a loss what is made of them; without capital
    equity and what is measured against it; the Sharpe ratio where the equity at the end of some
    day is zero or less, where all exits are on one day, and where the daily returns do not vary.
    It and the drawdown are undefined where no exit is kept or the equity begins at zero or less.
    """
    trades = totals.trades + carried.trades
    winning, losing = totals.winning + carried.winning, totals.losing + carried.losing
    decided = winning + losing
    net = EXACT.add(totals.net, carried.net)
    found = Figures(
        {
            "total_trades": trades,
            "winning_trades": winning,
            "losing_trades": losing,
            "win_rate": 100 * winning / decided if decided else None,
            "profit_factor": ratio(totals.won, -totals.lost) if totals.losing else None,
            "avg_win": mean(totals.won, totals.winning),
            "avg_loss": mean(totals.lost, totals.losing),
            "largest_win": totals.largest_win,
            "largest_loss": totals.largest_loss,
            "net_pnl": net,
            "open_trades": open_trades,
        },
        definitions=DEFINITIONS if carried == NOTHING_CARRIED else {**DEFINITIONS, **KEPT},
    )
    if not decided:
        found.reasons["win_rate"] = ALL_EVEN if trades else NO_TRADE
    if not totals.winning:
        why = ARCHIVED_WINS if winning else NO_WIN
        found.reasons |= dict.fromkeys(("avg_win", "largest_win"), why)
    if not totals.losing:
        why = ARCHIVED_LOSSES if losing else NO_LOSS
        found.reasons |= dict.fromkeys(("profit_factor", "avg_loss", "largest_loss"), why)
    measure(found, net, booked, capital, carried.net)
    for name in ("net_pnl", "equity"):
        amount = found.values[name]
        # One absurd ledger must not keep the figures of all others from being stored.
        if isinstance(amount, Decimal) and abs(amount) >= PRICE_LIMIT:
            found.values[name], found.reasons[name] = None, TOO_LARGE
    return found


def measure(
    found: Figures, net: Decimal, booked: Booked, capital: Capital, carried: Decimal
) -> None:
    """Add what is measured against the capital, or why it cannot be; ``net`` holds ``carried``."""
    found.values |= dict.fromkeys(("equity", *OF_CAPITAL))
    if capital.amount is None:
        found.reasons |= dict.fromkeys(("equity", *OF_CAPITAL), capital.reason)
        return
    found.values["equity"] = EXACT.add(capital.amount, net)
    if capital.amount <= 0:
        found.reasons |= dict.fromkeys(OF_CAPITAL, NOT_POSITIVE)
        return
    found.values["total_return"] = 100 * ratio(net, capital.amount)
    opening = EXACT.add(capital.amount, carried)
    if opening <= 0 or not len(booked.times):
        why = BEGINS_RUINED if opening <= 0 else ALL_ARCHIVED
        found.reasons |= dict.fromkeys(("sharpe_ratio", "max_drawdown"), why)
        return
    start = float(opening)
    times, equity = steps(booked, start)
    found.values["max_drawdown"] = 100 * deepest_fall(equity, start)
    returns = daily_returns(times, equity, start)
    if returns is None:
        found.reasons["sharpe_ratio"] = RUINED
    elif len(returns) < 2:
        found.reasons["sharpe_ratio"] = SAME_DAY
    else:
        found.values["sharpe_ratio"] = sharpe = sharpe_ratio(returns)
        if sharpe is None:
            found.reasons["sharpe_ratio"] = NO_VARIATION


def ratio(part: Decimal, whole: Decimal) -> float:
    return float(EXACT.divide(part, whole))


def mean(total: Decimal, count: int) -> Decimal | None:
    """Return the mean of so many amounts, rounded half even at 18 places."""
    return EXACT.quantize(EXACT.divide(total, Decimal(count)), UNIT) if count else None


# --- The course of the equity -------------------------------------------------------------


def steps(booked: Booked, start: float) -> tuple[Moments, Amounts]:
    """Return the moments at which something was booked, in order, and the equity after each.

    What was booked at one moment is one step: no order among its parts would be the right one.
    """
    times, nets = booked
    if (times[1:] < times[:-1]).any():
        order = np.argsort(times, kind="stable")
        times, nets = times[order], nets[order]
    equity = np.cumsum(nets)
    equity += start
    return last_of_each(times, times, equity)


def last_of_each(marks: Moments, times: Moments, values: Amounts) -> tuple[Moments, Amounts]:
    """Return times and values at the last place of each run of equal marks."""
    changes = marks[1:] != marks[:-1]
    if changes.all():
        return times, values
    last = np.append(changes, True)
    return times[last], values[last]


def deepest_fall(equity: Amounts, start: float) -> float:
    """Return the largest fall from the highest point so far, as a fraction of that point."""
    peak = np.maximum.accumulate(equity)
    np.maximum(peak, start, out=peak)
    return float((1 - equity / peak).max())


def daily_returns(times: Moments, equity: Amounts, start: float) -> Amounts | None:
    """Return the return of every day from the first exit to the last, zero where there was none.

    ``None`` where the equity at the end of some day is zero or less.
    """
    days = times // MICROSECONDS_PER_DAY
    days, closes = last_of_each(days, days, equity)
    if closes.min() <= 0:
        return None
    before = np.concatenate(([start], closes[:-1]))
    returns = np.zeros(int(days[-1] - days[0]) + 1)
    returns[days - days[0]] = (closes - before) / before
    return returns


def sharpe_ratio(returns: Amounts) -> float | None:
    """Return the Sharpe ratio of daily returns per year; ``None`` where they do not vary.

    That of ``shared.quant.performance`` for 365 periods and no risk-free rate, without its care
    for values near the ends of what a float holds, which returns of an account are not.
    """
    low, high = returns.min(), returns.max()
    if high - low <= SAME * max(-low, high):
        return None
    mean = returns.mean()
    apart = returns - mean
    deviation = sqrt(apart.dot(apart) / (len(returns) - 1))
    return float(mean / deviation) * sqrt(DAYS_PER_YEAR)
