"""The life of a run as its own program tells it: begin, report, end.

Staff's wishes stand in ``wishes``, what a program says of a run before it begins in ``starting``;
both are also found here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from apps.executions.choices import ExecutionStatus, StepStatus
from apps.executions.domain import progress
from apps.executions.domain.states import (
    FINAL,
    STEP_FAILED,
    STEP_FINAL,
    IllegalTransition,
    final_status,
    sources,
    step_sources,
)
from apps.executions.models import Execution, ExecutionStep
from apps.executions.services import texts
from apps.executions.services.held import (
    ExecutionEnded,
    UnknownExecution,
    beginning,
    check_open,
    end,
    heard,
    held,
    held_open,
    progressed,
    tallied,
    with_errors,
    write,
)
from apps.executions.services.starting import (
    ExecutionLike,
    describe_execution,
    start_executions,
)
from apps.executions.services.texts import RefusedReport
from apps.executions.services.wishes import (
    new_execution_id,
    request_cancel,
    retry,
    retry_execution,
)
from apps.shared.errors import Conflict

__all__ = [
    "ExecutionEnded",
    "ExecutionLike",
    "IllegalTransition",
    "ProgressReport",
    "RefusedReport",
    "StepReport",
    "UnknownExecution",
    "begin",
    "describe_execution",
    "finish",
    "new_execution_id",
    "report_progress",
    "report_step",
    "request_cancel",
    "retry",
    "retry_execution",
    "start_executions",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressReport:
    """How far a run is. What is None, or empty, is not told and stays as it was."""

    current_operation: str | None = None
    completed_tasks: Sequence[str] = ()
    total_tasks: int | None = None
    cpu_usage_avg: Decimal | float | None = None  # percent
    memory_peak_mb: Decimal | float | None = None
    disk_io_mb: Decimal | float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """What became of one step. What is None, or empty, is not told and is not compared."""

    step_name: str
    status: StepStatus
    timestamp_start: datetime | None = None
    timestamp_end: datetime | None = None
    result_data: Mapping[str, Any] = field(default_factory=dict)
    error_type: str = ""
    error_message: str = ""
    error_traceback: str = ""
    reason: str = ""


@transaction.atomic
def begin(*, execution_id: str, now: datetime) -> None:
    """Let a waiting run begin. One that runs already is left as it is.

    Raises UnknownExecution and ExecutionEnded.
    """
    run = held_open(execution_id)
    if values := beginning(run, now):
        write(run, now=now, **values)


@transaction.atomic
def report_progress(*, execution_id: str, now: datetime, report: ProgressReport) -> None:
    """Take in how far a run is; each report is a sign of life, also an empty one.

    A waiting run begins by it. A sign of progress is a task that was not completed before, a
    further percentage, or other words for what it does. Raises UnknownExecution, ExecutionEnded
    and RefusedReport.
    """
    run = held_open(execution_id)
    write(run, now=now, **told(run, report, now=now) | beginning(run, now))


def told(run: Execution, report: ProgressReport, *, now: datetime) -> dict[str, Any]:
    """Return what a report writes into its run."""
    values: dict[str, Any] = {}
    if report.current_operation is not None:
        values["current_operation"] = texts.line(report.current_operation, texts.OPERATION)
    if report.completed_tasks:
        names = progress.joined(run.completed_tasks, texts.names(report.completed_tasks))
        values["completed_tasks"] = texts.names(names)
    if report.total_tasks is not None and not run.runner:
        if not 0 <= report.total_tasks <= texts.LARGEST_COUNT:
            raise texts.refused("total_tasks", "out_of_range", "Must be 0 or greater.")
        values["total_tasks"] = report.total_tasks
    if "completed_tasks" in values or "total_tasks" in values:
        values["progress_percentage"] = progress.running_percentage(
            run.progress_percentage, tallied(run, **values)
        )
    watched = ("current_operation", "completed_tasks", "progress_percentage")
    moved = any(name in values and values[name] != getattr(run, name) for name in watched)
    return values | measured(run, report) | (progressed if moved else heard)(run, now)


def measured(run: Execution, report: ProgressReport) -> dict[str, Any]:
    """Return what a report says of resources: averages and sums as told, the peak as its peak."""
    found = {
        name: texts.measure(name, getattr(report, name))
        for name in ("cpu_usage_avg", "memory_peak_mb", "disk_io_mb")
    }
    peaks = [value for value in (found["memory_peak_mb"], run.memory_peak_mb) if value is not None]
    found["memory_peak_mb"] = max(peaks, default=None)
    return {name: value for name, value in found.items() if value is not None}


@transaction.atomic
def report_step(
    *, execution_id: str, now: datetime, report: StepReport
) -> tuple[ExecutionStep, bool]:
    """Take in what became of a step; return it, and whether it was unknown before.

    The same report again has no effect, also after the run has ended. A waiting run begins by
    it. The error of a failed step joins the errors of its run. Raises UnknownExecution,
    ExecutionEnded, RefusedReport, IllegalTransition when a step that is final is said to have
    gone otherwise or the steps are worked on here, Conflict when it ended so already but with
    other content.
    """
    run = held(execution_id)
    status = StepStatus(report.status)
    name = texts.line(report.step_name, texts.TASK)
    if not name:
        raise texts.refused("step_name", "empty", "Must not be empty.")
    step = run.steps.filter(step_name=name).first()
    values = content(report)
    if step is not None and step.status == status and status in STEP_FINAL:
        check_same(step, values)
        return step, False
    check_open(run)
    if run.runner:
        raise IllegalTransition("The steps of this execution are worked on here.")
    if step is not None and step.status == status:
        write(run, now=now, **heard(run, now))
        return step, False
    if step is not None and step.status not in step_sources(status):
        raise IllegalTransition(f"A step that is {step.status} cannot become {status}.")
    created = step is None
    step = step or ExecutionStep(execution=run, step_name=name)
    if created and run.steps.count() >= texts.MOST_TASKS:
        raise texts.refused("step_name", "too_many", f"At most {texts.MOST_TASKS:,} steps.")
    store_step(step, status, report, values, now=now)
    failed = status in STEP_FAILED
    error = {**values, "traceback": values["error_traceback"], "step": name}
    errors = texts.error_entries([error], now=now) if failed else []
    counted = tallied(run)
    write(
        run,
        now=now,
        **beginning(run, now)
        | progressed(run, now)
        | with_errors(run, errors)
        | {"progress_percentage": progress.running_percentage(run.progress_percentage, counted)},
    )
    return step, created


def content(report: StepReport) -> dict[str, Any]:
    """Return what a report says of the step, besides its state and times, as it is stored."""
    words = {name: getattr(report, name) for name in texts.OF_STEP}
    return {
        **texts.cleaned(words, texts.OF_STEP),
        "result_data": texts.document(report.result_data),
    }


def check_same(step: ExecutionStep, values: Mapping[str, Any]) -> None:
    """Raise Conflict unless a step that is final was told just so before."""
    differing = [name for name, value in values.items() if value and value != getattr(step, name)]
    if differing:
        raise Conflict(f"The step {step.step_name} ended with other content.", differing)


def store_step(
    step: ExecutionStep,
    status: StepStatus,
    report: StepReport,
    values: Mapping[str, Any],
    *,
    now: datetime,
) -> None:
    """Write the state of a step, its times, and what it left."""
    began = texts.moment("timestamp_start", report.timestamp_start, now=now)
    ended = texts.moment("timestamp_end", report.timestamp_end, now=now)
    step.status = status
    if status != StepStatus.PENDING:
        step.timestamp_start = step.timestamp_start or began
    if status == StepStatus.RUNNING:
        step.timestamp_start = step.timestamp_start or now
    if status in STEP_FINAL:
        started = step.timestamp_start
        if ended is not None and started is not None and ended < started:
            raise texts.refused("timestamp_end", "before_start", "Lies before its start.")
        step.timestamp_end = ended or max(now, started or now)
    for name, value in values.items():
        if value:
            setattr(step, name, value)
    step.save()


@transaction.atomic
def finish(
    *,
    execution_id: str,
    status: ExecutionStatus,
    now: datetime,
    errors: Sequence[Mapping[str, Any]] = (),
    report: ProgressReport | None = None,
    timestamp_end: datetime | None = None,
) -> Execution:
    """End a run as it says, unless its steps say otherwise, and return it.

    ``errors`` hold step, error_type, error_message, traceback and timestamp, all optional. Steps
    that are open end with the run. The same word again has no effect. Raises UnknownExecution,
    IllegalTransition and RefusedReport.
    """
    run = held(execution_id)
    status = ExecutionStatus(status)
    if run.status in FINAL and status == (run.reported_status or run.status):
        return run
    if status not in FINAL or run.status not in sources(status):
        raise IllegalTransition(f"An execution that is {run.status} cannot become {status}.")
    ended_at = texts.moment("timestamp_end", timestamp_end, now=now)
    if ended_at and run.timestamp_start and ended_at < run.timestamp_start:
        raise texts.refused("timestamp_end", "before_start", "Lies before its start.")
    values = told(run, report, now=now) if report else {}
    values = {name: value for name, value in values.items() if name != "progress_percentage"}
    values |= with_errors(run, texts.error_entries(errors, now=now))
    counted = tallied(run, **values)
    outcome = final_status(
        status, succeeded=counted.succeeded, failed=counted.failed, tasks=counted.expected
    )
    end(run, outcome, now=now, ended_at=ended_at, reported_status=status, **values)
    run.refresh_from_db()
    return run
