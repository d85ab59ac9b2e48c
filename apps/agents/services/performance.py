"""Snapshots of the accounts of agents: all of them at once, every quarter of an hour."""

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
import numpy as np
from django.db import connection, transaction
from psycopg import Cursor

from apps.agents.domain.performance import (
    MEANINGS,
    Amounts,
    Course,
    Days,
    Figures,
    Ledger,
    Opened,
    figures_of,
    sharpe_of,
    unrealized_of,
)
from apps.agents.services.marks import market_prices
from apps.shared.quant.money import EXACT, TooLarge
from apps.shared.quant.periods import quarter_of

logger = logging.getLogger(__name__)

COLUMNS: Final = tuple(MEANINGS)

# One statement, so one moment: a trade that is being closed is open or over, never both or neither.
# What is over is summed where it lies, what is open is marked by the rules of the domain.
ACCOUNTS = """
    SELECT agent.id, agent.initial_balance,
        coalesce(past.trades, 0), coalesce(past.winning, 0), coalesce(past.losing, 0),
        coalesce(past.won, 0), coalesce(past.lost, 0), coalesce(past.unknown, 0),
        coalesce(past.fees, 0), coalesce(running.fees, 0), coalesce(spent.cost, 0),
        coalesce(running.symbols, '{{}}'), running.sides, running.sizes, running.entries,
        running.paid,
        last.total_value - last.total_pnl, last.peak_value, last.max_drawdown,
        last.max_drawdown_percent
    FROM trading_agents agent
    LEFT JOIN (
        SELECT agent_id, count(realized_pnl) AS trades,
            count(*) - count(realized_pnl) AS unknown,
            count(*) FILTER (WHERE realized_pnl > 0) AS winning,
            count(*) FILTER (WHERE realized_pnl < 0) AS losing,
            sum(realized_pnl) FILTER (WHERE realized_pnl > 0) AS won,
            sum(realized_pnl) FILTER (WHERE realized_pnl < 0) AS lost,
            sum(fees) AS fees
        FROM agent_trades WHERE status IN ('closed', 'liquidated') {of_agents}
        GROUP BY agent_id
    ) past ON past.agent_id = agent.id
    LEFT JOIN (
        SELECT agent_id, sum(fees) AS fees, array_agg(symbol ORDER BY id) AS symbols,
            array_agg(side ORDER BY id) AS sides, array_agg(size ORDER BY id) AS sizes,
            array_agg(entry_price ORDER BY id) AS entries, array_agg(fees ORDER BY id) AS paid
        FROM agent_trades WHERE status = 'open' {of_agents}
        GROUP BY agent_id
    ) running ON running.agent_id = agent.id
    LEFT JOIN (
        SELECT agent_id, sum(cost) AS cost FROM llm_calls
        WHERE cost IS NOT NULL {of_agents}
        GROUP BY agent_id
    ) spent ON spent.agent_id = agent.id
    LEFT JOIN LATERAL (
        SELECT p.total_value, p.total_pnl, p.peak_value, p.max_drawdown, p.max_drawdown_percent
        FROM agent_performance p
        WHERE p.agent_id = agent.id AND p.snapshot_time < %(quarter)s
        ORDER BY p.snapshot_time DESC LIMIT 1
    ) last ON true
    WHERE %(agents)s::uuid[] IS NULL OR agent.id = ANY(%(agents)s)
    ORDER BY agent.id
"""

# The last snapshot of each day that is over: one step into the index per agent and day.
DAY_ENDS = """
    SELECT p.agent_id, string_agg(int8send(p.day), '' ORDER BY p.day),
        string_agg(float8send(p.total_pnl::double precision), '' ORDER BY p.day)
    FROM (
        SELECT agent.id AS agent_id, (extract(epoch FROM days.day) / 86400)::bigint AS day,
            ended.total_pnl
        FROM trading_agents agent
        CROSS JOIN LATERAL (
            SELECT p.snapshot_time FROM agent_performance p WHERE p.agent_id = agent.id
            ORDER BY p.snapshot_time LIMIT 1
        ) first
        CROSS JOIN LATERAL generate_series(
            date_trunc('day', first.snapshot_time, 'UTC'),
            %(today)s - interval '24 hours', interval '24 hours'
        ) AS days (day)
        CROSS JOIN LATERAL (
            SELECT p.total_pnl FROM agent_performance p
            WHERE p.agent_id = agent.id AND p.snapshot_time >= days.day
                AND p.snapshot_time < days.day + interval '24 hours'
            ORDER BY p.snapshot_time DESC LIMIT 1
        ) ended
        WHERE %(agents)s::uuid[] IS NULL OR agent.id = ANY(%(agents)s)
    ) p
    GROUP BY p.agent_id
"""

# An agent that was deleted meanwhile keeps nobody else from being stored.
STORE = f"""
    INSERT INTO agent_performance (agent_id, snapshot_time, {", ".join(COLUMNS)}, reasons)
    SELECT agent_id, %(quarter)s, {", ".join(COLUMNS)}, reasons
    FROM json_populate_recordset(NULL::agent_performance, %(rows)s::json)
    WHERE agent_id IN (SELECT id FROM trading_agents)
    ON CONFLICT (agent_id, snapshot_time) DO UPDATE SET
        {", ".join(f"{name} = excluded.{name}" for name in ("reasons", *COLUMNS))}
"""


class Account(NamedTuple):
    """What an account holds and came to, and what its last snapshot left."""

    initial: Decimal
    ledger: Ledger
    symbols: list[str]
    open: list[Opened]
    model_cost: Decimal
    before: Course


class DayEnds(NamedTuple):
    """The total P&L of an agent at the ends of days that are over.

    Days are numbered from 1970-01-01 (UTC), rising; a day without a snapshot is missing.
    """

    days: Days
    totals: Amounts


NO_DAY_ENDS: Final = DayEnds(np.empty(0, np.int64), np.empty(0))


@transaction.atomic
def snapshot_agents(*, now: datetime, agents: Iterable[UUID] | None = None) -> int:
    """Store the accounts of all agents, or of those named, as of this quarter of an hour.

    Made again within the quarter, a snapshot takes the place of the first. An account with money
    that no column can hold is left out, and a warning is logged. Returns how many were stored, by
    four statements however many agents there are.
    """
    named = None if agents is None else sorted(set(agents))
    quarter = quarter_of(now)
    accounts = accounts_before(quarter, named)
    if not accounts:
        return 0
    symbols = {symbol for account in accounts.values() for symbol in account.symbols}
    prices = {symbol: each.price for symbol, each in market_prices(symbols, now=now).items()}
    ended = day_ends(now=now, agents=named)
    rows = []
    for agent_id, account in accounts.items():
        try:
            figures = measured(account, prices, ended.get(agent_id, NO_DAY_ENDS))
        except TooLarge as error:
            logger.warning("No snapshot of agent %s: %s", agent_id, error)
            continue
        rows.append({"agent_id": agent_id, **figures.values, "reasons": figures.reasons})
    sent = msgspec.json.encode(rows).decode()
    with connection.cursor() as cursor:
        cursor.execute(STORE, {"rows": sent, "quarter": quarter})
        return int(cursor.rowcount)


def measured(account: Account, prices: Mapping[str, Decimal], ended: DayEnds) -> Figures:
    """Return the figures of an account at these prices. Raises TooLarge."""
    marked = [
        trade._replace(price=prices.get(symbol))
        for symbol, trade in zip(account.symbols, account.open, strict=True)
    ]
    unrealized, unpriced = unrealized_of(marked)
    return figures_of(
        account.ledger._replace(unrealized=unrealized, unpriced=unpriced),
        initial=account.initial,
        before=account.before,
        model_cost=account.model_cost,
        sharpe=sharpe_of(ended.days, float(account.initial) + ended.totals),
    )


def accounts_before(quarter: datetime, agents: list[UUID] | None) -> dict[UUID, Account]:
    """Return the account of each agent, with the course of its snapshots before a quarter."""
    of_agents = "" if agents is None else "AND agent_id = ANY(%(agents)s)"
    with connection.cursor() as cursor:
        statement = ACCOUNTS.format(of_agents=of_agents)
        cursor.execute(statement, {"agents": agents, "quarter": quarter})
        return {row[0]: account_of(row[1:]) for row in cursor.fetchall()}


def account_of(row: tuple[Any, ...]) -> Account:
    """Return an account from its row of ``ACCOUNTS``."""
    initial, trades, winning, losing, won, lost, unknown, fees, open_fees, cost = row[:10]
    symbols, sides, sizes, entries, paid, old_balance, peak, fall, fall_percent = row[10:]
    running = [
        Opened(side=side, size=size, entry_price=entry, fees=fee, price=None)
        for side, size, entry, fee in zip(
            sides or (), sizes or (), entries or (), paid or (), strict=True
        )
    ]
    return Account(
        initial=initial,
        ledger=Ledger(
            trades=trades,
            winning=winning,
            losing=losing,
            won=won,
            lost=lost,
            fees=EXACT.add(fees, open_fees),
            open=len(running),
            unknown=unknown,
        ),
        symbols=symbols,
        open=running,
        model_cost=cost,
        before=(
            Course()
            if peak is None
            else Course(EXACT.subtract(peak, old_balance), fall, fall_percent)
        ),
    )


def day_ends(*, now: datetime, agents: Iterable[UUID] | None = None) -> dict[UUID, DayEnds]:
    """Return the total P&L at the end of each day that is over, of all agents or of those named.

    It is that of the day's last snapshot. An agent without such a day has no entry.
    """
    today = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
    named = None if agents is None else list(agents)
    connection.ensure_connection()
    # Django's own cursors cannot ask for binary answers.
    with connection.wrap_database_errors, Cursor(connection.connection) as cursor:
        cursor.execute(DAY_ENDS, {"agents": named, "today": today}, binary=True)
        return {
            agent_id: DayEnds(
                np.frombuffer(days, ">i8").astype(np.int64),
                np.frombuffer(totals, ">f8").astype(np.float64),
            )
            for agent_id, days, totals in cursor.fetchall()
        }
