"""Rows as JSON made by PostgreSQL: no object and no decimal is built on the way out.

Django selects bare columns, which costs it little; what they look like in the answer is a
text around that, written once per resource.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import connections, models
from django.db.models import QuerySet

from apps.shared.api.filters import field_at

SEPARATOR = "."


class Plan(NamedTuple):
    """Which columns to select, and the statement around the selecting one (``{inner}``)."""

    paths: tuple[str, ...]
    statement: str


def shown(field: "models.Field[Any, Any]", column: str) -> str:
    """Return the SQL of a column in the form it is answered in."""
    if isinstance(field, models.DecimalField):
        # Plain notation without padding zeros; as text, so that no reader makes it a float.
        return f"trim_scale({column})::text"
    if isinstance(field, models.DateTimeField):
        # RFC 3339; the connection's own zone is UTC.
        return f"replace(to_json({column}) #>> '{{}}', '+00:00', 'Z')"
    return column


@functools.cache
def plan(model: type[models.Model], fields: tuple[str, ...], ordering: str) -> Plan:
    """Return how rows with these columns are read, in the order of ``fields``.

    ``performance.is_success`` becomes ``{"performance": {"is_success": …}}``; the object is
    null where there is no such row.
    """
    places: dict[str, str] = {}

    def column(path: str) -> str:
        return places.setdefault(path, f"page.c{len(places)}")

    members: dict[str, str] = {}
    nested: dict[str, list[str]] = {}
    for name in fields:
        relation, dot, inner = name.partition(SEPARATOR)
        path = f"{relation}__{inner}" if dot else name
        value = shown(field_at(model, path), column(path))
        if dot:
            nested.setdefault(relation, []).append(f"'{inner}', {value}")
            members.setdefault(relation, "")
        else:
            members[name] = value
    for relation, pairs in nested.items():
        built = f"json_build_object({', '.join(pairs)})"
        members[relation] = f"CASE WHEN {column(f'{relation}__pk')} IS NOT NULL THEN {built} END"
    primary = model._meta.pk
    assert primary is not None
    key = column(primary.name)
    place = key if ordering == "pk" else column(ordering)
    selected = ", ".join(f'{value} AS "{name}"' for name, value in members.items())
    aliases = ", ".join(name.removeprefix("page.") for name in places.values())
    statement = (
        f"SELECT row_to_json(shown)::text, {place}::text, {key}::text "
        f"FROM ({{inner}}) AS page({aliases}), LATERAL (SELECT {selected}) AS shown"
    )
    return Plan(tuple(places), statement)


def rows_as_json(
    queryset: QuerySet[Any, Any], fields: Sequence[str], ordering: str = "pk"
) -> list[tuple[str, str, str]]:
    """Return (row as JSON, ``ordering`` column as text, primary key as text) for each row."""
    model: Any = queryset.model
    paths, statement = plan(model, tuple(fields), ordering)
    inner, parameters = queryset.values_list(*paths).query.sql_with_params()
    with connections[queryset.db].cursor() as cursor:
        # Not str.format: the text around holds braces and per cent signs of its own.
        cursor.execute(statement.replace("{inner}", inner), parameters)
        return cursor.fetchall()
