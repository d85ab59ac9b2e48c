"""Clean series of candles as arrays, and defects planted into them."""

from typing import NamedTuple

import numpy as np

from apps.market.choices import DefectKind, Granularity
from apps.market.domain.health import Candles, Defect
from apps.market.domain.health.frames import local_days

DAY = 86_400
MONDAY = 1_514_764_800  # 2018-01-01
NEW_YORK = "America/New_York"


def clean(random, size, granularity, *, sigma=0.002, equity=False, start=MONDAY):
    """Return a random walk with fat tails, opens near the last close, and volumes as real ones.

    Prices and volumes carry few digits, as those of a venue. Of equities, only candles of New
    York's trading hours are left, so about ``size`` / 5.
    """
    step = int(Granularity(granularity).width.total_seconds())
    starts = start + step * np.arange(size)
    if equity:
        days = local_days(starts, NEW_YORK)
        weekday = (days + 3) % 7 < 5
        hours = (starts - 14 * 3_600) % DAY < 6 * 3_600 if step < DAY else np.ones(size, bool)
        starts = starts[weekday & hours] if step < DAY else starts[(starts // DAY + 3) % 7 < 5]
    size = len(starts)
    moves = np.clip(random.standard_t(4, size), -8, 8) * sigma
    close = 100 * np.exp(np.cumsum(moves))
    opened = np.concatenate([[100.0], close[:-1]]) * np.exp(random.normal(0, sigma / 5, size))
    wick = np.abs(random.normal(0, sigma, (2, size)))
    high = np.maximum(opened, close) * (1 + wick[0])
    low = np.minimum(opened, close) * (1 - wick[1])
    volume = np.round(random.lognormal(3, 1, size), 3) + 0.001
    prices = [np.round(each, 4) for each in (opened, high, low, close)]
    return Candles(starts.astype(np.int64), *prices, volume)


class Planted(NamedTuple):
    candles: Candles
    others: Candles | None
    trading_days: np.ndarray | None
    expected: list[Defect]


def key(defect):
    return defect.kind.value, defect.start, defect.end, defect.candles


def plant(random, candles, granularity, count, *, equity=False, kinds=None):
    """Plant ``count`` defects at random places far enough from one another."""
    step = int(Granularity(granularity).width.total_seconds())
    columns = [np.array(each) for each in candles]
    start, _, high, low, _, volume = columns
    size = len(start)
    kinds = kinds or [kind for kind in DefectKind if kind is not DefectKind.SPREAD]
    room = 40
    # Enough candles before the first that what is usual is known.
    slots = 150 + room * random.permutation((size - 150 - room) // room)[:count]
    assert len(slots) == count, "too many defects for the series"
    keep = np.ones(size, bool)
    expected = []
    others = None
    if DefectKind.SPREAD in kinds:
        noise = np.exp(random.normal(0.002, 0.0005, size))
        others = Candles(start.copy(), *(column * noise for column in columns[1:5]), volume.copy())
    trading = np.unique(start // DAY) if equity else None
    for number, slot in enumerate(sorted(slots.tolist())):
        kind = kinds[number % len(kinds)]
        length = int(random.integers(1, 6))
        place = slot + int(random.integers(0, 10))
        if kind is DefectKind.GAP and equity:
            if step == DAY:
                monday = start // DAY
                # Whole days inside one week: a weekend would be between.
                while (monday[place] + 3) % 7 != 1:
                    place -= 1
                length = min(length, 3)
            else:
                same, length = local_days(start, NEW_YORK), min(length, 3)
                while same[place - 1] != same[place + length]:
                    place -= 1
        elif equity:
            while start[place + length - 1] - start[place] != (length - 1) * step:
                place -= 1
        span = slice(place, place + length)
        begin, end = int(start[place]), int(start[place + length - 1]) + step
        if kind is DefectKind.GAP:
            keep[span] = False
        elif kind is DefectKind.DUPLICATE:
            for column in columns[1:]:
                column[span] = column[place - 1]
        elif kind is DefectKind.ZERO_VOLUME:
            volume[span] = 0
        elif kind is DefectKind.OUTLIER:
            # From a little above what is told to far away; never less than five percent.
            moves = np.abs(np.diff(np.log(candles.close)))
            deviations = random.uniform(30, 80) * 1.4826 * np.median(moves)
            factor = float(np.exp(max(deviations, 0.05))) ** random.choice([-1, 1])
            if random.random() < 0.5 and length == 1:
                # A wick alone: open and close stay.
                (high if factor > 1 else low)[span] *= factor
            else:
                for column in columns[1:5]:
                    column[span] *= factor
        elif kind is DefectKind.SPREAD:
            others.close[span] *= float(random.uniform(1.03, 1.5)) ** random.choice([-1, 1])
        expected.append(Defect(kind, begin, end, length))
    left = Candles(*(column[keep] for column in columns))
    expected.sort(key=lambda each: (each.start, each.kind))
    return Planted(left, others, trading, expected)
