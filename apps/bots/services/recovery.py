"""Everything a bot needs to go on where it stopped, as of one moment.

One statement sees one moment: nothing that is booked meanwhile is in one part of the answer and
missing in another.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection, models

from apps.bots.models import BotInstance, Order, Position, Trade, TradingLimit
from apps.bots.models.orders import WORKING
from apps.bots.services.instances import UnknownBot
from apps.logs.domain.evidence import UNSTORABLE

BOT = [
    "id",
    "type",
    "config_file",
    "config",
    "config_hash",
    "strategy_name",
    "symbol",
    "quote_currency",
    "initial_balance",
    "heartbeat_interval_seconds",
    "candle_interval_seconds",
    "version",
    "extra_metadata",
    "status",
    "current_balance",
    "total_pnl",
    "open_positions",
    "last_candle_at",
    "last_decision_at",
    "error_count",
    "last_error",
    "reported_config_hash",
    "started_at",
    "last_heartbeat",
    "health",
    "last_activity_at",
    "desired_state",
    "desired_reason",
    "desired_at",
    "instruction",
    "delivered_at",
    "acknowledged_at",
]
TRADE = [
    "id",
    "trade_type",
    "strategy_name",
    "entry_logic_name",
    "exit_logic_name",
    "symbol",
    "interval",
    "quote_currency",
    "direction",
    "status",
    "size",
    "original_position_size",
    "remaining_position_size",
    "entry_time",
    "entry_price",
    "entry_value",
    "commission_rate",
    "entry_commission",
    "commission",
    "gross_pnl",
    "net_pnl",
    "partial_exits",
    "position_id",
    "extra_metadata",
]
ORDER = [
    "order_id",
    "trade_id",
    "trade_type",
    "symbol",
    "side",
    "quantity",
    "order_type",
    "price",
    "stop_price",
    "status",
    "strategy",
    "filled_quantity",
    "average_price",
    "submitted_at",
    "accepted_at",
    "extra_metadata",
]
LOT = [
    "lot_id",
    "type",
    "symbol",
    "quote_currency",
    "total_size",
    "available_size",
    "avg_buy_price",
    "realized_pnl",
    "fees",
    "opened_at",
]
LIMIT = [
    "id",
    "limit_type",
    "bot_id",
    "type",
    "symbol",
    "lot_id",
    "direction",
    "price",
    "size",
    "threshold",
    "currency",
    "action",
    "current_value",
    "usage",
    "evaluated_at",
]


@dataclass(frozen=True, slots=True)
class Recovery:
    """The answer as JSON text: decimals as strings, the numbers of documents as they were sent."""

    text: str

    @property
    def document(self) -> dict[str, Any]:
        """Return it as values; the numbers of documents are decimals."""
        found: dict[str, Any] = json.loads(self.text, parse_float=Decimal)
        return found


def recover(*, bot_id: str) -> Recovery:
    """Return what a bot needs after a restart, as of one moment. Raises UnknownBot.

    ``bot`` as it is described, reported and wanted; ``beat``, the count of its heartbeats;
    ``open_trades`` (all of them, by age), ``open_orders``, ``lots`` with something left, active
    ``limits`` that hold it; ``balance``; ``states`` by key. The balance is rebuilt: initial balance
    and the net result of every closed part of its trades, archived ones among them, of its own
    type and currency. The one it reports stands beside it.
    """
    found = None
    if not UNSTORABLE.search(bot_id):
        with connection.cursor() as cursor:
            cursor.execute(statement(), {"bot_id": bot_id, "working": list(WORKING)})
            found = cursor.fetchone()
    if found is None:
        raise UnknownBot("There is no bot of this name.")
    return Recovery(found[0])


@functools.cache
def statement() -> str:
    """Return the one statement, its columns in the form they are answered in."""
    return f"""
WITH bot AS MATERIALIZED (SELECT * FROM bot_instances WHERE id = %(bot_id)s),
realized AS MATERIALIZED (
    SELECT currency, sum(net) AS net
    FROM (
        SELECT t.quote_currency AS currency, t.net_pnl AS net
        FROM trades t JOIN bot ON t.bot_id = bot.id AND t.trade_type = bot.type
        WHERE t.status = 'closed' AND t.partial_exits = 0
        UNION ALL
        SELECT c.quote_currency, c.net_pnl
        FROM carried_results c JOIN bot ON c.bot_id = bot.id AND c.trade_type = bot.type
    ) AS booked
    GROUP BY currency
),
balance AS (
    SELECT bot.initial_balance AS initial,
        coalesce((SELECT net FROM realized WHERE currency = bot.quote_currency), 0) AS realized,
        bot.current_balance AS reported, bot.quote_currency AS currency
    FROM bot
)
SELECT json_build_object(
    'bot', {document(BotInstance, BOT, "bot")},
    'beat', bot.beats,
    'open_trades', (SELECT {documents(Trade, TRADE, "t.created_at, t.id")} FROM trades t
        WHERE t.bot_id = bot.id AND t.status = 'open' AND t.parent_trade_id IS NULL),
    'open_orders', (SELECT {documents(Order, ORDER, "t.created_at, t.id")} FROM orders t
        WHERE t.bot_id = bot.id AND t.status = ANY(%(working)s)),
    'lots', (SELECT {documents(Position, LOT, "t.opened_at, t.lot_id")} FROM positions t
        WHERE t.bot_id = bot.id AND t.total_size > 0),
    'limits', (SELECT {documents(TradingLimit, LIMIT, "t.created_at, t.id")} FROM trading_limits t
        WHERE t.status = 'active' AND (t.bot_id = bot.id OR (
            t.bot_id IS NULL AND t.lot_id IS NULL AND t.type = bot.type
            AND (t.symbol IN ('', bot.symbol) OR EXISTS (
                SELECT FROM trades o WHERE o.bot_id = bot.id AND o.status = 'open'
                AND o.parent_trade_id IS NULL AND o.symbol = t.symbol))))),
    'balance', (SELECT json_build_object(
        'initial', {amount("initial")},
        'realized', {amount("realized")},
        'ledger', {amount("initial + realized")},
        'reported', {amount("reported")},
        'difference', {amount("reported - initial - realized")},
        'currency', currency,
        'reason', CASE WHEN initial IS NULL THEN 'no_initial_balance' ELSE '' END,
        'other_currencies', coalesce((
            SELECT json_object_agg(r.currency, {amount("r.net")} ORDER BY r.currency)
            FROM realized r WHERE r.currency <> balance.currency), '{{}}'::json)
        ) FROM balance),
    'states', (SELECT coalesce(json_object_agg(
            s.key, json_build_object('value', s.value, 'version', s.version) ORDER BY s.key),
            '{{}}'::json) FROM bot_state s WHERE s.bot_id = bot.id)
)::text FROM bot
"""


def amount(expression: str) -> str:
    return f"trim_scale({expression})::text"


def shown(field: models.Field[Any, Any], column: str) -> str:
    """Return the SQL of a column as it is answered: plain decimals, times with their offset."""
    if isinstance(field, models.DecimalField):
        return amount(column)
    if isinstance(field, models.DateTimeField):
        return f"replace(to_json({column}) #>> '{{}}', '+00:00', 'Z')"
    return column


def document(model: type[models.Model], names: Sequence[str], table: str) -> str:
    columns = {field.attname: field for field in model._meta.concrete_fields}
    pairs = [
        f"'{name}', {shown(columns[name], f'{table}.{columns[name].column}')}" for name in names
    ]
    return f"json_build_object({', '.join(pairs)})"


def documents(model: type[models.Model], names: Sequence[str], order: str) -> str:
    each = document(model, names, "t")
    return f"coalesce(json_agg({each} ORDER BY {order}), '[]'::json)"
