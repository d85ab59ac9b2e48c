"""What a program says of its run before anything happens: who it is, what it will do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from django.conf import settings
from django.db import transaction

from apps.executions.domain.states import FINAL, PENDING, RUNNING
from apps.executions.models import Execution
from apps.executions.services import texts
from apps.executions.services.held import UnknownExecution, held
from apps.shared.correlation import correlation_id
from apps.shared.errors import FieldError
from apps.shared.ingest import Ingested, RowResult, RowStatus, ingest

# What is told once and can be compared whenever it is told again.
DESCRIPTION = ("symbol", "symbols", "triggered_by", "server_id", "version", "metadata")
# What moves, or may be changed, while the run is under way.
MOVING = ("status", "timestamp_start", "total_tasks", "heartbeat_at", "progressed_at")
COLUMNS = ("execution_id", "execution_type", *DESCRIPTION, "lease_seconds", *MOVING)
DEFAULTS = {
    "completed_tasks": [],
    "errors": [],
    "current_operation": "",
    "runner": "",
    "reported_status": "",
    "cancel_requested_by": "",
}


class ExecutionLike(Protocol):
    """What a program says of its run when it starts it."""

    @property
    def execution_id(self) -> str: ...
    @property
    def execution_type(self) -> str: ...
    @property
    def symbol(self) -> str: ...
    @property
    def symbols(self) -> Sequence[str]: ...
    @property
    def status(self) -> str: ...
    @property
    def timestamp_start(self) -> datetime | None: ...
    @property
    def total_tasks(self) -> int: ...
    @property
    def triggered_by(self) -> str: ...
    @property
    def server_id(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def lease_seconds(self) -> int: ...
    @property
    def metadata(self) -> Mapping[str, Any]: ...


@transaction.atomic
def start_executions(rows: Sequence[ExecutionLike], *, now: datetime) -> Ingested:
    """Store runs that begin (RUNNING) or wait (PENDING) and say what became of each row.

    A run that is known with the same content is *unchanged*, whatever it has done since; with
    other content it is *failed*, its fields named. No state is ever moved by this. What a run may
    change later, ``total_tasks``, is not compared, nor a start that is not told.
    """
    outcome = Ingested()
    places, values = [], []
    for place, row in enumerate(rows):
        if errors := faults(row, now=now):
            outcome.fail(place, errors)
        else:
            places.append(place)
            values.append(columns_of(row, now=now))
    cause = correlation_id.get()[:100]
    stored = ingest(
        Execution,
        values,
        columns=COLUMNS,
        key=["execution_id"],
        on_conflict="refuse",
        defaults={**DEFAULTS, "correlation_id": cause},
    )
    forgive(stored, [rows[place] for place in places])
    outcome.merge(stored, places)
    outcome.sort()
    return outcome


def faults(row: ExecutionLike, *, now: datetime) -> list[FieldError]:
    """Return what cannot be in a row."""
    errors = []
    if row.status not in (PENDING, RUNNING):
        message = "A run starts as PENDING or RUNNING; it ends by being finished."
        errors.append(FieldError("/status", "not_a_start", message))
    if row.timestamp_start is not None:
        if row.status == PENDING:
            message = "A run that waits has not started."
            errors.append(FieldError("/timestamp_start", "not_started", message))
        elif row.timestamp_start > now + settings.CLOCK_TOLERANCE:
            errors.append(FieldError("/timestamp_start", "in_future", "Lies in the future."))
    for name in ("execution_id", "execution_type"):
        if not getattr(row, name):
            errors.append(FieldError(f"/{name}", "empty", "Must not be empty."))
    if row.lease_seconds < 1:
        errors.append(FieldError("/lease_seconds", "out_of_range", "Must be 1 or greater."))
    return errors


def columns_of(row: ExecutionLike, *, now: datetime) -> tuple[Any, ...]:
    """Return the values of a new run, in the order of ``COLUMNS``."""
    begun = row.status == RUNNING
    values = {
        "execution_id": row.execution_id,
        "execution_type": row.execution_type,
        **described(row),
        "lease_seconds": row.lease_seconds,
        "status": row.status,
        "timestamp_start": (row.timestamp_start or now) if begun else None,
        "total_tasks": row.total_tasks,
        "heartbeat_at": now if begun else None,
        "progressed_at": now if begun else None,
    }
    return tuple(values[name] for name in COLUMNS)


def described(row: ExecutionLike) -> dict[str, Any]:
    """Return the description of a run as it is stored."""
    return {
        "symbol": row.symbol,
        "symbols": list(row.symbols),
        "triggered_by": row.triggered_by,
        "server_id": row.server_id,
        "version": row.version,
        "metadata": texts.document(row.metadata),
    }


def forgive(stored: Ingested, rows: Sequence[ExecutionLike]) -> None:
    """Take back the refusal of rows that differ only in what their runs have done since."""
    for result in stored.results:
        if result.status is RowStatus.FAILED:
            result.errors = [error for error in result.errors if differs(error, rows[result.index])]
            if not result.errors:
                turn(stored, result)


def differs(error: FieldError, row: ExecutionLike) -> bool:
    """Whether a difference is one of content."""
    name = error.pointer.removeprefix("/")
    if name == "timestamp_start":
        return row.timestamp_start is not None
    # Said to run while the stored one waits is another content; the way back is life.
    return name not in MOVING


def turn(stored: Ingested, result: RowResult) -> None:
    """Make a refused row an unchanged one."""
    result.status = RowStatus.UNCHANGED
    stored.count(RowStatus.FAILED, -1)
    stored.count(RowStatus.UNCHANGED, 1)


@transaction.atomic
def describe_execution(row: ExecutionLike, *, now: datetime) -> Ingested:
    """Replace what describes a run; create the run where it is unknown.

    Takes symbol, symbols, triggered_by, server_id, version and metadata, and, while the run is
    open, lease_seconds and total_tasks (those of our own runs are counted from their steps). Its
    state and times are not touched; another ``execution_type`` is *failed*.
    """
    try:
        run = held(row.execution_id)
    except UnknownExecution:
        return start_executions([row], now=now)
    outcome = Ingested()
    if row.execution_type != run.execution_type:
        message = "Differs from the stored value, and cannot be changed."
        outcome.fail(0, [FieldError("/execution_type", "differs", message)])
        return outcome
    values = described(row)
    if run.status not in FINAL:
        values["lease_seconds"] = row.lease_seconds
        if not run.runner:
            values["total_tasks"] = row.total_tasks
    if all(getattr(run, name) == value for name, value in values.items()):
        outcome.note(0, RowStatus.UNCHANGED)
        return outcome
    Execution.objects.filter(pk=run.pk).update(**values, updated_at=now)
    outcome.note(0, RowStatus.REPLACED)
    return outcome
