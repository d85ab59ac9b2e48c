"""Building features: the steps of planned runs, done by whichever worker claims them.

Runs are planned in ``planning``; its functions are also found here.
"""

import logging
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import connection

from apps.executions.choices import StepStatus
from apps.executions.models import ExecutionStep
from apps.executions.services.runs import ProgressReport, report_progress
from apps.executions.services.work import (
    claim_step,
    close_runs,
    finish_step,
    keep_step,
    note_use,
    release_step,
)
from apps.executions.tracking import Meter
from apps.market.services.features.outcome import Outcome
from apps.market.services.features.planning import (
    ADVANCE,
    ANEW,
    RUNNER,
    TYPE,
    NotComputedHere,
    NothingToBuild,
    plan_build,
    request_build,
)
from apps.market.services.features.rebuilding import rebuild_series
from apps.market.services.features.stepping import advance_series
from apps.shared.errors import DomainError

__all__ = [
    "RUNNER",
    "TYPE",
    "NotComputedHere",
    "NothingToBuild",
    "plan_build",
    "request_build",
    "work",
]

logger = logging.getLogger(__name__)

# One message works for so long and makes way for others; a step that takes longer goes on with
# the next one.
WORK_FOR: Final = timedelta(seconds=5)
STEP_FOR: Final = timedelta(seconds=45)
MOST_SHOWN: Final = 3

DONE = """
SELECT coalesce(sum((result_data ->> 'series')::int), 0),
    coalesce(sum((result_data ->> 'rows')::bigint), 0)
FROM execution_steps WHERE execution_id = %(id)s AND result_data ? 'series'
"""

Clock = Callable[[], datetime]


class ToldToStop(Exception):
    """Somebody wishes the run to end, or the step is somebody else's by now."""


class OutOfTime(Exception):
    """The step has taken its share of time: it goes on with the next message."""


def work(*, clock: Clock, joined: Callable[[], None]) -> int:
    """Do steps that are due, for a few seconds; return how many were of any use.

    ``joined`` is called after each claim: whoever has something to do calls others to help. May
    run many times at once. A step whose series are all being written by somebody else is of no
    use: to look again at once would find them so again.
    """
    began, useful = clock(), 0
    while clock() - began < WORK_FOR:
        step = claim_step(runner=RUNNER, now=clock(), lease=settings.STEP_LEASE)
        if step is None:
            break
        joined()
        meter = Meter()
        useful += perform(step, clock)
        note_use(step=step, report=meter.report(), now=clock())
    close_runs(now=clock(), runner=RUNNER)
    return useful


def perform(step: ExecutionStep, clock: Clock) -> bool:
    """Do one claimed step and note how it went; return whether anything came of it."""
    try:
        outcome = built(step, clock)
    except OutOfTime:
        release_step(step=step, now=clock())
    except ToldToStop:
        # A step that is not ours any more is left as it is.
        finish_step(step=step, status=StepStatus.CANCELLED, now=clock())
    except Exception as error:
        logger.exception("Step %s failed", step)
        finish_step(
            step=step,
            status=StepStatus.FAILED,
            error_type=type(error).__qualname__,
            error_message=str(error),
            error_traceback="".join(traceback.format_exception(error)),
            now=clock(),
        )
    else:
        tell(step, outcome, clock())
        finish_step(step=step, now=clock(), result_data=outcome.told(), **ending(outcome))
        return bool(outcome.series or outcome.failed)
    return True


def built(step: ExecutionStep, clock: Clock) -> Outcome:
    """Bring the series of a step up to date. Raises OutOfTime, ToldToStop."""
    kind, ids = step.parameters["kind"], step.parameters["series"]
    now, run = clock(), step.execution_id
    if kind == ADVANCE:
        return advance_series(ids, now=now, execution_id=run)

    def told(outcome: Outcome) -> None:
        if not keep_step(step=step, now=clock(), lease=settings.STEP_LEASE):
            raise ToldToStop
        tell(step, outcome, clock())
        if clock() - now > STEP_FOR:
            raise OutOfTime

    return rebuild_series(ids, now=now, execution_id=run, anew=kind == ANEW, told=told)


def ending(outcome: Outcome) -> dict[str, Any]:
    """Return how a step ends: as failed where a series did; the others stay built."""
    if not outcome.failed:
        return {"status": StepStatus.SUCCESS}
    named = [f"{name}: {error}" for name, error in list(outcome.failed.items())[:MOST_SHOWN]]
    if len(outcome.failed) > MOST_SHOWN:
        named.append(f"and {len(outcome.failed) - MOST_SHOWN} more")
    return {
        "status": StepStatus.FAILED,
        "reason": "series_failed",
        "error_message": "; ".join(named),
    }


def tell(step: ExecutionStep, outcome: Outcome, now: datetime) -> None:
    """Say in the run how many of its series are done, and by how many rows."""
    with connection.cursor() as cursor:
        cursor.execute(DONE, {"id": step.execution_id})
        series, rows = cursor.fetchone()
    total = step.execution.metadata.get("series", 0)
    report = ProgressReport(
        current_operation=f"{series + outcome.series:,} of {total:,} series, "
        f"{rows + outcome.rows:,} rows"
    )
    try:
        report_progress(execution_id=step.execution_id, report=report, now=now)
    except DomainError as error:
        logger.debug("%s takes no report: %s", step.execution_id, error.message)
