"""The work of retention: the steps of planned runs, by one worker at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import pglock
from django.db import OperationalError, transaction
from django.db.models import Sum

from apps.executions.choices import StepStatus
from apps.executions.models import ExecutionStep
from apps.executions.services.work import (
    claim_step,
    close_runs,
    finish_step,
    note_use,
    release_step,
    skip_steps,
)
from apps.executions.tracking import Meter
from apps.retention.models import Archive
from apps.retention.services.archiving import archive_rows
from apps.retention.services.emptying import (
    delete_batches,
    empty_earlier,
    empty_own,
    rejoin_lost_months,
)
from apps.retention.services.outcomes import fail, note_cancelled, note_done
from apps.retention.services.previews import told
from apps.retention.services.runs import ARCHIVE, COUNT, DELETE, PLAN, RUNNER
from apps.retention.services.turns import (
    Clock,
    InTheWay,
    OutOfTime,
    ToldToStop,
    Turn,
    lease,
    turn_of,
)
from apps.shared.errors import DomainError
from apps.shared.partitions import detached_months
from apps.shared.retention.selecting import guard, plan

__all__ = ["RUNNER", "work"]

logger = logging.getLogger(__name__)

# One message works for so long and makes way for others.
WORK_FOR: Final = timedelta(seconds=5)
LOCK: Final = "retention.work"
NOTHING_LEAVES: Final = "nothing_leaves"


def work(*, clock: Clock, joined: Callable[[], None]) -> int:
    """Do steps that are due, for a few seconds; return how many were of any use.

    One worker at a time: who finds another at it does nothing. ``joined`` is called after each
    claim. A step that readers hold up is of no use: to look again at once would find them still.
    """
    with pglock.advisory(LOCK, timeout=0) as mine:
        return work_alone(clock, joined) if mine else 0


def work_alone(clock: Clock, joined: Callable[[], None]) -> int:
    began, useful = clock(), 0
    while clock() - began < WORK_FOR:
        step = claim_step(runner=RUNNER, now=clock(), lease=lease())
        if step is None:
            break
        joined()
        meter = Meter()
        of_use = perform(step, clock)
        note_use(step=step, report=meter.report(), now=clock())
        if not of_use:
            break
        useful += 1
    close_runs(now=clock(), runner=RUNNER)
    try:
        rejoin_lost_months()
    except OperationalError as error:
        logger.warning("A month is not put back yet: %s", error)
    return useful


def perform(step: ExecutionStep, clock: Clock) -> bool:
    """Do one claimed step and note how it went; False where others are in its way."""
    try:
        turn = turn_of(step, clock)
        result = STEPS[step.step_name](turn)
        finish(turn, result)
    except OutOfTime:
        release_step(step=step, now=clock())
    except InTheWay:
        release_step(step=step, now=clock())
        return False
    except ToldToStop:
        # A step that is not ours any more is left as it is.
        with transaction.atomic():
            if finish_step(
                step=step,
                status=StepStatus.CANCELLED,
                result_data=step.result_data,
                now=clock(),
            ):
                note_cancelled(step, now=clock())
    except DomainError as refusal:
        logger.warning("Step %s is refused: %s", step, refusal.message)
        fail(step, refusal, now=clock())
    except Exception as error:
        logger.exception("Step %s failed", step)
        fail(step, error, now=clock())
    return True


@transaction.atomic
def finish(turn: Turn, result: dict[str, Any]) -> None:
    """End a step that is done; with the last one the policy is told how its run went."""
    now = turn.clock()
    nothing = turn.step.step_name == PLAN and result["nothing"]
    if nothing:
        skip_steps(execution_id=turn.run.pk, reason=NOTHING_LEAVES, now=now)
    done = finish_step(
        step=turn.step, status=StepStatus.SUCCESS, result_data=turn.noted | result, now=now
    )
    if done and (nothing or turn.step.step_name == COUNT):
        note_done(turn, rows=result.get("freed", 0), now=now)


def plan_rows(turn: Turn) -> dict[str, Any]:
    """Count what leaves and what stays. Where nothing leaves, there is nothing more to do."""
    guard(turn.rule, turn.now)
    planned = plan(turn.rule, turn.now)
    earlier = Archive.objects.filter(dataset=planned.dataset).unfinished()
    unfinished = earlier.exclude(execution=turn.run).count()
    # What stands beside its table was not counted.
    declared = turn.rule.dataset
    apart = detached_months(declared.table) if declared.monthly else []
    nothing = not (planned.rows or planned.months or unfinished or apart)
    turn.say("nothing is to leave" if nothing else f"{planned.rows:,} rows are to leave")
    return told(planned) | {"unfinished_archives": unfinished, "nothing": nothing}


def archive(turn: Turn) -> dict[str, Any]:
    """Empty what died half-way, then write what leaves to archives."""
    empty_earlier(turn)
    archive_rows(turn)
    own = Archive.objects.filter(execution=turn.run)
    found = own.aggregate(rows=Sum("rows"), bytes=Sum("bytes"))
    return {
        "archives": own.count(),
        "rows": found["rows"] or 0,
        "bytes": found["bytes"] or 0,
    }


def delete(turn: Turn) -> dict[str, Any]:
    """Let leave what is archived, or what need not be."""
    policy: dict[str, Any] = turn.run.metadata["policy"]
    if policy["archive"]:
        empty_own(turn)
        found = Archive.objects.filter(execution=turn.run).aggregate(left=Sum("left_rows"))
        return {"rows": found["left"] or 0}
    # What an earlier run has archived leaves by its archive.
    empty_earlier(turn)
    delete_batches(turn)
    return {"rows": turn.noted.get("deleted", 0)}


def count(turn: Turn) -> dict[str, Any]:
    """Count again, and tell what the run has come to against its plan."""
    after = plan(turn.rule, turn.now)
    steps = {step.step_name: step.result_data for step in turn.run.steps.all()}
    earlier = sum(steps[name].get("earlier_rows", 0) for name in (ARCHIVE, DELETE) if name in steps)
    own = Archive.objects.filter(execution=turn.run)
    return {
        # Rows of all tables that have left by this run, those of earlier archives among them.
        "freed": steps[DELETE]["rows"] + earlier,
        "earlier": earlier,
        "stayed": sum(len(stayed) for stayed in own.values_list("stayed", flat=True)),
        "planned": turn.planned["rows"],
        # Rows of the dataset itself that would still leave, and how many fewer these are.
        "remaining": after.rows,
        "fewer": turn.planned["rows"] - after.rows,
        "kept": {each.name: each.rows for each in after.exempt},
    }


STEPS: dict[str, Callable[[Turn], dict[str, Any]]] = {
    PLAN: plan_rows,
    ARCHIVE: archive,
    DELETE: delete,
    COUNT: count,
}
