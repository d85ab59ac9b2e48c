"""What may stand in a query: filters declared per resource, and nothing that is not declared."""

import functools
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.models import Q, QuerySet
from django.http import QueryDict

from apps.shared.api.errors import ApiError
from apps.shared.api.values import UNSTORABLE, NumberCheck, Refused, TimeCheck, is_address
from apps.shared.errors import FieldError

MAX_VALUES = 200
BIG = 2**63 - 1


class Kind(Enum):
    """How a field may be asked for."""

    EXACT = "exact"
    ANY_OF = "any_of"
    RANGE = "range"


# ``symbol=BTC/USDT``, ``symbol=A,B``, and ``timestamp_after`` / ``x_min`` and their ends.
EXACT, ANY_OF, RANGE = Kind.EXACT, Kind.ANY_OF, Kind.RANGE


@dataclass(frozen=True, slots=True)
class Narrowing:
    """A filter that is no column: what a value of it does to the rows."""

    apply: Callable[[QuerySet[Any], Any], QuerySet[Any]]
    description: str
    flag: bool = False


FilterFields = Mapping[str, Kind | Narrowing | Sequence[Kind]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a query: what it filters, how its text is read, what OpenAPI says."""

    name: str
    lookup: str
    read: Callable[[str], Any]
    many: bool
    description: str
    schema: Mapping[str, Any]
    apply: Callable[[QuerySet[Any], Any], QuerySet[Any]] | None = None


@functools.cache
def _parameters(
    model: type[models.Model], declared: tuple[tuple[str, Kind | Narrowing], ...]
) -> Any:
    found = {}
    for path, kind in declared:
        wanted = (
            [_of_narrowing(path, kind)]
            if isinstance(kind, Narrowing)
            else _of_field(model, path, kind)
        )
        found.update({parameter.name: parameter for parameter in wanted})
    return found


def parameters(model: type[models.Model], declared: FilterFields) -> Mapping[str, Parameter]:
    """Return the parameters that ``declared`` (field path → kind) opens, by name."""
    pairs = tuple(
        (path, kind)
        for path, kinds in declared.items()
        for kind in ([kinds] if isinstance(kinds, Kind | Narrowing) else kinds)
    )
    return _parameters(model, pairs)  # type: ignore[no-any-return]


def _of_narrowing(name: str, declared: Narrowing) -> Parameter:
    read: Callable[[str], Any] = _read_flag if declared.flag else _read_text
    schema = {"type": "boolean" if declared.flag else "string"}
    return Parameter(name, "", read, False, declared.description, schema, declared.apply)


def _of_field(model: type[models.Model], path: str, kind: Kind) -> list[Parameter]:
    field = field_at(model, path)
    read, schema = _reader(field)
    name = path.replace("__", ".")
    if kind is not RANGE:
        many = kind is ANY_OF
        about = "Several values by comma." if many else "Equal to this."
        return [Parameter(name, path, read, many, about, schema)]
    if isinstance(field, models.DateField):
        ends = [("after", "gte", "From this on."), ("before", "lt", "Before this.")]
    else:
        ends = [("min", "gte", "At least this."), ("max", "lte", "At most this.")]
    return [
        Parameter(f"{name}_{end}", f"{path}__{lookup}", read, False, about, schema)
        for end, lookup, about in ends
    ]


def field_at(model: type[models.Model], path: str) -> "models.Field[Any, Any]":
    """Return the field at a path like ``performance__is_success``."""
    current: Any = model
    field: Any = None
    for step in path.split("__"):
        if field is not None:
            current = field.related_model
        by_column = {each.attname: each for each in current._meta.concrete_fields}
        field = by_column.get(step) or current._meta.get_field(step)
    target = getattr(field, "target_field", None)
    while target is not None:
        field = target
        target = getattr(field, "target_field", None)
    if isinstance(field, models.GeneratedField):
        # What it holds says more than that it is computed.
        field = field.output_field
    if not isinstance(field, models.Field):
        raise ImproperlyConfigured(f"{model.__name__} has no column at {path}.")
    return field


# --- Texts of a query as values -----------------------------------------------------------

_time = TimeCheck()
_number = NumberCheck(places=30)
# A plus sign that was not encoded arrives as a space.
SPACE_FOR_PLUS = re.compile(r"(?<=T\d\d:\d\d:\d\d)((?:\.\d+)?) (?=\d\d:?\d\d$)")


def plus_restored(text: str) -> str:
    """Return a time whose plus sign was taken for a space as it was meant."""
    return SPACE_FOR_PLUS.sub(r"\1+", text)


def _read_time(text: str) -> datetime:
    return _time.read(plus_restored(text)).astimezone(UTC)


def _read_text(text: str) -> str:
    return text


def _read_number(text: str) -> Decimal:
    return _number.read(text)


def _read_whole(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,19}", text) or abs(int(text)) > BIG:
        raise Refused("not_a_number", "Must be a whole number.")
    return int(text)


def _read_flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise Refused("not_a_flag", "Must be true or false.")
    return text == "true"


def _read_uuid(text: str) -> uuid.UUID:
    try:
        return msgspec.convert(text, uuid.UUID)
    except msgspec.ValidationError as error:
        raise Refused("not_a_uuid", "Must be a UUID.") from error


def _read_date(text: str) -> date:
    try:
        return msgspec.convert(text, date)
    except msgspec.ValidationError as error:
        raise Refused("not_a_date", "Must be a date such as 2026-01-31.") from error


def _read_address(text: str) -> str:
    if not is_address(text):
        raise Refused("not_an_address", "Must be an IPv4 or IPv6 address.")
    return text


def _choice(values: Sequence[Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if text not in values:
            raise Refused("not_a_choice", f"Must be one of {', '.join(map(str, values))}.")
        return text

    return read


def reader_of(field: "models.Field[Any, Any]") -> Callable[[str], Any]:
    """Return what reads a text as a value of the field; it raises Refused."""
    return _reader(field)[0]


def _reader(field: "models.Field[Any, Any]") -> tuple[Callable[[str], Any], dict[str, Any]]:
    if isinstance(field, models.CharField) and field.choices:
        values = [value for value, _ in field.flatchoices]
        return _choice(values), {"type": "string", "enum": values}
    kinds: list[tuple[Any, Callable[[str], Any], dict[str, Any]]] = [
        (models.BooleanField, _read_flag, {"type": "boolean"}),
        (models.DateTimeField, _read_time, {"type": "string", "format": "date-time"}),
        (models.DateField, _read_date, {"type": "string", "format": "date"}),
        (models.UUIDField, _read_uuid, {"type": "string", "format": "uuid"}),
        (models.IntegerField, _read_whole, {"type": "integer"}),
        ((models.DecimalField, models.FloatField), _read_number, {"type": "number"}),
        (models.GenericIPAddressField, _read_address, {"type": "string", "format": "ip"}),
        ((models.CharField, models.TextField), _read_text, {"type": "string"}),
    ]
    for kind, read, schema in kinds:
        if isinstance(field, kind):
            return read, schema
    raise ImproperlyConfigured(f"{field} cannot be filtered by a query.")


# --- A whole query ------------------------------------------------------------------------


def chosen(query: QueryDict, known: Mapping[str, Parameter]) -> dict[str, Any]:
    """Return the values of the filters that a query names; ApiError (400) for what is no value."""
    found: dict[str, Any] = {}
    for name, parameter in known.items():
        if name not in query:
            continue
        text = single(query, name)
        try:
            found[name] = (
                [parameter.read(storable(name, word)) for word in text.split(",")]
                if parameter.many
                else parameter.read(text)
            )
        except Refused as refused:
            raise invalid_parameter(name, refused.code, refused.message) from refused
    return found


def check_known(query: QueryDict, known: Sequence[str]) -> None:
    """Refuse a query that names something not in ``known``, and say what there is."""
    unknown = [name for name in query if name not in known]
    if unknown:
        takes = f"Known here: {', '.join(sorted(known))}." if known else "None is known here."
        raise _refusal(
            [FieldError(f"?{name[:50]}", "unknown_parameter", takes) for name in unknown],
            "unknown_parameter",
        )


def single(query: QueryDict, name: str, default: str = "") -> str:
    """Return the value of a parameter that may stand once, with nothing unstorable in it."""
    values = query.getlist(name)
    if len(values) > 1:
        raise _refusal([FieldError(f"?{name}", "given_twice", "Stands twice.")])
    return storable(name, values[0]) if values else default


def storable(name: str, text: str) -> str:
    """Return a text unless it holds what no column can hold."""
    if UNSTORABLE.search(text):
        message = "Holds NUL or half of a surrogate pair."
        raise _refusal([FieldError(f"?{name}", "unstorable", message)])
    return text


def invalid_parameter(name: str, code: str, message: str) -> ApiError:
    """Return the refusal of one parameter."""
    return _refusal([FieldError(f"?{name}", code, message)])


def _refusal(errors: list[FieldError], code: str = "invalid_parameter") -> ApiError:
    names = ", ".join(error.pointer[1:] for error in errors)
    shown = names.encode(errors="replace").decode()
    errors = [
        FieldError(e.pointer.encode(errors="replace").decode(), e.code, e.message) for e in errors
    ]
    word = "Unknown" if code == "unknown_parameter" else "Invalid"
    return ApiError(400, code, f"{word} parameter: {shown}. {errors[0].message}", errors)


def narrowed(
    queryset: QuerySet[Any], query: QueryDict, known: Mapping[str, Parameter]
) -> QuerySet[Any]:
    """Return the rows that the filters of a query leave."""
    found, steps = Q(), []
    errors = []
    for name, parameter in known.items():
        if name not in query:
            continue
        try:
            if parameter.apply is None:
                found &= _condition(query, parameter)
            else:
                steps.append((parameter.apply, parameter.read(single(query, name))))
        except Refused as refused:
            errors.append(FieldError(f"?{name}", refused.code, refused.message))
    if errors:
        raise _refusal(errors)
    queryset = queryset.filter(found)
    for apply, value in steps:
        queryset = apply(queryset, value)
    return queryset


def _condition(query: QueryDict, parameter: Parameter) -> Q:
    if not parameter.many:
        text = single(query, parameter.name)
        return Q(**{parameter.lookup: parameter.read(text)})
    words = [
        storable(parameter.name, word)
        for text in query.getlist(parameter.name)
        for word in text.split(",")
    ]
    if len(words) > MAX_VALUES:
        raise Refused("too_many", f"Takes at most {MAX_VALUES} values.")
    values = [parameter.read(word) for word in words]
    if len(values) == 1:
        return Q(**{parameter.lookup: values[0]})
    return Q(**{f"{parameter.lookup}__in": values})
