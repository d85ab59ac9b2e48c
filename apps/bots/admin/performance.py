"""How bots have done, snapshot by snapshot, in the admin."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from apps.bots.admin import money, shown
from apps.bots.admin.figures import BY_NAME, FIGURES, NOT_REPORTED, cell, meaning
from apps.bots.choices import COLORS, Origin
from apps.bots.models import BotPerformance
from apps.shared import display
from apps.shared.admin import FactAdmin

UNKNOWN = "It was not told."


def figure_column(name: str) -> Any:
    """Return the column of one figure, which says why it is empty."""
    figure = BY_NAME[name]

    @admin.display(description=figure.label)
    def column(model_admin: Any, obj: BotPerformance) -> SafeString:
        return cell(figure, obj, UNKNOWN)

    return column


@admin.register(BotPerformance)
class BotPerformanceAdmin(FactAdmin):
    list_display = [
        "calculated_at", "bot_name", "trade_type", "currency", "source", "n", "rate", "factor",
        "sharpe", "drawdown", "earned", "net",
    ]  # fmt: skip
    list_filter = [
        "calculated_at", "bot", "trade_type", "origin", "quote_currency", "win_rate",
        "sharpe_ratio", "max_drawdown", "net_pnl",
    ]  # fmt: skip
    search_fields = ["=bot__id"]
    search_help_text = "Exact name of the bot"
    time = "calculated_at"
    ordering = ["-calculated_at", "-id"]
    sortable_by = ["calculated_at"]
    colors = COLORS
    titles = {"trade_type": "Type"}
    empty_hint = "The worker computes them every 15 minutes for bots with closed trades."
    page_template = "admin/bots/performance.html"
    groups = [
        ("Of", ["bot", "trade_type", "quote_currency", "origin", "calculated_at", "created_at"]),
        ("Sent along", ["extra_metadata"]),
    ]  # fmt: skip
    empty_reasons = {
        "quote_currency": UNKNOWN,
        "extra_metadata": "Nothing was sent along.",
    }

    rate = figure_column("win_rate")
    factor = figure_column("profit_factor")
    sharpe = figure_column("sharpe_ratio")
    drawdown = figure_column("max_drawdown")
    earned = figure_column("total_return")
    net = figure_column("net_pnl")
    n = figure_column("total_trades")

    def listed(self, queryset: QuerySet) -> QuerySet:
        # Why a figure is empty stands in a short document of ours.
        return queryset.defer("definitions", "extra_metadata")

    @admin.display(description="Bot")
    def bot_name(self, obj: BotPerformance) -> SafeString:
        return shown.bot_listed(obj.bot_id)

    @admin.display(description="Currency")
    def currency(self, obj: BotPerformance) -> SafeString:
        return display.short_text(obj.quote_currency, UNKNOWN)

    @admin.display(description="Figures")
    def source(self, obj: BotPerformance) -> SafeString:
        return origin(obj)

    def page_title(self, obj: BotPerformance) -> str:
        return obj.bot_id

    def page_badges(self, obj: BotPerformance) -> list[SafeString]:
        return [shown.trade_type(obj.trade_type), origin(obj), display.age(obj.calculated_at)]

    def page_context(self, request: HttpRequest, obj: BotPerformance) -> dict[str, Any]:
        missing = NOT_REPORTED if obj.origin == Origin.REPORTED else "It is not defined."
        equity = money.money(obj.equity, str(obj.reasons.get("equity") or missing))
        return super().page_context(request, obj) | {
            "figures": [
                {
                    "label": figure.label,
                    "meaning": meaning(figure, obj),
                    "value": cell(figure, obj, missing),
                }
                for figure in FIGURES
            ],
            "equity": equity,
            "open_trades": display.number(obj.open_trades, missing),
        }


def origin(row: BotPerformance) -> SafeString:
    found = Origin(row.origin)
    if found == Origin.COMPUTED:
        return display.badge("Computed", "info", "From the trades here.")
    return display.badge("Reported", "default", "As the bot told it.")
