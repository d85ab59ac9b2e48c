"""Series of candles that the tests of features are made with, and comparisons of columns."""

import os
from typing import Final

import numpy as np
from numpy.typing import NDArray

from apps.market.domain.features.columns import NUMERIC, ROW
from apps.market.domain.features.history import Candles

Column = NDArray[np.float64]

# How many random series each property is tried with.
CASES: Final = int(os.environ.get("FEATURES_CASES", "2"))
ZONE: Final = "America/New_York"
# 2024-02-26 00:00 UTC: two weeks before New York's clocks go forward.
FROM: Final = 1_708_905_600
HOUR: Final = 3600


def candles_of(start, opens, high, low, close, volume) -> Candles:
    return Candles(
        np.asarray(start, np.int64),
        *(np.asarray(column, np.float64) for column in (opens, high, low, close, volume)),
    )


def walk(seed: int, rows: int, *, price: float = 100.0, step: float = 0.005) -> Candles:
    """A random walk, hour by hour, with an hour or a night missing here and there."""
    random = np.random.default_rng(seed)
    close = price * np.exp(np.cumsum(random.normal(0, step, rows)))
    opens = np.concatenate((close[:1], close[:-1])) * np.exp(random.normal(0, step / 4, rows))
    high = np.maximum(opens, close) * (1 + abs(random.normal(0, step / 3, rows)))
    low = np.minimum(opens, close) * (1 - abs(random.normal(0, step / 3, rows)))
    apart = random.choice([1, 1, 1, 1, 1, 1, 1, 2, 15], rows)
    volume = np.exp(random.normal(12, 1, rows)).round(3)
    return candles_of(FROM + HOUR * np.cumsum(apart), opens, high, low, close, volume)


def with_stillness(candles: Candles, seed: int) -> Candles:
    """Nothing moves for 40 rows, nothing is traded for 150, and both at once for a while."""
    random = np.random.default_rng(seed)
    rows = candles.start.size
    first = int(random.integers(0, max(1, rows - 60)))
    flat, quiet = slice(first, first + 40), slice(first + 20, first + 170)
    columns = [column.copy() for column in candles[1:]]
    for column in columns[:4]:
        column[flat] = candles.close[first]
    columns[4][quiet] = 0.0
    return Candles(candles.start, *columns)


def with_leaps(candles: Candles, seed: int) -> Candles:
    """Prices leap by thousands and back, volumes by billions."""
    random = np.random.default_rng(seed)
    factor = np.repeat(random.choice([1.0, 1.0, 2.0**-10, 2.0**11], 40), 20)
    factor = np.resize(factor, candles.start.size)
    prices = [column * factor for column in candles[1:5]]
    volume = candles.volume * random.choice([1.0, 1.0, 1e-6, 1e9], candles.start.size)
    return Candles(candles.start, *prices, volume)


def every_kind(seed: int, rows: int) -> dict[str, Candles]:
    tiny = walk(seed, rows, price=1e5, step=1e-7)
    return {
        "a walk": walk(seed, rows),
        "stillness": with_stillness(walk(seed, rows), seed),
        "leaps": with_leaps(walk(seed, rows), seed),
        "tiny moves of a large price": tiny,
        "a tiny price": walk(seed, rows, price=1e-8, step=0.01),
    }


def scales(candles: Candles, expected: Column) -> Column:
    """What 1e-9 is relative to, [97, n]: the value, or the size of what cancels in it.

    A difference of two large numbers is only as exact as they are. So the averages' difference
    (MACD) is measured by the closes' distance from the first one, a mean of returns by
    the greatest of them, the price trend by the sum of its parts without their signs,
    what has no unit and crosses zero (skew, kurtosis, a position in a band) by 1.
    """
    found = np.abs(expected)
    found[~np.isfinite(found)] = 0.0
    close = candles.close
    returns = np.zeros(close.size)
    returns[1:] = np.abs(np.diff(close) / close[:-1])
    far = np.maximum.accumulate(np.abs(close - close[0]))
    parts = np.cumsum(candles.volume * returns)

    def at_least(name: str, scale: Column | float) -> None:
        np.maximum(found[ROW[name]], scale, out=found[ROW[name]])

    for name in ("macd", "macd_signal", "macd_histogram"):
        at_least(name, far)
    at_least("macd_normalized", far / close)
    at_least("price_acceleration", returns + np.concatenate(([0.0], returns[:-1])))
    for window in (6, 12, 24):
        padded = np.concatenate((np.zeros(window - 1), returns))
        view = np.lib.stride_tricks.sliding_window_view(padded, window)
        at_least(f"returns_mean_{window}h", view.max(axis=1))
        at_least(f"returns_skew_{window}h", 1.0)
        at_least(f"returns_kurt_{window}h", 1.0)
    at_least("bb_position", 1.0)
    at_least("vpt", parts)
    at_least("vpt_ma", parts)
    # Volatilities have 16 digits; where 24 of them hardly differ, fewer are left to the
    # deviation. This lets no more than the last three of the 16 be lost.
    medium = np.nan_to_num(expected[ROW["realized_vol_med"]])
    view = np.lib.stride_tricks.sliding_window_view(np.concatenate((np.zeros(23), medium)), 24)
    at_least("vol_of_vol", 1e-4 * view.max(axis=1))
    # A ratio is as exact as its denominator, and so is a root of what nearly cancels.
    average = np.abs(expected[ROW["vpt_ma"]])
    ratio = np.abs(expected[ROW["vpt_normalized"]])
    with np.errstate(divide="ignore", invalid="ignore"):
        blur = np.nan_to_num(parts / average * (1 + ratio), nan=0.0, posinf=0.0)
    at_least("vpt_normalized", blur)
    return found


def differences(candles: Candles, actual: Column, expected: Column, relative=1e-9) -> list[str]:
    """The columns in which two computations differ; empty when there are none."""
    allowed = relative * scales(candles, expected)
    unknown = np.isnan(expected)
    wrong = np.isnan(actual) != unknown
    with np.errstate(invalid="ignore"):
        wrong |= ~unknown & ~(np.abs(actual - expected) <= allowed)
    return [
        f"{NUMERIC[column]} in row {row}: {actual[column, row]!r}, not {expected[column, row]!r}"
        for column in np.flatnonzero(wrong.any(axis=1))
        for row in np.flatnonzero(wrong[column])[:1]
    ]
