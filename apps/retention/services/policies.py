"""Policies: made from what the code declares, changed by staff, checked again when they run."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction

from apps.retention.domain import policies as rules
from apps.retention.models import PolicyChange, RetentionPolicy
from apps.shared.errors import DomainError, FieldError
from apps.shared.retention.datasets import Dataset, Rule, dataset, datasets

# What staff may change; whatever else a row says is the code's.
CHANGEABLE: Final = (
    "enabled",
    "age_days",
    "time_column",
    "exemptions",
    "archive",
    "held_until",
)
# Who is told to have made a policy that nobody has changed yet.
MAKER: Final = "SETUP"


class ForbiddenPolicy(DomainError):
    """The policy would touch what is never deleted, or says what cannot be done."""

    code = "forbidden_policy"
    status = 409


class RefusedPolicy(DomainError):
    """Values that a policy may not have; ``errors`` names each field."""

    code = "refused_policy"


@transaction.atomic
def ensure_policies(*, now: datetime) -> int:
    """Have a policy for each dataset of the code; return how many were made.

    One that is there stays as staff left it, also where its dataset is gone.
    """
    made = 0
    for declared in datasets():
        proposed = default_policy(declared)
        values = {name: getattr(proposed, name) for name in CHANGEABLE}
        policy, new = RetentionPolicy.objects.get_or_create(dataset=declared.name, defaults=values)
        if new:
            made += 1
            PolicyChange.objects.create(
                policy=policy,
                changed_at=now,
                changed_by=MAKER,
                after=recorded(values, [name for name in CHANGEABLE if name != "held_until"]),
            )
    return made


def default_policy(declared: Dataset) -> RetentionPolicy:
    """Return the policy that the code proposes for a dataset, not stored."""
    return RetentionPolicy(
        dataset=declared.name,
        enabled=declared.enabled,
        age_days=declared.age_days,
        time_column=declared.times[0],
        exemptions=[each.name for each in (*declared.never, *declared.exempt)],
        archive=declared.archive,
    )


def policy_of(name: str) -> RetentionPolicy:
    """Return the policy of a dataset; the code's own, not stored, where there is no row.

    Raises UnknownDataset.
    """
    declared = dataset(name)
    stored = RetentionPolicy.objects.filter(dataset=name).first()
    return stored or default_policy(declared)


def rule_of(policy: RetentionPolicy) -> Rule:
    """Return a policy as it is applied.

    Raises UnknownDataset, and ForbiddenPolicy for one that could not be saved: whoever wrote it
    did so behind the back of the code.
    """
    declared = dataset(policy.dataset)
    found = problems(declared, policy.age_days, policy.time_column, policy.exemptions)
    if found:
        raise ForbiddenPolicy(
            f"{declared.title}: {' '.join(found.values())}", pointed(found, "forbidden")
        )
    optional = {each.name for each in declared.exempt}
    return Rule(
        dataset=declared,
        time=policy.time_column,
        age=timedelta(days=policy.age_days),
        exemptions=frozenset(optional.intersection(policy.exemptions)),
    )


def problems(declared: Dataset, age_days: Any, time_column: Any, exemptions: Any) -> dict[str, str]:
    """Return what is wrong with a policy, a sentence by the field it belongs to."""
    found = {
        "age_days": rules.age_problem(age_days, declared.least_days),
        "time_column": rules.time_problem(time_column, declared.times),
        "exemptions": rules.exemptions_problem(
            exemptions,
            known={each.name for each in declared.exemptions},
            mandatory=[each.name for each in declared.never],
            rows=str(declared.model._meta.verbose_name_plural),
        ),
    }
    return {field: problem for field, problem in found.items() if problem}


@transaction.atomic
def change_policy(
    *, policy: RetentionPolicy, changes: Mapping[str, Any], by: str, now: datetime
) -> RetentionPolicy:
    """Change a policy as staff wish, record what it was and became, and return it.

    ``changes``: any of ``CHANGEABLE``; ``held_until`` can only be cleared, by None. What changes
    nothing is not recorded. Raises RefusedPolicy, and UnknownDataset for a dataset that is gone.
    """
    stored = RetentionPolicy.objects.select_for_update(no_key=True).get(pk=policy.pk)
    declared = dataset(stored.dataset)
    wanted = {name: getattr(stored, name) for name in CHANGEABLE} | dict(changes)
    check(declared, stored, wanted, changes)
    wanted["exemptions"] = ordered(declared, wanted["exemptions"])
    before = {name: getattr(stored, name) for name in CHANGEABLE}
    changed = [name for name in CHANGEABLE if wanted[name] != before[name]]
    if not changed:
        return stored
    for name in changed:
        setattr(stored, name, wanted[name])
    stored.save(update_fields=[*changed, "updated_at"])
    PolicyChange.objects.create(
        policy=stored,
        changed_at=now,
        changed_by=by[:150],
        before=recorded(before, changed),
        after=recorded(wanted, changed),
    )
    return stored


def check(
    declared: Dataset,
    stored: RetentionPolicy,
    wanted: Mapping[str, Any],
    changes: Mapping[str, Any],
) -> None:
    """Raise RefusedPolicy unless the policy may become what is wanted."""
    found = {name: "Cannot be changed." for name in changes if name not in CHANGEABLE}
    found |= problems(declared, wanted["age_days"], wanted["time_column"], wanted["exemptions"])
    for name in ("enabled", "archive"):
        if not isinstance(wanted[name], bool):
            found[name] = "Must be true or false."
    if wanted["held_until"] not in (None, stored.held_until):
        found["held_until"] = "Can only be cleared."
    if found:
        raise RefusedPolicy(" ".join(found.values()), pointed(found, "refused"))


def ordered(declared: Dataset, names: Collection[str]) -> list[str]:
    """Return names of exemptions once each, in the order in which rows are counted.

    That rows which others cite stay need not be said: it follows from the tables as they are.
    """
    return [each.name for each in (*declared.never, *declared.exempt) if each.name in names]


def recorded(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return values as they are kept in a record."""
    return {
        name: values[name].isoformat() if isinstance(values[name], datetime) else values[name]
        for name in names
    }


def pointed(found: Mapping[str, str], code: str) -> list[FieldError]:
    return [FieldError(f"/{field}", code, message) for field, message in found.items()]
