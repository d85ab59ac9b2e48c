"""The feature columns of one new candle of each of many series, from their last rows."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from apps.market.domain.features.columns import CALENDAR, LAGS, ROW
from apps.market.domain.features.momentum import (
    FAST,
    LEAST,
    RSI_WINDOWS,
    SIGNAL,
    SLOW,
    SMOOTH,
    weights,
)
from apps.market.domain.features.prices import BAND, LONG, MEDIUM, RANGE, SHORT
from apps.market.domain.features.returns import ANNUAL, GARMAN_KLASS
from apps.market.domain.features.volumes import FLOW, WINDOW
from apps.market.domain.features.windows import (
    deviation,
    doubled,
    of_three,
    shape,
    united,
)
from apps.market.domain.features.zones import fill_calendar

Column = NDArray[np.float64]
Counts = NDArray[np.int64]

_CALENDAR = slice(ROW[CALENDAR[0]], ROW[CALENDAR[0]] + len(CALENDAR))


class Last(NamedTuple):
    """The last rows of many series, the new candle's being the last: rows first, [T, S].

    ``close`` [146], ``volume`` [144], ``open``, ``high``, ``low`` [24], NaN where a series has
    no such row. ``total``: sums of 480 closes, or of as many as there are. ``rows``: how many
    candles each series has, the new one among them.
    """

    rows: Counts
    total: Column
    open: Column
    high: Column
    low: Column
    close: Column
    volume: Column


class Averages(NamedTuple):
    """The exponential averages' numerators, [S] each; as the fields of ``Carried``."""

    reference: Column
    fast: Column
    slow: Column
    signal: Column
    gain: Column
    move: Column


class Memory(NamedTuple):
    """What is carried without end, [S] each; as the fields of ``Carried``."""

    reference: Column
    fast: Column
    slow: Column
    signal: Column
    gain: Column
    move: Column
    day_open: Column
    day_high: Column
    day_low: Column
    day_before: Column


def fill_moment(
    last: Last,
    trends: Column,
    memory: Memory,
    days: tuple[Counts, Counts],
    local: Counts,
    out: Column,
) -> tuple[Memory, Column]:
    """Fill the columns [97, S]; give back what is carried on and the new volume price trend [S].

    ``trends``: the trend of the 24 rows before the new one, [24, S]. ``days``: the local
    days of the candle before (any, where there is none) and of the new one; ``local``: local
    seconds of the new one.
    """
    # Returns of the last 145 rows, the first of them NaN-free only in a long series.
    moves = last.close[1:] - last.close[:-1]
    returns = moves / last.close[:-1]
    _fill_candle(last, out)
    _fill_averages(last, out)
    _fill_returns(last, returns, out)
    _fill_ranges(last, out)
    trend = _fill_volumes(last, returns[-1], trends, out)
    fill_calendar(local, out[_CALENDAR])
    # The first candle neither rose nor fell, and began the averages.
    first = last.rows == 1
    recent = moves[-max(RSI_WINDOWS.values()) :]
    beginning = np.arange(recent.shape[0])[:, None] == recent.shape[0] - last.rows
    recent[beginning] = 0.0
    averages = _fill_averaged(last, first, recent[-1], memory, out)
    _fill_strength(recent, out)
    return _fill_day(last, first, memory, averages, days, out), trend


def _fill_candle(last: Last, out: Column) -> None:
    opens, high, low, close = (
        column[-1] for column in (last.open, last.high, last.low, last.close)
    )
    out[ROW["open"]], out[ROW["high"]], out[ROW["low"]], out[ROW["close"]] = (
        opens,
        high,
        low,
        close,
    )
    out[ROW["high_low_pct"]] = (high - low) / close
    out[ROW["open_close_pct"]] = (close - opens) / opens


def _fill_averages(last: Last, out: Column) -> None:
    close, rows = last.close[-1], last.rows
    short, medium = (
        np.nansum(last.close[-window:], axis=0) / np.minimum(rows, window)
        for window in (SHORT, MEDIUM)
    )
    long = last.total / np.minimum(rows, LONG)
    for name, average in (("short", short), ("med", medium), ("long", long)):
        out[ROW[f"price_ma_{name}"]] = average
        out[ROW[f"price_to_ma_{name}"]] = close / average
    out[ROW["ma_short_to_med"]] = short / medium
    out[ROW["ma_med_to_long"]] = medium / long

    # Distances from the close keep the digits of tiny moves; those of missing rows are NaN.
    distance = last.close[-BAND:] - close
    count = np.minimum(rows, BAND)
    apart = np.nansum(distance, axis=0) / count
    distance -= apart
    distance *= distance
    reach = 2 * np.sqrt(np.nansum(distance, axis=0) / (count - 1))
    middle = close + apart
    out[ROW["bb_upper"]] = middle + reach
    out[ROW["bb_lower"]] = middle - reach
    out[ROW["bb_position"]] = (reach - apart) / (2 * reach)
    out[ROW["bb_squeeze"]] = 2 * reach / middle


def _fill_returns(last: Last, returns: Column, out: Column) -> None:
    new = returns[-1]
    out[ROW["returns"]] = new
    out[ROW["log_returns"]] = np.where(new <= -1, np.nan, np.log1p(new))
    out[ROW["price_acceleration"]] = new - returns[-2]
    out[ROW["returns_sign"]] = np.sign(new)
    out[ROW["returns_squared"]] = new * new
    # A day of each of the last 24 rows, for the volatility of the volatility.
    two_days = returns[-47:]
    six = doubled(two_days, of_three(two_days, higher=True))
    twelve = doubled(two_days, six)
    day = doubled(two_days, twelve)
    for moments in (six, twelve, day):
        window = f"{moments.width}h"
        spread = deviation(moments, 1)
        out[ROW[f"returns_mean_{window}"]] = new + moments.mean[-1]
        out[ROW[f"returns_std_{window}"]] = spread[0]
        skew, kurtosis = (out[ROW[f"returns_{name}_{window}"]][None] for name in ("skew", "kurt"))
        shape(moments, spread, skew, kurtosis)
        then = last.close[-1 - moments.width]
        out[ROW[f"price_momentum_{window}"]] = (last.close[-1] - then) / then
    short, medium = ANNUAL * deviation(twelve, 25), ANNUAL * deviation(day, 24)
    out[ROW["realized_vol_short"]] = short[-1]
    out[ROW["realized_vol_med"]] = medium[-1]
    for lag in LAGS:
        out[ROW[f"returns_lag_{lag}"]] = returns[-1 - lag]
        out[ROW[f"vol_lag_{lag}"]] = short[-1 - lag]
    distance = returns[-MEDIUM:] - returns[-MEDIUM:].mean(axis=0)
    distance *= distance
    out[ROW["realized_vol_long"]] = ANNUAL * np.sqrt(distance.sum(axis=0) / (MEDIUM - 1))
    changes = of_three(medium)
    for _doubling in range(3):
        changes = united(medium, changes, changes)
    out[ROW["vol_of_vol"]] = deviation(changes, 1)[0]
    ranges = np.log1p((last.high - last.low) / last.low)
    bodies = np.log1p((last.close[-24:] - last.open) / last.open)
    total = (0.5 * ranges * ranges - GARMAN_KLASS * bodies * bodies).sum(axis=0)
    out[ROW["gk_volatility"]] = np.sqrt(total)


def _fill_ranges(last: Last, out: Column) -> None:
    close = last.close[-1]
    high, low = last.high[-RANGE:], last.low[-RANGE:]
    # fmax, fmin and nansum pass over what is missing: the first candle has none before it.
    before = last.close[-RANGE - 1 : -1]
    ranges = np.fmax(high, before) - np.fmin(low, before)
    average = np.nansum(ranges, axis=0) / np.minimum(last.rows, RANGE)
    out[ROW["atr"]] = average
    out[ROW["atr_normalized"]] = average / close
    highest, lowest = np.fmax.reduce(high, axis=0), np.fmin.reduce(low, axis=0)
    out[ROW["williams_r"]] = (close - highest) / (highest - lowest) * 100


def _fill_volumes(last: Last, new: Column, trends: Column, out: Column) -> Column:
    volume = last.volume[-1]
    out[ROW["volume"]] = volume
    out[ROW["log_volume"]] = np.log1p(volume)
    for lag in (0, *LAGS):
        end = last.volume.shape[0] - lag
        average = last.volume[end - WINDOW : end].mean(axis=0)
        ratio = last.volume[end - 1] / average
        if lag:
            out[ROW[f"volume_ratio_lag_{lag}"]] = ratio
        else:
            out[ROW["volume_ma"]], out[ROW["volume_ratio"]] = average, ratio
    trend: Column = np.where(last.rows == 2, 0.0, trends[-1]) + volume * new
    average = (trends[1:].sum(axis=0) + trend) / 24
    out[ROW["vpt"]], out[ROW["vpt_ma"]] = trend, average
    out[ROW["vpt_normalized"]] = trend / np.where(average == 0, np.nan, average)

    typical = (last.high + last.low + last.close[-24:]) / 3
    typical = typical[-FLOW - 1 :]
    money = typical[1:] * last.volume[-FLOW:]
    # What is missing has not risen; the money flow is known from the 14th row on.
    positive = np.where(typical[1:] > typical[:-1], money, 0.0).sum(axis=0)
    negative = np.where(typical[1:] < typical[:-1], money, 0.0).sum(axis=0)
    flow = 100 * positive / (positive + negative + LEAST)
    out[ROW["mfi"]] = np.where(last.rows >= FLOW, flow, np.nan)
    return trend


def _fill_averaged(
    last: Last, first: NDArray[np.bool_], move: Column, memory: Memory, out: Column
) -> Averages:
    close, rows = last.close[-1], last.rows
    reference = np.where(first, close, memory.reference)
    distance = close - reference
    fast = memory.fast + (distance - memory.fast) * (2 / (FAST + 1))
    slow = memory.slow + (distance - memory.slow) * (2 / (SLOW + 1))
    macd = fast / weights(FAST, rows) - slow / weights(SLOW, rows)
    signal = memory.signal + (macd - memory.signal) * (2 / (SIGNAL + 1))
    smooth = signal / weights(SIGNAL, rows)
    out[ROW["macd"]], out[ROW["macd_signal"]] = macd, smooth
    out[ROW["macd_histogram"]] = macd - smooth
    out[ROW["macd_normalized"]] = macd / close
    gain = memory.gain + (np.maximum(move, 0.0) - memory.gain) * (2 / (SMOOTH + 1))
    both = memory.move + (np.abs(move) - memory.move) * (2 / (SMOOTH + 1))
    out[ROW["rsi_ema"]] = 100 * gain / (both + LEAST)
    return Averages(reference, fast, slow, signal, gain, both)


def _fill_strength(moves: Column, out: Column) -> None:
    gains, both = np.maximum(moves, 0.0), np.abs(moves)
    for name, window in RSI_WINDOWS.items():
        gain, move = gains[-window:].sum(axis=0), both[-window:].sum(axis=0)
        out[ROW[name]] = 100 * gain / (move + LEAST * window)


def _fill_day(
    last: Last,
    first: NDArray[np.bool_],
    memory: Memory,
    averages: Averages,
    days: tuple[Counts, Counts],
    out: Column,
) -> Memory:
    high, low, close = last.high[-1], last.low[-1], last.close[-1]
    same = ~first & (days[0] == days[1])
    opens = np.where(same, memory.day_open, last.open[-1])
    high = np.where(same, np.maximum(high, memory.day_high), high)
    low = np.where(same, np.minimum(low, memory.day_low), low)
    before = np.where(same, memory.day_before, last.close[-2])
    out[ROW["returns_from_daily_open"]] = (close - opens) / opens
    out[ROW["intraday_high"]], out[ROW["intraday_low"]] = high, low
    out[ROW["intraday_range_pct"]] = (high - low) / opens
    out[ROW["position_in_range"]] = np.where(high == low, 0.5, (close - low) / (high - low))
    out[ROW["overnight_gap"]] = (opens - before) / before
    out[ROW["dist_from_intraday_high"]] = (close - high) / high
    out[ROW["dist_from_intraday_low"]] = (close - low) / low
    return Memory(
        reference=averages.reference,
        fast=averages.fast,
        slow=averages.slow,
        signal=averages.signal,
        gain=averages.gain,
        move=averages.move,
        day_open=opens,
        day_high=high,
        day_low=low,
        day_before=before,
    )
