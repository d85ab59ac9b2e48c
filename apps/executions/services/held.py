"""One run held for writing: the lock that every writer takes first, and what it may write then.

Whoever writes a run, or any of its steps, holds the row of the run. So two of them never wait
for each other in a circle, and what one has read stays true until it has written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Case, Value, When
from django.db.models.functions import Greatest

from apps.executions.choices import ExecutionStatus, Health, StepStatus
from apps.executions.domain import liveness, progress
from apps.executions.domain.states import (
    EXECUTION,
    FINAL,
    PENDING,
    RUNNING,
    STEP_OPEN,
    IllegalTransition,
    sources,
)
from apps.executions.models import Execution
from apps.executions.services import texts
from apps.logs.domain.evidence import UNSTORABLE
from apps.shared.errors import DomainError


class UnknownExecution(DomainError):
    """There is no run of this id."""

    code = "unknown_execution"
    status = 404


class ExecutionEnded(DomainError):
    """The run is final; the message names its state."""

    code = "execution_ended"
    status = 409


def held(execution_id: str) -> Execution:
    """Return a run, locked until the transaction ends. Raises UnknownExecution."""
    run = None
    if not UNSTORABLE.search(execution_id):
        run = Execution.objects.select_for_update(no_key=True).filter(pk=execution_id).first()
    if run is None:
        raise UnknownExecution("There is no execution of this id.")
    return run


def held_open(execution_id: str) -> Execution:
    """Return a run that is not final, locked. Raises UnknownExecution, ExecutionEnded."""
    run = held(execution_id)
    check_open(run)
    return run


def check_open(run: Execution) -> None:
    """Raise ExecutionEnded for a run that is final."""
    if run.status in FINAL:
        raise ExecutionEnded(f"The execution has ended: it is {run.status}.")


def write(
    run: Execution, *, now: datetime, to: ExecutionStatus | None = None, **values: Any
) -> None:
    """Write columns of a held run, and its new state where it gets one.

    The condition is part of the statement: even without the lock no final row would be changed.
    """
    if to is not None:
        values["status"] = to
    before = set(EXECUTION) if to is None else sources(to)
    rows = Execution.objects.filter(pk=run.pk).in_state(before)
    if not rows.update(**values, updated_at=now):
        raise IllegalTransition(f"An execution that is {run.status} cannot become {to}.")
    for name, value in values.items():
        if not hasattr(value, "resolve_expression"):
            setattr(run, name, value)


def heard(run: Execution, now: datetime) -> dict[str, Any]:
    """Return what a sign of life writes. One that was under way for long sets nothing back."""
    return {"heartbeat_at": max(run.heartbeat_at or now, now)}


def progressed(run: Execution, now: datetime) -> dict[str, Any]:
    """Return what a sign of progress writes: it is also one of life, and nobody is stuck then."""
    longest = max(
        run.longest_pause_seconds or Decimal(0), liveness.pause(run.progressed_at, now=now)
    )
    return {
        **heard(run, now),
        "progressed_at": max(run.progressed_at or now, now),
        "longest_pause_seconds": longest,
        "health": Health.OK,
        "stuck_since": None,
    }


def beginning(run: Execution, now: datetime) -> dict[str, Any]:
    """Return what the begin of a waiting run writes; nothing for one that runs."""
    if run.status != PENDING:
        return {}
    return {"to": RUNNING, "timestamp_start": now, **progressed(run, now)}


def tallied(run: Execution, **told: Any) -> progress.Tally:
    """Count the tasks of a held run, with those it tells of just now."""
    return progress.tally(
        run.steps.values_list("step_name", "status"),
        completed_tasks=told.get("completed_tasks", run.completed_tasks),
        total_tasks=told.get("total_tasks", run.total_tasks),
    )


def with_errors(run: Execution, errors: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what further errors of a run write."""
    if not errors:
        return {}
    return {
        "errors": progress.capped([*run.errors, *errors]),
        "error_count": run.error_count + len(errors),
    }


def end(
    run: Execution,
    status: ExecutionStatus,
    *,
    now: datetime,
    ended_at: datetime | None = None,
    **values: Any,
) -> None:
    """End a held run, and with it the steps that are open: begun ones CANCELLED, others SKIPPED."""
    counted = tallied(run, **values)
    write(
        run,
        now=now,
        **progressed(run, now)
        | values
        | {
            "to": status,
            "timestamp_end": ended(run, ended_at or now),
            "progress_percentage": progress.final_percentage(
                status, run.progress_percentage, counted
            ),
        },
    )
    end_steps(run, ended_at=ended_at or now)


def ended(run: Execution, moment: datetime) -> datetime:
    """Return when a run ends by our clock; that of its program may be ahead of ours."""
    return max(moment, run.timestamp_start or moment)


def end_steps(run: Execution, *, ended_at: datetime) -> None:
    """End the open steps of a held run: begun ones CANCELLED, others SKIPPED."""
    run.steps.filter(status__in=STEP_OPEN).update(
        status=Case(
            When(status=StepStatus.RUNNING, then=Value(StepStatus.CANCELLED.value)),
            default=Value(StepStatus.SKIPPED.value),
        ),
        # Of two times the one that there is, or the later one.
        timestamp_end=Greatest("timestamp_start", Value(ended_at)),
        leased_until=None,
    )


def end_step(step: Any, *, now: datetime, **values: Any) -> bool:
    """Write the end of a step; False where it is not there any more."""
    ended_at = Greatest("timestamp_start", Value(now))
    return bool(step.update(timestamp_end=ended_at, leased_until=None, **values))


def note_ended(run: Execution, errors: Sequence[Mapping[str, Any]], *, now: datetime) -> None:
    """Note in a held run that one of its steps is over, with its error when it failed."""
    entries = texts.error_entries(
        [{**error, "traceback": error.get("error_traceback", "")} for error in errors], now=now
    )
    counted = tallied(run)
    percent = progress.running_percentage(run.progress_percentage, counted)
    write(
        run,
        now=now,
        **progressed(run, now) | with_errors(run, entries) | {"progress_percentage": percent},
    )
