"""What the page of one run tells: how it stands, its steps in time, its errors, its fruits."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.contrib.admin import AdminSite
from django.db.models import Case, Count, IntegerField, TextField, When
from django.db.models.functions import Cast, Left
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.executions.admin import shown
from apps.executions.admin.products import products_of
from apps.executions.choices import COLORS, ExecutionStatus, Health, StepStatus
from apps.executions.domain.states import FINAL, STEP_FAILED, STEP_FINAL
from apps.executions.models import Execution, ExecutionStep
from apps.logs.admin.entries import folded_trace
from apps.logs.admin.links import trace_link
from apps.logs.admin.trace import folded_metadata
from apps.shared import display

MOST_STEPS = 200
MOST_ERRORS = 20
MOST_RETRIES = 10
# Characters of each that are read for the page; the page of the step has the whole.
MESSAGE_READ, TRACEBACK_READ, RESULT_READ = 1_000, 10_000, 2_000
# A bar shorter than this part of the whole could not be seen.
LEAST_WIDTH = 0.6
TICKS = 4

Sentence = tuple[str, SafeString]


class RunStory:
    """Everything the template of a run's page asks for, each read once."""

    def __init__(self, run: Execution, *, now: datetime, user: Any, site: AdminSite) -> None:
        self.run = run
        self.now = now
        self.user = user
        self.site = site
        self.over = run.status in FINAL

    # --- how it stands --------------------------------------------------------------------

    @property
    def standing(self) -> Iterator[Sentence]:
        """Yield what there is to say of its state, each with its tone."""
        run = self.run
        if run.status == ExecutionStatus.PENDING:
            who = "no worker has taken it up yet" if run.runner else "it has not begun yet"
            yield "info", format_html("Announced {}; {}.", self.age(run.created_at), who)
        if run.cancel_requested_at:
            yield "warning", self.cancellation(run.cancel_requested_at)
        if run.health == Health.STUCK and not self.over:
            since = run.progressed_at or run.timestamp_start
            yield (
                "warning",
                format_html(
                    "Stuck: it is heard of, but its last progress was {}.", self.age(since)
                ),
            )
        if run.health == Health.LOST:
            silence = display.span_words(timedelta(seconds=run.lease_seconds))
            yield (
                "danger",
                format_html(
                    "Lost: last heard of {}, and it was to be heard of every {}.",
                    self.age(run.heartbeat_at),
                    silence,
                ),
            )
        if self.over and run.reported_status and run.reported_status != run.status:
            said = ExecutionStatus(run.reported_status).label.lower()
            yield (
                "warning",
                format_html(
                    "It said {}; its steps say {}.", said, run.get_status_display().lower()
                ),
            )

    def age(self, moment: datetime | None) -> SafeString:
        return display.age(moment, "Never.", now=self.now)

    def cancellation(self, asked_at: datetime) -> SafeString:
        """Return who asked it to end, and what it made of that."""
        run = self.run
        by, asked = display.text(run.cancel_requested_by, "Not known."), self.age(asked_at)
        if run.status == ExecutionStatus.CANCELLED:
            return format_html("{} asked it to end {}, and it did.", by, asked)
        if self.over:
            return format_html("{} asked it to end {}; it ended otherwise.", by, asked)
        who = "the worker" if run.runner else "the program"
        return format_html("{} asked it to end {}; {} has not acknowledged yet.", by, asked, who)

    @property
    def progress(self) -> SafeString:
        return shown.progress(self.run.progress_percentage)

    @cached_property
    def step_counts(self) -> Counter[str]:
        counted = self.run.steps.order_by().values("status").annotate(n=Count("pk"))
        return Counter(dict(counted.values_list("status", "n")))

    @property
    def counts(self) -> str:
        """Return how many steps and announced tasks are over."""
        steps = sum(self.step_counts.values())
        over = sum(self.step_counts[status] for status in STEP_FINAL)
        failed = sum(self.step_counts[status] for status in STEP_FAILED)
        words = [f"{over:,} of {steps:,} steps over"] if steps else []
        words += [f"{failed:,} failed"] if failed else []
        tasks, done = self.run.total_tasks, len(self.run.completed_tasks)
        if tasks and tasks != steps:
            words += [
                f"{done:,} of {tasks:,} tasks named done" if done else f"{tasks:,} tasks announced"
            ]
        return ", ".join(words) or "It has told of no steps."

    @property
    def took(self) -> SafeString:
        return shown.duration(self.run.timestamp_start, self.run.timestamp_end, self.now)

    @property
    def resources(self) -> list[tuple[str, SafeString]]:
        run = self.run
        return [
            ("CPU", shown.measured(run.cpu_usage_avg, "%")),
            ("Memory peak", shown.measured(run.memory_peak_mb, "MB")),
            ("Disk", shown.measured(run.disk_io_mb, "MB")),
        ]

    # --- steps ----------------------------------------------------------------------------

    @cached_property
    def steps(self) -> list[ExecutionStep]:
        """Return the steps in the order they ran; of too many those that matter most."""
        weight = Case(
            When(status=StepStatus.RUNNING, then=0),
            When(status__in=sorted(STEP_FAILED), then=1),
            default=2,
            output_field=IntegerField(),
        )
        read = (
            self.run.steps.defer("result_data", "error_message", "error_traceback", "parameters")
            .annotate(
                message=Left("error_message", MESSAGE_READ),
                stack=Left("error_traceback", TRACEBACK_READ),
                result=Left(Cast("result_data", TextField()), RESULT_READ),
            )
            .order_by(weight, "stage", "id")[:MOST_STEPS]
        )
        last = self.now + timedelta(days=1)
        return sorted(
            read,
            key=lambda step: (
                step.stage, step.timestamp_start or step.timestamp_end or last, step.pk
            ),
        )  # fmt: skip

    @property
    def unshown_steps(self) -> int:
        return sum(self.step_counts.values()) - len(self.steps)

    @cached_property
    def axis(self) -> tuple[datetime, datetime]:
        """Return the span of time that the waterfall shows.

        Clients have clocks of their own: what lies outside of the run widens it.
        """
        run = self.run
        moments = [
            moment
            for step in self.steps
            for moment in (step.timestamp_start, step.timestamp_end)
            if moment
        ]
        moments += [moment for moment in (run.timestamp_start, run.timestamp_end) if moment]
        if not self.over and run.timestamp_start:
            moments.append(self.now)
        return (min(moments), max(moments)) if moments else (self.now, self.now)

    @property
    def ticks(self) -> list[str]:
        """Return how far into the run the parts of the axis are."""
        start, end = self.axis
        return [shown.span((end - start) * part / TICKS) for part in range(TICKS + 1)]

    @property
    def lines(self) -> Iterator[dict[str, Any]]:
        for step in self.steps:
            read = step.__dict__
            failed = step.status in STEP_FAILED
            yield {
                "step": step,
                "url": reverse("admin:executions_executionstep_change", args=[step.pk]),
                "state": shown.step_state(step),
                "took": shown.duration(
                    step.timestamp_start,
                    step.timestamp_end,
                    self.now,
                    self.why_untimed(step),
                ),
                "bar": self.bar(step),
                "failed": failed,
                "message": display.text(read["message"]) if read["message"] else "",
                "stack_trace": folded_trace(read["stack"]),
                "result": folded_metadata(read["result"]),
            }

    def why_untimed(self, step: ExecutionStep) -> str:
        return "It never began." if step.status in STEP_FINAL else "It has not begun."

    def bar(self, step: ExecutionStep) -> dict[str, str] | None:
        """Return where a step stands on the axis, in percent; a running one reaches to now."""
        start = step.timestamp_start or step.timestamp_end
        if start is None:
            return None
        running = step.status == StepStatus.RUNNING
        end = step.timestamp_end or (start if self.over else self.now)
        first, last = self.axis
        whole = (last - first) / timedelta(seconds=1) or 1.0
        left = (start - first) / timedelta(seconds=1) / whole * 100
        width = max((end - start) / timedelta(seconds=1), 0) / whole * 100
        left = min(max(left, 0), 100 - LEAST_WIDTH)
        return {
            "left": f"{left:.2f}%",
            "width": f"{min(max(width, LEAST_WIDTH), 100 - left):.2f}%",
            "tone": COLORS[step.status],
            "open": " b-open" if running and not self.over else "",
        }

    # --- errors ---------------------------------------------------------------------------

    @property
    def errors(self) -> list[dict[str, Any]]:
        """Return the newest errors that the run told of, whatever shape they came in."""
        told = self.run.errors if isinstance(self.run.errors, list) else [self.run.errors]
        return [self.error(each) for each in reversed(told[-MOST_ERRORS:])]

    def error(self, told: Any) -> dict[str, Any]:
        known: Mapping[str, Any] = told if isinstance(told, Mapping) else {"error_message": told}
        return {
            "step": display.text(known.get("step"), "It belongs to no step."),
            "type": display.text(known["error_type"]) if known.get("error_type") else "",
            "message": display.text(known.get("error_message"), "It came without a message."),
            "when": self.told_at(known.get("timestamp")),
            "stack_trace": folded_trace(str(known.get("traceback") or "")),
        }

    def told_at(self, text: Any) -> SafeString:
        """Return a time that somebody told, as it was told where it is none."""
        try:
            moment = datetime.fromisoformat(str(text))
        except ValueError:
            return display.text(text, "It was not told.")
        return self.age(moment) if moment.tzinfo else display.text(text)

    @property
    def unshown_errors(self) -> int:
        return max(self.run.error_count - len(self.errors), 0)

    # --- where it comes from, what came of it ---------------------------------------------

    @cached_property
    def retry_of(self) -> SafeString | None:
        known = self.run.retry_of_id
        return shown.run_link(str(known), whole=True) if known else None

    @cached_property
    def retries(self) -> list[tuple[SafeString, SafeString]]:
        made = self.run.retries.order_by("-created_at").only("status", "health", "retry_of")
        return [
            (shown.run_link(each.execution_id, whole=True), shown.state(each))
            for each in made[:MOST_RETRIES]
        ]

    @property
    def trace(self) -> SafeString:
        return trace_link(self.run.correlation_id, whole=True)

    @property
    def tasks(self) -> SafeString:
        """Return the tasks that are done, folded behind how many they are."""
        done = self.run.completed_tasks
        lines = done if isinstance(done, list) else [done]
        return display.folded(f"{len(lines):,} done", "\n".join(map(str, lines)))

    @cached_property
    def products(self) -> list[dict[str, Any]]:
        return products_of(self.run, user=self.user, site=self.site)
