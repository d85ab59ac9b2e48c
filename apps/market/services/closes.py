"""The price of one series at many moments at once, for lines beside other lines."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from apps.market.domain.candles import width
from apps.shared.fields import plain

# One probe of the index for each moment, whatever lies between them.
CLOSES = """
SELECT asked.moment, known.close
FROM unnest(%(moments)s::timestamptz[]) AS asked(moment)
CROSS JOIN LATERAL (
    SELECT close FROM candles
    WHERE symbol = %(symbol)s AND source = %(source)s AND granularity = %(granularity)s
      AND timestamp <= asked.moment - %(width)s::interval
    ORDER BY timestamp DESC LIMIT 1
) AS known
ORDER BY asked.moment
"""


def closes_at(
    symbol: str, source: str, granularity: str, moments: Iterable[datetime]
) -> list[tuple[datetime, Decimal]]:
    """Return the last close of a series that was known at each moment, in order of time.

    However old it was; a moment before the first candle has ended has no row.
    """
    asked: dict[str, Any] = {
        "symbol": symbol,
        "source": source,
        "granularity": granularity,
        "width": width(granularity),
        "moments": list(moments),
    }
    with connection.cursor() as cursor:
        cursor.execute(CLOSES, asked)
        return [(moment, plain(close)) for moment, close in cursor.fetchall()]
