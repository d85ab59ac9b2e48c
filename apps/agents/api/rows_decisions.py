"""What agents send of their decisions. What a model may get wrong is no fault of the row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from apps.agents.choices import Action, DecisionStatus, Side
from apps.shared.api.identifiers import identifier
from apps.shared.api.rows import (
    Evidence,
    EvidenceObject,
    Moment,
    Price,
    Ratio,
    Row,
    Signed,
    choice,
    text,
)
from apps.shared.api.values import ChoiceCheck, ManyRefused, Refused, TextCheck, pointer_part
from apps.shared.errors import FieldError

LARGEST_COUNT = 2**31 - 1
MOST_COINS = 200
TOLD = (
    DecisionStatus.SUCCESS.value,
    DecisionStatus.FAILED.value,
    DecisionStatus.PARSING_ERROR.value,
)
WORDS = r"(?:\S+(?: \S+)*)?"

coin_check = TextCheck(minimum=1, maximum=20, pattern=r"\S+")
side_check = ChoiceCheck(tuple(Side.values))

Count = Annotated[int, Meta(ge=0, le=LARGEST_COUNT)]
Coin = Annotated[str, text(20, minimum=1, pattern=r"\S+", description="Kept in upper case.")]
Version = Annotated[
    str, text(64, pattern=WORDS, description="A name or a hash of the template of the prompt.")
]


@dataclass(frozen=True, slots=True)
class PositionsCheck:
    """An object of sides by coin: {"BTC": "long"}."""

    def read(self, value: Any) -> dict[str, str]:
        """Return the sides by coin, as they are."""
        if not isinstance(value, dict):
            raise Refused("type", "Must be a JSON object.")
        if len(value) > MOST_COINS:
            raise Refused("too_many", f"Must be at most {MOST_COINS}.")
        errors = []
        for coin, side in value.items():
            try:
                coin_check.read(coin)
                side_check.read(side)
            except Refused as refused:
                where = f"/{pointer_part(coin[:100])}"
                errors.append(FieldError(where, refused.code, refused.message))
        if len({coin.upper() for coin in value}) < len(value):
            errors.append(FieldError("", "given_twice", "Names a coin twice."))
        if errors:
            raise ManyRefused(errors)
        return value

    def admits(self, column: Sequence[dict[str, str]], *, short: bool) -> bool:
        """Tell whether nothing is held; whatever is must be read one by one."""
        return not any(column)


Positions = Annotated[
    dict[str, str],
    Meta(
        description="What is held, as the agent sees it: coin to long or short. Where it is not"
        " told, the ledger's own open trades count.",
        extra={"check": PositionsCheck()},
        extra_json_schema={"additionalProperties": {"enum": list(Side.values)}},
    ),
]


class DecisionRow(Row):
    """What is to be done with one coin.

    Its numbers may be wrong: a decision that breaks rules is stored as rejected, with every rule.
    Action and coin must be known, unless the status says that it failed or could not be read.
    """

    id: (
        Annotated[str, identifier("Made by the client; else it follows from call and place.")]
        | None
    ) = None
    status: Annotated[
        str,
        Meta(
            description="failed and parsing_error stay what they are; success is judged here.",
            extra={"check": ChoiceCheck(TOLD)},
            extra_json_schema={"enum": list(TOLD)},
        ),
    ] = DecisionStatus.SUCCESS.value
    action: Annotated[str, choice(Action)] | None = None
    coin: Coin | None = None
    size_usd: (
        Annotated[Signed, Meta(description="Of the whole position, not of its margin.")] | None
    ) = None
    leverage: Ratio | None = None
    stop_loss_price: Signed | None = None
    take_profit_price: Signed | None = None
    confidence: Annotated[Ratio, Meta(description="A probability, 0 to 1.")] | None = None
    reasoning: Evidence = ""
    error_message: Evidence = ""
    entry_price: (
        Annotated[
            Price,
            Meta(description="That stop and target are held against; else the market's."),
        ]
        | None
    ) = None
    chain_of_thought: EvidenceObject | None = None
    raw: Evidence = ""
    execution_time_ms: Count | None = None


class LoneDecisionRow(DecisionRow, kw_only=True):
    """A decision that is told without its call, under an id of its own."""

    id: Annotated[str, identifier("Made by the client.")]
    agent_id: Annotated[str, identifier("Whose decision it is.")]
    timestamp: Annotated[Moment, Meta(description="By default that of its arrival.")] | None = None
    prompt_version: Version = ""
    account_value: (
        Annotated[Signed, Meta(description="As the agent sees it; else by the ledger.")] | None
    ) = None
    withdrawable: (
        Annotated[Signed, Meta(description="As the agent sees it; else by the ledger.")] | None
    ) = None
    positions: Positions | None = None
