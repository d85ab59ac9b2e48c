"""What became of decisions, and how good they were."""

from dataclasses import replace
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.agents.models import DecisionOutcome, TradingAgent
from apps.agents.services import scorecards
from apps.shared.api import filters
from apps.shared.api.answers import plain_values
from apps.shared.api.filters import ANY_OF, RANGE
from apps.shared.api.negotiation import OnlyJson
from apps.shared.api.permissions import is_bound, narrow
from apps.shared.api.viewsets import ReadOnlyViewSet, answer

# An id that no agent has.
NOBODY = UUID(int=0)


class DecisionOutcomeViewSet(ReadOnlyViewSet):
    """What the price did 1, 4 and 24 hours after each decision, rejected ones and HOLD included.

    Changes are percent in the direction taken. Where there is none (a HOLD, or a close of who
    knows what) they are those of buying, selling would have brought the negative, and there is no
    verdict. *open* until a day has passed, then *settled*; *no_claim* where nothing can be judged.
    """

    queryset = DecisionOutcome.objects.all()
    lookup_field = "decision_id"
    subject_fields = {"agent": "agent_id"}
    fields = [
        "id",
        "decision_id",
        "agent_id",
        "symbol",
        "moment",
        "action",
        "direction",
        "confidence",
        "is_accepted",
        "prompt_version",
        "target",
        "stop",
        "status",
        "source",
        "granularity",
        "entry_price",
        "price_1h",
        "price_4h",
        "price_24h",
        "change_1h",
        "change_4h",
        "change_24h",
        "max_gain",
        "max_loss",
        "first_touch",
        "first_touch_at",
        "is_hit",
        "note",
        "next_hours",
        "due_at",
        "settled_at",
        "created_at",
        "updated_at",
    ]
    filterset_fields = {
        "decision_id": ANY_OF,
        "agent_id": ANY_OF,
        "action": ANY_OF,
        "direction": ANY_OF,
        "symbol": ANY_OF,
        "status": ANY_OF,
        "first_touch": ANY_OF,
        "is_hit": ANY_OF,
        "is_accepted": ANY_OF,
        "prompt_version": ANY_OF,
        "confidence": RANGE,
        "moment": RANGE,
    }
    ordering_fields = ["moment"]


class DecisionScorecardView(APIView):
    """How good decisions were, group by group."""

    queryset = DecisionOutcome.objects.all()
    content_negotiation_class = OnlyJson
    metadata_class = None
    subject_fields = {"agent": "agent_id"}
    filterset_fields = {
        "agent_id": ANY_OF,
        "action": ANY_OF,
        "direction": ANY_OF,
        "symbol": ANY_OF,
        "prompt_version": ANY_OF,
        "is_accepted": ANY_OF,
        "moment": RANGE,
    }

    @extend_schema(
        parameters=[
            OpenApiParameter("by", str, enum=list(scorecards.GROUPINGS), default="agent"),
            *(
                OpenApiParameter(name, str, description=each.description)
                for name, each in filters.parameters(DecisionOutcome, filterset_fields).items()
            ),
        ]
    )
    def get(self, request: Request) -> HttpResponse:
        """Count up settled decisions by agent, action, coin, prompt version, model or confidence.

        Rates come with their sample ``n`` and Wilson 95 % interval, changes in percent as exact
        decimals: ``horizons`` in the direction taken; where none was taken, what buying
        (``bought``) and selling (``sold``) would have brought. ``reliability`` holds the
        confidence claimed against what came true. What is undefined is null, with its reason
        under ``reasons``.
        """
        query = request._request.GET
        known = filters.parameters(DecisionOutcome, self.filterset_fields)
        filters.check_known(query, ["by", *known])
        by = filters.single(query, "by", "agent")
        if by not in scorecards.GROUPINGS:
            words = ", ".join(scorecards.GROUPINGS)
            raise filters.invalid_parameter("by", "not_a_choice", f"Must be one of {words}.")
        wanted = scorecards.Filters(**filters.chosen(query, known))
        if is_bound(request.auth, self.subject_fields):
            # What names others was refused already; a key of another kind of subject has none.
            own = narrow(TradingAgent.objects.all(), request.auth, {"agent": "id"})
            wanted = replace(wanted, agent_id=[*own.values_list("pk", flat=True)] or [NOBODY])
        rows = scorecards.scorecard(by=by, filters=wanted)
        return answer({"by": by, "results": [plain_values(row.figures()) for row in rows]})
