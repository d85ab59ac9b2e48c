"""Trades as bots tell them, and their bots."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from django.db import connection

from apps.bots.models import BotInstance, Trade
from apps.bots.services import trades
from apps.shared.errors import DomainError

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

_numbers = count(1)


@dataclass(slots=True, kw_only=True)
class Told:
    """A trade as a bot tells it."""

    bot_id: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    trade_type: str | None = None
    strategy_name: str = "grid"
    entry_logic_name: str = "RSIBBEntryMixin"
    exit_logic_name: str = "ATRExitMixin"
    symbol: str = "BTC/USD"
    interval: str = "1h"
    quote_currency: str | None = None
    direction: str = "long"
    status: str = "open"
    size: Decimal = Decimal("0.1")
    entry_time: datetime | None = NOON - HOUR
    exit_time: datetime | None = None
    buy_order_created: datetime | None = None
    buy_order_closed: datetime | None = None
    sell_order_created: datetime | None = None
    sell_order_closed: datetime | None = None
    entry_price: Decimal | None = Decimal(50_000)
    exit_price: Decimal | None = None
    commission_rate: Decimal | None = Decimal("0.001")
    entry_commission: Decimal | None = None
    exit_commission: Decimal | None = None
    commission: Decimal | None = None
    net_pnl: Decimal | None = None
    exit_reason: str = ""
    extra_metadata: Mapping[str, Any] = field(default_factory=dict)
    exit_metadata: Mapping[str, Any] = field(default_factory=dict)
    position_id: str = ""


OVER: dict[str, Any] = {"status": "closed", "exit_price": Decimal(51_000), "exit_time": NOON}


def new_bot(**values: Any) -> BotInstance:
    usual = {"id": f"bot {next(_numbers)}", "type": "paper", "quote_currency": "EUR"}
    return BotInstance.objects.create(**usual | values)


def opened(bot: BotInstance | None = None, **values: Any) -> Trade:
    """Return an open trade of a bot: 0.1 at 50,000 and a rate of 0.001 unless told otherwise."""
    told = Told(bot_id=(bot or new_bot()).pk, **values)
    outcome = trades.store_trades([told], now=NOON)
    assert outcome.created == 1, outcome.results
    return Trade.objects.get(pk=told.id)


def closing(**values: Any) -> trades.ExitReport:
    usual = {"exit_price": Decimal(51_000), "exit_time": NOON, "exit_reason": "signal"}
    return trades.ExitReport(**usual | values)


def parting(**values: Any) -> trades.PartReport:
    usual = {
        "id": str(uuid.uuid4()),
        "size": Decimal("0.04"),
        "exit_price": Decimal(51_000),
        "exit_time": NOON,
        "exit_reason": "take_profit",
    }
    return trades.PartReport(**usual | values)


def every_bit() -> list[str]:
    """Return all rows of trades as text, with the places where they stand.

    A row that was written anew stands elsewhere, even when it says the same.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT ctid::text || xmin::text || t::text FROM trades t ORDER BY 1")
        return [text for (text,) in cursor.fetchall()]


def refusal(error: DomainError) -> list[tuple[str, str]]:
    return [(each.pointer, each.code) for each in error.errors]
