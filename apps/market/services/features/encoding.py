"""Feature vectors in the binary form of PostgreSQL's COPY, whole columns at a time."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apps.market.domain.features.columns import INTEGERS, NUMERIC

FLOAT_PLACES: Final = [at for at, name in enumerate(NUMERIC) if name not in INTEGERS]
INTEGER_PLACES: Final = [at for at, name in enumerate(NUMERIC) if name in INTEGERS]
KEY: Final = ("symbol", "source", "granularity", "feature_version")
# Numbers of one width stand together, so that a block of rows is filled by a few strides.
COPIED: Final = (
    *KEY,
    "timestamp",
    *(NUMERIC[at] for at in FLOAT_PLACES),
    *(NUMERIC[at] for at in INTEGER_PLACES),
    "date",
)
# The signature, no flags, no extension; and the end of the rows.
HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"
# About ten megabytes.
SLICE_ROWS: Final = 8_192
NULL: Final = -1
# Time in the binary form is microseconds since the beginning of 2000.
SECONDS_TO_2000: Final = 946_684_800
MICROSECONDS: Final = 1_000_000

SeriesKey = tuple[str, str, str, str]


class NotFinite(ValueError):
    """A feature is infinite: nothing of it is sent."""


class FeatureRows(NamedTuple):
    """Features of one series, oldest first: ``values[97, n]`` by ``NUMERIC``, NaN = not known.

    ``start`` holds seconds since 1970 (UTC), ``date`` the local day as ten bytes each.
    """

    key: SeriesKey
    start: NDArray[np.int64]
    values: NDArray[np.float64]
    date: NDArray[np.bytes_]


def sliced(rows: FeatureRows) -> Iterator[list[Any]]:
    """Yield the rows of one series encoded, no more at a time than one COPY should take."""
    for first in range(0, len(rows.start), SLICE_ROWS):
        last = first + SLICE_ROWS
        part = (rows.start[first:last], rows.values[:, first:last], rows.date[first:last])
        yield encode(FeatureRows(rows.key, *part))


def encode(rows: FeatureRows) -> list[Any]:
    """Return the rows of one series as pieces to send, those that lack a value first.

    Raises NotFinite for a value that is neither finite nor NaN.
    """
    prefix = np.array([prefix_of(rows.key)])
    unknown = gaps(rows.values)
    time = moments(rows.start)
    if unknown is None:
        return [plain(prefix, time, rows.values, rows.date)]
    partly = unknown.any(axis=0)
    wholly = ~partly
    pieces = [
        masked(
            prefix.repeat(int(partly.sum())),
            time[partly],
            rows.values[:, partly],
            rows.date[partly],
            unknown[:, partly],
        )
    ]
    if wholly.any():
        pieces.append(plain(prefix, time[wholly], rows.values[:, wholly], rows.date[wholly]))
    return pieces


def encode_mixed(
    keys: Sequence[SeriesKey],
    time: NDArray[np.int64],
    values: NDArray[np.float64],
    date: NDArray[np.bytes_],
) -> list[Any]:
    """Return rows of any series, one key for each: ``values[97, n]``, times in microseconds
    since 2000. An empty date is not known. Raises NotFinite as ``encode`` does.
    """
    known: dict[SeriesKey, bytes] = {}
    for key in keys:
        if key not in known:
            known[key] = prefix_of(key)
    unknown = gaps(values)
    prefixes = np.array([known[key] for key in keys])
    if unknown is None:
        unknown = np.zeros(values.shape, dtype=bool)
    return [masked(prefixes, time, values, date, unknown)]


def prefix_of(key: SeriesKey) -> bytes:
    """Return how each row of a series begins: the count of its columns, then its key."""
    texts = [text.encode() for text in key]
    parts = [len(text).to_bytes(4, "big") + text for text in texts]
    return len(COPIED).to_bytes(2, "big") + b"".join(parts)


def moments(start: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return seconds since 1970 as microseconds since 2000."""
    return (start - SECONDS_TO_2000) * MICROSECONDS


def gaps(values: NDArray[np.float64]) -> NDArray[np.bool_] | None:
    """Return which values are not known, or None where all are. Raises NotFinite."""
    finite = np.isfinite(values)
    if finite.all():
        return None
    unknown = np.isnan(values)
    if not (finite | unknown).all():
        columns = np.flatnonzero(~(finite | unknown).all(axis=1))
        raise NotFinite(f"Not finite: {', '.join(NUMERIC[at] for at in columns[:5])}.")
    return unknown


@cache
def layout(prefix: int, date: int) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """Return how a row whose values are all known is laid out, and the same of flags per byte."""
    floats, integers = len(FLOAT_PLACES), len(INTEGER_PLACES)
    row = [
        ("prefix", f"S{prefix}"),
        ("time_bytes", ">i4"),
        ("time", ">i8"),
        ("floats", [("bytes", ">i4"), ("value", ">f8")], (floats,)),
        ("integers", [("bytes", ">i4"), ("value", ">i4")], (integers,)),
        ("date_bytes", ">i4"),
        ("date", f"S{date}"),
    ]
    sent = [
        ("prefix", bool, (prefix,)),
        ("time", bool, (12,)),
        ("floats", [("bytes", bool, (4,)), ("value", bool, (8,))], (floats,)),
        ("integers", [("bytes", bool, (4,)), ("value", bool, (4,))], (integers,)),
        ("date_bytes", bool, (4,)),
        ("date", bool, (date,)),
    ]
    return np.dtype(row), np.dtype(sent)


def filled(
    prefix: NDArray[np.bytes_],
    time: NDArray[np.int64],
    values: NDArray[np.float64],
    date: NDArray[np.bytes_],
) -> NDArray[Any]:
    """Return rows as if all values were known."""
    row = np.zeros(1, dtype=layout(prefix.itemsize, date.itemsize)[0])
    row["prefix"] = prefix[0]
    row["time_bytes"] = row["floats"]["bytes"] = 8
    row["integers"]["bytes"] = 4
    row["date_bytes"] = date.itemsize
    # What all rows share is copied as a whole, which is faster than column by column.
    rows = row.repeat(len(time))
    if len(prefix) > 1:
        rows["prefix"] = prefix
    rows["time"] = time
    rows["floats"]["value"] = values[FLOAT_PLACES].T
    rows["integers"]["value"] = np.nan_to_num(values[INTEGER_PLACES]).T
    rows["date"] = date
    return rows


def plain(
    prefix: NDArray[np.bytes_],
    time: NDArray[np.int64],
    values: NDArray[np.float64],
    date: NDArray[np.bytes_],
) -> Any:
    """Return rows whose values are all known: of one series, of dates of one length."""
    return filled(prefix, time, values, date).view(np.uint8).data


def masked(
    prefix: NDArray[np.bytes_],
    time: NDArray[np.int64],
    values: NDArray[np.float64],
    date: NDArray[np.bytes_],
    unknown: NDArray[np.bool_],
) -> Any:
    """Return rows without the bytes of what is not known, which has length -1 instead."""
    rows = filled(prefix, time, values, date)
    sent = np.ones(len(rows), dtype=layout(prefix.itemsize, date.itemsize)[1])
    for name, places in (("floats", FLOAT_PLACES), ("integers", INTEGER_PLACES)):
        without = unknown[places].T
        rows[name]["bytes"][without] = NULL
        sent[name]["value"][without] = False
    lengths = np.char.str_len(prefix)
    sent["prefix"] = np.arange(prefix.itemsize) < lengths[:, None]
    lengths = np.char.str_len(date)
    rows["date_bytes"] = np.where(lengths > 0, lengths, NULL)
    sent["date"] = np.arange(date.itemsize) < lengths[:, None]
    return rows.view(np.uint8)[sent.view(bool)].data
