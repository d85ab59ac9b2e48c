"""What programs write and read of what happened, table by table."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from apps.logs.api import rows
from apps.logs.domain.levels import severity_of
from apps.logs.models import (
    ErrorLog,
    LogEntry,
    PerformanceLog,
    SystemLog,
    TradingEvent,
    UserActionLog,
)
from apps.logs.services.entries import complete, store_complete
from apps.shared.api.appending import AppendedViewSet
from apps.shared.api.filters import ANY_OF, RANGE, Narrowing
from apps.shared.correlation import correlation_id


def with_words(entries: Any, text: str) -> Any:
    """Return the entries of an indexed table that hold all words of ``text``."""
    return entries.with_words(text)


WORDS = Narrowing(with_words, "Holds all of these words, each at least as a beginning.")


class EntryViewSet(AppendedViewSet):
    """What all entries share: stored as they come, many at once, none of them ever changed."""

    bulk = True
    throttle_scope = "logs"
    ordering_fields = ["timestamp"]
    entry: ClassVar[type[LogEntry]]
    received: datetime
    cause: str

    def create(self, request: Request) -> HttpResponse:
        # Once for all rows, and not in the thread that reads ahead: it knows no request.
        self.received = timezone.now()
        self.cause = correlation_id.get()
        return super().create(request)

    def prepare(self, rows: Sequence[rows.EntryRow]) -> list[Any]:
        """Complete and clean the rows."""
        return list(complete(self.entry, map(self.values, rows), now=self.received))

    def values(self, row: rows.EntryRow) -> dict[str, Any]:
        """Return the values of a row by the name of their column."""
        found = {name: getattr(row, name) for name in row.__struct_fields__}
        if not row.correlation_id:
            found["correlation_id"] = self.cause
        return found

    def append(self, rows: Any) -> Sequence[int]:
        return store_complete(model=self.entry, rows=rows, now=self.received)


class SystemLogViewSet(EntryViewSet):
    """Lines that programs logged."""

    queryset = SystemLog.objects.all()
    entry = SystemLog
    row = rows.SystemLogRow
    fields = [
        "id",
        "timestamp",
        "level",
        "logger_name",
        "message",
        "module",
        "function_name",
        "line_number",
        "thread_name",
        "process_id",
        "correlation_id",
        "metadata",
        "created_at",
    ]
    filterset_fields = {
        "timestamp": RANGE,
        "level": ANY_OF,
        "logger_name": ANY_OF,
        "correlation_id": ANY_OF,
        "words": WORDS,
    }

    def values(self, row: Any) -> dict[str, Any]:
        return {**super().values(row), "level": severity_of(row.level)}


class TradingEventViewSet(EntryViewSet):
    """What happened in trading: signals, orders, strategies that were started or stopped."""

    queryset = TradingEvent.objects.all()
    entry = TradingEvent
    row = rows.TradingEventRow
    fields = [
        "id",
        "timestamp",
        "event_type",
        "symbol",
        "side",
        "quantity",
        "price",
        "order_id",
        "strategy",
        "correlation_id",
        "metadata",
        "created_at",
    ]
    filterset_fields = {
        "timestamp": RANGE,
        "event_type": ANY_OF,
        "symbol": ANY_OF,
        "side": ANY_OF,
        "order_id": ANY_OF,
        "strategy": ANY_OF,
        "quantity": RANGE,
        "price": RANGE,
        "correlation_id": ANY_OF,
    }


class PerformanceLogViewSet(EntryViewSet):
    """Runs of operations: how long they took, and how they ended."""

    queryset = PerformanceLog.objects.all()
    entry = PerformanceLog
    row = rows.PerformanceLogRow
    fields = [
        "id",
        "timestamp",
        "operation_name",
        "duration_ms",
        "status",
        "severity",
        "component",
        "memory_usage_mb",
        "cpu_usage_percent",
        "correlation_id",
        "metadata",
        "created_at",
    ]
    filterset_fields = {
        "timestamp": RANGE,
        "operation_name": ANY_OF,
        "component": ANY_OF,
        "status": ANY_OF,
        "severity": ANY_OF,
        "duration_ms": RANGE,
        "correlation_id": ANY_OF,
    }


class ErrorLogViewSet(EntryViewSet):
    """Errors that were raised somewhere, with their tracebacks."""

    queryset = ErrorLog.objects.all()
    entry = ErrorLog
    row = rows.ErrorLogRow
    fields = [
        "id",
        "timestamp",
        "error_type",
        "error_message",
        "stack_trace",
        "component",
        "user_id",
        "request_path",
        "fingerprint",
        "correlation_id",
        "metadata",
        "created_at",
    ]
    filterset_fields = {
        "timestamp": RANGE,
        "error_type": ANY_OF,
        "component": ANY_OF,
        "fingerprint": ANY_OF,
        "user_id": ANY_OF,
        "correlation_id": ANY_OF,
        "words": WORDS,
    }


class UserActionLogViewSet(EntryViewSet):
    """Requests that somebody made, and how they were answered."""

    queryset = UserActionLog.objects.all()
    entry = UserActionLog
    row = rows.UserActionLogRow
    fields = [
        "id",
        "timestamp",
        "action_type",
        "user_id",
        "session_id",
        "ip_address",
        "user_agent",
        "request_path",
        "request_method",
        "response_status",
        "duration_ms",
        "severity",
        "correlation_id",
        "metadata",
        "created_at",
    ]
    filterset_fields = {
        "timestamp": RANGE,
        "action_type": ANY_OF,
        "user_id": ANY_OF,
        "ip_address": ANY_OF,
        "request_method": ANY_OF,
        "response_status": [ANY_OF, RANGE],
        "duration_ms": RANGE,
        "severity": ANY_OF,
        "correlation_id": ANY_OF,
    }
