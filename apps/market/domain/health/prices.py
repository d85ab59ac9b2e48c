"""Prices that cannot be: spikes that come back at once, and sources that contradict each other."""

from typing import Final

import numpy as np

from apps.market.choices import DefectKind
from apps.market.domain.health.frames import DAY, Defect, Floats, Frame, Ints, robust, runs

# So many candles on each side say where the price was and where it went on.
SIDE: Final = 5
FEWEST_BESIDE: Final = 3
# What is told is further away than so many robust deviations, and than this share. Within a day
# real markets are wilder: a wick of 20 deviations was seen in five minutes, of 12 in a day.
OUTLIER_DEVIATIONS: Final = 25.0
DAILY_DEVIATIONS: Final = 15.0
LEAST_MOVE: Final = 0.02
# It came back when at most so much of it is left.
LEFT: Final = 1 / 3

SPREAD_DEVIATIONS: Final = 8.0
LEAST_SPREAD: Final = 0.01


def find_outliers(frame: Frame) -> list[Defect]:
    """Return prices far from those before *and* after, to which they came back.

    Before and after are the medians of five closes each (three at the ends of a series), so a
    spike of up to five candles is seen and one of six is a level. Its distance is min(|ln high
    / before|, |ln high / after|) for high above both, so for low below both (the close lies
    between them); its value is that distance in robust deviations of the moves around
    (``Frame.scales``). It is told beyond 25 of these (15 for candles of a day and more) and 2
    %, and when before and after differ by at most a third of it: a price that stays where it
    went is news, and so is a crash of which half is left. A crash that is taken back within
    five candles looks like a fault of the feed and is told: whoever knows better accepts it.
    Neighbors that are outliers make one, its value the greatest, and so does a neighbor whose
    close is more than half as far away: of a long spike only the middle has five good closes on
    each side. Where fewer than three closes are known on a side, nothing is told yet.
    """
    high, low, close = frame.candles[2:5]
    if len(close) < 2 * FEWEST_BESIDE + 1:
        return []
    before, after = beside(close)
    with np.errstate(invalid="ignore"):
        up = high > (1 + LEAST_MOVE) * np.maximum(before, after)
        down = low * (1 + LEAST_MOVE) < np.minimum(before, after)
    places = np.flatnonzero(up | down)
    if not len(places):
        return []
    was, went = np.log(before[places]), np.log(after[places])
    above = np.log(high[places]) - np.maximum(was, went)
    below = np.minimum(was, went) - np.log(low[places])
    distance = np.maximum(above, below)
    came_back = np.abs(went - was) <= LEFT * distance
    places, distance = places[came_back], distance[came_back]
    scale = frame.scales(places)
    # Comparing with NaN, a scale that is not known, is false.
    told = distance > scale * (DAILY_DEVIATIONS if frame.step >= DAY else OUTLIER_DEVIATIONS)
    places, value = places[told], (distance / scale)[told]
    return [
        outlier(frame, places[group], value[group], float(before[places[group[0]]]))
        for group in neighbors(places)
    ]


def outlier(frame: Frame, places: Ints, value: Floats, before: float) -> Defect:
    """Return the defect of outliers that are neighbors."""
    start, close = frame.candles.start, frame.candles.close
    strongest = int(places[int(np.argmax(value))])
    high, low = (float(column[strongest]) for column in frame.candles[2:4])
    # Compared by their ratios, as the distances are.
    price = high if high * low > before * before else low
    # Half way there, in logarithms: what lies beyond belongs to it.
    half, sign = (price * before) ** 0.5, 1 if price > before else -1
    first, last = int(places[0]), int(places[-1])
    while last - first + 1 < SIDE and first > 0 and sign * (close[first - 1] - half) > 0:
        first -= 1
    while last - first + 1 < SIDE and last + 1 < len(close) and sign * (close[last + 1] - half) > 0:
        last += 1
    return Defect(
        DefectKind.OUTLIER,
        int(start[first]),
        int(start[last]) + frame.step,
        last - first + 1,
        round(float(np.max(value)), 1),
        f"{price:.12g}, around it {before:.12g}.",
    )


def beside(close: Floats) -> tuple[Floats, Floats]:
    """Return the medians of the closes before and after each candle; NaN where too few."""
    size = len(close)
    before, after = np.full(size, np.nan), np.full(size, np.nan)
    if size > SIDE:
        middle = median_of_five(close)
        before[SIDE:] = middle[:-1]
        after[:-SIDE] = middle[1:]
    for known in range(FEWEST_BESIDE, min(SIDE, size)):
        before[known] = np.median(close[:known])
        after[size - 1 - known] = np.median(close[size - known :])
    return before, after


def median_of_five(values: Floats) -> Floats:
    """Return the median of each five neighbors, from the first five on."""
    a, b, c, d, e = (values[place : len(values) - 4 + place] for place in range(5))
    low = np.maximum(np.minimum(a, b), np.minimum(c, d))
    high = np.minimum(np.maximum(a, b), np.maximum(c, d))
    # Of four, these two are the second and third in one order or the other; the fifth decides.
    found: Floats = np.maximum(np.minimum(low, high), np.minimum(np.maximum(low, high), e))
    return found


def find_spreads(frame: Frame, other: Frame, *, source: str) -> list[Defect]:
    """Return where closes of two sources contradict each other, as defects of the first.

    The difference is 100 · ln(close / close of the other), in percent, of candles with the same
    start. Its usual size and its robust deviation (1.4826 · median absolute deviation) are those
    of the block of the candle and the one before. It is told when it is further from the usual
    than max(8 deviations, 1 %); neighbors make one defect, its value the greatest distance in
    percent. Which of the two is wrong it does not say. With fewer than 20 common candles around
    nothing is told. ``source`` names the other one in the detail.
    """
    common, here, there = np.intersect1d(
        frame.candles.start, other.candles.start, assume_unique=True, return_indices=True
    )
    if not len(common):
        return []
    difference = np.log(frame.candles.close[here]) - np.log(other.candles.close[there])
    blocks = frame.block_of(common)
    distance = np.zeros(len(common))
    for block in np.unique(blocks):
        first, behind = np.searchsorted(blocks, [block, block + 1])
        around = difference[np.searchsorted(blocks, block - 1) : behind]
        usual = float(np.median(around))
        off = np.abs(difference[first:behind] - usual)
        if off.max() <= LEAST_SPREAD:
            continue
        scale = robust(np.abs(around - usual))
        far = off > max(SPREAD_DEVIATIONS * scale, LEAST_SPREAD) if scale == scale else off < 0
        distance[first:behind] = np.where(far, off, 0)
    found = []
    for begin, end in zip(*runs(distance > 0), strict=True):
        worst = begin + int(np.argmax(distance[begin:end]))
        mine, theirs = frame.candles.close[here[worst]], other.candles.close[there[worst]]
        found.append(
            Defect(
                DefectKind.SPREAD,
                int(common[begin]),
                int(common[end - 1]) + frame.step,
                int(end - begin),
                round(100 * float(distance[worst]), 2),
                f"{mine:.12g} against {theirs:.12g} from {source}.",
            )
        )
    return found


def neighbors(places: Ints) -> list[Ints]:
    """Return the numbers of places that follow upon one another, group by group."""
    if not len(places):
        return []
    return np.split(np.arange(len(places)), np.flatnonzero(np.diff(places) > 1) + 1)
