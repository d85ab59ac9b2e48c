"""Spans of time, as people choose and write them."""

from datetime import UTC, datetime, timedelta

from django.utils.dateparse import parse_date, parse_datetime

PERIODS = {
    "hour": ("Last hour", timedelta(hours=1)),
    "day": ("Last day", timedelta(days=1)),
    "week": ("Last week", timedelta(days=7)),
    "month": ("Last 30 days", timedelta(days=30)),
    "all": ("All time", None),
}
EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
LATEST = datetime(9999, 12, 30, tzinfo=UTC)


def parse_utc(text: str, *, end_of_day: bool = False) -> datetime | None:
    """Return the moment a person wrote; without an offset it is UTC, without a time the whole day.

    ``None`` when it is no time at all. ``end_of_day``: a bare date means its end.
    """
    words = text.strip().replace(" UTC", "Z").removesuffix(" ")
    try:
        day = parse_date(words)
        if day is not None:
            start = datetime(day.year, day.month, day.day, tzinfo=UTC)
            aware = start + timedelta(days=1) if end_of_day else start
        elif (moment := parse_datetime(words)) is None:
            return None
        else:
            aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return aware if EARLIEST <= aware <= LATEST else None
