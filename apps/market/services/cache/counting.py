"""What the cache did, counted in this process and written in sets.

A read costs no write: hits wait here, per key and per UTC day, until ``flush_counts``. That is
called after each round of fetches and by whoever counts when ``FLUSH_SECONDS`` have passed; a
process that ends calls ``flush_at_exit`` (by ``atexit``; a process of Celery's pool ends without
that, so that its farewell must call it).
"""

import atexit
import logging
import os
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from time import monotonic
from typing import Any

import psycopg
from django.db import Error, connection, transaction

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 15.0
# So many keys are written at once, whatever the time.
FLUSH_KEYS = 10_000
# A process that ends waits no longer for a database that does not answer.
EXIT_SECONDS = 2

# In one order for all, so that two processes never wait for each other in a circle.
ENTRIES_SQL = """
WITH counted AS (
    SELECT * FROM unnest(%s::text[], %s::bigint[], %s::timestamptz[]) AS c(key, hits, read_at)
), held AS (
    SELECT entry.id, counted.hits, counted.read_at
    FROM api_cache entry JOIN counted ON counted.key = entry.cache_key
    ORDER BY entry.cache_key COLLATE "C" FOR NO KEY UPDATE OF entry
)
UPDATE api_cache entry
SET hit_count = entry.hit_count + held.hits,
    last_accessed = greatest(entry.last_accessed, held.read_at)
FROM held WHERE held.id = entry.id
"""
DAYS_SQL = """
INSERT INTO cache_stats AS day (date, total_hits, total_misses, total_writes,
                                total_invalidations, total_stale, total_errors, updated_at)
SELECT *, now() FROM unnest(%s::date[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
                            %s::bigint[], %s::bigint[]) ORDER BY 1
ON CONFLICT (date) DO UPDATE
SET total_hits = day.total_hits + excluded.total_hits,
    total_misses = day.total_misses + excluded.total_misses,
    total_writes = day.total_writes + excluded.total_writes,
    total_invalidations = day.total_invalidations + excluded.total_invalidations,
    total_stale = day.total_stale + excluded.total_stale,
    total_errors = day.total_errors + excluded.total_errors,
    updated_at = excluded.updated_at
"""
WHAT = ("hits", "misses", "writes", "invalidations", "stale", "errors")


@dataclass(slots=True)
class Counted:
    """What happened: of each day how many of ``WHAT``, of each key how many hits and the last."""

    days: Counter[tuple[date, str]] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    read_at: dict[str, datetime] = field(default_factory=dict)

    def add(self, other: "Counted") -> None:
        self.days.update(other.days)
        self.hits.update(other.hits)
        for key, moment in other.read_at.items():
            self.read_at[key] = max(moment, self.read_at.get(key, moment))


class Counts:
    """The counts of one process since they were last written."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Count from nothing; in a child, because the parent writes what it has counted."""
        self._lock = threading.Lock()
        self._counted = Counted()
        self._since = monotonic()

    def note(self, what: Iterable[str], *, now: datetime, read: str = "") -> None:
        """Count events of ``WHAT`` on the day of ``now``, and a hit of the key ``read``."""
        with self._lock:
            for each in what:
                self._counted.days[now.date(), each] += 1
            if read:
                self._counted.hits[read] += 1
                known = self._counted.read_at.get(read, now)
                self._counted.read_at[read] = max(known, now)

    def take(self) -> Counted:
        """Return what was counted, and count from nothing."""
        with self._lock:
            taken, self._counted, self._since = self._counted, Counted(), monotonic()
        return taken

    def give_back(self, taken: Counted) -> None:
        """Count again what could not be written."""
        with self._lock:
            self._counted.add(taken)

    def are_due(self) -> bool:
        """Say whether it is time to write."""
        return bool(self._counted.days) and (
            monotonic() - self._since > FLUSH_SECONDS or len(self._counted.hits) >= FLUSH_KEYS
        )


counts = Counts()
os.register_at_fork(after_in_child=counts.begin)


def flush_counts() -> bool:
    """Add what this process has counted to the entries and the days; say whether that went well.

    What cannot be written is kept for the next time. Call it outside a transaction: what one
    rolls back is lost.
    """
    taken = counts.take()
    try:
        if taken.days:
            with transaction.atomic(), connection.cursor() as cursor:
                write(cursor, taken)
    except BaseException as error:
        counts.give_back(taken)
        if not isinstance(error, Error):
            raise
        logger.warning("Counts of the cache wait to be written: %s", error)
        return False
    return True


def flush_when_due() -> None:
    """Write the counts if they have waited long; never in somebody's transaction."""
    if counts.are_due() and not connection.in_atomic_block:
        flush_counts()


def flush_at_exit() -> None:
    """Write the last counts of a process that ends, on a connection of its own."""
    taken = counts.take()
    if not taken.days:
        return
    try:
        with own_connection() as own, own.cursor() as cursor:
            write(cursor, taken)
    except (psycopg.Error, Error):
        # Nobody is left who could try again.
        counts.give_back(taken)


def own_connection() -> "psycopg.Connection[Any]":
    """Open a connection beside Django's, which its pool would make us wait for."""
    parameters = connection.get_connection_params()
    # Django's own way with cursors and types is not ours.
    for name in ("cursor_factory", "context"):
        parameters.pop(name, None)
    return psycopg.connect(**{**parameters, "connect_timeout": EXIT_SECONDS})


def write(cursor: Any, counted: Counted) -> None:
    """Add counts to the entries and the days; a key that is gone is passed over."""
    if counted.hits:
        keys = list(counted.hits)
        cursor.execute(
            ENTRIES_SQL,
            [keys, [counted.hits[key] for key in keys], [counted.read_at[key] for key in keys]],
        )
    days = sorted({day for day, _ in counted.days})
    columns = [[counted.days[day, what] for day in days] for what in WHAT]
    cursor.execute(DAYS_SQL, [days, *columns])


atexit.register(flush_at_exit)
