"""Runs of candles that say nothing: without volume, or the same one over and over."""

from typing import Final

import numpy as np

from apps.market.choices import DefectKind
from apps.market.domain.health.frames import Bools, Defect, Floats, Frame, Ints, moment, runs

# Where more of the candles around are so, it is the nature of the series.
USUAL_SHARE: Final = 0.2
# A run is told when its like is begun less often than this among the candles around.
RARE: Final = 0.01
# Runs that are longer are alike.
LONG: Final = 20
# Of a candle without any range, so much of the usual volume tells a stuck feed from a thin market.
THIN: Final = 0.1


def find_zero_volume(frame: Frame) -> list[Defect]:
    """Return the runs of candles without volume that are not usual for the series.

    What an operator wants to know is that trades which there are do not reach him. So a series
    that never has a volume (an index, a currency pair) has no such defect, and one of whose
    other candles around more than 20 % have none is illiquid, which is no defect either. Else a
    run is told when such a run is rare: when fewer than 1 % of the other candles around begin one
    that is as long. In a series that always trades that is the first empty candle, where each
    tenth is empty a run of some. With fewer than 50 other candles around nothing is told.
    """
    empty = frame.candles.volume == 0
    first, behind = runs(empty)
    if not len(first):
        return []
    told = shares(frame, empty, first, behind) <= USUAL_SHARE
    told &= rarity(frame, first, behind) < RARE
    return [
        run_of(frame, DefectKind.ZERO_VOLUME, begin, end)
        for begin, end in zip(first[told], behind[told], strict=True)
    ]


def find_duplicates(frame: Frame) -> list[Defect]:
    """Return the runs of candles that repeat the one before them: a feed that is stuck.

    The same open, high, low, close and the same volume, which is not zero. Where a market is
    thin, candles without any range and with the same small volume follow upon one another: such
    a run is told only where at most 20 % of the other candles around have no range, and when its
    volume is at least a tenth of the median around. The first candle of all is nobody's repeat,
    so a run begins with the second.
    """
    repeats = repeating(frame)
    first, behind = runs(repeats)
    if not len(first):
        return []
    opened, high, low, close = frame.candles[1:5]
    flat = (opened == close) & (high == low)
    suspect = ~flat[first]
    if not suspect.all():
        share = shares(frame, flat, first, behind)
        odd = np.flatnonzero(flat[first] & (share <= USUAL_SHARE))
        suspect[odd] = thick(frame, first[odd])
    return [
        run_of(
            frame,
            DefectKind.DUPLICATE,
            begin,
            end,
            f"Repeats the candle of {moment(frame.candles.start[begin - 1]):%Y-%m-%d %H:%M}.",
        )
        for begin, end in zip(first[suspect], behind[suspect], strict=True)
    ]


def repeating(frame: Frame) -> Bools:
    """Say which candles are those before them once more."""
    found = np.zeros(len(frame.candles.start), np.bool_)
    if not len(found):
        return found
    close = frame.candles.close
    # Few closes are those of the candle before: only there the rest is looked at.
    places = np.flatnonzero(close[1:] == close[:-1]) + 1
    for column in (frame.candles.volume, *frame.candles[1:4]):
        places = places[column[places] == column[places - 1]]
    found[places[frame.candles.volume[places] > 0]] = True
    return found


def shares(frame: Frame, mask: Bools, first: Ints, behind: Ints) -> Floats:
    """Return how often the others around each run are so; NaN where too few are known."""
    low, high = frame.around(first)
    high = np.maximum(high, behind)
    counts = np.concatenate([[0], np.cumsum(mask)])
    length = behind - first
    others = high - low - length
    like = counts[high] - counts[low] - (counts[behind] - counts[first])
    share: Floats = np.where(others >= frame.FEWEST, like / np.maximum(others, 1), np.nan)
    return share


def rarity(frame: Frame, first: Ints, behind: Ints) -> Floats:
    """Return how often the others around each run begin one at least as long.

    Half a candle is added to those that do, so that it is never zero.
    """
    low, high = frame.around(first)
    length = np.minimum(behind - first, LONG)
    others = high - low - (np.minimum(behind, high) - first)
    like = np.zeros(len(first), np.int64)
    for least in np.unique(length):
        mine, long = length == least, first[length >= least]
        inside = np.searchsorted(long, high[mine]) - np.searchsorted(long, low[mine])
        like[mine] = inside - 1
    rate: Floats = (like + 0.5) / (others + 1)
    return rate


def thick(frame: Frame, places: Ints) -> Bools:
    """Say which of these candles have a volume that is not small for the series."""
    low, high = frame.around(places)
    volume = frame.candles.volume
    medians: dict[tuple[int, int], float] = {}
    found = np.zeros(len(places), np.bool_)
    for number, (place, span) in enumerate(
        zip(places, zip(low.tolist(), high.tolist(), strict=True), strict=True)
    ):
        if span not in medians:
            medians[span] = float(np.median(volume[slice(*span)]))
        found[number] = volume[place] >= THIN * medians[span]
    return found


def run_of(frame: Frame, kind: DefectKind, first: int, behind: int, detail: str = "") -> Defect:
    """Return the defect of a run of candles."""
    start = frame.candles.start
    return Defect(
        kind,
        int(start[first]),
        int(start[behind - 1]) + frame.step,
        int(behind - first),
        None,
        detail,
    )
