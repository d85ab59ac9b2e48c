"""Columns that follow from the returns: volatility, their moments, lags."""

import numpy as np
from numpy.typing import NDArray

from apps.market.domain.features.columns import LAGS, ROW
from apps.market.domain.features.history import CLOSES, ROWS, VOLUMES, Block
from apps.market.domain.features.windows import (
    Moments,
    deviation,
    doubled,
    joined,
    of_three,
    shape,
    united,
)

Column = NDArray[np.float64]

ANNUAL = 24**0.5
GARMAN_KLASS = 2 * np.log(2) - 1


def fill_returns(block: Block, out: Column) -> Column:
    """Fill what follows from the returns; give back the returns, 144 rows before the block's.

    A return is (c − c₋₁)/c₋₁, its logarithm ln(1 + r): both keep the digits of a
    tiny move, which a ratio near 1 would lose.
    """
    size = block.size
    closes = block.close[CLOSES - VOLUMES - 1 :]
    returns = closes[1:] - closes[:-1]
    returns /= closes[:-1]
    recent = returns[VOLUMES:]
    out[ROW["returns"]] = recent
    logarithms = out[ROW["log_returns"]]
    np.log1p(recent, out=logarithms)
    # A price that has lost more than the digits of a float can tell.
    logarithms[recent <= -1] = np.nan
    np.subtract(recent, returns[VOLUMES - 1 : -1], out=out[ROW["price_acceleration"]])
    np.sign(recent, out=out[ROW["returns_sign"]])
    np.multiply(recent, recent, out=out[ROW["returns_squared"]])
    for lag in LAGS:
        out[ROW[f"returns_lag_{lag}"]] = returns[VOLUMES - lag : returns.size - lag]

    six = doubled(returns, of_three(returns, higher=True))
    twelve = doubled(returns, six)
    day = doubled(returns, twelve)
    _fill_moments(recent, six, out)
    hours_12, hours_24 = _fill_moments(recent, twelve, out), _fill_moments(recent, day, out)
    _fill_volatility(hours_12, hours_24, out)
    two_days = united(returns, day, day)
    four_days = united(returns, two_days, two_days)
    five_days = united(returns, day, four_days)
    out[ROW["realized_vol_long"]] = deviation(five_days, size, ANNUAL)
    _fill_garman_klass(block, out)
    _fill_momentum(block, size, out)
    return returns


def _fill_moments(recent: Column, moments: Moments, out: Column) -> Column:
    """Fill the moments of a window; give back the deviation, 24 rows before the block's."""
    size, window = recent.size, f"{moments.width}h"
    np.add(recent, moments.mean[-size:], out=out[ROW[f"returns_mean_{window}"]])
    spread = deviation(moments, size + ROWS)
    out[ROW[f"returns_std_{window}"]] = spread[ROWS:]
    shape(
        moments,
        spread[ROWS:],
        out[ROW[f"returns_skew_{window}"]],
        out[ROW[f"returns_kurt_{window}"]],
    )
    return spread


def _fill_momentum(block: Block, size: int, out: Column) -> None:
    for window in (6, 12, 24):
        then = block.close[CLOSES - window : -window]
        momentum = out[ROW[f"price_momentum_{window}h"]]
        np.subtract(block.close[CLOSES:], then, out=momentum)
        momentum /= then


def _fill_volatility(hours_12: Column, hours_24: Column, out: Column) -> None:
    short, medium = ANNUAL * hours_12, ANNUAL * hours_24
    out[ROW["realized_vol_short"]] = short[ROWS:]
    for lag in LAGS:
        out[ROW[f"vol_lag_{lag}"]] = short[ROWS - lag : short.size - lag]
    out[ROW["realized_vol_med"]] = medium[ROWS:]
    changes = of_three(medium)
    for _doubling in range(3):
        changes = united(medium, changes, changes)
    out[ROW["vol_of_vol"]] = deviation(changes, medium.size - ROWS)


def _fill_garman_klass(block: Block, out: Column) -> None:
    ranges = block.high - block.low
    ranges /= block.low
    np.log1p(ranges, out=ranges)
    ranges *= ranges
    ranges *= 0.5
    bodies = block.close[CLOSES - ROWS :] - block.open
    bodies /= block.open
    np.log1p(bodies, out=bodies)
    bodies *= bodies
    bodies *= GARMAN_KLASS
    ranges -= bodies
    two = joined(ranges, ranges, 1)
    four = joined(two, two, 2)
    eight = joined(four, four, 4)
    total = joined(eight, joined(eight, eight, 8), 8)[-block.size :]
    # √(mean of 24 · 24): the two cancel. A negative sum has no root: not known.
    np.sqrt(total, out=out[ROW["gk_volatility"]])
