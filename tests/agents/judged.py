"""Decisions and candles as the tests of judging know them."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from apps.agents.choices import Action, DecisionStatus, Side
from apps.agents.models import AgentDecision, DecisionOutcome, TradingAgent
from apps.agents.services.judging import insert_outcomes
from tests.alerts.rows import NOON
from tests.factories import make_agent

LATER = NOON + timedelta(days=30)
DAY = timedelta(days=1)

PRICES = {"entry_price", "stop_loss_price", "take_profit_price", "confidence"}
DIRECTIONS = {Action.OPEN_LONG: Side.LONG, Action.OPEN_SHORT: Side.SHORT}


def decision(agent: TradingAgent, **values: Any) -> AgentDecision:
    """Return a decision that is not stored yet; numbers may be given as text."""
    action = values.get("action", Action.OPEN_LONG)
    usual = {
        "timestamp": NOON,
        "status": DecisionStatus.REJECTED,
        "violations": [{"rule": "test", "message": "Only here to be judged."}],
        "action": action,
        "coin": "BTC",
        "symbol": "BTC/USD",
        "direction": DIRECTIONS.get(action, ""),
    }
    given = {
        name: Decimal(value) if name in PRICES and value is not None else value
        for name, value in values.items()
    }
    if given.get("status") == DecisionStatus.SUCCESS:
        usual |= {"violations": [], "leverage": 1, "confidence": Decimal("0.5"), "size_usd": 1}
    return AgentDecision(agent=agent, **usual | given)


def decided(agent: TradingAgent | None = None, **values: Any) -> AgentDecision:
    """Store one decision with its outcome."""
    [found] = decided_all([decision(agent or make_agent(), **values)])
    return found


def decided_all(decisions: list[AgentDecision]) -> list[AgentDecision]:
    """Store decisions with their outcomes."""
    AgentDecision.objects.bulk_create(decisions)
    assert insert_outcomes([each.pk for each in decisions]) == len(decisions)
    return decisions


def outcome_of(found: AgentDecision) -> DecisionOutcome:
    return DecisionOutcome.objects.get(decision_id=found.pk)


def hours_later(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)
