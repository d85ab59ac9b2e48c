"""What was logged: five tables, cut into months, whose rows share one sequence of ids."""

from __future__ import annotations

from typing import Self

from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.contrib.postgres.search import SearchQuery, SearchVectorField
from django.db import models
from django.db.models import Case, Func, Index, Q, Value, When
from django.db.models.functions import Now

from apps.logs.choices import OperationStatus, Severity
from apps.logs.domain.words import query_of
from apps.shared import fields
from apps.shared.models import CreatedModel, finite, known_choices, measured

SEQUENCE = "log_entries_id_seq"


class NextId(Func):
    """The next id of all entries."""

    function = "nextval"
    template = f"%(function)s('{SEQUENCE}')"
    output_field = models.BigIntegerField()


class LogWords(Func):
    """The words of a text as the index has them (migration 0001)."""

    function = "log_words"
    output_field = SearchVectorField()


def newest_first(*columns: str, name: str) -> Index:
    """Return the index for the newest rows of each value of ``columns``."""
    return Index(fields=[*columns, "-timestamp", "-id"], name=name)


class EntryQuerySet(models.QuerySet["LogEntry"]):
    def with_words(self, text: str) -> Self:
        """Return the rows that hold all words of ``text``, each at least as a beginning."""
        wanted = query_of(text)
        if not wanted:
            return self.none() if text.strip() else self
        words = SearchQuery(wanted, config="simple", search_type="raw")
        searched: str = self.model.SEARCHED
        # Said twice: the planner takes a beginning it does not know for 2 % of all rows and
        # would walk through them by time. Twice, it takes a rare word for rare.
        return self.alias(words=LogWords(searched)).filter(words=words).filter(words=words)


class LogEntry(CreatedModel):
    """What all entries share. An id is unique over all five tables."""

    #: The column that is searched by words.
    SEARCHED = ""

    id = models.BigIntegerField(primary_key=True, db_default=NextId(), editable=False)
    timestamp = models.DateTimeField(db_default=Now(), help_text="When it happened.")
    correlation_id = models.CharField(
        max_length=100, blank=True, default="", help_text="What it has in common with its cause."
    )
    metadata = models.JSONField(default=dict, blank=True)

    objects = EntryQuerySet.as_manager()

    class Meta:
        abstract = True


class SystemLog(LogEntry):
    """A line that a program logged."""

    SEARCHED = "message"

    level = models.CharField(max_length=10, choices=Severity, default=Severity.INFO)
    logger_name = models.CharField("logger", max_length=100)
    message = models.TextField()
    module = models.CharField(max_length=100, blank=True, default="")
    function_name = models.CharField("function", max_length=100, blank=True, default="")
    line_number = models.PositiveIntegerField("line", null=True, blank=True)
    thread_name = models.CharField("thread", max_length=100, blank=True, default="")
    process_id = models.BigIntegerField("process", null=True, blank=True)

    class Meta:
        db_table = "system_logs"
        constraints = [known_choices("level", Severity, name="system_logs_level_known")]
        indexes = [
            newest_first(name="system_logs_timestamp_idx"),
            newest_first("level", name="system_logs_level_idx"),
            newest_first("logger_name", name="system_logs_logger_idx"),
            newest_first("correlation_id", name="system_logs_correlation_idx"),
            BrinIndex(fields=["created_at"], name="system_logs_created_idx"),
            GinIndex(LogWords("message"), name="system_logs_words_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.logger_name} {self.id}"


class TradingEvent(LogEntry):
    """Something that happened in trading: a signal, an order, a strategy that was started."""

    SEARCHED = "event_type"

    event_type = models.CharField(max_length=50)
    symbol = models.CharField(max_length=50, blank=True, default="")
    side = models.CharField(max_length=10, blank=True, default="")
    quantity = fields.Size(null=True, blank=True)
    price = fields.Price(null=True, blank=True)
    order_id = models.CharField(max_length=255, blank=True, default="")
    strategy = models.CharField(max_length=50, blank=True, default="")

    class Meta:
        db_table = "trading_events"
        constraints = [
            finite("quantity", name="trading_events_quantity_finite"),
            finite("price", name="trading_events_price_finite"),
        ]
        indexes = [
            newest_first(name="trading_events_timestamp_idx"),
            newest_first("symbol", name="trading_events_symbol_idx"),
            newest_first("event_type", name="trading_events_type_idx"),
            newest_first("correlation_id", name="trading_events_correlation_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.id}"


class PerformanceLog(LogEntry):
    """One run of an operation: how long it took, and how it ended."""

    SEARCHED = "operation_name"

    operation_name = models.CharField("operation", max_length=100)
    duration_ms = fields.Ratio("duration", help_text="Milliseconds.")
    status = models.CharField(
        max_length=10, choices=OperationStatus, default=OperationStatus.SUCCESS
    )
    component = models.CharField(max_length=100, blank=True, default="")
    memory_usage_mb = fields.Ratio(
        "memory", null=True, blank=True, help_text="Resident memory at the end, MB."
    )
    cpu_usage_percent = fields.Ratio(
        "CPU", null=True, blank=True, help_text="Of one core, over the duration, percent."
    )
    severity = models.GeneratedField(
        expression=Case(
            When(status=OperationStatus.ERROR, then=Value(Severity.ERROR)),
            When(status=OperationStatus.TIMEOUT, then=Value(Severity.WARNING)),
            default=Value(Severity.INFO),
        ),
        output_field=models.CharField(max_length=10, choices=Severity),
        db_persist=True,
    )

    class Meta:
        db_table = "performance_logs"
        verbose_name = "operation"
        constraints = [
            known_choices("status", OperationStatus, name="performance_logs_status_known"),
            measured("duration_ms", name="performance_logs_duration"),
            measured("memory_usage_mb", name="performance_logs_memory"),
            measured("cpu_usage_percent", name="performance_logs_cpu"),
        ]
        indexes = [
            newest_first(name="performance_logs_timestamp_idx"),
            newest_first("severity", name="performance_logs_severity_idx"),
            newest_first("operation_name", name="performance_logs_operation_idx"),
            newest_first("component", name="performance_logs_component_idx"),
            newest_first("correlation_id", name="performance_logs_trace_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.operation_name} {self.id}"


class ErrorLog(LogEntry):
    """An error that was raised somewhere, with its traceback."""

    SEARCHED = "error_message"

    error_type = models.CharField(max_length=255)
    error_message = models.TextField(blank=True, default="")
    stack_trace = models.TextField(blank=True, default="")
    component = models.CharField(max_length=100, blank=True, default="")
    user_id = models.CharField("user", max_length=150, blank=True, default="")
    request_path = models.TextField(blank=True, default="")
    fingerprint = models.CharField(
        max_length=32, help_text="The same for errors of one type from one place."
    )

    class Meta:
        db_table = "error_logs"
        verbose_name = "error"
        indexes = [
            newest_first(name="error_logs_timestamp_idx"),
            newest_first("error_type", name="error_logs_type_idx"),
            newest_first("component", name="error_logs_component_idx"),
            newest_first("correlation_id", name="error_logs_correlation_idx"),
            newest_first("fingerprint", name="error_logs_fingerprint_idx"),
            GinIndex(LogWords("error_message"), name="error_logs_words_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.error_type} {self.id}"


class UserActionLog(LogEntry):
    """A request that somebody made, and how it was answered."""

    SEARCHED = "request_path"

    action_type = models.CharField("action", max_length=50)
    user_id = models.CharField(
        "user", max_length=150, blank=True, default="", help_text="A user, or the client of a key."
    )
    session_id = models.CharField(
        "session",
        max_length=100,
        blank=True,
        default="",
        help_text="A hash; not the session's key.",
    )
    ip_address = models.GenericIPAddressField("address", null=True, blank=True)
    user_agent = models.TextField(blank=True, default="")
    request_path = models.TextField("path", blank=True, default="")
    request_method = models.CharField("method", max_length=10, blank=True, default="")
    response_status = models.PositiveIntegerField("status", null=True, blank=True)
    duration_ms = fields.Ratio("duration", null=True, blank=True, help_text="Milliseconds.")
    severity = models.GeneratedField(
        expression=Case(
            When(response_status__gte=500, then=Value(Severity.ERROR)),
            When(response_status__gte=400, then=Value(Severity.WARNING)),
            default=Value(Severity.INFO),
        ),
        output_field=models.CharField(max_length=10, choices=Severity),
        db_persist=True,
    )

    class Meta:
        db_table = "user_action_logs"
        verbose_name = "request"
        constraints = [
            models.CheckConstraint(
                condition=Q(response_status__gte=100, response_status__lte=599),
                name="user_action_logs_status_is_http",
            ),
            measured("duration_ms", name="user_action_logs_duration"),
        ]
        indexes = [
            newest_first(name="user_action_logs_timestamp_idx"),
            newest_first("severity", name="user_action_logs_severity_idx"),
            newest_first("action_type", name="user_action_logs_type_idx"),
            newest_first("user_id", name="user_action_logs_user_idx"),
            newest_first("correlation_id", name="user_action_logs_trace_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.action_type} {self.id}"


ENTRIES: tuple[type[LogEntry], ...] = (
    SystemLog,
    TradingEvent,
    PerformanceLog,
    ErrorLog,
    UserActionLog,
)
