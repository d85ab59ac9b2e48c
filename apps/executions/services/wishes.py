"""What staff ask of runs: to end, and to be done once more."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from apps.executions.choices import ExecutionStatus
from apps.executions.domain.states import FINAL, PENDING, IllegalTransition
from apps.executions.models import Execution, ExecutionStep
from apps.executions.services.held import end, held, write
from apps.shared.correlation import correlation_id
from apps.shared.errors import Conflict
from apps.shared.wakeups import wake

WATCH = "apps.executions.tasks.watch_executions"
PERSON = 150


@transaction.atomic
def request_cancel(rows: QuerySet[Execution], /, *, by: str, now: datetime) -> int:
    """Wish these runs to end; return how many were asked for the first time.

    A waiting run ends at once; a running one sees the wish and ends by itself, one of ours as
    soon as none of its steps is being worked on. A final one is left alone.
    """
    asked = 0
    # In one order, so that two of these never wait for each other in a circle.
    wanted = Execution.objects.filter(pk__in=rows.order_by().values("pk")).unfinished()
    for run in wanted.order_by("pk").select_for_update(no_key=True):
        if run.cancel_requested_at is not None:
            continue
        asked += 1
        wish: dict[str, Any] = {"cancel_requested_at": now, "cancel_requested_by": by[:PERSON]}
        if run.status == PENDING:
            end(run, ExecutionStatus.CANCELLED, now=now, **wish)
        else:
            write(run, now=now, **wish)
            if run.runner:
                wake(WATCH)
    return asked


def retry(rows: QuerySet[Execution], /, *, by: str, now: datetime) -> int:
    """Make a new run of each of these that is final; return how many."""
    final = rows.order_by().filter(status__in=FINAL).values_list("pk", flat=True)
    made = [retry_execution(execution_id=pk, by=by, now=now) for pk in sorted(final)]
    return len(made)


@transaction.atomic
def retry_execution(*, execution_id: str, by: str, now: datetime, new_id: str = "") -> Execution:
    """Make a new, waiting run like a final one, pointing to it.

    It takes over type, symbols, runner, lease and metadata; for a run of ours also the steps,
    all of them waiting again. Workers of its runner are woken. The same ``new_id`` again gives
    the run that was made. Raises UnknownExecution, IllegalTransition for a run that is not final,
    Conflict when ``new_id`` is another run's.
    """
    old = held(execution_id)
    if new_id and (known := Execution.objects.filter(pk=new_id).first()):
        if known.retry_of_id != old.pk:
            raise Conflict("This id belongs to another execution.", ["execution_id"])
        return known
    if old.status not in FINAL:
        raise IllegalTransition(f"An execution that is {old.status} cannot be retried.")
    steps = list(old.steps.order_by("stage", "pk")) if old.runner else []
    new = Execution.objects.create(
        execution_id=new_id or new_execution_id(old.execution_type, now),
        execution_type=old.execution_type,
        symbol=old.symbol,
        symbols=old.symbols,
        runner=old.runner,
        lease_seconds=old.lease_seconds,
        metadata=old.metadata,
        total_tasks=len(steps) if old.runner else old.total_tasks,
        triggered_by=by[:PERSON],
        retry_of=old,
        correlation_id=correlation_id.get()[:100],
    )
    ExecutionStep.objects.bulk_create(
        ExecutionStep(
            execution=new,
            step_name=step.step_name,
            stage=step.stage,
            parameters=step.parameters,
        )
        for step in steps
    )
    if new.runner:
        wake(new.runner)
    return new


def new_execution_id(execution_type: str, now: datetime) -> str:
    """Return a fresh id: ``symbol_addition_20260302_120000_1a2b3c4d``."""
    return f"{execution_type.lower()}_{now:%Y%m%d_%H%M%S}_{uuid.uuid4().hex[:8]}"
