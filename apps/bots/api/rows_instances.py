"""What bots send of themselves: who they are, that they live, what they keep for a restart."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from apps.bots.choices import BotHealth, BotStatus, DesiredState, TradeType
from apps.shared.api.rows import (
    RATIO_LIMIT,
    ZERO,
    Amount,
    JsonObject,
    Moment,
    Row,
    Signed,
    choice,
    number,
    text,
)
from apps.shared.api.values import DOCUMENT_DEPTH, EvidenceCheck, NumberCheck, check_document
from apps.shared.api.values import is_fine as is_fine_value
from apps.shared.fields import RATIO_PLACES

LARGEST_COUNT = 2**31 - 1
LARGEST_NUMBER = 2**53 - 1
LONGEST_INTERVAL = 24 * 3600
LONGEST_CANDLE = 366 * 24 * 3600
PATTERN = r"[^\s/]+(?: [^\s/]+)*"


@dataclass(frozen=True, slots=True)
class AnyCheck:
    """Any JSON value that PostgreSQL can keep."""

    def read(self, value: Any) -> Any:
        """Return the value; its numbers are exact decimals."""
        check_document(value, "")
        return value

    def admits(self, column: Any, *, short: bool) -> bool:
        """Tell whether all values can be kept."""
        return all(is_fine_value(value, DOCUMENT_DEPTH, evidence=False) for value in column)


# No slash: the name stands in addresses, with a verb behind it.
BotName = Annotated[
    str, text(255, minimum=1, pattern=PATTERN, description="The bot's own name; without slashes.")
]
Count = Annotated[int, Meta(ge=0, le=LARGEST_COUNT)]
Serial = Annotated[int, Meta(ge=0, le=LARGEST_NUMBER)]
Measured = Annotated[
    Decimal,
    number(
        NumberCheck(minimum=ZERO, below=RATIO_LIMIT, places=RATIO_PLACES),
        "0 or greater; at most 12 digits before the point and 8 behind it.",
    ),
]


class BotRow(Row):
    """A bot as it describes itself. Its life is told by heartbeats."""

    id: BotName
    type: Annotated[str, choice(TradeType, "Whose money it is; never added up over types.")]
    symbol: Annotated[str, text(50, pattern=r"(?:\S+(?: \S+)*)?")] = ""
    quote_currency: Annotated[
        str, text(10, pattern=r"\S*", description="By default the one that the symbol names.")
    ] = ""
    strategy_name: Annotated[str, text(100)] = ""
    config_file: Annotated[str, text(255)] = ""
    config: JsonObject = {}
    initial_balance: Amount | None = None
    heartbeat_interval_seconds: Annotated[
        int,
        Meta(
            ge=1, le=LONGEST_INTERVAL, description="Not heard of for three of them, it is silent."
        ),
    ] = 60
    candle_interval_seconds: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=LONGEST_CANDLE,
                description="Its data are stale when its last candle is three of them old.",
            ),
        ]
        | None
    ) = None
    version: Annotated[str, text(100)] = ""
    extra_metadata: JsonObject = {}


class BeatRow(Row):
    """What a bot says of itself with a heartbeat; an empty object is a mere sign of life."""

    status: Annotated[str, choice(BotStatus)] | None = None
    current_balance: Signed | None = None
    total_pnl: Signed | None = None
    open_positions: Count | None = None
    last_candle_at: Moment | None = None
    last_decision_at: Moment | None = None
    error_count: Count | None = None
    last_error: (
        Annotated[
            str,
            Meta(
                max_length=100_000,
                description="Kept whatever it holds, its first 10,000 characters.",
                extra={"check": EvidenceCheck(maximum=100_000)},
            ),
        ]
        | None
    ) = None
    loop_time_ms: Measured | None = None
    config_hash: (
        Annotated[str, text(64, pattern=r"\S*", description="Of what it works with.")] | None
    ) = None
    acknowledged: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=LARGEST_COUNT,
                description="The number of the instruction that it has carried out.",
            ),
        ]
        | None
    ) = None
    beat: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=LARGEST_NUMBER,
                description="The count that it was answered last: tells an old heartbeat that"
                " comes once more from a new one.",
            ),
        ]
        | None
    ) = None
    sent_at: Moment | None = None


class WishRow(Row):
    """What is wanted of a bot."""

    desired_state: Annotated[str, choice(DesiredState)]
    reason: Annotated[str, text(500, prose=True)] = ""


class BeatAnswer(msgspec.Struct):
    """What staff want of a bot, and how we see it."""

    id: str
    desired_state: Annotated[str, choice(DesiredState)]
    instruction: Annotated[
        int, Meta(description="Its number; carried out, it is sent as ``acknowledged``.")
    ]
    reason: str
    config_hash: Annotated[str, Meta(description="Of the configuration here.")]
    beat: Annotated[int, Meta(description="How many heartbeats were counted.")]
    health: Annotated[str, choice(BotHealth)]
    server_time: datetime


class StateRow(Row):
    """A document that a bot keeps for its restart."""

    key: Annotated[str, text(255, minimum=1, pattern=PATTERN, description="Chosen by the client.")]
    value: Annotated[
        Any, Meta(description="Any JSON but null, up to 1 MiB.", extra={"check": AnyCheck()})
    ]
    bot_id: Annotated[str, text(255, minimum=1)] | None = None
    version: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=LARGEST_COUNT,
                description="The stored version that is to be replaced; 0: there must be none."
                " Without it whatever is stored is replaced.",
            ),
        ]
        | None
    ) = None


class RecoveryBalance(msgspec.Struct):
    """The balance rebuilt from the ledger, and the one that the bot reports."""

    initial: str | None
    realized: str
    ledger: Annotated[str | None, Meta(description="Initial and realized.")]
    reported: str | None
    difference: Annotated[str | None, Meta(description="Reported less ledger.")]
    currency: str
    reason: Annotated[str, Meta(description="Why there is no ledger balance.")]
    other_currencies: dict[str, str]


class RecoveryAnswer(msgspec.Struct):
    """Everything a bot needs to go on where it stopped, as of one moment."""

    bot: dict[str, Any]
    beat: int
    open_trades: list[dict[str, Any]]
    open_orders: list[dict[str, Any]]
    lots: list[dict[str, Any]]
    limits: list[dict[str, Any]]
    balance: RecoveryBalance
    states: Annotated[
        dict[str, Any], Meta(description="By key: {value, version} of each document.")
    ]
