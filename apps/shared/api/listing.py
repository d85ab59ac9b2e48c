"""Rows as JSON made by PostgreSQL: no object and no decimal is built on the way out.

Django selects bare columns, which costs it little; what they look like in the answer is a
text around that, written once per resource.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db import connections, models
from django.db.models import QuerySet

from apps.shared.api.filters import field_at
from apps.shared.prepared import prepared

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
    try:
        inner, parameters = own_columns(queryset, paths) or any_columns(queryset, paths)
    except EmptyResultSet:
        # Django sees that no row can match, such as none of an empty list of values.
        return []
    with prepared(connections[queryset.db]) as cursor:
        # Not str.format: the text around holds braces and per cent signs of its own.
        cursor.execute(statement.replace("{inner}", inner), parameters)
        return cursor.fetchall()


Selection = tuple[str, Sequence[Any]]


def any_columns(queryset: QuerySet[Any, Any], paths: tuple[str, ...]) -> Selection:
    """Return the statement that selects columns at any paths, as Django puts it together."""
    return queryset.values_list(*paths).query.sql_with_params()  # type: ignore[no-any-return]


def own_columns(queryset: QuerySet[Any, Any], paths: tuple[str, ...]) -> Selection | None:
    """Return the same for columns of the model's own table, at a tenth of the cost, or None.

    Django resolves each column anew at every query. Here it is only asked for the condition;
    a queryset that is more than a condition, an order and a slice is left to it.
    """
    query: Any = queryset.query
    model: Any = queryset.model
    order = query.order_by or (model._meta.ordering if query.default_ordering else ())
    if not all(isinstance(name, str) for name in order):
        return None
    selected = own_names(model, paths)
    ordered = own_names(model, tuple(name.removeprefix("-") for name in order))
    special = (
        query.annotations or query.combinator or query.distinct or query.group_by is not None
        or query.extra or query.extra_order_by or query.extra_tables
        or not query.standard_ordering or query.select_for_update
    )  # fmt: skip
    if selected is None or ordered is None or special:
        return None
    query.get_initial_alias()
    try:
        where, parameters = query.get_compiler(queryset.db).compile(query.where)
    except FullResultSet:
        where, parameters = "", []
    if len(query.alias_map) > 1:
        return None
    quote = connections[queryset.db].ops.quote_name
    sql = f"SELECT {', '.join(map(quote, selected))} FROM {quote(model._meta.db_table)}"
    if where:
        sql += f" WHERE {where}"
    if ordered:
        columns = [
            f"{quote(column)} {'DESC' if name.startswith('-') else 'ASC'}"
            for name, column in zip(order, ordered, strict=True)
        ]
        sql += f" ORDER BY {', '.join(columns)}"
    if query.high_mark is not None:
        sql += f" LIMIT {query.high_mark - query.low_mark}"
    if query.low_mark:
        sql += f" OFFSET {query.low_mark}"
    return sql, parameters


@functools.cache
def own_names(model: type[models.Model], paths: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the columns at ``paths``, or None when one is not in the model's own table."""
    meta = model._meta
    held = {field.name: str(field.column) for field in meta.local_concrete_fields}
    held |= {field.attname: str(field.column) for field in meta.local_concrete_fields}
    if meta.pk is not None and meta.pk.name in held:
        held["pk"] = held[meta.pk.name]
    found = tuple(held[path] for path in paths if path in held)
    return found if len(found) == len(paths) else None
