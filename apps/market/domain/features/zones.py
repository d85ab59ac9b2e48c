"""Local hours and days of many moments at once."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from apps.market.domain.features.columns import CALENDAR

Seconds = NDArray[np.int64]

HOUR: Final = 3600
DAY: Final = 86_400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What a zone can be asked about: 1900 … 2199.
FIRST_SECOND: Final = int((datetime(1900, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds())
LAST_SECOND: Final = int((datetime(2200, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds()) - 1
# 1970-01-01 was a Thursday; hours of the week count from Monday's midnight.
_WEEK_HOURS = 7 * 24
_EPOCH_HOUR = 3 * 24


def local_seconds(start: Seconds, zone: str) -> Seconds:
    """Return the wall clock of ``zone`` at each moment, as seconds since 1970-01-01 00:00 there.

    ``start``: seconds UTC, rising, 1900 … 2199. An hour that the clock shows twice is the
    same hour twice. Raises ValueError for an unknown zone.
    """
    if not start.size:
        return start.copy()
    changes, offsets = _changes(zone, _year(start[0]), _year(start[-1]))
    # Few changes cut the sorted moments into few runs of one offset each.
    cuts = np.searchsorted(start, changes).tolist()
    if len(cuts) == 1 or cuts[1:] == [start.size] * (len(cuts) - 1):
        return start + offsets[0]
    local = np.empty_like(start)
    for begin, end, offset in zip(cuts, [*cuts[1:], start.size], offsets, strict=True):
        np.add(start[begin:end], offset, out=local[begin:end])
    return local


def local_each(start: Seconds, zone: str) -> Seconds:
    """Do the same for moments in any order."""
    if not start.size:
        return start.copy()
    changes, offsets = _changes(zone, _year(start.min()), _year(start.max()))
    which = np.searchsorted(changes, start, side="right") - 1
    return start + np.asarray(offsets, np.int64)[which]


def local_dates(start: Seconds, zone: str) -> NDArray[np.str_]:
    """Return the local date of each moment (seconds UTC, in any order) as 'YYYY-MM-DD'."""
    days = local_each(start, zone) // DAY
    return np.datetime_as_string(days.astype("datetime64[D]"))


def fill_calendar(local: Seconds, out: NDArray[np.float64]) -> None:
    """Fill the rows of ``CALENDAR`` ([11, n]) for local times.

    Market hours are those of the definition: 9 … 16 of the local clock on any day.
    """
    hour = local // HOUR
    hour += _EPOCH_HOUR
    hour %= _WEEK_HOURS
    np.take(_table(), hour, axis=1, out=out, mode="clip")


@lru_cache(maxsize=1)
def _table() -> NDArray[np.float64]:
    """Return the calendar columns of each hour of a week: [11, 168]."""
    week = np.arange(_WEEK_HOURS)
    hour, weekday = week % 24, week // 24
    around_day, around_week = 2 * np.pi * hour / 24, 2 * np.pi * weekday / 7
    columns = {
        "hour": hour,
        "day_of_week": weekday,
        "hour_sin": np.sin(around_day),
        "hour_cos": np.cos(around_day),
        "dow_sin": np.sin(around_week),
        "dow_cos": np.cos(around_week),
        "is_market_open": (hour >= 9) & (hour <= 16),
        "is_morning": (hour >= 9) & (hour <= 12),
        "is_afternoon": (hour >= 13) & (hour <= 16),
        "hours_since_open": np.clip(hour - 9, 0, 7),
        "hours_to_close": np.clip(16 - hour, 0, 7),
    }
    return np.array([columns[name] for name in CALENDAR], np.float64)


def _year(second: np.int64) -> int:
    if not FIRST_SECOND <= second <= LAST_SECOND:
        raise ValueError("Moments must lie in the years 1900 to 2199.")
    return datetime.fromtimestamp(int(second), UTC).year


@lru_cache(maxsize=512)
def _changes(zone: str, first: int, last: int) -> tuple[Seconds, tuple[int, ...]]:
    """Return from when (seconds UTC) which offset holds, over whole years."""
    found: list[tuple[int, int]] = []
    for year in range(first, last + 1):
        for moment, offset in _changes_of_year(zone, year):
            if not found or offset != found[-1][1]:
                found.append((moment, offset))
    moments = np.array([moment for moment, _offset in found], np.int64)
    return moments, tuple(offset for _moment, offset in found)


@lru_cache(maxsize=4096)
def _changes_of_year(zone: str, year: int) -> tuple[tuple[int, int], ...]:
    """Return the offset at the year's beginning, and each later one with its first second.

    Looks once a day: a zone that changes twice within a day and back is not seen doing so.
    """
    try:
        known = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"There is no time zone {zone!r}.") from error

    def offset_at(second: int) -> int:
        moment = datetime.fromtimestamp(second, UTC).astimezone(known)
        offset = moment.utcoffset()
        assert offset is not None
        return int(offset.total_seconds())

    begin = int((datetime(year, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds())
    end = int((datetime(year + 1, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds())
    found = [(begin, offset_at(begin))]
    for day in range(begin, end, DAY):
        low, high = day, day + DAY
        if offset_at(high) == found[-1][1]:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            if offset_at(middle) == found[-1][1]:
                low = middle
            else:
                high = middle
        found.append((high, offset_at(high)))
    return tuple(found)
