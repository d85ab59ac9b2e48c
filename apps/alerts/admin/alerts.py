"""Alerts in the admin: a list that scans well, and the page that tells how it went."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.safestring import SafeString

from apps.alerts import services
from apps.alerts.admin.outcomes import RETURNS, outcome
from apps.alerts.admin.pages import AlertStory
from apps.alerts.admin.scorecards import scorecard_page, scorecard_table
from apps.alerts.choices import COLORS
from apps.alerts.models import Alert
from apps.shared import display
from apps.shared.admin import FactAdmin


@admin.register(Alert)
class AlertAdmin(FactAdmin):
    list_display = [
        "symbol", "direction", "strategy", "timeframe", "priority", "shown_outcome",
        "performance__first_touch", "performance__final_return_24h",
        "performance__final_return_72h", "timestamp",
    ]  # fmt: skip
    list_filter = [
        "timestamp", "strategy", "symbol", "direction", "priority", "performance__status",
        "performance__is_success", "performance__first_touch", "timeframe", "alert_type",
        "confidence", *(f"performance__{name}" for name in RETURNS),
    ]  # fmt: skip
    list_select_related = ["performance"]
    search_fields = ["=alert_id", "=symbol", "=strategy"]
    time = "timestamp"
    colors = COLORS
    signed = RETURNS
    shows = {"confidence": display.share, "leverage": display.times}
    export_fields = [
        "alert_id", "timestamp", "symbol", "direction", "priority", "alert_type", "strategy",
        "timeframe", "leverage", "confidence", "entry_price", "target_price", "stop_loss",
        "performance__status", "performance__is_success", "performance__first_touch",
        "performance__max_gain", "performance__max_loss",
        *(f"performance__{name}" for name in RETURNS),
    ]  # fmt: skip
    empty_reasons = {
        "entry_price": "None was named: the price at the alert's own time counts.",
        "target_price": "No target was named.",
        "stop_loss": "No stop was named.",
        "leverage": "None was named.",
        "confidence": "None was named.",
        "strategy": "None was named.",
        "timeframe": "None was named.",
        "performance__final_return_24h": "Not known yet, or no candle near 24 h.",
        "performance__final_return_72h": "Not known yet, or no candle near 72 h.",
        "performance__first_touch": "No target or stop, or not touched yet.",
    }
    empty_hint = "A program raises them by POST /api/v1/alerts/alerts/ with a key."
    page_template = "admin/alerts/alert.html"
    groups = [
        ("Recommendation", ["symbol", "direction", "priority", "entry_price", "target_price",
                            "stop_loss", "leverage", "confidence"]),
        ("Sender", ["alert_id", "alert_type", "strategy", "timeframe", "timestamp", "created_at"]),
        ("Data sent along", ["extra_data"]),
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alert]:
        return super().get_queryset(request).select_related("performance")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.scorecard_view)
        return [path("scorecard/", view, name="alerts_scorecard"), *super().get_urls()]

    def scorecard_view(self, request: HttpRequest) -> HttpResponse:
        return scorecard_page(self, request)

    @admin.display(description="Outcome")
    def shown_outcome(self, obj: Alert) -> SafeString:
        return outcome(getattr(obj, "performance", None))

    def page_title(self, obj: Alert) -> str:
        return obj.symbol

    def page_badges(self, obj: Alert) -> list[SafeString]:
        states = (
            (obj.direction, obj.get_direction_display()),
            (
                obj.priority,
                obj.get_priority_display(),
            ),
        )
        badges = [display.badge(label, COLORS[value]) for value, label in states]
        return [*badges, outcome(getattr(obj, "performance", None)), display.age(obj.timestamp)]

    def page_context(self, request: HttpRequest, obj: Alert) -> dict[str, Any]:
        story = AlertStory(obj, now=timezone.now())
        strategy = services.scorecard(filters=services.Filters(strategy=[obj.strategy]))
        return {"story": story, "card": scorecard_table(strategy, by="strategy")}
