"""Steps of runs in the admin."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from apps.executions.admin import shown
from apps.executions.choices import COLORS
from apps.executions.models import ExecutionStep
from apps.logs.admin.entries import folded_trace
from apps.shared import display
from apps.shared.admin import DerivedAdmin

DID_NOT_FAIL = "It did not fail, or did not say why."
NOT_OURS = "No worker of ours has taken it up."


@admin.register(ExecutionStep)
class ExecutionStepAdmin(DerivedAdmin):
    list_display = [
        "step_name", "run", "status", "why", "attempts", "took", "created_at",
    ]  # fmt: skip
    list_filter = ["created_at", "status"]
    search_fields = ["=execution__execution_id"]
    search_help_text = "Exact id of the run"
    time = "created_at"
    sortable_by = ["created_at"]
    colors = COLORS
    shows = {
        "timestamp_start": display.exact_moment,
        "timestamp_end": display.exact_moment,
    }
    empty_hint = "A run that reports its steps to POST /api/v1/executions/ fills it."
    empty_reasons = {
        "reason": DID_NOT_FAIL,
        "error_type": DID_NOT_FAIL,
        "timestamp_start": shown.NOT_BEGUN,
        "timestamp_end": "It is not over.",
        "leased_until": "No worker of ours holds it.",
        "parameters": "None were given.",
    }
    page_template = "admin/executions/step.html"
    groups = [
        ("Step", ["execution", "step_name", "status", "reason", "stage", "attempts"]),
        ("Times", ["timestamp_start", "timestamp_end", "took", "leased_until", "created_at"]),
        ("Given to it", ["parameters"]),
    ]

    @admin.display(description="Run")
    def run(self, obj: ExecutionStep) -> SafeString:
        # By its key alone: the run itself need not be read for that.
        return shown.run_link(str(obj.execution_id))

    @admin.display(description="Failed by")
    def why(self, obj: ExecutionStep) -> SafeString:
        return display.short_text(obj.error_type or obj.reason, DID_NOT_FAIL)

    @admin.display(description="Attempt")
    def attempts(self, obj: ExecutionStep) -> SafeString:
        return display.number(obj.attempt or None, NOT_OURS)

    @admin.display(description="Took")
    def took(self, obj: ExecutionStep) -> SafeString:
        return shown.duration(obj.timestamp_start, obj.timestamp_end, timezone.now())

    def page_title(self, obj: ExecutionStep) -> str:
        return obj.step_name

    def page_badges(self, obj: ExecutionStep) -> list[SafeString]:
        return [shown.step_state(obj), shown.run_link(str(obj.execution_id))]

    def page_context(self, request: HttpRequest, obj: ExecutionStep) -> dict[str, Any]:
        failed = bool(obj.error_type or obj.error_message or obj.error_traceback)
        return super().page_context(request, obj) | {
            "failed": failed,
            "message": display.block(obj.error_message, "It came without a message."),
            "stack_trace": folded_trace(obj.error_traceback),
            "result": display.raw_json(obj.result_data, "It left no result."),
        }
