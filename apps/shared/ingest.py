"""The one way bulk facts reach a table: COPY, and one upsert where a key is already taken."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from operator import lt
from typing import Any, Literal

from django.db import IntegrityError, connections, models, router, transaction
from psycopg.errors import UniqueViolation

from apps.shared.copying import BLOCK_ROWS, Target, Values, copy, staged
from apps.shared.errors import FieldError

# One large COPY is several times slower than the same rows in pieces of this size.
CHUNK_BYTES = 11_000_000
OnConflict = Literal["refuse", "replace"]


class RowStatus(StrEnum):
    CREATED = "created"
    UNCHANGED = "unchanged"
    REPLACED = "replaced"
    FAILED = "failed"


@dataclass(slots=True)
class RowResult:
    """What became of one row; ``index`` is its place in the batch, from 0."""

    index: int
    status: RowStatus
    errors: Sequence[FieldError] = ()


@dataclass(slots=True)
class Ingested:
    """What became of a batch: how many of each, and every row that was not plainly created."""

    created: int = 0
    unchanged: int = 0
    replaced: int = 0
    failed: int = 0
    results: list[RowResult] = field(default_factory=list)

    def note(self, index: int, status: RowStatus, errors: Sequence[FieldError] = ()) -> None:
        """Count one row, and list it unless it was plainly created."""
        self.count(status, 1)
        if status is not RowStatus.CREATED:
            self.results.append(RowResult(index, status, errors))

    def fail(self, index: int, errors: Sequence[FieldError]) -> None:
        """Count and list one row that is refused."""
        self.note(index, RowStatus.FAILED, errors)

    def count(self, status: RowStatus, rows: int) -> None:
        """Count ``rows`` rows without listing them."""
        setattr(self, status.value, getattr(self, status.value) + rows)

    def merge(self, other: "Ingested", places: Sequence[int] | None = None) -> None:
        """Add the outcome of a part of this batch, and take its results over.

        ``places[i]`` is where row ``i`` of the part stands in this batch; without it the
        part's indexes hold as they are.
        """
        for status in RowStatus:
            self.count(status, getattr(other, status.value))
        if places is not None:
            for result in other.results:
                result.index = places[result.index]
        self.results += other.results

    def sort(self) -> None:
        """Bring the listed rows into the order of the batch."""
        self.results.sort(key=lambda result: result.index)


def ingest(
    model: type[models.Model],
    rows: Sequence[Values],
    *,
    columns: Sequence[str],
    key: Sequence[str],
    on_conflict: OnConflict,
    defaults: Mapping[str, Any] | None = None,
) -> Ingested:
    """Store ``rows`` (values in the order of ``columns``) and say what became of each.

    ``key`` names the columns of a unique constraint, none of them null. A row whose key is
    stored with the same content is *unchanged*; with other content it is *failed*, naming
    the fields that differ (``refuse``), or *replaced* (``replace``). The same goes for a
    key that stands twice in one batch. Values must already fit their columns. ``defaults``
    (column → value) are given to new rows only and never compared.

    Needs an open transaction. Two batches with the same rows may run at once: both end
    well, and the rows are stored once.
    """
    connection = connections[router.db_for_write(model)]
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("ingest() needs an open transaction.")
    target = Target(model, connection, columns, key, defaults or {})
    outcome = Ingested()
    for chunk in chunks(ordered(rows, target, on_conflict, outcome)):
        store_chunk(chunk, target, on_conflict, outcome)
    outcome.sort()
    return outcome


Indexed = tuple[list[int], list[Values]]


def ordered(
    rows: Sequence[Values], target: Target, on_conflict: OnConflict, out: Ingested
) -> Indexed:
    """Return the rows in the order of their key, each key once, with their places.

    Every batch takes its keys in the same order, so two batches never wait for each other
    in a circle.
    """
    keys = list(map(target.key_of, rows))
    if all(map(lt, keys, islice(keys, 1, None))):
        return list(range(len(rows))), list(rows)
    places: list[int] = []
    kept: list[Values] = []
    previous: Any = None
    for place in sorted(range(len(rows)), key=keys.__getitem__):
        row = rows[place]
        if not places or keys[place] != previous:
            places.append(place)
            kept.append(row)
            previous = keys[place]
            continue
        differing = [name for name, a, b in zip(target.names, kept[-1], row, strict=True) if a != b]
        if not differing:
            out.note(place, RowStatus.UNCHANGED)
        elif on_conflict == "replace":
            kept[-1] = row
            out.note(place, RowStatus.REPLACED)
        else:
            where = f"Differs from row {places[-1]} of the same batch."
            out.fail(place, [FieldError(f"/{name}", "differs", where) for name in differing])
    return places, kept


def chunks(indexed: Indexed) -> Iterator[Indexed]:
    """Cut a batch into pieces of about ``CHUNK_BYTES``, judged by its first rows."""
    places, rows = indexed
    if not rows:
        return
    sample = rows[:20]
    width = max(1, sum(len(str(value)) + 1 for row in sample for value in row) // len(sample))
    size = max(BLOCK_ROWS, CHUNK_BYTES // width)
    for start in range(0, len(rows), size):
        yield places[start : start + size], rows[start : start + size]


def store_chunk(chunk: Indexed, target: Target, on_conflict: OnConflict, outcome: Ingested) -> None:
    """Copy straight into the table; where a key is taken, start over with an upsert."""
    places, rows = chunk
    try:
        with transaction.atomic(using=target.connection.alias):
            copy(target, target.table, target.columns, target.lines(rows))
    except IntegrityError as error:
        if not isinstance(error.__cause__, UniqueViolation):
            raise
    else:
        outcome.count(RowStatus.CREATED, len(rows))
        return
    with staged(target, rows) as table:
        written: Written = dict.fromkeys(range(len(rows)), UNCHANGED)
        written |= (replaced if on_conflict == "replace" else inserted)(target, table)
    for status, held in Counter(status for status, _ in written.values()).items():
        outcome.count(status, held)
    outcome.results += [
        RowResult(places[ordinal], status, errors)
        for ordinal, (status, errors) in written.items()
        if status is not RowStatus.CREATED
    ]


# What became of staged rows, by their ordinal.
Outcome = tuple[RowStatus, Sequence[FieldError]]
Written = dict[int, Outcome]
CREATED: Outcome = (RowStatus.CREATED, ())
UNCHANGED: Outcome = (RowStatus.UNCHANGED, ())
REPLACED: Outcome = (RowStatus.REPLACED, ())


# --- Where a key is taken -----------------------------------------------------------------


def probed(target: Target, table: str) -> str:
    """Return the staged rows (``sent``) beside what is stored under their key (``held``).

    LATERAL with a limit is one index probe per row: no join that reads a whole table.
    """
    stored = f"SELECT * FROM {target.table} WHERE {matches(target, target.table, 'sent')} LIMIT 1"
    return f"{table} AS sent CROSS JOIN LATERAL ({stored}) AS held"


@contextmanager
def probing(cursor: Any) -> Iterator[None]:
    """Keep the planner from reading whole tables that it takes for nearly empty.

    A table that has just been filled has no statistics yet.
    """
    cursor.execute("SET LOCAL enable_seqscan = off")
    yield
    cursor.execute("SET LOCAL enable_seqscan = on")


def replaced(target: Target, table: str) -> Written:
    """Upsert the staged rows; return what became of those that were written, by ordinal."""
    columns, key = ", ".join(target.columns), ", ".join(target.key)
    settings = [f"{column} = excluded.{column}" for column in target.others]
    settings += [f"{column} = statement_timestamp()" for column in target.touched]
    stored = ", ".join(f"held.{column}" for column in target.others)
    sent = ", ".join(f"excluded.{column}" for column in target.others)
    change = (
        f"DO UPDATE SET {', '.join(settings)} WHERE ({stored}) IS DISTINCT FROM ({sent})"
        if target.others
        else "DO NOTHING"
    )
    returned = ", ".join(f"held.{column}" for column in target.key)
    with target.connection.cursor() as cursor:
        cursor.execute(
            f"WITH written AS (INSERT INTO {target.table} AS held ({columns}) "
            f"SELECT {columns} FROM {table} ORDER BY ingest_ordinal "
            # A row that was there before carries the lock this statement took on it.
            f"ON CONFLICT ({key}) {change} RETURNING {returned}, xmax = 0 AS created) "
            "SELECT ingest_ordinal, created FROM written "
            f"JOIN {table} USING ({key})"
        )
        return {ordinal: CREATED if created else REPLACED for ordinal, created in cursor.fetchall()}


def inserted(target: Target, table: str) -> Written:
    """Insert the staged rows that are new; return what became of each, by ordinal.

    A row that differs from what is stored is refused.
    """
    columns, key = ", ".join(target.columns), ", ".join(target.key)
    returned = ", ".join(f"held.{column}" for column in target.key)
    with target.connection.cursor() as cursor:
        cursor.execute(
            f"WITH held AS (INSERT INTO {target.table} AS held ({columns}) "
            f"SELECT {columns} FROM {table} ORDER BY ingest_ordinal "
            f"ON CONFLICT ({key}) DO NOTHING RETURNING {returned}) "
            f"DELETE FROM {table} USING held WHERE {matches(target, 'held', table)} "
            f"RETURNING ingest_ordinal"
        )
        found: Written = {ordinal: CREATED for (ordinal,) in cursor.fetchall()}
        # A statement of its own: what another transaction stored meanwhile is visible now.
        differs = ", ".join(
            f"held.{column} IS DISTINCT FROM sent.{column}" for column in target.others
        )
        with probing(cursor):
            cursor.execute(
                f"SELECT ingest_ordinal, ARRAY[{differs}]::boolean[] FROM {probed(target, table)}"
            )
            compared = cursor.fetchall()
        for ordinal, flags in compared:
            message = "Differs from the stored value."
            errors = [
                FieldError(f"/{name}", "differs", message)
                for name, flag in zip(target.other_names, flags, strict=True)
                if flag
            ]
            found[ordinal] = (RowStatus.FAILED, errors) if errors else UNCHANGED
    return found


def matches(target: Target, one: str, other: str) -> str:
    """Return the condition that two rows have the same key."""
    return " AND ".join(f"{one}.{column} = {other}.{column}" for column in target.key)
