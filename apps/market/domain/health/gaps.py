"""Intervals without a candle where there should be one."""

from typing import Final, NamedTuple

import numpy as np

from apps.market.domain.freshness import CLOSED_MARKET
from apps.market.domain.health.frames import (
    DAY,
    Frame,
    Ints,
    closes,
    is_weekday,
    local_days,
)

FEWEST_TURNS: Final = 3
LONGEST_REST: Final = int(CLOSED_MARKET.total_seconds())


class Gaps(NamedTuple):
    """Where candles are missing: ``start`` ≤ t < ``end``, and how many.

    ``days`` and ``per_day`` say the same by UTC day: the days (counted since 1970) that miss
    any, and how many each of them does.
    """

    start: Ints
    end: Ints
    missing: Ints
    days: Ints
    per_day: Ints


def find_gaps(
    frame: Frame, *, asset_class: str, zone: str, trading_days: Ints | None = None
) -> Gaps:
    """Return what is missing between the first and the last candle.

    A market that never closes has a candle in every interval, and so has a week. One that closes
    (equity, forex) has one in every interval between the first and the last candle of the same
    local day of ``zone``: when it opens and when it closes is its own affair. One that usually
    trades through midnight has one between two neighboring days, too. Beside that, whole
    weekdays may be missing: those in ``trading_days`` (UTC days, counted since 1970, on which
    its peers traded) without any candle here; where no peers are known, those of a silence that
    is longer than any holiday (four days). Of such a day as many candles are missing as a day
    usually has (the median around); neighbors are one gap.
    """
    start, step = frame.candles.start, frame.step
    if len(start) < 2:
        nothing = np.empty(0, np.int64)
        return Gaps(nothing, nothing, nothing, nothing, nothing)
    if not closes(asset_class) or step > DAY:
        jumps = np.flatnonzero(np.diff(start) > step)
        return gaps_of(*between(start, jumps, step), step)
    jumps = np.empty(0, np.int64)
    if step < DAY:
        jumps = jumps_inside(frame, local_days(start, zone))
    found = gaps_of(*between(start, jumps, step), step)
    return joined(found, whole_days(frame, trading_days))


def jumps_inside(frame: Frame, days: Ints) -> Ints:
    """Return the places behind which intervals are missing while the market was open.

    Of two neighboring local days that is so when more than half of the other changes of the day
    around, of three at least, came without a missing interval: currencies trade through the
    night, shares do not.
    """
    start = frame.candles.start
    distance, passed = np.diff(start), np.diff(days)
    jumps = np.flatnonzero(distance > frame.step)
    turns = np.flatnonzero(passed == 1)
    through = np.concatenate([[0], np.cumsum(distance[turns] == frame.step)])
    over = jumps[passed[jumps] == 1]
    low, high = (np.searchsorted(turns, edge) for edge in frame.around(over))
    others = high - low - 1
    open_then = (others >= FEWEST_TURNS) & (2 * (through[high] - through[low]) > others)
    return np.union1d(jumps[passed[jumps] == 0], over[open_then])


def between(start: Ints, jumps: Ints, step: int) -> tuple[Ints, Ints, Ints]:
    """Return start, end and number of the intervals behind these places."""
    begin, end = start[jumps] + step, start[jumps + 1]
    return begin, end, (end - begin) // step


def gaps_of(start: Ints, end: Ints, missing: Ints, step: int) -> Gaps:
    """Return gaps of whole intervals, with what each day misses."""
    if not len(start):
        return Gaps(start, end, missing, start, start)
    if step >= DAY:
        # Each interval lies on the day on which it starts.
        places = np.repeat(start, missing) + step * ranks(missing)
        return Gaps(start, end, missing, places // DAY, np.ones(len(places), np.int64))
    touched = (end - 1) // DAY - start // DAY + 1
    days = np.repeat(start // DAY, touched) + ranks(touched)
    low = np.maximum(np.repeat(start, touched), days * DAY)
    high = np.minimum(np.repeat(end, touched), (days + 1) * DAY)
    per_day = (high - low) // step
    unique, inverse = np.unique(days, return_inverse=True)
    sums = np.zeros(len(unique), np.int64)
    np.add.at(sums, inverse, per_day)
    return Gaps(start, end, missing, unique, sums)


def whole_days(frame: Frame, trading_days: Ints | None) -> Gaps:
    """Return the weekdays on which a market was open and nothing of it is here."""
    start = frame.candles.start
    own, first = np.unique(start // DAY, return_index=True)
    counts = np.diff(np.append(first, len(start)))
    if trading_days is None:
        silent = np.flatnonzero(start[first[1:]] - start[first[1:] - 1] > LONGEST_REST)
        spans = [np.arange(own[place] + 1, own[place + 1]) for place in silent]
        candidates = np.concatenate(spans) if spans else np.empty(0, np.int64)
    else:
        candidates = trading_days[(trading_days > own[0]) & (trading_days < own[-1])]
    days = np.setdiff1d(candidates[is_weekday(candidates)], own)
    if not len(days):
        return gaps_of(days, days, days, frame.step)
    # Days belong together when no day with candles lies between them.
    behind = np.searchsorted(own, days)
    begins = np.flatnonzero(np.diff(behind, prepend=-1))
    ends = np.append(begins[1:], len(days)) - 1
    usual = usual_counts(frame, days, own, counts)
    return Gaps(
        days[begins] * DAY,
        (days[ends] + 1) * DAY,
        np.add.reduceat(usual, begins),
        days,
        usual,
    )


def usual_counts(frame: Frame, days: Ints, own: Ints, counts: Ints) -> Ints:
    """Return how many candles a day with candles usually has around each of these days."""
    blocks = frame.block_of(days * DAY)
    low, high = frame.edges(blocks, before=1)
    starts = frame.candles.start
    found = np.ones(len(days), np.int64)
    for block in np.unique(blocks):
        mine = blocks == block
        first, last = low[mine][0], high[mine][0]
        if last > first:
            span = slice(
                np.searchsorted(own, starts[first] // DAY),
                np.searchsorted(own, starts[last - 1] // DAY, side="right"),
            )
            found[mine] = max(int(np.median(counts[span])), 1)
    return found


def joined(one: Gaps, other: Gaps) -> Gaps:
    """Return both, in order of time; no day is in both."""
    order = np.argsort(np.concatenate([one.start, other.start]), kind="stable")
    by_day = np.argsort(np.concatenate([one.days, other.days]), kind="stable")
    columns = [np.concatenate([a, b]) for a, b in zip(one, other, strict=True)]
    return Gaps(*[each[order] for each in columns[:3]], *[each[by_day] for each in columns[3:]])


def ranks(counts: Ints) -> Ints:
    """Return 0, 1, … counts[0] − 1, 0, 1, … counts[1] − 1, and so on."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)
