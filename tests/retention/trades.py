"""Trades that are old enough to leave, and all that there is of trades, to compare."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection

from apps.bots.models import BotInstance, Trade
from tests.factories import make_bot, make_fill, make_order, make_trade

# The trades of the factories close in March 2026; kept for 90 days, they are old by now.
NOW = datetime(2026, 7, 1, 3, 30, tzinfo=UTC)
MONTH = timedelta(days=30)
TABLES = ("trades", "orders", "fills")


def paper_bot() -> BotInstance:
    return make_bot(type="paper")


def make_tree(bot: BotInstance, **values: Any) -> Trade:
    """Make a closed paper trade that was closed in two parts, with an order and its fill."""
    root = make_trade(bot=bot, closed=True, partial_exits=2, **values)
    for number in (1, 2):
        make_trade(
            bot=bot,
            closed=True,
            parent_trade=root,
            is_partial_exit=True,
            partial_exit_sequence=number,
            **values,
        )
    order = make_order(
        trade=root,
        trade_type="paper",
        status="filled",
        filled_quantity=Decimal(1),
        created_at=root.entry_time,
    )
    make_fill(order=order)
    return root


def make_trees(count: int, **values: Any) -> list[Trade]:
    """Make trees of one bot: five rows in three tables each."""
    bot = paper_bot()
    return [make_tree(bot, **values) for _ in range(count)]


def everything(tables: Sequence[str] = TABLES) -> dict[str, list[str]]:
    """Return every row of some tables as text, in an order of its own."""
    found = {}
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT t::text FROM {table} t ORDER BY 1")
            found[table] = [row for (row,) in cursor.fetchall()]
    return found
