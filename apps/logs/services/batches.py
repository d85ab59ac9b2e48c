"""Batches of entries on a connection of their own: stored exactly once, whatever comes between."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

import psycopg
from django.apps import apps
from django.db import connections
from psycopg.errors import UniqueViolation

from apps.logs.models import LogEntry
from apps.logs.services.entries import complete, take_ids, write

APPLICATION_NAME = "blotter-logs"
# Seconds; a machine that is gone without a word is noticed after TCP_LIMIT milliseconds.
CONNECT_LIMIT = 5
TCP_LIMIT = 30_000

# The name of a model of this app, and what a row of it holds.
Entry = tuple[str, Mapping[str, Any]]


@dataclass(slots=True)
class Batch:
    """Entries of one transaction.

    Their ids are taken before the first try. So when the connection is lost and nobody knows
    whether the commit went through, the next try finds out: it meets its own ids.
    """

    entries: Sequence[Entry]
    now: datetime
    ids: Sequence[int] = ()
    doubtful: bool = False

    def halves(self) -> "list[Batch]":
        """Return both halves; each entry keeps its id."""
        middle = len(self.entries) // 2
        return [
            Batch(self.entries[part], self.now, self.ids[part])
            for part in (slice(middle), slice(middle, None))
        ]


@dataclass(slots=True)
class Delivery:
    """Batches that are still to be stored, and what became of the others.

    ``refused`` are entries that the database does not take whatever is tried, each with the
    reason.
    """

    pending: deque[Batch]
    stored: int = 0
    refused: list[tuple[Entry, str]] = field(default_factory=list)

    def run(self, connection: "psycopg.Connection[Any]") -> None:
        """Store what is pending. Raises psycopg.Error for what a later try may make good."""
        while self.pending:
            batch = self.pending[0]
            try:
                store(connection, batch)
            except Exception as error:
                if not concerns_rows(error):
                    batch.doubtful = True
                    raise
                self.pending.popleft()
                if len(batch.entries) == 1:
                    self.refused.append((batch.entries[0], f"{type(error).__name__}: {error}"))
                else:
                    self.pending.extendleft(reversed(batch.halves()))
            else:
                self.pending.popleft()
                self.stored += len(batch.entries)


def store(connection: "psycopg.Connection[Any]", batch: Batch) -> None:
    """Store a batch in one transaction, unless an earlier try did."""
    with connection.cursor() as cursor:
        if not batch.ids:
            batch.ids = take_ids(cursor, len(batch.entries))
        places: dict[str, list[int]] = {}
        for place, (name, _) in enumerate(batch.entries):
            places.setdefault(name, []).append(place)
        try:
            with connection.transaction():
                for name, chosen in places.items():
                    model = cast(type[LogEntry], apps.get_model("logs", name))
                    rows = (batch.entries[place][1] for place in chosen)
                    ids = [batch.ids[place] for place in chosen]
                    write(cursor, model, ids, complete(model, rows, now=batch.now), now=batch.now)
        except UniqueViolation:
            if not batch.doubtful:
                raise


def connect() -> "psycopg.Connection[Any]":
    """Open a connection beside those of Django, to the same database."""
    parameters = connections["default"].get_connection_params()
    # Django's own way with cursors and types is not ours.
    for name in ("cursor_factory", "context"):
        parameters.pop(name, None)
    return psycopg.connect(
        **{
            "tcp_user_timeout": TCP_LIMIT,
            "connect_timeout": CONNECT_LIMIT,
            **parameters,
            "application_name": APPLICATION_NAME,
            "autocommit": True,
        }
    )


def concerns_rows(error: Exception) -> bool:
    """Whether it is these rows that cannot be stored; anything else may pass by itself."""
    if not isinstance(error, psycopg.Error):
        return True
    if isinstance(error, psycopg.DataError | psycopg.IntegrityError):
        return True
    state = error.sqlstate or ""
    # 54: a limit of an index or a type. Without a state psycopg itself could not send a value.
    return state.startswith("54") or (isinstance(error, psycopg.ProgrammingError) and not state)


def lacks_tables(error: BaseException) -> bool:
    """Whether the database has not been migrated yet."""
    return isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.InvalidCatalogName)
