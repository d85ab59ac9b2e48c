"""Runs in the admin: a list that scans well, and the page that shows one while it runs."""

from datetime import timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter

from apps.executions.admin import shown
from apps.executions.admin.pages import RunStory
from apps.executions.choices import COLORS, ExecutionStatus, Health
from apps.executions.domain.states import FINAL
from apps.executions.models import Execution
from apps.executions.services.runs import request_cancel, retry
from apps.shared import display
from apps.shared.admin import EntityAdmin
from apps.shared.admin.lists import SEARCH_LIMIT
from apps.shared.admin.live import LiveMixin
from apps.shared.admin.steps import Step, StepsMixin

CANCEL_ASKS = (
    "One that waits ends at once. One that runs is asked to stop, and ends when it has seen that;"
    " what it has done stays. A run that has been called off is not taken up again."
)
RETRY_ASKS = (
    "Each is started anew as a run of its own, with the same steps and parameters. One of our own"
    " begins as soon as a worker is free; one of a program outside waits until that takes it up."
)


class HealthFilter(DropdownFilter):
    """What is wrong with runs, asked so that an index on their state answers."""

    title = "health"
    parameter_name = "health"
    within = {
        Health.STUCK: [ExecutionStatus.RUNNING],
        Health.LOST: [ExecutionStatus.FAILED],
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(health.value, str(health.label)) for health in self.within]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() not in set(self.within):
            return queryset
        health = Health(self.value())
        return queryset.filter(health=health, status__in=self.within[health])

    def chips(self) -> list[tuple[str, list[str]]]:
        words = dict(self.lookup_choices).get(self.value() or "")
        return [(str(words), [self.parameter_name])] if words else []


@admin.register(Execution)
class ExecutionAdmin(LiveMixin, StepsMixin, EntityAdmin):
    list_display = [
        "short_id", "execution_type", "symbol", "state", "progress", "took", "triggered_by",
        "created_at",
    ]  # fmt: skip
    list_filter = [
        "created_at", "status", HealthFilter, "execution_type", "symbol", "timestamp_end",
    ]  # fmt: skip
    search_fields = ["=execution_id", "=symbol", "=execution_type"]
    search_help_text = "Exact id, symbol or type"
    large_table = True
    time = "created_at"
    ordering = ["-created_at", "-execution_id"]
    sortable_by = ["created_at"]
    colors = COLORS
    titles = {"triggered_by": "By", "created_at": "Created"}
    shows = {
        "timestamp_start": display.exact_moment,
        "timestamp_end": display.exact_moment,
    }
    empty_hint = "Programs tell of their runs by POST /api/v1/executions/executions/ with a key."
    empty_reasons = {
        "symbol": "It is about no symbol, or about several.",
        "triggered_by": shown.NOT_TOLD,
        "server_id": shown.NOT_TOLD,
        "version": shown.NOT_TOLD,
        "runner": "It is the run of a program outside.",
        "reported_status": "It has not told of an end.",
        "timestamp_start": shown.NOT_BEGUN,
        "timestamp_end": "It is not over.",
        "heartbeat_at": "It has not been heard of since it was announced.",
        "progressed_at": "No progress has been seen.",
        "metadata": "Nothing was sent along.",
    }
    page_template = "admin/executions/run.html"
    groups = [
        ("Run", ["execution_id", "execution_type", "symbol", "all_symbols",
                 "triggered_by", "server_id", "version", "runner"]),
        ("Times", ["created_at", "timestamp_start", "timestamp_end", "took", "heartbeat_at",
                   "lease", "progressed_at", "longest_pause", "reported_status"]),
        ("Sent along", ["metadata"]),
    ]  # fmt: skip
    steps = [
        Step("cancel", "Cancel", "asked to end", request_cancel,
             lambda run: run.status not in FINAL and run.cancel_requested_at is None, CANCEL_ASKS),
        Step("retry", "Retry", "started anew", retry, lambda run: run.status in FINAL, RETRY_ASKS),
    ]  # fmt: skip

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        """As the base's, asked only of the columns that hold the term.

        Asked of all of them at once, the planner walks over the whole table for a rare term.
        """
        term = search_term.strip()[:SEARCH_LIMIT]
        if not term:
            return queryset, False
        wanted = [
            Q(**{f"{name}__in": sorted({term, term.upper()})})
            for name in ("execution_id", "symbol", "execution_type")
        ]
        held = [each for each in wanted if Execution.objects.filter(each).exists()]
        return queryset.filter(reduce(or_, held)) if held else queryset.none(), False

    # A run is what its program reports: there is no form for it, only the steps above.

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def is_live(self, obj: Execution) -> bool:
        return obj.status not in FINAL

    @admin.display(description="Run")
    def short_id(self, obj: Execution) -> SafeString:
        return shown.short_id(obj.execution_id)

    @admin.display(description="State")
    def state(self, obj: Execution) -> SafeString:
        return shown.state(obj)

    @admin.display(description="Progress")
    def progress(self, obj: Execution) -> SafeString:
        return shown.progress(obj.progress_percentage)

    @admin.display(description="Took")
    def took(self, obj: Execution) -> SafeString:
        return shown.duration(obj.timestamp_start, obj.timestamp_end, timezone.now())

    @admin.display(description="Symbols")
    def all_symbols(self, obj: Execution) -> SafeString:
        named = obj.symbols if isinstance(obj.symbols, list) else [obj.symbols]
        return display.text(", ".join(map(str, named)), "It is about no list of symbols.")

    @admin.display(description="Lost after")
    def lease(self, obj: Execution) -> SafeString:
        return display.figure(
            f"{display.span_words(timedelta(seconds=obj.lease_seconds))} of silence"
        )

    @admin.display(description="Longest pause")
    def longest_pause(self, obj: Execution) -> SafeString:
        return shown.seconds(obj.longest_pause_seconds, "No two signs of progress yet.")

    def page_title(self, obj: Execution) -> str:
        return f"{obj.execution_type} {obj.symbol}".strip()

    def page_badges(self, obj: Execution) -> list[SafeString]:
        return [shown.state(obj), display.age(obj.created_at)]

    def page_context(self, request: HttpRequest, obj: Execution) -> dict[str, Any]:
        story = RunStory(obj, now=timezone.now(), user=request.user, site=self.admin_site)
        return super().page_context(request, obj) | {"story": story}
