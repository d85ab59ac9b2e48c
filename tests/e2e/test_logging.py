"""What the running product tells of itself, also while its log writers cannot write."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.e2e.conftest import QUEUE
from tests.e2e.product import Product, wait_for

REQUESTS = 1500
TASK = "apps.access.tasks.expire_idempotency_keys"

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def product(harried_product):
    return harried_product.with_key("grid bot", "alerts:read")


@pytest.fixture(scope="module")
def database(product):
    with product.database() as connection:
        yield connection


def rows_of(database: "psycopg.Connection[Any]", query: str, *values: Any) -> list[Any]:
    return database.execute(query, values).fetchall()


def ask(product: Product, cause: str) -> int:
    """Make a request under a correlation id of our own; return the status."""
    return product.get("/api/v1/alerts/alerts/", correlation_id=cause)[0]


@contextmanager
def standing_still(pids: list[int]) -> Iterator[None]:
    """Stop server processes for as long as this lasts: they neither work nor say no."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_a_request_leaves_a_row(product, database):
    assert ask(product, "cause-of-a-request") == 200

    query = "SELECT * FROM user_action_logs WHERE correlation_id = 'cause-of-a-request'"
    wait_for(lambda: rows_of(database, query), 10)
    (row,) = rows_of(
        database,
        "SELECT user_id, request_path, response_status, host(ip_address) FROM user_action_logs "
        "WHERE correlation_id = 'cause-of-a-request'",
    )
    assert row == ("grid bot", "/api/v1/alerts/alerts/", 200, "127.0.0.1")


def test_a_task_leaves_a_row(product, database):
    product.wake(TASK)

    query = "SELECT status, duration_ms > 0 FROM performance_logs WHERE operation_name = %s"
    wait_for(lambda: rows_of(database, query, TASK), 30)
    assert rows_of(database, query, TASK)[0] == ("success", True)


def test_what_is_missing_is_counted_while_no_writer_can_write(product, database):
    # Enough for each process of the web server to have a writer.
    for number in range(60):
        assert ask(product, f"before-{number}") == 200
    stored = "SELECT count(*) FROM user_action_logs WHERE correlation_id LIKE %s"
    wait_for(lambda: rows_of(database, stored, "before-%") == [(60,)], 10)
    dropped = "SELECT coalesce(sum((metadata->>'dropped')::int), 0) FROM system_logs"
    before = rows_of(database, dropped)[0][0]
    pids = [
        pid
        for (pid,) in rows_of(
            database, "SELECT pid FROM pg_stat_activity WHERE application_name = 'blotter-logs'"
        )
    ]
    assert len(pids) >= 2

    with standing_still(pids):
        statuses = {ask(product, f"meanwhile-{number}") for number in range(REQUESTS)}

    assert statuses == {200}

    def missing() -> int:
        return REQUESTS - rows_of(database, stored, "meanwhile-%")[0][0]

    def told() -> int:
        return rows_of(database, dropped)[0][0] - before

    # Each process keeps so many rows; the rest is said to be lost, to the last one.
    wait_for(lambda: told() == missing(), 30, product.said)
    assert REQUESTS - len(pids) * (QUEUE + 1) <= missing() <= REQUESTS - QUEUE
