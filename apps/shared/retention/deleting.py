"""Rows leave: those that stand in an archive bit for bit, and nothing else.

A block leaves at once where all of its rows are as they were written; PostgreSQL digests what it
deletes, and a digest that differs takes everything back. Then the block is looked through row by
row, and what changed meanwhile stays.

Dependents are tied to their root by foreign keys. So none that is new can be overlooked: the key
would break, and the locked rows let no new one in.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import BooleanField, F, Func, Model
from psycopg.errors import DeadlockDetected, LockNotAvailable

from apps.shared.partitions import brief_locks
from apps.shared.retention.checksums import block_digest, digests_in, settle, sql_digests
from apps.shared.retention.columns import columns_of, quoted
from apps.shared.retention.datasets import Dataset, Rule
from apps.shared.retention.manifests import Manifest, TableRecord, read_table
from apps.shared.retention.selecting import leaving, rows_of
from apps.shared.retention.snapshots import key_order
from apps.shared.retention.staging import differing, staged

BATCH_ROWS = 5_000
# Below the second after which PostgreSQL looks for deadlocks.
LOCK_MILLISECONDS = 500
ATTEMPTS = 5
PAUSE_SECONDS = 0.2

T = TypeVar("T")


class Left(NamedTuple):
    """How many rows left, of all tables; the keys, as text, of the roots that stayed."""

    rows: int
    stayed: list[str]


class Differs(Exception):
    """Something is not as it was written."""


class Among(Func):
    """An expression is one of some keys, given as text."""

    output_field = BooleanField()

    def __init__(self, expression: Any, model: type[Model], keys: Sequence[str]) -> None:
        super().__init__(expression)
        self.model, self.keys = model, list(keys)

    def as_sql(self, compiler: Any, connection: Any, *args: Any, **options: Any) -> Any:
        sql, parameters = compiler.compile(self.get_source_expressions()[0])
        return f"{sql} = ANY(%s::{key_type(self.model)}[])", [*parameters, self.keys]


def key_type(model: type[Model]) -> str:
    return str(model._meta.pk.rel_db_type(connection))


def key_column(model: type[Model]) -> str:
    return str(model._meta.pk.column)


# --- With an archive ----------------------------------------------------------------------


def delete_block(
    *, rule: Rule, now: datetime, folder: Path, manifest: Manifest, block: int
) -> Left:
    """Delete the rows of one block of an archive, which was verified; in a transaction of yours.

    What is not in the archive exactly as it stands here, is no longer old or is exempt by now
    stays with all its dependents. Where tables are not what they were, the whole block does.
    Raises OperationalError where others hold on to the rows, DamagedArchive where a file cannot be
    read: nothing has changed then.
    """
    keys = [keys_of(rows_in(folder, each, block, [each.key]), each) for each in manifest.tables]
    if not is_current(rule.dataset, manifest):
        return Left(0, keys[0])
    try:
        rows = politely(lambda: delete_at_once(rule, now, manifest, block, keys))
        return Left(rows, [])
    except (Differs, IntegrityError):
        slices = [rows_in(folder, each, block) for each in manifest.tables]
        return politely(lambda: delete_what_is_same(rule, now, manifest, slices, keys))


def politely(work: Callable[[], T]) -> T:
    """Run ``work`` in a savepoint that gives way to whoever else wants the same rows.

    Locks are asked for so briefly that nobody else becomes the victim of a deadlock with us.
    """
    for attempt in range(ATTEMPTS):
        try:
            with brief_locks(LOCK_MILLISECONDS):
                return work()
        except OperationalError as error:
            held = isinstance(error.__cause__, LockNotAvailable | DeadlockDetected)
            if not held or attempt + 1 == ATTEMPTS:
                raise
        time.sleep(PAUSE_SECONDS)
    raise AssertionError("unreachable")


def rows_in(
    folder: Path, record: TableRecord, block: int, columns: Sequence[str] | None = None
) -> pa.Table:
    """Return the rows of one block of a file: blocks stand in it one behind the other."""
    start = sum(each.rows for each in record.blocks[:block])
    return read_table(folder, record, columns=columns).slice(start, record.blocks[block].rows)


def keys_of(rows: pa.Table, record: TableRecord) -> list[str]:
    return column(rows, record.key)


def is_current(dataset: Dataset, manifest: Manifest) -> bool:
    """Tell whether an archive has the tables and columns that the dataset has now.

    What was added since would be lost.
    """
    return [(each.table, each.known_columns()) for each in manifest.tables] == [
        (model._meta.db_table, columns_of(model)) for model in dataset.models
    ]


def delete_at_once(
    rule: Rule, now: datetime, manifest: Manifest, block: int, keys: list[list[str]]
) -> int:
    """Delete all rows of a block and return how many. Raises Differs, IntegrityError."""
    dataset, roots = rule.dataset, keys[0]
    with connection.cursor() as cursor:
        settle(cursor)
        # Asked before the dependents are gone, for exemptions may look at them. From the lock on
        # no row changes any more, and no other can begin to cite it.
        lock(cursor, dataset.model, roots)
        if eligible(rule, now, manifest, roots).count() != len(roots):
            raise Differs
        with dataset.around(natural(dataset, roots)) if dataset.around else nullcontext():
            for record, own in reversed(list(zip(manifest.tables, keys, strict=True))):
                expected = record.blocks[block]
                if deleted(cursor, record, own) != (expected.rows, expected.digest):
                    raise Differs
        speak_up(cursor)
    return sum(map(len, keys))


def deleted(cursor: Any, record: TableRecord, keys: Sequence[str]) -> tuple[int, str]:
    """Delete rows by their keys; return how many there were, and the digest of them."""
    columns = record.known_columns()
    (key,) = (each for each in columns if each.name == record.key)
    names = ", ".join(quoted(each.name) for each in columns)
    cursor.execute(
        f"WITH gone AS (DELETE FROM {quoted(record.table)} WHERE {quoted(key.name)} = "
        f"ANY(%s::{key.type}[]) RETURNING {names}) SELECT count(*), {sql_digests(columns)} "
        f"FROM (SELECT * FROM gone ORDER BY {key_order(key)}) AS t",
        [list(keys)],
    )
    rows, *digests = cursor.fetchone()
    return rows, block_digest(digests_in(digests))


def eligible(rule: Rule, now: datetime, manifest: Manifest, roots: Sequence[str]) -> Any:
    """Return those rows of an archive that would leave also today."""
    old = leaving(rule, now).filter(**{f"{manifest.time}__lt": manifest.cutoff})
    return old.filter(Among(F("pk"), rule.dataset.model, roots))


def lock(cursor: Any, model: type[Model], keys: Sequence[str]) -> None:
    """Lock rows in the order of their keys, so that two who do it do not wait for each other."""
    key = quoted(key_column(model))
    cursor.execute(
        f"SELECT count(*) FROM (SELECT FROM {quoted(model._meta.db_table)} "
        f"WHERE {key} = ANY(%s::{key_type(model)}[]) ORDER BY {key} FOR UPDATE) AS locked",
        [list(keys)],
    )


def speak_up(cursor: Any) -> None:
    """Have foreign keys say now what they would say at the end. Raises IntegrityError."""
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def natural(dataset: Dataset, roots: Iterable[str]) -> list[Any]:
    """Return keys as the models have them."""
    return [dataset.model._meta.pk.to_python(each) for each in roots]


# --- Row by row ---------------------------------------------------------------------------


def delete_what_is_same(
    rule: Rule,
    now: datetime,
    manifest: Manifest,
    slices: Sequence[pa.Table],
    keys: Sequence[Sequence[str]],
) -> Left:
    """Delete those roots of a block that are as they were, with their dependents."""
    dataset, roots = rule.dataset, keys[0]
    with connection.cursor() as cursor:
        settle(cursor)
        for model, own in zip(dataset.models, keys, strict=True):
            lock(cursor, model, own)
        same = set(texts(eligible(rule, now, manifest, roots).values_list("pk")))
        changed = []
        for number, (record, rows) in enumerate(zip(manifest.tables, slices, strict=True)):
            name = f"retention_block_{number}"
            staged(cursor, name, record, rows)
            changed.append(set(differing(cursor, name, record)))
    same -= changed[0]
    belongings = owned(dataset, roots)
    try:
        archived_roots = owners(dataset, slices)
    except Differs:
        return Left(0, list(roots))
    for live, stale, archived in zip(belongings, changed[1:], archived_roots, strict=True):
        # New ones, changed ones, and those that are gone or belong to another root by now.
        moved = live.items() ^ archived.items()
        same -= {root for _, root in moved} | {archived[key] for key in stale}
    rows, stayed = delete_trees(dataset, [each for each in roots if each in same], belongings)
    same.difference_update(stayed)
    return Left(rows, [each for each in roots if each not in same])


def owned(dataset: Dataset, roots: Sequence[str]) -> list[dict[str, str]]:
    """Return for each kind of dependents of some roots the key of their root by their own."""
    found = []
    for each in dataset.dependents:
        rows = rows_of(each.model).filter(Among(each.root, dataset.model, roots))
        pairs = rows.values_list("pk", each.root)
        found.append({str(key): str(root) for key, root in pairs})
    return found


def owners(dataset: Dataset, slices: Sequence[pa.Table]) -> list[dict[str, str]]:
    """Return for each kind of archived dependents the key of their root by their own.

    Their foreign keys lead to it, over archived rows alone. Raises Differs where one does not.
    """
    models = dataset.models
    keys = [column(rows, key_column(model)) for rows, model in zip(slices, models, strict=True)]
    found = [dict(zip(keys[0], keys[0], strict=True))]
    for place, model in enumerate(models[1:], start=1):
        roots: dict[str, str] = {}
        for field, above in product(model._meta.concrete_fields, range(place)):
            if field.related_model is models[above]:
                cited = column(slices[above], field.target_field.column)
                owner = dict(zip(cited, map(found[above].get, keys[above]), strict=True))
                for key, value in zip(
                    keys[place], column(slices[place], field.column), strict=True
                ):
                    if root := owner.get(value):
                        roots.setdefault(key, root)
        if len(roots) != len(keys[place]):
            raise Differs
        found.append(roots)
    return found[1:]


def column(rows: pa.Table, name: str) -> list[str]:
    values: list[str] = rows[name].cast(pa.string()).to_pylist()
    return values


def texts(rows: Iterable[tuple[Any, ...]]) -> list[str]:
    return [str(key) for (key,) in rows]


def delete_trees(
    dataset: Dataset, roots: Sequence[str], belongings: Sequence[dict[str, str]]
) -> Left:
    """Delete roots with their dependents; those that a row outside still cites stay.

    Halves of halves are tried, so one that is cited costs little.
    """
    if not roots:
        return Left(0, [])
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            with dataset.around(natural(dataset, roots)) if dataset.around else nullcontext():
                rows, wanted = 0, set(roots)
                for each, own in reversed(list(zip(dataset.dependents, belongings, strict=True))):
                    doomed = [key for key, root in own.items() if root in wanted]
                    rows += delete_keys(cursor, each.model, doomed)
                rows += delete_keys(cursor, dataset.model, roots)
            speak_up(cursor)
        return Left(rows, [])
    except IntegrityError:
        if len(roots) == 1:
            return Left(0, list(roots))
        half = len(roots) // 2
        parts = [delete_trees(dataset, each, belongings) for each in (roots[:half], roots[half:])]
        return Left(parts[0].rows + parts[1].rows, parts[0].stayed + parts[1].stayed)


def delete_keys(cursor: Any, model: type[Model], keys: Sequence[str]) -> int:
    key = quoted(key_column(model))
    cursor.execute(
        f"DELETE FROM {quoted(model._meta.db_table)} WHERE {key} = ANY(%s::{key_type(model)}[])",
        [list(keys)],
    )
    return int(cursor.rowcount)


# --- Without one --------------------------------------------------------------------------


def delete_batch(*, rule: Rule, now: datetime, rows: int = BATCH_ROWS) -> int:
    """Delete up to so many roots that nobody archives, the oldest first, with their dependents.

    In a transaction of yours. Returns how many left; 0 when none is left that may. Raises
    OperationalError as ``delete_block`` does.
    """
    old = leaving(rule, now)
    found = texts(old.order_by(rule.time, "pk").values_list("pk")[:rows])

    def delete() -> int:
        with connection.cursor() as cursor:
            lock(cursor, rule.dataset.model, found)
        # What changed before it was locked is judged as it is now.
        still = set(texts(old.filter(Among(F("pk"), rule.dataset.model, found)).values_list("pk")))
        roots = [each for each in found if each in still]
        left = delete_trees(rule.dataset, roots, owned(rule.dataset, roots))
        return len(roots) - len(left.stayed)

    return politely(delete)
