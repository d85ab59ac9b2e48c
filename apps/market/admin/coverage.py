"""The coverage of features in the admin: one materialized view, read and refreshed."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from apps.market.admin import shown
from apps.market.admin.runs import tell
from apps.market.models import FeatureCoverage
from apps.market.services.coverage import request_refresh
from apps.shared import display
from apps.shared.admin import DerivedAdmin

MAY_REFRESH = "market.change_featureseries"
REFRESH = "admin:market_featurecoverage_refresh"
EMPTY = "No row of the last 90 days has one."


@admin.register(FeatureCoverage)
class FeatureCoverageAdmin(DerivedAdmin):
    list_display = [
        "symbol", "latest_timestamp", "total_records", "latest_version", "latest_rsi", "latest_ma",
        "rsi", "average", "as_of",
    ]  # fmt: skip
    list_filter = ["symbol", "latest_version", "rsi_coverage", "ma_coverage"]
    search_fields = ["=symbol"]
    ordering = ["symbol"]
    sortable_by = ["symbol", "latest_timestamp", "total_records"]
    list_before_template = "admin/market/coverage_before.html"
    shows = {"latest_rsi": shown.feature, "latest_ma": shown.feature}
    titles = {"latest_version": "Version"}
    empty_reasons = {"latest_rsi": "Not known of its newest row.",
                     "latest_ma": "Not known of its newest row."}  # fmt: skip
    groups = [
        ("Features", ["symbol", "latest_timestamp", "total_records", "latest_version"]),
        ("Newest and how complete", ["latest_rsi", "latest_ma", "rsi", "average", "refreshed_at"]),
    ]
    empty_hint = (
        "It tells of the symbols with features of the last 90 days, as of its last refresh:"
        " hourly, or by “Refresh now”."
    )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(refresh)
        return [path("refresh/", view, name="market_featurecoverage_refresh"), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        extra = {"may_refresh": request.user.has_perm(MAY_REFRESH)}
        return super().changelist_view(request, extra | (extra_context or {}))

    @admin.display(description="RSI known")
    def rsi(self, obj: FeatureCoverage) -> SafeString:
        return shown.coverage(obj.rsi_coverage, EMPTY)

    @admin.display(description="Average known")
    def average(self, obj: FeatureCoverage) -> SafeString:
        return shown.coverage(obj.ma_coverage, EMPTY)

    @admin.display(description="As of")
    def as_of(self, obj: FeatureCoverage) -> SafeString:
        return display.age(obj.refreshed_at)


def refresh(request: HttpRequest) -> HttpResponse:
    """Have the view made anew, for whoever may have features computed; a run does it."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not request.user.has_perm(MAY_REFRESH):
        raise PermissionDenied
    run = request_refresh(by=request.user.get_username(), now=timezone.now())
    tell(request, run, "The coverage is refreshed by a worker, within a minute.")
    return HttpResponseRedirect(reverse("admin:market_featurecoverage_changelist"))
