"""Our own jobs as executions, where a person would look for them.

Jobs that run by the hour or more seldom are runs that can be watched. Of those that run all the
time only a failure is one, the first of a row: the rest would bury what people look for.
"""

import logging
import socket
import traceback
from datetime import timedelta
from typing import Any

from celery.signals import task_failure, task_postrun, task_prerun
from django.db import DatabaseError, transaction
from django.utils import timezone

from apps.executions.choices import ExecutionStatus
from apps.executions.services.runs import finish, new_execution_id, start_executions
from apps.executions.tracking import Beginning, tracked_execution
from apps.shared.errors import DomainError
from config.celery import SCHEDULE
from config.jobs import failures_in_a_row, interval_of

logger = logging.getLogger(__name__)

SELDOM = timedelta(hours=1)
TRIGGERED_BY = "SCHEDULE"
LEASE_SECONDS = 300
INTERVALS = {entry["task"]: interval_of(entry) for entry in SCHEDULE.values()}
WATCHED = {task for task, interval in INTERVALS.items() if interval >= SELDOM}


def type_of(task: str) -> str:
    """Return the type of a job's runs: the last part of the task's name, in capitals."""
    return task.rpartition(".")[2].upper()[:50]


@task_prerun.connect
def begin(task: Any, **kwargs: Any) -> None:
    """Begin the run of a job that is watched. What goes wrong here is logged and stops nothing."""
    if task.name in WATCHED:
        run = tracked_execution(type_of(task.name), triggered_by=TRIGGERED_BY)
        run.__enter__()
        task.request.run = run


@task_postrun.connect
def end(task: Any, retval: Any, state: str | None, **kwargs: Any) -> None:
    """End the run as the task did."""
    run = getattr(task.request, "run", None)
    error = retval if isinstance(retval, BaseException) else None
    if run is None:
        return
    task.request.run = None
    if error is None:
        run.__exit__(None, None, None)
    # It gives back what it was given: the task has raised it already.
    elif not run.__exit__(type(error), error, error.__traceback__):
        logger.debug("%s ended with %s", task.name, type(error).__name__)


@task_failure.connect
def note_failure(sender: Any, exception: BaseException, **kwargs: Any) -> None:
    """Make an execution of a failure that is the first of a row.

    Also called where a task was ended by force, in the process that did it.
    """
    task = sender.name
    if task in WATCHED or task not in INTERVALS or failures_in_a_row(task) != 1:
        return
    now = timezone.now()
    began = getattr(sender.request, "began_at", now)
    beginning = Beginning(
        execution_id=new_execution_id(type_of(task), now),
        execution_type=type_of(task),
        symbol="",
        symbols=[],
        status=ExecutionStatus.RUNNING,
        timestamp_start=min(began, now),
        total_tasks=0,
        triggered_by=TRIGGERED_BY,
        server_id=socket.gethostname()[:255],
        version="",
        lease_seconds=LEASE_SECONDS,
        metadata={"task": task},
    )
    told = {
        "error_type": type(exception).__name__,
        "error_message": str(exception),
        "traceback": "".join(traceback.format_exception(exception)),
    }
    try:
        with transaction.atomic():
            start_executions([beginning], now=now)
            finish(
                execution_id=beginning.execution_id,
                status=ExecutionStatus.FAILED,
                errors=[told],
                now=now,
            )
    except (DatabaseError, DomainError):
        # The error log tells of it too; a database that is away keeps nothing.
        logger.warning("The failed run of %s was not kept", task, exc_info=True)
