"""A month of 850,000 system logs taken out and dropped, against DELETE; who waits meanwhile."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

from benchmarks import log_rows
from benchmarks.harness import Case, at_least, at_most, connect, timed

NAMES = [
    "a month of 850,000 log lines dropped, against DELETE and VACUUM",
    "longest wait of an insert while a month is dropped behind an open reader, against 100 ms",
    "longest wait of an insert while a month is made, against 100 ms",
]
ROWS = 850_000
MONTH = date(2020, 5, 1)
PARTITION = "system_logs_2020_05"
LONGEST_WAIT = 0.1
READING = 5.0
INSERT = """INSERT INTO system_logs (correlation_id, metadata, level, logger_name, message, module,
    function_name, thread_name) VALUES ('', '{}', 'INFO', 'bench', 'goes on', '', '', '')"""


class Inserts:
    """Somebody who stores one row after the other, and how long the slowest of them took."""

    def __enter__(self) -> "Inserts":
        self.longest, self.count, self.over = 0.0, 0, False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def run(self) -> None:
        with connect() as connection:
            connection.execute(INSERT.encode())
            while not self.over:
                self.longest = max(self.longest, timed(lambda: connection.execute(INSERT.encode())))
                self.count += 1
                time.sleep(0.001)

    def __exit__(self, *failure: object) -> None:
        self.over = True
        self.thread.join()

    def check(self) -> None:
        if self.longest > LONGEST_WAIT or not self.count:
            raise RuntimeError(f"Of {self.count} inserts one waited {self.longest:.3f} s.")


@contextmanager
def reader(seconds: float) -> Iterator[None]:
    """Have somebody read the table in a transaction that stays open for a while."""
    connection = connect()
    connection.autocommit = False
    connection.execute("SELECT count(*) FROM (SELECT 1 FROM system_logs LIMIT 1000) AS first")
    timer = threading.Timer(seconds, connection.commit)
    timer.start()
    try:
        yield
    finally:
        timer.join()
        connection.close()


def fill(rows: int) -> None:
    """Have a month long ago with so many rows, its indexes built after them."""
    bounds = "FROM ('2020-05-01 00:00:00+00') TO ('2020-06-01 00:00:00+00')"
    columns, values = log_rows.TABLES["system_logs"]
    with connect() as connection:
        connection.execute("SET maintenance_work_mem = '1GB'")
        connection.execute(f"DROP TABLE IF EXISTS {PARTITION}".encode())
        connection.execute(
            f"CREATE TABLE {PARTITION} (LIKE system_logs INCLUDING ALL EXCLUDING INDEXES)".encode()
        )
        statement = log_rows.COMMON.format(
            table=PARTITION, columns=columns, values=values.format(rows=rows), rows=rows,
            first_id=50_000_000_000, together=log_rows.TOGETHER,
        ).replace("now() - interval '90 days'", "timestamptz '2020-05-01 00:00:00+00'")  # fmt: skip
        connection.execute(statement.replace("90 days", "30 days").encode())
        # Attaching builds what indexes are missing.
        connection.execute(
            f"ALTER TABLE system_logs ATTACH PARTITION {PARTITION} FOR VALUES {bounds}".encode()
        )
        connection.execute(f"VACUUM ANALYZE {PARTITION}".encode())
        connection.execute("CHECKPOINT")


def out(patience: timedelta) -> bool:
    """Take the month out and drop it; False when it was not there."""
    from apps.shared import partitions

    detached = partitions.detach_month("system_logs", MONTH, patience=patience)
    return detached and partitions.drop_detached("system_logs", MONTH)


def drop_month() -> float:
    """Drop a full month while others insert; return the seconds it took."""
    fill(ROWS)
    with Inserts() as inserts:
        cost = timed(lambda: out(timedelta(seconds=20)))
    inserts.check()
    return cost


def delete_month() -> float:
    """Delete the rows of a full month while others insert; return the seconds it took."""
    fill(ROWS)

    def work() -> None:
        with connect() as connection:
            connection.execute(
                "DELETE FROM system_logs WHERE timestamp >= '2020-05-01 00:00:00+00'"
                " AND timestamp < '2020-06-01 00:00:00+00'"
            )
            connection.execute(f"VACUUM {PARTITION}".encode())

    with Inserts():
        return timed(work)


def wait_behind_a_reader() -> float:
    """Return how long an insert waits while a month is dropped that somebody reads."""
    fill(10_000)
    with Inserts() as inserts, reader(READING):
        dropped = out(timedelta(seconds=30))
    if not dropped or out(timedelta()):
        raise RuntimeError("The month was not dropped.")
    return inserts.longest


def wait_while_made() -> float:
    """Return how long an insert waits while a month is made, with rows that waited for it."""
    from apps.shared import partitions

    with connect() as connection:
        connection.execute(f"DROP TABLE IF EXISTS {PARTITION}".encode())
        connection.execute("DELETE FROM system_logs WHERE timestamp < '2021-01-01'")
        late = INSERT.replace("(correlation_id", "(timestamp, correlation_id").replace(
            "VALUES (", "SELECT timestamptz '2020-05-02' + n * interval '1 second', "
        )
        late = late.removesuffix(")") + " FROM generate_series(1, 10000) AS n"
        connection.execute(late.encode())
    with Inserts() as inserts:
        made = partitions.make_months("system_logs", [MONTH])
    if made != [MONTH] or inserts.count < 1:
        raise RuntimeError("The month was not made.")
    return inserts.longest


@contextmanager
def cases() -> Iterator[list[Case]]:
    from django.db import connection

    yield [
        Case(NAMES[0], at_least(10), drop_month, delete_month, runs=3),
        Case(NAMES[1], at_most(1), wait_behind_a_reader, lambda: LONGEST_WAIT, runs=2),
        Case(NAMES[2], at_most(1), wait_while_made, lambda: LONGEST_WAIT, runs=3),
    ]
    connection.close()
