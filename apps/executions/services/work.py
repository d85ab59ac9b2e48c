"""Runs of ours: planned as steps, which workers claim one by one and must keep.

A worker holds a step by its lease. A lease that has run out is no end yet: whoever still works
may finish, until the watch has given the step back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import F, Min

from apps.executions.choices import StepStatus
from apps.executions.domain.states import (
    FINAL,
    STEP_FAILED,
    STEP_FINAL,
    STEP_OPEN,
    IllegalTransition,
)
from apps.executions.models import Execution, ExecutionStep
from apps.executions.services import texts
from apps.executions.services.closing import MOST_ATTEMPTS, close_runs, give_back_steps
from apps.executions.services.held import (
    UnknownExecution,
    beginning,
    end_step,
    heard,
    held,
    held_open,
    note_ended,
    progressed,
    write,
)
from apps.executions.services.runs import ProgressReport, measured
from apps.executions.services.wishes import new_execution_id
from apps.shared.correlation import correlation_id
from apps.shared.errors import Conflict, DomainError
from apps.shared.wakeups import wake

__all__ = [
    "DUE_RUNNERS",
    "MOST_ATTEMPTS",
    "PlannedStep",
    "add_steps",
    "claim_step",
    "close_runs",
    "finish_step",
    "give_back_steps",
    "keep_step",
    "plan_run",
    "release_step",
    "skip_steps",
]

# Runs ``e`` of ours that have a step which may be taken up now.
HAS_DUE_STEP = """
NOT (e.runner = '') AND e.status IN ('PENDING', 'RUNNING') AND e.cancel_requested_at IS NULL
AND EXISTS (
    SELECT 1 FROM execution_steps s
    WHERE s.execution_id = e.execution_id AND s.status = 'PENDING' AND NOT EXISTS (
        SELECT 1 FROM execution_steps lower
        WHERE lower.execution_id = s.execution_id AND lower.stage < s.stage
          AND lower.status IN ('PENDING', 'RUNNING')
    )
)
"""
# The run that fewest workers are at; among those the oldest.
NEXT_RUN = f"""
SELECT e.execution_id FROM execution_logs e
WHERE e.runner = %(runner)s AND NOT e.execution_id = ANY(%(tried)s) AND {HAS_DUE_STEP}
ORDER BY (
    SELECT count(*) FROM execution_steps r
    WHERE r.execution_id = e.execution_id AND r.status = 'RUNNING'
), e.created_at, e.execution_id
LIMIT 1
"""
DUE_RUNNERS = f"SELECT DISTINCT e.runner FROM execution_logs e WHERE {HAS_DUE_STEP} ORDER BY 1"


class PlannedStep(NamedTuple):
    """A step to be done: due when all of the lower stages are over."""

    step_name: str
    stage: int = 0
    parameters: Mapping[str, Any] = MappingProxyType({})


@transaction.atomic
def plan_run(
    *,
    execution_type: str,
    runner: str,
    steps: Sequence[PlannedStep],
    now: datetime,
    symbol: str = "",
    metadata: Mapping[str, Any] | None = None,
    triggered_by: str = "",
    execution_id: str = "",
    retry_of: Execution | None = None,
    lease_seconds: int | None = None,
) -> Execution:
    """Store a waiting run and its steps; workers of ``runner``, a task's name, are woken for it.

    Raises Conflict when ``execution_id`` is taken, and ValueError for a run without a step or
    with two of one name.
    """
    if not steps or len({step.step_name for step in steps}) < len(steps):
        raise ValueError("A run needs steps, each of another name.")
    execution_id = execution_id or new_execution_id(execution_type, now)
    run, created = Execution.objects.get_or_create(
        execution_id=execution_id,
        defaults={
            "execution_type": execution_type,
            "runner": runner,
            "symbol": symbol,
            "metadata": texts.document(metadata or {}),
            "triggered_by": triggered_by[:150],
            "retry_of": retry_of,
            "total_tasks": len(steps),
            "correlation_id": correlation_id.get()[:100],
        }
        | ({"lease_seconds": lease_seconds} if lease_seconds else {}),
    )
    if not created:
        raise Conflict("This id belongs to another execution.", ["execution_id"])
    ExecutionStep.objects.bulk_create(planned(run, steps))
    wake(runner)
    return run


def planned(run: Execution, steps: Sequence[PlannedStep]) -> list[ExecutionStep]:
    return [
        ExecutionStep(
            execution=run,
            step_name=step.step_name,
            stage=step.stage,
            parameters=texts.document(step.parameters),
        )
        for step in steps
    ]


def claim_step(*, runner: str, now: datetime, lease: timedelta) -> ExecutionStep | None:
    """Take up one due step until ``now + lease``, or None where nothing is due.

    Due is a waiting step of an open run of this runner that nobody wishes to cancel, when no
    step of a lower stage is open. The run that fewest workers are at comes first, then the
    oldest. Its run begins by it. ``step.execution`` is loaded.
    """
    tried: list[str] = []
    while True:
        with connection.cursor() as cursor:
            cursor.execute(NEXT_RUN, {"runner": runner, "tried": tried})
            found = cursor.fetchone()
        if found is None:
            return None
        if step := claim_in(found[0], now=now, until=now + lease):
            return step
        # Somebody was faster, or ended the run. Whatever makes a step due wakes a worker again.
        tried.append(found[0])


@transaction.atomic
def claim_in(execution_id: str, *, now: datetime, until: datetime) -> ExecutionStep | None:
    """Take up a due step of this run, if it still has one."""
    try:
        run = held(execution_id)
    except UnknownExecution:
        return None
    if run.status in FINAL or run.cancel_requested_at is not None:
        return None
    stage = run.steps.filter(status__in=STEP_OPEN).aggregate(Min("stage"))["stage__min"]
    due = run.steps.filter(status=StepStatus.PENDING, stage=stage).order_by("pk")
    step = due.select_for_update(skip_locked=True).first()
    if step is None:
        return None
    first = step.attempt == 0
    step.execution = run
    step.status = StepStatus.RUNNING
    step.timestamp_start = now
    step.attempt += 1
    step.leased_until = until
    step.save(update_fields=["status", "timestamp_start", "attempt", "leased_until"])
    # The same step over and over is no progress.
    sign = progressed(run, now) if first else heard(run, now)
    operation = {"current_operation": step.step_name}
    write(run, now=now, **sign | operation | beginning(run, now))
    return step


def own(step: ExecutionStep) -> Any:
    """Return the step as it is stored, as long as it is the claimer's own."""
    return ExecutionStep.objects.filter(
        pk=step.pk,
        status=StepStatus.RUNNING,
        attempt=step.attempt,
        # Who took it up and let it go has not counted; whoever came next began later.
        timestamp_start=step.timestamp_start,
        leased_until__isnull=False,
    )


@transaction.atomic
def keep_step(*, step: ExecutionStep, now: datetime, lease: timedelta) -> bool:
    """Keep a claimed step until ``now + lease``; False tells the worker to stop.

    False: the step was given to another worker, its run has ended, or somebody wishes it to. In
    the last case the step is still the worker's, who ends it as CANCELLED.
    """
    try:
        run = held_open(step.execution_id)
    except DomainError:
        return False
    if not own(step).update(leased_until=now + lease):
        return False
    step.leased_until = now + lease
    write(run, now=now, **heard(run, now))
    return run.cancel_requested_at is None


@transaction.atomic
def note_use(*, step: ExecutionStep, report: ProgressReport, now: datetime) -> bool:
    """Note what a step of ours used, in its run; False where the run has ended.

    The run's share of a core is the mean of its steps, its memory their highest peak, its disk
    traffic their sum.
    """
    try:
        run = held_open(step.execution_id)
    except DomainError:
        return False
    found = measured(run, report)
    over = max(run.steps.exclude(status__in=STEP_OPEN).count(), 1)
    before = run.cpu_usage_avg
    if before is not None and (used := found.get("cpu_usage_avg")) is not None:
        mean = ProgressReport(cpu_usage_avg=before + (used - before) / over)
        found["cpu_usage_avg"] = measured(run, mean)["cpu_usage_avg"]
    if run.disk_io_mb is not None and "disk_io_mb" in found:
        found["disk_io_mb"] += run.disk_io_mb
    write(run, now=now, **found | heard(run, now))
    return True


@transaction.atomic
def release_step(*, step: ExecutionStep, now: datetime) -> bool:
    """Let a claimed step wait for its next turn; False when it is not ours any more.

    For work that makes way for others: the attempt does not count.
    """
    try:
        run = held_open(step.execution_id)
    except DomainError:
        return False
    released = own(step).update(
        status=StepStatus.PENDING,
        timestamp_start=None,
        leased_until=None,
        attempt=F("attempt") - 1,
    )
    if released:
        write(run, now=now, **heard(run, now))
    return bool(released)


@transaction.atomic
def finish_step(
    *,
    step: ExecutionStep,
    status: StepStatus,
    now: datetime,
    result_data: Mapping[str, Any] | None = None,
    reason: str = "",
    error_type: str = "",
    error_message: str = "",
    error_traceback: str = "",
) -> bool:
    """End a claimed step; False when it is the caller's no more, and then nothing changes.

    Steps that follow from it must be added before: a run with nothing left to do is closed.
    Raises IllegalTransition when ``status`` is none in which a step ends.
    """
    if status not in STEP_FINAL:
        raise IllegalTransition(f"A step does not end as {status}.")
    try:
        run = held(step.execution_id)
    except UnknownExecution:
        return False
    words = texts.cleaned(
        {
            "error_type": error_type,
            "error_message": error_message,
            "error_traceback": error_traceback,
            "reason": reason,
        },
        texts.OF_STEP,
    )
    values = {**words, "status": status, "result_data": texts.document(result_data or {})}
    if run.status in FINAL or not end_step(own(step), now=now, **values):
        return False
    for name, value in values.items():
        setattr(step, name, value)
    failed = status in STEP_FAILED
    note_ended(run, [{**words, "step": step.step_name}] if failed else [], now=now)
    if run.runner and run.steps.filter(status=StepStatus.PENDING).exists():
        # It may have been the last one of its stage.
        wake(run.runner)
    return True


@transaction.atomic
def add_steps(*, execution_id: str, steps: Sequence[PlannedStep], now: datetime) -> int:
    """Add steps to an open run and return how many are new; known names stay as they are.

    Raises UnknownExecution and ExecutionEnded.
    """
    run = held_open(execution_id)
    known = set(run.steps.values_list("step_name", flat=True))
    new = [step for step in steps if step.step_name not in known]
    if not new:
        return 0
    ExecutionStep.objects.bulk_create(planned(run, new))
    write(run, now=now, total_tasks=len(known) + len(new), **heard(run, now))
    if run.runner:
        wake(run.runner)
    return len(new)


@transaction.atomic
def skip_steps(*, execution_id: str, now: datetime, reason: str) -> int:
    """Skip the steps of a run that are still waiting; return how many.

    ``reason`` is a code of at most 50 characters. Raises UnknownExecution and ExecutionEnded.
    """
    run = held_open(execution_id)
    waiting = run.steps.filter(status=StepStatus.PENDING)
    skipped = waiting.update(
        status=StepStatus.SKIPPED, reason=texts.line(reason, 50), timestamp_end=now
    )
    if skipped:
        note_ended(run, [], now=now)
    return int(skipped)
