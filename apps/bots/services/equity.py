"""Equity and realized P&L over time, out of the exits of a ledger."""

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from django.db import connection

from apps.bots.choices import TradeType
from apps.bots.domain.performance import EXACT, capital_of
from apps.bots.models import BotInstance

MOST_POINTS: Final = 500
FEWEST_POINTS: Final = 4

# A step is all that was booked at one moment. Thinned: of each stretch of as many steps its lowest
# and highest stay, so that no fall is smoothed away, and so do the first and the last of all.
# The first row, without a time, is what was there before: what archived trades came to is in it.
# All in one statement, so of one moment: trades that leave meanwhile are in one of the two.
CURVE = """
    WITH carried AS (
        SELECT coalesce(sum(net_pnl), 0) AS net FROM carried_results
        WHERE bot_id = %(bot_id)s AND trade_type = %(trade_type)s
            AND quote_currency = %(quote_currency)s
    ), steps AS (
        SELECT exit_time,
            sum(sum(net_pnl)) OVER (ORDER BY exit_time) + (SELECT net FROM carried) AS net
        FROM trades
        WHERE status = 'closed' AND partial_exits = 0 AND bot_id = %(bot_id)s
            AND trade_type = %(trade_type)s AND quote_currency = %(quote_currency)s
        GROUP BY exit_time
    ), shown AS (
        SELECT exit_time, net,
            row_number() OVER (ORDER BY exit_time) - 1 AS place, count(*) OVER () AS steps
        FROM steps WHERE exit_time >= %(since)s
    ), ranked AS (
        SELECT exit_time, net, place, steps,
            row_number() OVER (PARTITION BY place * %(stretches)s / steps ORDER BY net, place)
                AS from_below,
            row_number() OVER (PARTITION BY place * %(stretches)s / steps ORDER BY net DESC, place)
                AS from_above
        FROM shown
    )
    SELECT NULL, coalesce(sum(net_pnl), 0) + (SELECT net FROM carried) FROM trades
    WHERE status = 'closed' AND partial_exits = 0 AND bot_id = %(bot_id)s
        AND trade_type = %(trade_type)s AND quote_currency = %(quote_currency)s
        AND exit_time < %(since)s
    UNION ALL
    SELECT exit_time, net FROM ranked
    WHERE steps <= %(points)s OR from_below = 1 OR from_above = 1
        OR place = 0 OR place = steps - 1
    ORDER BY 1 NULLS FIRST
"""
DAYS = """
    SELECT (exit_time AT TIME ZONE 'UTC')::date AS day, trade_type, quote_currency, sum(net_pnl)
    FROM trades
    WHERE status = 'closed' AND partial_exits = 0
        AND exit_time >= %(since)s AND exit_time < %(until)s AND trade_type = ANY(%(types)s)
        {of_bots}
    GROUP BY 1, 2, 3
    ORDER BY 1, 2, 3
"""


class Point(NamedTuple):
    """What a ledger came to at an exit: net P&L since its beginning, and equity if it has any."""

    time: datetime
    net_pnl: Decimal
    equity: Decimal | None


class EquityCurve(NamedTuple):
    """The course of one ledger; without capital (``reason`` says why) there is P&L alone.

    ``opening`` is the net P&L before the first point; what archived trades came to is always in
    it, as their exits are not among the points any more.
    """

    initial_balance: Decimal | None
    reason: str
    opening: Decimal
    points: list[Point]


class DayPnl(NamedTuple):
    """What was realized on a day (UTC) by trades of one type in one currency."""

    day: date
    trade_type: str
    quote_currency: str
    net_pnl: Decimal


def equity_curve(
    bot: BotInstance,
    trade_type: str,
    quote_currency: str,
    *,
    since: datetime | None = None,
    points: int = MOST_POINTS,
) -> EquityCurve:
    """Return the course of a ledger, at most ``points`` (4 to 500) of its exits.

    ``since``: only exits from then on.
    """
    capital = capital_of(
        bot.initial_balance,
        bot_type=bot.type,
        bot_currency=bot.quote_currency,
        trade_type=trade_type,
        quote_currency=quote_currency,
    )
    most = min(max(points, FEWEST_POINTS), MOST_POINTS)
    asked: dict[str, Any] = {
        "bot_id": bot.pk,
        "trade_type": trade_type,
        "quote_currency": quote_currency,
        "since": since or datetime.min.replace(tzinfo=UTC),
        "points": most,
        "stretches": most // 2 - 1,
    }
    with connection.cursor() as cursor:
        cursor.execute(CURVE, asked)
        (_, opening), *rows = cursor.fetchall()
    start = capital.amount
    return EquityCurve(
        start,
        capital.reason,
        opening,
        [
            Point(moment, net, None if start is None else EXACT.add(start, net))
            for moment, net in rows
        ],
    )


def realized_by_day(
    *,
    now: datetime,
    days: int,
    bots: Collection[str] | None = None,
    types: Collection[str] = (TradeType.LIVE, TradeType.PAPER),
) -> list[DayPnl]:
    """Return what was realized on each of the last ``days`` days (UTC), today the last of them.

    One row per day, trade type and currency with an exit, in this order: they are never added up.
    Of all bots, or of those named.
    """
    today = now.astimezone(UTC).date()
    asked: dict[str, Any] = {
        "since": midnight(today - timedelta(days=days - 1)),
        "until": midnight(today + timedelta(days=1)),
        "types": [str(each) for each in types],
        "bots": None if bots is None else list(bots),
    }
    of_bots = "" if bots is None else "AND bot_id = ANY(%(bots)s)"
    with connection.cursor() as cursor:
        cursor.execute(DAYS.format(of_bots=of_bots), asked)
        return [DayPnl(*row) for row in cursor.fetchall()]


def midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
