"""The newest hundred of everything that happened, against the newest hundred of one table."""

import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from benchmarks import log_rows
from benchmarks.harness import LARGE_DATABASE, Case, Server, at_most, serving, timed

NAMES = [
    "newest 100 of five log tables, database time against one table",
    "the same of a severity",
    "the same of a rare severity",
    "the same of a component",
    "the same of a correlation id",
    "newest 100 of five log tables, database time against 1 ms",
    "newest 100 of five log tables by HTTP, against 5 ms",
    "the same of a rare severity by HTTP, against 5 ms",
]
ACTIVITY = "/api/v1/logs/activity/?limit=100"
RARE = {"severity": "CRITICAL"}
ROUNDS = 100
COLUMNS = ["id", "source", "timestamp", "severity", "component", "description", "correlation_id"]
LOG_COLUMNS = ["id", "timestamp", "level", "logger_name", "module", "message", "correlation_id"]
LOG_NAMES = {"severity": "level", "component": "logger_name"}


@contextmanager
def connected(database: str) -> Iterator[None]:
    """Have Django's own connection lead to another database."""
    from django.db import connection

    usual = connection.settings_dict["NAME"]
    connection.close()
    connection.close_pool()
    connection.settings_dict["NAME"] = database
    try:
        yield
    finally:
        connection.close()
        connection.close_pool()
        connection.settings_dict["NAME"] = usual


def activity(**filters: str) -> float:
    """Return the seconds of one page of everything, as the API reads it."""
    from apps.logs.models import RecentActivity
    from apps.shared.api.listing import rows_as_json

    page = RecentActivity.objects.filter(**filters).order_by("-timestamp", "-id")[:100]
    return usual(lambda: rows_as_json(page, [*COLUMNS, "metadata"], "timestamp"))


def system_logs(**filters: str) -> float:
    """Return the same of the system logs alone, with columns of the same size."""
    from apps.logs.models import SystemLog
    from apps.shared.api.listing import rows_as_json

    named = {LOG_NAMES.get(name, name): value for name, value in filters.items()}
    page = SystemLog.objects.filter(**named).order_by("-timestamp", "-id")[:100]
    return usual(lambda: rows_as_json(page, [*LOG_COLUMNS, "metadata"], "timestamp"))


def usual(work: Callable[[], object]) -> float:
    """Return the median of the seconds that a short piece of work takes."""

    def once() -> None:
        if not work():
            raise RuntimeError("There is nothing on the page.")

    return statistics.median([timed(once) for _ in range(ROUNDS)])


def by_http(server: Server, path: str) -> float:
    return usual(lambda: b'"id"' in server.get(path))


@contextmanager
def cases() -> Iterator[list[Case]]:
    from benchmarks.keys import make_key

    log_rows.fill_large()
    cause = log_rows.correlation_of(LARGE_DATABASE, share=0.5)
    filters = [
        {},
        {"severity": "ERROR"},
        RARE,
        {"component": "app.part7"},
        {"correlation_id": cause},
    ]
    with ExitStack() as stack:
        stack.enter_context(connected(LARGE_DATABASE))
        server = stack.enter_context(serving(make_key(), database=LARGE_DATABASE))
        yield [
            *[
                Case(
                    name,
                    at_most(1.5),
                    lambda given=given: activity(**given),
                    lambda given=given: system_logs(**given),
                )
                for name, given in zip(NAMES[:5], filters, strict=True)
            ],
            Case(NAMES[5], at_most(1), activity, lambda: 0.001),
            Case(NAMES[6], at_most(1), lambda: by_http(server, ACTIVITY), lambda: 0.005),
            Case(
                NAMES[7],
                at_most(1),
                lambda: by_http(server, f"{ACTIVITY}&severity=CRITICAL"),
                lambda: 0.005,
            ),
        ]
