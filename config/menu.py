"""The admin's menu and what its command search finds."""

import re
from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest
from django.urls import reverse, reverse_lazy
from unfold.dataclasses import SearchResult

from apps.alerts.models import Alert
from apps.logs.admin.links import trace_url
from apps.logs.models import RecentActivity
from apps.market.models import Instrument

MOST_FOUND = 8
# A correlation id as most programs make them: 32 hexadecimal digits, dashes between or not.
LIKE_AN_ID = re.compile(r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")

# Groups of (title, icon, address, permission it takes).
GROUPS: list[tuple[str, list[tuple[str, str, Any, str]]]] = [
    ("", [("Desk", "dashboard", reverse_lazy("admin:index"), "")]),
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
    """Return one entry; the scorecard's address lies below that of the alerts."""
    address, scorecard = str(link), reverse("admin:alerts_scorecard")
    active = request.path == address or (
        request.path.startswith(address)
        and address != reverse("admin:index")
        and not request.path.startswith(scorecard)
    )
    return {"title": title, "icon": icon, "link": link, "active": lambda _: active}


def search(request: HttpRequest, term: str) -> list[SearchResult]:
    """Return the instruments, alerts and traces that the command search finds for a term."""
    if "\0" in term:
        return []
    return [*traces(request), *instruments(request, term), *alerts(request, term)]


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


def traces(request: HttpRequest) -> Iterator[SearchResult]:
    if not request.user.has_perm("logs.view_recentactivity"):
        return
    # The theme hands the term over in small letters; ids are taken as written.
    given = request.GET.get("s", "").strip()
    known = RecentActivity.objects.filter(correlation_id=given)
    if given and (LIKE_AN_ID.fullmatch(given) or known.exists()):
        why = "Everything with this correlation id"
        yield SearchResult(f"Trace {given}", why, trace_url(given), "account_tree")
