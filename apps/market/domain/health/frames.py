"""What the rules of health look at: candles as arrays, and what is usual around each of them.

*Usual* is judged by blocks of time that are fixed in the calendar: that of a candle and the one
before. So what is said of a candle never depends on how much of its series was loaded, nor on what
lies further away, and checking the end of a series says the same as checking all of it.
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from apps.market.choices import AssetClass, DefectKind, Granularity
from apps.market.domain.candles import ORIGIN, width

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

DAY: Final = 86_400
WEEK: Final = 7 * DAY
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
ORIGIN_SECONDS: Final = int((ORIGIN - EPOCH).total_seconds())
# 1970-01-01 was a Thursday.
FIRST_WEEKDAY: Final = 3
# Weeks in a block, up to each width: some hundreds or thousands of candles, and never so few
# that a weekend or a holiday fills it.
BLOCK_WEEKS: Final = (
    (Granularity.M5, 1),
    (Granularity.H1, 4),
    (Granularity.H12, 26),
    (Granularity.D1, 104),
    (Granularity.W1, 520),
)


class Candles(NamedTuple):
    """Candles by column, oldest first, each start once: starts in seconds since 1970 (UTC)."""

    start: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


class Defect(NamedTuple):
    """Something wrong from ``start`` to before ``end``, in seconds since 1970 (UTC).

    ``candles`` counts the intervals that it covers. ``value`` is how strong it is: an outlier in
    robust deviations, a difference of two sources in percent; None for the other kinds.
    """

    kind: DefectKind
    start: int
    end: int
    candles: int
    value: float | None = None
    detail: str = ""


def closes(asset_class: str) -> bool:
    """Say whether a market of this asset class rests at night or at weekends."""
    return asset_class in (AssetClass.EQUITY, AssetClass.FOREX)


def seconds(moment: datetime) -> int:
    """Return a moment in whole seconds since 1970."""
    return (moment - EPOCH) // timedelta(seconds=1)


def moment(second: int) -> datetime:
    """Return seconds since 1970 as a moment (UTC)."""
    return EPOCH + timedelta(seconds=int(second))


def block_seconds(granularity: str) -> int:
    """Return how long a block of what is usual lasts."""
    step = width(granularity)
    return next(weeks * WEEK for finest, weeks in BLOCK_WEEKS if step <= finest.width)


def block_start(second: int, granularity: str) -> int:
    """Return the start of the block that holds a moment: a Monday at midnight (UTC)."""
    return second - (second - ORIGIN_SECONDS) % block_seconds(granularity)


def is_weekday(days: Ints) -> Bools:
    """Say which days (counted since 1970) lie between Monday and Friday."""
    found: Bools = (days + FIRST_WEEKDAY) % 7 < 5
    return found


def local_days(start: Ints, zone: str) -> Ints:
    """Return the local day of each start, counted since 1970."""
    if zone == "UTC" or not len(start):
        return start // DAY
    return (start + offsets(start, ZoneInfo(zone))) // DAY


def offsets(start: Ints, zone: ZoneInfo) -> Ints:
    """Return how far local time is ahead of UTC at each start, in seconds.

    Clocks are changed a few times a year: those moments are looked for day by day, then halved
    down to the second, so that millions of starts cost one search in a short list.
    """

    def ahead(second: int) -> int:
        found = moment(second).astimezone(zone).utcoffset()
        assert found is not None
        return int(found.total_seconds())

    marks = [*range(int(start[0]), int(start[-1]), WEEK), int(start[-1])]
    changes, values = [marks[0]], [ahead(marks[0])]
    for before, after in pairwise(marks):
        new = ahead(after)
        if new == values[-1]:
            continue
        low, high = before, after
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if ahead(middle) == new else (middle, high)
        changes.append(high)
        values.append(new)
    places = np.searchsorted(changes, start, side="right") - 1
    return np.asarray(values, np.int64)[places]


class Frame:
    """Candles of one series and what is usual around them."""

    # Fewer than so many say nothing of what is usual.
    FEWEST = 20
    # A thousandth of a percent is no deviation in any market.
    LEAST_SCALE = 1e-5

    def __init__(self, candles: Candles, granularity: str) -> None:
        self.candles = candles
        self.step = int(width(granularity).total_seconds())
        self._block_seconds = block_seconds(granularity)

    def block_of(self, start: Ints) -> Ints:
        found: Ints = (start - ORIGIN_SECONDS) // self._block_seconds
        return found

    def edges(self, blocks: Ints, *, before: int = 0) -> tuple[Ints, Ints]:
        """Return the places of the first candle of each block and behind its last one.

        ``before`` so many blocks earlier it begins.
        """
        begin = (blocks - before) * self._block_seconds + ORIGIN_SECONDS
        end = (blocks + 1) * self._block_seconds + ORIGIN_SECONDS
        starts = self.candles.start
        return np.searchsorted(starts, begin), np.searchsorted(starts, end)

    def around(self, places: Ints) -> tuple[Ints, Ints]:
        """Return the places between which lies what is usual around these candles."""
        return self.edges(self.block_of(self.candles.start[places]), before=1)

    def scales(self, places: Ints) -> Floats:
        """Return one robust deviation of the moves around candles; NaN where too few are known.

        1.4826 · median |ln close(i) / close(i−1)| of the moves that are not zero, over the block
        of the candle and the one before. Zero moves are left out, so that prices which seldom
        move, or move by whole ticks, do not make each tick an event.
        """
        blocks, inverse = np.unique(self.block_of(self.candles.start[places]), return_inverse=True)
        found = np.empty(len(blocks))
        for number, span in enumerate(zip(*self.edges(blocks, before=1), strict=True)):
            moves = np.abs(np.diff(np.log(self.candles.close[slice(*span)])))
            found[number] = robust(moves[moves > 0], fewest=self.FEWEST)
        scales: Floats = found[inverse]
        return scales


def robust(deviations: Floats, *, fewest: int = Frame.FEWEST) -> float:
    """Return 1.4826 · the median of absolute deviations; NaN where too few are known.

    The factor makes it one standard deviation where they are normally distributed.
    """
    if len(deviations) < fewest:
        return float("nan")
    return max(1.4826 * float(np.median(deviations)), Frame.LEAST_SCALE)


def runs(mask: Bools) -> tuple[Ints, Ints]:
    """Return where runs of true values begin, and the places behind their ends."""
    padded = np.zeros(len(mask) + 2, np.int8)
    padded[1:-1] = mask
    changes = np.flatnonzero(np.diff(padded))
    return changes[::2], changes[1::2]
