"""How the accounts of agents have done, snapshot by snapshot."""

from django.http import HttpResponse
from rest_framework.decorators import action
from rest_framework.request import Request

from apps.agents.api.league import MODE
from apps.agents.domain.performance import MEANINGS
from apps.agents.models import AgentPerformance
from apps.shared.api import filters
from apps.shared.api.filters import ANY_OF, RANGE
from apps.shared.api.openapi import describe
from apps.shared.api.viewsets import ReadOnlyViewSet, answer


class AgentPerformanceViewSet(ReadOnlyViewSet):
    """Accounts of agents as they stood, one snapshot in each quarter of an hour.

    Money is net of fees; what the models cost stands apart. What is undefined is null, and
    ``reasons`` says why; what each figure means is told by ``definitions/``.
    """

    queryset = AgentPerformance.objects.all()
    subject_fields = {"agent": "agent_id"}
    fields = ["id", "agent_id", "snapshot_time", *MEANINGS, "reasons", "created_at"]
    filterset_fields = {"agent_id": ANY_OF, "mode": MODE, "snapshot_time": RANGE}
    ordering_fields = ["snapshot_time"]

    @action(detail=False)
    @describe()
    def definitions(self, request: Request) -> HttpResponse:
        """Answer what each figure means: column → sentence."""
        filters.check_known(request._request.GET, [])
        return answer(dict(MEANINGS))
