"""The desk: what needs somebody now. The only place that reads all apps.

A panel is a function from ``Readings`` to what its template shows, entered in ``PANELS``;
a figure or a need is a function entered in ``config/figures.py`` or ``config/needs.py``, those
of bots, agents and the market's own work in files of their own (``config/bot_figures.py``, …).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from redis import RedisError

from apps.agents.choices import AgentMode
from apps.alerts.admin.outcomes import outcome
from apps.alerts.choices import COLORS
from apps.bots.admin.money import money_words
from apps.logs.admin.activity import open_sources
from apps.logs.admin.links import entry_url, trace_link
from apps.logs.choices import COLORS as LOG_COLORS
from apps.shared import display
from apps.shared.admin.charts import Line, bar_chart, line_chart
from config import (
    agent_figures,
    agent_needs,
    bot_figures,
    bot_needs,
    market_figures,
    market_needs,
    retention_figures,
    retention_needs,
)
from config.bot_readings import TYPES
from config.figures import FIGURES, Figure
from config.jobs import Job
from config.needs import NEEDS, Need
from config.readings import DAY, MOST_IN_HOUR, Readings

REFRESH_SECONDS = 15
# Many desks stay open: they share one reading for a few seconds.
CACHE_SECONDS = 5
TONES = {AgentMode.LIVE: "info", AgentMode.PAPER: "warning"}
MOST_NEEDS = 12
# Bots come first: what trades matters most.
ALL_FIGURES = [
    *bot_figures.FIGURES,
    *agent_figures.FIGURES,
    *FIGURES,
    *market_figures.FIGURES,
    *retention_figures.FIGURES,
]
ALL_NEEDS = [
    *bot_needs.NEEDS,
    *agent_needs.NEEDS,
    *NEEDS,
    *market_needs.NEEDS,
    *retention_needs.NEEDS,
]


@dataclass(frozen=True)
class Panel:
    """A part of the desk: its template is ``admin/desk/<name>.html``."""

    name: str
    title: str
    width: str
    permission: str
    read: Callable[[Readings], Any]


# --- Panels -------------------------------------------------------------------------------


def figures(now: Readings) -> list[tuple[str, Figure]]:
    return [(permission, read(now)) for permission, read in ALL_FIGURES]


def needs(now: Readings) -> list[tuple[str, Need]]:
    found = [(permission, need) for permission, read in ALL_NEEDS for need in read(now)]
    return sorted(found, key=lambda each: -each[1].weight)


def equity(now: Readings) -> dict[str, Any]:
    """Return what bots have realized over 30 days, live and paper each as a line of its own.

    In one currency: that of most exits, of live trades if there are any.
    """
    found = [currency for each in TYPES for currency in now.currencies_of(each)]
    currency = found[0] if found else ""
    lines, totals = [], []
    for each, tone in zip(TYPES, ("info", "warning"), strict=True):
        days = {
            day.day: day.net
            for day in now.ledger
            if day.trade_type == each and day.currency == currency
        }
        if not days:
            continue
        so_far, points = Decimal(0), [(int(now.ledger_days[0].timestamp()), 0.0)]
        for day in now.ledger_days:
            so_far += days.get(day, Decimal(0))
            end = min(day + DAY, now.at)
            points.append((int(end.timestamp()), float(so_far)))
        # At midnight a day has no length yet.
        lines.append(Line(each.label, tone, sorted(dict(points).items())))
        totals.append(f"{each.label.lower()} {money_words(so_far, signed=True)} {currency}")
    return {
        "chart": line_chart(lines) if lines else None,
        "summary": ", ".join(totals),
        "currency": currency,
        "others": sorted(set(found) - {currency}),
    }


def agents(now: Readings) -> dict[str, Any]:
    """Return what agents have realized over 30 days, real and pretended money each as a line.

    In one currency: the first one of real money, if there is any.
    """
    found = now.agents_realized
    currency = found[0].currency if found else ""
    lines, totals = [], []
    for each in found:
        if each.currency != currency:
            continue
        points = {}
        for day in now.ledger_days:
            points[int(min(day + DAY, now.at).timestamp())] = float(each.by_day[day])
        mode = AgentMode(each.mode)
        lines.append(Line(mode.label, TONES[mode], sorted(points.items())))
        last = each.by_day[now.ledger_days[-1]]
        totals.append(f"{mode.label.lower()} {money_words(last, signed=True)} {currency}")
    return {
        "chart": line_chart(lines) if lines else None,
        "summary": ", ".join(totals),
        "currency": currency,
        "others": sorted({each.currency for each in found} - {currency}),
    }


def outcomes(now: Readings) -> dict[str, Any]:
    """Return settled outcomes by strategy, the most first."""
    shown = [row for row in now.scorecard if row.total - row.open][:8]
    chart = bar_chart(
        [row.key or "no strategy" for row in shown],
        [
            ("Success", "success", [row.hits for row in shown]),
            ("No success", "danger", [row.n - row.hits for row in shown]),
            ("Undecided", "warning", [row.undecided for row in shown]),
        ],
        stacked=True,
        horizontal=True,
    )
    summary = "; ".join(f"{row.key or 'no strategy'}: {row.hits} of {row.n}" for row in shown)
    return {"chart": chart if shown else None, "summary": summary, "waiting": now.alerts_open}


def activity(now: Readings) -> dict[str, Any]:
    """Return what happened in each of the last 24 hours."""
    alerts, prices = now.alerts_by_hour, now.prices_by_hour
    lines = [
        ("Alerts raised", "info", [alerts.get(hour, 0) for hour in now.hours]),
        ("Checkpoint prices", "default", [prices.get(hour, 0) for hour in now.hours]),
        (bounded("Errors", now.errors_by_hour), "danger", now.errors_by_hour),
        (bounded("Requests", now.requests_by_hour), "success", now.requests_by_hour),
    ]
    # An hour has thousands of requests and one alert.
    chart = bar_chart([int(hour.timestamp()) for hour in now.hours], lines, logarithmic=True)
    totals = ", ".join(f"{sum(counts):,} {label.lower()}" for label, _, counts in lines)
    happened = any(sum(counts) for _, _, counts in lines)
    return {"chart": chart if happened else None, "summary": f"{totals} in 24 hours"}


def bounded(label: str, counts: list[int]) -> str:
    """Return the label of counts that went no further than they may; it says so."""
    return f"{label} ({MOST_IN_HOUR:,}+)" if MOST_IN_HOUR in counts else label


def latest(now: Readings) -> list[dict[str, Any]]:
    """Return the newest lines of the activity, each with the source that it takes to see it."""
    return [
        {
            "source": row.source,
            "label": row.get_source_display(),
            "severity": display.badge(row.get_severity_display(), LOG_COLORS[row.severity]),
            "description": display.link(
                entry_url(row.source, row.pk), display.short_text(row.words, "It has no text.")
            ),
            "component": display.text(row.component, "Not told by who sent it."),
            "timestamp": row.timestamp,
            "trace": trace_link(row.correlation_id),
        }
        for row in now.newest_activity
    ]


def newest(now: Readings) -> list[dict[str, Any]]:
    return [
        {
            "alert": alert,
            "url": reverse("admin:alerts_alert_change", args=[alert.pk]),
            "direction": display.badge(alert.get_direction_display(), COLORS[alert.direction]),
            "outcome": outcome(getattr(alert, "performance", None)),
            "performance": getattr(alert, "performance", None),
        }
        for alert in now.newest_alerts
    ]


def own_jobs(now: Readings) -> list[dict[str, Any]]:
    """Return each job of the schedule and how it fares."""
    return [
        {
            "job": job,
            "every": display.span_words(job.every),
            "state": job_state(job),
            "last_success": display.age(job.last_success, "None is known of.", now=now.at),
            "took": display.EMPTY if job.seconds is None else f"{job.seconds:.2f} s",
            "last_failure": display.age(job.last_failure, "None is known of.", now=now.at),
        }
        for job in now.jobs
    ]


def job_state(job: Job) -> SafeString:
    if job.paused:
        return display.badge("Paused", "warning")
    if job.late:
        return display.badge("Late", "danger")
    return display.badge("On time", "success") if job.last_success else display.badge("Not seen")


PANELS = [
    Panel("figures", "", "", "", figures),
    Panel("needs", "Needs attention", "b-7", "", needs),
    Panel("equity", "Realized by bots, 30 days", "b-5", "bots.view_trade", equity),
    Panel(
        "outcomes", "Outcomes by strategy, 30 days", "b-5", "alerts.view_alertperformance", outcomes
    ),
    Panel("newest", "Newest alerts", "b-7", "alerts.view_alert", newest),
    Panel("agents", "Realized by agents, 30 days", "b-5", "agents.view_agentperformance", agents),
    Panel("activity", "Last 24 hours", "b-7", "alerts.view_alert", activity),
    Panel("latest", "Latest activity", "", "logs.view_recentactivity", latest),
    Panel("jobs", "Own jobs", "", "django_celery_beat.view_periodictask", own_jobs),
]


# --- The desk as a viewer sees it ---------------------------------------------------------


def read_panels(at: datetime) -> dict[str, Any]:
    """Return what every panel shows at a moment, by its name."""
    readings = Readings(at)
    return {panel.name: panel.read(readings) for panel in PANELS} | {"read_at": at}


def shared_panels(at: datetime) -> dict[str, Any]:
    """As ``read_panels``, read at most every few seconds for all viewers together."""
    try:
        known = cache.get("desk")
        if known is None:
            known = read_panels(at)
            cache.set("desk", known, CACHE_SECONDS)
    except RedisError:
        # A cache that is away costs queries, not the desk.
        return read_panels(at)
    return known


def shortened(found: list[Need]) -> dict[str, Any]:
    return {"worst": found[:MOST_NEEDS], "more": max(len(found) - MOST_NEEDS, 0)}


def context(request: HttpRequest) -> dict[str, Any]:
    """Return the desk as far as the viewer may see it."""
    may = request.user.has_perm
    shown = shared_panels(timezone.now())
    sources = open_sources(request.user)
    allowed = {
        "figures": [each for permission, each in shown["figures"] if may(permission)],
        "needs": shortened([each for permission, each in shown["needs"] if may(permission)]),
        "latest": [line for line in shown["latest"] if line["source"] in sources],
    }
    panels = [
        {
            "name": panel.name,
            "title": panel.title,
            "width": panel.width,
            "template": f"admin/desk/{panel.name}.html",
            "shown": allowed.get(panel.name, shown[panel.name]),
        }
        for panel in PANELS
        if not panel.permission or may(panel.permission)
    ]
    return {
        "panels": panels,
        "read_at": shown["read_at"],
        "refresh_seconds": REFRESH_SECONDS,
    }


def dashboard(request: HttpRequest, shared: dict[str, Any]) -> dict[str, Any]:
    """Return the context of the admin's index: the theme's hook."""
    return shared | context(request)


@admin.site.admin_view
def fragment(request: HttpRequest) -> HttpResponse:
    """Answer with the panels alone: what the open desk fetches every few seconds."""
    return render(request, "admin/desk/panels.html", context(request))
