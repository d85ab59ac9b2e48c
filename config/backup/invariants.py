"""What must hold of the books whatever happened to the files they were kept in."""

from typing import Any, NamedTuple

import psycopg

from config.backup.contents import exists
from config.backup.manifests import Figure

# Counted with what was carried forward when trades left, so that a ledger is the same as ever.
LEDGERS = """
WITH booked AS (
    SELECT bot_id, trade_type, quote_currency, net_pnl FROM trades
    WHERE status = 'closed' AND partial_exits = 0
    UNION ALL
    SELECT bot_id, trade_type, quote_currency, net_pnl FROM carried_results
), ledgers AS (
    SELECT concat_ws('|', k.bot_id, k.trade_type, k.quote_currency,
        trim_scale(coalesce(b.initial_balance, 0) + sum(k.net_pnl))) AS line
    FROM booked k JOIN bot_instances b ON b.id = k.bot_id
    GROUP BY k.bot_id, k.trade_type, k.quote_currency, b.initial_balance
)
SELECT count(*), 0,
    encode(sha256(convert_to(string_agg(line, E'\\n' ORDER BY line COLLATE "C"), 'UTF8')), 'hex')
FROM ledgers
"""


class Invariant(NamedTuple):
    """A rule in SQL: how many rows it is about, how many stand against it, and a checksum."""

    name: str
    rule: str
    tables: tuple[str, ...]
    statement: str


INVARIANTS = [
    Invariant(
        "fills",
        "the fills of an order never exceed its size",
        ("orders", "fills"),
        """
        SELECT count(*), count(*) FILTER (WHERE f.quantity > o.quantity), NULL
        FROM orders o
        JOIN (SELECT order_id, sum(quantity) AS quantity FROM fills GROUP BY 1) f USING (order_id)
        """,
    ),
    Invariant(
        "filled",
        "what an order says is filled is the sum of its fills",
        ("orders", "fills"),
        """
        SELECT count(*),
            count(*) FILTER (WHERE o.filled_quantity <> coalesce(f.quantity, 0)), NULL
        FROM orders o LEFT JOIN
            (SELECT order_id, sum(quantity) AS quantity FROM fills GROUP BY 1) f USING (order_id)
        """,
    ),
    Invariant(
        "lots",
        "of a lot no more is available than there is",
        ("positions",),
        """
        SELECT count(*), count(*) FILTER (
            WHERE NOT (0 <= available_size AND available_size <= total_size)), NULL
        FROM positions
        """,
    ),
    Invariant(
        "bookings",
        "the size of a lot is what its bookings come to",
        ("positions", "lot_trades"),
        """
        SELECT count(*), count(*) FILTER (WHERE p.total_size <> coalesce(b.size, 0)), NULL
        FROM positions p LEFT JOIN (
            SELECT lot_id, sum(CASE trade_type WHEN 'buy' THEN size ELSE -size END) AS size
            FROM lot_trades GROUP BY 1
        ) b USING (lot_id)
        """,
    ),
    Invariant(
        "trades net",
        "net is gross less fees, to the last digit",
        ("trades",),
        """
        SELECT count(*),
            count(*) FILTER (WHERE net_pnl IS DISTINCT FROM gross_pnl - commission), NULL
        FROM trades WHERE net_pnl IS NOT NULL
        """,
    ),
    Invariant(
        "trades exit",
        "a closed trade has its exit and what it came to",
        ("trades",),
        """
        SELECT count(*), count(*) FILTER (
            WHERE exit_time IS NULL OR exit_price IS NULL OR net_pnl IS NULL), NULL
        FROM trades WHERE status = 'closed'
        """,
    ),
    Invariant(
        "agents net",
        "net is gross less fees, to the last digit",
        ("agent_trades",),
        """
        SELECT count(*),
            count(*) FILTER (WHERE realized_pnl IS DISTINCT FROM gross_pnl - fees), NULL
        FROM agent_trades WHERE realized_pnl IS NOT NULL
        """,
    ),
    Invariant(
        "agents exit",
        "a trade of an agent that is over has its exit",
        ("agent_trades",),
        """
        SELECT count(*), count(*) FILTER (WHERE exit_time IS NULL), NULL
        FROM agent_trades WHERE status IN ('closed', 'liquidated')
        """,
    ),
    Invariant(
        "paper",
        "cash and asset of a portfolio are what its trades come to",
        ("paper_portfolio", "paper_trades"),
        """
        SELECT count(*), count(*) FILTER (
            WHERE p.usd_balance <> p.initial_balance + coalesce(t.cash, 0)
                OR p.btc_balance <> coalesce(t.asset, 0)), NULL
        FROM paper_portfolio p LEFT JOIN (
            SELECT portfolio_id,
                sum(CASE trade_type WHEN 'buy' THEN -value - fee ELSE value - fee END) AS cash,
                sum(CASE trade_type WHEN 'buy' THEN amount ELSE -amount END) AS asset
            FROM paper_trades GROUP BY 1
        ) t ON t.portfolio_id = p.id
        """,
    ),
    Invariant(
        "balances",
        "each ledger of a bot comes to the same balance",
        ("trades", "carried_results", "bot_instances"),
        LEDGERS,
    ),
]


def figures(connection: "psycopg.Connection[Any]") -> list[Figure]:
    """Return what each rule comes to; one whose tables are not there yet is left out."""
    found = []
    for invariant in INVARIANTS:
        if exists(connection, *invariant.tables):
            row = connection.execute(invariant.statement).fetchone()  # type: ignore[call-overload]
            seen, against, digest = row or (0, 0, None)
            found.append(Figure(invariant.name, seen, against, digest or ""))
    return found


def rule_of(name: str) -> str:
    """Return what a rule says, in words."""
    return next((each.rule for each in INVARIANTS if each.name == name), "")
