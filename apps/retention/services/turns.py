"""A turn: one claim of one step, what it works by, and for how long it may go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.utils.dateparse import parse_datetime

from apps.executions.choices import StepStatus
from apps.executions.models import Execution, ExecutionStep
from apps.executions.services.runs import ProgressReport, report_progress
from apps.executions.services.work import keep_step
from apps.retention.models import RetentionPolicy
from apps.retention.services.policies import rule_of
from apps.retention.services.runs import NIGHTLY, PLAN, check_not_held, run_under_way, snapshot
from apps.shared.errors import Conflict, DomainError
from apps.shared.retention.datasets import Rule, dataset

Clock = Callable[[], datetime]

# A step that takes longer goes on with the next message.
STEP_FOR: Final = timedelta(seconds=20)
# A part is written in one piece, and takes longer than other things that a lease is for.
LEASES: Final = 3


class ToldToStop(Exception):
    """Somebody wishes the run to end, or the step is somebody else's by now."""


class OutOfTime(Exception):
    """The step has taken its share of time: it goes on with the next message."""


class InTheWay(Exception):
    """Others read what shall leave: the step is tried again with the next message."""


class ChangedPolicy(DomainError):
    """The policy is not the one that the run was planned by."""

    code = "policy_changed"
    status = 409


class UnfinishedBefore(DomainError):
    """An earlier step of the run did not come to a good end, so nothing may follow from it."""

    code = "unfinished_before"
    status = 409


def lease() -> timedelta:
    """Return for how long a step is claimed at a time."""
    return LEASES * timedelta(seconds=settings.STEP_LEASE.total_seconds())


@dataclass
class Turn:
    """One claim of a step. ``now`` is when its run was planned: by it rows are old."""

    step: ExecutionStep
    clock: Clock
    began: datetime
    rule: Rule
    now: datetime

    @property
    def run(self) -> Execution:
        return self.step.execution

    @property
    def planned(self) -> Mapping[str, Any]:
        """What the plan of the run counted."""
        result: dict[str, Any] = self.run.steps.get(step_name=PLAN).result_data
        return result

    @property
    def noted(self) -> dict[str, Any]:
        """What earlier turns of this step have noted."""
        noted: dict[str, Any] = self.step.result_data
        return noted

    def keep(self) -> None:
        """Keep the step. Raises ToldToStop."""
        if not keep_step(step=self.step, now=self.clock(), lease=lease()):
            raise ToldToStop

    def make_way(self) -> None:
        """Let others have their turn, once something is done. Raises OutOfTime."""
        if self.clock() - self.began > STEP_FOR:
            raise OutOfTime

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """Open the transaction in which rows leave.

        The policy is locked and must still be the one of the plan: who changes it, or restores
        rows, is either seen here or waits. Raises ChangedPolicy and HeldPolicy.
        """
        with transaction.atomic():
            self.check()
            yield

    def check(self) -> None:
        """Lock the policy, in a transaction in which rows leave. Raises as ``leaving`` does."""
        policies = RetentionPolicy.objects.select_for_update(no_key=True)
        check_policy(policies.get(dataset=self.rule.dataset.name), self.run, self.clock())

    def note(self, **values: Any) -> None:
        """Note how far the step is, in the transaction that brought it there."""
        self.step.result_data = {**self.noted, **values}
        ExecutionStep.objects.filter(pk=self.step.pk).update(result_data=self.step.result_data)

    def say(self, words: str) -> None:
        """Say in the run what it is at."""
        report = ProgressReport(current_operation=words)
        try:
            report_progress(execution_id=self.run.pk, report=report, now=self.clock())
        except DomainError as error:
            # It was ended from outside; the next look at the step finds out.
            del error


def turn_of(step: ExecutionStep, clock: Clock) -> Turn:
    """Return the turn of a claimed step, after a look at whether its run may go on.

    Raises Conflict, UnfinishedBefore, UnknownDataset, ForbiddenPolicy, ChangedPolicy, HeldPolicy.
    """
    run, now = step.execution, clock()
    name = run.metadata["dataset"]
    first = run_under_way(name)
    if first is not None and first.pk != run.pk:
        raise Conflict(f"{name} is being worked on: {first.pk}.")
    before = run.steps.filter(stage__lt=step.stage).exclude(status=StepStatus.SUCCESS)
    if lost := before.order_by("stage").first():
        raise UnfinishedBefore(f"{lost.step_name}: {lost.error_message or 'not done.'}")
    dataset(name)
    policy = RetentionPolicy.objects.get(dataset=name)
    rule = rule_of(policy)
    check_policy(policy, run, now)
    planned_at = parse_datetime(run.metadata["planned_at"])
    assert planned_at is not None
    return Turn(step=step, clock=clock, began=now, rule=rule, now=planned_at)


def check_policy(policy: RetentionPolicy, run: Execution, now: datetime) -> None:
    """Raise ChangedPolicy or HeldPolicy unless a run may still be done by this policy."""
    if snapshot(policy) != run.metadata["policy"]:
        raise ChangedPolicy("The policy was changed after the run was planned.")
    if not policy.enabled and run.triggered_by == NIGHTLY:
        raise ChangedPolicy("The policy was switched off after the run was planned.")
    check_not_held(policy, now)
