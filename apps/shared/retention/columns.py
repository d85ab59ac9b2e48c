"""Columns of a table as an archive knows them: a name, a kind of value, PostgreSQL's own type."""

import hashlib
import json
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import pyarrow as pa
from django.db import connection
from django.db.models import Model

MOST_DIGITS: Final = 38
NUMERIC: Final = re.compile(r"numeric\((\d+),(\d+)\)")
MOMENT_TYPE: Final = re.compile(r"timestamp(\(\d\))? with time zone")


class Kind(StrEnum):
    """What a column holds. Whatever has no kind of its own travels as PostgreSQL's text of it."""

    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    MOMENT = "moment"
    DATE = "date"
    DECIMAL = "decimal"
    TEXT = "text"


KINDS: Final = {
    "smallint": Kind.INTEGER,
    "integer": Kind.INTEGER,
    "bigint": Kind.INTEGER,
    "real": Kind.FLOAT,
    "double precision": Kind.FLOAT,
    "boolean": Kind.BOOLEAN,
    "date": Kind.DATE,
}
ARROW_TYPES: Final = {
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
}


class Column(NamedTuple):
    """``type`` is what ``format_type()`` says: "numeric(38,18)", "bigint", "uuid"."""

    name: str
    kind: Kind
    type: str

    @property
    def precision(self) -> tuple[int, int]:
        """The digits in all and behind the point, of a DECIMAL."""
        found = NUMERIC.fullmatch(self.type)
        if found is None:
            raise ValueError(f"{self.type} has no fixed number of places.")
        return int(found[1]), int(found[2])

    @property
    def arrow_type(self) -> pa.DataType:
        """The type that holds every value of the column exactly, or refuses it."""
        if self.kind is Kind.DECIMAL:
            return pa.decimal128(*self.precision)
        if self.kind is Kind.MOMENT:
            return pa.timestamp("us", tz="UTC")
        return ARROW_TYPES.get(self.type, pa.string())


def kind_of(type: str) -> Kind:
    """Return the kind of a type by what ``format_type()`` calls it."""
    if MOMENT_TYPE.fullmatch(type):
        return Kind.MOMENT
    if found := NUMERIC.fullmatch(type):
        digits, places = int(found[1]), int(found[2])
        # More digits than Arrow holds travel as text, like those without a fixed scale.
        return Kind.DECIMAL if places <= digits <= MOST_DIGITS else Kind.TEXT
    return KINDS.get(type, Kind.TEXT)


def quoted(name: str) -> str:
    """Return a name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def columns_of(model: type[Model]) -> list[Column]:
    """Return the columns of a model's table as they stand in the database, in their order.

    Generated columns are left out: PostgreSQL makes them anew.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped "
            "AND attgenerated = '' ORDER BY attnum",
            [quoted(model._meta.db_table)],
        )
        return [Column(name, kind_of(type), type) for name, type in cursor.fetchall()]


def schema_version(tables: Sequence[tuple[str, Sequence[Column]]]) -> str:
    """Return 16 hex digits that change with any name, kind or type of any column."""
    text = json.dumps([[table, [list(each) for each in columns]] for table, columns in tables])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
