"""What programs send and read of models, what they say, and how good it was."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpResponse, QueryDict
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.analysis.api.rows_ml import (
    ActiveModel,
    ActiveModels,
    ActiveQuery,
    FeatureImportanceRow,
    ModelRow,
    ModelSignalRow,
    PredictionRow,
)
from apps.analysis.models import (
    FeatureImportance,
    MLModel,
    ModelOutcome,
    ModelSignal,
    ModelStatusChange,
    Prediction,
)
from apps.analysis.services import claims, features, registry, scorecards
from apps.shared.api import filters
from apps.shared.api.answers import plain_values
from apps.shared.api.filters import ANY_OF, RANGE
from apps.shared.api.negotiation import OnlyJson
from apps.shared.api.openapi import describe
from apps.shared.api.queries import read_query
from apps.shared.api.viewsets import EntityViewSet, FactViewSet, ReadOnlyViewSet, answer
from apps.shared.ingest import Ingested
from apps.shared.wakeups import wake

# Of the outcome, what a list of claims shows beside them.
OUTCOME = [
    "outcome.status",
    "outcome.direction",
    "outcome.entry_price",
    "outcome.price",
    "outcome.percentage_change",
    "outcome.max_gain",
    "outcome.max_loss",
    "outcome.is_hit",
    "outcome.note",
]
SETTLE = "apps.analysis.tasks.settle_claims"


class MLModelViewSet(EntityViewSet):
    """Versions of models that were trained; every change of status is noted with its time."""

    queryset = MLModel.objects.all()
    row = ModelRow
    lookup_field = "model_id"
    lookup_value_regex = ".+"
    fields = [*ModelRow.__struct_fields__, "created_at", "updated_at"]
    filterset_fields = {
        "name": ANY_OF,
        "version": ANY_OF,
        "model_type": ANY_OF,
        "status": ANY_OF,
        "created_at": RANGE,
    }
    ordering_fields = ["created_at", "model_id"]

    def store(self, rows: Sequence[ModelRow]) -> Ingested:
        """Register models under the name of whoever sends them."""
        return registry.register_models(rows, by=str(self.request.user), now=timezone.now())

    def replace(self, rows: Sequence[ModelRow]) -> Ingested:
        """Store models over what is stored under the same names."""
        return registry.replace_models(rows, by=str(self.request.user), now=timezone.now())


class ModelStatusChangeViewSet(ReadOnlyViewSet):
    """Since when each model has had each status, and who gave it."""

    queryset = ModelStatusChange.objects.all()
    fields = ["id", "model_id", "status", "since", "changed_by", "created_at"]
    filterset_fields = {"model_id": ANY_OF, "status": ANY_OF, "since": RANGE}
    ordering_fields = ["since"]


class ActiveModelsView(APIView):
    """Which versions of models were active at a moment."""

    queryset = MLModel.objects.all()
    content_negotiation_class = OnlyJson
    metadata_class = None

    @describe(query=ActiveQuery, answer=ActiveModels)
    def get(self, request: Request) -> HttpResponse:
        """Say which versions were active at a moment, by name, the longest active first."""
        asked = read_query(ActiveQuery, request)
        at = asked.at or timezone.now()
        found = registry.active_models(at=at, name=asked.name)
        return answer(ActiveModels(at, [ActiveModel(**each._asdict()) for each in found]))


class PredictionViewSet(FactViewSet):
    """Forecasts of models for a symbol, and what became of each."""

    queryset = Prediction.objects.all()
    row = PredictionRow
    lookup_field = "prediction_id"
    lookup_value_regex = ".+"
    fields = [
        "prediction_id",
        "model_id",
        "symbol",
        "timestamp",
        "prediction_type",
        "prediction_value",
        "confidence",
        "direction",
        "horizon_hours",
        "features",
        "created_at",
        *OUTCOME,
    ]
    filterset_fields = {
        "model_id": ANY_OF,
        "symbol": ANY_OF,
        "prediction_type": ANY_OF,
        "direction": ANY_OF,
        "timestamp": RANGE,
        "confidence": RANGE,
        "outcome__status": ANY_OF,
        "outcome__is_hit": ANY_OF,
    }
    ordering_fields = ["timestamp"]

    def store(self, rows: Sequence[PredictionRow]) -> Ingested:
        """Store them; a worker looks at once whether they can be judged already."""
        outcome = claims.store_predictions(rows, now=timezone.now())
        if outcome.created:
            wake(SETTLE)
        return outcome


class ModelSignalViewSet(FactViewSet):
    """What models advise (buy, sell, hold), by which weights, and what became of it."""

    queryset = ModelSignal.objects.all()
    row = ModelSignalRow
    lookup_field = "signal_id"
    lookup_value_regex = ".+"
    fields = [
        "signal_id",
        "symbol",
        "signal",
        "confidence",
        "price_prediction",
        "timestamp",
        "model_version",
        "horizon_hours",
        "analysis_data",
        "signal_weights",
        "comprehensive_signals",
        "created_at",
        *OUTCOME,
    ]
    filterset_fields = {
        "symbol": ANY_OF,
        "signal": ANY_OF,
        "model_version": ANY_OF,
        "timestamp": RANGE,
        "confidence": RANGE,
        "outcome__status": ANY_OF,
        "outcome__is_hit": ANY_OF,
    }
    ordering_fields = ["timestamp"]

    def store(self, rows: Sequence[ModelSignalRow]) -> Ingested:
        """Store them; a worker looks at once whether they can be judged already."""
        outcome = claims.store_signals(rows, now=timezone.now())
        if outcome.created:
            wake(SETTLE)
        return outcome


class ModelOutcomeViewSet(ReadOnlyViewSet):
    """What became of each prediction and signal: open until its horizon is known, then final."""

    queryset = ModelOutcome.objects.all()
    fields = [
        "id",
        "prediction_id",
        "signal_id",
        "model_version",
        "symbol",
        "moment",
        "horizon_hours",
        "direction",
        "claimed_price",
        "confidence",
        "status",
        "source",
        "granularity",
        "entry_price",
        "price",
        "percentage_change",
        "max_gain",
        "max_loss",
        "is_hit",
        "note",
        "due_at",
        "settled_at",
        "created_at",
        "updated_at",
    ]
    filterset_fields = {
        "prediction_id": ANY_OF,
        "signal_id": ANY_OF,
        "model_version": ANY_OF,
        "symbol": ANY_OF,
        "direction": ANY_OF,
        "horizon_hours": ANY_OF,
        "status": ANY_OF,
        "is_hit": ANY_OF,
        "moment": RANGE,
        "confidence": RANGE,
    }
    ordering_fields = ["moment"]


class FeatureImportanceViewSet(FactViewSet):
    """How much model versions looked at each feature, over time."""

    queryset = FeatureImportance.objects.all()
    row = FeatureImportanceRow
    key = ["model_version", "feature_name", "timestamp"]
    fields = ["id", *FeatureImportanceRow.__struct_fields__, "created_at"]
    filterset_fields = {
        "feature_name": ANY_OF,
        "model_version": ANY_OF,
        "category": ANY_OF,
        "timestamp": RANGE,
        "importance_score": RANGE,
    }
    ordering_fields = ["timestamp"]

    def store(self, rows: Sequence[FeatureImportanceRow]) -> Ingested:
        """Store them, each with its category."""
        return features.store_importance(rows, now=timezone.now())


# --- How good they were -------------------------------------------------------------------


class ModelScorecardView(APIView):
    """How good predictions and signals were, group by group."""

    queryset = ModelOutcome.objects.all()
    content_negotiation_class = OnlyJson
    metadata_class = None
    filterset_fields = {
        "model_version": ANY_OF,
        "symbol": ANY_OF,
        "direction": ANY_OF,
        "horizon_hours": ANY_OF,
        "moment": RANGE,
    }

    @extend_schema(
        parameters=[
            OpenApiParameter("by", str, enum=list(scorecards.GROUPINGS), default="model_version"),
            OpenApiParameter(
                "claim", str, enum=list(scorecards.CLAIMS), description="Only this kind."
            ),
            *(
                OpenApiParameter(name, str, description=each.description)
                for name, each in filters.parameters(ModelOutcome, filterset_fields).items()
            ),
        ]
    )
    def get(self, request: Request) -> HttpResponse:
        """Count up outcomes by model version, symbol, direction, confidence or horizon.

        Rates come with their sample ``n`` and Wilson 95 % interval, changes in percent as exact
        decimals; what is undefined is null, with its reason under ``reasons``.
        """
        query = request._request.GET
        known = filters.parameters(ModelOutcome, self.filterset_fields)
        filters.check_known(query, ["by", "claim", *known])
        by = one_of(query, "by", scorecards.GROUPINGS, "model_version")
        claim = one_of(query, "claim", scorecards.CLAIMS, "")
        wanted = scorecards.Filters(claim=claim, **filters.chosen(query, known))
        rows = scorecards.model_scorecard(by=by, filters=wanted)
        return answer({"by": by, "results": [plain_values(row.figures()) for row in rows]})


def one_of(query: QueryDict, name: str, words: Mapping[str, Any], usual: str) -> str:
    """Return a word of the query; ApiError (400) for one that is not known."""
    found = filters.single(query, name, usual)
    if found != usual and found not in words:
        message = f"Must be one of {', '.join(words)}."
        raise filters.invalid_parameter(name, "not_a_choice", message)
    return found
