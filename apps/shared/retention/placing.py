"""Where the tables of an archive belong now: staged, proven to be exact, inserted."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from django.db import IntegrityError, connection
from django.db.models import Model
from psycopg.errors import ForeignKeyViolation

from apps.shared.errors import DomainError
from apps.shared.retention.checksums import block_digest, digests_in, sql_digests
from apps.shared.retention.columns import Column, quoted
from apps.shared.retention.datasets import Dataset
from apps.shared.retention.manifests import (
    DamagedArchive,
    Manifest,
    TableRecord,
    read_table,
)
from apps.shared.retention.staging import (
    BLOCK,
    INTEGERS,
    ORDINAL,
    ForeignSchema,
    LiveColumn,
    check_schema,
    live_columns,
    staged,
)


class MissingParents(DomainError):
    """What the rows of an archive belong to has been deleted since."""

    code = "missing_parents"
    status = 409


class Stage(NamedTuple):
    """One table of an archive, staged under ``name``.

    ``added``: values of columns that are new since, where PostgreSQL has none of its own.
    """

    name: str
    record: TableRecord
    model: type[Model]
    live: dict[str, LiveColumn]
    added: dict[str, Any]


def matched(cursor: Any, dataset: Dataset, manifest: Manifest, place: int) -> Stage:
    """Return where a table of the archive belongs. Raises ForeignSchema."""
    record = manifest.tables[place]
    known = {model._meta.label: model for model in dataset.models}
    model = known.get(record.model)
    if manifest.dataset != dataset.name or model is None or model._meta.db_table != record.table:
        raise ForeignSchema(
            f"The archive is of another schema: {record.table} ({record.model}) is no table of "
            f'"{dataset.name}".'
        )
    if place == 0 and model is not dataset.model:
        raise ForeignSchema(
            f'The archive is of another schema: "{dataset.name}" begins with {dataset.table}, '
            f"not with {record.table}."
        )
    live = live_columns(cursor, record.table)
    check_schema(record, live)
    return Stage(f"archived_{place}", record, model, live, added(record, model, live))


def added(record: TableRecord, model: type[Model], live: dict[str, LiveColumn]) -> dict[str, Any]:
    """Return what columns that are new since begin with, as if they were just being added.

    Those with a default in the database are left to it. Raises ForeignSchema for one that must
    have a value and has none.
    """
    archived = {name for name, *_ in record.columns}
    fields = {field.column: field for field in model._meta.concrete_fields}
    values: dict[str, Any] = {}
    lacking = []
    for name, column in live.items():
        if name in archived or column.is_generated or column.has_default:
            continue
        field = fields.get(name)
        value = connection.schema_editor().effective_default(field) if field else None
        if value is not None:
            values[name] = value
        elif column.is_required:
            lacking.append(name)
    if lacking:
        raise ForeignSchema(
            f"The archive is of another schema: {record.table} needs {', '.join(lacking)} by now, "
            "for which there is no default."
        )
    return values


def fill(cursor: Any, stage: Stage, folder: Path) -> None:
    staged(cursor, stage.name, stage.record, read_table(folder, stage.record))


def check_digests(cursor: Any, stage: Stage) -> None:
    """Raise DamagedArchive unless what is staged is what PostgreSQL once wrote, bit for bit."""
    columns = stage.record.known_columns()
    values = ", ".join(original(stage, each) for each in columns)
    # Grouping by a hash would hold the cells of all blocks at once.
    cursor.execute("SET LOCAL enable_hashagg = off")
    cursor.execute(
        f"SELECT t.{BLOCK}, count(*), {sql_digests(columns)} FROM (SELECT {BLOCK}, {values} "
        f"FROM {quoted(stage.name)} ORDER BY {BLOCK}, {ORDINAL}) AS t GROUP BY t.{BLOCK}"
    )
    found = {row[0]: (row[1], block_digest(digests_in(row[2:]))) for row in cursor.fetchall()}
    cursor.execute("SET LOCAL enable_hashagg = DEFAULT")
    told = {
        block: (each.rows, each.digest)
        for block, each in enumerate(stage.record.blocks)
        if each.rows
    }
    if found != told:
        wrong = sorted(
            block for block in found.keys() | told if found.get(block) != told.get(block)
        )
        raise DamagedArchive(
            f"Rows of {stage.record.table} do not read back as they were archived "
            f"(block {wrong[0]} of {stage.record.file})."
        )


def original(stage: Stage, column: Column) -> str:
    """Return a staged column in the type that it was archived in."""
    name = quoted(column.name)
    if stage.live[column.name].type == column.type:
        return name
    return f"{name}::{column.type} AS {name}"


def leave_out(cursor: Any, root: Stage, stayed: Collection[str]) -> None:
    """Take roots that never left out of what is staged."""
    if stayed:
        cursor.execute(
            f"DELETE FROM {quoted(root.name)} WHERE {quoted(root.record.key)}::text = ANY(%s)",
            [list(stayed)],
        )


def rows_in(cursor: Any, stage: Stage) -> int:
    cursor.execute(f"SELECT count(*) FROM {quoted(stage.name)}")
    return int(cursor.fetchone()[0])


# --- Inserting ----------------------------------------------------------------------------


def insert(cursor: Any, stage: Stage) -> int:
    """Insert what is staged and does not stand there; return how many rows that were."""
    try:
        cursor.execute(*insertion(stage, "ON CONFLICT DO NOTHING"))
    except IntegrityError as error:
        raise refusal(stage, error) from error
    inserted = int(cursor.rowcount)
    if inserted:
        advance_sequences(cursor, stage)
    return inserted


def insertion(stage: Stage, ending: str, where: str = "true") -> tuple[str, list[Any]]:
    """Return the statement that inserts staged rows, and its parameters."""
    archived = [quoted(name) for name, *_ in stage.record.columns]
    new = [quoted(name) for name in stage.added]
    values = [f"%s::{stage.live[name].type}" for name in stage.added]
    return (
        f"INSERT INTO {quoted(stage.record.table)} ({', '.join([*archived, *new])}) "
        f"SELECT {', '.join([*archived, *values])} FROM {quoted(stage.name)} "
        f"WHERE {where} ORDER BY {ORDINAL} {ending}",
        list(stage.added.values()),
    )


def refusal(stage: Stage, error: IntegrityError) -> DomainError:
    """Return what the database refused, without the values of the row."""
    cause: Any = error.__cause__
    constraint, detail = cause.diag.constraint_name, cause.diag.message_detail or ""
    if isinstance(cause, ForeignKeyViolation):
        return MissingParents(f"What rows of {stage.record.table} belong to is gone: {detail}")
    return ForeignSchema(
        f"The archive is of another schema: its rows break {constraint or 'a rule'} "
        f"of {stage.record.table}."
    )


def advance_sequences(cursor: Any, stage: Stage) -> None:
    """Move the sequences of integer columns behind the restored values, never back."""
    archived = {name for name, *_ in stage.record.columns}
    cursor.execute(
        "SELECT a.attname, coalesce(pg_get_serial_sequence(%(table)s, a.attname), "
        "(SELECT c.oid::regclass::text FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid "
        "JOIN pg_class c ON c.oid = d.refobjid AND c.relkind = 'S' "
        "WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass "
        "AND f.adrelid = a.attrelid AND f.adnum = a.attnum LIMIT 1)) "
        "FROM pg_attribute a WHERE a.attrelid = to_regclass(%(table)s) AND a.attnum > 0 "
        "AND NOT a.attisdropped AND a.attgenerated = ''",
        {"table": quoted(stage.record.table)},
    )
    for name, sequence in cursor.fetchall():
        if sequence is None or name not in archived or stage.live[name].type not in INTEGERS:
            continue
        cursor.execute(f"SELECT max({quoted(name)}) FROM {quoted(stage.name)}")
        (top,) = cursor.fetchone()
        cursor.execute(f"SELECT last_value FROM {sequence}")
        if top is not None and top > cursor.fetchone()[0]:
            # A value is drawn first: others may have drawn beyond ours in the meantime.
            draw = "SELECT setval(%(sequence)s, greatest(%(top)s, nextval(%(sequence)s)))"
            cursor.execute(draw, {"sequence": sequence, "top": top})


def taken(cursor: Any, stage: Stage, missing: Sequence[str]) -> int:
    """Count the missing rows in whose place stands another one, under a key for one row only.

    Keys that are made of expressions, or hold for some rows, are not looked at.
    """
    cursor.execute(
        "SELECT array_agg(attname) FROM pg_index JOIN pg_attribute ON attrelid = indrelid "
        "AND attnum = ANY(indkey) WHERE indrelid = to_regclass(%s) AND indisunique "
        "AND NOT indisprimary AND indexprs IS NULL AND indpred IS NULL GROUP BY indexrelid",
        [quoted(stage.record.table)],
    )
    archived = {name for name, *_ in stage.record.columns}
    same = [
        " AND ".join(f"held.{quoted(name)} = sent.{quoted(name)}" for name in names)
        for (names,) in cursor.fetchall()
        if archived.issuperset(names)
    ]
    if not same or not missing:
        return 0
    held = [
        f"EXISTS (SELECT FROM {quoted(stage.record.table)} AS held WHERE {each})" for each in same
    ]
    cursor.execute(
        f"SELECT count(*) FROM {quoted(stage.name)} AS sent "
        f"WHERE sent.{quoted(stage.record.key)}::text = ANY(%s) AND ({' OR '.join(held)})",
        [list(missing)],
    )
    return int(cursor.fetchone()[0])
