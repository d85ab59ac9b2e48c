from apps.agents.models.agents import LLMPrice, TradingAgent
from apps.agents.models.calls import LLMCall
from apps.agents.models.decisions import AgentDecision, DecisionOutcome
from apps.agents.models.performance import AgentPerformance
from apps.agents.models.standings import AgentStanding
from apps.agents.models.trades import AgentTrade

__all__ = [
    "AgentDecision",
    "AgentPerformance",
    "AgentStanding",
    "AgentTrade",
    "DecisionOutcome",
    "LLMCall",
    "LLMPrice",
    "TradingAgent",
]
