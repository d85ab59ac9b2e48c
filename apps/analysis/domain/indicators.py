"""What is known of a market at the close of each bar: levels, trend, and parts of a score."""

from typing import Final, NamedTuple

import numpy as np
import talib
from numpy.typing import NDArray

from apps.analysis.domain.bars import MINIMUM_BARS, Bars

Column = NDArray[np.float64]

FAST, SLOW = 20, 50
# The windows, in bars, whose extremes are the levels and the levels behind them.
NEAR: Final = 20
FAR: Final = MINIMUM_BARS
RANGE, STRENGTH = 14, 14
# Lows this close to a support touch it (in average true ranges); so many are full strength.
TOUCH: Final = 0.25
TOUCHES: Final = 5
# How far the averages lie apart, in average true ranges, in a trend and in a strong one.
TRENDING: Final = 0.5
STRONGLY: Final = 1.5

TREND_NAMES: Final = {
    2: "STRONG_BULLISH",
    1: "BULLISH",
    0: "SIDEWAYS",
    -1: "BEARISH",
    -2: "STRONG_BEARISH",
}


class Indicators(NamedTuple):
    """One value per bar in each column, from that bar and those before it, never a later one.

    All columns but ``close`` and ``trend`` are NaN for the first 59 bars.

    ``ema_fast``, ``ema_slow``: exponential averages of 20 and 50 closes. ``rsi``: relative
    strength of 14 bars, 0 to 100; 50 where 20 bars did not move. ``macd_histogram``: MACD
    (12, 26) less its signal (9). ``atr``: average true range of 14 bars. All but the rsi in
    units of price.

    ``support``, ``resistance``: the lowest low and highest high of 20 bars. ``next_support``,
    ``next_resistance``: those of 60 bars where they lie beyond, else NaN. A strength is
    the number of lows (highs) of 60 bars within 0.25 atr of the level, 5 and more being 1.

    ``volatility_pct``: atr in percent of the close. ``trend``: −2 … 2, by the distance of
    ema_fast from ema_slow: a trend from 0.5 atr, a strong one from 1.5 (0 while warming up).

    The parts of a score, each 0 to 1, are definitions of this product:
    ``trend_part`` 0.5 for equal averages, 1 when ema_fast lies 2 atr above ema_slow.
    ``momentum_part`` half the rsi between 30 and 70, half the macd_histogram between −0.5 and
    0.5 atr. ``reversion_part`` 1 for a close 2 atr below ema_fast, 0 for one 2 atr above.
    ``breakout_part`` where the close lies between support (0) and resistance (1).
    ``volume_part`` the volume in units of twice its exponential average of 20 bars; 0.5 where
    nothing has been traded. ``room_part`` how much of the range of 60 bars lies above the
    close. ``strength_part`` the support's strength.
    """

    close: Column
    ema_fast: Column
    ema_slow: Column
    rsi: Column
    macd_histogram: Column
    atr: Column
    support: Column
    next_support: Column
    resistance: Column
    next_resistance: Column
    support_strength: Column
    resistance_strength: Column
    volatility_pct: Column
    trend: NDArray[np.int8]
    trend_part: Column
    momentum_part: Column
    reversion_part: Column
    breakout_part: Column
    volume_part: Column
    room_part: Column
    strength_part: Column


def compute(bars: Bars) -> Indicators:
    """Return the indicators of the bars; of fewer than ``MINIMUM_BARS`` nothing is known."""
    size = bars.close.size
    if size < MINIMUM_BARS:
        unknown = np.full(size, np.nan)
        columns = dict.fromkeys(Indicators._fields, unknown)
        return Indicators(**{**columns, "close": bars.close, "trend": np.zeros(size, np.int8)})
    # TA-Lib takes what is below 1e-14 for zero. A power of two brings any price near 1 and
    # loses no digit; it is the first close's, so that later bars change nothing before them.
    scale = np.ldexp(1.0, -int(np.frexp(bars.close[0])[1]))
    high, low, close = bars.high * scale, bars.low * scale, bars.close * scale
    ema_fast, ema_slow = talib.EMA(close, FAST), talib.EMA(close, SLOW)
    atr = talib.ATR(high, low, close, RANGE)
    histogram = talib.MACD(close, 12, 26, 9)[2]
    near_low, near_high = talib.MIN(low, NEAR), talib.MAX(high, NEAR)
    far_low, far_high = talib.MIN(low, FAR), talib.MAX(high, FAR)
    rsi = np.where(near_high > near_low, talib.RSI(close, STRENGTH), 50.0)
    apart = _ratio(ema_fast - ema_slow, atr)
    support_strength = _strength(low, near_low, atr)
    usual = talib.EMA(bars.volume, FAST)

    momentum = _between((rsi - 30) / 40) + _between(0.5 + _ratio(histogram, atr))
    columns = {
        "ema_fast": ema_fast / scale,
        "ema_slow": ema_slow / scale,
        "rsi": rsi,
        "macd_histogram": histogram / scale,
        "atr": atr / scale,
        "support": near_low / scale,
        "next_support": np.where(far_low < near_low, far_low, np.nan) / scale,
        "resistance": near_high / scale,
        "next_resistance": np.where(far_high > near_high, far_high, np.nan) / scale,
        "support_strength": support_strength,
        "resistance_strength": _strength(high, near_high, atr),
        "volatility_pct": 100 * atr / close,
        "trend_part": _between(0.5 + apart / 4),
        "momentum_part": momentum / 2,
        "reversion_part": _between(0.5 - _ratio(close - ema_fast, atr) / 4),
        "breakout_part": _ratio(close - near_low, near_high - near_low, otherwise=0.5),
        "volume_part": _between(_ratio(bars.volume, usual, otherwise=1.0) / 2),
        "room_part": _ratio(far_high - close, far_high - far_low, otherwise=0.5),
        "strength_part": support_strength,
    }
    for column in columns.values():
        column[: MINIMUM_BARS - 1] = np.nan
    return Indicators(close=bars.close, trend=_trend(apart), **columns)


def trend_name(trend: int) -> str:
    """Return the name of a value of ``Indicators.trend``."""
    return TREND_NAMES[int(trend)]


def _trend(apart: Column) -> NDArray[np.int8]:
    levels = [-STRONGLY, -TRENDING, TRENDING, STRONGLY]
    trend = (np.digitize(apart, levels) - 2).astype(np.int8)
    trend[: MINIMUM_BARS - 1] = 0
    return trend


def _strength(extremes: Column, level: Column, atr: Column) -> Column:
    """Return how often the last bars came close to each bar's level, as a share of enough."""
    touched = np.zeros(level.size, np.int16)
    lower, upper = level - TOUCH * atr, level + TOUCH * atr
    # One step per bar of the window, over all bars at once.
    for back in range(FAR):
        then = extremes[: extremes.size - back]
        touched[back:] += (then >= lower[back:]) & (then <= upper[back:])
    return np.minimum(touched / TOUCHES, 1.0)


def _between(values: Column) -> Column:
    return np.clip(values, 0.0, 1.0)


def _ratio(above: Column, below: Column, *, otherwise: float = 0.0) -> Column:
    """Divide; ``otherwise`` where there is nothing to divide by."""
    result = np.full(above.size, otherwise)
    np.divide(above, below, out=result, where=below > 0)
    return result


# --- Together with Bitcoin ----------------------------------------------------------------


def aligned_close(bars: Bars, other: Bars) -> Column:
    """Return the other series' close of the bar with the same start; NaN where it has none."""
    found = np.full(bars.start.size, np.nan)
    if other.start.size:
        at = np.minimum(np.searchsorted(other.start, bars.start), other.start.size - 1)
        same = other.start[at] == bars.start
        found[same] = other.close[at[same]]
    return found


def bar_returns(close: Column) -> Column:
    """Return each close's simple return from the one before it, as a fraction.

    The first is NaN; so is one whose close, or the close before it, is NaN.
    """
    returns = np.full(close.size, np.nan)
    returns[1:] = close[1:] / close[:-1] - 1
    return returns


def btc_correlation(returns: Column, btc_returns: Column, window: int = FAR) -> Column:
    """Return Pearson's correlation of the last ``window`` pairs of returns, −1 to 1, per bar.

    The two are aligned on time: one pair per bar, NaN where a side does not know its own. A
    value is NaN where the window is not full yet, where fewer than half of its pairs
    are known, or where a side did not move. Raises ValueError for columns of different length
    or a window of less than 3 bars.
    """
    if returns.shape != btc_returns.shape:
        raise ValueError("Returns must be aligned on time: one pair per bar.")
    if window < 3:
        raise ValueError("A correlation needs a window of at least 3 bars.")
    found = np.full(returns.size, np.nan)
    known = ~(np.isnan(returns) | np.isnan(btc_returns))
    pairs = np.lib.stride_tricks.sliding_window_view
    if returns.size < window:
        return found
    mine, theirs, valid = (
        pairs(column, window)
        for column in (np.where(known, returns, 0.0), np.where(known, btc_returns, 0.0), known)
    )
    # Block by block: all windows at once would take a hundred times the memory of the series.
    for begin in range(0, valid.shape[0], 4096):
        block = slice(begin, begin + 4096)
        end = min(begin + 4096, valid.shape[0])
        found[begin + window - 1 : end + window - 1] = _correlations(
            mine[block], theirs[block], valid[block]
        )
    return found


def _correlations(mine: Column, theirs: Column, valid: NDArray[np.bool_]) -> Column:
    """Correlate row by row, over what is valid of each row."""
    count = valid.sum(axis=1)
    divisor = np.maximum(count, 1)
    x = np.where(valid, mine - (mine.sum(axis=1) / divisor)[:, None], 0.0)
    y = np.where(valid, theirs - (theirs.sum(axis=1) / divisor)[:, None], 0.0)
    # What rounding leaves of a constant is no movement.
    still = (np.abs(x).max(axis=1) <= 1e-12 * np.abs(mine).max(axis=1)) | (
        np.abs(y).max(axis=1) <= 1e-12 * np.abs(theirs).max(axis=1)
    )
    both = np.sqrt((x * x).sum(axis=1)) * np.sqrt((y * y).sum(axis=1))
    defined = (2 * count >= mine.shape[1]) & ~still & (both > 0)
    result = np.full(count.size, np.nan)
    np.divide((x * y).sum(axis=1), both, out=result, where=defined)
    return np.clip(result, -1.0, 1.0)
