"""Analyses in the admin: the ranking, the page of one, and the way to add a symbol."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
)
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from apps.analysis.admin import shown
from apps.analysis.admin.comparison import comparison_page
from apps.analysis.admin.pages import AnalysisStory
from apps.analysis.admin.symbols import AddSymbolMixin
from apps.analysis.choices import COLORS
from apps.analysis.models import Analysis
from apps.analysis.services.trade_files import open_file
from apps.shared import display
from apps.shared.admin import EntityAdmin
from apps.shared.errors import DomainError

NO_TRADES = "It has no trades to compute it from, and nobody reported it."
COMPARED = 2


@admin.register(Analysis)
class AnalysisAdmin(AddSymbolMixin, EntityAdmin):
    list_display = [
        "symbol", "timeframe", "config", "sharpe", "total_return", "max_drawdown", "win_rate",
        "total_trades", "avg_leverage", "status", "whose", "run",
    ]  # fmt: skip
    list_filter = [
        "generated_at", "sharpe_ratio", "symbol", ("timeframe", shown.TimeframeFilter),
        "config", "status", "origin", ("win_rate", shown.ShareFilter),
        ("total_return", shown.ShareFilter), ("max_drawdown", shown.ShareFilter),
        "total_trades", "strategy_configuration", "execution",
    ]  # fmt: skip
    search_fields = ["=symbol", "=config", "=execution__execution_id"]
    search_help_text = "Exact symbol, configuration or id of the run"
    large_table = True
    time = "generated_at"
    ordering = [shown.EmptyLast("sharpe_ratio").desc(), "-id"]
    sortable_by = ["sharpe"]
    colors = COLORS
    actions = ["compare"]
    titles = {
        "total_return": "Return", "max_drawdown": "Drawdown", "total_trades": "Trades",
        "config": "Configuration", "avg_leverage": "Leverage", "timeframe": "Bars",
    }  # fmt: skip
    shows = {
        "sharpe_ratio": shown.signed_ratio,
        "total_return": shown.signed_share,
        "max_drawdown": shown.signed_share,
        "win_rate": shown.share,
        "avg_leverage": shown.times,
    }
    export_fields = [
        "id", "execution", "symbol", "timeframe", "config", "status", "origin", "ranking",
        "sharpe_ratio", "total_return", "max_drawdown", "win_rate", "total_trades",
        "avg_leverage", "source", "period_start", "period_end", "generated_at",
    ]  # fmt: skip
    empty_reasons = {
        **dict.fromkeys(
            ["sharpe_ratio", "total_return", "max_drawdown", "win_rate", "total_trades",
             "avg_leverage"], NO_TRADES,
        ),
        "strategy_configuration": "A program outside tried it out.",
        "ranking": "Its run has not been ranked, or it has nothing to be ranked by.",
        "source": "Nobody told.",
        "period_start": "Nobody told.",
        "period_end": "Nobody told.",
        "compressed_path": "No trades are stored.",
        "trades_checksum": "No trades were written here.",
        "trades_bytes": "No trades were written here.",
        "chart_path": "None was named.",
        "error_message": "It did not fail.",
    }  # fmt: skip
    empty_hint = (
        "Add a symbol to try the active strategies out on it, or have a program send its results"
        " by POST /api/v1/analysis/analyses/ with a key."
    )
    page_template = "admin/analysis/analysis.html"
    groups = [
        ("Analysis", ["symbol", "timeframe", "config", "strategy_configuration", "run", "status",
                      "ranking", "error_message"]),
        ("Tried out on", ["source", "period_start", "period_end", "generated_at", "created_at",
                          "updated_at"]),
        ("Trades file", ["compressed_path", "trades_bytes", "trades_checksum", "chart_path"]),
    ]  # fmt: skip

    # Its figures are computed or reported: there is no form for them.

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Analysis]:
        return super().get_queryset(request).select_related("strategy_configuration")

    def listed(self, queryset: QuerySet) -> QuerySet:
        # A row names its configuration itself.
        return super().listed(queryset).select_related(None)

    def get_urls(self) -> list[URLPattern]:
        guard = self.admin_site.admin_view
        return [
            path("compare/", guard(self.compare_view), name="analysis_compare"),
            path("<path:object_id>/trades/", guard(self.trades_view), name="analysis_trades"),
            *super().get_urls(),
        ]

    @admin.display(description="Sharpe", ordering=shown.EmptyLast("sharpe_ratio"))
    def sharpe(self, obj: Analysis) -> SafeString:
        return shown.signed_ratio(obj.sharpe_ratio, NO_TRADES)

    @admin.display(description="Run")
    def run(self, obj: Analysis) -> SafeString:
        # By its key alone: the run itself need not be read for that.
        return shown.run_end(str(obj.execution_id))

    @admin.display(description="Figures")
    def whose(self, obj: Analysis) -> SafeString:
        return shown.short_origin(obj)

    # --- comparing ------------------------------------------------------------------------

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        compare = (type(self).compare, "compare", "Compare two")
        return {"compare": compare} if self.has_view_permission(request) else {}

    @admin.action(description="Compare two")
    def compare(self, request: HttpRequest, rows: QuerySet) -> HttpResponse | None:
        keys = list(rows.values_list("pk", flat=True)[: COMPARED + 1])
        if len(keys) != COMPARED:
            messages.error(request, "Choose exactly two analyses to compare.")
            return None
        first, second = keys
        return HttpResponseRedirect(f"{reverse('admin:analysis_compare')}?a={first}&b={second}")

    def compare_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return comparison_page(self, request)

    # --- the page -------------------------------------------------------------------------

    def page_title(self, obj: Analysis) -> str:
        return f"{obj.symbol} {obj.timeframe}"

    def page_badges(self, obj: Analysis) -> list[SafeString]:
        name = display.badge(display.visible(obj.config), "info")
        return [name, shown.status(obj), shown.origin(obj), display.age(obj.generated_at)]

    def page_context(self, request: HttpRequest, obj: Analysis) -> dict[str, Any]:
        return {"story": AnalysisStory(obj, request)}

    def trades_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Answer with the trades file as it lies there; say on its page why there is none."""
        obj = self.get_object(request, unquote(object_id)) if "\0" not in object_id else None
        if obj is None:
            raise Http404
        if not self.has_view_permission(request, obj):
            raise PermissionDenied
        try:
            file = open_file(obj)
        except DomainError as refusal:
            messages.error(request, refusal.message)
            return HttpResponseRedirect(shown.analysis_url(obj))
        return FileResponse(
            file,
            as_attachment=True,
            filename=f"analysis-{obj.pk}-trades.parquet",
            content_type="application/vnd.apache.parquet",
        )
