"""When the price after an alert is taken. Pure rules."""

from collections.abc import Iterable
from datetime import datetime, timedelta

# Ten years: beyond that a checkpoint is a slip of the pen.
MOST_HOURS = 87_600


def checkpoint_hours(hours: Iterable[int]) -> list[int]:
    """Return the checkpoints in hours, earliest first, each once.

    Raises ValueError when there is none, or one is no whole number from 1 to ``MOST_HOURS``.
    """
    wanted = sorted(set(hours))
    if not wanted:
        raise ValueError("An alert needs at least one checkpoint.")
    for each in wanted:
        if isinstance(each, bool) or not isinstance(each, int) or not 1 <= each <= MOST_HOURS:
            raise ValueError(f"A checkpoint is a number of whole hours, not {each!r}.")
    return wanted


def due_checkpoints(
    raised_at: datetime, *, hours: Iterable[int], taken: Iterable[int], now: datetime
) -> list[tuple[int, datetime]]:
    """Return the checkpoints (hours, moment) that have passed and have no price yet."""
    moments = {each: raised_at + timedelta(hours=each) for each in checkpoint_hours(hours)}
    return [(h, moment) for h, moment in moments.items() if moment <= now and h not in set(taken)]
