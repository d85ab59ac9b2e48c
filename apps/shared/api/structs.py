"""Rows from JSON values, with every wrong field named; whole batches where nothing is odd."""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from apps.shared.api import parsing
from apps.shared.api.rows import Row
from apps.shared.api.values import (
    LARGEST_INTEGER,
    MAX_NUMBER_TEXT,
    NUMBER,
    Check,
    NumberCheck,
    Refused,
    pointer_part,
)
from apps.shared.errors import FieldError

R = TypeVar("R", bound=Row)
PATH = re.compile(r" - at `\$?(.*)`$")
STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a row as reading needs it."""

    name: str
    annotation: Any
    required: bool
    nullable: bool
    check: Check | None
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What reading rows of one kind needs to know; made once per kind."""

    fields: tuple[Field, ...]
    names: frozenset[str]
    # Every field is checked by column, so that many rows go at once.
    columnar: bool
    # Every field must be sent and holds one value: names that stand twice can be counted.
    uniform: bool
    numbers: tuple[str, ...]
    places: int


@functools.cache
def plan_of(row: type[Row]) -> Plan:
    """Return the plan of a row type."""
    described = inspect.type_info(row)
    assert isinstance(described, inspect.StructType)
    annotations = {field.name: field.type for field in msgspec.structs.fields(row)}
    fields = tuple(
        Field(
            name=each.name,
            annotation=annotations[each.name],
            required=each.required,
            nullable=any(isinstance(one, inspect.NoneType) for one in _members(each.type)),
            check=next(_checks(each.type), None),
            choices=tuple(_choices(each.type)),
        )
        for each in described.fields
    )
    numbers = {f.name: f.check.places for f in fields if isinstance(f.check, NumberCheck)}
    return Plan(
        fields=fields,
        names=frozenset(field.name for field in fields),
        columnar=all(_is_columnar(each) for each in described.fields),
        uniform=all(each.required and _is_single(each) for each in described.fields),
        numbers=tuple(numbers),
        places=min(numbers.values(), default=0),
    )


def _members(kind: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(kind, inspect.UnionType):
        for member in kind.types:
            yield from _members(member)
    elif isinstance(kind, inspect.Metadata):
        yield kind
        yield from _members(kind.type)
    else:
        yield kind


def _checks(kind: inspect.Type) -> Iterator[Check]:
    for member in _members(kind):
        if isinstance(member, inspect.Metadata) and "check" in (member.extra or {}):
            yield member.extra["check"]  # type: ignore[index]


def _choices(kind: inspect.Type) -> Iterator[str]:
    for member in _members(kind):
        # Django's vocabularies are no enumerations to msgspec.
        if isinstance(member, inspect.EnumType | inspect.CustomType) and issubclass(
            member.cls, Enum
        ):
            yield from (str(one.value) for one in member.cls)
        elif isinstance(member, inspect.LiteralType):
            yield from map(str, member.values)


def _kinds_of(field: inspect.Field) -> list[inspect.Type]:
    without = inspect.Metadata | inspect.NoneType
    return [kind for kind in _members(field.type) if not isinstance(kind, without)]


def _is_columnar(field: inspect.Field) -> bool:
    plain = inspect.EnumType | inspect.BoolType | inspect.IntType | inspect.LiteralType
    checked = next(_checks(field.type), None) is not None
    return checked or all(isinstance(kind, plain) for kind in _kinds_of(field))


def _is_single(field: inspect.Field) -> bool:
    kinds = [kind for kind in _members(field.type) if not isinstance(kind, inspect.Metadata)]
    return len(kinds) == 1 and not isinstance(kinds[0], inspect.DictType)


# --- One row, carefully -------------------------------------------------------------------


def read_row(row: type[R], value: Any) -> R | list[FieldError]:
    """Return the row that a JSON value stands for, or everything that is wrong with it."""
    values = read_fields(row, value)
    return values if isinstance(values, list) else row(**values)


def read_fields(
    row: type[Row], value: Any, *, partial: bool = False
) -> dict[str, Any] | list[FieldError]:
    """Return the values of a row's fields, or everything that is wrong with them.

    ``partial``: a required field may be left out.
    """
    if not isinstance(value, Mapping):
        return [FieldError("", "type", "Must be a JSON object.")]
    plan = plan_of(row)
    errors: list[FieldError] = []
    values: dict[str, Any] = {}
    for field in plan.fields:
        if field.name not in value:
            if field.required and not partial:
                errors.append(FieldError(f"/{field.name}", "required", "Must be given."))
            continue
        try:
            values[field.name] = _read_field(field, value[field.name])
        except Refused as refused:
            at = f"/{pointer_part(field.name)}"
            errors += [FieldError(at + e.pointer, e.code, e.message) for e in refused.errors()]
    for name in value:
        if name not in plan.names:
            message = "There is no such field."
            errors.append(FieldError(f"/{pointer_part(name)}", "unknown", message))
    return errors or values


def _read_field(field: Field, value: Any) -> Any:
    if value is None:
        if field.nullable:
            return None
        raise Refused("null", "Must not be null.")
    if field.check is not None:
        return field.check.read(value)
    if field.choices and value not in field.choices:
        raise Refused("not_a_choice", f"Must be one of {', '.join(field.choices)}.")
    try:
        return msgspec.convert(value, field.annotation)
    except UnicodeEncodeError as error:
        raise Refused("unstorable", "Holds half of a surrogate pair.") from error
    except msgspec.ValidationError as error:
        raise _refused(str(error)) from error


def _refused(text: str) -> Refused:
    """Put msgspec's own words into ours, its path into a JSON pointer."""
    path = PATH.search(text)
    steps = STEP.findall(path[1]) if path else []
    pointer = "".join(f"/{pointer_part(name or place)}" for name, place in steps)
    message = PATH.sub("", text)
    code = "type" if message.startswith("Expected") and ", got" in message else "invalid"
    return Refused(code, f"{message.replace('`', '')}.", pointer)


# --- Many rows at once --------------------------------------------------------------------


def suspects(row: type[R], rows: Sequence[R], *, short: bool) -> set[int]:
    """Return the places of rows of a columnar type that must be looked at one by one.

    ``short``: no number was written with more places than its column has.
    """
    found: set[int] = set()
    for field in plan_of(row).fields:
        if field.check is None:
            # A plain whole number: the careful way takes none of more than so many digits.
            if isinstance(_kinds(row)[field.name], inspect.IntType):
                numbers = enumerate(map(attrgetter(field.name), rows))
                found.update(place for place, n in numbers if n and abs(n) > LARGEST_INTEGER)
            continue
        column = list(map(attrgetter(field.name), rows))
        given = [value for value in column if value is not None] if field.nullable else column
        if given and not field.check.admits(given, short=short):
            found.update(
                place
                for place, value in enumerate(column)
                if value is not None and not field.check.admits([value], short=short)
            )
    return found


def may_be_long(text: bytes, places: int) -> bool:
    """Tell whether a number in ``text`` may have more than ``places`` digits behind the point."""
    # One constant at a time: searching for either of two letters is ten times slower.
    return bool(
        re.search(rb"\.[0-9]{%d}" % (places + 1), text)
        or re.search(rb"e[-+0-9]", text)
        or re.search(rb"E[-+0-9]", text)
    )


def from_text(row: type[Row], cells: Mapping[str, str]) -> dict[str, Any]:
    """Return the cells of a table as JSON values: what is no text in the row is read."""
    kinds = _kinds(row)
    return {name: _from_cell(kinds[name], cell) for name, cell in cells.items()}


@functools.cache
def _kinds(row: type[Row]) -> dict[str, inspect.Type]:
    described = inspect.type_info(row)
    assert isinstance(described, inspect.StructType)
    return {
        field.name: next(
            kind
            for kind in _members(field.type)
            if not isinstance(kind, inspect.Metadata | inspect.NoneType)
        )
        for field in described.fields
    }


def _from_cell(kind: inspect.Type, cell: str) -> Any:
    if isinstance(kind, inspect.FloatType):
        plain = len(cell) <= MAX_NUMBER_TEXT and NUMBER.fullmatch(cell)
        return float(cell) if plain else cell
    if isinstance(kind, inspect.BoolType):
        return {"true": True, "false": False}.get(cell.lower(), cell)
    if isinstance(kind, inspect.IntType) and re.fullmatch(r"-?[0-9]{1,18}", cell):
        return int(cell)
    if isinstance(kind, inspect.DictType):
        try:
            return parsing.loads(cell)
        except parsing.NotStrict:
            return cell
    return cell
