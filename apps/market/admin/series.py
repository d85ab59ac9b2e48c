"""On-chain and sentiment series in the admin: their points, where each stands, and its chart."""

from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.safestring import SafeString

from apps.market.admin import shown
from apps.market.admin.series_pages import SeriesChart, SeriesList, chart_address, list_address
from apps.market.models import OnchainMetric, SentimentScore
from apps.market.services.series import ONCHAIN, SENTIMENT, Table
from apps.shared import display
from apps.shared.admin import FactAdmin


class SeriesAdmin(FactAdmin):
    """What both kinds of series have in common: beside the list of points, that of the series."""

    table: ClassVar[Table]
    search_fields = ["=symbol"]
    time = "timestamp"
    default_period = "week"
    list_before_template = "admin/market/series_before.html"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("series/", view(self.series_view), name=self.url_name("series")),
            path("series/chart/", view(self.chart_view), name=self.url_name("chart")),
            *super().get_urls(),
        ]

    def series_view(self, request: HttpRequest) -> HttpResponse:
        """Answer with one line per series."""
        found = SeriesList(self.table, request.GET, now=timezone.now())
        title = f"Series of {self.opts.verbose_name_plural}"
        return self.answered(request, "admin/market/series.html", title, {"found": found})

    def chart_view(self, request: HttpRequest) -> HttpResponse:
        """Answer with the chart of one series, its newest points and its gaps."""
        view = SeriesChart(self.table, request.GET, now=timezone.now())
        return self.answered(request, "admin/market/series_chart.html", view.title, {"view": view})

    def answered(
        self, request: HttpRequest, template: str, title: str, data: dict[str, Any]
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "points_url": shown.address(self.model, "changelist"),
            "series_url": list_address(self.table),
            **data,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, template, context)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        extra = {"series_url": list_address(self.table)}
        return super().changelist_view(request, extra | (extra_context or {}))

    @admin.display(description="Series")
    def chart(self, obj: Any) -> SafeString:
        key = tuple(getattr(obj, name) for name in self.table.key)
        return display.link(chart_address(self.table, key), "Chart")


@admin.register(OnchainMetric)
class OnchainMetricAdmin(SeriesAdmin):
    table = ONCHAIN
    list_display = ["symbol", "source", "metric_name", "timestamp", "metric_value", "chart"]
    list_filter = ["timestamp", "symbol", "source", "metric_name", "metric_value"]
    shows = {"metric_value": shown.feature}
    groups = [
        ("Point", ["symbol", "source", "metric_name", "timestamp", "metric_value", "chart"]),
        ("Stored", ["created_at"]),
    ]
    empty_hint = "They come by POST /api/v1/market/onchain-metrics/, one or 100,000 at once."


@admin.register(SentimentScore)
class SentimentScoreAdmin(SeriesAdmin):
    table = SENTIMENT
    list_display = ["symbol", "source", "timestamp", "sentiment_score", "chart"]
    list_filter = ["timestamp", "symbol", "source", "sentiment_score"]
    shows = {"sentiment_score": shown.feature}
    groups = [
        ("Point", ["symbol", "source", "timestamp", "sentiment_score", "chart"]),
        ("Stored", ["created_at"]),
    ]
    empty_hint = "They come by POST /api/v1/market/sentiment-scores/, one or 100,000 at once."
