"""The feature columns of one series: all rows at once, or block by block."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from apps.market.domain.features.columns import CALENDAR, NUMERIC, ROW
from apps.market.domain.features.history import (
    CLOSES,
    ROWS,
    VOLUMES,
    Block,
    Candles,
    Carried,
    check_times,
    check_values,
)
from apps.market.domain.features.intraday import Days, fill_days_so_far, fill_whole_days
from apps.market.domain.features.momentum import fill_momentum
from apps.market.domain.features.prices import fill_prices
from apps.market.domain.features.returns import fill_returns
from apps.market.domain.features.versions import definition
from apps.market.domain.features.volumes import fill_volumes
from apps.market.domain.features.zones import fill_calendar, local_dates, local_seconds

__all__ = ["Candles", "Carried", "begin", "compute", "local_dates", "resume"]

Column = NDArray[np.float64]
Seconds = NDArray[np.int64]

# So many rows at once: fewer, and the calls cost more than the arithmetic; more, and what is
# computed on the way no longer stays in the processor's cache.
BLOCK = 16_384
_CALENDAR = slice(ROW[CALENDAR[0]], ROW[CALENDAR[0]] + len(CALENDAR))


def compute(candles: Candles, *, version: str, zone: str, out: Column | None = None) -> Column:
    """Return the columns of ``NUMERIC`` for each candle: float64 [97, n], NaN = not known.

    Hours and days are local to ``zone``. ``out`` is filled and returned when given. Nothing is
    infinite: what would be divided by zero is not known. Each row of a causal version follows
    from its candle and those before it, bit for bit.

    Raises ValueError for an unknown version or zone, candles out of order, prices
    that are not positive (1e-30 … 1e30), a high or low that does not enclose open and close,
    negative volumes, anything not finite, an ``out`` of another shape.
    """
    found = definition(version)
    checked = check_values(candles)
    check_times(checked.start, None)
    filled, _carried = _run(Carried.nothing(zone), checked, out)
    if not found.causal and checked.start.size:
        with np.errstate(all="ignore"):
            days = Days.of(local_seconds(checked.start, zone))
            fill_whole_days(checked, days, filled)
    return filled


def resume(
    carried: Carried,
    candles: Candles,
    *,
    version: str,
    zone: str,
    out: Column | None = None,
) -> tuple[Column, Carried]:
    """Return the columns of a later block of a series, and what its next block needs.

    As ``compute`` over the whole series would, to the last few bits of a float. Raises ValueError
    as ``compute`` does, and for a version that is not causal, another zone than the one
    carried, or candles that are not later than those carried.
    """
    _refuse_look_ahead(version)
    if zone != carried.zone:
        raise ValueError(f"This series was begun in {carried.zone!r}, not in {zone!r}.")
    checked = check_values(candles)
    check_times(checked.start, carried.last if carried.rows else None)
    return _run(carried, checked, out)


def begin(candles: Candles, *, version: str, zone: str) -> Carried:
    """Return what is carried after the candles of a whole series; raises as ``resume`` does."""
    return resume(Carried.nothing(zone), candles, version=version, zone=zone)[1]


def _refuse_look_ahead(version: str) -> None:
    if not definition(version).causal:
        raise ValueError(f"Version {version} looks ahead: a series cannot be carried on in it.")


class _Times(NamedTuple):
    """What follows from the starts of a block alone."""

    zone: str
    start: Seconds
    calendar: Column
    days: Days


# The block before, at most: one symbol after another has the same hours.
_latest: list[_Times] = []


def _times(start: Seconds, zone: str) -> _Times:
    for latest in list(_latest):
        if latest.zone == zone and np.array_equal(latest.start, start):
            return latest
    local = local_seconds(start, zone)
    calendar = np.empty((len(CALENDAR), start.size))
    fill_calendar(local, calendar)
    found = _Times(zone, start.copy(), calendar, Days.of(local))
    _latest[:] = [found]
    return found


def _run(carried: Carried, candles: Candles, out: Column | None) -> tuple[Column, Carried]:
    size = candles.start.size
    if out is None:
        out = np.empty((len(NUMERIC), size))
    elif out.shape != (len(NUMERIC), size) or out.dtype != np.float64:
        raise ValueError(f"The columns need float64 [{len(NUMERIC)}, {size}] to be filled.")
    with np.errstate(all="ignore"):
        for first in range(0, size, BLOCK):
            last = min(first + BLOCK, size)
            carried = _fill(carried, candles.part(first, last), out[:, first:last])
    return out, carried


def _fill(carried: Carried, candles: Candles, out: Column) -> Carried:
    block = Block.behind(carried, candles)
    fill_prices(block, out)
    returns = fill_returns(block, out)
    trend = fill_volumes(block, returns, carried.trends, out)
    averages = fill_momentum(block, carried, out)
    times = _times(candles.start, carried.zone)
    out[_CALENDAR] = times.calendar
    day = fill_days_so_far(candles, times.days, carried, out)
    return Carried(
        zone=carried.zone,
        rows=carried.rows + block.size,
        last=int(candles.start[-1]),
        day=day.day,
        reference=averages.reference,
        fast=averages.fast,
        slow=averages.slow,
        signal=averages.signal,
        gain=averages.gain,
        move=averages.move,
        day_open=day.open,
        day_high=day.high,
        day_low=day.low,
        day_before=day.before,
        closes=block.close[-CLOSES:].copy(),
        volumes=block.volume[-VOLUMES:].copy(),
        opens=block.open[-ROWS:].copy(),
        highs=block.high[-ROWS:].copy(),
        lows=block.low[-ROWS:].copy(),
        trends=trend[-ROWS:].copy(),
    )
