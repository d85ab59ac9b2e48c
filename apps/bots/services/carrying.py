"""What trades came to is carried forward when they leave for an archive, and taken back."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

import pglock
from django.db import connection, transaction

from apps.shared.errors import DomainError

TREES: Final = "id = ANY(%(roots)s::uuid[]) OR parent_trade_id = ANY(%(roots)s::uuid[])"
# Round trips and their parts, so that nobody else deletes one of them meanwhile: whole trades
# first, as others do, and in the order of their keys.
LOCK: Final = f"""
SELECT count(*) FROM (
    SELECT FROM trades WHERE {TREES} ORDER BY parent_trade_id IS NOT NULL, id FOR UPDATE
) AS held
"""
# A whole trade is counted, closed leaves are added up.
HERE: Final = f"""
SELECT id, bot_id, trade_type, symbol, quote_currency, net_pnl, commission, exit_time,
    status = 'closed' AND parent_trade_id IS NULL AS is_counted,
    status = 'closed' AND partial_exits = 0 AS is_booked
FROM trades WHERE {TREES}
"""
FORGET: Final = "DROP TABLE IF EXISTS carried_before"
REMEMBER: Final = f"CREATE TEMP TABLE carried_before ON COMMIT DROP AS {HERE}"
# What stood there before and does no more is carried forward, what came to stand there is not.
# Keys of the one are kept, those of the other forgotten. No row changes in between.
DIFFERENCE: Final = f"""
WITH present AS MATERIALIZED ({HERE}),
gone AS MATERIALIZED (
    SELECT 1 AS sign, * FROM carried_before AS b
    WHERE NOT EXISTS (SELECT FROM present WHERE present.id = b.id)
),
come AS MATERIALIZED (
    SELECT -1, * FROM present
    WHERE NOT EXISTS (SELECT FROM carried_before AS b WHERE b.id = present.id)
),
kept AS (
    INSERT INTO departed_trades (id) SELECT id FROM gone ON CONFLICT (id) DO NOTHING
),
forgotten AS (
    DELETE FROM departed_trades WHERE id IN (SELECT id FROM come)
)
SELECT bot_id, trade_type, symbol, quote_currency,
    coalesce(sum(sign) FILTER (WHERE is_counted), 0),
    coalesce(sum(sign) FILTER (WHERE is_counted AND net_pnl > 0), 0),
    coalesce(sum(sign) FILTER (WHERE is_counted AND net_pnl < 0), 0),
    coalesce(sum(sign * net_pnl) FILTER (WHERE is_booked), 0),
    coalesce(sum(sign * commission) FILTER (WHERE is_booked), 0),
    max(exit_time) FILTER (WHERE is_booked AND sign > 0)
FROM (TABLE gone UNION ALL TABLE come) AS moved GROUP BY 1, 2, 3, 4
"""

MOVED: Final = """
WITH moved AS MATERIALIZED (
    SELECT * FROM unnest(
        %(bot_id)s::text[], %(trade_type)s::text[], %(symbol)s::text[], %(quote_currency)s::text[],
        %(trades)s::int[], %(winning)s::int[], %(losing)s::int[],
        %(net)s::numeric[], %(fees)s::numeric[], %(last_exit)s::timestamptz[]
    ) AS t (bot_id, trade_type, symbol, quote_currency, trades, winning, losing, net, fees,
        last_exit)
)"""
# In the order of the keys, so that two of these never wait for each other in a circle.
BEGIN: Final = f"""{MOVED}
INSERT INTO carried_results
    (bot_id, trade_type, symbol, quote_currency, trades, winning, losing, net_pnl, commission)
SELECT bot_id, trade_type, symbol, quote_currency, 0, 0, 0, 0, 0
FROM moved ORDER BY bot_id, trade_type, symbol, quote_currency
ON CONFLICT (bot_id, trade_type, symbol, quote_currency) DO NOTHING
"""
CARRY: Final = f"""{MOVED},
held AS MATERIALIZED (
    SELECT c.id, moved.* FROM moved
    JOIN carried_results c USING (bot_id, trade_type, symbol, quote_currency)
    ORDER BY bot_id, trade_type, symbol, quote_currency FOR UPDATE OF c
),
changed AS (
    UPDATE carried_results c SET
        trades = c.trades + m.trades, winning = c.winning + m.winning,
        losing = c.losing + m.losing, net_pnl = c.net_pnl + m.net,
        commission = c.commission + m.fees,
        last_exit = greatest(c.last_exit, m.last_exit), updated_at = now()
    FROM held m
    WHERE c.id = m.id AND c.trades + m.trades >= 0 AND c.winning + m.winning >= 0
        AND c.losing + m.losing >= 0
    RETURNING c.id
)
SELECT bot_id, symbol FROM held WHERE id NOT IN (SELECT id FROM changed)
ORDER BY bot_id, symbol LIMIT 1
"""
TIDY: Final = f"""{MOVED}
DELETE FROM carried_results c USING moved m
WHERE c.bot_id = m.bot_id AND c.trade_type = m.trade_type AND c.symbol = m.symbol
    AND c.quote_currency = m.quote_currency
    AND c.trades = 0 AND c.winning = 0 AND c.losing = 0 AND c.net_pnl = 0 AND c.commission = 0
"""


class NotCarried(DomainError):
    """More trades came back than were ever carried forward: the ledger would count them twice."""

    code = "not_carried"
    status = 409


class Moved(NamedTuple):
    """What trades of one ledger and symbol came to that left, less those that came back."""

    bot_id: str
    trade_type: str
    symbol: str
    quote_currency: str
    trades: int
    winning: int
    losing: int
    net: Decimal
    fees: Decimal
    last_exit: datetime | None


@contextmanager
def carried(keys: Collection[UUID]) -> Iterator[None]:
    """Carry forward what these round trips came to, as far as they leave or come back inside.

    The keys of those that left are kept, parts included, so that nobody makes them anew. What
    stood before is compared with what stands after, so it makes no difference how often rows are
    deleted or inserted, nor which of them: a balance is the same before and after. Nothing stays
    of it when the block raises. One at a time does this; the others wait for the end of its
    transaction. Raises NotCarried.
    """
    roots = [str(key) for key in keys]
    with transaction.atomic():
        # Who holds rows already waits for nobody who holds this lock and waits for rows.
        with connection.cursor() as cursor:
            cursor.execute(LOCK, {"roots": roots})
        # Rows that come back are not there to be locked.
        pglock.advisory("bots.carried", xact=True).acquire()
        with connection.cursor() as cursor:
            cursor.execute(FORGET)
            cursor.execute(REMEMBER, {"roots": roots})
        yield
        with connection.cursor() as cursor:
            cursor.execute(DIFFERENCE, {"roots": roots})
            moved = [Moved(*row) for row in cursor.fetchall()]
        carry(moved)


def carry(moved: list[Moved]) -> None:
    """Add what left to what is carried forward, and take what came back off it."""
    # What was cancelled came to nothing, and needs no row.
    told = [each for each in moved if each.trades or each.net or each.fees]
    if not told:
        return
    columns: dict[str, Any] = {
        name: list(column)
        for name, column in zip(Moved._fields, zip(*told, strict=True), strict=True)
    }
    with connection.cursor() as cursor:
        cursor.execute(BEGIN, columns)
        cursor.execute(CARRY, columns)
        if short := cursor.fetchone():
            raise NotCarried(
                f"More trades of {short[0]} in {short[1]} would come back than were carried"
                " forward: they would be counted twice."
            )
        cursor.execute(TIDY, columns)
