"""Rows of an archive back in their tables: identical, keys included, and never over others."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from django.db import Error, IntegrityError, connection, transaction

from apps.shared.errors import DomainError
from apps.shared.retention.checksums import settle
from apps.shared.retention.columns import quoted
from apps.shared.retention.datasets import Dataset
from apps.shared.retention.manifests import Manifest, verify_files
from apps.shared.retention.placing import (
    MissingParents,
    Stage,
    check_digests,
    fill,
    insert,
    insertion,
    leave_out,
    matched,
    refusal,
    rows_in,
    taken,
)
from apps.shared.retention.staging import Compared, ForeignSchema, compared

__all__ = ["MissingParents", "NotIdentical", "Restored", "TablePreview", "preview", "restore"]

# So many keys are named of those that are in the way, or missing.
NAMED = 5


class NotIdentical(DomainError):
    """Rows came back, but not as they were archived."""

    code = "not_identical"
    status = 409


class TablePreview(NamedTuple):
    """What a restore would do to one table.

    ``missing``: rows that are not there; ``same``: that stand there as they were;
    ``differing``: that stand there with other values, and are left as they are; ``refused``: why
    nothing would be restored, or empty; ``conflicting``: those of the missing in whose place
    another row stands, so that they would not be inserted.
    """

    table: str
    rows: int
    missing: int
    same: int
    differing: int
    refused: str
    conflicting: int = 0


class Restored(NamedTuple):
    """What a restore did to one table.

    ``conflicting``: rows that found another one in their place, under a key that may be there only
    once; ``conflicts`` names some of them. They are not restored.
    """

    table: str
    inserted: int
    same: int
    differing: int
    conflicting: int = 0
    conflicts: tuple[str, ...] = ()


def preview(
    *, dataset: Dataset, folder: Path, manifest: Manifest, stayed: Collection[str] = ()
) -> list[TablePreview]:
    """Return what ``restore`` would do to each table. Raises DamagedArchive."""
    with transaction.atomic(), connection.cursor() as cursor:
        verify_files(folder, manifest)
        settle(cursor)
        refused = ["" for _ in manifest.tables]
        stages: list[Stage] = []
        for place in range(len(manifest.tables)):
            try:
                matching = matched(cursor, dataset, manifest, place)
                with transaction.atomic():
                    fill(cursor, matching, folder)
            except ForeignSchema as error:
                refused[place] = error.message
            else:
                stages.append(matching)
        if any(refused):
            return [
                TablePreview(record.table, record.rows, 0, 0, 0, why)
                for record, why in zip(manifest.tables, refused, strict=True)
            ]
        leave_out(cursor, stages[0], stayed)
        found = [compared(cursor, each.name, each.record) for each in stages]
        return [
            TablePreview(
                stage.record.table,
                stage.record.rows,
                len(result.missing),
                rows_in(cursor, stage) - len(result.missing) - len(result.differing),
                len(result.differing),
                " ".join(orphans(cursor, stage, result.differing, beside=stages)),
                taken(cursor, stage, result.missing),
            )
            for stage, result in zip(stages, found, strict=True)
        ]


def restore(
    *, dataset: Dataset, folder: Path, manifest: Manifest, stayed: Collection[str] = ()
) -> list[Restored]:
    """Bring the rows of an archive back, and return what became of each table, in its order.

    ``stayed``: keys of roots, as text, that never left; they and what belongs to them are left
    out. Rows that stand there, or something else in their place, stay as they are: nothing is
    overwritten, and twice does no more than once. What comes back is compared with the archive bit
    for bit.

    Needs an open transaction, which is to be given up when this raises: ForeignSchema,
    MissingParents, DamagedArchive, NotIdentical, and what the dataset's own ``around`` raises.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("restore() needs an open transaction.")
    verify_files(folder, manifest)
    with connection.cursor() as cursor:
        settle(cursor)
        # Everything is known to fit before the first of it is read.
        stages = [matched(cursor, dataset, manifest, at) for at in range(len(manifest.tables))]
        for stage in stages:
            fill(cursor, stage, folder)
            check_digests(cursor, stage)
        leave_out(cursor, stages[0], stayed)
        before = [compared(cursor, each.name, each.record) for each in stages]
        came = any(each.missing for each in before)
        with around(cursor, dataset, stages[0]) if came else nullcontext():
            inserted = [
                insert(cursor, stage) if found.missing else 0
                for stage, found in zip(stages, before, strict=True)
            ]
            left_out = strays(cursor, dataset, stages, before, stayed)
            check_parents(cursor, stages, before)
            return [
                outcome(cursor, stage, found, count - left)
                for stage, found, count, left in zip(
                    stages, before, inserted, left_out, strict=True
                )
            ]


@contextmanager
def around(cursor: Any, dataset: Dataset, root: Stage) -> Iterator[None]:
    """Enter what the app has to do about its rows, with the keys of all roots of the archive.

    A root that stands there may still get dependents back.
    """
    if dataset.around is None:
        yield
        return
    cursor.execute(f"SELECT {quoted(root.record.key)}::text FROM {quoted(root.name)}")
    field: Any = dataset.model._meta.pk
    with dataset.around([field.to_python(key) for (key,) in cursor.fetchall()]):
        yield


def strays(
    cursor: Any,
    dataset: Dataset,
    stages: Sequence[Stage],
    before: Sequence[Compared],
    stayed: Collection[str],
) -> list[int]:
    """Take back what belongs to roots that never left; return how many rows of each table.

    It stands there, too, unless somebody deleted it since, and then it does not come back alone.
    """
    counts = [0 for _ in stages]
    if not stayed:
        return counts
    left_out = set(stayed)
    for place in reversed(range(1, len(stages))):
        stage = stages[place]
        came = stage.model._base_manager.filter(pk__in=before[place].missing)
        lost = {str(key) for key in came.values_list("pk", flat=True)}
        for dependent in dataset.dependents:
            if dependent.model is stage.model:
                roots = came.values_list("pk", dependent.root)
                # Where the root is not there, neither is its key.
                lost -= {
                    str(key)
                    for key, root in roots
                    if root is not None and str(root) not in left_out
                }
        if lost:
            counts[place] = came.filter(pk__in=lost)._raw_delete("default")
            cursor.execute(
                f"DELETE FROM {quoted(stage.name)} "
                f"WHERE {quoted(stage.record.key)}::text = ANY(%s)",
                [list(lost)],
            )
    return counts


# --- What it came to ----------------------------------------------------------------------


def check_parents(cursor: Any, stages: Sequence[Stage], before: Sequence[Compared]) -> None:
    """Check now what is checked when the transaction ends. Raises MissingParents."""
    try:
        with transaction.atomic():
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except IntegrityError as error:
        # Two of the tables may be one and the same.
        gone = dict.fromkeys(
            line
            for stage, found in zip(stages, before, strict=True)
            for line in orphans(cursor, stage, found.differing)
        )
        raise (MissingParents(" ".join(gone)) if gone else refusal(stages[0], error)) from error
    cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def orphans(
    cursor: Any, stage: Stage, standing: Sequence[str], beside: Sequence[Stage] = ()
) -> list[str]:
    """Return a sentence for each foreign key whose rows are gone, naming some.

    ``standing``: keys of staged rows that will not be inserted; ``beside``: staged tables whose
    rows will be.
    """
    table, key = quoted(stage.record.table), quoted(stage.record.key)
    cursor.execute(
        "SELECT own.attname, parent.relname, other.attname FROM pg_constraint c "
        "JOIN pg_class parent ON parent.oid = c.confrelid "
        "JOIN pg_attribute own ON own.attrelid = c.conrelid AND own.attnum = c.conkey[1] "
        "JOIN pg_attribute other ON other.attrelid = c.confrelid AND other.attnum = c.confkey[1] "
        "WHERE c.contype = 'f' AND c.conrelid = to_regclass(%s) AND cardinality(c.conkey) = 1 "
        "ORDER BY c.conname",
        [table],
    )
    archived = {name for name, *_ in stage.record.columns}
    sentences = []
    for column, parent, target in cursor.fetchall():
        if column not in archived:
            continue
        own, other = quoted(column), quoted(target)
        places = [quoted(parent)]
        places += [quoted(each.name) for each in beside if each.record.table == parent]
        absent = " ".join(
            f"AND NOT EXISTS (SELECT FROM {place} AS there WHERE there.{other} = sent.{own})"
            for place in places
        )
        cursor.execute(
            f"SELECT DISTINCT sent.{own}::text FROM {quoted(stage.name)} AS sent "
            f"WHERE sent.{own} IS NOT NULL AND sent.{key}::text <> ALL(%s) {absent} "
            f"ORDER BY 1 LIMIT {NAMED + 1}",
            [list(standing)],
        )
        gone = [value for (value,) in cursor.fetchall()]
        if gone:
            more = " and others" if len(gone) > NAMED else ""
            names = ", ".join(gone[:NAMED])
            sentences.append(
                f"{stage.record.table} belong to {parent} that are gone ({column}: {names}{more})."
            )
    return sentences


def outcome(cursor: Any, stage: Stage, before: Compared, inserted: int) -> Restored:
    """Compare what stands there now with what was archived. Raises NotIdentical."""
    rows = rows_in(cursor, stage)
    after = compared(cursor, stage.name, stage.record) if inserted or before.missing else before
    changed = set(after.differing).difference(before.differing)
    if changed:
        raise NotIdentical(
            f"{len(changed)} rows of {stage.record.table} did not come back as they were archived, "
            f"among them {', '.join(sorted(changed)[:NAMED])}."
        )
    return Restored(
        table=stage.record.table,
        inserted=inserted,
        same=rows - inserted - len(after.differing) - len(after.missing),
        differing=len(after.differing),
        conflicting=len(after.missing),
        conflicts=tuple(conflict(cursor, stage, key) for key in after.missing[:NAMED]),
    )


def conflict(cursor: Any, stage: Stage, key: str) -> str:
    """Say what stands in the way of a row: by having the database refuse it."""
    where = f"{quoted(stage.record.key)}::text = %s"
    statement, values = insertion(stage, "", where)
    try:
        with transaction.atomic():
            cursor.execute(statement, [*values, key])
    except Error as error:
        cause: Any = error.__cause__
        why = cause.diag.message_detail or cause.diag.message_primary or ""
        return f"{stage.record.table} {key}: {why}"
    raise NotIdentical(f"The row {key} of {stage.record.table} did not come back.")
