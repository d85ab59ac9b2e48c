"""Sums over booked trades for the pages: per type and currency, never over two of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from django.db import connection
from django.db.models import (
    BigIntegerField,
    Count,
    DateTimeField,
    Max,
    Q,
    QuerySet,
    Sum,
    Value,
)

from apps.bots.models import BotInstance, CarriedResult, Trade
from apps.shared.admin.figures import WIDE
from apps.shared.fields import Money, plain

ZERO = Decimal(0)
# So many rows are added up for the totals of a list, and no more.
MOST_ADDED = 100_000


class Booked(NamedTuple):
    """What came in: today (UTC), and in all, with how many exits that are kept.

    ``carried`` of it came from so many ``archived`` trades, until ``last_archived``.
    """

    today: Decimal
    total: Decimal
    exits: int
    carried: Decimal = ZERO
    archived: int = 0
    last_archived: datetime | None = None


NOTHING = Booked(ZERO, ZERO, 0)
Ledger = tuple[str, str, str]  # bot, type, currency


def midnight(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def booked(bot_ids: Iterable[str], *, now: datetime) -> dict[Ledger, Booked]:
    """Return what each ledger of these bots holds, by one statement over an index."""
    keys = ("bot_id", "trade_type", "quote_currency")
    today = Q(exit_time__gte=midnight(now))
    kept = (
        Trade.objects.leaves()
        .filter(bot__in=list(bot_ids))
        .order_by()
        .values_list(*keys)
        .annotate(
            today=Sum("net_pnl", filter=today),
            total=Sum("net_pnl"),
            booked=Count("pk"),
            archived=Value(0, output_field=BigIntegerField()),
            last=Value(None, output_field=DateTimeField()),
        )
    )
    archived = (
        CarriedResult.objects.filter(bot__in=list(bot_ids))
        .order_by()
        .values_list(*keys)
        .annotate(
            today=Value(None, output_field=Money()),
            total=Sum("net_pnl"),
            booked=Value(0, output_field=BigIntegerField()),
            archived=Sum("trades"),
            last=Max("last_exit"),
        )
    )
    found: dict[Ledger, Booked] = {}
    for *key, came_in, total, exits, trades, last in kept.union(archived, all=True):
        ledger = (key[0], key[1], key[2])
        held = found.get(ledger, NOTHING)
        if exits:
            held = held._replace(today=came_in or ZERO, exits=exits)
        else:
            held = held._replace(carried=total, archived=trades, last_archived=last)
        found[ledger] = held._replace(total=plain(WIDE.add(held.total, total or ZERO)))
    return found


def open_counts(bot_ids: Iterable[str]) -> dict[str, int]:
    """Return how many trades each of these bots holds open."""
    rows = Trade.objects.open().filter(bot__in=list(bot_ids)).order_by().values_list("bot_id")
    return dict(rows.annotate(n=Count("pk")))


def own_ledger(bot: BotInstance) -> Ledger:
    return bot.pk, bot.type, bot.quote_currency


# --- The totals of a list -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Total:
    """The rows of one type and currency: how many, how they ended, and their money."""

    trade_type: str
    quote_currency: str
    rows: int
    open: int
    closed: int
    won: int
    lost: int
    gross: Decimal | None
    fees: Decimal | None
    net: Decimal | None


@dataclass(frozen=True, slots=True)
class Totals:
    """``lines`` per type and currency; none, and ``too_many``, where a sum would cost too much."""

    lines: Sequence[Total]
    too_many: bool = False


def totals_of(rows: QuerySet[Trade], *, most: int = MOST_ADDED) -> Totals:
    """Add up the rows of a list, which holds either whole trades or parts, by one statement.

    Of more than ``most`` rows nothing is added up: the sum of some of them is the sum of nothing.
    """
    asked = ("trade_type", "quote_currency", "status", "gross_pnl", "commission", "net_pnl")
    inner, values = rows.order_by().values(*asked)[: most + 1].query.sql_with_params()
    # What is realized of a trade that is open is shown in its row; it is added up as a part.
    sql = f"""
        SELECT trade_type, quote_currency, count(*),
            count(*) FILTER (WHERE status = 'open'), count(*) FILTER (WHERE status = 'closed'),
            count(*) FILTER (WHERE status = 'closed' AND net_pnl > 0),
            count(*) FILTER (WHERE status = 'closed' AND net_pnl < 0),
            sum(gross_pnl) FILTER (WHERE status = 'closed'),
            sum(commission) FILTER (WHERE status = 'closed'),
            sum(net_pnl) FILTER (WHERE status = 'closed')
        FROM ({inner}) AS listed({", ".join(asked)})
        GROUP BY 1, 2 ORDER BY 1, 2"""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        lines = [Total(*row) for row in cursor.fetchall()]
    if sum(line.rows for line in lines) > most:
        return Totals([], too_many=True)
    return Totals(lines)
