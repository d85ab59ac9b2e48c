"""Reads over large tables that cost the same at any size: estimates and values by index."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import connection, models
from django.db.models import Index, QuerySet, UniqueConstraint
from django.utils.functional import Promise


class About(int):
    """A count that the planner guessed; it says so where it is shown."""

    def __str__(self) -> str:
        return f"about {rounded(self):,}"

    def __format__(self, spec: str) -> str:
        return str(self)


def rounded(count: int, digits: int = 2) -> int:
    """Return ``count`` to its leading digits: a guess must not look exact.

    >>> rounded(9_987_213), rounded(1_234), rounded(7)
    (10000000, 1200, 7)
    """
    power = max(len(str(int(count))) - digits, 0)
    return round(int(count) / 10**power) * 10**power


def estimate(queryset: QuerySet) -> About:
    """Return how many rows the planner expects, without reading any."""
    plan = json.loads(queryset.order_by().explain(format="json"))
    return About(max(int(plan[0]["Plan"]["Plan Rows"]), 0))


def column_of(model: type[models.Model], name: str) -> models.Field:
    """Return the column ``name``; raises ``FieldDoesNotExist`` for what is none."""
    field = model._meta.get_field(name)
    if not isinstance(field, models.Field):
        raise FieldDoesNotExist(f"{name} is no column of {model._meta.label}.")
    return field


def leads_an_index(model: type[models.Model], column: str) -> bool:
    """Return whether some index of the whole table begins with ``column``."""
    field = column_of(model, column)
    if field.unique or getattr(field, "db_index", False):
        return True
    whole = [
        item
        for item in [*model._meta.indexes, *model._meta.constraints]
        if isinstance(item, (Index, UniqueConstraint)) and not item.condition and item.fields
    ]
    return any(item.fields[0].lstrip("-") == column for item in whole)


def values_by_index(model: type[models.Model], column: str, *, limit: int) -> list[Any]:
    """Return up to ``limit`` different values of a column that leads an index, in order.

    Jumps from value to value through the index (a "loose index scan", which PostgreSQL does
    not do by itself for DISTINCT): the cost follows the number of values, not of rows.
    """
    quote = connection.ops.quote_name
    table, name = (
        quote(model._meta.db_table),
        quote(column_of(model, column).column or column),
    )
    sql = f"""
        WITH RECURSIVE walk(value) AS (
            (SELECT {name} FROM {table} ORDER BY {name} LIMIT 1)
            UNION ALL
            SELECT (SELECT {name} FROM {table} WHERE {name} > walk.value ORDER BY {name} LIMIT 1)
            FROM walk WHERE walk.value IS NOT NULL
        )
        SELECT value FROM walk WHERE value IS NOT NULL LIMIT %s"""
    with connection.cursor() as cursor:
        cursor.execute(sql, [limit])
        return [value for (value,) in cursor.fetchall()]


def counts_in_slots(
    queryset: QuerySet, time: str, *, starts: Sequence[datetime], step: timedelta, most: int
) -> list[int]:
    """Return how many rows have their ``time`` in each slot that begins at ``starts``.

    One query that stops at ``most`` in each slot, so that a flood costs no more than that.
    """
    counts: list[str] = []
    values: list[Any] = []
    for start in starts:
        slot = queryset.filter(**{f"{time}__gte": start, f"{time}__lt": start + step})
        sql, parameters = slot.order_by().values("pk")[:most].query.sql_with_params()
        counts.append(f"(SELECT count(*) FROM ({sql}) AS slot)")
        values += parameters
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(counts)}", values)
        return list(cursor.fetchone())


def words(text: str | Promise) -> str:
    """Return a verbose name with its first letter upper-cased, the rest untouched."""
    plain = str(text)
    return plain[:1].upper() + plain[1:]
