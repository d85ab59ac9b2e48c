"""Entries on their way into their tables: completed, cleaned, copied.

The API stores them on Django's connection, the writer of our own processes on one of its own:
both hand a cursor to ``write``.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from operator import itemgetter
from typing import Any

from django.conf import settings
from django.db import connection, models, transaction
from psycopg.copy import QueuedLibpqWriter

from apps.logs.domain.cleaning import clean
from apps.logs.domain.failures import fingerprint
from apps.logs.models import ErrorLog, LogEntry
from apps.logs.models.entries import SEQUENCE
from apps.logs.services.errors import count_errors
from apps.shared.copying import BLOCK_ROWS, Target

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """How entries of one table are completed and copied."""

    target: Target
    values: Callable[[Row], tuple[Any, ...]]
    defaults: Mapping[str, Any]
    limits: Mapping[str, int | None]


@functools.cache
def plan_of(model: type[LogEntry]) -> Plan:
    """Return the plan of a table; what the database makes by itself is left to it."""
    columns = [
        field
        for field in model._meta.concrete_fields
        if not field.generated and field.name != "created_at"
    ]
    # The id comes first, and from whoever writes.
    names = ["id", *(field.name for field in columns if not field.primary_key)]
    texts = (models.CharField, models.TextField)
    return Plan(
        target=Target(model, connection, names, ["id"], {}),
        values=itemgetter(*names[1:]),
        defaults=dict.fromkeys(names)
        | {field.name: field.get_default() for field in columns if field.has_default()}
        | {f.name: "" for f in columns if isinstance(f, texts) and not f.has_default()},
        limits={field.name: field.max_length for field in columns if isinstance(field, texts)},
    )


def complete(model: type[LogEntry], rows: Iterable[Row], *, now: datetime) -> Iterator[Row]:
    """Yield rows as they are stored: every column there, no secret, nothing unstorable.

    A line from the future is filed under ``now``; what it said stands in its metadata.
    """
    plan = plan_of(model)
    latest = now + settings.CLOCK_TOLERANCE
    for row in rows:
        values = {**plan.defaults, **clean(row, plan.limits)}
        moment = values["timestamp"]
        if moment is None:
            values["timestamp"] = now
        elif moment > latest:
            values["timestamp"] = now
            values["metadata"] = {**values["metadata"], "sent_timestamp": moment.isoformat()}
        if model is ErrorLog and not values["fingerprint"]:
            values["fingerprint"] = fingerprint(
                values["error_type"], values["stack_trace"], values["component"]
            )
        yield values


def store_entries(*, model: type[LogEntry], rows: Sequence[Row], now: datetime) -> Sequence[int]:
    """Store rows in one transaction; return their ids in the same order.

    ``rows`` hold values by the name of their column; what is left out takes its default.
    What comes twice stands twice: a line has no key of its own.
    """
    return store_complete(model=model, rows=list(complete(model, rows, now=now)), now=now)


def store_complete(*, model: type[LogEntry], rows: Sequence[Row], now: datetime) -> Sequence[int]:
    """Store rows that ``complete`` made; return their ids in the same order."""
    with transaction.atomic(), connection.cursor() as cursor:
        ids = take_ids(cursor, len(rows))
        write(cursor, model, ids, rows, now=now)
    return ids


# Nearly always nobody came between: then two numbers say it all.
TAKE = f"""
SELECT min(id), max(id), CASE WHEN max(id) - min(id) >= %(count)s THEN array_agg(id) END
FROM (SELECT nextval('{SEQUENCE}') AS id FROM generate_series(1, %(count)s)) AS taken
"""


def take_ids(cursor: Any, count: int) -> Sequence[int]:
    """Return ``count`` ids that nobody else will get, in their order."""
    cursor.execute(TAKE, {"count": count})
    first, last, scattered = cursor.fetchone()
    if first is None:
        return []
    return scattered or range(first, last + 1)


def write(
    cursor: Any,
    model: type[LogEntry],
    ids: Sequence[int],
    rows: Iterable[Row],
    *,
    now: datetime,
) -> None:
    """Copy complete rows under their ids, and count what they say of errors.

    Rows are taken a block at a time, while the server works on the block before. Raises
    psycopg's UniqueViolation when these ids were written already.
    """
    plan = plan_of(model)
    target = plan.target
    taken = iter(rows)
    numbers = iter(ids)
    failures: list[Row] = []
    statement = f"COPY {target.table} ({', '.join(target.columns)}) FROM STDIN"
    # Of many, the next rows are made ready while the server is busy with its index of words.
    raw = getattr(cursor, "cursor", cursor)
    ahead = QueuedLibpqWriter(raw) if len(ids) > BLOCK_ROWS else None
    with cursor.copy(statement, writer=ahead) as sink:
        while block := list(islice(taken, BLOCK_ROWS)):
            # Each block takes just its own: an id that is taken and not used would be missed.
            own = islice(numbers, len(block))
            values = [(pk, *row) for pk, row in zip(own, map(plan.values, block), strict=True)]
            for lines in target.lines(values):
                sink.write(lines)
            if model is ErrorLog:
                failures += block
    if failures:
        count_errors(cursor, failures, now=now)
