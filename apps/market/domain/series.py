"""How often the points of a series usually come, and where some are missing. Pure rules."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

# So many points, which are three distances, are needed before one of them is called usual.
LEAST_POINTS: Final = 4
# What a distance may be of the usual one before something is missing. Fetches are a little late.
LATENESS: Final = 1.5


class SeriesGap(NamedTuple):
    """Points are missing between two that are there; both ends are such points.

    ``missing``: how many would have come at the usual distance, at least one.
    """

    start: datetime
    end: datetime
    missing: int


def usual_distance(timestamps: Sequence[datetime]) -> timedelta | None:
    """Return the usual distance between points that stand in order of time: the median.

    Up to half of the distances may be gaps or bursts without moving it. None (not known) with
    fewer than ``LEAST_POINTS`` points, or where most points stand at one and the same moment.
    """
    if len(timestamps) < LEAST_POINTS:
        return None
    distances = sorted(later - earlier for earlier, later in pairwise(timestamps))
    usual = (distances[(len(distances) - 1) // 2] + distances[len(distances) // 2]) / 2
    return usual if usual > timedelta(0) else None


def find_gaps(timestamps: Sequence[datetime], cadence: timedelta | None) -> list[SeriesGap]:
    """Return where points in order of time lie more than 1.5 × the usual distance apart.

    Without a usual distance nothing is expected, so nothing is missing.
    """
    if cadence is None:
        return []
    return [
        SeriesGap(before, after, missing(after - before, cadence))
        for before, after in pairwise(timestamps)
        if after - before > LATENESS * cadence
    ]


def missing(distance: timedelta, cadence: timedelta) -> int:
    """Return how many points at the usual distance would stand inside a distance, at least one."""
    return max(1, round(distance / cadence) - 1)


def overdue(last: datetime, cadence: timedelta | None, now: datetime) -> timedelta | None:
    """Return how long a series has been silent, when that is longer than it ever should be.

    That is more than 1.5 × the usual distance after its last point; None when it is not, or when
    nothing is expected.
    """
    if cadence is None or now - last <= LATENESS * cadence:
        return None
    return now - last
