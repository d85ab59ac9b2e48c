"""The ends of trades: closed at once or in parts, or cancelled; each under the trade's lock."""

from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID, uuid5

from django.db import IntegrityError, transaction

from apps.bots.choices import TradeStatus
from apps.bots.models import Trade
from apps.bots.services.activity import note_activity
from apps.bots.services.bookings import (
    book_part,
    book_whole,
    exact_document,
    exit_fee,
    left_of,
    write,
)
from apps.bots.services.departures import check_here, departed
from apps.bots.services.exit_reports import (
    ORDER_TIMES,
    ExitReport,
    HasExits,
    PartReport,
    RefusedReport,
    check,
    check_open,
    held,
)
from apps.logs.services.events import record_trading_event
from apps.shared.errors import Conflict
from apps.shared.quant import money


def last_part_id(trade_id: UUID | str) -> UUID:
    """Return the id of the part by which ``close_trade`` closes what earlier exits have left.

    It is the version 5 UUID of the name "last" in the name space of the trade's id; should that
    be taken, also by an archived trade, of "last 2", "last 3" and so on.
    """
    space = UUID(str(trade_id))
    names = ("last" if number == 1 else f"last {number}" for number in count(1))
    ids = (uuid5(space, name) for name in names)
    return next(
        each for each in ids if not (Trade.objects.filter(pk=each).exists() or departed([each]))
    )


# --- The verbs ----------------------------------------------------------------------------


@transaction.atomic
def close_trade(*, trade_id: UUID | str, report: ExitReport, now: datetime) -> tuple[Trade, bool]:
    """Close a trade, or what is left of it; return it, and whether this changed anything.

    After partial exits the rest becomes the last part, under ``last_part_id``. The same close
    again changes nothing. Raises UnknownTrade, RefusedReport, Conflict where it was closed
    otherwise, TradeEnded where it was cancelled, and TooLarge.
    """
    trade = held(trade_id)
    check(report, trade, now=now)
    if trade.status == TradeStatus.CLOSED:
        last = trade.exits.order_by("-partial_exit_sequence").first() or trade
        check_same(last, report)
        return trade, False
    check_open(trade)
    if trade.partial_exits:
        book_part(trade, report, last_part_id(trade.pk), left_of(trade), now=now)
    else:
        book_whole(trade, report, now=now)
    tell("trade_closed", trade, trade.exit_price, trade.size, now=now)
    return trade, True


@transaction.atomic
def exit_part(*, trade_id: UUID | str, report: PartReport, now: datetime) -> tuple[Trade, bool]:
    """Close a part of a trade; return the part, and whether it is new.

    A part as large as what is left closes the trade. The same part again changes nothing. Raises
    UnknownTrade, RefusedReport, MoreThanRemaining, TradeEnded, Conflict where its id stands for
    something else, ArchivedTrade where it stands for what has left, and TooLarge.
    """
    trade = held(trade_id)
    check(report, trade, now=now)
    if errors := list(money.number_faults("size", report.size, above_zero=True)):
        raise RefusedReport("The report is refused.", errors)
    known = Trade.objects.filter(pk=report.id).first()
    if known is not None:
        if known.parent_trade_id != trade.pk:
            raise Conflict("This id stands for another trade.", ["id"])
        check_same(known, report, size=report.size)
        return known, False
    check_open(trade)
    try:
        part = book_part(trade, report, report.id, report.size, now=now)
    except IntegrityError as error:
        # Only the lock of another trade can have let its id through.
        raise Conflict("This id stands for another trade.", ["id"]) from error
    # Only now: as long as the trade of this id was about to leave, the id was taken.
    check_here(part.pk, "/id")
    closed = trade.status == TradeStatus.CLOSED
    event = "trade_closed" if closed else "trade_partial_exit"
    tell(event, trade, part.exit_price, part.size, now=now)
    return part, True


@transaction.atomic
def cancel_trade(*, trade_id: UUID | str, reason: str, now: datetime) -> bool:
    """Call a trade off of which nothing was closed yet; tell whether this changed anything.

    Again it changes nothing. Raises UnknownTrade, HasExits, and TradeEnded where it was closed.
    """
    trade = held(trade_id)
    if trade.status == TradeStatus.CANCELLED:
        return False
    check_open(trade)
    if trade.partial_exits:
        raise HasExits("Parts of this trade were closed already; close the rest.")
    write(trade, now=now, status=TradeStatus.CANCELLED, exit_reason=reason)
    tell("trade_cancelled", trade, trade.entry_price, trade.size, now=now)
    return True


# --- Compared and told --------------------------------------------------------------------


def check_same(part: Trade, report: ExitReport, *, size: Decimal | None = None) -> None:
    """Raise Conflict unless an exit that is stored was told just so."""
    told: dict[str, Any] = {
        "exit_price": report.exit_price,
        "exit_reason": report.exit_reason,
        "exit_commission": exit_fee(part, report, part.size or money.ZERO),
        "reported_net_pnl": report.net_pnl,
    }
    if size is not None:
        told["size"] = size
    for name in ("exit_time", *ORDER_TIMES):
        if getattr(report, name) is not None:
            told[name] = getattr(report, name)
    differing = [name for name, value in told.items() if getattr(part, name) != value]
    # Numbers inside may have more digits than Python's hold: PostgreSQL compares.
    document = exact_document(report.exit_metadata)
    if not Trade.objects.filter(pk=part.pk, exit_metadata=document).exists():
        differing.append("exit_metadata")
    if differing:
        names = ["net_pnl" if name == "reported_net_pnl" else name for name in differing]
        raise Conflict(f"It was closed with other content: {', '.join(names)}.", names)


def tell(
    event: str, trade: Trade, price: Decimal | None, size: Decimal | None, *, now: datetime
) -> None:
    """Note that the bot is at work, and record what became of its trade."""
    note_activity([trade.bot_id], now=now)
    record_trading_event(
        event_type=event,
        symbol=trade.symbol,
        side=trade.direction,
        quantity=size,
        price=price,
        strategy=trade.strategy_name,
        trade_id=str(trade.pk),
        bot_id=trade.bot_id,
        trade_type=trade.trade_type,
        net_pnl=None if trade.net_pnl is None else str(trade.net_pnl),
        exit_reason=trade.exit_reason,
    )
