"""Open trades at the market: what a price was at a time, what they stand at, and who is near."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection, transaction

from apps.agents.domain import trades
from apps.agents.models import AgentTrade
from apps.logs.choices import NotificationLevel
from apps.logs.services.notifications import notify_all
from apps.market.services.outcomes import last_candle, series_of, widths
from apps.market.services.prices import MAX_MARK_AGE, NewestPrice, newest_prices
from apps.shared.fields import plain, plain_text
from apps.shared.quant.money import EXACT

# Trades of one transaction: enough to be fast, few enough to hold locks for a second at most.
BATCH: Final = 5_000
HUNDRED: Final = Decimal(100)
LEVELS: Final[Mapping[Decimal, NotificationLevel]] = {
    trades.NEAR: NotificationLevel.WARNING,
    trades.CLOSE_BY: NotificationLevel.CRITICAL,
}

AT_MOMENTS: Final = f"""
WITH {widths()},
asked AS (
    SELECT * FROM unnest(%(symbols)s::text[], %(moments)s::timestamptz[]) AS a (symbol, moment)
),
{series_of("series", claims="asked")}
SELECT DISTINCT ON (a.symbol, a.moment) a.symbol, a.moment, c.close
FROM (SELECT DISTINCT q.symbol, q.moment, least(q.moment, %(now)s) AS known_by FROM asked q) a
JOIN series s ON s.symbol = a.symbol
CROSS JOIN LATERAL ({last_candle("s", known_by="a.known_by - s.width")}) c
ORDER BY a.symbol, a.moment, c.timestamp + s.width DESC, s.width, s.source COLLATE "C"
"""
# The condition is part of the statement: a trade that has ended meanwhile stays as it is.
MARK: Final = """
WITH marks AS (
    SELECT * FROM unnest(
        %(ids)s::uuid[], %(unrealized)s::numeric[], %(prices)s::numeric[],
        %(moments)s::timestamptz[]
    ) AS m (id, unrealized_pnl, mark_price, marked_at)
),
held AS (
    SELECT t.id FROM agent_trades t JOIN marks USING (id)
    WHERE t.status = 'open' ORDER BY t.id FOR NO KEY UPDATE OF t
)
UPDATE agent_trades t
SET unrealized_pnl = m.unrealized_pnl, mark_price = m.mark_price, marked_at = m.marked_at
FROM marks m JOIN held USING (id)
WHERE t.id = m.id AND t.status = 'open'
  AND (t.unrealized_pnl, t.mark_price, t.marked_at)
      IS DISTINCT FROM (m.unrealized_pnl, m.mark_price, m.marked_at)
RETURNING t.id
"""


class Held(NamedTuple):
    """An open trade as far as its mark needs it: no object of the ORM, for they are many."""

    pk: UUID
    agent__name: str
    coin: str
    symbol: str
    side: str
    size: Decimal
    entry_price: Decimal | None
    fees: Decimal | None
    liquidation_price: Decimal | None
    unrealized_pnl: Decimal | None
    mark_price: Decimal | None
    marked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What an open trade stands at now."""

    trade: Held
    unrealized_pnl: Decimal | None
    mark_price: Decimal | None
    marked_at: datetime | None

    @property
    def is_news(self) -> bool:
        trade = self.trade
        before = (trade.unrealized_pnl, trade.mark_price, trade.marked_at)
        return before != (self.unrealized_pnl, self.mark_price, self.marked_at)


# --- Prices -------------------------------------------------------------------------------


def market_prices(symbols: Iterable[str], *, now: datetime) -> dict[str, NewestPrice]:
    """Return the newest price of each symbol that has one not older than ``MAX_MARK_AGE``."""
    return {
        symbol: known
        for symbol, known in newest_prices(symbols, now=now).items()
        if now - known.known_at <= MAX_MARK_AGE
    }


def prices_at(
    points: Iterable[tuple[str, datetime]], *, now: datetime
) -> dict[tuple[str, datetime], Decimal]:
    """Return the price of each symbol at its moment, where one is known; one statement.

    It is the close of the candle that ended last by the moment (and by ``now``), of the series
    that answer for the symbol, within the tolerance of its width: max(2 × width, 10 minutes).
    """
    wanted = sorted({(symbol, moment) for symbol, moment in points if symbol})
    if not wanted:
        return {}
    symbols, moments = zip(*wanted, strict=True)
    asked: dict[str, Any] = {"symbols": list(symbols), "moments": list(moments), "now": now}
    with connection.cursor() as cursor:
        cursor.execute(AT_MOMENTS, asked)
        return {(symbol, moment): plain(price) for symbol, moment, price in cursor.fetchall()}


# --- Marks --------------------------------------------------------------------------------


def mark_trades(*, now: datetime) -> int:
    """Write what open trades stand at, net of the fees paid so far; return how many changed.

    They are marked at the newest price of the market; ``marked_at`` is since when that is known.
    Without an entry, and without a price not older than ``MAX_MARK_AGE``, nothing unrealized is
    known of a trade: the last mark stays, its P&L is emptied. Where a distance to liquidation
    falls below 20 and 10 percent, staff are told, each once per trade. Statements are constant in
    number per ``BATCH`` of trades, each a transaction of its own.
    """
    ids = list(AgentTrade.objects.open().order_by("pk").values_list("pk", flat=True))
    return sum(
        mark_some(ids[start : start + BATCH], now=now) for start in range(0, len(ids), BATCH)
    )


@transaction.atomic
def mark_some(ids: Sequence[UUID], *, now: datetime) -> int:
    """Mark those of these trades that are open still; return how many changed."""
    rows = AgentTrade.objects.open().filter(pk__in=ids).order_by("pk")
    held = [Held(*row) for row in rows.values_list(*Held._fields)]
    prices = market_prices({trade.symbol for trade in held}, now=now)
    news = [mark for trade in held if (mark := marked(trade, prices)).is_news]
    if not news:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            MARK,
            {
                "ids": [mark.trade.pk for mark in news],
                "unrealized": [mark.unrealized_pnl for mark in news],
                "prices": [mark.mark_price for mark in news],
                "moments": [mark.marked_at for mark in news],
            },
        )
        written: set[UUID] = {pk for (pk,) in cursor.fetchall()}
    tell_near([mark for mark in news if mark.trade.pk in written], now=now)
    return len(written)


def marked(trade: Held, prices: Mapping[str, NewestPrice]) -> Mark:
    """Return what a trade stands at; without a price the last mark stays, worth nothing known."""
    known = prices.get(trade.symbol)
    return Mark(
        trade=trade,
        unrealized_pnl=trades.unrealized(
            side=trade.side,
            size=trade.size,
            entry_price=trade.entry_price,
            price=None if known is None else known.price,
            fees=trade.fees,
        ),
        mark_price=trade.mark_price if known is None else known.price,
        marked_at=trade.marked_at if known is None else known.known_at,
    )


def tell_near(marks: Sequence[Mark], *, now: datetime) -> None:
    """Tell of trades whose distance to liquidation has just fallen below a level."""
    told: list[dict[str, Any]] = []
    for mark in marks:
        before = distance(mark.trade, mark.trade.mark_price)
        after = distance(mark.trade, mark.mark_price)
        level = trades.crossed(before, after)
        if level is not None and after is not None:
            told.append(near(mark, after, level))
    notify_all(told, now=now)


def distance(trade: Held, mark: Decimal | None) -> Decimal | None:
    return trades.distance_to_liquidation(
        side=trade.side, mark=mark, liquidation=trade.liquidation_price
    )


def near(mark: Mark, away: Decimal, level: Decimal) -> dict[str, Any]:
    """Return a notification of a trade that is near its liquidation."""
    trade = mark.trade
    assert mark.mark_price is not None
    assert trade.liquidation_price is not None
    percent = plain_text(EXACT.multiply(level, HUNDRED))
    what = f"{plain_text(trade.size)} {trade.coin} {trade.side}"
    place = (
        f"{plain_text(round(EXACT.multiply(away, HUNDRED), 2))} % from its liquidation"
        if away > 0
        else "past its liquidation"
    )
    words = (
        f"{trade.agent__name} holds {what} at {plain_text(mark.mark_price)}: {place}, which is at"
        f" about {plain_text(trade.liquidation_price)}."
    )
    return {
        "what": "agent_trade_near_liquidation",
        "level": LEVELS[level],
        "subject": f"Below {percent} % to liquidation: {trade.agent__name}, {trade.coin}",
        "message": words,
        "link": f"/admin/agents/agenttrade/{trade.pk}/change/",
        "dedupe_key": f"agent_trade_near_liquidation:{trade.pk}:{percent}",
    }
