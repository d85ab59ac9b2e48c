"""Predictions and signals of models in the admin, and what became of each."""

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from apps.analysis.admin import shown
from apps.analysis.admin.claim_pages import NOT_JUDGED, ClaimStory
from apps.analysis.choices import COLORS, Direction
from apps.analysis.domain.weights import GROUPS
from apps.analysis.models import ModelOutcome, ModelSignal, Prediction
from apps.shared import display
from apps.shared.admin import DerivedAdmin, FactAdmin

NOT_NAMED = "None was named."
GROUP_TITLES = {
    "top level": "Kinds of evidence",
    "technical": "Technical",
    "onchain": "On-chain",
    "sentiment": "Sentiment",
}
LARGEST_WEIGHT = 1e6


def prediction_line(prediction: Prediction) -> dict[str, Any]:
    """Return what the page of a model tells of one prediction."""
    judged: ModelOutcome | None = getattr(prediction, "outcome", None)
    url = reverse("admin:analysis_prediction_change", args=[prediction.pk])
    return {
        "name": display.link(url, display.text(prediction.symbol)),
        "type": display.text(prediction.prediction_type),
        "value": display.price(prediction.prediction_value),
        "direction": direction(judged),
        "confidence": display.share(prediction.confidence, NOT_NAMED),
        "outcome": shown.outcome(judged),
        "change": display.signed_pct(
            judged.percentage_change if judged else None,
            (judged.note if judged else "") or NOT_JUDGED,
        ),
        "timestamp": prediction.timestamp,
    }


def direction(judged: ModelOutcome | None) -> SafeString:
    if judged is None or not judged.direction:
        return display.empty(judged.note if judged else "It claims none.")
    found = Direction(judged.direction)
    return display.badge(found.label, COLORS[found])


class ClaimAdmin(FactAdmin):
    """What predictions and signals share."""

    time = "timestamp"
    ordering = ["-timestamp", "-id"]
    list_select_related = ["outcome"]
    colors = COLORS
    signed = ["percentage_change"]
    titles = {"outcome__percentage_change": "Change"}
    page_template = "admin/analysis/claim.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("outcome")

    @admin.display(description="Outcome")
    def shown_outcome(self, obj: Any) -> SafeString:
        return shown.outcome(getattr(obj, "outcome", None))

    @admin.display(description="Claims")
    def claims(self, obj: Any) -> SafeString:
        return direction(getattr(obj, "outcome", None))

    def page_title(self, obj: Any) -> str:
        return str(obj.symbol)

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        return {"story": ClaimStory(obj)}


REASONS = {
    "confidence": NOT_NAMED,
    "horizon_hours": f"None was named: judged after {settings.CLAIM_HORIZON_HOURS} h.",
    "outcome__percentage_change": NOT_JUDGED,
}


@admin.register(Prediction)
class PredictionAdmin(ClaimAdmin):
    list_display = [
        "symbol", "prediction_type", "prediction_value", "claims", "confidence", "shown_outcome",
        "outcome__percentage_change", "by", "timestamp",
    ]  # fmt: skip
    list_filter = [
        "timestamp", "symbol", "prediction_type", "outcome__status", "outcome__is_hit",
        "confidence", "model",
    ]  # fmt: skip
    search_fields = ["=prediction_id", "=symbol"]
    shows = {"confidence": display.share, "prediction_value": display.price}
    empty_hint = "A program sends them by POST /api/v1/analysis/predictions/ with a key."
    empty_reasons = REASONS | {
        "direction": "Follows from type and value.",
        "features": "None were sent.",
    }
    groups = [
        ("Prediction", ["prediction_id", "by", "symbol", "prediction_type", "prediction_value",
                        "direction", "confidence", "horizon_hours", "timestamp", "created_at"]),
        ("Features sent along", ["features"]),
    ]  # fmt: skip

    @admin.display(description="Model")
    def by(self, obj: Prediction) -> SafeString:
        # By its key alone: the model itself need not be read for that.
        address = reverse("admin:analysis_mlmodel_changelist")
        return display.link(
            f"{address}?{urlencode({'q': obj.model_id})}", display.short_text(obj.model_id)
        )

    def page_badges(self, obj: Prediction) -> list[SafeString]:
        judged = getattr(obj, "outcome", None)
        said = display.badge(display.visible(obj.prediction_type), "info")
        return [said, direction(judged), shown.outcome(judged), display.age(obj.timestamp)]


@admin.register(ModelSignal)
class ModelSignalAdmin(ClaimAdmin):
    list_display = [
        "symbol", "signal", "claims", "confidence", "price_prediction", "shown_outcome",
        "outcome__percentage_change", "model_version", "timestamp",
    ]  # fmt: skip
    list_filter = [
        "timestamp", "symbol", "signal", "outcome__status", "outcome__is_hit", "confidence",
        "model_version",
    ]  # fmt: skip
    search_fields = ["=signal_id", "=symbol", "=model_version"]
    shows = {"confidence": display.share}
    empty_hint = "A program sends them by POST /api/v1/analysis/model-signals/ with a key."
    empty_reasons = REASONS | {
        "price_prediction": NOT_NAMED,
        "model_version": NOT_NAMED,
        "analysis_data": "None was sent.",
        "comprehensive_signals": "None were sent.",
    }
    groups = [
        ("Signal", ["signal_id", "symbol", "signal", "confidence", "price_prediction",
                    "model_version", "horizon_hours", "timestamp", "created_at"]),
        ("Data sent along", ["analysis_data", "comprehensive_signals"]),
    ]  # fmt: skip

    def page_badges(self, obj: ModelSignal) -> list[SafeString]:
        judged = getattr(obj, "outcome", None)
        said = display.badge(display.visible(obj.signal), "info")
        return [said, direction(judged), shown.outcome(judged), display.age(obj.timestamp)]

    def page_context(self, request: HttpRequest, obj: ModelSignal) -> dict[str, Any]:
        return super().page_context(request, obj) | {"weights": weight_groups(obj.signal_weights)}


def weight_groups(weights: Any) -> list[dict[str, Any]]:
    """Return the weights of a signal in their groups, each with the width of its bar."""
    if not isinstance(weights, dict):
        return []
    named = {name for names in GROUPS.values() for name in names}
    groups = [*GROUPS.items(), ("other", tuple(name for name in weights if name not in named))]
    return [
        {
            "title": GROUP_TITLES.get(group, "Others"),
            "bars": [weight_bar(name, weights[name]) for name in names if name in weights],
        }
        for group, names in groups
        if any(name in weights for name in names)
    ]


def weight_bar(name: str, weight: Any) -> dict[str, Any]:
    plain = isinstance(weight, int | float) and not isinstance(weight, bool)
    known = plain and 0 <= weight <= LARGEST_WEIGHT
    share = float(weight) * 100 if known else 0.0
    return {
        "name": shown.words(display.visible(name).removesuffix("_weight")),
        "value": display.figure(f"{shown.digits(share, 1)} %") if known else display.text(weight),
        "width": f"{min(share, 100):.2f}",
    }


@admin.register(ModelOutcome)
class ModelOutcomeAdmin(DerivedAdmin):
    list_display = [
        "symbol", "claimed", "shown_direction", "confidence", "verdict", "percentage_change",
        "max_gain", "max_loss", "horizon_hours", "model_version", "moment",
    ]  # fmt: skip
    list_filter = [
        "moment", "status", "is_hit", "model_version", "symbol", "confidence", "direction",
        "percentage_change",
    ]  # fmt: skip
    search_fields = ["=model_version", "=prediction__prediction_id", "=signal__signal_id"]
    search_help_text = "Exact model version, or id of the prediction or signal"
    time = "moment"
    ordering = ["-moment", "-id"]
    colors = COLORS
    signed = ["percentage_change", "max_gain", "max_loss"]
    titles = {"model_version": "Model", "horizon_hours": "Hours", "percentage_change": "Change"}
    shows = {"confidence": display.share}
    short_texts = ["note"]
    empty_hint = "Each prediction and each signal gets one of these when it arrives."
    empty_reasons = {
        **dict.fromkeys(
            ["entry_price", "price", "percentage_change", "max_gain", "max_loss", "is_hit"],
            "Not known yet, or no candle near: see the note.",
        ),
        "confidence": NOT_NAMED,
        "direction": "It claims none, or it follows from a price that is not known yet.",
        "claimed_price": "It does not forecast a price.",
        "source": "No candles to judge it on yet.",
        "granularity": "No candles to judge it on yet.",
        "note": "Nothing is empty that would need a reason.",
        "settled_at": "It is not settled.",
        "due_at": "It is final.",
        "model_version": NOT_NAMED,
    }
    groups = [
        ("Outcome", ["verdict", "status", "is_hit", "percentage_change", "max_gain", "max_loss",
                     "note", "settled_at"]),
        ("Claim", ["claimed", "model_version", "symbol", "direction", "claimed_price",
                   "confidence", "moment", "horizon_hours"]),
        ("Judged on", ["source", "granularity", "entry_price", "price", "due_at", "updated_at"]),
    ]  # fmt: skip

    @admin.display(description="Outcome")
    def verdict(self, obj: ModelOutcome) -> SafeString:
        return shown.outcome(obj)

    @admin.display(description="Direction")
    def shown_direction(self, obj: ModelOutcome) -> SafeString:
        return direction(obj)

    @admin.display(description="Of")
    def claimed(self, obj: ModelOutcome) -> SafeString:
        # By its key alone: the claim itself need not be read for that.
        kind, key = (
            ("prediction", obj.prediction_id)
            if obj.prediction_id is not None
            else ("modelsignal", obj.signal_id)
        )
        address = reverse(f"admin:analysis_{kind}_changelist")
        word = "Prediction" if kind == "prediction" else "Signal"
        return display.link(f"{address}?{urlencode({'q': key})}", word)

    def page_title(self, obj: ModelOutcome) -> str:
        return obj.symbol

    def page_badges(self, obj: ModelOutcome) -> list[SafeString]:
        return [direction(obj), shown.outcome(obj), display.age(obj.moment)]
