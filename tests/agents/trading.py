"""Trades as agents tell them, and how they end."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection

from apps.agents.models import AgentTrade, TradingAgent
from apps.agents.services import trades
from apps.shared.errors import DomainError
from apps.shared.ingest import Ingested
from tests.factories import make_agent, make_candle

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(slots=True, kw_only=True)
class Told:
    """A trade as an agent tells it: nothing but its agent, unless more is told."""

    agent_id: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    decision_id: str | None = None
    close_decision_id: str | None = None
    coin: str | None = None
    side: str | None = None
    size: Decimal | None = None
    leverage: Decimal | None = None
    entry_price: Decimal | None = None
    entry_time: datetime | None = None
    status: str = "open"
    exit_price: Decimal | None = None
    exit_time: datetime | None = None
    entry_fees: Decimal | None = None
    exit_fees: Decimal | None = None
    fees: Decimal | None = None
    realized_pnl: Decimal | None = None
    exit_reason: str = ""
    hyperliquid_order_id: str = ""
    notes: str = ""
    extra_metadata: Mapping[str, Any] = field(default_factory=dict)


OVER: dict[str, Any] = {"status": "closed", "exit_price": Decimal(51_000), "exit_time": NOON}


def told(agent: TradingAgent, **values: Any) -> Told:
    """Return a long of 0.1 Bitcoin at 50,000 with leverage 5, entered for 5 dollars at eleven."""
    usual: dict[str, Any] = {
        "coin": "BTC",
        "side": "long",
        "size": Decimal("0.1"),
        "leverage": Decimal(5),
        "entry_price": Decimal(50_000),
        "entry_time": NOON - HOUR,
        "entry_fees": Decimal(5),
    }
    return Told(agent_id=str(agent.pk), **usual | values)


def opened(agent: TradingAgent | None = None, **values: Any) -> AgentTrade:
    """Return such a trade, stored at noon."""
    row = told(agent or make_agent(), **values)
    outcome = trades.store_trades([row], now=NOON)
    assert outcome.created == 1, outcome.results
    return AgentTrade.objects.get(pk=row.id)


def closing(**values: Any) -> trades.CloseReport:
    usual: dict[str, Any] = {"exit_price": Decimal(51_000), "exit_time": NOON}
    usual |= {"exit_fees": Decimal("5.1"), "exit_reason": "target"}
    return trades.CloseReport(**usual | values)


def priced(price: Any, *, coin: str = "BTC", at: datetime = NOON) -> None:
    """Have the market pay a price at a time: that of a candle of a minute that ends there."""
    make_candle(symbol=f"{coin}/USD", granularity="1m", price=price, timestamp=at - MINUTE)


def every_bit() -> list[str]:
    """Return all rows of trades as text, with the places where they stand.

    A row that was written anew stands elsewhere, even when it says the same.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT ctid::text || xmin::text || t::text FROM agent_trades t ORDER BY 1")
        return [text for (text,) in cursor.fetchall()]


def failures(outcome: Ingested) -> list[tuple[int, str, str]]:
    return [
        (result.index, error.pointer, error.code)
        for result in outcome.results
        for error in result.errors
    ]


def refusal(error: DomainError) -> list[tuple[str, str]]:
    return [(each.pointer, each.code) for each in error.errors]
