"""The admin's menu and what its command search finds."""

import re
import uuid
from collections.abc import Iterator
from typing import Any

from django.contrib.admin.utils import quote
from django.http import HttpRequest
from django.urls import reverse, reverse_lazy
from unfold.dataclasses import SearchResult

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

# Groups of (title, icon, address, permission it takes).
GROUPS: list[tuple[str, list[tuple[str, str, Any, str]]]] = [
    ("", [("Desk", "dashboard", reverse_lazy("admin:index"), "")]),
    (
        "Bots",
        [
            (
                "Bots",
                "smart_toy",
                reverse_lazy("admin:bots_botinstance_changelist"),
                "bots.view_botinstance",
            ),
            (
                "Trades",
                "swap_horizontal_circle",
                reverse_lazy("admin:bots_trade_changelist"),
                "bots.view_trade",
            ),
            (
                "Orders",
                "receipt_long",
                reverse_lazy("admin:bots_order_changelist"),
                "bots.view_order",
            ),
            (
                "Fills",
                "done_all",
                reverse_lazy("admin:bots_fill_changelist"),
                "bots.view_fill",
            ),
            (
                "Lots",
                "inventory_2",
                reverse_lazy("admin:bots_position_changelist"),
                "bots.view_position",
            ),
            (
                "Lot bookings",
                "menu_book",
                reverse_lazy("admin:bots_lottrade_changelist"),
                "bots.view_lottrade",
            ),
            (
                "Limits",
                "shield",
                reverse_lazy("admin:bots_tradinglimit_changelist"),
                "bots.view_tradinglimit",
            ),
            (
                "Paper portfolios",
                "account_balance_wallet",
                reverse_lazy("admin:bots_paperportfolio_changelist"),
                "bots.view_paperportfolio",
            ),
            (
                "Paper trades",
                "edit_note",
                reverse_lazy("admin:bots_papertrade_changelist"),
                "bots.view_papertrade",
            ),
            (
                "Paper performance",
                "show_chart",
                reverse_lazy("admin:bots_paperperformance_changelist"),
                "bots.view_paperperformance",
            ),
            (
                "Bot performance",
                "query_stats",
                reverse_lazy("admin:bots_botperformance_changelist"),
                "bots.view_botperformance",
            ),
            (
                "Kept states",
                "save",
                reverse_lazy("admin:bots_botstate_changelist"),
                "bots.view_botstate",
            ),
        ],
    ),
    (
        "Market",
        [
            (
                "Instruments",
                "monitoring",
                reverse_lazy("admin:market_instrument_changelist"),
                "market.view_instrument",
            ),
            (
                "Candles",
                "candlestick_chart",
                reverse_lazy("admin:market_candle_changelist"),
                "market.view_candle",
            ),
            ("Feeds", "rss_feed", reverse_lazy("admin:market_feed_changelist"), "market.view_feed"),
        ],
    ),
    (
        "Alerts",
        [
            (
                "Alerts",
                "notifications",
                reverse_lazy("admin:alerts_alert_changelist"),
                "alerts.view_alert",
            ),
            (
                "Scorecard",
                "leaderboard",
                reverse_lazy("admin:alerts_scorecard"),
                "alerts.view_alertperformance",
            ),
            (
                "Outcomes",
                "flag",
                reverse_lazy("admin:alerts_alertperformance_changelist"),
                "alerts.view_alertperformance",
            ),
            (
                "Checkpoint prices",
                "timeline",
                reverse_lazy("admin:alerts_trackedprice_changelist"),
                "alerts.view_trackedprice",
            ),
        ],
    ),
    (
        "Executions",
        [
            (
                "Runs",
                "play_circle",
                reverse_lazy("admin:executions_execution_changelist"),
                "executions.view_execution",
            ),
            (
                "Steps",
                "checklist",
                reverse_lazy("admin:executions_executionstep_changelist"),
                "executions.view_executionstep",
            ),
        ],
    ),
    (
        "Analysis",
        [
            (
                "Analyses",
                "leaderboard",
                reverse_lazy("admin:analysis_analysis_changelist"),
                "analysis.view_analysis",
            ),
            (
                "Add a symbol",
                "add_circle",
                reverse_lazy("admin:analysis_analysis_add_symbol"),
                "analysis.add_analysis",
            ),
            (
                "Strategies",
                "tune",
                reverse_lazy("admin:analysis_strategyconfiguration_changelist"),
                "analysis.view_strategyconfiguration",
            ),
            (
                "Leverage",
                "stacked_bar_chart",
                reverse_lazy("admin:analysis_leveragecalculation_changelist"),
                "analysis.view_leveragecalculation",
            ),
            (
                "Figures",
                "functions",
                reverse_lazy("admin:analysis_backtestmetric_changelist"),
                "analysis.view_backtestmetric",
            ),
            (
                "Backtests outside",
                "science",
                reverse_lazy("admin:analysis_backtestresult_changelist"),
                "analysis.view_backtestresult",
            ),
            (
                "Signals in backtests",
                "insights",
                reverse_lazy("admin:analysis_signalperformance_changelist"),
                "analysis.view_signalperformance",
            ),
        ],
    ),
    (
        "Models",
        [
            (
                "Models",
                "model_training",
                reverse_lazy("admin:analysis_mlmodel_changelist"),
                "analysis.view_mlmodel",
            ),
            (
                "Model scorecard",
                "social_leaderboard",
                reverse_lazy("admin:analysis_scorecard"),
                "analysis.view_modeloutcome",
            ),
            (
                "Predictions",
                "online_prediction",
                reverse_lazy("admin:analysis_prediction_changelist"),
                "analysis.view_prediction",
            ),
            (
                "Model signals",
                "sensors",
                reverse_lazy("admin:analysis_modelsignal_changelist"),
                "analysis.view_modelsignal",
            ),
            (
                "Model outcomes",
                "sports_score",
                reverse_lazy("admin:analysis_modeloutcome_changelist"),
                "analysis.view_modeloutcome",
            ),
            (
                "Feature importance",
                "bar_chart",
                reverse_lazy("admin:analysis_featureimportance_changelist"),
                "analysis.view_featureimportance",
            ),
            (
                "Status changes",
                "published_with_changes",
                reverse_lazy("admin:analysis_modelstatuschange_changelist"),
                "analysis.view_modelstatuschange",
            ),
        ],
    ),
    (
        "Logs",
        [
            (
                "Activity",
                "history",
                reverse_lazy("admin:logs_recentactivity_changelist"),
                "logs.view_recentactivity",
            ),
            (
                "System logs",
                "notes",
                reverse_lazy("admin:logs_systemlog_changelist"),
                "logs.view_systemlog",
            ),
            (
                "Trading events",
                "swap_horiz",
                reverse_lazy("admin:logs_tradingevent_changelist"),
                "logs.view_tradingevent",
            ),
            (
                "Operations",
                "speed",
                reverse_lazy("admin:logs_performancelog_changelist"),
                "logs.view_performancelog",
            ),
            (
                "Errors",
                "error",
                reverse_lazy("admin:logs_errorlog_changelist"),
                "logs.view_errorlog",
            ),
            (
                "Error groups",
                "bug_report",
                reverse_lazy("admin:logs_errorgroup_changelist"),
                "logs.view_errorgroup",
            ),
            (
                "Requests",
                "http",
                reverse_lazy("admin:logs_useractionlog_changelist"),
                "logs.view_useractionlog",
            ),
            (
                "Notifications",
                "campaign",
                reverse_lazy("admin:logs_notification_changelist"),
                "logs.view_notification",
            ),
            (
                "Trace",
                "account_tree",
                reverse_lazy("trace-search"),
                "logs.view_recentactivity",
            ),
        ],
    ),
    (
        "Access",
        [
            (
                "API keys",
                "key",
                reverse_lazy("admin:access_apikey_changelist"),
                "access.view_apikey",
            ),
            ("Users", "person", reverse_lazy("admin:auth_user_changelist"), "auth.view_user"),
            ("Roles", "group", reverse_lazy("admin:auth_group_changelist"), "auth.view_group"),
            (
                "Failed logins",
                "lock",
                reverse_lazy("admin:axes_accessattempt_changelist"),
                "axes.view_accessattempt",
            ),
        ],
    ),
    (
        "System",
        [
            (
                "Schedule",
                "schedule",
                reverse_lazy("admin:django_celery_beat_periodictask_changelist"),
                "django_celery_beat.view_periodictask",
            ),
            ("API documentation", "api", reverse_lazy("api-docs"), ""),
        ],
    ),
]


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the menu as the viewer may see it."""
    return [
        {
            "title": group,
            "separator": bool(group),
            "items": [
                item(request, title, icon, link)
                for title, icon, link, permission in entries
                if not permission or request.user.has_perm(permission)
            ],
        }
        for group, entries in GROUPS
    ]


def item(request: HttpRequest, title: str, icon: str, link: Any) -> dict[str, Any]:
    """Return one entry; pages below its address are its own."""
    active = str(link) == entry_of(request.path)
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
        *trades(request),
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


def trades(request: HttpRequest) -> Iterator[SearchResult]:
    """Yield the trades whose id begins with what was typed; the index on it answers."""
    given = request.GET.get("s", "").strip().replace("-", "").lower()
    if BEGINS_AN_ID.fullmatch(given) and request.user.has_perm("bots.view_trade"):
        first, last = (uuid.UUID(given.ljust(ID_DIGITS, filler)) for filler in "0f")
        found = Trade.objects.filter(id__gte=first, id__lte=last).order_by("id")
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
