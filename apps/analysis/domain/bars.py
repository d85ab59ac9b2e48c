"""Bars as columns of numbers, coarser bars made of them, and prices made exact again."""

import math
from decimal import Decimal
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apps.market.domain.candles import ORIGIN

# Nothing is said about fewer: the longest window of the indicators has to be full.
MINIMUM_BARS: Final = 60
ORIGIN_SECONDS: Final = int(ORIGIN.timestamp())


class Bars(NamedTuple):
    """One series of candles in order of time, a column per value, all columns of one length.

    ``start`` is in seconds since 1970 (UTC) and rises strictly; bars may be missing between
    two others. ``width`` is what one bar lasts, in seconds: a bar is known at start + width.
    """

    start: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    width: int


def checked(bars: Bars) -> Bars:
    """Return the bars with columns of the right types, or raise ValueError.

    Everything here relies on it: finite prices above zero with open and close between low and
    high, a finite volume that is not negative, starts that rise.
    """
    start = np.ascontiguousarray(bars.start, dtype=np.int64)
    open_, high, low, close, volume = (
        np.ascontiguousarray(column, dtype=np.float64) for column in bars[1:6]
    )
    if start.ndim != 1 or any(
        column.shape != start.shape for column in (open_, high, low, close, volume)
    ):
        raise ValueError("The columns of bars must be of one length.")
    if bars.width <= 0:
        raise ValueError("A bar must last some seconds.")
    if (np.diff(start) < bars.width).any():
        raise ValueError("Bars must stand in order of time and must not overlap.")
    # Written so that a value that is no number fails every comparison.
    good = (low > 0) & (low <= open_) & (open_ <= high) & (low <= close) & (close <= high)
    good &= (high < np.inf) & (volume >= 0) & (volume < np.inf)
    if not good.all():
        where = int(np.argmin(good))
        raise ValueError(f"Bar {where} has values that no candle can have.")
    return Bars(start, open_, high, low, close, volume, bars.width)


def resampled(bars: Bars, width: int) -> Bars:
    """Return whole bars of ``width`` seconds, on the grid of candles (weeks begin on Monday).

    Open of the first, highest high, lowest low, close of the last, volume summed. Intervals
    without a bar stay empty. Left out are the first interval when the series begins in its
    middle, and the last one while it has not ended. Raises ValueError where whole bars do not
    add up to ``width``.
    """
    if width == bars.width:
        return bars
    if width < bars.width or width % bars.width:
        raise ValueError(f"Bars of {bars.width} s do not add up to {width} s.")
    number = (bars.start - ORIGIN_SECONDS) // width
    first = np.flatnonzero(np.diff(number, prepend=number[:1] - 1))
    after = np.append(first[1:], number.size)
    starts = number[first] * width + ORIGIN_SECONDS
    if first.size and bars.start[-1] + bars.width < starts[-1] + width:
        first, after, starts = first[:-1], after[:-1], starts[:-1]
    if first.size and bars.start[0] > starts[0]:
        first, after, starts = first[1:], after[1:], starts[1:]
    if not first.size:
        none = np.empty(0)
        return Bars(starts, none, none, none, none, none, width)
    # reduceat runs its last group to the end of what it is given.
    until = after[-1]
    return Bars(
        starts,
        bars.open[first],
        np.maximum.reduceat(bars.high[:until], first),
        np.minimum.reduceat(bars.low[:until], first),
        bars.close[after - 1],
        np.add.reduceat(bars.volume[:until], first),
        width,
    )


def exact(value: float) -> Decimal:
    """Return the shortest decimal that is this float: what was stored, up to 15 digits.

    >>> exact(0.1)
    Decimal('0.1')

    Raises ValueError for what is no number.
    """
    if not math.isfinite(value):
        raise ValueError("Only a finite number has digits.")
    return Decimal(repr(float(value)))
