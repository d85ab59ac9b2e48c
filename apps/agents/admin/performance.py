"""How agents have done, snapshot by snapshot, and the figures that all pages of agents share."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from apps.agents.admin import shown
from apps.agents.admin.finding import AgentFilter, FindMixin
from apps.agents.domain.performance import MEANINGS
from apps.agents.models import AgentPerformance, TradingAgent
from apps.shared import display
from apps.shared.admin import DerivedAdmin
from apps.shared.admin.figures import money, ratio, signed_money
from apps.shared.fields import plain_text

EVERY = "The worker computes it every 15 minutes."
NOT_COMPUTED = f"Nothing is computed yet. {EVERY}"


class Figure(NamedTuple):
    """One figure of ``AgentPerformance``: its name for people, its meaning, how it looks."""

    name: str
    label: str
    show: Callable[[Any, str], SafeString]

    @property
    def meaning(self) -> str:
        return MEANINGS.get(self.name, "")


def percent(value: Decimal | None, reason: str = "") -> SafeString:
    """Return percent to one place, without a sign of gain."""
    if value is None:
        return display.empty(reason, figure=True)
    words = display.pct_words(value, signed=False, places=1)
    if value.copy_abs() >= shown.LARGEST:
        words = f"{shown.few_digits(value).lstrip('+')} %"
    return display.figure(words, f"{plain_text(value)} %")


FIGURES = [
    Figure("total_value", "Equity", money),
    Figure("cash_balance", "Cash", money),
    Figure("position_value", "Positions", signed_money),
    Figure("total_pnl", "Total P&L", signed_money),
    Figure("realized_pnl", "Realized", signed_money),
    Figure("unrealized_pnl", "Unrealized", signed_money),
    Figure("roi_percent", "Return", shown.percent_return),
    Figure("sharpe_ratio", "Sharpe", ratio),
    Figure("max_drawdown_percent", "Drawdown", percent),
    Figure("max_drawdown", "Drawdown in money", money),
    Figure("peak_value", "Peak", money),
    Figure("win_rate", "Win rate", percent),
    Figure("profit_factor", "Profit factor", ratio),
    Figure("avg_win", "Average win", signed_money),
    Figure("avg_loss", "Average loss", signed_money),
    Figure("num_trades", "Trades", display.number),
    Figure("num_winning_trades", "Won", display.number),
    Figure("num_losing_trades", "Lost", display.number),
    Figure("open_trades", "Open trades", display.number),
    Figure("unknown_trades", "P&L unknown", display.number),
    Figure("unpriced_trades", "Unpriced", display.number),
    Figure("fees", "Fees", money),
    Figure("model_cost", "Model cost", shown.cost),
]
BY_NAME = {figure.name: figure for figure in FIGURES}


def cell(name: str, row: AgentPerformance | None) -> SafeString:
    """Return a figure of a snapshot, or why it is empty."""
    if row is None:
        return display.empty(NOT_COMPUTED, figure=True)
    return BY_NAME[name].show(getattr(row, name), shown.reason_of(row, name))


def lines(row: AgentPerformance | None) -> list[dict[str, Any]]:
    """Return all figures of a snapshot, each with its definition."""
    return [
        {"label": each.label, "meaning": each.meaning, "value": cell(each.name, row)}
        for each in FIGURES
    ]


def figure_column(name: str) -> Any:
    """Return the column of one figure, which says why it is empty."""

    @admin.display(description=BY_NAME[name].label)
    def column(model_admin: Any, obj: AgentPerformance) -> SafeString:
        return cell(name, obj)

    return column


@admin.register(AgentPerformance)
class AgentPerformanceAdmin(FindMixin, DerivedAdmin):
    list_display = [
        "snapshot_time", "agent_name", "worth", "total", "earned", "sharpe", "drawdown", "rate",
        "factor", "n", "holds", "unknown", "spent",
    ]  # fmt: skip
    list_filter = [
        "snapshot_time", ("agent", AgentFilter), "agent__mode", "roi_percent", "sharpe_ratio",
        "max_drawdown_percent", "win_rate",
    ]  # fmt: skip
    list_select_related = ["agent"]
    search_fields = ["=agent__name"]
    search_help_text = "Exact name of the agent"
    found_by = ("agent__name",)
    narrow = ("q", "agent__id__exact")
    time = "snapshot_time"
    default_period = "week"
    ordering = ["-snapshot_time", "-id"]
    sortable_by = ["snapshot_time"]
    empty_hint = "The worker takes one of every agent in each quarter of an hour."
    page_template = "admin/agents/agent_performance.html"
    groups = [("Of", ["agent", "snapshot_time", "created_at"])]

    worth = figure_column("total_value")
    total = figure_column("total_pnl")
    earned = figure_column("roi_percent")
    sharpe = figure_column("sharpe_ratio")
    drawdown = figure_column("max_drawdown_percent")
    rate = figure_column("win_rate")
    factor = figure_column("profit_factor")
    n = figure_column("num_trades")
    holds = figure_column("open_trades")
    unknown = figure_column("unknown_trades")
    spent = figure_column("model_cost")

    def listed(self, queryset: QuerySet) -> QuerySet:
        # Why a figure is empty stands in a short document of ours; of agents the name will do.
        return queryset.defer(*unread("agent__"))

    @admin.display(description="Agent")
    def agent_name(self, obj: AgentPerformance) -> SafeString:
        return shown.link(TradingAgent, obj.agent_id, obj.agent.name)

    def page_title(self, obj: AgentPerformance) -> str:
        return obj.agent.name

    def page_badges(self, obj: AgentPerformance) -> list[SafeString]:
        return [shown.mode(obj.agent.mode), display.age(obj.snapshot_time)]

    def page_context(self, request: HttpRequest, obj: AgentPerformance) -> dict[str, Any]:
        known = super().page_context(request, obj)
        return known | {"figures": lines(obj), "currency": obj.agent.quote_currency}


def unread(path: str = "") -> list[str]:
    """Return the columns of an agent that may be long and that no list shows."""
    return [f"{path}{name}" for name in ("coins", "strategy_description", "extra_metadata")]
