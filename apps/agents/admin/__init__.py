"""Admin pages of the agents app: agents and their league, what they decided, and what came."""

from apps.agents.admin import (
    agents,
    calls,
    decisions,
    league,
    outcomes,
    performance,
    prices,
    trades,
)

__all__ = [
    "agents",
    "calls",
    "decisions",
    "league",
    "outcomes",
    "performance",
    "prices",
    "trades",
]
