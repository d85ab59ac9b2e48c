"""Which state may follow which: the one table that every writer asks. Final is final."""

from collections.abc import Mapping

from apps.executions.choices import ExecutionStatus, StepStatus
from apps.shared.errors import DomainError

PENDING, RUNNING = ExecutionStatus.PENDING, ExecutionStatus.RUNNING

# What may follow; a state that is not here is final.
EXECUTION: Mapping[ExecutionStatus, frozenset[ExecutionStatus]] = {
    # A run that never began can still be called off, or turn out to be impossible.
    PENDING: frozenset({RUNNING, ExecutionStatus.FAILED, ExecutionStatus.CANCELLED}),
    RUNNING: frozenset(
        {
            ExecutionStatus.COMPLETED,
            ExecutionStatus.PARTIAL_SUCCESS,
            ExecutionStatus.FAILED,
            ExecutionStatus.CANCELLED,
        }
    ),
}
FINAL = frozenset(ExecutionStatus) - frozenset(EXECUTION)

STEP_OPEN = frozenset({StepStatus.PENDING, StepStatus.RUNNING})
STEP_FINAL = frozenset(StepStatus) - STEP_OPEN
STEP_FAILED = frozenset(status for status in StepStatus if status.value.startswith("FAILED"))


class IllegalTransition(DomainError):
    """The state machine knows no such way."""

    code = "illegal_transition"
    status = 409


def sources(status: ExecutionStatus) -> frozenset[ExecutionStatus]:
    """Return the states from which a run may go into ``status``."""
    return frozenset(before for before, after in EXECUTION.items() if status in after)


def step_sources(status: StepStatus) -> frozenset[StepStatus]:
    """Return the states from which a step may go into ``status``.

    A step may end without having been seen to begin; a final one stays as it is.
    """
    if status == StepStatus.PENDING:
        return frozenset()
    return frozenset({StepStatus.PENDING}) if status == StepStatus.RUNNING else STEP_OPEN


def final_status(
    reported: ExecutionStatus, *, succeeded: int, failed: int, tasks: int
) -> ExecutionStatus:
    """Return how a run ended, by what it says and by its steps.

    A run that says COMPLETED but had failures is a PARTIAL_SUCCESS, or FAILED where nothing
    succeeded; so is one that leaves open some of the ``tasks`` it announced. Every other word is
    taken as it comes: nobody makes himself look worse than he is.
    """
    if reported != ExecutionStatus.COMPLETED:
        return reported
    if not failed and succeeded >= tasks:
        return ExecutionStatus.COMPLETED
    return ExecutionStatus.PARTIAL_SUCCESS if succeeded else ExecutionStatus.FAILED
