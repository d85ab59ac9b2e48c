"""The end of our own work: runs with nothing left to do, and steps that lost their worker."""

from __future__ import annotations

from datetime import datetime

from django.db import connection, transaction

from apps.executions.choices import ExecutionStatus, StepStatus
from apps.executions.domain.states import PENDING, STEP_OPEN, final_status
from apps.executions.models import Execution, ExecutionStep
from apps.executions.services.held import end, end_step, held_open, note_ended, tallied
from apps.shared.errors import DomainError

# A step that has cost so many workers their lives is not given to another one.
MOST_ATTEMPTS = 3
WORKER_LOST = "WorkerLost"

# Nothing is left to do, or nothing shall be done any more and nobody is at it.
CLOSABLE = """
SELECT e.execution_id FROM execution_logs e
WHERE NOT (e.runner = '') AND e.status IN ('PENDING', 'RUNNING')
  AND (%(runner)s = '' OR e.runner = %(runner)s)
  AND NOT EXISTS (
    SELECT 1 FROM execution_steps s
    WHERE s.execution_id = e.execution_id
      AND (s.status = 'RUNNING' OR (s.status = 'PENDING' AND e.cancel_requested_at IS NULL))
  )
ORDER BY e.created_at, e.execution_id
"""


def close_runs(*, now: datetime, runner: str = "") -> int:
    """End the runs of ours that have nothing left to do; return how many.

    How they ended follows from their steps. A run that somebody wishes to cancel ends as
    CANCELLED as soon as none of its steps is being worked on, unless all of them were done.
    """
    with connection.cursor() as cursor:
        cursor.execute(CLOSABLE, {"runner": runner})
        found = [pk for (pk,) in cursor.fetchall()]
    return sum(close_run(pk, now=now) for pk in found)


@transaction.atomic
def close_run(execution_id: str, *, now: datetime) -> bool:
    """End one run of ours if it still has nothing left to do."""
    try:
        run = held_open(execution_id)
    except DomainError:
        return False
    left = set(run.steps.filter(status__in=STEP_OPEN).values_list("status", flat=True))
    wished = run.cancel_requested_at is not None
    if StepStatus.RUNNING in left or (left and not wished):
        return False
    cancelled = run.steps.filter(status=StepStatus.CANCELLED).exists()
    end(run, outcome_of(run, called_off=bool(left) or cancelled), now=now)
    return True


def outcome_of(run: Execution, *, called_off: bool) -> ExecutionStatus:
    """Return how a held run of ours ends, by its steps."""
    # Every step of a run that never began was skipped: nothing was done, and nothing failed.
    if called_off or run.status == PENDING:
        return ExecutionStatus.CANCELLED
    counted = tallied(run)
    return final_status(
        ExecutionStatus.COMPLETED,
        succeeded=counted.succeeded,
        failed=counted.failed,
        tasks=counted.expected,
    )


def give_back_steps(*, now: datetime) -> int:
    """Give steps whose lease has run out to other workers; return how many.

    One that has been taken up ``MOST_ATTEMPTS`` times has failed, with WorkerLost as its error;
    one of a run that somebody wishes to cancel is cancelled.
    """
    gone = ExecutionStep.objects.filter(leased_until__lt=now, status=StepStatus.RUNNING)
    return sum(
        give_back(pk, step, now=now)
        for pk, step in gone.order_by("leased_until", "pk").values_list("execution_id", "pk")
    )


@transaction.atomic
def give_back(execution_id: str, pk: int, *, now: datetime) -> bool:
    """Give back one step, if its lease has still run out."""
    try:
        run = held_open(execution_id)
    except DomainError:
        return False
    stored = run.steps.filter(pk=pk, leased_until__lt=now, status=StepStatus.RUNNING)
    step = stored.first()
    if step is None:
        return False
    if run.cancel_requested_at is not None:
        end_step(stored, now=now, status=StepStatus.CANCELLED)
    elif step.attempt >= MOST_ATTEMPTS:
        error = {
            "error_type": WORKER_LOST,
            "error_message": f"Its worker was lost {step.attempt} times.",
        }
        end_step(stored, now=now, status=StepStatus.FAILED, **error)
        note_ended(run, [{**error, "step": step.step_name}], now=now)
    else:
        stored.update(status=StepStatus.PENDING, timestamp_start=None, leased_until=None)
    return True
