"""What trades came to is carried forward when they leave for an archive, and taken back."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

import pglock
from django.db import connection, transaction

from apps.shared.errors import DomainError
from apps.shared.fields import WIDE

# Round trips and their parts. Locked, so that nobody else deletes one of them meanwhile: whole
# trades first, as others do, and in the order of their keys.
HELD: Final = """
WITH held AS MATERIALIZED (
    SELECT id, parent_trade_id, bot_id, trade_type, symbol, quote_currency, status,
        partial_exits, net_pnl, commission, exit_time
    FROM trades WHERE id = ANY(%(roots)s::uuid[]) OR parent_trade_id = ANY(%(roots)s::uuid[])
    ORDER BY parent_trade_id IS NOT NULL, id FOR UPDATE
)"""
LOCK: Final = f"{HELD} SELECT count(*) FROM held"
STANDING: Final = f"""{HELD}
SELECT coalesce(parent_trade_id, id), bot_id, trade_type, symbol, quote_currency,
    count(*) FILTER (WHERE is_counted),
    count(*) FILTER (WHERE is_counted AND net_pnl > 0),
    count(*) FILTER (WHERE is_counted AND net_pnl < 0),
    coalesce(sum(net_pnl) FILTER (WHERE is_booked), 0),
    coalesce(sum(commission) FILTER (WHERE is_booked), 0),
    max(exit_time) FILTER (WHERE is_booked)
FROM held CROSS JOIN LATERAL (SELECT
    status = 'closed' AND parent_trade_id IS NULL AS is_counted,
    status = 'closed' AND partial_exits = 0 AS is_booked) AS this
GROUP BY 1, 2, 3, 4, 5
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


class Place(NamedTuple):
    """Where round trips are added up."""

    bot_id: str
    trade_type: str
    symbol: str
    quote_currency: str


class Sums(NamedTuple):
    """What round trips came to: counted as a whole, added up by their closed leaves."""

    trades: int = 0
    winning: int = 0
    losing: int = 0
    net: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    last_exit: datetime | None = None

    def plus(self, other: "Sums") -> "Sums":
        exits = [each for each in (self.last_exit, other.last_exit) if each is not None]
        return Sums(
            self.trades + other.trades,
            self.winning + other.winning,
            self.losing + other.losing,
            WIDE.add(self.net, other.net),
            WIDE.add(self.fees, other.fees),
            max(exits, default=None),
        )

    def taken_away(self) -> "Sums":
        """Return the sums that undo these; a latest exit is never set back."""
        net, fees = self.net.copy_negate(), self.fees.copy_negate()
        return Sums(-self.trades, -self.winning, -self.losing, net, fees)


NOTHING: Final = Sums()
# By round trip and place: a part is added up where it says itself.
Standing = Mapping[tuple[UUID, Place], Sums]


@contextmanager
def carried(keys: Collection[UUID]) -> Iterator[None]:
    """Carry forward what these round trips came to, as far as they leave or come back inside.

    What stood before is compared with what stands after, so it makes no difference how often rows
    are deleted or inserted, nor which of them: a balance is the same before and after. Nothing
    stays of it when the block raises. One at a time does this; the others wait for the end of its
    transaction. Raises NotCarried.
    """
    roots = [str(key) for key in keys]
    with transaction.atomic():
        # Who holds rows already waits for nobody who holds this lock and waits for rows.
        with connection.cursor() as cursor:
            cursor.execute(LOCK, {"roots": roots})
        # Rows that come back are not there to be locked.
        pglock.advisory("bots.carried", xact=True).acquire()
        before = standing(roots)
        yield
        carry(before, standing(roots))


def standing(roots: list[str]) -> Standing:
    """Return what those of these round trips that are here come to; they are locked."""
    with connection.cursor() as cursor:
        cursor.execute(STANDING, {"roots": roots})
        return {(root, Place(*row[:4])): Sums(*row[4:]) for root, *row in cursor.fetchall()}


def carry(before: Standing, after: Standing) -> None:
    """Add what stood before and not after, and take away what stands after and not before."""
    moved: dict[Place, Sums] = {}
    for (root, place), sums in before.items():
        if after.get((root, place)) != sums:
            moved[place] = moved.get(place, NOTHING).plus(sums)
    for (root, place), sums in after.items():
        if before.get((root, place)) != sums:
            moved[place] = moved.get(place, NOTHING).plus(sums.taken_away())
    # What was cancelled came to nothing, and needs no row.
    told = [(*place, *sums) for place, sums in moved.items() if any(sums[:5])]
    if not told:
        return
    names = (*Place._fields, *Sums._fields)
    columns: dict[str, Any] = {
        name: list(column) for name, column in zip(names, zip(*told, strict=True), strict=True)
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
