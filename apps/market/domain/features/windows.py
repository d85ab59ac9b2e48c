"""Sums, extremes and moments over the last rows of each row, without running totals.

A running total keeps the rounding of every value that ever went through it: one huge volume
would blur all later ones. Here a window is put together from two neighbouring smaller ones
(2, 4, 8 … rows), so that each value knows only the rows of its own window, and a window of
zeros sums to zero.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]


def joined(late: Column, early: Column, width: int) -> Column:
    """Return sums of windows of ``width`` more rows than ``early`` has.

    Both hold sums of windows by the row a window ends with, the last entry being the last
    row's. ``late`` has ``width`` rows a window.
    """
    more = early.shape[-1] - width - late.shape[-1]
    total: Column
    if more > 0:
        early = early[..., more:]
    else:
        late = late[..., -more:]
    total = late + early[..., :-width]
    return total


def joined_maximum(late: Column, early: Column, back: int) -> Column:
    """Return the maxima of both windows, the early one ending ``back`` rows before."""
    size = min(late.shape[-1], early.shape[-1] - back)
    return np.maximum(late[..., late.shape[-1] - size :], early[..., -back - size : -back])


class Moments(NamedTuple):
    """Central moments of each window of ``width`` rows; the last entry is the last row's.

    ``mean`` is the distance of the window's mean from the row's own value: it keeps
    the digits that a mean of large numbers would lose. ``second``, ``third`` and ``fourth`` are
    sums of powers of the distances from the mean. Rows lie along the first axis; further axes are
    further series.
    """

    width: int
    mean: Column
    second: Column
    third: Column | None = None
    fourth: Column | None = None


def of_two(values: Column) -> Moments:
    """Return the mean and second moment of each two rows."""
    step = values[:-1] - values[1:]
    mean = 0.5 * step
    step *= mean
    return Moments(2, mean, step)


def of_three(values: Column, *, higher: bool = False) -> Moments:
    """Return the moments of each three rows, from their differences."""
    first = values[1:-1] - values[2:]
    second = values[:-2] - values[2:]
    mean = first + second
    mean *= 1 / 3
    mine = first - mean
    theirs = second - mean
    product = mine * theirs
    # The distances from the mean sum to 0: all their power sums follow from two of them.
    power = mine
    power *= mine
    theirs *= theirs
    power += theirs
    own = mean * mean
    power += own
    if not higher:
        return Moments(3, mean, power)
    product *= mean
    product *= -3
    fourth = power * power
    fourth *= 0.5
    return Moments(3, mean, power, product, fourth)


def united(values: Column, early: Moments, late: Moments) -> Moments:
    """Return mean and second moment of windows of ``early`` followed by ``late`` ones."""
    width = early.width + late.width
    size = len(values) - width + 1
    step = values[-size:] - values[-late.width - size : -late.width]
    before = early.mean[:size] - step
    after = late.mean[-size:]
    apart = before - after
    if early.width == late.width:
        before += after
        before *= 0.5
        mean = before
    else:
        mean = apart * (early.width / width)
        mean += after
    apart *= apart
    apart *= early.width * late.width / width
    apart += early.second[:size]
    apart += late.second[-size:]
    return Moments(width, mean, apart)


def doubled(values: Column, half: Moments) -> Moments:
    """Return all moments of windows twice as wide."""
    assert half.third is not None
    assert half.fourth is not None
    rows = half.width
    size = len(values) - 2 * rows + 1
    step = values[-size:] - values[-rows - size : -rows]
    before = np.subtract(half.mean[:size], step, out=step)
    after = half.mean[-size:]
    apart = after - before
    before += after
    before *= 0.5
    mean = before

    early, late = half.second[:size], half.second[-size:]
    both = early + late
    square = apart * apart
    # Third: what both have, and 3/2·d·(late − early) of the second.
    third = late - early
    third *= apart
    third *= 1.5
    third += half.third[:size]
    third += half.third[-size:]
    # Fourth: what both have, d⁴·rows/8 + 3/2·d²·(both) + 2·d·(late − early) of the third.
    fourth = square * (rows / 8)
    part = 1.5 * both
    fourth += part
    fourth *= square
    np.subtract(half.third[-size:], half.third[:size], out=part)
    part *= apart
    part *= 2
    fourth += part
    fourth += half.fourth[:size]
    fourth += half.fourth[-size:]

    square *= rows / 2
    square += both
    return Moments(2 * rows, mean, square, third, fourth)


def deviation(moments: Moments, size: int, factor: float = 1.0) -> Column:
    """Return the sample's standard deviation (ddof 1) times ``factor`` in the last rows."""
    spread = moments.second[-size:] * (factor * factor / (moments.width - 1))
    return np.sqrt(spread, out=spread)


def shape(moments: Moments, spread: Column, skew: Column, kurtosis: Column) -> None:
    """Fill skew and excess kurtosis, corrected for bias, for the last rows.

    ``spread``: the standard deviation of those rows, s. skew = n/((n−1)(n−2)) · M3/s³;
    kurtosis = n(n+1)/((n−1)(n−2)(n−3)) · M4/s⁴ − 3(n−1)²/((n−2)(n−3)). NaN where the window's
    values are all the same.
    """
    assert moments.third is not None
    assert moments.fourth is not None
    rows, size = moments.width, len(spread)
    square = spread * spread
    np.multiply(square, spread, out=skew)
    np.divide(moments.third[-size:], skew, out=skew)
    skew *= rows / ((rows - 1) * (rows - 2))
    square *= square
    np.divide(moments.fourth[-size:], square, out=kurtosis)
    scale = (rows - 1) / ((rows - 2) * (rows - 3))
    kurtosis *= scale * (rows + 1) * rows / (rows - 1) ** 2
    kurtosis -= scale * 3 * (rows - 1)
