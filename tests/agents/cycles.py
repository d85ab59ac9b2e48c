"""Cycles of agents as they are told: the call, and what it decides of each coin."""

import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from apps.agents.api.rows_calls import CallRow
from apps.agents.api.rows_decisions import DecisionRow, LoneDecisionRow
from apps.agents.models import AgentDecision, TradingAgent
from apps.shared.ingest import Ingested
from tests.factories import NOON

LONG = {
    "action": "OPEN_LONG",
    "coin": "BTC",
    "size_usd": Decimal(2000),
    "leverage": Decimal(5),
    "stop_loss_price": Decimal(49_000),
    "take_profit_price": Decimal(53_000),
    "confidence": Decimal("0.8"),
    "reasoning": "The trend is up on both frames.",
    "entry_price": Decimal(50_000),
}
HOLD = {
    "action": "HOLD",
    "coin": "ETH",
    "confidence": Decimal("0.6"),
    "reasoning": "Nothing has changed since.",
}
# Money and positions as the agent sees them, so that the ledger says nothing.
SEEN = {
    "account_value": Decimal(10_000),
    "withdrawable": Decimal(10_000),
    "positions": {},
}


def long(**values: Any) -> DecisionRow:
    return DecisionRow(**LONG | values)


def hold(**values: Any) -> DecisionRow:
    return DecisionRow(**HOLD | values)


def cycle(agent: TradingAgent, *decisions: DecisionRow, **values: Any) -> CallRow:
    """Return a call with these decisions; ``decisions=None`` leaves them to the answer."""
    usual = {
        "id": str(uuid.uuid4()),
        "agent_id": str(agent.pk),
        "timestamp": NOON,
        "decisions": list(decisions),
    }
    return CallRow(**usual | values)


def alone(agent: TradingAgent, **values: Any) -> LoneDecisionRow:
    usual = {"id": str(uuid.uuid4()), "agent_id": str(agent.pk), "timestamp": NOON}
    return LoneDecisionRow(**LONG | usual | values)


def rules(decision: AgentDecision) -> list[str]:
    """Return the names of the rules that a stored decision broke."""
    return [each["rule"] for each in decision.violations]


def decided(call: CallRow) -> list[AgentDecision]:
    """Return the stored decisions of a call, in their order."""
    return list(AgentDecision.objects.filter(call=call.id).order_by("place"))


def refused(outcome: Ingested) -> list[tuple[int, str, str]]:
    """Return what was refused: place, pointer, code."""
    return [
        (result.index, error.pointer, error.code)
        for result in outcome.results
        for error in result.errors
    ]


# --- As JSON ------------------------------------------------------------------------------


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as a program would send them: exact numbers are strings."""
    return {name: str(v) if isinstance(v, Decimal) else v for name, v in values.items()}


def pointed(answer: Any) -> list[tuple[str, str]]:
    """Return what an answer says is wrong: pointer, code."""
    return sorted((each["pointer"], each["code"]) for each in answer.json()["errors"])
