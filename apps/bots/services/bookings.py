"""Exits as they are booked: the trade at once, or a part of it and the sums of the trade."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import models
from django.db.models import Max, Sum, Value
from django.db.models.functions import Cast

from apps.bots.choices import TradeStatus
from apps.bots.domain import trades
from apps.bots.models import Trade
from apps.bots.services.exit_reports import ORDER_TIMES, ExitReport, TradeEnded
from apps.shared.copying import exact_json
from apps.shared.quant import money

# What a part takes over from its trade as it is.
TAKEN: Final = (
    "bot_id", "trade_type", "strategy_name", "entry_logic_name", "exit_logic_name", "symbol",
    "interval", "quote_currency", "direction", "entry_time", "entry_price", "commission_rate",
    "position_id",
)  # fmt: skip


def book_whole(trade: Trade, report: ExitReport, *, now: datetime) -> None:
    """Close a trade at one price."""
    assert trade.size is not None
    assert trade.entry_price is not None
    came = money.settle(
        direction=trade.direction,
        size=trade.size,
        entry_price=trade.entry_price,
        exit_price=report.exit_price,
        entry_fee=trade.entry_commission,
        exit_fee=exit_fee(trade, report, trade.size),
        entry_value=trade.entry_value,
    )
    write(
        trade,
        now=now,
        status=TradeStatus.CLOSED,
        exit_price=report.exit_price,
        exit_time=exit_moment(trade, report, now=now),
        remaining_position_size=money.ZERO,
        original_position_size=trade.original_position_size or trade.size,
        reported_net_pnl=report.net_pnl,
        **columns_of(came),
        **told_of_exit(report),
    )


def book_part(
    trade: Trade, report: ExitReport, part_id: UUID | str, size: Decimal, *, now: datetime
) -> Trade:
    """Store a part of a trade, add it to the trade's sums, and close the trade with the last."""
    assert trade.size is not None
    assert trade.entry_price is not None
    left = left_of(trade)
    rest = trades.remaining_after(left, size)
    before = trade.exits.aggregate(
        fees=Sum("entry_commission"), value=Sum("entry_value"), last=Max("exit_time")
    )
    entry_value = trade.entry_value
    if entry_value is None:
        entry_value = money.value_of(trade.entry_price, trade.size, "entry_value")
    came = money.settle(
        direction=trade.direction,
        size=size,
        entry_price=trade.entry_price,
        exit_price=report.exit_price,
        entry_fee=share_of(trade.entry_commission, before["fees"], size, left),
        exit_fee=exit_fee(trade, report, size),
        entry_value=share_of(entry_value, before["value"], size, left),
    )
    sums = sums_with(trade, came, report)
    whole = trade.original_position_size or trade.size
    part = Trade(
        id=UUID(str(part_id)),
        **{name: getattr(trade, name) for name in TAKEN},
        status=TradeStatus.CLOSED,
        size=size,
        original_position_size=whole,
        remaining_position_size=rest,
        exit_price=report.exit_price,
        exit_time=exit_moment(trade, report, now=now),
        entry_commission=came.entry_fee,
        reported_net_pnl=report.net_pnl,
        parent_trade=trade,
        partial_exit_sequence=trade.partial_exits + 1,
        is_partial_exit=True,
        total_position_pnl=None if rest else sums["net_pnl"],
        **columns_of(came),
        **told_of_exit(report),
    )
    part.save(force_insert=True)
    part.exit_metadata = dict(report.exit_metadata)
    values = {
        "remaining_position_size": rest,
        "original_position_size": whole,
        "partial_exits": trade.partial_exits + 1,
        "entry_value": entry_value,
        **sums,
    }
    if not rest:
        moments = [moment for moment in (before["last"], part.exit_time) if moment is not None]
        # Of amounts too small to have a value there is no mean.
        mean = money.mean_price(sums["exit_value"], trade.size) or report.exit_price
        values |= {
            "status": TradeStatus.CLOSED,
            "exit_price": mean,
            "exit_time": max(moments),
            "pnl_percentage": money.percentage(sums["net_pnl"], entry_value),
            **told_of_exit(report),
        }
    write(trade, now=now, **values)
    return part


def share_of(
    amount: Decimal | None, taken: Decimal | None, size: Decimal, left: Decimal
) -> Decimal | None:
    """Return what a part takes of an amount of which others have taken theirs."""
    if amount is None:
        return None
    return money.share(money.EXACT.subtract(amount, taken or money.ZERO), size, left)


def sums_with(trade: Trade, came: money.Settlement, report: ExitReport) -> dict[str, Any]:
    """Return the sums of a trade's parts, the new one among them."""
    first = not trade.partial_exits
    reported = report.net_pnl
    if not first and reported is not None:
        reported = (
            None
            if trade.reported_net_pnl is None
            else money.total(trade.reported_net_pnl, reported, name="net_pnl")
        )
    return {
        "exit_value": money.total(trade.exit_value, came.exit_value, name="exit_value"),
        "exit_commission": money.total(
            trade.exit_commission, came.exit_fee, name="exit_commission"
        ),
        "commission": money.total(trade.commission, came.fees),
        "gross_pnl": money.total(trade.gross_pnl, came.gross, name="gross_pnl"),
        "net_pnl": money.total(trade.net_pnl, came.net, name="net_pnl"),
        # Of parts that were not all reported there is no sum.
        "reported_net_pnl": reported,
    }


def columns_of(came: money.Settlement) -> dict[str, Any]:
    """Return the columns that a settlement fills; the entry fee stays the trade's own."""
    return {
        "entry_value": came.entry_value,
        "exit_value": came.exit_value,
        "exit_commission": came.exit_fee,
        "commission": came.fees,
        "gross_pnl": came.gross,
        "net_pnl": came.net,
        "pnl_percentage": came.percentage,
    }


def told_of_exit(report: ExitReport) -> dict[str, Any]:
    """Return the words and order times of a report; what is not told stays as it was."""
    moments = {name: getattr(report, name) for name in ORDER_TIMES}
    return {
        "exit_reason": report.exit_reason,
        "exit_metadata": exact_document(report.exit_metadata),
        **{name: moment for name, moment in moments.items() if moment is not None},
    }


def exit_fee(trade: Trade, report: ExitReport, size: Decimal) -> Decimal | None:
    """Return what the exit of so much cost, None where nothing is told of it."""
    return money.fee_of(
        amount=report.exit_commission,
        rate=trade.commission_rate if report.commission_rate is None else report.commission_rate,
        price=report.exit_price,
        size=size,
        name="exit_commission",
    )


def left_of(trade: Trade) -> Decimal:
    """Return how much of a trade is still open."""
    left = trade.remaining_position_size
    return (trade.size or money.ZERO) if left is None else left


def exit_moment(trade: Trade, report: ExitReport, *, now: datetime) -> datetime:
    """Return when an exit was; never before the entry, whose clock may run ahead of ours."""
    return report.exit_time or max(now, trade.entry_time or now)


def write(trade: Trade, *, now: datetime, **values: Any) -> None:
    """Write columns of a held trade that is open.

    The condition is part of the statement: even without the lock no final row would be changed.
    """
    if not Trade.objects.filter(pk=trade.pk, status=TradeStatus.OPEN).update(
        **values, updated_at=now
    ):
        raise TradeEnded("The trade has ended.")
    trade.refresh_from_db()


def exact_document(value: Mapping[str, Any]) -> Cast:
    """Return a JSON object as PostgreSQL takes it, with all digits of its numbers."""
    text = exact_json.encode(value).decode()
    return Cast(Value(text, models.TextField()), models.JSONField())
