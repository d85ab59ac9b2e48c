"""Doing the steps of a symbol's addition: who is due, how it ended, what is left."""

import logging
import traceback
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction

from apps.analysis.choices import AnalysisStatus
from apps.analysis.domain.symbols import FailReason, SymbolRefused
from apps.analysis.models import Analysis
from apps.analysis.services.analyses import rank_run
from apps.analysis.services.symbol_additions import (
    BACKTEST,
    DATA_FETCH,
    RESULT_SAVE,
    RUNNER,
    TYPE,
)
from apps.analysis.services.symbol_candles import fetch_data
from apps.analysis.services.symbol_outcomes import (
    Clock,
    Released,
    StepFailed,
    ToldToStop,
    finish,
    of_step,
)
from apps.analysis.services.symbol_tryouts import try_strategy
from apps.executions.choices import StepStatus
from apps.executions.domain.states import FINAL
from apps.executions.models import ExecutionStep
from apps.executions.services.work import (
    claim_step,
    close_runs,
    finish_step,
    note_use,
    skip_steps,
)
from apps.executions.tracking import Meter
from apps.shared.errors import DomainError

logger = logging.getLogger(__name__)

# One message works for so long and makes way for others; a fetch goes on with the next one.
WORK_FOR: Final = timedelta(seconds=5)
NO_DATA: Final = "no_data"


def work(*, clock: Clock, joined: Callable[[], None]) -> int:
    """Do steps that are due, for a few seconds; return how many were taken up.

    ``joined`` is called after each claim: whoever has something to do calls others to help. Runs
    that have nothing left to do are ended. May run many times at once.
    """
    began, taken = clock(), 0
    while clock() - began < WORK_FOR:
        step = claim_step(runner=RUNNER, now=clock(), lease=settings.STEP_LEASE)
        if step is None:
            break
        taken += 1
        joined()
        meter = Meter()
        perform(step, clock)
        note_use(step=step, report=meter.report(), now=clock())
    close_runs(now=clock(), runner=RUNNER)
    leave_nothing_open(now=clock())
    return taken


def perform(step: ExecutionStep, clock: Clock) -> None:
    """Do one claimed step and note how it went."""
    kind = step.parameters["kind"]
    try:
        if kind != DATA_FETCH:
            check_fetched(step, clock())
        STEPS[kind](step, clock)
    except Released:
        return
    except ToldToStop:
        # A step that is not ours any more is left as it is.
        finish_step(step=step, status=StepStatus.CANCELLED, now=clock())
    except StepFailed as failure:
        fail(step, clock(), failure.status, failure.reason, str(failure))
    except SymbolRefused as refusal:
        status = StepStatus.FAILED_INSUFFICIENT_DATA
        fail(step, clock(), status, refusal.reason.value, refusal.message)
    except DomainError as refusal:
        status = StepStatus.FAILED_INSUFFICIENT_CONFIG
        fail(step, clock(), status, refusal.code, refusal.message)
    except Exception as error:
        # One strategy that breaks must not keep the others from being tried out.
        logger.exception("Step %s failed", step)
        fail(step, clock(), StepStatus.FAILED, "", str(error), error)


def check_fetched(step: ExecutionStep, now: datetime) -> None:
    """Leave out all that is left of a run that has no candles to work on; raise Released then.

    A fetch that fails does so itself; one that cost its workers their lives could not.
    """
    fetched = step.execution.steps.filter(step_name=DATA_FETCH, status=StepStatus.SUCCESS)
    if fetched.exists():
        return
    with transaction.atomic():
        if finish_step(step=step, status=StepStatus.SKIPPED, reason=NO_DATA, now=now):
            skip_steps(execution_id=step.execution_id, now=now, reason=NO_DATA)
    raise Released


def fail(
    step: ExecutionStep,
    now: datetime,
    status: StepStatus,
    reason: str,
    message: str,
    error: Exception | None = None,
) -> None:
    """End a step as failed, and with it what cannot go on without it."""
    with transaction.atomic():
        ended = finish_step(
            step=step,
            status=status,
            reason=reason,
            error_type=type(error).__qualname__ if error else "",
            error_message=message,
            error_traceback="".join(traceback.format_exception(error)) if error else "",
            now=now,
        )
        if not ended:
            return
        if step.parameters["kind"] == DATA_FETCH:
            skip_steps(execution_id=step.execution_id, now=now, reason=reason or NO_DATA)
        if step.parameters["kind"] == BACKTEST:
            of_step(step).update(
                status=AnalysisStatus.FAILED, error_message=message, updated_at=now
            )


def leave_nothing_open(*, now: datetime) -> None:
    """Close the analyses of runs that ended without them: cancelled, lost, without data."""
    waiting = [AnalysisStatus.PENDING, AnalysisStatus.RUNNING]
    Analysis.objects.filter(
        status__in=waiting,
        execution__execution_type=TYPE,
        execution__status__in=[status.value for status in FINAL],
    ).update(status=AnalysisStatus.SKIPPED, updated_at=now)


def save_results(step: ExecutionStep, clock: Clock) -> None:
    """Rank what the run has tried out."""
    with transaction.atomic():
        ranked = rank_run(execution_id=step.execution_id)
        analyses = Analysis.objects.filter(execution_id=step.execution_id)
        done = [AnalysisStatus.COMPLETED, AnalysisStatus.NO_SIGNAL]
        if not analyses.filter(status__in=done).exists():
            raise StepFailed(
                StepStatus.FAILED_INSUFFICIENT_DATA,
                FailReason.INSUFFICIENT_HISTORICAL_DATA.value,
                "No strategy could be tried out.",
            )
        best = analyses.filter(ranking=1).first()
        finish(
            step,
            clock(),
            {
                "symbol": step.execution.symbol,
                "ranking_entries_created": ranked,
                "best": {"analysis": best.pk, "config": best.config} if best else None,
            },
        )


STEPS: Mapping[str, Callable[[ExecutionStep, Clock], None]] = {
    DATA_FETCH: fetch_data,
    BACKTEST: try_strategy,
    RESULT_SAVE: save_results,
}
