"""Where agents stand among each other."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework.decorators import action
from rest_framework.request import Request

from apps.agents.choices import AgentMode
from apps.agents.domain.league_figures import MEANINGS
from apps.agents.models import AgentStanding
from apps.shared.api.filters import ANY_OF, RANGE, Narrowing, check_known, invalid_parameter
from apps.shared.api.openapi import describe
from apps.shared.api.viewsets import ReadOnlyViewSet, answer


def of_mode(rows: QuerySet[Any], mode: str) -> QuerySet[Any]:
    """Keep the agents of real or of pretended money."""
    if mode not in AgentMode.values:
        message = f"Must be one of {', '.join(AgentMode.values)}."
        raise invalid_parameter("mode", "not_a_choice", message)
    return rows.filter(agent__mode=mode)


MODE = Narrowing(of_mode, "Of real money (live) or of pretended (paper).")


class LeagueViewSet(ReadOnlyViewSet):
    """The league: agents, and versions of their prompts, made anew every quarter of an hour.

    Without an ordering the lines come period by period, live before paper, those that are ranked
    first, by rank; versions (all time only) behind them. Ask for ``prompt_version=`` (empty) to
    have whole agents alone. Returns are percent, net of fees and of what the models cost, with
    their 95 % interval; ranks go by its lower end. What is undefined is null, and ``reasons`` says
    why; what each figure means is told by ``definitions/``.
    """

    queryset = AgentStanding.objects.all()
    subject_fields = {"agent": "agent_id"}
    fields = [
        "id",
        "agent_id",
        "agent.name",
        "agent.mode",
        "period",
        "prompt_version",
        "computed_at",
        "began_at",
        "days",
        "rank",
        "rank_low",
        "rank_high",
        "verdict",
        "verdict_reason",
        "net_return",
        "return_low",
        "return_high",
        "net_pnl",
        "model_cost",
        "max_drawdown_percent",
        "sharpe_ratio",
        "trades",
        "winning_trades",
        "unknown_trades",
        "open_trades",
        "calls",
        "decisions",
        "accepted",
        "rejected",
        "failed",
        "unreadable",
        "holds",
        "model_share",
        "model_share_low",
        "model_share_high",
        "cost_per_decision",
        "judged",
        "hits",
        "hit_rate",
        "brier",
        "hold_return",
        "equal_return",
        "reasons",
    ]
    filterset_fields = {
        "period": ANY_OF,
        "agent_id": ANY_OF,
        "mode": MODE,
        "prompt_version": ANY_OF,
        "verdict": ANY_OF,
        "computed_at": RANGE,
    }
    ordering_fields = ["computed_at"]
    ordering = "id"

    @action(detail=False)
    @describe()
    def definitions(self, request: Request) -> HttpResponse:
        """Answer what the figures mean: column → sentence."""
        check_known(request._request.GET, [])
        return answer(dict(MEANINGS))
