"""When a run counts as lost or as stuck.

Lost: not heard of for longer than its lease. Stuck: heard of, but without progress for several
times the usual pause of its kind. Nobody is silent while there was nobody to hear: both count
from the moment since which the watch has looked without a break, at the earliest.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median

# The watch looks every fifteen seconds; after a longer gap than this it was away.
LONGEST_GAP = timedelta(seconds=60)
# A web server notes every five seconds that it can be heard.
DOOR_GAP = timedelta(seconds=20)
# What is usual is learned from so many runs, the last ones that ended well.
FEWEST_RUNS, LAST_RUNS = 3, 20
# Kinds that never pause have a usual pause all the same: a busy disk is no alarm.
SHORTEST_PAUSE = timedelta(seconds=60)


def awake_since(looked_at: datetime | None, awake: datetime | None, *, now: datetime) -> datetime:
    """Return since when the watch has looked without a break, at its look of ``now``.

    ``looked_at`` and ``awake`` are what it noted at its last look, None before the first.
    """
    if looked_at is None or awake is None or now - looked_at > LONGEST_GAP:
        return now
    return awake


def lost_after(heartbeat_at: datetime, *, awake: datetime, lease: timedelta) -> datetime:
    """Return the moment until which a run must be heard of."""
    return max(heartbeat_at, awake) + lease


def patience(longest_pauses: Sequence[Decimal], *, times: int, otherwise: timedelta) -> timedelta:
    """Return how long a run may go without progress before it is stuck.

    ``longest_pauses`` are the longest pauses, in seconds, of the last ``LAST_RUNS`` runs of its
    kind that ended well. Their median is the usual pause, at least ``SHORTEST_PAUSE``; with
    fewer than ``FEWEST_RUNS`` of them nothing is usual, and ``otherwise`` holds.
    """
    if len(longest_pauses) < FEWEST_RUNS:
        return otherwise
    usual = timedelta(seconds=float(median(longest_pauses)))
    return times * max(usual, SHORTEST_PAUSE)


def stuck_after(progressed_at: datetime, *, awake: datetime, patience: timedelta) -> datetime:
    """Return the moment until which a run must make progress."""
    return max(progressed_at, awake) + patience


def pause(progressed_at: datetime | None, *, now: datetime) -> Decimal:
    """Return the seconds since the last sign of progress; 0 before the first."""
    if progressed_at is None or now <= progressed_at:
        return Decimal(0)
    return Decimal((now - progressed_at) // timedelta(microseconds=1)) / 1_000_000
