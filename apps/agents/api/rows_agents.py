"""What agents send of themselves: their model, what they trade, how far they may go."""

from decimal import Decimal
from typing import Annotated, Any

from msgspec import Meta, field

from apps.agents.choices import AgentMode, AgentStatus
from apps.agents.models.agents import seed_coins
from apps.shared.api.identifiers import identifier
from apps.shared.api.rows import (
    ZERO,
    JsonObject,
    PositiveRatio,
    Price,
    Probability,
    Row,
    choice,
    number,
    text,
)
from apps.shared.api.values import DocumentCheck, NumberCheck
from apps.shared.fields import RATIO_PLACES

HUNDRED = Decimal(100)
WORDS = r"(?:\S+(?: \S+)*)?"
# Of a bot: no slash, for the name stands in addresses, with a verb behind it.
BOT_NAME = r"(?:[^\s/]+(?: [^\s/]+)*)?"

Percent = Annotated[
    Decimal,
    number(
        NumberCheck(above=ZERO, maximum=HUNDRED, places=RATIO_PLACES),
        "Percent: greater than 0, at most 100; at most 8 digits behind the point.",
    ),
]
Word = Annotated[str, text(50, pattern=WORDS)]


class AgentRow(Row):
    """An agent as it describes itself. What it may do is told by ``status/``."""

    name: Annotated[str, text(100, minimum=1, pattern=WORDS)]
    llm_model: Annotated[
        str, text(100, minimum=1, pattern=WORDS, description="As its provider calls it.")
    ]
    initial_balance: Price
    id: Annotated[str, identifier("Made by the client; by default that of the name.")] | None = None
    provider: Word = ""
    exchange_account: Word = ""
    mode: Annotated[str, choice(AgentMode, "Whose money it is. Fixed once there are trades.")] = (
        AgentMode.PAPER.value
    )
    quote_currency: Annotated[
        str, text(10, minimum=1, pattern=r"\S*", description="Fixed once there are trades.")
    ] = "USD"
    max_position_size: Percent = Decimal(20)
    max_leverage: Annotated[int, Meta(ge=1, le=50)] = 10
    stop_loss_pct: Percent = Decimal(2)
    take_profit_pct: PositiveRatio = Decimal(5)
    min_confidence: Probability | None = None
    daily_budget: Price | None = None
    coins: Annotated[
        dict[str, Any],
        Meta(
            description="What it trades: the symbol by which each coin is priced, 1 to 50 of them."
            " Coins are kept in upper case.",
            extra={"check": DocumentCheck()},
        ),
    ] = field(default_factory=seed_coins)
    benchmark_coin: Annotated[
        str,
        text(20, pattern=r"\S*", description="What holding is measured by; by default the first."),
    ] = ""
    strategy_description: Annotated[str, text(100_000, prose=True)] = ""
    bot_id: Annotated[
        str,
        text(
            255,
            pattern=BOT_NAME,
            description="The name under which its program tells that it lives, at bots/instances/.",
        ),
    ] = ""
    extra_metadata: JsonObject = {}


class StatusRow(Row):
    """What an agent may do: only an active one opens positions."""

    status: Annotated[str, choice(AgentStatus)]
