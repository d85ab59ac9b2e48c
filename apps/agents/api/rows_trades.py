"""What agents send of their trades: how they began, how they ended; and an account as it stands."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from apps.agents.api.rows_decisions import Coin
from apps.agents.choices import Side, TradeStatus
from apps.agents.domain.trades import MOST_LEVERAGE
from apps.shared.api.identifiers import identifier
from apps.shared.api.rows import (
    PRICE_LIMIT,
    PRICE_PLACES,
    JsonObject,
    Moment,
    Price,
    Row,
    Signed,
    Text,
    choice,
    number,
    text,
)
from apps.shared.api.values import NumberCheck
from apps.shared.fields import RATIO_PLACES

# An agent reminds its model of so many decisions, unless it asks for more.
REMEMBERED: Final = 5
MOST_REMEMBERED: Final = 100

Label = Annotated[str, text(100)]
Fee = Annotated[
    Decimal,
    number(
        NumberCheck(above=-PRICE_LIMIT, below=PRICE_LIMIT, places=PRICE_PLACES),
        "In the quote currency; what the venue pays back is negative.",
    ),
]
Leverage = Annotated[
    Decimal,
    number(
        NumberCheck(minimum=Decimal(1), maximum=Decimal(MOST_LEVERAGE), places=RATIO_PLACES),
        f"From 1 to {MOST_LEVERAGE}; at most 8 digits behind the point.",
    ),
]
Reported = Annotated[
    Signed, Meta(description="The sender's own net result; ours is computed beside it.")
]


class AgentTradeRow(Row):
    """A trade as its agent tells it: open, or over already.

    With a ``decision_id`` all may be left out that follows from the decision: coin, side and
    leverage are its own, entry time and price those of its moment, the size is its value by the
    entry price. Over without an ``exit_price``, its P&L is unknown until ``close/`` tells it.
    """

    id: Annotated[str, identifier("Made by the client.")]
    agent_id: Annotated[str, identifier("Whose trade it is.")]
    decision_id: (
        Annotated[str, identifier("That opened it: an accepted opening of the same agent.")] | None
    ) = None
    close_decision_id: (
        Annotated[str, identifier("That closed it: an accepted CLOSE_POSITION of its coin.")] | None
    ) = None
    coin: Coin | None = None
    side: Annotated[str, choice(Side)] | None = None
    size: Annotated[Price, Meta(description="In units of the coin.")] | None = None
    leverage: Leverage | None = None
    entry_price: Price | None = None
    entry_time: Moment | None = None
    status: Annotated[
        str, choice(TradeStatus, "A trade that is open ends by close/ or cancel/.")
    ] = TradeStatus.OPEN.value
    exit_price: Price | None = None
    exit_time: Moment | None = None
    entry_fees: Fee | None = None
    exit_fees: Fee | None = None
    fees: (
        Annotated[Fee, Meta(description="Of both legs, where they are not known apart.")] | None
    ) = None
    realized_pnl: Reported | None = None
    exit_reason: Label = ""
    hyperliquid_order_id: Label = ""
    notes: Text = ""
    extra_metadata: JsonObject = {}


class AgentTradeDescriptionRow(Row):
    """What describes a trade and may be changed at any time."""

    hyperliquid_order_id: Label = ""
    notes: Text = ""
    extra_metadata: JsonObject = {}


class AgentTradeCloseRow(Row):
    """How a trade ended."""

    exit_price: (
        Annotated[
            Price,
            Meta(description="Left out where it is not known; another close/ may tell it, once."),
        ]
        | None
    ) = None
    exit_time: Annotated[Moment, Meta(description="By default that of its arrival.")] | None = None
    exit_fees: Fee | None = None
    fees: (
        Annotated[Fee, Meta(description="Of both legs, where they are not known apart.")] | None
    ) = None
    realized_pnl: Reported | None = None
    entry_price: Annotated[Price, Meta(description="Where it was not known yet.")] | None = None
    liquidated: Annotated[bool, Meta(description="By the venue, as the margin was lost.")] | (
        None
    ) = None
    exit_reason: Label = ""
    close_decision_id: (
        Annotated[str, identifier("That closed it: an accepted CLOSE_POSITION of its coin.")] | None
    ) = None


class AgentTradeCancelRow(Row):
    """Why a trade was called off."""

    reason: Label = ""


# --- An account ---------------------------------------------------------------------------


class AccountQuery(Row):
    """How much of its own past an agent wants to see."""

    decisions: Annotated[
        int, Meta(ge=0, le=MOST_REMEMBERED, description="The newest so many decisions.")
    ] = REMEMBERED


class AccountAnswer(msgspec.Struct, kw_only=True):
    """An agent's account now. Amounts are decimals in its quote currency, but for model costs.

    value = initial_balance + realized + unrealized, both net of fees; margin_used = Σ size × price
    / leverage of its open trades; withdrawable = value − margin_used, not below 0.
    """

    agent_id: str
    as_of: datetime
    status: str
    quote_currency: str
    initial_balance: str
    value: str
    withdrawable: str
    realized: str
    unrealized: str
    margin_used: str
    exposure: Annotated[str, Meta(description="What the open trades are worth at the market.")]
    held: Annotated[dict[str, str], Meta(description="Coin to side of what is open.")]
    unpriced_trades: Annotated[
        int, Meta(description="Open, without an entry or a price: nothing unrealized is known.")
    ]
    unknown_trades: Annotated[
        int, Meta(description="Over, at a price that nobody told: in none of these figures.")
    ]
    spent_today: Annotated[str, Meta(description="US dollars, on its model, on this day (UTC).")]
    calls_today: int
    unpriced_calls_today: Annotated[int, Meta(description="Their cost is not known.")]
    daily_budget: Annotated[str, Meta(description="US dollars.")] | None
    budget_left: Annotated[str, Meta(description="US dollars; below 0 when it is over.")] | None
    open_trades: Annotated[list[Any], Meta(description="Rows of trades/, the oldest first.")]
    decisions: Annotated[
        list[Any],
        Meta(
            description="Its newest decisions, the newest first: timestamp, coin, action, status,"
            " confidence, reasoning."
        ),
    ]
