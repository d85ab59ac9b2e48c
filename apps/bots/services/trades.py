"""Trades as bots tell them: opened, or over already; and what may be said of them later."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from apps.bots.choices import TradeStatus, TradeType
from apps.bots.models import BotInstance, Trade
from apps.bots.services.activity import note_activity
from apps.bots.services.bookings import exact_document
from apps.bots.services.departures import ArchivedTrade, archived, check_here, departed
from apps.bots.services.exit_reports import (
    ExitReport,
    HasExits,
    PartReport,
    RefusedReport,
    TradeEnded,
    UnknownTrade,
    held,
)
from apps.bots.services.exits import cancel_trade, close_trade, exit_part, last_part_id
from apps.bots.services.trade_rows import Bot, TradeFacts, TradeLike, checked
from apps.logs.services.events import record_trading_events
from apps.shared.errors import FieldError
from apps.shared.ingest import Ingested, RowStatus, ingest

__all__ = [
    "ArchivedTrade",
    "ExitReport",
    "HasExits",
    "PartReport",
    "RefusedReport",
    "TradeEnded",
    "TradeLike",
    "UnknownTrade",
    "cancel_trade",
    "check_here",
    "close_trade",
    "describe_trade",
    "exit_part",
    "last_part_id",
    "store_trades",
]


# What follows from the rest, so that it says nothing of its own when a trade is told again.
DERIVED: Final = {
    "original_position_size", "remaining_position_size", "entry_value", "exit_value",
    "gross_pnl", "net_pnl", "pnl_percentage",
}  # fmt: skip
# What the life of a trade moves after it was opened.
MOVED: Final = {
    "status", "exit_price", "exit_time", "exit_commission", "commission", "reported_net_pnl",
    "exit_reason", "exit_metadata",
}  # fmt: skip
# What is filled in, or comes later, where it is not told.
FILLED: Final = {
    "trade_type", "quote_currency", "entry_time",
    "buy_order_created", "buy_order_closed", "sell_order_created", "sell_order_closed",
}  # fmt: skip
LEGS: Final = {"entry_commission", "exit_commission"}
# Columns under the names of the fields they came in.
SENT_AS: Final = {"reported_net_pnl": "net_pnl", "is_partial_exit": "id"}
DOCUMENTS: Final = {"extra_metadata", "exit_metadata"}


@transaction.atomic
def store_trades(rows: Sequence[TradeLike], *, now: datetime) -> Ingested:
    """Store trades that are open, over or cancelled, and say what became of each row.

    A row that breaks a rule is *failed* with its fields named and does not hold up the others. A
    trade that is stored with the same content is *unchanged*, whatever it has done since; with
    other content it is *failed*, naming what differs. One told as closed is compared with its
    exit; no state is ever moved by this. One that has left for an archive is *failed* whatever is
    told of it (``archived_trade``).

    A ``trade_type`` that is not told is the bot's; a ``quote_currency`` is that of the symbol,
    else the bot's; the ``entry_time`` of an open trade is ``now``. Fees are amounts per leg, or
    follow from ``commission_rate``; a closed trade may tell their total alone (``commission``):
    then its legs stay empty. A leg that is not told counts as nothing. ``net_pnl`` is kept as
    what the sender reports; ours is computed. Statements are constant in number.
    """
    outcome = Ingested()
    bots = known_bots({row.bot_id for row in rows})
    places, stored_facts = [], []
    for place, row in enumerate(rows):
        found = checked(row, bots.get(row.bot_id), now=now)
        if isinstance(found, list):
            outcome.fail(place, found)
        else:
            places.append(place)
            stored_facts.append(found)
    stored = ingest(
        Trade, stored_facts, columns=TradeFacts._fields, key=["id"], on_conflict="refuse"
    )
    forgive(stored, [rows[place] for place in places])
    refuse_archived(stored, [facts.id for facts in stored_facts])
    listed = {result.index for result in stored.results}
    tell([facts for place, facts in enumerate(stored_facts) if place not in listed], now=now)
    outcome.merge(stored, places)
    outcome.sort()
    return outcome


def known_bots(names: Iterable[str]) -> dict[str, Bot]:
    """Return the bots of these names that are there."""
    found = BotInstance.objects.filter(pk__in=sorted(names))
    return {pk: Bot(*of) for pk, *of in found.values_list("pk", "type", "quote_currency")}


def tell(created: Sequence[TradeFacts], *, now: datetime) -> None:
    """Note that the bots of new trades are at work, and record which trades were opened."""
    if not created:
        return
    # Trials on past prices say nothing of how busy a bot is.
    busy = [facts for facts in created if facts.trade_type != TradeType.OPTIMIZATION]
    note_activity({facts.bot_id for facts in busy}, now=now)
    opened = [facts for facts in created if facts.status == TradeStatus.OPEN]
    if opened:
        record_trading_events([opening(facts) for facts in opened])


def opening(facts: TradeFacts) -> dict[str, Any]:
    """Return what the logs say of a trade that was opened."""
    return {
        "event_type": "trade_opened",
        "symbol": facts.symbol,
        "side": facts.direction,
        "quantity": facts.size,
        "price": facts.entry_price,
        "strategy": facts.strategy_name,
        "trade_id": facts.id,
        "bot_id": facts.bot_id,
        "trade_type": facts.trade_type,
    }


# --- Told again ---------------------------------------------------------------------------


def refuse_archived(stored: Ingested, keys: Sequence[str]) -> None:
    """Take back the trades that were made under keys of archived ones. ``keys``: one per row.

    Asked behind the making, for only then no trade can leave unseen any more; and not at all
    where nothing was made.
    """
    results = {result.index: result for result in stored.results}
    gone = departed(key for index, key in enumerate(keys) if index not in results)
    if not gone:
        return
    Trade.objects.filter(pk__in=gone)._raw_delete("default")
    errors = [archived("/id")]
    for index, key in enumerate(keys):
        if UUID(key) not in gone:
            continue
        # A row may stand twice in one batch.
        if result := results.get(index):
            stored.count(result.status, -1)
            stored.count(RowStatus.FAILED, 1)
            result.status, result.errors = RowStatus.FAILED, errors
        else:
            stored.count(RowStatus.CREATED, -1)
            stored.fail(index, errors)


def forgive(stored: Ingested, rows: Sequence[TradeLike]) -> None:
    """Take back the refusal of rows that differ only in what their trades have done since."""
    for result in stored.results:
        if result.status is not RowStatus.FAILED:
            continue
        row = rows[result.index]
        names = {error.pointer.removeprefix("/"): error for error in result.errors}
        result.errors = [
            FieldError(f"/{SENT_AS.get(name, name)}", error.code, error.message)
            for name, error in names.items()
            if differs(name, row)
        ]
        if "bot_id" in names:
            # Of another bot's trade nothing is told, not even what is the same.
            result.errors = [names["bot_id"]]
        if not result.errors:
            result.status = RowStatus.UNCHANGED
            stored.count(RowStatus.FAILED, -1)
            stored.count(RowStatus.UNCHANGED, 1)


def differs(name: str, row: TradeLike) -> bool:
    """Tell whether a difference is one of content."""
    if name in DERIVED:
        return False
    if row.status == TradeStatus.OPEN and name in MOVED:
        return False
    if name in FILLED:
        return bool(getattr(row, name))
    if name in LEGS:
        # The total alone was told, and that is compared.
        return row.commission is None or getattr(row, name) is not None
    return True


# --- What is said of a trade later --------------------------------------------------------


@transaction.atomic
def describe_trade(*, trade_id: UUID | str, values: Mapping[str, Any], now: datetime) -> bool:
    """Write what describes a trade: names, metadata, order times, position; tell if it changed.

    ``values`` are columns of those; money and states are moved by the verbs alone. Raises
    UnknownTrade.
    """
    held(trade_id)
    written = {
        name: exact_document(value) if name in DOCUMENTS else value
        for name, value in values.items()
    }
    rows = Trade.objects.filter(pk=trade_id)
    if not written or rows.filter(**written).exists():
        return False
    rows.update(**written, updated_at=now)
    return True
