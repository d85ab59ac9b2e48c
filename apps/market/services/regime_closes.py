"""The closes of days that regimes are made from, and the days whose close changed."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple

from django.db import connection, transaction

from apps.market.domain.regimes import LONGEST, Held, choose_source
from apps.market.models.candles import WIDTHS
from apps.market.models.regimes import OWN_SOURCE
from apps.shared.ingest import probing

# Reaches back over enough closes of a market that rests on weekends and holidays.
CONTEXT: Final = timedelta(days=320)

# The sources of each symbol with the days they have candles of, and the days that are classified:
# two index probes each. Candles of a week end on other days than they begin.
STANDING = """
SELECT series.symbol, coalesce(instrument.primary_source, ''), series.source,
       series.first, series.last, known.first, known.last
FROM (
    SELECT symbol, source, min(first_timestamp) AS first, max(last_timestamp) AS last
    FROM candle_series
    WHERE granularity <> '1w' AND (%(symbols)s::text[] IS NULL OR symbol = ANY(%(symbols)s))
    GROUP BY symbol, source
) AS series
LEFT JOIN instruments AS instrument ON instrument.symbol = series.symbol
CROSS JOIN LATERAL (
    SELECT (SELECT timestamp FROM market_regime
            WHERE symbol = series.symbol AND source = %(own)s
            ORDER BY timestamp LIMIT 1) AS first,
           (SELECT timestamp FROM market_regime
            WHERE symbol = series.symbol AND source = %(own)s
            ORDER BY timestamp DESC LIMIT 1) AS last
) AS known
ORDER BY series.symbol, series.source
"""
# The close of a day: of its daily candle where there is one, else of the finer candle that ends
# last. One probe for each day and series, whatever number of candles the day has.
CLOSES = """
WITH asked AS (
    SELECT * FROM unnest(%(symbols)s::text[], %(sources)s::text[], %(starts)s::timestamptz[])
        AS asked (symbol, source, start)
),
closes AS (
    SELECT asked.symbol, day, known.close::float8 AS close
    FROM asked
    CROSS JOIN LATERAL generate_series(
        asked.start, %(end)s::timestamptz - interval '24 hours', interval '24 hours') AS day
    CROSS JOIN LATERAL (
        SELECT head.close
        FROM candle_series AS series
        CROSS JOIN LATERAL (
            SELECT close, timestamp,
                   (%(widths)s::jsonb ->> series.granularity)::interval AS width
            FROM candles
            WHERE symbol = asked.symbol AND source = asked.source
              AND granularity = series.granularity
              AND timestamp >= day AND timestamp < day + interval '24 hours'
            ORDER BY timestamp DESC LIMIT 1
        ) AS head
        WHERE series.symbol = asked.symbol AND series.source = asked.source
          AND series.granularity <> '1w'
          AND series.first_timestamp < day + interval '24 hours'
          AND series.last_timestamp >= day
        ORDER BY series.granularity = '1d' DESC, head.timestamp + head.width DESC, head.width
        LIMIT 1
    ) AS known
)
"""
KNOWN = CLOSES + "SELECT symbol, day, close FROM closes ORDER BY symbol, day"
# The first day whose close is new, or is not the one that was classified.
DIFFERING = (
    CLOSES
    + """
SELECT closes.symbol, min(closes.day)
FROM closes
-- A probe for each day: a join would read the whole table.
LEFT JOIN LATERAL (
    SELECT (indicators_json ->> 'close')::float8 AS close FROM market_regime
    WHERE symbol = closes.symbol AND source = %(own)s AND timestamp = closes.day LIMIT 1
) AS held ON true
WHERE held.close IS DISTINCT FROM closes.close
GROUP BY closes.symbol
"""
)


class Asked(NamedTuple):
    """The days of a symbol that are looked at: from ``start`` on, by the closes of one source.

    ``first`` is the first day that the source has; ``is_new``: none of them is classified yet.
    """

    symbol: str
    source: str
    first: datetime
    start: datetime
    is_new: bool


class Standing(NamedTuple):
    """What is there of a symbol: the days that its source has, and those that are classified."""

    symbol: str
    held: Held
    classified_from: datetime | None
    classified_until: datetime | None


def standing(symbols: set[str] | None) -> list[Standing]:
    """Return what is there of each symbol that has candles of its source, in order."""
    wanted = None if symbols is None else sorted(symbols)
    rows = probed(STANDING, {"symbols": wanted, "own": OWN_SOURCE})
    found = []
    for symbol, group in groupby(rows, key=itemgetter(0)):
        lines = list(group)
        primary, *_, classified_from, classified_until = lines[0][1:]
        held = [Held(line[2], line[3].date(), line[4].date()) for line in lines]
        if chosen := choose_source(held, primary):
            found.append(Standing(symbol, chosen, classified_from, classified_until))
    return found


def differing(asked: Sequence[Asked], today: datetime) -> dict[str, datetime]:
    """Return of each symbol the first day whose close is new or another one, if there is any."""
    found = {each.symbol: each.start for each in asked if each.is_new}
    known = [each for each in asked if not each.is_new]
    if known:
        found |= dict(probed(DIFFERING, parameters(known, today)))
    return found


Closes = list[tuple[date, float]]


def with_context(changed: Sequence[Asked], today: datetime) -> list[tuple[Asked, Closes]]:
    """Return the closes of symbols from their days on, with those before that say all of them."""
    near = [each._replace(start=max(each.first, each.start - CONTEXT)) for each in changed]
    closes = closes_of(near, today)
    # Of a market with many holes so many days do not hold enough closes: then all of them.
    short = [
        each
        for each, read in zip(changed, near, strict=True)
        if read.start > each.first
        and sum(day < each.start.date() for day, _ in closes[each.symbol]) < LONGEST - 1
    ]
    closes |= closes_of([each._replace(start=each.first) for each in short], today)
    return [(each, closes[each.symbol]) for each in changed]


def closes_of(asked: Sequence[Asked], today: datetime) -> dict[str, Closes]:
    """Return day and close of each symbol from a day on, up to the last that has ended."""
    found: dict[str, Closes] = {each.symbol: [] for each in asked}
    if asked:
        for symbol, day, close in probed(KNOWN, parameters(asked, today)):
            found[symbol].append((day.date(), close))
    return found


def parameters(asked: Sequence[Asked], today: datetime) -> dict[str, Any]:
    return {
        "symbols": [each.symbol for each in asked],
        "sources": [each.source for each in asked],
        "starts": [each.start for each in asked],
        "end": today,
        "widths": WIDTHS,
        "own": OWN_SOURCE,
    }


@transaction.atomic
def probed(sql: str, asked: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return what a statement of index probes finds, also where tables have just been filled."""
    with connection.cursor() as cursor, probing(cursor):
        cursor.execute(sql, asked)
        return list(cursor.fetchall())


def start_of(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
