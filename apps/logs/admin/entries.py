"""The five kinds of entries in the admin: read only, newest first, text shown as text."""

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from apps.logs.admin.links import trace_link
from apps.logs.choices import COLORS, Severity
from apps.logs.domain.failures import culprit_of
from apps.logs.models import (
    ErrorGroup,
    ErrorLog,
    LogEntry,
    PerformanceLog,
    SystemLog,
    TradingEvent,
    UserActionLog,
)
from apps.shared import display
from apps.shared.admin import FactAdmin
from apps.shared.admin.filters import TextFilter
from apps.shared.admin.lists import SEARCH_LIMIT

# Ids are all different: to suggest them while one types would help nobody.
CORRELATION = ("correlation_id", TextFilter)
NOT_TOLD = "Not told by who sent it."


def status_badge(status: int | None, reason: str = "") -> SafeString:
    """Return how a request was answered, in the color of its class."""
    if status is None:
        return display.empty(reason)
    tone = "danger" if status >= 500 else "warning" if status >= 400 else "success"
    return display.badge(str(status), tone)


def megabytes(value: Decimal | None, reason: str = "") -> SafeString:
    return display.empty(reason, figure=True) if value is None else with_unit(value, "MB")


def percent(value: Decimal | None, reason: str = "") -> SafeString:
    return display.empty(reason, figure=True) if value is None else with_unit(value, "%")


def with_unit(value: Decimal, unit: str) -> SafeString:
    return display.figure(f"{display.grouped(value)} {unit}")


class LogEntryAdmin(FactAdmin):
    """What the five share: the last day, newest first, words in the texts, links to the trace."""

    time = "timestamp"
    default_period = "day"
    sortable_by = ["timestamp"]
    colors = COLORS
    shows = {
        "correlation_id": trace_link,
        "duration_ms": display.milliseconds,
        "memory_usage_mb": megabytes,
        "cpu_usage_percent": percent,
        "response_status": status_badge,
        # Numbers that name something: nobody counts in them.
        "line_number": display.text,
        "process_id": display.text,
    }
    titles = {"correlation_id": "Trace"}
    empty_hint = "Programs send them to POST /api/v1/logs/ with a key."
    page_template = "admin/logs/entry.html"
    #: Whether the search looks for words by their index, not for a value as it stands.
    by_words = False
    #: The texts that the page shows whole, above everything else.
    texts: list[tuple[str, str]] = []

    def get_default_period(self, request: HttpRequest) -> str:
        # An id that was named is found at once, however long ago it was.
        named = request.GET.get("correlation_id") or request.GET.get("fingerprint")
        return "all" if named else super().get_default_period(request)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        if self.by_words:
            return queryset.with_words(search_term[:SEARCH_LIMIT]), False  # type: ignore[attr-defined]
        return super().get_search_results(request, queryset, search_term)

    def page_badges(self, obj: LogEntry) -> list[SafeString]:
        severity = Severity(self.severity_of(obj))
        shown = [display.badge(severity.label, COLORS[severity]), display.age(obj.timestamp)]
        return [*shown, trace_link(obj.correlation_id)] if obj.correlation_id else shown

    def severity_of(self, obj: Any) -> str:
        return str(obj.severity)

    def page_context(self, request: HttpRequest, obj: LogEntry) -> dict[str, Any]:
        texts = [
            {"title": title, "shown": display.block(getattr(obj, name), "It has no text.")}
            for title, name in self.texts
        ]
        return {"texts": texts, "metadata": obj.metadata and display.raw_json(obj.metadata)}

    def page_row(self, name: str, obj: Any) -> dict[str, Any]:
        row = super().page_row(name, obj)
        if name == "timestamp":
            row["value"] = display.exact_moment(obj.timestamp)
        if name == "correlation_id" and obj.correlation_id:
            row["value"] = trace_link(obj.correlation_id, whole=True)
        return row


@admin.register(SystemLog)
class SystemLogAdmin(LogEntryAdmin):
    list_display = ["level", "message", "logger_name", "timestamp", "correlation_id"]
    list_display_links = ["message"]
    list_filter = ["timestamp", "level", "logger_name", CORRELATION]
    search_fields = ["message"]
    search_help_text = "Words in the message, each at least as a beginning"
    by_words = True
    texts = [("Message", "message")]
    groups = [
        ("Line", ["timestamp", "level", "logger_name", "correlation_id"]),
        ("Place", ["module", "function_name", "line_number", "thread_name", "process_id"]),
    ]
    empty_reasons = dict.fromkeys(
        ["module", "function_name", "line_number", "thread_name", "process_id"], NOT_TOLD
    )

    def severity_of(self, obj: SystemLog) -> str:
        return obj.level

    def page_title(self, obj: SystemLog) -> str:
        return obj.logger_name


@admin.register(TradingEvent)
class TradingEventAdmin(LogEntryAdmin):
    list_display = [
        "event_type", "symbol", "side", "quantity", "price", "strategy", "order_id", "timestamp",
        "correlation_id",
    ]  # fmt: skip
    list_filter = ["timestamp", "event_type", "symbol", CORRELATION]
    search_fields = ["=symbol", "=event_type", "=correlation_id"]
    groups = [
        ("Event", ["timestamp", "event_type", "symbol", "side", "quantity", "price"]),
        ("Cause", ["strategy", "order_id", "correlation_id"]),
    ]
    empty_reasons = dict.fromkeys(
        ["symbol", "side", "quantity", "price", "strategy", "order_id"], "Not part of this event."
    )

    def severity_of(self, obj: TradingEvent) -> str:
        return Severity.INFO

    def page_title(self, obj: TradingEvent) -> str:
        return f"{obj.event_type} {obj.symbol}".strip()


@admin.register(PerformanceLog)
class PerformanceLogAdmin(LogEntryAdmin):
    list_display = [
        "operation_name", "status", "duration_ms", "component", "memory_usage_mb",
        "cpu_usage_percent", "timestamp", "correlation_id",
    ]  # fmt: skip
    list_filter = ["timestamp", "severity", "operation_name", "component", CORRELATION]
    search_fields = ["=operation_name", "=component", "=correlation_id"]
    groups = [
        ("Operation", ["timestamp", "operation_name", "component", "status", "correlation_id"]),
        ("Cost", ["duration_ms", "memory_usage_mb", "cpu_usage_percent"]),
    ]
    empty_reasons = dict.fromkeys(["component", "memory_usage_mb", "cpu_usage_percent"], NOT_TOLD)

    def page_title(self, obj: PerformanceLog) -> str:
        return obj.operation_name


@admin.register(ErrorLog)
class ErrorLogAdmin(LogEntryAdmin):
    list_display = [
        "error_type", "error_message", "component", "user_id", "timestamp", "correlation_id",
    ]  # fmt: skip
    list_display_links = ["error_type", "error_message"]
    list_filter = [
        "timestamp", "error_type", "component", ("fingerprint", TextFilter), CORRELATION,
    ]  # fmt: skip
    search_fields = ["error_message"]
    search_help_text = "Words in the message, each at least as a beginning"
    by_words = True
    texts = [("Message", "error_message")]
    groups = [
        ("Error", ["timestamp", "error_type", "component", "group", "correlation_id"]),
        ("Request", ["user_id", "request_path"]),
    ]
    empty_reasons = {
        "error_message": "It came without a message.",
        "component": NOT_TOLD,
        "user_id": "No user, or not told.",
        "request_path": "Not in a request, or not told.",
    }

    def severity_of(self, obj: ErrorLog) -> str:
        return Severity.ERROR

    def page_title(self, obj: ErrorLog) -> str:
        return obj.error_type

    @admin.display(description="All of this kind")
    def group(self, obj: ErrorLog) -> SafeString:
        found = ErrorGroup.objects.filter(fingerprint=obj.fingerprint).first()
        if found is None:
            return display.empty("It is counted to no group.")
        url = reverse("admin:logs_errorgroup_change", args=[found.pk])
        return display.link(url, f"{found.error_type}, {found.count:,} times")

    def page_context(self, request: HttpRequest, obj: LogEntry) -> dict[str, Any]:
        trace = folded_trace(getattr(obj, "stack_trace", ""))
        return super().page_context(request, obj) | {"stack_trace": trace}


def folded_trace(stack_trace: str) -> SafeString | None:
    """Return a traceback folded behind its innermost own frame, ``None`` without one."""
    if not stack_trace:
        return None
    culprit = culprit_of(stack_trace)
    summary = f"{culprit.path} in {culprit.function}" if culprit else "No frame of our own code"
    return display.folded(summary, stack_trace)


@admin.register(UserActionLog)
class UserActionLogAdmin(LogEntryAdmin):
    list_display = [
        "request_path", "request_method", "response_status", "duration_ms", "user_id",
        "action_type", "timestamp", "correlation_id",
    ]  # fmt: skip
    list_filter = ["timestamp", "severity", "action_type", "user_id", CORRELATION]
    search_fields = ["=user_id", "=action_type", "=correlation_id"]
    groups = [
        ("Request", ["timestamp", "request_method", "request_path", "response_status",
                     "duration_ms", "action_type", "correlation_id"]),
        ("Who", ["user_id", "ip_address", "user_agent", "session_id"]),
    ]  # fmt: skip
    empty_reasons = {
        "request_path": NOT_TOLD,
        "request_method": NOT_TOLD,
        "response_status": NOT_TOLD,
        "duration_ms": NOT_TOLD,
        "user_id": "Nobody was logged in.",
        "session_id": "No session.",
        "ip_address": NOT_TOLD,
        "user_agent": NOT_TOLD,
    }
    empty_hint = "Each request to Blotter is one of these; programs send theirs to the API."

    def page_title(self, obj: UserActionLog) -> str:
        return f"{obj.request_method} {obj.request_path[:200]}".strip() or obj.action_type
