"""How far a run is: counted from what it has gone through, never estimated."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_DOWN, Decimal
from typing import Any, NamedTuple

from apps.executions.choices import ExecutionStatus, StepStatus
from apps.executions.domain.states import STEP_FAILED

HUNDRED = Decimal(100)
HUNDREDTH = Decimal("0.01")
# A run that has gone through everything may still have to tidy up: only its end is 100.
MOST_WHILE_RUNNING = Decimal(99)
# Of a long list of errors the first tell the cause and the last the end.
FIRST_ERRORS, LAST_ERRORS = 100, 100


class Tally(NamedTuple):
    """What a run has gone through, each task by its name and counted once."""

    tasks: int  # announced, or known by their names where those are more
    announced: bool
    succeeded: int
    failed: int
    skipped: int

    @property
    def gone_through(self) -> int:
        """How many are over, however they went."""
        return self.succeeded + self.failed + self.skipped

    @property
    def expected(self) -> int:
        """How many must have succeeded for the run to be complete."""
        return self.tasks - self.skipped


def tally(
    steps: Iterable[tuple[str, str]], *, completed_tasks: Iterable[str], total_tasks: int
) -> Tally:
    """Count the tasks of a run: its steps (name, status) and the tasks that it calls completed.

    A step and a completed task of one name are one task, and what the step says counts. Steps
    that wait, run or were cancelled are not over.
    """
    fates = dict.fromkeys(completed_tasks, StepStatus.SUCCESS.value) | dict(steps)
    ends = list(fates.values())
    return Tally(
        tasks=max(total_tasks, len(fates)),
        announced=total_tasks > 0,
        succeeded=ends.count(StepStatus.SUCCESS),
        failed=sum(end in STEP_FAILED for end in ends),
        skipped=ends.count(StepStatus.SKIPPED),
    )


def percentage(counted: Tally) -> Decimal:
    """Return how much of its tasks a run has gone through: 0 to 100, rounded down to 0.01.

    0 for a run that has not said how many tasks it has: the first of an unknown number of steps
    is no half of anything.
    """
    if not counted.announced:
        return Decimal(0)
    share = HUNDRED * counted.gone_through / counted.tasks
    return share.quantize(HUNDREDTH, rounding=ROUND_DOWN)


def running_percentage(before: Decimal, counted: Tally) -> Decimal:
    """Return what a run shows while it runs: never less than before, never above 99."""
    return max(before, min(percentage(counted), MOST_WHILE_RUNNING))


def final_percentage(status: ExecutionStatus, before: Decimal, counted: Tally) -> Decimal:
    """Return what a run shows for ever.

    COMPLETED is 100. PARTIAL_SUCCESS has gone to its end, but may have left tasks out: what is
    counted, 100 when each was gone through and some failed. FAILED and CANCELLED stay where
    they were, below 100.
    """
    if status == ExecutionStatus.COMPLETED:
        return HUNDRED
    if status == ExecutionStatus.PARTIAL_SUCCESS:
        return max(before, percentage(counted))
    return running_percentage(before, counted)


def joined(known: Sequence[str], more: Iterable[str]) -> list[str]:
    """Return the names that are known and those that come to them, each once, in their order."""
    return list(dict.fromkeys([*known, *more]))


def capped(errors: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the errors that are listed: of very many the first hundred and the last hundred."""
    if len(errors) <= FIRST_ERRORS + LAST_ERRORS:
        return list(errors)
    return [*errors[:FIRST_ERRORS], *errors[-LAST_ERRORS:]]


def shortened(text: str, limit: int) -> str:
    """Return a text of at most ``limit`` characters, cut in its middle.

    A traceback says at its end what happened, and at its beginning whence it came.
    """
    if len(text) <= limit:
        return text
    head = limit // 4
    gap = "\n…\n"
    return text[:head] + gap + text[len(text) - (limit - head - len(gap)) :]
