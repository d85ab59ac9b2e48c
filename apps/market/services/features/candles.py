"""The candles that features are computed from: those of many series in one answer."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from apps.market.domain.features.compute import Candles
from apps.market.services.arrays import HEADER_BYTES, TRAILER_BYTES

COLUMNS: Final = ("id", *Candles._fields)
ROW: Final = np.dtype(
    [("count", ">i2")]
    + [
        part
        for name in COLUMNS
        for part in (
            (f"{name}_bytes", ">i4"),
            (name, ">i8" if name in ("id", "start") else ">f8"),
        )
    ]
)
CANDLES = """
COPY (
    SELECT f.id, extract(epoch FROM k.timestamp)::bigint, k.open::float8, k.high::float8,
        k.low::float8, k.close::float8, k.volume::float8
    FROM unnest(%(ids)s::bigint[], %(after)s::bigint[]) AS wanted (id, after)
    JOIN feature_series f USING (id)
    CROSS JOIN LATERAL (
        SELECT timestamp, open, high, low, close, volume FROM candles
        WHERE symbol = f.symbol AND source = f.source AND granularity = f.granularity
          AND timestamp > to_timestamp(wanted.after)
        ORDER BY timestamp LIMIT %(most)s
    ) AS k
    ORDER BY f.id, k.timestamp
) TO STDOUT (FORMAT binary)
"""
# Before every candle there is.
BEGINNING: Final = -(10**10)


def load_candles(after: Mapping[int, int], *, most: int | None) -> dict[int, Candles]:
    """Return the candles behind a moment, oldest first, by the id of their ``FeatureSeries``.

    ``after``: seconds since 1970 for each id, ``BEGINNING`` for all. At most ``most`` of each
    series. Every id asked for is in the answer.
    """
    found = rows_of(after, most)
    ids, firsts = np.unique(found["id"], return_index=True)
    bounds: Sequence[int] = [*firsts.tolist(), len(found)]
    columns = Candles(*(native(found[name]) for name in Candles._fields))
    parts = {
        one: columns.part(first, end)
        for one, first, end in zip(ids.tolist(), bounds, bounds[1:], strict=False)
    }
    nothing = columns.part(0, 0)
    return {one: parts.get(one, nothing) for one in after}


def rows_of(after: Mapping[int, int], most: int | None) -> NDArray[Any]:
    wanted = {"ids": list(after), "after": list(after.values()), "most": most}
    with connection.cursor() as cursor, cursor.copy(CANDLES, wanted) as copy:
        content = b"".join(bytes(block) for block in copy)
    return np.frombuffer(content[HEADER_BYTES:-TRAILER_BYTES], dtype=ROW)


def native(column: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(column.astype(column.dtype.newbyteorder("=")))
