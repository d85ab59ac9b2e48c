"""Errors that are one and the same: how often they come, and what staff decided about them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.db import connection
from django.db.models.functions import Left
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from apps.logs.admin.entries import NOT_TOLD, folded_trace
from apps.logs.admin.links import trace_link
from apps.logs.choices import COLORS, ErrorState
from apps.logs.models import ErrorGroup, ErrorLog
from apps.logs.services import errors
from apps.shared import display
from apps.shared.admin import DerivedAdmin
from apps.shared.admin.reads import counts_in_slots
from apps.shared.admin.steps import Step, StepsMixin

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HOURS, DAYS = 24, 14
# A flood of one error costs no more than this in each hour or day.
MOST_IN_HOUR, MOST_IN_DAY = 1_000, 10_000
NEWEST = 20
MESSAGE_READ = 300

BY_HOUR = """
SELECT wanted.fingerprint, slot.place, count(*)
FROM unnest(%(fingerprints)s::text[]) AS wanted(fingerprint)
CROSS JOIN unnest(%(starts)s::timestamptz[]) WITH ORDINALITY AS slot(start, place)
CROSS JOIN LATERAL (
    SELECT FROM error_logs
    WHERE error_logs.fingerprint = wanted.fingerprint
        AND timestamp >= slot.start AND timestamp < slot.start + interval '1 hour'
    LIMIT %(most)s
) AS seen
GROUP BY 1, 2
"""


def slots(now: datetime, step: timedelta, count: int) -> list[datetime]:
    """Return the starts of the last ``count`` whole slots, the running one among them."""
    newest = now.replace(minute=0, second=0, microsecond=0)
    if step == DAY:
        newest = newest.replace(hour=0)
    return [newest - back * step for back in range(count - 1, -1, -1)]


def counts_by_hour(fingerprints: Sequence[str], now: datetime) -> dict[str, list[int]]:
    """Return how often each error came in each of the last hours: one query for all of them."""
    starts = slots(now, HOUR, HOURS)
    found = {each: [0] * HOURS for each in fingerprints}
    wanted: dict[str, Any] = {"fingerprints": list(found), "starts": starts, "most": MOST_IN_HOUR}
    with connection.cursor() as cursor:
        cursor.execute(BY_HOUR, wanted)
        for fingerprint, place, count in cursor.fetchall():
            found[fingerprint][place - 1] = count
    return found


def times(count: int, most: int) -> str:
    """Return a count that may have been cut short, in words."""
    return f"{count:,} or more" if count >= most else f"{count:,}"


def is_open(group: ErrorGroup) -> bool:
    return group.state in (ErrorState.NEW, ErrorState.REGRESSED)


def seen_line(error: ErrorLog) -> dict[str, Any]:
    """Return what the page of a group tells of one error."""
    url = reverse("admin:logs_errorlog_change", args=[error.pk])
    words = display.short_text(error.__dict__["words"], "It came without a message.")
    return {
        "timestamp": error.timestamp,
        "message": display.link(url, words),
        "component": display.text(error.component, NOT_TOLD),
        "trace": trace_link(error.correlation_id),
    }


@admin.register(ErrorGroup)
class ErrorGroupAdmin(StepsMixin, DerivedAdmin):
    list_display = [
        "error_type", "culprit", "state", "count", "last_day", "last_seen", "first_seen", "message",
    ]  # fmt: skip
    list_filter = ["last_seen", "state", "error_type", "component"]
    search_fields = ["=error_type", "=component", "=fingerprint"]
    time = "last_seen"
    sortable_by = ["last_seen"]
    colors = COLORS
    empty_hint = "An error that a program reports, or that Blotter logs, is counted here."
    empty_reasons = {
        "culprit": "No frame of our own code in its stack trace.",
        "message": "It came without a message.",
        "component": NOT_TOLD,
        "state_changed_at": "Nobody decided about it yet.",
        "state_changed_by": "Nobody decided about it yet.",
    }
    page_template = "admin/logs/error_group.html"
    groups = [
        ("Error", ["error_type", "culprit", "component", "fingerprint"]),
        ("State", ["state", "state_changed_by", "state_changed_at"]),
        ("Seen", ["count", "first_seen", "last_seen"]),
    ]
    steps = [
        Step("resolve", "Resolve", "resolved; it is called regressed when it comes again",
             errors.resolve, lambda group: group.state != ErrorState.RESOLVED),
        Step("mute", "Mute", "muted; it calls nobody, however often it comes",
             errors.mute, is_open),
        Step("reopen", "Reopen", "reopened", errors.reopen, lambda group: not is_open(group)),
    ]  # fmt: skip

    def prepare_rows(self, rows: Sequence[ErrorGroup]) -> None:
        counts = counts_by_hour([row.fingerprint for row in rows], timezone.now()) if rows else {}
        for row in rows:
            row.by_hour = counts[row.fingerprint]  # type: ignore[attr-defined]

    @admin.display(description="Last 24 h")
    def last_day(self, obj: Any) -> SafeString:
        seen = sum(obj.by_hour)
        if not seen:
            return display.empty("It did not come in the last 24 hours.")
        return display.sparkline(obj.by_hour, f"{times(seen, MOST_IN_HOUR)} in the last 24 hours")

    def page_title(self, obj: ErrorGroup) -> str:
        return obj.error_type

    def page_badges(self, obj: ErrorGroup) -> list[SafeString]:
        state = ErrorState(obj.state)
        return [display.badge(state.label, COLORS[state])]

    def page_context(self, request: HttpRequest, obj: ErrorGroup) -> dict[str, Any]:
        own = ErrorLog.objects.filter(fingerprint=obj.fingerprint)
        starts = slots(timezone.now(), DAY, DAYS)
        days = counts_in_slots(own, "timestamp", starts=starts, step=DAY, most=MOST_IN_DAY)
        seen = list(
            own.order_by("-timestamp", "-id")
            .defer("error_message", "stack_trace", "metadata", "request_path")
            .annotate(words=Left("error_message", MESSAGE_READ))[:NEWEST]
        )
        titles = [
            f"{start:%Y-%m-%d}: {times(count, MOST_IN_DAY)}"
            for start, count in zip(starts, days, strict=True)
        ]
        return super().page_context(request, obj) | {
            "sparkline": display.sparkline(
                days, f"{sum(days):,} in the last {DAYS} days (UTC)", titles
            ),
            "first_day": starts[0],
            "seen": [seen_line(each) for each in seen],
            "message": display.block(obj.message, "It came without a message."),
            # Read by itself: of the others it is not read at all.
            "stack_trace": folded_trace(seen[0].stack_trace) if seen else None,
        }
