"""The list of candles in the admin: ten million rows against ten thousand."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

import psycopg

from apps.market.domain.candles import aligned_start
from benchmarks.harness import (
    DATABASE,
    LARGE_DATABASE,
    Case,
    Server,
    address_of,
    at_most,
    serving,
    timed,
)
from benchmarks.lists import FILL

NAMES = [
    "candle list of the admin at 10,000,000 rows, against 10,000",
    "the same over all time",
    "the same, filtered by symbol",
]
CANDLES = "/admin/market/candle/"
SMALL, LARGE = 10_000, 10_000_000
PAGES = 10

# What is built after the rows is built much faster than with each row.
CONSTRAINTS = """
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = 'candles'::regclass AND contype = 'u'
"""
INDEXES = """
SELECT indexname, indexdef FROM pg_indexes
WHERE tablename = 'candles' AND indexname NOT IN (
    SELECT conname FROM pg_constraint WHERE conrelid = 'candles'::regclass
)
"""


def fill(database: str, rows: int) -> None:
    """Have so many candles in a database."""
    address = address_of(os.environ["DATABASE_URL"], database)
    with psycopg.connect(address, autocommit=True) as connection:
        constraints = connection.execute(CONSTRAINTS).fetchall()
        indexes = connection.execute(INDEXES).fetchall()
        connection.execute("TRUNCATE candles RESTART IDENTITY")
        for name, _ in constraints:
            connection.execute(f'ALTER TABLE candles DROP CONSTRAINT "{name}"'.encode())
        for name, _ in indexes:
            connection.execute(f'DROP INDEX "{name}"'.encode())
        # Up to now: the list shows the last week unless it is asked for more.
        first = aligned_start(datetime.now(UTC), "5m") - rows // 10 * timedelta(minutes=5)
        connection.execute(FILL, {"rows": rows, "first": first})
        for name, definition in constraints:
            connection.execute(f'ALTER TABLE candles ADD CONSTRAINT "{name}" {definition}'.encode())
        for _, definition in indexes:
            connection.execute(definition.encode())
        connection.execute("VACUUM ANALYZE candles")


def log_in(database: str) -> str:
    """Make an administrator with a session in a database; return the session's cookie."""
    from django.conf import settings
    from django.contrib.auth import (
        BACKEND_SESSION_KEY,
        HASH_SESSION_KEY,
        SESSION_KEY,
        get_user_model,
    )
    from django.contrib.sessions.backends.db import SessionStore
    from django.db import connection

    usual = connection.settings_dict["NAME"]
    connection.close()
    connection.close_pool()
    connection.settings_dict["NAME"] = database
    try:
        users = get_user_model().objects
        user = users.filter(username="bench").first() or users.create_superuser("bench")
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[-1]
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.create()
        return f"{settings.SESSION_COOKIE_NAME}={session.session_key}"
    finally:
        connection.close()
        connection.close_pool()
        connection.settings_dict["NAME"] = usual


def pages(server: Server, path: str) -> float:
    """Return the seconds of one page, the mean of several."""

    def work() -> None:
        for _ in range(PAGES):
            if b"<table" not in server.get(path):
                raise RuntimeError(f"{path} shows no list.")

    return timed(work) / PAGES


@contextmanager
def cases() -> Iterator[list[Case]]:
    with ExitStack() as stack:
        servers = {}
        for database, rows in ((DATABASE, SMALL), (LARGE_DATABASE, LARGE)):
            fill(database, rows)
            server = stack.enter_context(serving(database=database))
            server.headers = {"Cookie": log_in(database)}
            servers[rows] = server

        def case(name: str, path: str) -> Case:
            return Case(
                name,
                at_most(1.3),
                lambda: pages(servers[LARGE], path),
                lambda: pages(servers[SMALL], path),
            )

        paths = [CANDLES, f"{CANDLES}?timestamp_last=all", f"{CANDLES}?q=SYM3"]
        yield [case(name, path) for name, path in zip(NAMES, paths, strict=True)]
