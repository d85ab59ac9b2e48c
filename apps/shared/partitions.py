"""Tables cut into months (UTC): made ahead, joined late, taken out whole.

A row whose month has no partition goes to the one called ``<table>_other`` and moves when its
month is made, so no row is ever refused. That catch-all is why a month is not detached
concurrently: PostgreSQL does that only without one. Instead each statement that others would
queue behind asks for its lock so briefly that nobody notices, and is tried again.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from django.db import OperationalError, connection, transaction
from django.db.migrations.operations import CreateModel
from psycopg.errors import LockNotAvailable

TIME = "timestamp"
# Who waits for a lock makes everybody behind wait as well.
LOCK_MILLISECONDS = 15
PAUSE_SECONDS = 0.5
PATIENCE = timedelta(seconds=20)

T = TypeVar("T")


class CreatePartitionedModel(CreateModel):
    """Create a model whose table is cut by months of ``timestamp``, with its catch-all.

    Django goes on seeing one ``id``; in SQL the key is (id, timestamp), as partitions ask for.
    """

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = to_state.apps.get_model(app_label, self.name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        table, (sql, parameters) = model._meta.db_table, schema_editor.table_sql(model)
        columns = sql.replace(" PRIMARY KEY", "", 1).removesuffix(")")
        key = f'PRIMARY KEY ("{model._meta.pk.column}", "{TIME}")'
        cut = f'{columns}, {key}) PARTITION BY RANGE ("{TIME}")'
        schema_editor.execute(cut, parameters or None)
        schema_editor.execute(f'CREATE TABLE "{other(table)}" PARTITION OF "{table}" DEFAULT')
        schema_editor.deferred_sql.extend(schema_editor._model_indexes_sql(model))

    def describe(self) -> str:
        return f"{super().describe()}, cut into months"


def month_of(moment: datetime) -> date:
    """Return the first day of the month that a moment lies in, in UTC."""
    day = moment.astimezone(UTC)
    return date(day.year, day.month, 1)


def next_month(month: date) -> date:
    return (month.replace(day=1) + timedelta(days=32)).replace(day=1)


def months_from(first: date, count: int) -> list[date]:
    """Return ``count`` months, ``first`` among them."""
    months = [first.replace(day=1)]
    while len(months) < count:
        months.append(next_month(months[-1]))
    return months


def partition_name(table: str, month: date) -> str:
    return f"{table}_{month:%Y_%m}"


def other(table: str) -> str:
    """Return the name of the partition for all months that have none."""
    return f"{table}_other"


def existing_months(table: str) -> list[date]:
    """Return the months that have a partition, the oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT child.relname FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid "
            "WHERE inhparent = to_regclass(%s) AND child.relname <> %s",
            [table, other(table)],
        )
        names = [name.removeprefix(f"{table}_") for (name,) in cursor.fetchall()]
    return sorted(date(int(name[:4]), int(name[5:]), 1) for name in names)


def months_without_partition(table: str, *, since: date) -> list[date]:
    """Return the months, from ``since`` on, of rows that wait in the catch-all."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT date_trunc('month', {TIME}, 'UTC') FROM \"{other(table)}\" "
            f"WHERE {TIME} >= %s ORDER BY 1",
            [datetime(since.year, since.month, since.day, tzinfo=UTC)],
        )
        return [month_of(moment) for (moment,) in cursor.fetchall()]


def make_months(
    table: str, months: Iterable[date], *, patience: timedelta = PATIENCE
) -> list[date]:
    """Have a partition for each month, with the rows that waited for it; return the new ones.

    May run twice at once. Readers and writers go on meanwhile; only who adds to the very
    months that move has to wait. Raises OperationalError where somebody reads the catch-all
    for longer than ``patience``; the next try makes good.
    """
    known = set(existing_months(table))
    missing = [month for month in months if month not in known]
    return [
        month for month in missing if patiently(partial(_make, table, month), patience=patience)
    ]


def _make(table: str, month: date) -> bool:
    name = partition_name(table, month)
    bounds = f"'{month:%Y-%m-%d} 00:00:00+00'", f"'{next_month(month):%Y-%m-%d} 00:00:00+00'"
    within = f"{TIME} >= {bounds[0]} AND {TIME} < {bounds[1]}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"partitions of {table}"])
        cursor.execute("SELECT to_regclass(%s)", [name])
        if cursor.fetchone() != (None,):
            return False
        cursor.execute(f'CREATE TABLE "{name}" (LIKE "{table}" INCLUDING ALL)')
        # Nobody may add a row of this month to the catch-all any more; reading goes on.
        cursor.execute(f'LOCK TABLE "{other(table)}" IN SHARE ROW EXCLUSIVE MODE')
        cursor.execute(
            "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute "
            "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped "
            "AND attgenerated = ''",
            [table],
        )
        (columns,) = cursor.fetchone()
        cursor.execute(
            f'WITH moved AS (DELETE FROM "{other(table)}" WHERE {within} RETURNING {columns}) '
            f'INSERT INTO "{name}" ({columns}) SELECT {columns} FROM moved'
        )
        # CREATE … PARTITION OF would lock the whole table; attaching locks only the catch-all.
        cursor.execute(
            f'ALTER TABLE "{table}" ATTACH PARTITION "{name}" '
            f"FOR VALUES FROM ({bounds[0]}) TO ({bounds[1]})"
        )
    return True


def detached_name(table: str, month: date) -> str:
    """Return what a month is called that stands beside its table, on its way out."""
    return f"{partition_name(table, month)}_leaving"


def is_detached(table: str, month: date) -> bool:
    """Tell whether a month stands beside its table: whoever detached it came to no end."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [detached_name(table, month)])
        (found,) = cursor.fetchone()
    return bool(found)


def detached_months(table: str) -> list[date]:
    """Return the months that stand beside their table, the oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT substring(relname FROM %s) FROM pg_class WHERE relkind = 'r' "
            "AND NOT relispartition AND relname ~ %s AND pg_table_is_visible(oid)",
            [r"(\d{4}_\d\d)_leaving$", rf"^{table}_\d{{4}}_\d\d_leaving$"],
        )
        names = [name for (name,) in cursor.fetchall()]
    return sorted(date(int(name[:4]), int(name[5:]), 1) for name in names)


def detach_month(table: str, month: date, *, patience: timedelta = PATIENCE) -> bool:
    """Take a month out of its table, with all its rows; False when it had no partition.

    It stands beside it then, under ``detached_name``, until ``drop_detached``. An insert waits no
    longer than three lock attempts, also while somebody reads the table for hours. Raises
    OperationalError when such a reader outlasts ``patience``; nothing has changed then, and the
    next try may well succeed.
    """
    name, apart = partition_name(table, month), detached_name(table, month)

    def detach() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT FROM pg_inherits WHERE inhparent = to_regclass(%s) "
                "AND inhrelid = to_regclass(%s)",
                [table, name],
            )
            if not cursor.fetchall():
                return False
            cursor.execute(f'ALTER TABLE "{table}" DETACH PARTITION "{name}"')
            cursor.execute(f'ALTER TABLE "{name}" RENAME TO "{apart}"')
        return True

    return patiently(detach, patience=patience)


def drop_detached(table: str, month: date) -> bool:
    """Drop a month that stands beside its table, and give its space back; False without one."""
    if not is_detached(table, month):
        return False
    with connection.cursor() as cursor:
        cursor.execute(f'DROP TABLE IF EXISTS "{detached_name(table, month)}"')
    return True


@contextmanager
def brief_locks(milliseconds: int) -> Iterator[None]:
    """Open a transaction, or a savepoint, in which no lock is waited for any longer."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{milliseconds}ms'")
        yield
        with connection.cursor() as cursor:
            # Inside of another transaction the setting would outlive this one.
            cursor.execute("SET LOCAL lock_timeout = DEFAULT")


def patiently(work: Callable[[], T], *, patience: timedelta = PATIENCE) -> T:
    """Run ``work`` in a transaction that gives up a lock at once and tries again later."""
    deadline = time.monotonic() + patience.total_seconds()
    while True:
        try:
            with brief_locks(LOCK_MILLISECONDS):
                return work()
        except OperationalError as error:
            held = isinstance(error.__cause__, LockNotAvailable)
            if not held or time.monotonic() > deadline or connection.in_atomic_block:
                raise
        time.sleep(PAUSE_SECONDS)
