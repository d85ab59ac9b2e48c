"""The dry run: what a policy would delete now, and why the rest stays. Nothing is changed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apps.retention.services.policies import ForbiddenPolicy, policy_of, rule_of
from apps.shared.retention.datasets import datasets
from apps.shared.retention.selecting import Plan, plan


def preview(*, dataset: str, now: datetime) -> Plan:
    """Count what the policy of a dataset would delete, also where it is off.

    Raises UnknownDataset and ForbiddenPolicy.
    """
    return plan(rule_of(policy_of(dataset)), now)


def preview_all(*, now: datetime) -> list[Plan]:
    """Count for every dataset, in the order in which they run; forbidden ones are left out."""
    plans = []
    for declared in datasets():
        try:
            plans.append(preview(dataset=declared.name, now=now))
        except ForbiddenPolicy:
            continue
    return plans


def told(planned: Plan) -> dict[str, Any]:
    """Return a plan as it is kept with the run it belongs to, and shown by programs."""
    return {
        "dataset": planned.dataset,
        "time": planned.time,
        "cutoff": planned.cutoff.isoformat(),
        "old": planned.old,
        "rows": planned.rows,
        "dependents": dict(planned.dependents),
        "oldest": planned.oldest and planned.oldest.isoformat(),
        "newest": planned.newest and planned.newest.isoformat(),
        "bytes": planned.bytes,
        "exempt": [each._asdict() for each in planned.exempt],
        "months": [month.isoformat() for month in planned.months],
    }


def all_rows(planned: Mapping[str, Any]) -> int:
    """Return how many rows of all tables a kept plan would delete."""
    return int(planned["rows"]) + sum(map(int, planned["dependents"].values()))
