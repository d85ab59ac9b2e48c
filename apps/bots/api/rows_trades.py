"""What programs send and read of trades: how they began, how they ended, what they came to."""

from decimal import Decimal
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from apps.bots.choices import Direction, TradeStatus, TradeType
from apps.shared.api.identifiers import identifier
from apps.shared.api.rows import (
    PRICE_LIMIT,
    PRICE_PLACES,
    JsonObject,
    Key,
    Moment,
    Price,
    Row,
    Signed,
    Symbol,
    choice,
    number,
    text,
)
from apps.shared.api.values import NumberCheck
from apps.shared.fields import RATIO_PLACES

ONE: Final = Decimal(1)


Label = Annotated[str, text(100)]
Fee = Annotated[
    Decimal,
    number(
        NumberCheck(above=-PRICE_LIMIT, below=PRICE_LIMIT, places=PRICE_PLACES),
        "In the quote currency; what the venue pays back is negative.",
    ),
]
Rate = Annotated[
    Decimal,
    number(
        NumberCheck(above=-ONE, below=ONE, places=RATIO_PLACES),
        "A fraction of the value: 0.001 is a tenth of a percent.",
    ),
]


class TradeRow(Row):
    """A trade as its bot tells it: open, or over already.

    Fees are amounts per leg or follow from ``commission_rate``; of a closed trade ``commission``
    may tell the total alone. ``net_pnl`` is kept as what is reported; ours is computed.
    """

    id: Annotated[str, identifier("Made by the client.")]
    bot_id: Key
    symbol: Symbol
    direction: Annotated[str, choice(Direction)]
    size: Price
    entry_price: Price | None = None
    entry_time: Moment | None = None
    trade_type: Annotated[str, choice(TradeType, "Where it is not told, that of the bot.")] | (
        None
    ) = None
    quote_currency: (
        Annotated[
            str,
            text(10, description="Where it is not told, that of the symbol, else of the bot."),
        ]
        | None
    ) = None
    status: Annotated[
        str, choice(TradeStatus, "A trade that is open ends by close/, exits/ or cancel/.")
    ] = TradeStatus.OPEN.value
    strategy_name: Label = ""
    entry_logic_name: Label = ""
    exit_logic_name: Label = ""
    interval: Annotated[str, text(10)] = ""
    exit_price: Price | None = None
    exit_time: Moment | None = None
    exit_reason: Label = ""
    commission_rate: Rate | None = None
    entry_commission: Fee | None = None
    exit_commission: Fee | None = None
    commission: Fee | None = None
    net_pnl: Signed | None = None
    buy_order_created: Moment | None = None
    buy_order_closed: Moment | None = None
    sell_order_created: Moment | None = None
    sell_order_closed: Moment | None = None
    position_id: Label = ""
    extra_metadata: JsonObject = {}
    exit_metadata: JsonObject = {}


class TradeDescriptionRow(Row):
    """What describes a trade and may be changed at any time."""

    strategy_name: Label = ""
    entry_logic_name: Label = ""
    exit_logic_name: Label = ""
    interval: Annotated[str, text(10)] = ""
    position_id: Label = ""
    buy_order_created: Moment | None = None
    buy_order_closed: Moment | None = None
    sell_order_created: Moment | None = None
    sell_order_closed: Moment | None = None
    extra_metadata: JsonObject = {}
    exit_metadata: JsonObject = {}


class CloseRow(Row):
    """How a trade, or what is left of it, was closed."""

    exit_price: Price
    exit_time: Moment | None = None
    exit_reason: Label = ""
    exit_commission: Fee | None = None
    commission_rate: Rate | None = None
    buy_order_created: Moment | None = None
    buy_order_closed: Moment | None = None
    sell_order_created: Moment | None = None
    sell_order_closed: Moment | None = None
    exit_metadata: JsonObject = {}
    net_pnl: Signed | None = None


class PartialExitRow(CloseRow, kw_only=True):
    """How a part of a trade was closed."""

    id: Annotated[str, identifier("Of the part; made by the client.")]
    size: Price


class CancelRow(Row):
    """Why a trade was called off."""

    reason: Label = ""


class TradeSummaryAnswer(msgspec.Struct):
    """The trades of one bot, type and currency; money is that of all closed parts."""

    bot_id: str
    trade_type: str
    quote_currency: str
    total: int
    open: int
    closed: int
    cancelled: int
    wins: int
    losses: int
    breakeven: int
    gross_pnl: Annotated[str, Meta(description="A decimal.")]
    fees: Annotated[str, Meta(description="A decimal.")]
    net_pnl: Annotated[str, Meta(description="A decimal.")]
    win_rate: Annotated[str, Meta(description="A decimal, percent of the closed.")] | None


class TradeSummariesAnswer(msgspec.Struct):
    """One summary per bot, type and currency; never one over several of them."""

    results: list[TradeSummaryAnswer]
