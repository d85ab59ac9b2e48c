"""Addresses below ``/api/v1/agents/``."""

from django.urls import path

from apps.agents.api import (
    agents,
    calls,
    decisions,
    league,
    outcomes,
    performance,
    prices,
    trades,
)
from apps.shared.api.routers import Router

router = Router()
router.register("agents", agents.TradingAgentViewSet)
router.register("calls", calls.LLMCallViewSet)
router.register("decisions", decisions.AgentDecisionViewSet)
router.register("trades", trades.AgentTradeViewSet)
router.register("prices", prices.LLMPriceViewSet)
router.register("outcomes", outcomes.DecisionOutcomeViewSet)
router.register("performance", performance.AgentPerformanceViewSet)
router.register("league", league.LeagueViewSet)

urlpatterns = [
    *router.urls,
    path("scorecard/", outcomes.DecisionScorecardView.as_view(), name="scorecard"),
]
