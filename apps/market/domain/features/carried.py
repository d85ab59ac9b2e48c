"""Series carried on from bytes: one new candle for each of many series at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from apps.market.domain.features.columns import NUMERIC
from apps.market.domain.features.compute import begin
from apps.market.domain.features.history import (
    CLOSES,
    VOLUMES,
    Candles,
    Carried,
    check_values,
)
from apps.market.domain.features.layout import (
    CANDLE_BYTES,
    HEAD,
    LAYOUT,
    STATE,
    TAIL,
    TAIL_EVERY,
    WINDOWS,
    checks,
    refuse_foreign,
    windows,
    zone_digests,
)
from apps.market.domain.features.moment import Last, Memory, fill_moment
from apps.market.domain.features.zones import DAY, FIRST_SECOND, LAST_SECOND, local_each

__all__ = ["TAIL_EVERY", "Carried", "States", "advance", "begin", "to_bytes", "unpack"]

Column = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class States:
    """Many series, each after its own number of candles; the fields of ``Carried``, stacked.

    ``zones``: one a series. ``rows``, ``last``, ``day`` [S]. The last rows ``closes`` [S, 480],
    ``volumes`` [S, 144], ``opens``, ``highs``, ``lows``, ``trends`` [S, 24], NaN where there
    are none. ``recent`` [S, 32, 5]: the candles since the tail, of which there are
    ``since`` [S], 32 and more when the tail must be written again. ``tail_check`` [S] tells one
    tail from another.
    """

    zones: tuple[str, ...]
    rows: Counts
    last: Counts
    day: Counts
    memory: Memory
    closes: Column
    volumes: Column
    opens: Column
    highs: Column
    lows: Column
    trends: Column
    recent: Column
    since: Counts
    tail_check: NDArray[np.uint64]

    def pack(self) -> list[tuple[bytes, bytes | None]]:
        """Return each series' ``state``, and its ``tail`` where that must be written again."""
        tails: dict[int, bytes] = {}
        since, marks = self.since.copy(), self.tail_check.copy()
        renewed = np.flatnonzero(since >= TAIL_EVERY)
        if renewed.size:
            packed = np.zeros(renewed.size, TAIL)
            packed["layout"] = LAYOUT
            for name in WINDOWS:
                packed[name] = getattr(self, name)[renewed]
            marks[renewed] = checks(packed)
            since[renewed] = 0
            joined, size = packed.tobytes(), TAIL.itemsize
            tails = {
                series: joined[place * size : (place + 1) * size]
                for place, series in enumerate(renewed.tolist())
            }
        states = np.zeros(since.size, STATE)
        states["layout"], states["tail_check"] = LAYOUT, marks
        states["zone"] = zone_digests(self.zones)
        states["rows"], states["last"], states["day"] = self.rows, self.last, self.day
        states["since"] = since
        states["memory"] = np.stack(self.memory, axis=1)
        filled = np.arange(TAIL_EVERY) < since[:, None]
        states["recent"] = np.where(filled[:, :, None], self.recent, 0.0)
        states["check"] = checks(states)
        joined, size = states.tobytes(), STATE.itemsize
        return [
            (
                joined[place * size : place * size + HEAD + count * CANDLE_BYTES],
                tails.get(place),
            )
            for place, count in enumerate(since.tolist())
        ]


def to_bytes(carried: Carried) -> tuple[bytes, bytes]:
    """Return the ``state`` and the ``tail`` of one series."""
    [(state, tail)] = _stacked(carried).pack()
    assert tail is not None
    return state, tail


def unpack(packed: Sequence[tuple[bytes, bytes]], zones: Sequence[str]) -> States:
    """Return the series of pairs (``state``, ``tail``), whose time zones are ``zones``.

    Raises ValueError for bytes that are cut off, damaged, of another layout, formula or
    zone, and for a tail that is not the one its state goes on from.
    """
    if len(zones) != len(packed):
        raise ValueError("Each series needs one zone.")
    size = STATE.itemsize
    if any(not HEAD <= len(state) <= size or len(tail) != TAIL.itemsize for state, tail in packed):
        raise ValueError("The bytes of a series are cut off or of another layout.")
    states = np.frombuffer(b"".join([state.ljust(size, b"\0") for state, _tail in packed]), STATE)
    tails = np.frombuffer(b"".join([tail for _state, tail in packed]), TAIL)
    refuse_foreign(packed, states, tails, zones)
    since = states["since"].astype(np.int64)
    recent = states["recent"].astype(np.float64)
    return States(
        zones=tuple(zones),
        rows=states["rows"].astype(np.int64),
        last=states["last"].astype(np.int64),
        day=states["day"].astype(np.int64),
        memory=Memory(*np.ascontiguousarray(states["memory"].T)),
        recent=recent,
        since=since,
        tail_check=states["tail_check"].copy(),
        **windows(tails, recent, since, states["rows"]),
    )


def advance(states: States, candles: Candles) -> tuple[Column, States]:
    """Return the columns [97, S] of one new candle for each series, and the series after it.

    ``candles``: [S] in each column, in the order of the series; starts may differ. The values
    are those that ``compute`` gives for version 3.1 over the whole series, to 1e-9. Raises
    ValueError as ``compute`` does, and for a candle not later than its series' last.
    """
    candles = check_values(candles)
    size = states.rows.size
    if candles.start.size != size:
        raise ValueError("Each series needs one candle.")
    if ((states.rows > 0) & (candles.start <= states.last)).any():
        raise ValueError("A candle must be later than the last one of its series.")
    if size and not FIRST_SECOND <= candles.start.min() <= candles.start.max() <= LAST_SECOND:
        raise ValueError("Moments must lie in the years 1900 to 2199.")
    local = _local(candles.start, states.zones)
    day = local // DAY
    closes = _shifted(states.closes, candles.close)
    volumes = _shifted(states.volumes, candles.volume)
    opens = _shifted(states.opens, candles.open)
    highs = _shifted(states.highs, candles.high)
    lows = _shifted(states.lows, candles.low)
    rows = states.rows + 1
    complete = size > 0 and int(rows.min()) >= CLOSES
    last = Last(
        rows,
        closes.sum(axis=1) if complete else np.nansum(closes, axis=1),
        _rows_first(opens),
        _rows_first(highs),
        _rows_first(lows),
        _rows_first(closes[:, -VOLUMES - 2 :]),
        _rows_first(volumes),
    )
    out = np.empty((len(NUMERIC), size))
    with np.errstate(all="ignore"):
        memory, trend = fill_moment(
            last, _rows_first(states.trends), states.memory, (states.day, day), local, out
        )
    recent, every = states.recent.copy(), np.arange(size)
    place = np.minimum(states.since, TAIL_EVERY - 1)
    recent[every, place] = np.stack(candles[1:], axis=1)
    return out, replace(
        states,
        rows=rows,
        last=candles.start,
        day=day,
        memory=memory,
        closes=closes,
        volumes=volumes,
        opens=opens,
        highs=highs,
        lows=lows,
        trends=_shifted(states.trends, trend),
        recent=recent,
        since=states.since + 1,
    )


def _stacked(carried: Carried) -> States:
    """Return one series whose tail is to be written."""

    def one(values: Column) -> Column:
        return values[None]

    return States(
        zones=(carried.zone,),
        rows=np.array([carried.rows]),
        last=np.array([carried.last]),
        day=np.array([carried.day]),
        memory=Memory(*(np.array([getattr(carried, name)]) for name in Memory._fields)),
        closes=one(carried.closes),
        volumes=one(carried.volumes),
        opens=one(carried.opens),
        highs=one(carried.highs),
        lows=one(carried.lows),
        trends=one(carried.trends),
        recent=np.zeros((1, TAIL_EVERY, 5)),
        since=np.array([TAIL_EVERY]),
        tail_check=np.zeros(1, np.uint64),
    )


def _shifted(columns: Column, new: Column) -> Column:
    """Return the windows one row later."""
    result = np.empty_like(columns)
    result[:, :-1] = columns[:, 1:]
    result[:, -1] = new
    return result


def _rows_first(columns: Column) -> Column:
    return np.ascontiguousarray(columns.T)


def _local(start: Counts, zones: tuple[str, ...]) -> Counts:
    if len(set(zones)) == 1:
        return local_each(start, zones[0])
    names = np.array(zones, dtype=object)
    local = start.copy()
    for zone in sorted(set(zones)):
        which = np.flatnonzero(names == zone)
        local[which] = local_each(start[which], zone)
    return local
