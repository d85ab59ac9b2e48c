"""What may be believed of a venue's answer, and when to ask again."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from apps.market.domain.candles import (
    CandleRow,
    CandleValues,
    aligned_start,
    known_at,
    problems,
    width,
)

# A venue needs a moment to close its candle.
SETTLING = timedelta(seconds=10)
# How far a venue's clock may run ahead: its next candle has begun while ours has not.
CLOCK_SKEW = timedelta(seconds=30)
SHORTEST_WAIT = timedelta(seconds=60)
LONGEST_WAIT = timedelta(hours=1)


def finished(values: Sequence[CandleValues], granularity: str, now: datetime) -> list[CandleValues]:
    """Leave out the candle that is still running; anything later stays, to be refused."""
    running = {aligned_start(moment, granularity) for moment in (now, now + CLOCK_SKEW)}
    return [one for one in values if one.timestamp not in running]


def distrust(
    rows: Sequence[CandleRow], *, now: datetime, previous: datetime | None, quiet: timedelta
) -> str:
    """Return why an answer may not be believed, or an empty string.

    ``previous`` is the newest start fetched before: an answer that brings nothing newer and
    ends longer ago than ``quiet`` (beside two intervals) is *stale*. One bad candle spoils
    the answer: who sends one cannot be trusted with the others.
    """
    for row in rows:
        for problem in problems(row, now):
            return f"{problem.pointer[1:]} of the candle at {row.timestamp}: {problem.message}"
    for before, after in pairwise(rows):
        if before.timestamp >= after.timestamp:
            return f"Not in order of time: {after.timestamp} comes after {before.timestamp}."
    if not rows:
        return "No finished candle in the answer."
    last = rows[-1]
    age = now - known_at(last.timestamp, last.granularity)
    news = previous is not None and last.timestamp > previous
    if not news and age > quiet + 2 * width(last.granularity):
        return f"Stale: the newest candle is of {last.timestamp:%Y-%m-%d %H:%M}."
    return ""


def next_fetch(granularity: str, *, newest: datetime, full: bool, now: datetime) -> datetime:
    """Return when a healthy feed, asked at ``now``, is worth asking again.

    At once when the answer was ``full``: there is more. When the last finished interval has
    come, at the end of the next one; else a little later, for it is still to come.
    """
    running = aligned_start(now, granularity)
    if newest >= running - width(granularity):
        return running + width(granularity) + SETTLING
    if full:
        return now
    return now + max(SHORTEST_WAIT, min(width(granularity) / 10, LONGEST_WAIT))


def retry_at(failures: int, now: datetime) -> datetime:
    """Return when to try again after so many failures in a row: 1, 2, 4 … minutes, an hour."""
    doublings = min(failures - 1, 10)
    return now + min(SHORTEST_WAIT * (1 << doublings), LONGEST_WAIT)
