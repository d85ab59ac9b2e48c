"""Trades as agents tell them: opened, or over already; and what may be said of them later."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import models, transaction
from django.db.models import F, Value
from django.db.models.functions import Cast

from apps.agents.choices import TradeStatus
from apps.agents.models import AgentDecision, AgentTrade, TradingAgent
from apps.agents.services.marks import prices_at
from apps.agents.services.trade_exits import (
    CloseReport,
    RefusedReport,
    TradeEnded,
    UnknownTrade,
    cancel_trade,
    close_trade,
    held,
)
from apps.agents.services.trade_rows import SIDES, Decided, TradeFacts, TradeLike, checked
from apps.logs.services.events import record_trading_events
from apps.shared.copying import exact_json
from apps.shared.errors import FieldError
from apps.shared.ingest import Ingested, RowStatus, ingest

__all__ = [
    "CloseReport",
    "RefusedReport",
    "TradeEnded",
    "TradeLike",
    "UnknownTrade",
    "cancel_trade",
    "close_trade",
    "describe_trade",
    "store_trades",
]

# What follows from the rest, so that it says nothing of its own when a trade is told again.
DERIVED: Final = {"symbol", "gross_pnl", "realized_pnl", "liquidation_price"}
# What the life of a trade moves after it was opened.
MOVED: Final = {
    "status", "exit_price", "exit_time", "exit_fees", "fees", "reported_pnl", "exit_reason",
    "close_decision_id",
}  # fmt: skip
# What the completion of a trade that was told without its exit price may move.
COMPLETED: Final = {"exit_time", "fees"}
# What may be written anew at any time.
DESCRIPTION: Final = {"notes", "hyperliquid_order_id", "extra_metadata"}
# A column under the name of the field it came in.
SENT_AS: Final = {"reported_pnl": "realized_pnl"}


@transaction.atomic
def store_trades(rows: Sequence[TradeLike], *, now: datetime) -> Ingested:
    """Store trades that are open, over or cancelled, and say what became of each row.

    A row that breaks a rule is *failed* with its fields named and does not hold up the others. A
    trade that is stored and was told so is *unchanged*, whatever it has done since; with other
    content it is *failed*, naming what differs. What is left out is not compared, and no state is
    ever moved by this.

    A trade that names the decision it was born of, which must be an accepted opening of the same
    agent, leaves out what that says: coin, side, leverage; its time is the entry time, the
    market's price at that time the entry price, and its value at that price the size. Nothing but
    the decision is needed then. P&L is computed here; ``realized_pnl`` is kept as what the sender
    reports. Over without an exit price, P&L is unknown. Statements are constant in number.
    """
    outcome = Ingested()
    coins = known_coins({str(row.agent_id) for row in rows})
    decided = known_decisions(
        str(name) for row in rows for name in (row.decision_id, row.close_decision_id) if name
    )
    points = [point_of(row, decided.get(str(row.decision_id))) for row in rows]
    prices = prices_at((point for point in points if point is not None), now=now)
    places, stored_facts = [], []
    for place, (row, point) in enumerate(zip(rows, points, strict=True)):
        found = checked(
            row,
            coins=coins.get(str(row.agent_id)),
            decided=decided,
            price=None if point is None else prices.get(point),
            now=now,
        )
        if isinstance(found, list):
            outcome.fail(place, found)
        else:
            places.append(place)
            stored_facts.append(found)
    stored = ingest(
        AgentTrade, stored_facts, columns=TradeFacts._fields, key=["id"], on_conflict="refuse"
    )
    forgive(stored, [rows[place] for place in places])
    listed = {result.index for result in stored.results}
    tell([facts for place, facts in enumerate(stored_facts) if place not in listed])
    outcome.merge(stored, places)
    outcome.sort()
    return outcome


def known_coins(agents: Iterable[str]) -> dict[str, Mapping[str, str]]:
    """Return the coins with their symbols of the agents that are there, by id."""
    found = TradingAgent.objects.filter(pk__in=sorted(agents)).values_list("pk", "coins")
    return {str(pk): coins for pk, coins in found}


def known_decisions(names: Iterable[str]) -> dict[str, Decided]:
    """Return the decisions of these ids that are there."""
    wanted = sorted(set(names))
    if not wanted:
        return {}
    found = AgentDecision.objects.filter(pk__in=wanted).values_list("pk", *Decided._fields)
    return {str(pk): Decided(*values) for pk, *values in found}


def point_of(row: TradeLike, decision: Decided | None) -> tuple[str, datetime] | None:
    """Return the symbol and moment at which a row's entry must be asked for, if at all."""
    if decision is None or row.entry_price is not None or decision.action not in SIDES:
        return None
    return (decision.symbol, decision.timestamp) if decision.symbol else None


def tell(created: Sequence[TradeFacts]) -> None:
    """Record which trades were opened; what is told when it is over already is no news."""
    opened = [facts for facts in created if facts.status == TradeStatus.OPEN]
    if opened:
        record_trading_events([opening(facts) for facts in opened])


def opening(facts: TradeFacts) -> dict[str, Any]:
    """Return what the logs say of a trade that was opened."""
    return {
        "event_type": "trade_opened",
        "symbol": facts.symbol or facts.coin,
        "side": facts.side,
        "quantity": facts.size,
        "price": facts.entry_price,
        "order_id": facts.hyperliquid_order_id,
        "trade_id": facts.id,
        "agent_id": facts.agent_id,
        "decision_id": facts.decision_id,
    }


# --- Told again ---------------------------------------------------------------------------


def forgive(stored: Ingested, rows: Sequence[TradeLike]) -> None:
    """Take back the refusal of rows that differ only in what their trades have done since."""
    failed = [each for each in stored.results if each.status is RowStatus.FAILED]
    described = described_since([rows[result.index].id for result in failed])
    for result in failed:
        row = rows[result.index]
        names = {error.pointer.removeprefix("/"): error for error in result.errors}
        # The price that the row does not tell has become known: its completion told of it.
        moved = COMPLETED if row.exit_price is None and "exit_price" in names else set()
        result.errors = [
            FieldError(f"/{SENT_AS.get(name, name)}", error.code, error.message)
            for name, error in names.items()
            if differs(name, row) and name not in moved
            if name not in DESCRIPTION or str(row.id) not in described
        ]
        if "agent_id" in names:
            # Of another agent's trade nothing is told, not even what is the same.
            result.errors = [names["agent_id"]]
        if not result.errors:
            result.status = RowStatus.UNCHANGED
            stored.count(RowStatus.FAILED, -1)
            stored.count(RowStatus.UNCHANGED, 1)


def differs(name: str, row: TradeLike) -> bool:
    """Tell whether a difference is one of content: of something that the row tells."""
    if name in DERIVED or (row.status == TradeStatus.OPEN and name in MOVED):
        return False
    return getattr(row, SENT_AS.get(name, name)) not in (None, "", {})


def described_since(ids: Sequence[UUID | str]) -> set[str]:
    """Return which trades were written to since they were told, so that words may have changed."""
    if not ids:
        return set()
    rows = AgentTrade.objects.filter(pk__in=ids).exclude(updated_at=F("created_at"))
    return {str(pk) for pk in rows.values_list("pk", flat=True)}


# --- What is said of a trade later --------------------------------------------------------


@transaction.atomic
def describe_trade(*, trade_id: UUID | str, values: Mapping[str, Any], now: datetime) -> bool:
    """Write what describes a trade: notes, the order's id, metadata; tell if this changed it.

    Money and states are moved by the verbs alone. Raises UnknownTrade.
    """
    held(trade_id)
    written = {
        name: exact_document(value) if name == "extra_metadata" else value
        for name, value in values.items()
        if name in DESCRIPTION
    }
    rows = AgentTrade.objects.filter(pk=trade_id)
    if not written or rows.filter(**written).exists():
        return False
    rows.update(**written, updated_at=now)
    return True


def exact_document(value: Mapping[str, Any]) -> Cast:
    """Return a JSON object as PostgreSQL takes it, with all digits of its numbers."""
    text = exact_json.encode(value).decode()
    return Cast(Value(text, models.TextField()), models.JSONField())
