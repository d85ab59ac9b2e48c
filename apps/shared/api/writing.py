"""Writes that are over before they are answered, and that do not wait for what they can read."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import OperationalError, connection, transaction
from psycopg.errors import DeadlockDetected, SerializationFailure

from apps.shared.ingest import Ingested

TRIES = 3

T = TypeVar("T")


def once(work: Callable[[], T]) -> T:
    """Do something in one transaction that is over when this returns.

    Two requests that hold each other up are told apart by PostgreSQL; the one that was
    sent away starts over.
    """
    for left in reversed(range(TRIES)):
        try:
            with transaction.atomic():
                return work()
        except OperationalError as error:
            again = isinstance(error.__cause__, DeadlockDetected | SerializationFailure)
            if not (again and left) or connection.in_atomic_block:
                raise
    raise AssertionError("The loop ends by returning or raising.")


def in_transaction(store: Callable[[], Ingested], *, all_or_none: bool) -> Ingested:
    """Store rows ``once``; with ``all_or_none`` nothing is stored when one of them failed."""

    def work() -> Ingested:
        outcome = store()
        if all_or_none and outcome.failed:
            transaction.set_rollback(True)
        return outcome

    return once(work)


def read_ahead(parts: Iterator[T]) -> Iterator[T]:
    """Yield the parts, each read in a thread of its own while the one before is worked on."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming = reader.submit(next, parts, None)
        while (part := coming.result()) is not None:
            coming = reader.submit(next, parts, None)
            yield part
