"""Numbers and times as files write them, read exactly and a column at a time."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

# Longer than any number that fits, with room for zeros at its end.
NUMBER_LENGTH = 80
# Neither "nan" nor "1_000" nor digits of other scripts, all of which Decimal() would take.
PLAIN_NUMBERS = re.compile(r"[0-9.+-]*")
NUMBER = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?\s*")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def decimals(column: Sequence[str]) -> list[Decimal]:
    """Read numbers exactly as they stand; ValueError when one is none."""
    if max(map(len, column), default=0) > NUMBER_LENGTH:
        raise ValueError("too long")
    # One look at the whole column is enough for nearly every file.
    if not (PLAIN_NUMBERS.fullmatch("".join(column)) or all(map(NUMBER.fullmatch, column))):
        raise ValueError("not a number")
    return list(map(Decimal, column))


def times(column: Sequence[str], epoch: str, *, naive_is_utc: bool) -> list[datetime]:
    """Read times: ISO 8601, or with ``epoch`` whole ``s`` or ``ms`` since 1970.

    ValueError says in a sentence what is wrong with one; without an offset it is refused
    unless ``naive_is_utc``.
    """
    if epoch:
        unit = timedelta(seconds=1) if epoch == "s" else timedelta(milliseconds=1)
        try:
            # int() alone would also take "1_000".
            if not PLAIN_NUMBERS.fullmatch("".join(column)):
                raise ValueError("not whole numbers")
            return [EPOCH + int(text) * unit for text in column]
        except (ValueError, OverflowError):
            raise ValueError(f"{shown(column[0])} is no time in {epoch} since 1970.") from None
    try:
        found = list(map(datetime.fromisoformat, column))
    except ValueError:
        raise ValueError(f"{shown(column[0])} is not a time.") from None
    if any(map(has_no_offset, found)):
        if not naive_is_utc:
            raise ValueError(f"{shown(column[0])} has no offset from UTC (Z or +00:00).")
        return list(map(in_utc, found))
    return found


def has_no_offset(moment: datetime) -> bool:
    return moment.tzinfo is None


def in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def shown(text: str) -> str:
    """Quote a cell for a message, short and on one line."""
    return repr(text if len(text) <= 40 else text[:40] + "…")
