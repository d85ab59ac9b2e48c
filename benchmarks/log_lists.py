"""The list of system logs in the admin: ten million against ten thousand, and against stock."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

from benchmarks import log_rows
from benchmarks.admin import log_in, pages
from benchmarks.harness import DATABASE, LARGE_DATABASE, Case, at_most, serving, timed

NAMES = [
    "list of logs in the admin at 10,000,000 rows, against 10,000",
    "the same over all time",
    "the same, errors of a week",
    "the same, all of one day",
    "the same, one correlation id",
    "the same, a word of 20 rows, over all time",
    "the same, a word of 20 rows, in the last day",
    "the same, a word of every eighth row, over all time",
    "list of logs in the admin at 10,000,000 rows, against Django's own admin",
]
LOGS = "/admin/logs/systemlog/"
SMALL = 10_000


@contextmanager
def cases() -> Iterator[list[Case]]:
    log_rows.fill(DATABASE, system_logs=SMALL)
    log_rows.fill_large()
    day = (datetime.now(UTC) - timedelta(days=40)).date()
    rare = f"q={log_rows.RARE}"
    queries = [
        *[("", 1.3), ("?timestamp_last=all", 1.3)],
        ("?timestamp_last=week&level__exact=ERROR", 1.3),
        (f"?timestamp_after={day}&timestamp_before={day}", 1.3),
        ("?correlation_id=", 1.3),
        (f"?{rare}&timestamp_last=all", 10),
        (f"?{rare}", 10),
        ("?q=heartbeat&timestamp_last=all", 10),
    ]
    with ExitStack() as stack:
        servers, causes = {}, {}
        for database in (DATABASE, LARGE_DATABASE):
            server = stack.enter_context(serving(database=database))
            server.headers = {"Cookie": log_in(database)}
            servers[database] = server
            causes[database] = log_rows.correlation_of(database, share=0.5)
        stock = stack.enter_context(
            serving(database=LARGE_DATABASE, settings="benchmarks.stock_settings")
        )
        stock.headers = servers[LARGE_DATABASE].headers

        def side(database: str, query: str) -> float:
            query += causes[database] if query.endswith("correlation_id=") else ""
            # It idled while the other side had its turn, and may be closed by now.
            servers[database].connection.close()
            return pages(servers[database], LOGS + query)

        def stock_page() -> float:
            stock.connection.close()

            def work() -> None:
                if b"result_list" not in stock.get(LOGS):
                    raise RuntimeError("Django's own admin shows no list.")

            return timed(work)

        yield [
            *[
                Case(
                    name,
                    at_most(aim),
                    lambda query=query: side(LARGE_DATABASE, query),
                    lambda query=query: side(DATABASE, query),
                )
                for name, (query, aim) in zip(NAMES[:-1], queries, strict=True)
            ],
            Case(NAMES[-1], at_most(0.01), lambda: side(LARGE_DATABASE, ""), stock_page, runs=1),
        ]
