"""What an account makes of trades: its equity at the end of each day."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apps.analysis.domain.backtest import SimulatedTrade
from apps.analysis.domain.bars import Bars

DAY: Final = 86_400


class Closing(NamedTuple):
    """A trade as the account sees it: when it was over, and its net percent of the margin."""

    moment: int
    net_pct: Decimal


class EquityCurve(NamedTuple):
    """The equity at the end of each UTC day, in units of what the account began with.

    ``day`` is the start of the day in seconds since 1970; no day is left out.
    """

    day: NDArray[np.int64]
    equity: NDArray[np.float64]


def closings(trades: Iterable[SimulatedTrade], bars: Bars) -> list[Closing]:
    """Return when each trade was over: at the end of the bar in which it ended."""
    return [Closing(int(bars.start[one.exit_bar]) + bars.width, one.net_pct) for one in trades]


def equity_curve(trades: Sequence[Closing], *, stake: Decimal, start: int, end: int) -> EquityCurve:
    """Return the equity of each UTC day between two moments (seconds; ``end`` not included).

    The account begins with 1. Each trade puts up ``stake``, a share of the equity, as
    margin and multiplies the equity by 1 + stake × net_pct / 100 when it is over; open trades
    do not count before. A trade over at midnight belongs to the day that ends there, one over
    before ``start`` to the first day. Equity never falls below 0, and 0 is the end of the
    account. Trades over after the last of the days are left out. Raises ValueError unless
    ``end`` lies after ``start``.
    """
    if not start < end:
        raise ValueError("An equity curve needs some time between its start and its end.")
    day = np.arange(start // DAY * DAY, end, DAY, dtype=np.int64)
    ordered = sorted(trades, key=lambda one: one.moment)
    nets = np.array([float(one.net_pct) for one in ordered], dtype=np.float64)
    moments = np.array([one.moment for one in ordered], dtype=np.int64)
    factors = np.maximum(1 + float(stake) * nets / 100, 0.0)
    with np.errstate(over="ignore"):
        grown = np.cumprod(factors)
    # Beyond what a float can hold nothing grows, and the rest stays a number.
    grown = np.nan_to_num(grown, nan=0.0, posinf=np.finfo(np.float64).max)
    equity = np.concatenate(([1.0], grown))
    return EquityCurve(day, equity[np.searchsorted(moments, day + DAY, side="right")])


def daily_returns(curve: EquityCurve) -> NDArray[np.float64]:
    """Return each day's simple return as a fraction, one per day of the curve.

    The first is against the 1 that the account began with. Where nothing was left
    the evening before, nothing can be earned or lost: 0.
    """
    before = np.concatenate(([1.0], curve.equity[:-1]))
    result = np.zeros(curve.equity.size)
    np.divide(curve.equity - before, before, out=result, where=before > 0)
    return result
