"""What agents send of the models they ask, and what they are told of their decisions."""

from typing import Annotated

import msgspec
from msgspec import Meta

from apps.agents.api.rows_decisions import Count, DecisionRow, Positions, Version
from apps.agents.choices import CallStatus, DecisionStatus
from apps.shared.api.identifiers import identifier
from apps.shared.api.nested import RowsCheck
from apps.shared.api.rows import Amount, Evidence, JsonObject, Moment, Ratio, Row, Signed, text

MOST_DECISIONS = 200
LARGEST_NUMBER = 2**53 - 1
WORDS = r"(?:\S+(?: \S+)*)?"

Number = Annotated[int, Meta(ge=0, le=LARGEST_NUMBER)]


class CallRow(Row):
    """One question to a model and what came of it: one cycle of an agent.

    Without ``decisions`` they are read from the ``answer``; an ``error`` says why there is none.
    """

    id: Annotated[str, identifier("Made by the client.")]
    agent_id: Annotated[str, identifier("Who asked.")]
    timestamp: Annotated[Moment, Meta(description="By default that of its arrival.")] | None = None
    cycle: Annotated[Number, Meta(description="The agent's own count.")] | None = None
    provider: Annotated[str, text(50, pattern=WORDS, description="By default the agent's.")] = ""
    model: Annotated[str, text(100, pattern=WORDS, description="By default the agent's.")] = ""
    prompt_version: Version = ""
    prompt: Evidence = ""
    answer: Evidence | None = None
    error: Evidence = ""
    tokens_in: Number | None = None
    tokens_out: Number | None = None
    cost: (
        Annotated[Amount, Meta(description="US dollars; by default by the table of prices.")] | None
    ) = None
    latency_ms: Count | None = None
    temperature: Ratio | None = None
    max_tokens: Count | None = None
    account_value: (
        Annotated[Signed, Meta(description="As the agent sees it; else by the ledger.")] | None
    ) = None
    withdrawable: (
        Annotated[Signed, Meta(description="As the agent sees it; else by the ledger.")] | None
    ) = None
    positions: Positions | None = None
    extra_metadata: JsonObject = {}
    decisions: (
        Annotated[
            list[DecisionRow],
            Meta(
                description="One per coin, in their order. An empty list: it decided nothing.",
                extra={"check": RowsCheck(DecisionRow, MOST_DECISIONS)},
            ),
        ]
        | None
    ) = None


class ViolationAnswer(msgspec.Struct):
    """A rule that a decision breaks."""

    rule: str
    message: str


class VerdictAnswer(msgspec.Struct):
    """What became of a decision; only a success may be carried out."""

    id: str
    place: int
    coin: str
    action: str
    status: Annotated[str, Meta(extra_json_schema={"enum": DecisionStatus.values})]
    violations: list[ViolationAnswer]
    error_message: str


class CallAnswer(msgspec.Struct):
    """What became of a call: its cost, and the verdict on each of its decisions."""

    id: str
    status: Annotated[str, Meta(extra_json_schema={"enum": CallStatus.values})]
    created: Annotated[bool, Meta(description="False: it stood here already, as it is answered.")]
    cost: Annotated[str, Meta(description="US dollars, a decimal.")] | None
    cost_reason: Annotated[str, Meta(description="Why the cost is not known.")]
    decisions: list[VerdictAnswer]
