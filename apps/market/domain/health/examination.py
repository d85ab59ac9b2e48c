"""Everything that is wrong with one series, and how many candles each of its days has."""

from math import inf
from typing import NamedTuple

import numpy as np

from apps.market.choices import DefectKind
from apps.market.domain.health import prices
from apps.market.domain.health.frames import DAY, Candles, Defect, Frame, Ints
from apps.market.domain.health.gaps import Gaps, find_gaps
from apps.market.domain.health.prices import find_outliers
from apps.market.domain.health.repeats import find_duplicates, find_zero_volume


class Day(NamedTuple):
    """One UTC day of a series, counted since 1970.

    ``expected`` is what it has and what it misses between the first and the last candle of the
    series; ``defects`` counts those that touch it.
    """

    day: int
    candles: int
    expected: int
    zero_volume: int
    defects: int


class Findings(NamedTuple):
    """What an examination found: defects in order of time, and days."""

    defects: list[Defect]
    days: list[Day]


def find_defects(
    candles: Candles,
    *,
    granularity: str,
    asset_class: str,
    zone: str = "UTC",
    trading_days: Ints | None = None,
) -> list[Defect]:
    """Return what is wrong with one series, oldest first: all kinds but the spread.

    ``zone`` is that of the local trading days of a market that closes; ``trading_days`` are the
    days on which its peers traded (UTC, counted since 1970; None: not known). Each rule says
    itself what it finds: ``find_gaps``, ``find_zero_volume``, ``find_duplicates``,
    ``find_outliers``.
    """
    return examine(
        candles,
        granularity=granularity,
        asset_class=asset_class,
        zone=zone,
        trading_days=trading_days,
    ).defects


def find_spreads(
    candles: Candles, other: Candles, *, granularity: str, source: str
) -> list[Defect]:
    """Return where the closes of ``candles`` and of another ``source`` contradict each other."""
    return prices.find_spreads(
        Frame(candles, granularity), Frame(other, granularity), source=source
    )


def examine(
    candles: Candles,
    *,
    granularity: str,
    asset_class: str,
    zone: str = "UTC",
    trading_days: Ints | None = None,
    others: Candles | None = None,
    other_source: str = "",
    since: int | None = None,
    until: int | None = None,
) -> Findings:
    """Return defects and days of a series, of those with ``since`` ≤ start < ``until``.

    What lies before is looked at only to know what is usual: candles from the start of the block
    before ``since``, or a dozen candles before it, whichever is more; and what lies behind, to the
    end of the block behind ``until``, or some thirty candles, only to know how it goes on. Both
    are midnights (UTC) at which blocks begin; without them everything is told. ``others`` are the
    same stretch of another source.
    """
    if not len(candles.start):
        return Findings([], [])
    frame = Frame(candles, granularity)
    gaps = find_gaps(frame, asset_class=asset_class, zone=zone, trading_days=trading_days)
    defects = [
        *(
            Defect(DefectKind.GAP, int(start), int(end), int(missing))
            for start, end, missing in zip(gaps.start, gaps.end, gaps.missing, strict=True)
            if since is None or start >= since
        ),
        *find_duplicates(frame),
        *find_zero_volume(frame),
        *find_outliers(frame),
    ]
    if others is not None:
        defects += prices.find_spreads(frame, Frame(others, granularity), source=other_source)
    low, high = -inf if since is None else since, inf if until is None else until
    defects = [each for each in defects if low <= each.start < high]
    defects.sort(key=lambda each: (each.start, each.kind))
    first = 0 if since is None else int(np.searchsorted(candles.start, since))
    days = days_of(frame, first, gaps, defects, since)
    return Findings(defects, [each for each in days if each.day * DAY < high])


def days_of(
    frame: Frame, first: int, gaps: Gaps, defects: list[Defect], since: int | None
) -> list[Day]:
    """Return the days of the candles from the place ``first`` on."""
    start, empty = frame.candles.start[first:], frame.candles.volume[first:] == 0
    touched = [(each.start // DAY, (each.end - 1) // DAY) for each in defects]
    own, places = np.unique(start // DAY, return_index=True)
    missing = gaps.days if since is None else gaps.days[gaps.days >= since // DAY]
    short = gaps.per_day if since is None else gaps.per_day[gaps.days >= since // DAY]
    days = np.union1d(own, missing)
    if not len(days):
        return []
    counts, lacking, zeros = (np.zeros(len(days), np.int64) for _ in range(3))
    counts[np.searchsorted(days, own)] = np.diff(np.append(places, len(start)))
    np.add.at(lacking, np.searchsorted(days, missing), short)
    if empty.any():
        zeros[np.searchsorted(days, own)] = np.add.reduceat(empty.astype(np.int64), places)
    # +1 where a defect begins and −1 behind its end: their sum is how many lie over a day.
    changes = np.zeros(len(days) + 1, np.int64)
    if touched:
        begins, ends = np.array(touched).T
        np.add.at(changes, np.searchsorted(days, begins), 1)
        np.add.at(changes, np.searchsorted(days, ends, side="right"), -1)
    over = np.cumsum(changes[:-1])
    rows = zip(days, counts, counts + lacking, zeros, over, strict=True)
    return [Day(*map(int, row)) for row in rows]
