"""Archived rows beside the living ones: a temporary table, filled exactly, and compared."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
from django.db import DataError, connection
from pyarrow import csv

from apps.shared.errors import DomainError
from apps.shared.retention.manifests import TableRecord

# Columns of a staged table beside those of the row: where in the file it stands, from 0.
BLOCK, ORDINAL = "archive_block", "archive_row"
CHUNK_ROWS = 10_000
INTEGERS = ("smallint", "integer", "bigint")
SIZED = re.compile(r"(character varying|numeric)\((\d+)(?:,(\d+))?\)")


class ForeignSchema(DomainError):
    """An archive of another schema: its tables or columns are not those of this database."""

    code = "foreign_schema"
    status = 409


class LiveColumn(NamedTuple):
    """A column as the database has it now; ``type`` as format_type() writes it."""

    name: str
    type: str
    is_generated: bool
    is_required: bool
    has_default: bool


class Compared(NamedTuple):
    """Keys of staged rows, as text: not in the living table, or there with other values."""

    missing: list[str]
    differing: list[str]


def staged(cursor: Any, name: str, record: TableRecord, table: pa.Table) -> None:
    """Put archived rows into the temporary table ``name``, until the transaction is over.

    Its columns are those of the archive in the types of the living table, and beside them BLOCK
    and ORDINAL. A table of this name is replaced. Raises ForeignSchema.
    """
    check_schema(record, live_columns(cursor, record.table))
    names = [column[0] for column in record.columns]
    quote = connection.ops.quote_name
    listed = ", ".join(quote(each) for each in [BLOCK, ORDINAL, *names])
    own = ", ".join(map(quote, names))
    cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{quote(name)}")
    cursor.execute(
        f"CREATE TEMP TABLE {quote(name)} ON COMMIT DROP AS "
        f"SELECT 0 AS {quote(BLOCK)}, 0 AS {quote(ORDINAL)}, {own} "
        f"FROM {quote(record.table)} WITH NO DATA"
    )
    blocks = table["block"] if "block" in table.column_names else pa.nulls(len(table), pa.int32())
    places = pa.array(range(len(table)), pa.int32())
    rows = pa.table([blocks.fill_null(0), places, *(table[each] for each in names)],
                    names=[BLOCK, ORDINAL, *names])  # fmt: skip
    try:
        statement = f"COPY {quote(name)} ({listed}) FROM STDIN (FORMAT csv)"
        with connection.wrap_database_errors, cursor.copy(statement) as sink:
            for chunk in csv_chunks(rows):
                sink.write(chunk)
    except DataError as error:
        first = str(error).splitlines()[0]
        raise ForeignSchema(
            f"The archive is of another schema: {record.table} does not take its values ({first})."
        ) from error
    # Nobody else looks after a temporary table; without figures the planner guesses badly.
    cursor.execute(f"ANALYZE {quote(name)}")


def csv_chunks(rows: pa.Table) -> Iterator[bytes]:
    """Yield rows as CSV: text is quoted, even when empty, and NULL is nothing at all."""
    options = csv.WriteOptions(include_header=False, quoting_style="needed")
    for batch in rows.to_batches(max_chunksize=CHUNK_ROWS):
        sink = pa.BufferOutputStream()
        csv.write_csv(batch, sink, options)
        yield sink.getvalue().to_pybytes()


def compared(cursor: Any, name: str, record: TableRecord, *, table: str = "") -> Compared:
    """Compare staged rows with those of the living table, or of ``table``, bit for bit.

    What PostgreSQL takes for equal is not: -0.0 and 0.0 differ, and so do 1.0 and 1.00.
    """
    quote = connection.ops.quote_name
    held = table or record.table
    names = [quote(column[0]) for column in record.columns]
    key = quote(record.key)
    same_key = " AND ".join(
        f"held.{each} = sent.{each}" for each in map(quote, identity(cursor, held, record))
    )
    bits = " *<> ".join(f"ROW({listed(side, names)})::record" for side in ("held", "sent"))
    # The same value may be stored in two ways, which its text does not tell.
    texts = " IS DISTINCT FROM ".join(
        f"ROW({listed(side, names, '::text')})" for side in ("held", "sent")
    )
    cursor.execute(
        f"SELECT sent.{key}::text, held.{key} IS NULL "
        f"FROM {quote(name)} AS sent LEFT JOIN {quote(held)} AS held ON {same_key} "
        f"WHERE held.{key} IS NULL OR ({bits} AND {texts}) ORDER BY sent.{quote(ORDINAL)}"
    )
    found = Compared([], [])
    for text, is_missing in cursor.fetchall():
        (found.missing if is_missing else found.differing).append(text)
    return found


def differing(cursor: Any, name: str, record: TableRecord, *, table: str = "") -> list[str]:
    """Return the keys of staged rows that are not, bit for bit, in the living table, as text."""
    found = compared(cursor, name, record, table=table)
    return [*found.missing, *found.differing]


def listed(side: str, names: Sequence[str], suffix: str = "") -> str:
    return ", ".join(f"{side}.{name}{suffix}" for name in names)


def identity(cursor: Any, table: str, record: TableRecord) -> list[str]:
    """Return the columns by which PostgreSQL finds a row: a table cut into months has two."""
    cursor.execute(
        "SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid "
        "AND attnum = ANY(indkey) WHERE indrelid = to_regclass(%s) AND indisprimary",
        [connection.ops.quote_name(table)],
    )
    found = [name for (name,) in cursor.fetchall()]
    archived = {column[0] for column in record.columns}
    return found if record.key in found and archived.issuperset(found) else [record.key]


# --- What the database has now ------------------------------------------------------------


def live_columns(cursor: Any, table: str) -> dict[str, LiveColumn]:
    """Return the columns of a table by name, in their order. Raises ForeignSchema."""
    cursor.execute(
        "SELECT attname, format_type(atttypid, atttypmod), attgenerated <> '', attnotnull, "
        "atthasdef OR attidentity <> '' FROM pg_attribute "
        "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        [connection.ops.quote_name(table)],
    )
    found = {row[0]: LiveColumn(*row) for row in cursor.fetchall()}
    if not found:
        raise ForeignSchema(f"The archive is of another schema: there is no table {table} here.")
    return found


def check_schema(record: TableRecord, live: dict[str, LiveColumn]) -> None:
    """Raise ForeignSchema, naming every archived column that has no place in the table now."""
    wrong = []
    for name, _, was in record.columns:
        column = live.get(name)
        if column is None:
            wrong.append(f"{name} ({was}) is gone")
        elif column.is_generated:
            wrong.append(f"{name} is computed by now")
        elif not fits(was, column.type):
            wrong.append(f"{name} was {was} and is {column.type}")
    if wrong:
        raise ForeignSchema(
            f"The archive is of another schema: in {record.table}, {'; '.join(wrong)}."
        )


def fits(was: str, now: str) -> bool:
    """Tell whether a column of type ``now`` takes every value of type ``was`` unchanged.

    >>> fits("integer", "bigint"), fits("bigint", "integer")
    (True, False)
    >>> fits("character varying(50)", "text"), fits("numeric(38,18)", "numeric(20,8)")
    (True, False)
    """
    if was == now:
        return True
    if was in INTEGERS and now in INTEGERS:
        return INTEGERS.index(was) < INTEGERS.index(now)
    old, new = SIZED.fullmatch(was), SIZED.fullmatch(now)
    if was.startswith("character varying"):
        if now in ("text", "character varying"):
            return True
        return bool(old and new and now.startswith("char") and int(old[2]) <= int(new[2]))
    if old and was.startswith("numeric"):
        if new is None:
            return now == "numeric"
        places = int(old[3] or 0), int(new[3] or 0)
        whole = int(old[2]) - places[0], int(new[2]) - places[1]
        return now.startswith("numeric") and places[0] <= places[1] and whole[0] <= whole[1]
    return False
