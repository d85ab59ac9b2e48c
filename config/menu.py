"""The admin's menu and what its command search finds."""

import re
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

from django.contrib.admin.utils import quote
from django.http import HttpRequest
from django.urls import reverse, reverse_lazy
from unfold.dataclasses import SearchResult

from apps.agents.models import AgentDecision, AgentTrade, LLMCall, TradingAgent
from apps.alerts.models import Alert
from apps.bots.models import BotInstance, Trade
from apps.executions.admin.shown import run_url
from apps.executions.models import Execution
from apps.logs.admin.links import trace_url
from apps.logs.models import RecentActivity
from apps.market.models import Instrument

MOST_FOUND = 8
# A run is looked for by so much of its id.
LEAST_TYPED = 3
# What the way to add a symbol is found by.
ADD_SYMBOL = "add symbol"
# A correlation id as most programs make them: 32 hexadecimal digits, dashes between or not.
LIKE_AN_ID = re.compile(r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")

# So much of the id of a trade is typed at least: fewer digits begin too many.
ID_DIGITS = 32
BEGINS_AN_ID = re.compile(rf"[0-9a-f]{{6,{ID_DIGITS}}}")


class Entry(NamedTuple):
    """A page in the menu, and the permission it takes."""

    title: str
    icon: str
    link: Any
    permission: str


def listed(title: str, icon: str, model: str) -> Entry:
    """Return the entry of a list of rows, ``app.model``."""
    app, name = model.split(".")
    return Entry(title, icon, reverse_lazy(f"admin:{app}_{name}_changelist"), f"{app}.view_{name}")


# Groups of entries.
GROUPS: list[tuple[str, list[Entry]]] = [
    (
        "",
        [
            Entry("Desk", "dashboard", reverse_lazy("admin:index"), ""),
        ],
    ),
    (
        "Bots",
        [
            listed("Bots", "smart_toy", "bots.botinstance"),
            listed("Trades", "swap_horizontal_circle", "bots.trade"),
            listed("Orders", "receipt_long", "bots.order"),
            listed("Fills", "done_all", "bots.fill"),
            listed("Lots", "inventory_2", "bots.position"),
            listed("Lot bookings", "menu_book", "bots.lottrade"),
            listed("Limits", "shield", "bots.tradinglimit"),
            listed("Paper portfolios", "account_balance_wallet", "bots.paperportfolio"),
            listed("Paper trades", "edit_note", "bots.papertrade"),
            listed("Paper performance", "show_chart", "bots.paperperformance"),
            listed("Bot performance", "query_stats", "bots.botperformance"),
            listed("Carried results", "forward", "bots.carriedresult"),
            listed("Kept states", "save", "bots.botstate"),
        ],
    ),
    (
        "Agents",
        [
            Entry(
                "League",
                "trophy",
                reverse_lazy("admin:agents_league"),
                "agents.view_agentstanding",
            ),
            Entry(
                "Agent scorecard",
                "social_leaderboard",
                reverse_lazy("admin:agents_scorecard"),
                "agents.view_decisionoutcome",
            ),
            listed("Agents", "psychology", "agents.tradingagent"),
            listed("Decisions", "rule", "agents.agentdecision"),
            listed("Model calls", "forum", "agents.llmcall"),
            listed("Agent trades", "currency_exchange", "agents.agenttrade"),
            listed("Decision outcomes", "flag_circle", "agents.decisionoutcome"),
            listed("Agent performance", "area_chart", "agents.agentperformance"),
            listed("Standings", "format_list_numbered", "agents.agentstanding"),
            listed("Model prices", "sell", "agents.llmprice"),
        ],
    ),
    (
        "Market",
        [
            listed("Instruments", "monitoring", "market.instrument"),
            listed("Candles", "candlestick_chart", "market.candle"),
            listed("Feeds", "rss_feed", "market.feed"),
        ],
    ),
    (
        "Alerts",
        [
            listed("Alerts", "notifications", "alerts.alert"),
            Entry(
                "Scorecard",
                "leaderboard",
                reverse_lazy("admin:alerts_scorecard"),
                "alerts.view_alertperformance",
            ),
            listed("Outcomes", "flag", "alerts.alertperformance"),
            listed("Checkpoint prices", "timeline", "alerts.trackedprice"),
        ],
    ),
    (
        "Executions",
        [
            listed("Runs", "play_circle", "executions.execution"),
            listed("Steps", "checklist", "executions.executionstep"),
        ],
    ),
    (
        "Analysis",
        [
            listed("Analyses", "leaderboard", "analysis.analysis"),
            Entry(
                "Add a symbol",
                "add_circle",
                reverse_lazy("admin:analysis_analysis_add_symbol"),
                "analysis.add_analysis",
            ),
            listed("Strategies", "tune", "analysis.strategyconfiguration"),
            listed("Leverage", "stacked_bar_chart", "analysis.leveragecalculation"),
            listed("Figures", "functions", "analysis.backtestmetric"),
            listed("Backtests outside", "science", "analysis.backtestresult"),
            listed("Signals in backtests", "insights", "analysis.signalperformance"),
        ],
    ),
    (
        "Models",
        [
            listed("Models", "model_training", "analysis.mlmodel"),
            Entry(
                "Model scorecard",
                "social_leaderboard",
                reverse_lazy("admin:analysis_scorecard"),
                "analysis.view_modeloutcome",
            ),
            listed("Predictions", "online_prediction", "analysis.prediction"),
            listed("Model signals", "sensors", "analysis.modelsignal"),
            listed("Model outcomes", "sports_score", "analysis.modeloutcome"),
            listed("Feature importance", "bar_chart", "analysis.featureimportance"),
            listed("Status changes", "published_with_changes", "analysis.modelstatuschange"),
        ],
    ),
    (
        "Logs",
        [
            listed("Activity", "history", "logs.recentactivity"),
            listed("System logs", "notes", "logs.systemlog"),
            listed("Trading events", "swap_horiz", "logs.tradingevent"),
            listed("Operations", "speed", "logs.performancelog"),
            listed("Errors", "error", "logs.errorlog"),
            listed("Error groups", "bug_report", "logs.errorgroup"),
            listed("Requests", "http", "logs.useractionlog"),
            listed("Notifications", "campaign", "logs.notification"),
            Entry(
                "Trace", "account_tree", reverse_lazy("trace-search"), "logs.view_recentactivity"
            ),
        ],
    ),
    (
        "Retention",
        [
            listed("Policies", "auto_delete", "retention.retentionpolicy"),
            listed("Archives", "archive", "retention.archive"),
            listed("Policy changes", "change_history", "retention.policychange"),
        ],
    ),
    (
        "Access",
        [
            listed("API keys", "key", "access.apikey"),
            listed("Users", "person", "auth.user"),
            listed("Roles", "group", "auth.group"),
            listed("Failed logins", "lock", "axes.accessattempt"),
        ],
    ),
    (
        "System",
        [
            listed("Schedule", "schedule", "django_celery_beat.periodictask"),
            Entry("API documentation", "api", reverse_lazy("api-docs"), ""),
        ],
    ),
]


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the menu as the viewer may see it."""
    # Asked once: to look every address up again for every entry took half the time of a page.
    here = entry_of(request.path)
    return [
        {
            "title": group,
            "separator": bool(group),
            "items": [
                item(title, icon, link, here)
                for title, icon, link, permission in entries
                if not permission or request.user.has_perm(permission)
            ],
        }
        for group, entries in GROUPS
    ]


def item(title: str, icon: str, link: Any, here: str) -> dict[str, Any]:
    """Return one entry; pages below its address are its own."""
    active = str(link) == here
    return {"title": title, "icon": icon, "link": link, "active": lambda _: active}


def entry_of(path: str) -> str:
    """Return the address of the entry that a page belongs to: of those above it the longest."""
    index = reverse("admin:index")
    above = (
        address
        for _, entries in GROUPS
        for _, _, link, _ in entries
        if path == (address := str(link)) or (address != index and path.startswith(address))
    )
    return max(above, key=len, default="")


def search(request: HttpRequest, term: str) -> list[SearchResult]:
    """Return what the command search finds for a term: by name, by id or by its beginning."""
    if "\0" in term:
        return []
    return [
        *traces(request),
        *offers(request, term),
        *bots(request, term),
        *agents(request, term),
        *trades(request),
        *agent_rows(request),
        *runs(request),
        *instruments(request, term),
        *alerts(request, term),
    ]


def offers(request: HttpRequest, term: str) -> Iterator[SearchResult]:
    """Yield what can be done, found by its name."""
    if ADD_SYMBOL.startswith(term.lower().strip()) and request.user.has_perm(
        "analysis.add_analysis"
    ):
        link = reverse("admin:analysis_analysis_add_symbol")
        yield SearchResult("Add a symbol", "Try strategies out on it", link, "add_circle")


def bots(request: HttpRequest, term: str) -> Iterator[SearchResult]:
    """Yield the bots whose name holds what was typed."""
    if request.user.has_perm("bots.view_botinstance"):
        found = BotInstance.objects.filter(id__icontains=term).order_by("id")
        for bot in found.only("id", "type", "status")[:MOST_FOUND]:
            link = reverse("admin:bots_botinstance_change", args=[quote(bot.pk)])
            why = f"{bot.get_type_display()} bot, {bot.get_status_display().lower()}"
            yield SearchResult(bot.pk, why, link, "smart_toy")


def agents(request: HttpRequest, term: str) -> Iterator[SearchResult]:
    """Yield the agents whose name holds what was typed."""
    if request.user.has_perm("agents.view_tradingagent"):
        found = TradingAgent.objects.filter(name__icontains=term).order_by("name", "pk")
        for agent in found.only("name", "llm_model", "mode")[:MOST_FOUND]:
            link = reverse("admin:agents_tradingagent_change", args=[agent.pk])
            why = f"{agent.get_mode_display()} agent, asks {agent.llm_model}"
            yield SearchResult(agent.name, why, link, "psychology")


def ids_typed(request: HttpRequest) -> tuple[uuid.UUID, uuid.UUID] | None:
    """Return the first and the last UUID that begin with what was typed, if any can."""
    given = request.GET.get("s", "").strip().replace("-", "").lower()
    if not BEGINS_AN_ID.fullmatch(given):
        return None
    return uuid.UUID(given.ljust(ID_DIGITS, "0")), uuid.UUID(given.ljust(ID_DIGITS, "f"))


# What agents leave is found by its id: its model, what it is called, its sign.
OF_AGENTS = (
    (AgentTrade, "Agent trade", "currency_exchange"),
    (AgentDecision, "Decision", "rule"),
    (LLMCall, "Model call", "forum"),
)


def agent_rows(request: HttpRequest) -> Iterator[SearchResult]:
    """Yield what agents left whose id begins with what was typed."""
    ids = ids_typed(request)
    for model, called, icon in OF_AGENTS if ids else ():
        name = model._meta.model_name
        if request.user.has_perm(f"agents.view_{name}"):
            found = model._default_manager.filter(id__range=ids).order_by("id")
            for pk, agent in found.values_list("pk", "agent__name")[:MOST_FOUND]:
                link = reverse(f"admin:agents_{name}_change", args=[pk])
                yield SearchResult(str(pk), f"{called} of {agent}", link, icon)


def trades(request: HttpRequest) -> Iterator[SearchResult]:
    """Yield the trades whose id begins with what was typed; the index on it answers."""
    ids = ids_typed(request)
    if ids and request.user.has_perm("bots.view_trade"):
        found = Trade.objects.filter(id__range=ids).order_by("id")
        told = found.only("symbol", "direction", "status", "bot_id")
        for trade in told[:MOST_FOUND]:
            link = reverse("admin:bots_trade_change", args=[quote(trade.pk)])
            words = f"{trade.symbol} {trade.direction} {str(trade.pk)[:8]}"
            why = f"Trade of {trade.bot_id}, {trade.get_status_display().lower()}"
            yield SearchResult(words, why, link, "swap_horizontal_circle")


def instruments(request: HttpRequest, term: str) -> Iterator[SearchResult]:
    if request.user.has_perm("market.view_instrument"):
        for found in Instrument.objects.filter(symbol__icontains=term)[:MOST_FOUND]:
            link = reverse("admin:market_instrument_change", args=[found.pk])
            yield SearchResult(found.symbol, "Instrument", link, "monitoring")


def alerts(request: HttpRequest, term: str) -> Iterator[SearchResult]:
    if request.user.has_perm("alerts.view_alert"):
        # The theme hands the term over in small letters; names of alerts are taken as written.
        given = {term, request.GET.get("s", "").strip()}
        for found in Alert.objects.filter(alert_id__in=given)[:MOST_FOUND]:
            link = reverse("admin:alerts_alert_change", args=[found.pk])
            yield SearchResult(f"{found.symbol} {found.direction}", found.alert_id, link, "flag")


def runs(request: HttpRequest) -> Iterator[SearchResult]:
    """Yield the runs whose id begins with what was typed; the index on it answers."""
    # The theme hands the term over in small letters; ids are taken as written.
    given = request.GET.get("s", "").strip()
    if len(given) >= LEAST_TYPED and request.user.has_perm("executions.view_execution"):
        found = Execution.objects.filter(execution_id__startswith=given).order_by("execution_id")
        for run in found.only("execution_id", "execution_type", "status")[:MOST_FOUND]:
            why = f"{run.execution_type}, {run.get_status_display().lower()}"
            yield SearchResult(run.execution_id, why, run_url(run.execution_id), "play_circle")


def traces(request: HttpRequest) -> Iterator[SearchResult]:
    if not request.user.has_perm("logs.view_recentactivity"):
        return
    # The theme hands the term over in small letters; ids are taken as written.
    given = request.GET.get("s", "").strip()
    known = RecentActivity.objects.filter(correlation_id=given)
    if given and (LIKE_AN_ID.fullmatch(given) or known.exists()):
        why = "Everything with this correlation id"
        yield SearchResult(f"Trace {given}", why, trace_url(given), "account_tree")
