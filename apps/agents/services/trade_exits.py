"""The ends of trades: closed, liquidated or called off; each under the trade's lock."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction

from apps.agents.choices import TradeStatus
from apps.agents.domain import trades
from apps.agents.models import AgentDecision, AgentTrade
from apps.agents.services.trade_rows import Decided, closing_decision_faults, text_or_none
from apps.logs.services.events import record_trading_event
from apps.shared.errors import Conflict, DomainError, FieldError
from apps.shared.quant.money import number_faults, time_faults, total

EMPTY: Final = (None, "")
# Fields of a report under the names of their columns; those alike in both are not here.
COLUMN_OF: Final = {"realized_pnl": "reported_pnl"}


class UnknownTrade(DomainError):
    """There is no trade of this id."""

    code = "unknown_trade"
    status = 404


class TradeEnded(DomainError):
    """The trade is final; the message names its state."""

    code = "trade_ended"
    status = 409


class RefusedReport(DomainError):
    """A report of an exit holds what cannot be; its fields are named."""

    code = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseReport:
    """How a trade ended. None and "" are not told.

    Without ``exit_price`` its P&L stays unknown until another report tells it. Without
    ``exit_time`` it is the moment it is taken in. ``fees`` is the total of both legs, where they
    are not known apart. ``entry_price`` is told where it was not known. ``realized_pnl`` is the
    sender's own result, kept beside ours.
    """

    exit_price: Decimal | None = None
    exit_time: datetime | None = None
    exit_fees: Decimal | None = None
    fees: Decimal | None = None
    realized_pnl: Decimal | None = None
    entry_price: Decimal | None = None
    liquidated: bool | None = None
    exit_reason: str = ""
    close_decision_id: UUID | str | None = None


# --- The verbs ----------------------------------------------------------------------------


@transaction.atomic
def close_trade(
    *, trade_id: UUID | str, report: CloseReport, now: datetime
) -> tuple[AgentTrade, bool]:
    """Close a trade; return it, and whether this changed anything.

    The same close again changes nothing. One that ended without an exit price is completed by a
    report that has one, once; what was told of its end before stands, but for the time. Raises
    UnknownTrade, RefusedReport, Conflict where something else was told, TradeEnded where it was
    cancelled, and TooLarge.
    """
    trade = held(trade_id)
    check(report, trade, now=now)
    is_open = trade.status == TradeStatus.OPEN
    if not is_open:
        if trade.status not in trades.OVER:
            raise TradeEnded(f"The trade has ended: it is {trade.status}.")
        completes = trade.realized_pnl is None and report.exit_price is not None
        check_same(trade, report, completes=completes)
        if not completes:
            return trade, False
    book(trade, report, now=now)
    tell(f"trade_{trade.status}" if is_open else "trade_completed", trade)
    return trade, True


@transaction.atomic
def cancel_trade(*, trade_id: UUID | str, reason: str, now: datetime) -> bool:
    """Call off a trade that is open; tell whether this changed anything.

    Again it changes nothing. Raises UnknownTrade, and TradeEnded where it is over.
    """
    trade = held(trade_id)
    if trade.status == TradeStatus.CANCELLED:
        return False
    if trade.status != TradeStatus.OPEN:
        raise TradeEnded(f"The trade has ended: it is {trade.status}.")
    write(trade, now=now, status=TradeStatus.CANCELLED, exit_reason=reason, unrealized_pnl=None)
    tell("trade_cancelled", trade)
    return True


# --- What is written ----------------------------------------------------------------------


def held(trade_id: UUID | str) -> AgentTrade:
    """Return a trade, locked until the transaction ends. Raises UnknownTrade."""
    trade = AgentTrade.objects.select_for_update(no_key=True).filter(pk=trade_id).first()
    if trade is None:
        raise UnknownTrade("There is no trade of this id.")
    return trade


def book(trade: AgentTrade, report: CloseReport, *, now: datetime) -> None:
    """Write the end of a trade, and what it came to where both prices are known."""
    entry_price = trade.entry_price if trade.entry_price is not None else report.entry_price
    values: dict[str, Any] = {
        "status": ended_as(trade, report),
        "entry_price": entry_price,
        "exit_price": report.exit_price,
        # Never before the entry, whose clock may run ahead of ours.
        "exit_time": report.exit_time or trade.exit_time or max(now, trade.entry_time or now),
        "exit_fees": first(report.exit_fees, trade.exit_fees),
        "fees": fees_after(trade, report),
        "reported_pnl": first(report.realized_pnl, trade.reported_pnl),
        "exit_reason": report.exit_reason or trade.exit_reason,
        "close_decision_id": report.close_decision_id or trade.close_decision_id,
        "unrealized_pnl": None,
        "liquidation_price": trades.liquidation_price(
            side=trade.side, entry_price=entry_price, leverage=trade.leverage
        ),
    }
    if report.exit_price is not None and entry_price is not None:
        came = trades.pnl(
            side=trade.side,
            size=trade.size,
            entry_price=entry_price,
            price=report.exit_price,
            fees=values["fees"],
        )
        values |= {"gross_pnl": came.gross, "fees": came.fees, "realized_pnl": came.net}
    write(trade, now=now, **values)


def ended_as(trade: AgentTrade, report: CloseReport) -> str:
    """Return the state in which a report leaves a trade; one that is over keeps its own."""
    if trade.status in trades.OVER:
        return trade.status
    return TradeStatus.LIQUIDATED if report.liquidated else TradeStatus.CLOSED


def fees_after(trade: AgentTrade, report: CloseReport) -> Decimal | None:
    """Return the fees of a trade with what a report adds; its total as told comes first."""
    if report.fees is not None:
        return report.fees
    if report.exit_fees is None and trade.fees is not None:
        return trade.fees
    return total(trade.entry_fees, first(report.exit_fees, trade.exit_fees), name="fees")


def first(told: Decimal | None, known: Decimal | None) -> Decimal | None:
    return known if told is None else told


def write(trade: AgentTrade, *, now: datetime, **values: Any) -> None:
    """Write columns of a held trade.

    The condition is part of the statement: even without the lock nothing final would be changed.
    """
    rows = AgentTrade.objects.filter(pk=trade.pk, status=trade.status, realized_pnl__isnull=True)
    if not rows.update(**values, updated_at=now):
        raise TradeEnded("The trade has ended.")
    trade.refresh_from_db()


# --- What cannot be, and what was told before ---------------------------------------------


def check(report: CloseReport, trade: AgentTrade, *, now: datetime) -> None:
    """Raise RefusedReport for what cannot be the end of this trade."""
    errors: list[FieldError] = []
    for name, above_zero in trades.NUMBERS:
        value = getattr(report, name, None)
        if value is not None:
            errors += number_faults(name, value, above_zero=above_zero)
    if not errors:
        errors += trades.fee_faults(trade.entry_fees, report.exit_fees, report.fees)
    ahead = settings.CLOCK_TOLERANCE
    errors += time_faults(trade.entry_time, report.exit_time, now=now, ahead=ahead)
    if report.exit_price is not None and report.entry_price is None and trade.entry_price is None:
        errors.append(trades.no_entry())
    if report.close_decision_id is not None:
        decided = AgentDecision.objects.filter(pk=report.close_decision_id)
        values = decided.values_list(*Decided._fields).first()
        decision = None if values is None else Decided(*values)
        errors += closing_decision_faults(trade, decision, coin=trade.coin)
    if errors:
        raise RefusedReport(errors[0].message, errors)
    known = trade.entry_price
    if known is not None and report.entry_price is not None and report.entry_price != known:
        raise Conflict("It was entered at another price: entry_price.", ["entry_price"])


def check_same(trade: AgentTrade, report: CloseReport, *, completes: bool) -> None:
    """Raise Conflict unless what a report tells was told just so.

    One that ``completes`` a trade may add what was not told, and say when it really was.
    """
    differing = [
        name
        for name in ("exit_price", "exit_fees", "realized_pnl", "exit_reason")
        if conflicts(
            getattr(report, name), getattr(trade, COLUMN_OF.get(name, name)), adds=completes
        )
    ]
    if conflicts(
        text_or_none(report.close_decision_id),
        text_or_none(trade.close_decision_id),
        adds=completes,
    ):
        differing.append("close_decision_id")
    if not completes:
        # Without an exit price nothing is completed: an entry that is new would be lost.
        differing += [
            name
            for name in ("exit_time", "entry_price")
            if conflicts(getattr(report, name), getattr(trade, name), adds=False)
        ]
    if fees_differ(trade, report, completes=completes):
        differing.append("fees")
    if conflicts(report.liquidated, trade.status == TradeStatus.LIQUIDATED, adds=False):
        differing.append("liquidated")
    if differing:
        raise Conflict(f"It was closed with other content: {', '.join(differing)}.", differing)


def conflicts(told: object, known: object, *, adds: bool) -> bool:
    """Tell whether what is told is not what is known; with ``adds``, where that is not empty."""
    if told in EMPTY or (adds and known in EMPTY):
        return False
    return told != known


def fees_differ(trade: AgentTrade, report: CloseReport, *, completes: bool) -> bool:
    """Tell whether a report takes back a total of fees that was told."""
    if not completes:
        return report.fees is not None and trade.fees != report.fees
    so_far = total(trade.entry_fees, trade.exit_fees, name="fees")
    # A sum of legs may grow by the leg that was missing; a total that was told stands.
    return trade.fees != so_far and fees_after(trade, report) != trade.fees


def tell(event: str, trade: AgentTrade) -> None:
    """Record what became of a trade."""
    record_trading_event(
        event_type=event,
        symbol=trade.symbol or trade.coin,
        side=trade.side,
        quantity=trade.size,
        price=trade.exit_price,
        order_id=trade.hyperliquid_order_id,
        trade_id=str(trade.pk),
        agent_id=str(trade.agent_id),
        realized_pnl=None if trade.realized_pnl is None else str(trade.realized_pnl),
        exit_reason=trade.exit_reason,
    )
