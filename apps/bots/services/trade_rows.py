"""Trades as they arrive, and the columns they are stored in."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from django.conf import settings

from apps.bots.choices import TradeStatus, TradeType
from apps.bots.domain import trades
from apps.bots.domain.symbols import quote_of
from apps.shared.errors import FieldError
from apps.shared.quant import money


class TradeLike(trades.TradeLike, Protocol):
    """A trade as it arrives: whatever has these values."""

    @property
    def id(self) -> UUID | str: ...
    @property
    def bot_id(self) -> str: ...
    @property
    def trade_type(self) -> str | None: ...
    @property
    def strategy_name(self) -> str: ...
    @property
    def entry_logic_name(self) -> str: ...
    @property
    def exit_logic_name(self) -> str: ...
    @property
    def symbol(self) -> str: ...
    @property
    def interval(self) -> str: ...
    @property
    def quote_currency(self) -> str | None: ...
    @property
    def buy_order_created(self) -> datetime | None: ...
    @property
    def buy_order_closed(self) -> datetime | None: ...
    @property
    def sell_order_created(self) -> datetime | None: ...
    @property
    def sell_order_closed(self) -> datetime | None: ...
    @property
    def position_id(self) -> str: ...
    @property
    def extra_metadata(self) -> Mapping[str, Any]: ...
    @property
    def exit_metadata(self) -> Mapping[str, Any]: ...


class TradeFacts(NamedTuple):
    """A trade as it is stored when it is told, column by column."""

    id: str
    bot_id: str
    trade_type: str
    strategy_name: str
    entry_logic_name: str
    exit_logic_name: str
    symbol: str
    interval: str
    quote_currency: str
    direction: str
    status: str
    size: Decimal
    original_position_size: Decimal
    remaining_position_size: Decimal
    entry_time: datetime | None
    exit_time: datetime | None
    buy_order_created: datetime | None
    buy_order_closed: datetime | None
    sell_order_created: datetime | None
    sell_order_closed: datetime | None
    entry_price: Decimal | None
    exit_price: Decimal | None
    entry_value: Decimal | None
    exit_value: Decimal | None
    commission_rate: Decimal | None
    entry_commission: Decimal | None
    exit_commission: Decimal | None
    commission: Decimal | None
    gross_pnl: Decimal | None
    net_pnl: Decimal | None
    pnl_percentage: Decimal | None
    reported_net_pnl: Decimal | None
    exit_reason: str
    extra_metadata: Mapping[str, Any]
    exit_metadata: Mapping[str, Any]
    position_id: str
    is_partial_exit: bool


class Bot(NamedTuple):
    """What a trade takes from its bot where it does not say so itself."""

    type: str
    quote_currency: str


def checked(row: TradeLike, bot: Bot | None, *, now: datetime) -> TradeFacts | list[FieldError]:
    """Return the columns of a row, or all that is wrong with it."""
    errors = trades.faults(row, now=now, ahead=settings.CLOCK_TOLERANCE)
    if bot is None:
        errors.append(FieldError("/bot_id", "unknown_bot", f'There is no bot "{row.bot_id}".'))
    if row.trade_type is not None and row.trade_type not in TradeType.values:
        message = f"Must be one of {', '.join(TradeType.values)}."
        errors.append(FieldError("/trade_type", "not_a_choice", message))
    if not row.symbol:
        errors.append(FieldError("/symbol", "empty", "Must not be empty."))
    if errors or bot is None:
        return errors
    try:
        figures = money_of(row)
    except money.TooLarge as error:
        return error.errors
    told = row.commission
    paid = figures.pop("paid")
    if told is not None and paid is not None and told != paid:
        message = "Is not the sum of its legs; send one or the other."
        return [FieldError("/commission", "not_the_sum", message)]
    is_open = row.status == TradeStatus.OPEN
    return TradeFacts(
        id=str(row.id),
        bot_id=row.bot_id,
        trade_type=row.trade_type or bot.type,
        strategy_name=row.strategy_name,
        entry_logic_name=row.entry_logic_name,
        exit_logic_name=row.exit_logic_name,
        symbol=row.symbol,
        interval=row.interval,
        quote_currency=row.quote_currency or fitting(quote_of(row.symbol)) or bot.quote_currency,
        direction=row.direction,
        status=row.status,
        size=row.size,
        original_position_size=row.size,
        remaining_position_size=money.ZERO if row.status == TradeStatus.CLOSED else row.size,
        entry_time=row.entry_time or (now if is_open else None),
        exit_time=row.exit_time,
        buy_order_created=row.buy_order_created,
        buy_order_closed=row.buy_order_closed,
        sell_order_created=row.sell_order_created,
        sell_order_closed=row.sell_order_closed,
        entry_price=row.entry_price,
        exit_price=row.exit_price,
        commission_rate=row.commission_rate,
        reported_net_pnl=row.net_pnl,
        exit_reason=row.exit_reason,
        extra_metadata=row.extra_metadata,
        exit_metadata=row.exit_metadata,
        position_id=row.position_id,
        is_partial_exit=False,
        **figures,
    )


def fitting(currency: str) -> str:
    """Return a currency that was read from a symbol, unless its column cannot hold it."""
    return currency if len(currency) <= 10 else ""


def money_of(row: TradeLike) -> dict[str, Any]:
    """Return the columns of a row that are computed; ``paid`` is the sum of the legs told.

    Raises TooLarge.
    """
    found: dict[str, Any] = dict.fromkeys(
        (
            "entry_value", "exit_value", "entry_commission", "exit_commission", "commission",
            "gross_pnl", "net_pnl", "pnl_percentage", "paid",
        )
    )  # fmt: skip
    if row.entry_price is None:
        return found | {"entry_commission": row.entry_commission}
    # Where the total alone is told, a rate says nothing about the legs.
    rate = None if row.commission is not None else row.commission_rate
    entry_fee = money.fee_of(
        amount=row.entry_commission,
        rate=rate,
        price=row.entry_price,
        size=row.size,
        name="entry_commission",
    )
    found |= {
        "entry_value": money.value_of(row.entry_price, row.size, "entry_value"),
        "entry_commission": entry_fee,
    }
    if row.exit_price is None or row.status != TradeStatus.CLOSED:
        return found
    exit_fee = money.fee_of(
        amount=row.exit_commission,
        rate=rate,
        price=row.exit_price,
        size=row.size,
        name="exit_commission",
    )
    came = money.settle(
        direction=row.direction,
        size=row.size,
        entry_price=row.entry_price,
        exit_price=row.exit_price,
        entry_fee=entry_fee,
        exit_fee=exit_fee,
        fees=row.commission,
    )
    return found | {
        "exit_value": came.exit_value,
        "exit_commission": exit_fee,
        "commission": came.fees,
        "gross_pnl": came.gross,
        "net_pnl": came.net,
        "pnl_percentage": came.percentage,
        "paid": money.total(entry_fee, exit_fee),
    }
