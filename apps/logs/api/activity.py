"""Everything that happened as one list, and everything of one cause."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from django.db.models import QuerySet
from django.http import HttpResponse
from msgspec import Meta
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.logs.api.errors import ErrorGroupViewSet
from apps.logs.api.notifications import NotificationViewSet
from apps.logs.choices import ActivitySource
from apps.logs.models import ErrorGroup, ErrorLog, Notification, RecentActivity
from apps.shared.api import filters, listing
from apps.shared.api.errors import ApiError
from apps.shared.api.filters import ANY_OF, RANGE
from apps.shared.api.negotiation import OnlyJson
from apps.shared.api.openapi import describe
from apps.shared.api.values import UNSTORABLE
from apps.shared.api.viewsets import ReadOnlyViewSet, answer

MOST_ENTRIES = 1_000
MOST_BESIDE = 100
COLUMNS = ["id", "source", "timestamp", "severity", "component", "description"]


def open_to(request: Request, rows: QuerySet[RecentActivity]) -> QuerySet[RecentActivity]:
    """Return what the caller may see: not all staff may see who asked for what."""
    if request.auth is not None or request.user.has_perm("logs.view_useractionlog"):
        return rows
    return rows.exclude(source=ActivitySource.USER_ACTION)


class ActivityViewSet(ReadOnlyViewSet):
    """Everything that happened, from all five tables, the newest first."""

    queryset = RecentActivity.objects.all()
    fields = [*COLUMNS, "correlation_id", "metadata"]
    filterset_fields = {
        "source": ANY_OF,
        "timestamp": RANGE,
        "severity": ANY_OF,
        "component": ANY_OF,
        "correlation_id": ANY_OF,
    }
    ordering_fields = ["timestamp"]

    def get_queryset(self) -> QuerySet[RecentActivity]:
        return open_to(self.request, super().get_queryset())


class TraceEntry(msgspec.Struct):
    """One thing that happened, and how long after the first one."""

    id: int
    source: str
    timestamp: datetime
    severity: str
    component: str
    description: str
    metadata: msgspec.Raw
    milliseconds: Annotated[float, Meta(description="Since the first entry.")] = 0.0


class TraceAnswer(msgspec.Struct):
    """Everything of one cause, in the order it happened."""

    correlation_id: str
    started_at: datetime | None
    truncated: Annotated[bool, Meta(description="There are more than the first 1,000 entries.")]
    entries: list[TraceEntry]
    notifications: Annotated[list[msgspec.Raw], Meta(description="As their own list shows them.")]
    error_groups: Annotated[list[msgspec.Raw], Meta(description="As their own list shows them.")]


class TraceView(APIView):
    """Everything that one cause brought about."""

    queryset = RecentActivity.objects.all()
    content_negotiation_class = OnlyJson
    metadata_class = None

    @describe(answer=TraceAnswer)
    def get(self, request: Request, correlation_id: str) -> HttpResponse:
        """Answer everything with this correlation id, in the order it happened.

        404 with the code ``nothing_traced`` where nothing is stored under it.
        """
        filters.check_known(request._request.GET, [])
        found = None if UNSTORABLE.search(correlation_id) else trace_of(request, correlation_id)
        if found is None:
            raise ApiError(404, "nothing_traced", "Nothing is stored under this correlation id.")
        return answer(found)


def trace_of(request: Request, correlation_id: str) -> TraceAnswer | None:
    """Return what there is under a correlation id, or None where there is nothing."""
    rows = open_to(request, RecentActivity.objects.trace(correlation_id))[: MOST_ENTRIES + 1]
    entries = [
        msgspec.json.decode(text, type=TraceEntry)
        for text, _, _ in listing.rows_as_json(rows, [*COLUMNS, "metadata"])
    ]
    told = Notification.objects.filter(correlation_id=correlation_id)
    notifications = raw(told.order_by("created_at", "id"), NotificationViewSet.fields)
    if not entries and not notifications:
        return None
    start = entries[0].timestamp if entries else None
    for entry in entries:
        entry.milliseconds = (entry.timestamp - entries[0].timestamp).total_seconds() * 1000
    errors = ErrorLog.objects.filter(correlation_id=correlation_id).order_by("timestamp", "id")
    fingerprints = errors.values_list("fingerprint", flat=True)[:MOST_ENTRIES]
    groups = ErrorGroup.objects.filter(fingerprint__in=set(fingerprints))
    return TraceAnswer(
        correlation_id=correlation_id,
        started_at=start,
        truncated=len(entries) > MOST_ENTRIES,
        entries=entries[:MOST_ENTRIES],
        notifications=notifications,
        error_groups=raw(groups.order_by("-last_seen", "-id"), ErrorGroupViewSet.fields),
    )


def raw(rows: QuerySet[Any], fields: Any) -> list[msgspec.Raw]:
    """Return rows as the JSON that PostgreSQL made of them."""
    found = listing.rows_as_json(rows[:MOST_BESIDE], fields)
    return [msgspec.Raw(text.encode()) for text, _, _ in found]
