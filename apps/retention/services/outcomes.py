"""How a run ended: in its policy, in its execution, and to staff where it failed."""

from __future__ import annotations

import errno
import traceback
from datetime import datetime
from typing import Final

from django.contrib.admin.utils import quote
from django.db import transaction

from apps.executions.choices import ExecutionStatus, StepStatus
from apps.executions.models import Execution, ExecutionStep
from apps.executions.services.runs import finish
from apps.executions.services.work import finish_step
from apps.logs.choices import NotificationLevel
from apps.logs.services.notifications import notify
from apps.retention.choices import ArchiveStatus
from apps.retention.models import Archive, RetentionPolicy
from apps.retention.services.emptying import FoundDamaged
from apps.retention.services.turns import Turn
from apps.shared.errors import DomainError

FAILED: Final = "retention_failed"
DAMAGED: Final = "archive_damaged"
NO_ROOM: Final = "no_room"
MOST_WORDS: Final = 500


def note_done(turn: Turn, *, rows: int, now: datetime) -> None:
    """Note in the policy what its run has freed: rows of all tables, bytes as they were planned."""
    planned = turn.planned if rows else {"bytes": 0}
    RetentionPolicy.objects.filter(dataset=turn.rule.dataset.name).update(
        last_run=turn.run,
        last_run_at=now,
        last_rows=rows,
        last_bytes=planned["bytes"],
        last_error="",
        updated_at=now,
    )


def note_cancelled(step: ExecutionStep, *, now: datetime) -> None:
    """Note in the policy that its run was called off."""
    by = Execution.objects.get(pk=step.execution_id).cancel_requested_by
    note_error(step, f"Called off by {by}." if by else "Called off.", now=now)


def note_error(step: ExecutionStep, words: str, *, now: datetime) -> None:
    run = step.execution
    RetentionPolicy.objects.filter(dataset=run.metadata["dataset"]).update(
        last_run=run,
        last_run_at=now,
        last_rows=left_rows(step),
        last_bytes=None,
        last_error=words[:MOST_WORDS],
        updated_at=now,
    )


def left_rows(step: ExecutionStep) -> int:
    """Return how many rows of all tables a run that did not come to its end has freed."""
    run = step.execution
    own: int = sum(Archive.objects.filter(execution=run).values_list("left_rows", flat=True))
    noted = run.steps.values_list("result_data", flat=True)
    return own + sum(
        int(each.get("earlier_rows", 0)) + int(each.get("deleted", 0)) for each in noted
    )


@transaction.atomic
def fail(step: ExecutionStep, error: Exception, *, now: datetime) -> None:
    """End a step and its run as FAILED, and tell staff: what follows from the step is not done."""
    words = reason_of(error)
    refused = isinstance(error, DomainError)
    ended = finish_step(
        step=step,
        status=StepStatus.FAILED,
        # What earlier turns have noted counts.
        result_data=ExecutionStep.objects.get(pk=step.pk).result_data,
        reason=code_of(error),
        error_type=type(error).__qualname__,
        error_message=words,
        error_traceback="" if refused else "".join(traceback.format_exception(error)),
        now=now,
    )
    if isinstance(error, FoundDamaged):
        mark_damaged(error.archive, words, now=now)
    if not ended:
        return
    run = step.execution
    finish(execution_id=run.pk, status=ExecutionStatus.FAILED, now=now)
    note_error(step, words, now=now)
    notify(
        what=FAILED,
        level=NotificationLevel.WARNING,
        subject=f"Retention failed: {run.metadata['dataset']}",
        message=words,
        link=f"/admin/executions/execution/{quote(run.pk)}/change/",
        dedupe_key=f"{FAILED}:{run.pk}",
        now=now,
    )


def mark_damaged(archive: Archive, words: str, *, now: datetime) -> None:
    """Mark an archive as damaged, and tell staff. Nothing of it is touched any more."""
    # Where the transaction that found it was rolled back, the row here is ahead of the table.
    archive.refresh_from_db()
    archive.status, archive.note = ArchiveStatus.DAMAGED, words[:MOST_WORDS]
    archive.save(update_fields=["status", "note"])
    gone = f"{archive.left_rows:,} of its {archive.rows:,} rows have left the database already."
    notify(
        what=DAMAGED,
        level=NotificationLevel.CRITICAL,
        subject=f"Damaged archive: {archive.path}",
        message=f"{words} {gone if archive.left_rows else 'None of its rows has left.'}",
        link=f"/admin/retention/archive/{archive.pk}/change/",
        dedupe_key=f"{DAMAGED}:{archive.pk}",
        now=now,
    )


def code_of(error: Exception) -> str:
    """Return why a step failed, as a code; empty where nobody foresaw it."""
    if isinstance(error, DomainError):
        return error.code
    return NO_ROOM if is_full(error) else ""


def reason_of(error: Exception) -> str:
    """Return why a step failed, in words for staff."""
    if isinstance(error, DomainError):
        return error.message
    if is_full(error):
        return "The disk of the archives is full; nothing of this part has left."
    if isinstance(error, OSError) and error.strerror:
        return f"The archives cannot be written or read: {error.strerror.lower()}."
    return str(error) or type(error).__qualname__


def is_full(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
