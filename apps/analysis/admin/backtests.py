"""Backtests that ran outside, their signals, and the single figures of analyses, in the admin."""

import json
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from apps.analysis.admin import shown
from apps.analysis.admin.breakdowns import TITLES, breakdown
from apps.analysis.admin.pages import meaning
from apps.analysis.choices import COLORS, ResultShape
from apps.analysis.models import (
    BacktestMetric,
    BacktestResult,
    LeverageCalculation,
    SignalPerformance,
)
from apps.shared import display
from apps.shared.admin import FactAdmin

NOT_NAMED = "Neither named nor among its results."
MOST_SIGNALS = 100
# In this order on the page; how each reads.
FIGURES = {
    "sharpe_ratio": shown.signed_ratio,
    "sortino_ratio": shown.signed_ratio,
    "total_return": shown.signed_share,
    "max_drawdown": shown.signed_share,
    "win_rate": shown.share,
    "total_trades": display.number,
    "composite_score": shown.ratio,
    "confidence_score": shown.ratio,
}


@admin.register(BacktestResult)
class BacktestResultAdmin(FactAdmin):
    list_display = [
        "backtest_id", "period", "sharpe_ratio", "sortino_ratio", "total_return", "max_drawdown",
        "win_rate", "total_trades", "shape", "doubt", "timestamp",
    ]  # fmt: skip
    list_filter = [
        "timestamp", "shape", "sharpe_ratio", ("win_rate", shown.ShareFilter),
        ("total_return", shown.ShareFilter), ("max_drawdown", shown.ShareFilter),
    ]  # fmt: skip
    search_fields = ["=backtest_id"]
    time = "timestamp"
    ordering = ["-timestamp", "-id"]
    colors = COLORS
    titles = {"total_return": "Return", "max_drawdown": "Drawdown", "shape": "Results"}
    shows = FIGURES
    empty_hint = "A program reports them by POST /api/v1/analysis/backtest-results/ with a key."
    empty_reasons = {
        **dict.fromkeys(FIGURES, NOT_NAMED),
        "period": "None was named.",
        "results_json": "None were sent.",
        "config_json": "None was sent.",
        "error_message": "It did not fail.",
    }
    page_template = "admin/analysis/backtest.html"
    groups = [
        ("Backtest", ["backtest_id", "timestamp", "period", "shape", "error_message",
                      "created_at"]),
        ("Set up with", ["config_json"]),
    ]  # fmt: skip

    def listed(self, queryset: QuerySet) -> QuerySet:
        # Short, and the list tells of it.
        return super().listed(queryset).defer(None).defer("results_json", "config_json")

    @admin.display(description="Doubt")
    def doubt(self, obj: BacktestResult) -> SafeString:
        return doubt(obj)

    def page_badges(self, obj: BacktestResult) -> list[SafeString]:
        shape = ResultShape(obj.shape)
        badges = [display.badge(shape.label, COLORS[shape])] if shape in COLORS else []
        return [*badges, *([doubt(obj)] if obj.differing else []), display.age(obj.timestamp)]

    def page_context(self, request: HttpRequest, obj: BacktestResult) -> dict[str, Any]:
        differing = obj.differing if isinstance(obj.differing, dict) else {}
        signals = list(obj.signals.order_by("-total_contribution", "signal_name")[:MOST_SIGNALS])
        return {
            "figures": [
                {
                    "label": shown.words(name),
                    "value": show(getattr(obj, name), NOT_NAMED),
                    "other": display.text(differing[name]) if name in differing else "",
                }
                for name, show in FIGURES.items()
            ],
            "signals": [signal_line(each) for each in signals],
            "most_signals": len(signals) == MOST_SIGNALS,
            "signals_url": f"{reverse('admin:analysis_signalperformance_changelist')}"
            f"?{urlencode({'q': obj.backtest_id})}",
            "results": display.folded("Results as they came", pretty(obj.results_json)),
        }


def pretty(value: Any) -> str:
    """Return JSON as text for people; empty for what is empty."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str) if value else ""


def doubt(obj: BacktestResult) -> SafeString:
    """Return whether what was named differs from what the results hold."""
    names = sorted(obj.differing) if isinstance(obj.differing, dict) else []
    if not names:
        return display.empty("What was named is what its results hold.")
    named = ", ".join(shown.words(display.visible(name)) for name in names)
    return display.badge("Differs", "warning", f"Its results say otherwise: {named}")


def signal_line(signal: SignalPerformance) -> dict[str, Any]:
    return {
        "name": display.text(signal.signal_name),
        "mean_return": shown.signed_share(signal.mean_return, "Not told."),
        "contribution": shown.signed_share(signal.total_contribution, "Not told."),
        "win_rate": shown.share(signal.win_rate, "Not told."),
        "activations": display.number(signal.activation_count, "Not told."),
    }


@admin.register(SignalPerformance)
class SignalPerformanceAdmin(FactAdmin):
    list_display = [
        "signal_name", "mean_return", "total_contribution", "win_rate", "activation_count",
        "of", "timestamp",
    ]  # fmt: skip
    list_filter = ["timestamp", "signal_name", ("win_rate", shown.ShareFilter),
                   ("mean_return", shown.ShareFilter)]  # fmt: skip
    search_fields = ["=signal_name", "=backtest_id"]
    search_help_text = "Exact signal or id of the backtest"
    time = "timestamp"
    ordering = ["-timestamp", "-id"]
    shows = {
        "mean_return": shown.signed_share,
        "total_contribution": shown.signed_share,
        "win_rate": shown.share,
    }
    empty_reasons = dict.fromkeys(
        ["mean_return", "total_contribution", "win_rate", "activation_count"], "Not told."
    )
    empty_hint = "They come with the results of a backtest, or by POST to signal-performance/."

    @admin.display(description="Backtest")
    def of(self, obj: SignalPerformance) -> SafeString:
        # By its key alone: the backtest itself need not be read for that.
        address = reverse("admin:analysis_backtestresult_changelist")
        return display.link(
            f"{address}?{urlencode({'q': obj.backtest_id})}", display.short_text(obj.backtest_id)
        )


@admin.register(BacktestMetric)
class BacktestMetricAdmin(FactAdmin):
    list_display = ["metric_name", "ours", "told", "n", "of", "created_at"]
    list_filter = ["created_at", "metric_name"]
    search_fields = ["=metric_name"]
    time = "created_at"
    ordering = ["-created_at", "-id"]
    list_select_related = ["analysis"]
    empty_hint = "They are computed from the trades of each analysis."
    empty_reasons = {
        "definition": "It is not computed here.",
        "n": "It is not computed here.",
        "reason": "It has a value.",
    }
    groups = [
        ("Figure", ["analysis", "metric_name", "ours", "told", "n", "reason"]),
        ("How it is worked out", ["definition", "sentence", "created_at"]),
    ]

    def listed(self, queryset: QuerySet) -> QuerySet:
        names = ["symbol", "timeframe", "config"]
        return super().listed(queryset).only(
            "metric_name", "metric_value", "reported_value", "n", "reason", "created_at",
            *(f"analysis__{name}" for name in names),
        )  # fmt: skip

    @admin.display(description="Ours")
    def ours(self, obj: BacktestMetric) -> SafeString:
        return shown.figure_of(obj.metric_name, obj.metric_value, obj.reason or "Not ours.")

    @admin.display(description="Reported")
    def told(self, obj: BacktestMetric) -> SafeString:
        return shown.figure_of(obj.metric_name, obj.reported_value, "Nobody reported it.")

    @admin.display(description="In words")
    def sentence(self, obj: BacktestMetric) -> SafeString:
        return display.text(meaning(obj.definition), "Only the sender knows.")

    @admin.display(description="Analysis")
    def of(self, obj: BacktestMetric) -> SafeString:
        return display.link(shown.analysis_url(obj.analysis), display.short_text(obj.analysis))


@admin.register(LeverageCalculation)
class LeverageCalculationAdmin(FactAdmin):
    list_display = [
        "trade_number", "of", "binding", "min_constraint_leverage", "trend_strength",
        "final_leverage", "bounded_by", "calculation_timestamp",
    ]  # fmt: skip
    list_filter = ["calculation_timestamp", "binding_constraint", "bounded_by", "final_leverage"]
    search_fields = ["=analysis__symbol"]
    search_help_text = "Exact symbol"
    time = "calculation_timestamp"
    ordering = ["-calculation_timestamp", "-id"]
    list_select_related = ["analysis"]
    titles = {"min_constraint_leverage": "Tightest", "final_leverage": "Final"}
    shows = {"min_constraint_leverage": shown.times, "final_leverage": shown.times}
    empty_hint = "One is kept for each trade of an analysis."
    empty_reasons = {
        "trend_strength": "The trend was not known.",
        "bounded_by": "It lay between floor and ceiling.",
        "formula": "Nobody told.",
        "reasons": "No constraint is missing.",
    }
    page_template = "admin/analysis/leverage.html"
    groups = [
        ("Trade", ["analysis", "trade_number", "calculation_timestamp", "formula"]),
        ("Why figures are missing", ["reasons"]),
    ]

    def listed(self, queryset: QuerySet) -> QuerySet:
        names = ["symbol", "timeframe", "config"]
        return super().listed(queryset).only(
            "trade_number", "binding_constraint", "min_constraint_leverage", "trend_strength",
            "final_leverage", "bounded_by", "calculation_timestamp",
            *(f"analysis__{name}" for name in names),
        )  # fmt: skip

    @admin.display(description="Analysis")
    def of(self, obj: LeverageCalculation) -> SafeString:
        url = f"{shown.analysis_url(obj.analysis)}?trade={obj.trade_number}#leverage"
        return display.link(url, display.short_text(obj.analysis))

    @admin.display(description="Binding")
    def binding(self, obj: LeverageCalculation) -> SafeString:
        name = obj.binding_constraint
        return display.text(TITLES.get(name, name), "None was tight.")

    def page_context(self, request: HttpRequest, obj: LeverageCalculation) -> dict[str, Any]:
        return {"chosen": breakdown(obj)}
