"""Rows as JSON made by PostgreSQL: no object and no decimal is built on the way out."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connections, models
from django.db.models import Case, F, Func, QuerySet, TextField, Value, When
from django.db.models.expressions import BaseExpression
from django.db.models.functions import Cast

from apps.shared.api.filters import field_at

SEPARATOR = "."


class PlainNumber(Func):
    """A decimal as text, in plain notation and without padding zeros."""

    function = "trim_scale"
    template = "%(function)s(%(expressions)s)::text"
    output_field = TextField()


class Moment(Func):
    """A time as RFC 3339 in UTC; the connection's own zone is UTC."""

    template = "replace(to_json(%(expressions)s) #>> '{}', '+00:00', 'Z')"
    output_field = TextField()


class Nested(Func):
    """Columns of a related row as one JSON object."""

    function = "json_build_object"
    output_field = models.JSONField()


def expression(model: type[models.Model], path: str) -> BaseExpression | F:
    """Return what selects the column at ``path`` in the form it is answered in."""
    field = field_at(model, path)
    if isinstance(field, models.DecimalField):
        return PlainNumber(F(path))
    if isinstance(field, models.DateTimeField):
        return Moment(F(path))
    return F(path)


@functools.cache
def columns(model: type[models.Model], fields: tuple[str, ...]) -> Mapping[str, BaseExpression | F]:
    """Return name → expression of the answer's columns, in the order of ``fields``.

    ``performance.is_success`` becomes ``{"performance": {"is_success": …}}``; the object is
    null where there is no such row.
    """
    found: dict[str, BaseExpression | F] = {}
    nested: dict[str, list[tuple[str, BaseExpression | F]]] = {}
    for name in fields:
        relation, dot, inner = name.partition(SEPARATOR)
        if dot:
            nested.setdefault(relation, []).append(
                (inner, expression(model, f"{relation}__{inner}"))
            )
            found.setdefault(relation, F(relation))
        else:
            found[name] = expression(model, name)
    for relation, members in nested.items():
        pairs = [part for name, inner in members for part in (Value(name), inner)]
        found[relation] = Case(
            When(**{f"{relation}__isnull": True}, then=Value(None)),
            default=Nested(*pairs),
            output_field=models.JSONField(),
        )
    return found


def rows_as_json(
    queryset: QuerySet[Any, Any], fields: Sequence[str], ordering: str = "pk"
) -> list[tuple[str, str, str]]:
    """Return (row as JSON, ``ordering`` column as text, primary key as text) for each row."""
    model: Any = queryset.model
    chosen: Mapping[str, Any] = columns(model, tuple(fields))
    keys = [Cast(F(name), TextField()) for name in (ordering, "pk")]
    selected = queryset.values_list(*chosen.values(), *keys)
    inner, parameters = selected.query.sql_with_params()
    connection = connections[queryset.db]
    quote = connection.ops.quote_name
    aliases = ", ".join(f"c{place}" for place in range(len(chosen) + 2))
    members = ", ".join(f"page.c{place} AS {quote(name)}" for place, name in enumerate(chosen))
    sql = (
        f"SELECT row_to_json(shown)::text, page.c{len(chosen)}, page.c{len(chosen) + 1} "
        f"FROM ({inner}) AS page({aliases}), LATERAL (SELECT {members}) AS shown"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()
