"""Models in the admin: their versions, their history, and what their predictions came to."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from apps.analysis.admin import shown
from apps.analysis.admin.claims import prediction_line
from apps.analysis.admin.scorecards import (
    reliability_chart,
    reliability_lines,
    scorecard_line,
    scorecard_page,
)
from apps.analysis.choices import COLORS, FeatureCategory, ModelStatus
from apps.analysis.models import FeatureImportance, MLModel, ModelStatusChange, Prediction
from apps.analysis.services.registry import note_status_changes
from apps.analysis.services.scorecards import Filters, model_scorecard
from apps.shared import display
from apps.shared.admin import DerivedAdmin, EntityAdmin, FactAdmin
from apps.shared.admin.charts import Line, line_chart

NEWEST_PREDICTIONS = 20
MOST_VERSIONS = 50
MOST_CHANGES = 50
MOST_MEASURES = 500


@admin.register(MLModel)
class MLModelAdmin(EntityAdmin):
    list_display = ["model_id", "name", "version", "model_type", "status", "created_at"]
    list_filter = ["status", "name", "model_type", "created_at"]
    search_fields = ["=model_id", "=name", "=version"]
    search_help_text = "Exact id, name or version"
    large_table = True
    time = "created_at"
    ordering = ["-created_at", "-id"]
    colors = COLORS
    fields = ["name", "model_type", "status"]
    empty_hint = "A training program registers them by POST /api/v1/analysis/models/ with a key."
    empty_reasons = {
        "model_type": "None was named.",
        "file_path": "None was named.",
        "parameters": "None were sent.",
        "metrics": "None were sent.",
    }
    page_template = "admin/analysis/model.html"
    groups = [
        ("Model", ["model_id", "name", "version", "model_type", "status", "file_path",
                   "created_at", "updated_at"]),
        ("As the trainer tells", ["metrics", "parameters"]),
    ]  # fmt: skip

    def has_add_permission(self, request: HttpRequest) -> bool:
        # What was trained is registered by whoever trained it.
        return False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.scorecard_view)
        return [path("scorecard/", view, name="analysis_scorecard"), *super().get_urls()]

    def scorecard_view(self, request: HttpRequest) -> HttpResponse:
        return scorecard_page(self, request)

    def save_model(self, request: HttpRequest, obj: MLModel, form: Any, change: bool) -> None:
        """Save it, and note another status with who gave it."""
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            by = request.user.get_username()
            note_status_changes([obj.model_id], by=by, now=timezone.now())

    def page_badges(self, obj: MLModel) -> list[SafeString]:
        badges = [status_badge(obj.status)]
        return [
            *badges,
            *([display.badge(display.visible(obj.model_type), "info")] if obj.model_type else []),
        ]

    def page_context(self, request: HttpRequest, obj: MLModel) -> dict[str, Any]:
        card = model_scorecard(by="all", filters=Filters(model_version=[obj.model_id]))
        row = card[0] if card else None
        predictions: list[Prediction] = []
        if request.user.has_perm("analysis.view_prediction"):
            newest = obj.predictions.select_related("outcome").defer("features")
            predictions = list(newest.order_by("-timestamp", "-id")[:NEWEST_PREDICTIONS])
        named = urlencode({"model_version": obj.model_id})
        return {
            "card": scorecard_line(row, by="all") if row else None,
            "reliability": reliability_lines(row) if row else [],
            "chart": reliability_chart(row) if row else None,
            "predictions": [prediction_line(each) for each in predictions],
            "predictions_url": f"{reverse('admin:analysis_prediction_changelist')}"
            f"?{urlencode({'model__model_id__exact': obj.model_id})}",
            "outcomes_url": f"{reverse('admin:analysis_modeloutcome_changelist')}?{named}",
            "versions": versions(obj),
            "changes": [
                {"status": status_badge(each.status), "since": each.since, "by": each.changed_by}
                for each in obj.status_changes.order_by("-since", "-id")[:MOST_CHANGES]
            ],
        }


def versions(model: MLModel) -> list[dict[str, Any]]:
    """Return the versions of the same name, the newest first, and since when each is so."""
    same = (
        MLModel.objects.filter(name=model.name)
        .status_at(timezone.now())
        .defer("parameters", "metrics")
        .order_by("-created_at", "-id")
    )
    return [
        {
            "version": each.version,
            "model_id": each.model_id,
            "url": reverse("admin:analysis_mlmodel_change", args=[each.pk]),
            "this": each.pk == model.pk,
            "status": status_badge(each.status),
            "since": each.__dict__["since_then"],
            "type": each.model_type,
            "registered": each.created_at,
        }
        for each in same[:MOST_VERSIONS]
    ]


def status_badge(value: str) -> SafeString:
    status = ModelStatus(value)
    return display.badge(status.label, COLORS[status])


@admin.register(ModelStatusChange)
class ModelStatusChangeAdmin(DerivedAdmin):
    list_display = ["of", "status", "since", "changed_by", "created_at"]
    list_filter = ["since", "status"]
    search_fields = ["=model__model_id"]
    search_help_text = "Exact id of the model"
    time = "since"
    ordering = ["-since", "-id"]
    list_select_related = ["model"]
    colors = COLORS
    empty_hint = "One is noted whenever a model is registered or gets another status."
    empty_reasons = {"changed_by": "Nobody told."}

    def listed(self, queryset: QuerySet) -> QuerySet:
        return super().listed(queryset).only(
            "status", "since", "changed_by", "created_at", "model__model_id"
        )  # fmt: skip

    @admin.display(description="Model")
    def of(self, obj: ModelStatusChange) -> SafeString:
        url = reverse("admin:analysis_mlmodel_change", args=[obj.model.pk])
        return display.link(url, display.short_text(obj.model_id))


@admin.register(FeatureImportance)
class FeatureImportanceAdmin(FactAdmin):
    list_display = ["feature_name", "importance_score", "category", "model_version", "timestamp"]
    list_filter = ["timestamp", "feature_name", "category", "model_version", "importance_score"]
    search_fields = ["=feature_name", "=model_version"]
    time = "timestamp"
    ordering = ["-timestamp", "-id"]
    colors = COLORS
    shows = {"importance_score": shown.weight}
    empty_hint = "A program reports it by POST /api/v1/analysis/feature-importance/ with a key."
    empty_reasons = {"model_version": "None was named."}
    page_template = "admin/analysis/feature.html"

    def page_title(self, obj: FeatureImportance) -> str:
        return obj.feature_name

    def page_badges(self, obj: FeatureImportance) -> list[SafeString]:
        category = FeatureCategory(obj.category)
        return [display.badge(category.label, COLORS[category]), display.age(obj.timestamp)]

    def page_context(self, request: HttpRequest, obj: FeatureImportance) -> dict[str, Any]:
        same = FeatureImportance.objects.filter(
            model_version=obj.model_version, feature_name=obj.feature_name
        )
        newest = list(same.order_by("-timestamp")[:MOST_MEASURES])[::-1]
        beside = FeatureImportance.objects.filter(
            model_version=obj.model_version, timestamp=obj.timestamp
        )
        ranked = list(beside.order_by("-importance_score", "feature_name")[:MOST_CHANGES])
        return {
            "chart": history_chart(newest) if len(newest) > 1 else None,
            "measures": len(newest),
            "beside": [beside_line(each, ranked, obj) for each in ranked],
        }


def history_chart(measures: Sequence[FeatureImportance]) -> dict[str, Any]:
    # A chart knows seconds: of two within one, the later counts.
    points = {int(each.timestamp.timestamp()): each.importance_score for each in measures}
    return line_chart([Line("Importance", "info", sorted(points.items()))], places=4)


def beside_line(
    each: FeatureImportance, ranked: Sequence[FeatureImportance], own: FeatureImportance
) -> dict[str, Any]:
    """Return one feature among those measured at the same time, as a bar."""
    most = max(abs(one.importance_score) for one in ranked) or 1.0
    return {
        "name": each.feature_name,
        "url": reverse("admin:analysis_featureimportance_change", args=[each.pk]),
        "this": each.pk == own.pk,
        "value": shown.weight(each.importance_score),
        "width": f"{abs(each.importance_score) / most * 100:.2f}",
        "negative": each.importance_score < 0,
    }
