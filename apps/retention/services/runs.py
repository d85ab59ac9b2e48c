"""Planning the runs of retention: an execution for each policy, one at a time for each dataset."""

import logging
from datetime import datetime
from typing import Any, Final

import pglock
from django.db import transaction

from apps.executions.models import Execution
from apps.executions.services.work import PlannedStep, plan_run
from apps.retention.models import RetentionPolicy
from apps.retention.services.policies import ensure_policies, policy_of, rule_of
from apps.shared.errors import Conflict, DomainError
from apps.shared.retention.datasets import datasets

logger = logging.getLogger(__name__)

TYPE: Final = "RETENTION"
RUNNER: Final = "apps.retention.tasks.run_retention"
NIGHTLY: Final = "SCHEDULE"
PLAN, ARCHIVE, DELETE, COUNT = "plan", "archive", "delete", "count"


class HeldPolicy(DomainError):
    """Rows of the dataset were restored, and nothing leaves before a time that is told."""

    code = "policy_held"
    status = 409


def plan_retention(*, dataset: str, by: str, now: datetime) -> Execution:
    """Plan a run of one policy, on or off, and return it. What is old is old as of ``now``.

    Raises UnknownDataset, ForbiddenPolicy, HeldPolicy, and Conflict while a run of the dataset is
    under way.
    """
    policy = policy_of(dataset)
    if policy.pk is None:
        ensure_policies(now=now)
        policy = policy_of(dataset)
    rule_of(policy)
    return plan(policy, by=by, now=now)


def plan_nightly(*, now: datetime) -> list[Execution]:
    """Plan a run of each policy that is on and not held, in the order in which they shall run.

    One whose dataset is just being worked on is left out. One that is forbidden is planned like
    the others: its run fails, and says why.
    """
    in_force = {each.dataset: each for each in RetentionPolicy.objects.in_force(now)}
    runs = []
    for declared in datasets():
        if policy := in_force.get(declared.name):
            try:
                runs.append(plan(policy, by=NIGHTLY, now=now))
            except (Conflict, HeldPolicy) as refusal:
                logger.info("%s is left out: %s", declared.name, refusal.message)
    return runs


@transaction.atomic
def plan(policy: RetentionPolicy, *, by: str, now: datetime) -> Execution:
    """Store the run of a policy and its steps. Raises Conflict and HeldPolicy."""
    claim(policy.dataset)
    # A restore may have held it, and the policy with it, while we waited.
    policy.refresh_from_db()
    check_not_held(policy, now)
    if run := run_under_way(policy.dataset):
        raise Conflict(f"{policy.dataset} is being worked on: {run.pk}.")
    steps = [PLAN, *([ARCHIVE] if policy.archive else []), DELETE, COUNT]
    return plan_run(
        execution_type=TYPE,
        runner=RUNNER,
        steps=[PlannedStep(name, stage) for stage, name in enumerate(steps)],
        metadata={
            "dataset": policy.dataset,
            "policy": snapshot(policy),
            "planned_at": now.isoformat(),
            "cutoff": cutoff_of(policy, now),
        },
        triggered_by=by,
        now=now,
    )


def claim(dataset: str) -> None:
    """Let nobody else plan a run of a dataset, or restore its rows, until the transaction ends."""
    pglock.advisory(f"retention.{dataset}", xact=True).acquire()


def runs_of(dataset: str) -> Any:
    """Return the runs of a dataset, as a queryset, the oldest first."""
    runs = Execution.objects.filter(execution_type=TYPE, metadata__dataset=dataset)
    return runs.filter(runner=RUNNER).order_by("created_at", "execution_id")


def run_under_way(dataset: str) -> Execution | None:
    """Return the run that is at a dataset; of several the first, which alone goes on."""
    run: Execution | None = runs_of(dataset).unfinished().first()
    return run


def snapshot(policy: RetentionPolicy) -> dict[str, Any]:
    """Return what of a policy decides about rows; a run stops where it is another one by then."""
    return {
        "age_days": policy.age_days,
        "time_column": policy.time_column,
        "exemptions": policy.exemptions,
        "archive": policy.archive,
    }


def cutoff_of(policy: RetentionPolicy, now: datetime) -> str | None:
    """Return before when rows are old, or None where the policy cannot be applied."""
    try:
        return rule_of(policy).cutoff(now).isoformat()
    except DomainError:
        return None


def check_not_held(policy: RetentionPolicy, now: datetime) -> None:
    """Raise HeldPolicy where rows were restored a short while ago."""
    if policy.held_until and policy.held_until > now:
        raise HeldPolicy(
            f"{policy.dataset} is held until {policy.held_until:%Y-%m-%d %H:%M} UTC: "
            "rows were restored."
        )
