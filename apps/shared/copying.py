"""Rows as COPY sees them: the table, its columns, values as text."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import repeat
from operator import itemgetter
from typing import Any

import msgspec
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

BLOCK_ROWS = 1_000
# Columns whose values are strings in JSON.
PLAIN_FIELDS = (models.CharField, models.TextField, models.DecimalField, models.DateTimeField)

Values = Sequence[Any]


class Target:
    """A table as one batch sees it: its columns, its key, how a value becomes text."""

    def __init__(
        self,
        model: type[models.Model],
        connection: BaseDatabaseWrapper,
        columns: Sequence[str],
        key: Sequence[str],
        defaults: Mapping[str, Any],
    ) -> None:
        self.connection = connection
        self.names = list(columns)
        fields: list[Any] = [model._meta.get_field(name) for name in [*columns, *defaults]]
        quote = connection.ops.quote_name
        self.table = quote(model._meta.db_table)
        self.columns = [quote(each.column) for each in fields]
        self.writers = [writer(each) for each in fields]
        self.constants = [
            next(iter(write([value])))
            for write, value in zip(self.writers[len(columns) :], defaults.values(), strict=True)
        ]
        self.writers = self.writers[: len(columns)]
        self.is_plain = not defaults and all(
            isinstance(each, PLAIN_FIELDS) and not each.null for each in fields
        )
        self.key_places = [self.names.index(name) for name in key]
        self.key = [self.columns[place] for place in self.key_places]
        self.others = [each for each in self.columns[: len(columns)] if each not in self.key]
        self.other_names = [name for name in self.names if name not in key]
        self.touched = [
            quote(str(each.column))
            for each in model._meta.concrete_fields
            if getattr(each, "auto_now", False) and each.name not in columns
        ]
        self.key_of: Callable[[Values], Any] = itemgetter(*self.key_places)

    def lines(
        self, rows: Sequence[Values], ordinals: Sequence[int] | None = None
    ) -> Iterator[bytes]:
        """Yield COPY text, a block of rows at a time, so that the server works meanwhile."""
        for start in range(0, len(rows), BLOCK_ROWS):
            block = rows[start : start + BLOCK_ROWS]
            numbers = None if ordinals is None else ordinals[start : start + BLOCK_ROWS]
            lines = self.plain_lines(block) if self.is_plain else None
            yield self.columnwise(block, numbers) if lines is None else joined(lines, numbers)

    def columnwise(self, block: Sequence[Values], numbers: Sequence[int] | None) -> bytes:
        """Return rows as COPY text, each column turned into text by its own kind."""
        values: list[Iterable[str]] = [
            write(column)
            for write, column in zip(self.writers, zip(*block, strict=True), strict=True)
        ]
        values += [repeat(constant, len(block)) for constant in self.constants]
        if numbers is not None:
            values.insert(0, map(str, numbers))
        return "\n".join(map("\t".join, zip(*values, strict=True))).encode() + b"\n"

    def plain_lines(self, block: Sequence[Values]) -> list[bytes] | None:
        """Return rows as COPY text by way of JSON, at a third of the cost, or None.

        Where all values become JSON strings without an escape, their quotes and commas
        stand exactly where COPY wants its tabs and line breaks.
        """
        try:
            text = json_rows.encode(block)
        except TypeError:
            return None
        lines = text[3:-3].split(b'"],["')
        if b"\\" in text or len(lines) != len(block):
            return None
        return [line.replace(b'","', b"\t") for line in lines]


def joined(lines: Sequence[bytes], numbers: Sequence[int] | None) -> bytes:
    """Return lines as one text, each behind its number where there are numbers."""
    if numbers is not None:
        lines = [b"%d\t%b" % pair for pair in zip(numbers, lines, strict=True)]
    return b"\n".join(lines) + b"\n"


def copy(target: Target, table: str, columns: Sequence[str], lines: Iterable[bytes]) -> None:
    """Run one COPY into ``table`` on Django's own connection."""
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    with (
        target.connection.wrap_database_errors,
        target.connection.cursor() as cursor,
        cursor.copy(statement) as sink,
    ):
        for block in lines:
            sink.write(block)


@contextmanager
def staged(target: Target, rows: Sequence[Values]) -> Iterator[str]:
    """Put the rows into a temporary table, with their ordinal, for as long as this lasts."""
    table = target.connection.ops.quote_name("ingest_rows")
    with target.connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TEMP TABLE {table} ON COMMIT DROP AS "
            f"SELECT 0 AS ingest_ordinal, {', '.join(target.columns)} FROM {target.table} "
            "WITH NO DATA"
        )
        copy(
            target,
            table,
            ["ingest_ordinal", *target.columns],
            target.lines(rows, range(len(rows))),
        )
        yield table
        cursor.execute(f"DROP TABLE {table}")


# --- Values as COPY text ------------------------------------------------------------------

ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
SPECIAL = re.compile(r"[\\\t\n\r]")
NULL = "\\N"
json_rows = msgspec.json.Encoder()
exact_json = msgspec.json.Encoder(decimal_format="number")

Column = Sequence[Any]
Writer = Callable[[Column], Iterable[str]]


def escaped(texts: Sequence[str]) -> Iterable[str]:
    """Escape what COPY would take for its own; most columns hold nothing of the kind."""
    if SPECIAL.search("".join(texts)):
        return [text.translate(ESCAPES) for text in texts]
    return texts


def json_text(value: Any) -> str:
    return exact_json.encode(value).decode().translate(ESCAPES)


def moments(column: Column) -> Iterable[str]:
    return map(datetime.isoformat, column)


def plain(column: Column) -> Iterable[str]:
    return map(str, column)


def documents(column: Column) -> Iterable[str]:
    return map(json_text, column)


def writer(field: "models.Field[Any, Any]") -> Writer:
    """Return what turns a column of this field's values into COPY text."""
    write: Writer
    held: Any = field
    while isinstance(held, models.ForeignKey):
        # A key may be text, with whatever a text may hold.
        held = held.target_field
    if isinstance(held, models.CharField | models.TextField):
        write = escaped
    elif isinstance(held, models.DateTimeField):
        write = moments
    elif isinstance(held, models.JSONField):
        write = documents
    else:
        write = plain
    if not field.null:
        return write

    def write_or_null(column: Column) -> Iterable[str]:
        if not any(value is None for value in column):
            return write(column)
        present = iter(write([value for value in column if value is not None]))
        return [NULL if value is None else next(present) for value in column]

    return write_or_null
