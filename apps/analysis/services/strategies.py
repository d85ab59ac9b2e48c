"""Strategy configurations: taken in, changed, each change of parameters counted."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Protocol

from django.db import transaction
from django.db.models import QuerySet

from apps.analysis.domain.leverage import LeverageParameters, ParametersRefused
from apps.analysis.domain.strategies import StrategyRefused, read_parameters
from apps.analysis.models import StrategyConfiguration
from apps.shared.errors import FieldError
from apps.shared.ingest import Ingested, RowStatus, ingest

KEY: Final = ("name", "base_strategy", "timeframe")
PARAMETERS: Final = ("parameters", "leverage_parameters")
COLUMNS: Final = (*KEY, *PARAMETERS, "description", "is_active")


class StrategyLike(Protocol):
    """A configuration as it is sent."""

    name: str
    base_strategy: str
    timeframe: str
    parameters: Mapping[str, Any]
    leverage_parameters: Mapping[str, Any]
    description: str
    is_active: bool


def strategy_faults(row: StrategyLike) -> list[FieldError]:
    """Return what keeps a configuration from being run, each named by its place in the row."""
    found: list[FieldError] = []
    try:
        read_parameters(row.base_strategy, row.timeframe, row.parameters)
    except StrategyRefused as refusal:
        found += refusal.errors
    try:
        LeverageParameters.from_mapping(row.leverage_parameters)
    except ParametersRefused as refusal:
        found += [
            FieldError(f"/leverage_parameters{each.pointer}", each.code, each.message)
            for each in refusal.errors
        ]
    return found


@transaction.atomic
def store_strategies(rows: Sequence[StrategyLike], *, by: str) -> Ingested:
    """Store configurations, and say what became of each row.

    What cannot be run is *failed* with its faults named. The same again is *unchanged*, another
    one of that name, base strategy and timeframe *failed*. ``by``: who sends them.
    """
    outcome = Ingested()
    fine = sound(rows, outcome)
    stored = ingest(
        StrategyConfiguration,
        [values_of(rows[place]) for place in fine],
        columns=COLUMNS,
        key=KEY,
        on_conflict="refuse",
        defaults={"created_by": by},
    )
    outcome.merge(stored, fine)
    outcome.sort()
    return outcome


@transaction.atomic
def replace_strategies(rows: Sequence[StrategyLike], *, by: str) -> Ingested:
    """Store configurations over those of the same key; other parameters are another version."""
    outcome = Ingested()
    for place in sound(rows, outcome):
        row = rows[place]
        key = {name: getattr(row, name) for name in KEY}
        held = StrategyConfiguration.objects.select_for_update().filter(**key).first()
        if held is None:
            outcome.merge(store_strategies([row], by=by), [place])
            continue
        for name, value in zip(COLUMNS, values_of(row), strict=True):
            setattr(held, name, value)
        outcome.note(place, RowStatus.REPLACED if saved(held) else RowStatus.UNCHANGED)
    outcome.sort()
    return outcome


@transaction.atomic
def save_strategy(configuration: StrategyConfiguration, *, by: str) -> None:
    """Save a configuration that staff made or changed; other parameters are another version.

    Raises StrategyRefused, every fault named, for one that cannot be run.
    """
    if faults := strategy_faults(configuration):
        raise StrategyRefused("The strategy cannot be run as it is configured.", faults)
    if configuration.pk is None:
        configuration.created_by = by
        configuration.save()
    else:
        StrategyConfiguration.objects.select_for_update().get(pk=configuration.pk)
        saved(configuration)


def saved(configuration: StrategyConfiguration) -> bool:
    """Save a configuration whose row is locked; tell whether anything was changed."""
    held = StrategyConfiguration.objects.get(pk=configuration.pk)
    changed = [name for name in COLUMNS if getattr(held, name) != getattr(configuration, name)]
    if changed:
        configuration.version = held.version + any(name in PARAMETERS for name in changed)
        configuration.save()
    return bool(changed)


def activate(rows: QuerySet[StrategyConfiguration], /, *, by: str, now: datetime) -> int:
    """Have them tried out again on every symbol that is added."""
    return rows.filter(is_active=False).update(is_active=True, updated_at=now)


def deactivate(rows: QuerySet[StrategyConfiguration], /, *, by: str, now: datetime) -> int:
    """Leave them out when a symbol is added."""
    return rows.filter(is_active=True).update(is_active=False, updated_at=now)


@transaction.atomic
def duplicate(rows: QuerySet[StrategyConfiguration], /, *, by: str, now: datetime) -> int:
    """Make a copy of each under a name of its own, to be changed without touching the first."""
    copies = list(rows)
    for row in copies:
        name = free_name(row)
        row.description = f"Copied from {row.name}.\n{row.description}".strip()
        row.pk, row.name, row.version, row.is_default = None, name, 1, False
        row.created_by, row.created_at = by, now
        row._state.adding = True
        row.save()
    return len(copies)


def free_name(row: StrategyConfiguration) -> str:
    """Return a name that no configuration of this strategy and timeframe has."""
    like = StrategyConfiguration.objects.filter(
        base_strategy=row.base_strategy, timeframe=row.timeframe
    )
    taken = set(like.values_list("name", flat=True))
    most = StrategyConfiguration._meta.get_field("name").max_length or 0
    number = 1
    while True:
        ending = " copy" if number == 1 else f" copy {number}"
        name = row.name[: most - len(ending)] + ending
        if name not in taken:
            return name
        number += 1


def sound(rows: Sequence[StrategyLike], outcome: Ingested) -> list[int]:
    """Return the places of rows that can be run; the others are failed."""
    places = []
    for place, row in enumerate(rows):
        if faults := strategy_faults(row):
            outcome.fail(place, faults)
        else:
            places.append(place)
    return places


def values_of(row: StrategyLike) -> tuple[Any, ...]:
    return tuple(plain_numbers(getattr(row, name)) for name in COLUMNS)


def plain_numbers(value: Any) -> Any:
    """Return JSON as it is read back: exact decimals become numbers, or texts where none is equal.

    So what is sent and what is stored can be compared, and no digit is lost.
    """
    if isinstance(value, Decimal):
        if value == value.to_integral_value():
            return int(value)
        return float(value) if Decimal(repr(float(value))) == value else str(value)
    if isinstance(value, Mapping):
        return {name: plain_numbers(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain_numbers(each) for each in value]
    return value
