"""Columns of the local day: since its open, within its range, from the day before."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from apps.market.domain.features.columns import ROW
from apps.market.domain.features.history import Candles, Carried
from apps.market.domain.features.zones import DAY

Column = NDArray[np.float64]
Seconds = NDArray[np.int64]


class Day(NamedTuple):
    """The last row's local day until that row, and the last close of the day before."""

    day: int
    open: float
    high: float
    low: float
    before: float


class Days(NamedTuple):
    """How rows fall into local days: each row's ``day`` (since 1970-01-01), the rows that days
    begin with and how many each has, for each row the first one of its day, and ``back``: the
    row 1, 2, 4 … before, or that first one, as far back as the longest day needs."""

    day: Seconds
    first: Seconds
    length: Seconds
    begin: Seconds
    back: tuple[Seconds, ...]

    @classmethod
    def of(cls, local: Seconds) -> Self:
        """Return the days of local times (seconds), rising."""
        day = local // DAY
        first = np.flatnonzero(day[1:] != day[:-1])
        first += 1
        first = np.concatenate(([0], first))
        length = np.diff(first, append=local.size)
        begin = np.repeat(first, length)
        rows, reach = np.arange(day.size), 1
        back = []
        while reach < length.max():
            back.append(np.maximum(rows - reach, begin))
            reach *= 2
        return cls(day, first, length, begin, tuple(back))


def fill_days_so_far(candles: Candles, days: Days, carried: Carried, out: Column) -> Day:
    """Fill the intraday columns from the day until each row; version 3.1."""
    opens, before = _opens_and_closes(candles, days)
    extremes = np.empty((2, days.day.size))
    extremes[0] = candles.high
    np.negative(candles.low, out=extremes[1])
    if carried.rows:
        until = slice(0, int(days.length[0]))
        if days.day[0] == carried.day:
            opens[until] = carried.day_open
            before[until] = carried.day_before
            extremes[0, 0] = max(extremes[0, 0], carried.day_high)
            extremes[1, 0] = max(extremes[1, 0], -carried.day_low)
        else:
            before[until] = carried.closes[-1]
    _accumulate(extremes, days)
    np.negative(extremes[1], out=extremes[1])
    _fill(candles, opens, extremes[0], extremes[1], before, out)
    return Day(
        int(days.day[-1]),
        float(opens[-1]),
        float(extremes[0, -1]),
        float(extremes[1, -1]),
        float(before[-1]),
    )


def fill_whole_days(candles: Candles, days: Days, out: Column) -> None:
    """Fill the intraday columns from the whole day, later rows too; version 3.0."""
    opens, before = _opens_and_closes(candles, days)
    high = np.repeat(np.maximum.reduceat(candles.high, days.first), days.length)
    low = np.repeat(np.minimum.reduceat(candles.low, days.first), days.length)
    _fill(candles, opens, high, low, before, out)
    out[ROW["overnight_gap"], : days.length[0]] = 0.0


def _opens_and_closes(candles: Candles, days: Days) -> tuple[Column, Column]:
    """Return the day's open and the last close of the day before, for each row."""
    before = np.take(candles.close, days.begin - 1, mode="wrap")
    before[: days.length[0]] = np.nan
    return np.take(candles.open, days.begin, mode="clip"), before


def _accumulate(extremes: Column, days: Days) -> None:
    """Turn values into the greatest of their day until each row, in place."""
    earlier = np.empty_like(extremes)
    # Windows double, and end at the day's first row: seeing a row twice changes no maximum.
    for back in days.back:
        np.take(extremes, back, axis=1, out=earlier, mode="clip")
        np.maximum(extremes, earlier, out=extremes)


def _fill(
    candles: Candles, opens: Column, high: Column, low: Column, before: Column, out: Column
) -> None:
    close = candles.close
    moved = out[ROW["returns_from_daily_open"]]
    np.subtract(close, opens, out=moved)
    moved /= opens
    out[ROW["intraday_high"]] = high
    out[ROW["intraday_low"]] = low
    span = high - low
    np.divide(span, opens, out=out[ROW["intraday_range_pct"]])
    above = close - low
    position = out[ROW["position_in_range"]]
    np.divide(above, span, out=position)
    position[span == 0] = 0.5
    np.divide(above, low, out=out[ROW["dist_from_intraday_low"]])
    below = out[ROW["dist_from_intraday_high"]]
    np.subtract(close, high, out=below)
    below /= high
    gap = out[ROW["overnight_gap"]]
    np.subtract(opens, before, out=gap)
    gap /= before
