"""The newest price of symbols: what limits, paper portfolios and open trades are measured at.

It is the close of the candle that ended last, of all series that answer for the symbol: those of
the instrument's primary source if it names one, else all. Of several that ended at the same
moment the finest, then the first by source. A candle that has not ended is not known.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.db import connection

from apps.market.services.outcomes import series_of, widths
from apps.shared.errors import DomainError
from apps.shared.fields import plain

# What is older is no price to trade at: a feed has stopped, or a market is closed. A daily candle
# is known for a day before the next one can come.
MAX_PRICE_AGE = timedelta(hours=36)
# What is held is worth its last price for longer: no market is closed for more than four days.
MAX_MARK_AGE = timedelta(days=5)


class NoPrice(DomainError):
    """Nothing is known of what a symbol costs."""

    code = "no_price"


class StalePrice(DomainError):
    """The newest price of a symbol is too old to trade at."""

    code = "stale_price"


class NewestPrice(NamedTuple):
    """A close, and the end of its candle: since when it has been known."""

    price: Decimal
    known_at: datetime


def newest_series(name: str, *, asked: str) -> str:
    """Return the CTEs that choose one series per symbol: the one whose last candle ended last.

    To be put into a ``WITH`` behind ``widths()`` of ``market.services.outcomes``; ``asked`` is a
    CTE with the column symbol, and the statement takes the parameter ``now``. Columns: symbol,
    source, granularity, width, newest (end of the last candle), price (its close). A symbol
    without candles has no row.
    """
    return f"""{series_of(f"all_{name}", claims=asked)},
{name} AS MATERIALIZED (
    SELECT q.symbol, q.source, q.granularity, q.width, q.newest, c.close AS price
    FROM (SELECT DISTINCT ON (s.symbol) s.* FROM all_{name} s
          ORDER BY s.symbol, s.newest DESC, s.width, s.source COLLATE "C") q
    JOIN LATERAL (
        SELECT c.close FROM candles c
        WHERE c.symbol = q.symbol AND c.source = q.source AND c.granularity = q.granularity
          AND c.timestamp = q.newest - q.width
    ) c ON true
)"""


NEWEST = f"""
WITH {widths()},
asked AS (SELECT unnest(%(symbols)s::text[]) AS symbol),
{newest_series("chosen", asked="asked")}
SELECT symbol, price, newest FROM chosen
"""


def newest_prices(symbols: Iterable[str], *, now: datetime) -> dict[str, NewestPrice]:
    """Return the newest price of each symbol that has one, however old, by one statement."""
    wanted = sorted(set(symbols) - {""})
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(NEWEST, {"symbols": wanted, "now": now})
        rows = cursor.fetchall()
    return {symbol: NewestPrice(plain(price), known_at) for symbol, price, known_at in rows}


def tradable(found: NewestPrice | None, symbol: str, *, now: datetime) -> Decimal:
    """Return the price to trade a symbol at. Raises NoPrice; StalePrice past ``MAX_PRICE_AGE``."""
    if found is None:
        raise NoPrice(f"No price of {symbol} is known: there are no candles of it.")
    if now - found.known_at > MAX_PRICE_AGE:
        since = f"{found.known_at:%Y-%m-%d %H:%M} UTC"
        raise StalePrice(f"The newest price of {symbol} is of {since}: too old to trade at.")
    return found.price
