"""The league: where agents stand among each other, net of all costs, and how sure that is."""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from apps.agents.admin import performance, shown, standing_rows
from apps.agents.admin.finding import AgentFilter, FindMixin
from apps.agents.admin.league_pages import VIEWS, League, fields_of
from apps.agents.admin.scorecards import scorecard_page
from apps.agents.choices import COLORS, AgentMode, Period
from apps.agents.domain.performance import MEANINGS
from apps.agents.models import AgentStanding, TradingAgent
from apps.agents.services.standings import rank_agents
from apps.shared import display
from apps.shared.admin import DerivedAdmin
from apps.shared.admin.figures import ratio, signed_money

LEAGUE: Final = "admin:agents_league"


def league_page(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """Answer with the league of one mode over one period, or with the versions of its prompts."""
    if not request.user.has_perm("agents.view_agentstanding"):
        raise PermissionDenied
    league = League(asked(request))
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "League of agents",
        "league": league,
        "may_judge": request.user.has_perm("agents.view_decisionoutcome"),
        "may_compute": request.user.has_perm("agents.change_tradingagent"),
        "sharpe": MEANINGS["sharpe_ratio"],
        "drawdown": MEANINGS["max_drawdown_percent"],
        "minimum": {"days": settings.LEAGUE_MIN_DAYS, "trades": settings.LEAGUE_MIN_TRADES},
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/agents/league.html", context)


def compute_now(request: HttpRequest) -> HttpResponse:
    """Make the league anew for whoever may change an agent, and go back to it."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not request.user.has_perm("agents.change_tradingagent"):
        raise PermissionDenied
    made = rank_agents(now=timezone.now())
    messages.success(request, f"The league is made anew: {made:,} lines.")
    return HttpResponseRedirect(f"{reverse(LEAGUE)}?{urlencode(asked(request))}")


def asked(request: HttpRequest) -> dict[str, str]:
    """Return what the address asks for, as far as it is offered."""
    offered: dict[str, Sequence[str]] = {
        "mode": AgentMode.values,
        "period": Period.values,
        "view": list(VIEWS),
    }
    given = {name: request.GET.get(name, "") for name in offered}
    return {name: value for name, value in given.items() if value in offered[name]}


# --- The list, for those who filter and export --------------------------------------------


@admin.register(AgentStanding)
class AgentStandingAdmin(FindMixin, DerivedAdmin):
    list_display = [
        "agent_name", "period", "version", "shown_rank", "shown_verdict", "net_return", "earned",
        "max_drawdown_percent", "sharpe", "decisions", "driven", "trades", "costs", "computed_at",
    ]  # fmt: skip
    list_filter = [
        "computed_at", ("agent", AgentFilter), "agent__mode", "period", "verdict", "net_return",
        "decisions",
    ]  # fmt: skip
    list_select_related = ["agent"]
    search_fields = ["=agent__name", "=prompt_version"]
    search_help_text = "Exact name of the agent, or version of its prompt"
    found_by = ("agent__name", "prompt_version")
    time = "computed_at"
    ordering = ["period", F("rank").asc(nulls_last=True), "pk"]
    sortable_by = ["computed_at"]
    colors = COLORS
    signed = ["net_return", "return_low", "return_high", "hold_return", "equal_return"]
    shows = {
        "max_drawdown_percent": performance.percent,
        "net_return": shown.percent_return,
    }
    # Lines are made anew each quarter of an hour; what stays is the agent.
    list_display_links = None
    titles = {"net_return": "Net return", "max_drawdown_percent": "Drawdown"}
    empty_hint = "The worker makes the league anew in each quarter of an hour."
    page_template = "admin/agents/league_standing.html"
    export_fields = [
        "agent", "agent__name", "agent__mode",
        *(each for each in fields_of(AgentStanding) if each not in ("id", "agent", "reasons")),
    ]  # fmt: skip
    groups = [
        ("Of", ["agent", "period", "prompt_version", "computed_at", "began_at"]),
    ]
    empty_reasons = {
        "prompt_version": "It is of all versions together.",
        "began_at": "It has done nothing yet.",
        "net_return": "It is not defined; its page says why.",
        "max_drawdown_percent": "It is not defined; its page says why.",
    }

    def get_urls(self) -> list[URLPattern]:
        guard = self.admin_site.admin_view
        return [
            path("league/", guard(self.league_view), name="agents_league"),
            path("scorecard/", guard(self.scorecard_view), name="agents_scorecard"),
            path("league/compute/", guard(compute_now), name="agents_league_compute"),
            *super().get_urls(),
        ]

    def league_view(self, request: HttpRequest) -> HttpResponse:
        return league_page(self, request)

    def scorecard_view(self, request: HttpRequest) -> HttpResponse:
        return scorecard_page(self, request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[AgentStanding]:
        rows = super().get_queryset(request).select_related("agent")
        return rows.defer(*performance.unread("agent__"))

    def listed(self, queryset: QuerySet) -> QuerySet:
        # Why something is so, and why something is empty, stands in short texts of ours.
        return queryset

    @admin.display(description="Agent")
    def agent_name(self, obj: AgentStanding) -> SafeString:
        return shown.link(TradingAgent, obj.agent_id, obj.agent.name)

    @admin.display(description="Prompt")
    def version(self, obj: AgentStanding) -> SafeString:
        return shown.version(obj.prompt_version)

    @admin.display(description="Rank")
    def shown_rank(self, obj: AgentStanding) -> SafeString:
        return standing_rows.rank(obj)

    @admin.display(description="Verdict")
    def shown_verdict(self, obj: AgentStanding) -> SafeString:
        return shown.verdict(obj)

    @admin.display(description="Net P&L")
    def earned(self, obj: AgentStanding) -> SafeString:
        return signed_money(obj.net_pnl)

    @admin.display(description="Sharpe")
    def sharpe(self, obj: AgentStanding) -> SafeString:
        return ratio(obj.sharpe_ratio, shown.reason_of(obj, "sharpe_ratio"))

    @admin.display(description="Model-driven")
    def driven(self, obj: AgentStanding) -> SafeString:
        return shown.share(obj.model_share, reason=shown.reason_of(obj, "model_share"))

    @admin.display(description="Model cost")
    def costs(self, obj: AgentStanding) -> SafeString:
        return standing_rows.known_cost(obj)

    def page_title(self, obj: AgentStanding) -> str:
        return f"{obj.agent.name}, {obj.get_period_display().lower()}"

    def page_badges(self, obj: AgentStanding) -> list[SafeString]:
        return [shown.mode(obj.agent.mode), shown.verdict(obj), display.age(obj.computed_at)]

    def page_context(self, request: HttpRequest, obj: AgentStanding) -> dict[str, Any]:
        return super().page_context(request, obj) | {"lines": standing_rows.standing_lines(obj)}
