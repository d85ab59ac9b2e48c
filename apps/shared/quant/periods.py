"""The pieces into which time is cut for figures that are kept."""

from datetime import UTC, datetime, timedelta
from typing import Final

QUARTER: Final = timedelta(minutes=15)


def quarter_of(moment: datetime) -> datetime:
    """Return the beginning of the quarter of an hour (UTC) that a moment lies in."""
    passed = (moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) % QUARTER
    return moment - passed
