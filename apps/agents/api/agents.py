"""Agents: what they are and what they may do."""

from collections.abc import Sequence
from typing import Any

from django.http import Http404, HttpResponse
from django.utils import timezone
from rest_framework.decorators import action
from rest_framework.request import Request

from apps.agents.api.accounts import AccountAction
from apps.agents.api.rows_agents import AgentRow, StatusRow
from apps.agents.choices import AgentStatus
from apps.agents.models import TradingAgent
from apps.agents.services import agents
from apps.logs.api.callers import DecisionPermission, name_of
from apps.shared.api import filters
from apps.shared.api.errors import ApiError
from apps.shared.api.filters import ANY_OF, RANGE
from apps.shared.api.openapi import STORED_ROW, describe
from apps.shared.api.viewsets import EntityViewSet
from apps.shared.api.writing import once
from apps.shared.ingest import Ingested

DESCRIBED = [name for name in AgentRow.__struct_fields__ if name != "id"]


class TradingAgentViewSet(AccountAction, EntityViewSet):
    """Agents under ids of their own: their model, what they trade, how far they may go.

    PUT registers an agent, or describes it anew; POST does so for many, but refuses one that is
    known under another description. Without an id a row is about the agent of its name. Once it
    has trades, its mode, currency and initial balance stay (409). Heartbeats, desired state and
    runtime state go through ``bots/``, under the name in ``bot_id``.
    """

    queryset = TradingAgent.objects.all()
    row = AgentRow
    life = ("status",)
    moved_by = "Is moved by status/ alone."
    lookup_field = "id"
    key = ["name"]
    subject_fields = {"agent": "id"}
    fields = ["id", *DESCRIBED, "status", "created_at", "updated_at"]
    filterset_fields = {
        "id": ANY_OF,
        "name": ANY_OF,
        "llm_model": ANY_OF,
        "provider": ANY_OF,
        "status": ANY_OF,
        "mode": ANY_OF,
        "bot_id": ANY_OF,
        "created_at": RANGE,
    }
    ordering_fields = ["created_at", "name"]

    def store(self, rows: Sequence[AgentRow]) -> Ingested:
        """Register agents that are new."""
        return agents.register_agents(rows, now=timezone.now(), replace=False)

    def replace(self, rows: Sequence[AgentRow]) -> Ingested:
        """Register an agent, or describe it anew."""
        outcome = agents.register_agents(rows, now=timezone.now())
        for each in outcome.results:
            fixed = [error for error in each.errors if error.code == agents.NOT_CHANGED]
            if fixed:
                raise ApiError(409, agents.NOT_CHANGED, fixed[0].message, fixed)
        return outcome

    def held_values(self) -> dict[str, Any]:
        """Return the values of the agent, with its benchmark left to follow from its coins.

        Not named, it stays while it is traded; carried along, it would forbid other coins.
        """
        return {**super().held_values(), "benchmark_coin": ""}

    @action(detail=True, methods=["post"], permission_classes=[DecisionPermission])
    @describe(body=StatusRow, answer=STORED_ROW)
    def status(self, request: Request, **kwargs: str) -> HttpResponse:
        """Activate, pause or stop an agent.

        An agent that is not active may close, but opens nothing; what it decides is kept all the
        same. The same again has no effect.
        """
        filters.check_known(request._request.GET, [])
        row = self.read_one(request, StatusRow)
        self.check_known_agent()
        once(
            lambda: agents.set_status(
                self.found(),
                status=AgentStatus(row.status),
                by=name_of(request),
                now=timezone.now(),
            )
        )
        return self.stored(self.found())

    def check_known_agent(self) -> None:
        """Raise UnknownAgent where there is none of the id in the address."""
        try:
            known = self.found().exists()
        except Http404:
            known = False
        if not known:
            raise agents.UnknownAgent("There is no agent of this id.")
