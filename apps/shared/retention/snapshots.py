"""Which rows a part of an archive holds: their keys, noted inside of one snapshot.

Each table has a temporary table ``retention_keys_<index>``: the key of a row, and the number of the
root it belongs to, counted from 1 in the order of (time, key).
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from django.db.backends.utils import CursorWrapper
from django.db.models import BigIntegerField, F, Model, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.functions import Collate
from django.db.models.sql.datastructures import BaseTable

from apps.shared.partitions import other, partition_name
from apps.shared.retention.columns import Column, Kind, columns_of, quoted
from apps.shared.retention.datasets import Rule
from apps.shared.retention.selecting import leaving, rows_of

BLOCK_ROWS: Final = 5_000
# PostgreSQL puts a whole column of a block into one value to hash it, of a gigabyte at most.
BLOCK_BYTES: Final = 64 * 1024 * 1024
PART_BYTES: Final = 128 * 1024 * 1024
# A field of fixed width, as CSV and as Parquet at its worst.
FIELD_BYTES: Final = 16
STORED_PLAIN: Final = 2_000


class Mark(NamedTuple):
    """A place in the order of roots: after this time and, at the same time, this key (as text)."""

    time: datetime
    key: str


class Source(NamedTuple):
    """A table of the dataset: where its rows stand, its columns, and which one is the key."""

    number: int
    model: type[Model]
    relation: str
    columns: list[Column]
    key: Column

    @property
    def keys(self) -> str:
        return f"retention_keys_{self.number}"

    def rows(self, taken: "Taken") -> str:
        """Return a query for the rows of a part with their block, by (block, key)."""
        names = ", ".join(f"r.{quoted(each.name)}" for each in self.columns)
        return (
            f"SELECT (k.seq - 1) / {taken.block_rows} AS block, {names} "
            f"FROM {self.keys} AS k JOIN {quoted(self.relation)} AS r "
            f"ON r.{quoted(self.key.name)} = k.key ORDER BY 1, r.{key_order(self.key)}"
        )


class Taken(NamedTuple):
    """What a part will hold. ``bytes``: of all its rows as text, and so more than its files."""

    roots: int
    block_rows: int
    bytes: int
    first: Mark
    last: Mark

    @property
    def blocks(self) -> int:
        return -(-self.roots // self.block_rows)


def key_order(key: Column) -> str:
    """Return what rows are ordered by, wherever digests of them are compared."""
    return quoted(key.name) + (' COLLATE "C"' if is_text(key) else "")


def is_text(column: Column) -> bool:
    return column.type.startswith(("character", "text"))


def sources_of(rule: Rule, month: date | None) -> list[Source]:
    """Return the tables of a dataset, its own first."""
    sources = []
    for index, model in enumerate(rule.dataset.models):
        columns = columns_of(model)
        (key,) = (each for each in columns if each.name == model._meta.pk.column)
        relation = model._meta.db_table
        if index == 0 and rule.dataset.monthly:
            relation = other(relation) if month is None else partition_name(relation, month)
        sources.append(Source(index, model, relation, columns, key))
    return sources


def take(
    cursor: CursorWrapper,
    sources: Sequence[Source],
    *,
    rule: Rule,
    now: datetime,
    after: Mark | None,
    rows: int,
) -> Taken | None:
    """Note the keys of the next part: at most so many roots, and not too many bytes.

    None when no root is left behind ``after``.
    """
    root = sources[0]
    roots = as_sql(cursor, roots_of(root, rule, now, after, rows))
    cursor.execute(
        f"CREATE TEMP TABLE {root.keys} ON COMMIT DROP AS SELECT "
        "(row_number() OVER ())::int AS seq, r.key, r.at, r.weight "
        f"FROM ({roots}) AS r(key, at, weight)"
    )
    total = cursor.rowcount
    if not total:
        return None
    for source, dependent in zip(sources[1:], rule.dataset.dependents, strict=True):
        belonging = rows_of(source.model).annotate(
            retention_root=dependent.root, retention_weight=weight(source)
        )
        listed = belonging.order_by().values_list("pk", "retention_root", "retention_weight")
        cursor.execute(
            f"CREATE TEMP TABLE {source.keys} ON COMMIT DROP AS SELECT k.seq, d.key, d.weight "
            f"FROM ({as_sql(cursor, listed)}) AS d(key, root, weight) "
            f"JOIN {root.keys} AS k ON k.key = d.root"
        )
    return measured(cursor, sources, total)


def roots_of(
    root: Source, rule: Rule, now: datetime, after: Mark | None, rows: int
) -> QuerySet[Any, Any]:
    """Return key, time and weight of the next roots, in their order."""
    key = Collate("pk", "C") if is_text(root.key) else F("pk")
    found = leaving(rule, now).alias(retention_key=key)
    if root.relation != root.model._meta.db_table:
        # Its rows of one partition alone: the table is called as before inside of the query.
        alias = found.query.get_initial_alias()
        found.query.alias_map[alias] = BaseTable(root.relation, alias)
    if after is not None:
        behind = Q(retention_key__gt=root.model._meta.pk.to_python(after.key))
        found = found.filter(
            Q(**{f"{rule.time}__gt": after.time}) | (Q(**{rule.time: after.time}) & behind),
            # Says nothing new; an index begins here.
            **{f"{rule.time}__gte": after.time},
        )
    found = found.annotate(retention_weight=weight(root)).order_by(rule.time, "retention_key")
    return found.values_list("pk", rule.time, "retention_weight")[:rows]


def as_sql(cursor: CursorWrapper, rows: QuerySet[Any, Any]) -> str:
    """Return a query with its values in place."""
    sql, parameters = rows.query.sql_with_params()
    return str(cursor.mogrify(sql, parameters))


def weight(source: Source) -> RawSQL:
    """Return how many bytes a row has as text, never far too few; long values are not unpacked."""
    table = quoted(source.model._meta.db_table)
    fixed = FIELD_BYTES * len(source.columns)
    texts = [each for each in source.columns if each.kind is Kind.TEXT]
    parts = [str(fixed), *(text_bytes(each, f"{table}.{quoted(each.name)}") for each in texts)]
    return RawSQL(" + ".join(parts), [], output_field=BigIntegerField())


def text_bytes(column: Column, name: str) -> str:
    if column.type == "uuid":
        return "36"
    if is_text(column):
        return f"coalesce(octet_length({name}), 0)"
    # What is stored outside of its row may be packed: its size there says little.
    return (
        f"CASE WHEN {name} IS NULL THEN 0 WHEN pg_column_size({name}) < {STORED_PLAIN} "
        f"THEN 4 * pg_column_size({name}) ELSE octet_length({name}::text) END"
    )


def measured(cursor: CursorWrapper, sources: Sequence[Source], total: int) -> Taken:
    """Return how many of the roots make a part, in blocks that are not too large."""
    size = BLOCK_ROWS
    weights = weights_of(cursor, sources, size)
    while max(weights) > BLOCK_BYTES and size > 1:
        size = max(size // 4, 1)
        weights = weights_of(cursor, sources, size)
    blocks, bytes = 1, weights[0]
    while blocks < len(weights) and bytes + weights[blocks] <= PART_BYTES:
        bytes += weights[blocks]
        blocks += 1
    roots = min(total, blocks * size)
    for each in sources:
        if roots < total:
            cursor.execute(f"DELETE FROM {each.keys} WHERE seq > {roots}")
        # So that what is small is hashed, not a whole table beside it.
        cursor.execute(f"ANALYZE {each.keys} (seq, key)")
    cursor.execute(
        f"SELECT at, key::text FROM {sources[0].keys} WHERE seq IN (1, {roots}) ORDER BY seq"
    )
    marks = [Mark(*row) for row in cursor.fetchall()]
    return Taken(roots, size, bytes, marks[0], marks[-1])


def weights_of(cursor: CursorWrapper, sources: Sequence[Source], size: int) -> list[int]:
    """Return the bytes of each block of so many roots, dependents included."""
    tables = " UNION ALL ".join(f"SELECT seq, weight FROM {each.keys}" for each in sources)
    cursor.execute(
        f"SELECT sum(weight) FROM ({tables}) AS w GROUP BY (seq - 1) / {size} "
        f"ORDER BY (seq - 1) / {size}"
    )
    return [int(bytes) for (bytes,) in cursor.fetchall()]
