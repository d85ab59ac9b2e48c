"""What is reported of the end of a trade, and whether it can be so."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.conf import settings

from apps.bots.choices import TradeStatus
from apps.bots.domain import trades
from apps.bots.models import Trade
from apps.bots.services.departures import check_here
from apps.shared.errors import DomainError, FieldError
from apps.shared.quant import money

ORDER_TIMES: Final = (
    "buy_order_created",
    "buy_order_closed",
    "sell_order_created",
    "sell_order_closed",
)


class UnknownTrade(DomainError):
    """There is no trade of this id."""

    code = "unknown_trade"
    status = 404


class TradeEnded(DomainError):
    """The trade is final; the message names its state."""

    code = "trade_ended"
    status = 409


class HasExits(DomainError):
    """Parts of the trade were closed already, so it cannot be cancelled."""

    code = "has_exits"
    status = 409


class RefusedReport(DomainError):
    """A report of an exit holds what cannot be; its fields are named."""

    code = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitReport:
    """How a trade, or what is left of it, was closed.

    Without ``exit_time`` it is the moment it is taken in, and is not compared when the same is
    told again. The fee is an amount, or follows from ``commission_rate``, else from the rate that
    the trade was opened with. ``net_pnl`` is the sender's own result, kept beside ours.
    """

    exit_price: Decimal
    exit_time: datetime | None = None
    exit_reason: str = ""
    exit_commission: Decimal | None = None
    commission_rate: Decimal | None = None
    buy_order_created: datetime | None = None
    buy_order_closed: datetime | None = None
    sell_order_created: datetime | None = None
    sell_order_closed: datetime | None = None
    exit_metadata: Mapping[str, Any] = field(default_factory=dict)
    net_pnl: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReport(ExitReport):
    """How a part of a trade was closed; ``id`` is the sender's own for the part."""

    id: UUID | str
    size: Decimal


def held(trade_id: UUID | str) -> Trade:
    """Return a trade, locked until the transaction ends. Raises UnknownTrade, ArchivedTrade."""
    trade = Trade.objects.select_for_update(no_key=True).filter(pk=trade_id).first()
    if trade is None:
        check_here(trade_id)
        raise UnknownTrade("There is no trade of this id.")
    return trade


def check_open(trade: Trade) -> None:
    """Raise TradeEnded unless the table of ways leads on from the trade's state."""
    if TradeStatus(trade.status) in trades.FINAL:
        raise TradeEnded(f"The trade has ended: it is {trade.status}.")


def check(report: ExitReport, trade: Trade, *, now: datetime) -> None:
    """Raise RefusedReport for what cannot be the exit of this trade."""
    errors: list[FieldError] = []
    for name, above_zero in (("exit_price", True), ("exit_commission", False), ("net_pnl", False)):
        value = getattr(report, name)
        if value is not None:
            errors += money.number_faults(name, value, above_zero=above_zero)
    if report.commission_rate is not None:
        errors += money.rate_faults(report.commission_rate)
    ahead = settings.CLOCK_TOLERANCE
    errors += money.time_faults(trade.entry_time, report.exit_time, now=now, ahead=ahead)
    if trade.entry_price is None or trade.size is None:
        message = "The price or size at which this trade was entered is not known."
        errors.append(FieldError("", "no_entry", message))
    if errors:
        raise RefusedReport(errors[0].message, errors)
