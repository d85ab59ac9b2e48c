"""Figures of a row of closed trades.

A trade is its net return as a fraction, after fees: 0.02 is a gain of 2 %. The order is that in
which the trades were closed. A net return below −1 is possible: a leveraged trade can cost its
margin and the fees.
"""

from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apps.shared.quant.performance.definitions import identify
from apps.shared.quant.performance.floats import (
    Floats,
    checked,
    gains_over_losses,
    mean,
    mean_over_deviation,
    quotient,
    varies,
)
from apps.shared.quant.performance.metric import Metric, figure, undefined

EMPTY = "There are no trades."
TOO_FEW = "At least two trades are needed."
NO_VARIATION = "The trades do not vary."
NO_WIN = "No trade won."
NO_LOSS = "No trade lost."
ALL_EVEN = "Every trade broke even."


class Trades:
    """Net returns that were checked, parted into wins and losses once.

    Every function below takes a row of net returns or this. Raises ValueError unless all are
    finite numbers in one row.
    """

    def __init__(self, net: ArrayLike) -> None:
        self.net = checked(net)
        self.n = len(self.net)

    @classmethod
    def of(cls, net: "ArrayLike | Trades") -> "Trades":
        return net if isinstance(net, Trades) else cls(net)

    @cached_property
    def wins(self) -> Floats:
        return self.net[self.net > 0]

    @cached_property
    def losses(self) -> Floats:
        return self.net[self.net < 0]

    @property
    def decided(self) -> int:
        return len(self.wins) + len(self.losses)


Net = ArrayLike | Trades


def trades_metrics(net: Net) -> list[Metric]:
    """Return every figure of the trades, in the order in which they are shown.

    Counts are always defined. Raises ValueError for NaN, infinity, and anything that is not one
    row of numbers.
    """
    trades = Trades.of(net)
    return [
        total_trades(trades),
        winning_trades(trades),
        losing_trades(trades),
        breakeven_trades(trades),
        win_rate(trades),
        profit_factor(trades),
        expectancy(trades),
        average_win(trades),
        average_loss(trades),
        payoff_ratio(trades),
        best_trade(trades),
        worst_trade(trades),
        longest_winning_streak(trades),
        longest_losing_streak(trades),
        sharpe_per_trade(trades),
    ]


def total_trades(net: Net) -> Metric:
    """Return how many trades there are."""
    trades = Trades.of(net)
    return figure(identify("total_trades"), trades.n, trades.n)


def winning_trades(net: Net) -> Metric:
    """Return how many trades ended above zero."""
    trades = Trades.of(net)
    return figure(identify("winning_trades"), trades.n, len(trades.wins))


def losing_trades(net: Net) -> Metric:
    """Return how many trades ended below zero."""
    trades = Trades.of(net)
    return figure(identify("losing_trades"), trades.n, len(trades.losses))


def breakeven_trades(net: Net) -> Metric:
    """Return how many trades ended at exactly zero."""
    trades = Trades.of(net)
    return figure(identify("breakeven_trades"), trades.n, trades.n - trades.decided)


def win_rate(net: Net) -> Metric:
    """Return ``wins / (wins + losses)``; n counts both. Undefined unless a trade was decided."""
    trades, definition = Trades.of(net), identify("win_rate")
    if not trades.decided:
        return undefined(definition, 0, ALL_EVEN if trades.n else EMPTY)
    return figure(definition, trades.decided, len(trades.wins) / trades.decided)


def profit_factor(net: Net) -> Metric:
    """Return ``Σ wins / |Σ losses|``; undefined when no trade lost."""
    trades, definition = Trades.of(net), identify("profit_factor")
    if not len(trades.losses):
        return undefined(definition, trades.n, NO_LOSS if trades.n else EMPTY)
    return figure(definition, trades.n, gains_over_losses(trades.net))


def expectancy(net: Net) -> Metric:
    """Return the mean net return of a trade; undefined without trades."""
    trades, definition = Trades.of(net), identify("expectancy")
    if not trades.n:
        return undefined(definition, 0, EMPTY)
    return figure(definition, trades.n, mean(trades.net))


def average_win(net: Net) -> Metric:
    """Return the mean net return of the trades that won; n counts them."""
    trades, definition = Trades.of(net), identify("average_win")
    if not len(trades.wins):
        return undefined(definition, 0, NO_WIN if trades.n else EMPTY)
    return figure(definition, len(trades.wins), mean(trades.wins))


def average_loss(net: Net) -> Metric:
    """Return the mean net return of the trades that lost, below zero; n counts them."""
    trades, definition = Trades.of(net), identify("average_loss")
    if not len(trades.losses):
        return undefined(definition, 0, NO_LOSS if trades.n else EMPTY)
    return figure(definition, len(trades.losses), mean(trades.losses))


def payoff_ratio(net: Net) -> Metric:
    """Return ``average win / |average loss|``; needs a trade that won and one that lost."""
    trades, definition = Trades.of(net), identify("payoff_ratio")
    if not trades.n:
        return undefined(definition, 0, EMPTY)
    if not len(trades.wins) or not len(trades.losses):
        reason = NO_WIN if not len(trades.wins) else NO_LOSS
        return undefined(definition, trades.decided, reason)
    return figure(definition, trades.decided, quotient(mean(trades.wins), -mean(trades.losses)))


def best_trade(net: Net) -> Metric:
    """Return the highest net return, which may be a loss; undefined without trades."""
    trades, definition = Trades.of(net), identify("best_trade")
    if not trades.n:
        return undefined(definition, 0, EMPTY)
    return figure(definition, trades.n, float(trades.net.max()))


def worst_trade(net: Net) -> Metric:
    """Return the lowest net return, which may be a gain; undefined without trades."""
    trades, definition = Trades.of(net), identify("worst_trade")
    if not trades.n:
        return undefined(definition, 0, EMPTY)
    return figure(definition, trades.n, float(trades.net.min()))


def longest_winning_streak(net: Net) -> Metric:
    """Return the most trades in a row that won; a trade that broke even ends a streak."""
    trades = Trades.of(net)
    return figure(identify("longest_winning_streak"), trades.n, _longest(trades.net > 0))


def longest_losing_streak(net: Net) -> Metric:
    """Return the most trades in a row that lost; a trade that broke even ends a streak."""
    trades = Trades.of(net)
    return figure(identify("longest_losing_streak"), trades.n, _longest(trades.net < 0))


def sharpe_per_trade(net: Net) -> Metric:
    """Return ``mean / standard deviation`` of the net returns (ddof 1), not annualized.

    Needs two trades that vary by more than 1e-12 of the largest of them.
    """
    trades, definition = Trades.of(net), identify("sharpe_per_trade")
    if trades.n < 2:
        return undefined(definition, trades.n, TOO_FEW if trades.n else EMPTY)
    if not varies(trades.net):
        return undefined(definition, trades.n, NO_VARIATION)
    return figure(definition, trades.n, mean_over_deviation(trades.net, 1))


def _longest(marks: NDArray[np.bool_]) -> int:
    """Return the length of the longest run of true marks: the widest gap between false ones."""
    ends = np.concatenate(([-1], np.flatnonzero(~marks), [len(marks)]))
    return int(np.diff(ends).max()) - 1
