"""Orders, fills and bookings against lots as programs tell them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from django.db import connection

from apps.bots.models import BotInstance, Order
from apps.bots.services import fills, lots, orders
from apps.shared.ingest import Ingested

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

_numbers = count(1)


@dataclass(slots=True, kw_only=True)
class ToldOrder:
    order_id: str = field(default_factory=lambda: f"order-{next(_numbers)}")
    symbol: str = "BTC/USD"
    side: str = "buy"
    quantity: Decimal = Decimal(1)
    bot_id: str | None = None
    trade_id: str | None = None
    trade_type: str = ""
    order_type: str = "market"
    price: Decimal | None = None
    stop_price: Decimal | None = None
    status: str = "pending"
    strategy: str = ""
    model_id: str | None = None
    prediction_id: str | None = None
    submitted_at: datetime | None = None
    extra_metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class ToldFill:
    order_id: str
    fill_id: str = field(default_factory=lambda: f"fill-{next(_numbers)}")
    quantity: Decimal = Decimal(1)
    price: Decimal = Decimal(100)
    timestamp: datetime = NOON
    symbol: str = ""
    side: str = ""
    commission: Decimal = Decimal(0)
    commission_currency: str = ""
    liquidity: str = ""


@dataclass(slots=True, kw_only=True)
class ToldBooking:
    id: str = field(default_factory=lambda: f"booking-{next(_numbers)}")
    trade_type: str = "buy"
    size: Decimal = Decimal(1)
    price: Decimal = Decimal(100)
    symbol: str = "BTC/USD"
    bot_id: str | None = None
    type: str = ""
    fee: Decimal = Decimal(0)
    lot_id: str | None = None
    timestamp: datetime = NOON
    notes: str = ""


def new_bot(**values: Any) -> BotInstance:
    usual = {"id": f"trader {next(_numbers)}", "type": "paper", "quote_currency": "USD"}
    return BotInstance.objects.create(**usual | values)


def placed(**values: Any) -> str:
    """Place an order and return its name."""
    row = ToldOrder(**values)
    outcome = orders.store_orders([row], now=NOON)
    assert outcome.created == 1, outcome.results
    return row.order_id


def fill(order_id: str, quantity: str, **values: Any) -> Ingested:
    """Tell of one fill."""
    row = ToldFill(order_id=order_id, quantity=Decimal(quantity), **values)
    return fills.store_fills([row], now=NOON + HOUR)


def order(order_id: str) -> Order:
    return Order.objects.get(order_id=order_id)


def book(*rows: ToldBooking) -> Ingested:
    """Enter bookings."""
    return lots.book_lot_trades(rows, now=NOON + HOUR)


def buy(size: str, price: str = "100", **values: Any) -> ToldBooking:
    return ToldBooking(size=Decimal(size), price=Decimal(price), **values)


def sell(size: str, price: str = "100", **values: Any) -> ToldBooking:
    values["trade_type"] = "sell"
    return ToldBooking(size=Decimal(size), price=Decimal(price), **values)


def named(outcome: Ingested) -> list[tuple[int, str, str]]:
    """Return what was refused: the place of the row, the field and the code."""
    return [
        (result.index, error.pointer, error.code)
        for result in outcome.results
        for error in result.errors
    ]


def every_bit(*tables: str) -> list[str]:
    """Return all rows as text, with the places where they stand.

    A row that was written anew stands elsewhere, even when it says the same.
    """
    rows: list[str] = []
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT ctid::text || xmin::text || t::text FROM {table} t ORDER BY 1")
            rows += [text for (text,) in cursor.fetchall()]
    return rows
