"""The sums over a list of trades: live and paper apart, currency by currency."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection
from django.db.models import QuerySet

from apps.agents.models import AgentTrade

# So many rows are added up for the totals of a list, and no more.
MOST_ADDED = 100_000


@dataclass(frozen=True, slots=True)
class Total:
    """The trades of one mode and currency: how many, how they ended, and their money.

    ``unknown`` are over at a price that nobody told: they are in none of the sums.
    """

    mode: str
    currency: str
    rows: int
    open: int
    unknown: int
    won: int
    lost: int
    gross: Decimal | None
    fees: Decimal | None
    net: Decimal | None
    unrealized: Decimal | None


@dataclass(frozen=True, slots=True)
class Totals:
    """``lines`` per mode and currency; none, and ``too_many``, where a sum would cost too much."""

    lines: Sequence[Total]
    too_many: bool = False


def totals_of(rows: QuerySet[AgentTrade], *, most: int = MOST_ADDED) -> Totals:
    """Add up the rows of a list by one statement: fees of what is booked, so that net adds up.

    Of more than ``most`` rows nothing is added up: the sum of some of them is the sum of nothing.
    """
    asked = ("agent_id", "status", "gross_pnl", "fees", "realized_pnl", "unrealized_pnl")
    plain = rows.order_by().select_related(None).values(*asked)
    inner, values = plain[: most + 1].query.sql_with_params()
    sql = f"""
        SELECT a.mode, a.quote_currency, count(*),
            count(*) FILTER (WHERE t.status = 'open'),
            count(*) FILTER (WHERE t.status IN ('closed', 'liquidated') AND t.net IS NULL),
            count(*) FILTER (WHERE t.net > 0), count(*) FILTER (WHERE t.net < 0),
            sum(t.gross), sum(t.fees) FILTER (WHERE t.net IS NOT NULL), sum(t.net),
            sum(t.unrealized) FILTER (WHERE t.status = 'open')
        FROM ({inner}) AS t(agent_id, status, gross, fees, net, unrealized)
        JOIN trading_agents a ON a.id = t.agent_id
        GROUP BY 1, 2 ORDER BY 1, 2"""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        lines = [Total(*row) for row in cursor.fetchall()]
    if sum(line.rows for line in lines) > most:
        return Totals([], too_many=True)
    return Totals(lines)
