"""One cause and everything that came of it, in the order it happened."""

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import TextField
from django.db.models.functions import Cast, Left
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString

from apps.logs.admin.activity import open_sources
from apps.logs.admin.links import MODELS, entry_url, trace_url
from apps.logs.choices import COLORS, ActivitySource, Severity
from apps.logs.models import (
    ErrorGroup,
    ErrorLog,
    Notification,
    PerformanceLog,
    RecentActivity,
    UserActionLog,
)
from apps.shared import display
from apps.shared.correlation import ACCEPTED

MOST_LINES = 1_000
MOST_BESIDE = 20
ID_LENGTH = 100
DESCRIPTION_READ, METADATA_READ = 500, 4_000
# A bar shorter than this part of the whole could not be seen.
LEAST_WIDTH = 0.4


@dataclass(frozen=True, slots=True)
class Bar:
    """Where a line stands in the time of the whole trace, in percent."""

    left: str
    width: str


class Trace:
    """Everything with one correlation id, each part of it read once."""

    most = MOST_LINES

    def __init__(self, correlation_id: str, *, user: Any) -> None:
        self.correlation_id = correlation_id
        self.sources = open_sources(user)
        self.hides_some = len(self.sources) < len(MODELS)
        self.may = user.has_perm

    @cached_property
    def read(self) -> list[RecentActivity]:
        """Return the first lines, one more than are shown."""
        rows = RecentActivity.objects.trace(self.correlation_id)
        if self.hides_some:
            rows = rows.filter(source__in=self.sources)
        return list(
            rows.defer("description", "metadata").annotate(
                words=Left("description", DESCRIPTION_READ),
                data=Left(Cast("metadata", TextField()), METADATA_READ),
            )[: MOST_LINES + 1]
        )

    @property
    def rows(self) -> list[RecentActivity]:
        return self.read[:MOST_LINES]

    @property
    def has_more(self) -> bool:
        return len(self.read) > MOST_LINES

    @cached_property
    def durations(self) -> dict[int, Decimal]:
        """Return how long each operation and request took, in milliseconds."""
        found: dict[int, Decimal] = {}
        for source, model in (
            (ActivitySource.PERFORMANCE, PerformanceLog),
            (ActivitySource.USER_ACTION, UserActionLog),
        ):
            if not any(row.source == source for row in self.rows):
                continue
            rows = model.objects.filter(correlation_id=self.correlation_id)
            known = rows.order_by("timestamp", "id").values_list("id", "duration_ms")
            found |= {pk: took for pk, took in known[:MOST_LINES] if took is not None}
        return found

    @property
    def first(self) -> datetime:
        return self.rows[0].timestamp

    @cached_property
    def last(self) -> datetime:
        """Return when the last of it ended, as far as it is shown."""
        return max(self.end_of(row) for row in self.rows)

    def end_of(self, row: RecentActivity) -> datetime:
        took = self.durations.get(row.pk)
        return row.timestamp + timedelta(milliseconds=float(took)) if took else row.timestamp

    @property
    def span(self) -> str:
        return display.duration_words(milliseconds(self.last - self.first))

    @property
    def severities(self) -> list[SafeString]:
        """Return how many lines there are of each severity, the worst first."""
        counted = Counter(row.severity for row in self.rows)
        return [
            display.badge(f"{counted[severity]:,} {severity.label}", COLORS[severity])
            for severity in reversed(Severity)
            if counted[severity]
        ]

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [self.line(row) for row in self.rows]

    def line(self, row: RecentActivity) -> dict[str, Any]:
        words, data = row.__dict__["words"], row.__dict__["data"]
        took = self.durations.get(row.pk)
        return {
            "since": f"{milliseconds(row.timestamp - self.first):,.1f}",
            "timestamp": row.timestamp,
            "source": display.badge(row.get_source_display()),
            "severity": display.badge(row.get_severity_display(), COLORS[row.severity]),
            "component": display.text(row.component, "Not told by who sent it."),
            "words": display.visible(words) + ("…" if len(words) == DESCRIPTION_READ else ""),
            "url": entry_url(row.source, row.pk),
            "metadata": folded_metadata(data),
            "took": display.milliseconds(took) if took is not None else "",
            "bar": self.bar(row),
            "tone": COLORS[row.severity],
        }

    def bar(self, row: RecentActivity) -> Bar:
        whole = max((self.last - self.first).total_seconds(), 0.000_001)
        left = (row.timestamp - self.first).total_seconds() / whole * 100
        width = (self.end_of(row) - row.timestamp).total_seconds() / whole * 100
        width = min(max(width, LEAST_WIDTH), 100)
        return Bar(f"{min(left, 100 - width):.3f}", f"{width:.3f}")

    @cached_property
    def groups(self) -> list[tuple[ErrorGroup, SafeString]]:
        """Return the groups of the errors in this trace, each with its state."""
        if not self.may("logs.view_errorgroup"):
            return []
        errors = ErrorLog.objects.filter(correlation_id=self.correlation_id)
        named = errors.order_by("timestamp", "id").values("fingerprint")[:MOST_LINES]
        groups = ErrorGroup.objects.filter(fingerprint__in=named).order_by("-last_seen")
        return [
            (group, display.badge(group.get_state_display(), COLORS[group.state]))
            for group in groups[:MOST_BESIDE]
        ]

    @cached_property
    def notifications(self) -> list[tuple[Notification, SafeString]]:
        if not self.may("logs.view_notification"):
            return []
        told = Notification.objects.filter(correlation_id=self.correlation_id)
        return [
            (each, display.badge(each.get_level_display(), COLORS[each.level]))
            for each in told.order_by("created_at", "id")[:MOST_BESIDE]
        ]


def milliseconds(span: timedelta) -> Decimal:
    return Decimal(span // timedelta(microseconds=1)) / 1000


def folded_metadata(text: str) -> SafeString | str:
    """Return metadata behind its names, nothing where there is none.

    What was too long to be read whole is shown as far as it was.
    """
    if text in ("{}", "null", ""):
        return ""
    try:
        known = json.loads(text)
    except ValueError:
        return display.folded("metadata, its beginning", f"{text}…")
    names = ", ".join(map(str, known)) if isinstance(known, dict) else "metadata"
    pretty = json.dumps(known, indent=2, ensure_ascii=False)
    return display.folded(names[:80], pretty)


@admin.site.admin_view
def trace_page(request: HttpRequest, correlation_id: str = "") -> HttpResponse:
    """Answer with the trace of an id, or with the form that asks for one."""
    if not request.user.has_perm("logs.view_recentactivity"):
        raise PermissionDenied
    asked = (correlation_id or request.GET.get("id", "")).strip().replace("\0", "")[:ID_LENGTH]
    if not correlation_id and ACCEPTED.fullmatch(asked):
        return HttpResponseRedirect(trace_url(asked))
    context = {
        **admin.site.each_context(request),
        "title": "Trace",
        "asked": asked,
        "trace": Trace(asked, user=request.user) if asked else None,
    }
    request.current_app = admin.site.name
    return TemplateResponse(request, "admin/logs/trace.html", context)
