"""How a step of a symbol's addition ends."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from apps.analysis.models import Analysis
from apps.executions.choices import StepStatus
from apps.executions.models import ExecutionStep
from apps.executions.services.work import finish_step

Clock = Callable[[], datetime]


class Released(Exception):
    """The step is somebody else's by now, or waits for its next turn."""


class ToldToStop(Exception):
    """Somebody wishes the run to end, or the step is somebody else's by now."""


class StepFailed(Exception):
    """A step that cannot succeed, and why; it is no fault of ours."""

    def __init__(self, status: StepStatus, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


def finish(step: ExecutionStep, now: datetime, result: Mapping[str, Any]) -> None:
    """End a step well, inside the transaction that stores its work; raise Released if it is
    not ours any more, so that nothing of it is stored."""
    if not finish_step(step=step, status=StepStatus.SUCCESS, now=now, result_data=result):
        raise Released


def of_step(step: ExecutionStep) -> QuerySet[Analysis]:
    """Return the analysis that a step fills."""
    return Analysis.objects.filter(
        execution_id=step.execution_id,
        symbol=step.execution.symbol,
        timeframe=step.parameters["timeframe"],
        config=step.parameters["label"],
    )
