"""A series of candles as arrays of numbers, for computing over many of them."""

from datetime import datetime
from typing import NamedTuple

import numpy as np
from django.db import connection
from numpy.typing import NDArray

# One row of PostgreSQL's binary COPY: a count of columns, then each column's length and value.
FIELDS = ("start", "open", "high", "low", "close", "volume")
ROW = np.dtype(
    [("count", ">i2")]
    + [
        part
        for name in FIELDS
        for part in ((f"{name}_bytes", ">i4"), (name, ">i8" if name == "start" else ">f8"))
    ]
)
HEADER_BYTES, TRAILER_BYTES = 19, 2

SERIES = """
COPY (
    SELECT extract(epoch FROM timestamp)::bigint, open::float8, high::float8, low::float8,
        close::float8, volume::float8
    FROM candles
    WHERE symbol = %(symbol)s AND source = %(source)s AND granularity = %(granularity)s
      AND timestamp >= %(start)s AND timestamp < %(end)s
    ORDER BY timestamp
) TO STDOUT (FORMAT binary)
"""


class CandleArrays(NamedTuple):
    """Candles by column, oldest first: starts in seconds since 1970 (UTC), the rest as floats."""

    start: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]


def load_arrays(
    *, symbol: str, source: str, granularity: str, start: datetime, end: datetime
) -> CandleArrays:
    """Return the candles of one series with start ≤ timestamp < end.

    A price becomes the nearest float: of up to 15 digits, all can be had back.
    """
    wanted = {
        "symbol": symbol,
        "source": source,
        "granularity": granularity,
        "start": start,
        "end": end,
    }
    with connection.cursor() as cursor, cursor.copy(SERIES, wanted) as copy:
        content = b"".join(bytes(block) for block in copy)
    rows = np.frombuffer(content[HEADER_BYTES:-TRAILER_BYTES], dtype=ROW)
    columns = [
        np.ascontiguousarray(rows[name].astype(rows[name].dtype.newbyteorder("=")))
        for name in FIELDS
    ]
    return CandleArrays(*columns)
