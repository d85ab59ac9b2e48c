"""Whole months of a table leave: taken out, compared with their archives, dropped.

Nobody waits for it: once a month stands beside its table, nothing it takes is in anybody's way.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from django.db import connection

from apps.shared.partitions import (
    PATIENCE,
    detach_month,
    detached_name,
    drop_detached,
    is_detached,
    patiently,
)
from apps.shared.retention.checksums import block_digest, digests_in, settle, sql_digests
from apps.shared.retention.columns import Column, kind_of, quoted
from apps.shared.retention.datasets import Rule
from apps.shared.retention.deleting import Left, keys_of, rows_in
from apps.shared.retention.manifests import Manifest, TableRecord
from apps.shared.retention.selecting import months_to_leave
from apps.shared.retention.snapshots import key_order
from apps.shared.retention.staging import differing, staged

__all__ = ["leave_month", "months_to_leave", "rejoin_month"]

Archived = tuple[Path, Manifest]
STAGED = "retention_month"
LEFT = "retention_month_left"


def leave_month(
    *,
    rule: Rule,
    month: date,
    archives: Sequence[Archived] | None,
    patience: timedelta = PATIENCE,
    noted: Callable[[list[Left]], None] | None = None,
) -> Left:
    """Drop a month of which every row stands in one of ``archives``; they were verified.

    Rows that do not, exactly as they stand here, come back into the table first; with None for a
    policy that archives nothing, none does. ``noted`` is told what left of each archive, in the
    transaction that drops the month. To be called outside of one. Killed anywhere and called
    again, it goes on; when the month is gone already it says that all has left, and does not call
    ``noted``. Raises OperationalError when somebody reads the month for longer than ``patience``:
    nothing is lost, try again later.
    """
    table = rule.dataset.table
    if not is_detached(table, month) and not detach_month(table, month, patience=patience):
        return Left(sum(manifest.rows for _, manifest in archives or ()), [])
    lefts = patiently(partial(drop_compared, table, month, archives, noted), patience=patience)
    return Left(sum(each.rows for each in lefts), [key for each in lefts for key in each.stayed])


def rejoin_month(table: str, month: date, *, patience: timedelta = PATIENCE) -> bool:
    """Bring the rows of a month that stands beside its table back into it; False without one.

    To be called while no run is at the table; may run twice at once. Raises OperationalError as
    ``leave_month`` does.
    """

    def rejoin() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"partitions of {table}"])
        if not is_detached(table, month):
            return False
        drop_compared(table, month, [], None)
        return True

    return patiently(rejoin, patience=patience)


def drop_compared(
    table: str,
    month: date,
    archives: Sequence[Archived] | None,
    noted: Callable[[list[Left]], None] | None,
) -> list[Left]:
    """Compare a month that stands beside its table, put back what differs, and drop it."""
    apart = detached_name(table, month)
    with closing(connection.cursor()) as cursor:
        cursor.execute(f"LOCK TABLE {quoted(apart)} IN ACCESS EXCLUSIVE MODE")
        # From here on nobody is in the way, and it may take its time.
        cursor.execute("SET LOCAL lock_timeout = DEFAULT")
        cursor.execute(f"SELECT count(*) FROM {quoted(apart)}")
        (rows,) = cursor.fetchone()
        if archives is None:
            lefts = [Left(rows, [])]
        else:
            settle(cursor)
            columns = columns_in(cursor, apart)
            lefts = [compared(cursor, apart, columns, *each) for each in archives]
            if rows != sum(each.rows for each in lefts):
                put_back(cursor, table, apart, columns, archives, lefts)
        drop_detached(table, month)
        if noted is not None:
            noted(lefts)
    return lefts


def columns_in(cursor: Any, table: str) -> list[Column]:
    """Return the columns of a table that belongs to no model, without generated ones."""
    cursor.execute(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped "
        "AND attgenerated = '' ORDER BY attnum",
        [quoted(table)],
    )
    return [Column(name, kind_of(type_), type_) for name, type_ in cursor.fetchall()]


def compared(
    cursor: Any, apart: str, columns: Sequence[Column], folder: Path, manifest: Manifest
) -> Left:
    """Return how many rows of an archive stand in a month just so, and which do not."""
    (record,) = manifest.tables
    if record.known_columns() != list(columns):
        # What was added since is not in the archive.
        every = range(len(record.blocks))
        return Left(0, [key for n in every for key in block_keys(folder, record, n)])
    rows, stayed = 0, []
    for number, block in enumerate(record.blocks):
        keys = block_keys(folder, record, number)
        if found_in(cursor, apart, record, columns, keys) != (block.rows, block.digest):
            staged(cursor, STAGED, record, rows_in(folder, record, number))
            differ = set(differing(cursor, STAGED, record, table=apart))
            stayed += [key for key in keys if key in differ]
            rows += len(keys) - len(differ)
        else:
            rows += block.rows
    return Left(rows, stayed)


def block_keys(folder: Path, record: TableRecord, number: int) -> list[str]:
    return keys_of(rows_in(folder, record, number, [record.key]), record)


def found_in(
    cursor: Any, table: str, record: TableRecord, columns: Sequence[Column], keys: Sequence[str]
) -> tuple[int, str]:
    """Return how many of some rows stand in a table, and their digest."""
    (key,) = (each for each in columns if each.name == record.key)
    cursor.execute(
        f"SELECT count(*), {sql_digests(columns)} FROM (SELECT * FROM {quoted(table)} "
        f"WHERE {quoted(key.name)} = ANY(%s::{key.type}[]) ORDER BY {key_order(key)}) AS t",
        [list(keys)],
    )
    rows, *digests = cursor.fetchone()
    return rows, block_digest(digests_in(digests))


def put_back(
    cursor: Any,
    table: str,
    apart: str,
    columns: Sequence[Column],
    archives: Sequence[Archived],
    lefts: Sequence[Left],
) -> None:
    """Have those rows of a month that do not leave stand in their table again.

    Its catch-all takes them, or its month where that was made anew.
    """
    cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{LEFT}")
    cursor.execute(f"CREATE TEMP TABLE {LEFT} (key text PRIMARY KEY) ON COMMIT DROP")
    key = ""
    for (folder, manifest), left in zip(archives, lefts, strict=True):
        (record,) = manifest.tables
        key, stayed = record.key, set(left.stayed)
        for number in range(len(record.blocks)):
            going = [each for each in block_keys(folder, record, number) if each not in stayed]
            cursor.execute(
                f"INSERT INTO {LEFT} SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING", [going]
            )
    names = ", ".join(quoted(each.name) for each in columns)
    others = (
        f" WHERE NOT EXISTS (SELECT FROM {LEFT} WHERE {LEFT}.key = month.{quoted(key)}::text)"
        if key
        else ""
    )
    cursor.execute(
        f"INSERT INTO {quoted(table)} ({names}) "
        f"SELECT {names} FROM {quoted(apart)} AS month{others}"
    )
