"""Trades of agents as they arrive, what their decisions say of them, and their columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

from django.conf import settings

from apps.agents.choices import Action, DecisionStatus, Side, TradeStatus
from apps.agents.domain import trades
from apps.shared.errors import FieldError
from apps.shared.quant.money import TooLarge, value_of

SIDES: Final[Mapping[str, str]] = {
    Action.OPEN_LONG: Side.LONG.value,
    Action.OPEN_SHORT: Side.SHORT.value,
}


class TradeLike(trades.TradeLike, Protocol):
    """A trade as it arrives: whatever has these values."""

    @property
    def id(self) -> UUID | str: ...
    @property
    def agent_id(self) -> UUID | str: ...
    @property
    def decision_id(self) -> UUID | str | None: ...
    @property
    def close_decision_id(self) -> UUID | str | None: ...
    @property
    def hyperliquid_order_id(self) -> str: ...
    @property
    def notes(self) -> str: ...
    @property
    def extra_metadata(self) -> Mapping[str, Any]: ...


class TradeFacts(NamedTuple):
    """A trade as it is stored when it is told, column by column."""

    id: str
    agent_id: str
    decision_id: str | None
    close_decision_id: str | None
    coin: str
    symbol: str
    side: str
    status: str
    size: Decimal
    leverage: Decimal | None
    entry_price: Decimal | None
    entry_time: datetime | None
    exit_price: Decimal | None
    exit_time: datetime | None
    entry_fees: Decimal | None
    exit_fees: Decimal | None
    fees: Decimal | None
    gross_pnl: Decimal | None
    realized_pnl: Decimal | None
    reported_pnl: Decimal | None
    liquidation_price: Decimal | None
    exit_reason: str
    hyperliquid_order_id: str
    notes: str
    extra_metadata: Mapping[str, Any]


class Decided(NamedTuple):
    """What a trade takes from the decision it was born of, or was closed by."""

    agent_id: UUID
    status: str
    action: str
    coin: str
    symbol: str
    size_usd: Decimal | None
    leverage: Decimal | None
    entry_price: Decimal | None
    timestamp: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A trade with what was left out taken from its decision."""

    status: str
    coin: str | None
    symbol: str
    side: str | None
    size: Decimal | None
    leverage: Decimal | None
    entry_time: datetime | None
    exit_time: datetime | None
    entry_price: Decimal | None
    exit_price: Decimal | None
    entry_fees: Decimal | None
    exit_fees: Decimal | None
    fees: Decimal | None
    realized_pnl: Decimal | None
    exit_reason: str


def checked(
    row: TradeLike,
    *,
    coins: Mapping[str, str] | None,
    decided: Mapping[str, Decided],
    price: Decimal | None,
    now: datetime,
) -> TradeFacts | list[FieldError]:
    """Return the columns of a row, or all that is wrong with it.

    ``coins`` are those of its agent with their symbols, None where there is no such agent;
    ``price`` is what the market paid at the time of the row's decision.
    """
    if coins is None:
        return [trades.error("agent_id", "unknown_agent", "There is no agent of this id.")]
    opening = decided.get(str(row.decision_id))
    errors = [*opening_faults(row, opening), *closing_faults(row, decided)]
    if errors:
        return errors
    try:
        told = filled(row, opening, coins=coins, price=price, now=now)
        errors = trades.faults(told, now=now, ahead=settings.CLOCK_TOLERANCE)
        return errors or facts_of(row, told)
    except TooLarge as error:
        return error.errors


def opening_faults(row: TradeLike, decision: Decided | None) -> list[FieldError]:
    """Return why a trade cannot be born of the decision that it names."""
    if row.decision_id is None:
        return []
    if refused := decision_fault("decision_id", row, decision):
        return [refused]
    assert decision is not None
    if decision.action not in SIDES:
        message = f"The decision is {decision.action}: it opens nothing."
        return [trades.error("decision_id", "not_an_opening", message)]
    errors = []
    if row.coin and row.coin.upper() != decision.coin:
        message = f"The decision is on {decision.coin}."
        errors.append(trades.error("coin", "other_coin", message))
    if row.side and row.side != SIDES[decision.action]:
        message = f"The decision is {decision.action}."
        errors.append(trades.error("side", "other_side", message))
    return errors


def closing_faults(row: TradeLike, decided: Mapping[str, Decided]) -> list[FieldError]:
    """Return why a trade cannot have been closed by the decision that it names."""
    if row.close_decision_id is None:
        return []
    if row.status not in trades.OVER:
        message = f"A trade that is {row.status} was not closed by a decision."
        return [trades.error("close_decision_id", "not_closed", message)]
    opening = decided.get(str(row.decision_id))
    coin = row.coin or (opening.coin if opening else "")
    return closing_decision_faults(row, decided.get(str(row.close_decision_id)), coin=coin)


def closing_decision_faults(trade: Any, decision: Decided | None, *, coin: str) -> list[FieldError]:
    """Return why a decision cannot have closed a trade (whatever has an ``agent_id``)."""
    name = "close_decision_id"
    if refused := decision_fault(name, trade, decision):
        return [refused]
    assert decision is not None
    if decision.action != Action.CLOSE_POSITION:
        message = f"The decision is {decision.action}: it closes nothing."
        return [trades.error(name, "not_a_close", message)]
    if decision.coin != coin.upper():
        return [trades.error(name, "other_coin", f"The decision is on {decision.coin}.")]
    return []


def decision_fault(name: str, trade: Any, decision: Decided | None) -> FieldError | None:
    """Return what is wrong with a decision of whatever kind; those of others are not there."""
    if decision is None or str(decision.agent_id) != str(trade.agent_id):
        return trades.error(name, "unknown_decision", "This agent has no decision of this id.")
    if decision.status != DecisionStatus.SUCCESS:
        message = f"The decision was not accepted: it is {decision.status}."
        return trades.error(name, "not_accepted", message)
    return None


def filled(
    row: TradeLike,
    decision: Decided | None,
    *,
    coins: Mapping[str, str],
    price: Decimal | None,
    now: datetime,
) -> Filled:
    """Return a row with what it leaves out: from its decision, the market, the moment.

    The entry price is the market's at the decision's time, else the one that the decision itself
    names; the size is the decision's value at the entry price. Raises TooLarge.
    """
    coin, side, leverage, size = row.coin, row.side, row.leverage, row.size
    entry_price, entry_time = row.entry_price, row.entry_time
    symbol = ""
    if decision is not None:
        coin, side = decision.coin, SIDES[decision.action]
        leverage = decision.leverage if leverage is None else leverage
        symbol = decision.symbol
        if entry_price is None:
            entry_price = price or decision.entry_price
        if size is None and entry_price is not None and decision.size_usd is not None:
            size = trades.size_for(decision.size_usd, entry_price)
        if row.status != TradeStatus.CANCELLED:
            entry_time = entry_time or decision.timestamp
    coin = coin.upper() if coin else coin
    if row.status == TradeStatus.CANCELLED:
        # It was never entered, whatever the market paid then.
        entry_price = row.entry_price
    return Filled(
        status=row.status,
        coin=coin,
        symbol=symbol or coins.get(coin or "", ""),
        side=side,
        size=size,
        leverage=leverage,
        entry_time=entry_time or (now if row.status == TradeStatus.OPEN else None),
        exit_time=row.exit_time,
        entry_price=entry_price,
        exit_price=row.exit_price,
        entry_fees=row.entry_fees,
        exit_fees=row.exit_fees,
        fees=row.fees,
        realized_pnl=row.realized_pnl,
        exit_reason=row.exit_reason,
    )


def facts_of(row: TradeLike, told: Filled) -> TradeFacts:
    """Return the columns of a trade without fault. Raises TooLarge."""
    assert told.coin is not None
    assert told.side is not None
    assert told.size is not None
    gross = realized = None
    fees = trades.fees_of(told.entry_fees, told.exit_fees, told.fees)
    if told.entry_price is not None:
        # What is held must have a value that columns can keep.
        value_of(told.entry_price, told.size, "size")
        if told.exit_price is not None:
            came = trades.pnl(
                side=told.side,
                size=told.size,
                entry_price=told.entry_price,
                price=told.exit_price,
                fees=fees,
            )
            gross, fees, realized = came.gross, came.fees, came.net
    return TradeFacts(
        id=str(row.id),
        agent_id=str(row.agent_id),
        decision_id=text_or_none(row.decision_id),
        close_decision_id=text_or_none(row.close_decision_id),
        coin=told.coin,
        symbol=told.symbol,
        side=told.side,
        status=told.status,
        size=told.size,
        leverage=told.leverage,
        entry_price=told.entry_price,
        entry_time=told.entry_time,
        exit_price=told.exit_price,
        exit_time=told.exit_time,
        entry_fees=told.entry_fees,
        exit_fees=told.exit_fees,
        fees=fees,
        gross_pnl=gross,
        realized_pnl=realized,
        reported_pnl=told.realized_pnl,
        liquidation_price=trades.liquidation_price(
            side=told.side, entry_price=told.entry_price, leverage=told.leverage
        ),
        exit_reason=told.exit_reason,
        hyperliquid_order_id=row.hyperliquid_order_id,
        notes=row.notes,
        extra_metadata=row.extra_metadata,
    )


def text_or_none(value: UUID | str | None) -> str | None:
    return None if value is None else str(value)
