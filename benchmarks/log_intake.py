"""100,000 system logs into their table, by the writer and by the API, against COPY."""

import gc
import json
import logging
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from benchmarks.harness import Case, at_least, at_most, connect, serving, timed
from benchmarks.intake import PIECE_BYTES

NAMES = [
    "100,000 log records by the batch writer, against COPY",
    "100,000 log lines by one POST, against COPY",
    "COPY of 100,000 log lines with the index of words, against without",
]
ROWS = 100_000
LOGS = "/api/v1/logs/system-logs/"
MESSAGES = [
    "Order %s of BTC/USDT was sent to binance and acknowledged after %s ms, waiting for its fills",
    "Candles of ETH/USDT up to %s were stored, %s of them new, coverage is complete for this day",
    "Position %s closed by its stop loss at %s, the rest of the plan is cancelled with the venue",
    "Heartbeat %s came late by %s ms; the bot goes on trading and its deadline has been extended",
    "Features of batch %s were computed for %s symbols, the matrix has no gaps in the last hour",
    "Session %s of the market data feed was renewed after %s messages without any sequence gaps",
]


def records() -> list[logging.LogRecord]:
    """Return what a program would log, with extras as some lines have them."""
    chance = random.Random(3)
    found = []
    for number in range(ROWS):
        level = chance.choices([20, 30, 40, 50], [70, 20, 8, 2])[0]
        arguments = (chance.randrange(100_000), chance.randrange(1000))
        record = logging.LogRecord(
            f"app.part{chance.randrange(50)}", level, "orders.py", 17,
            chance.choice(MESSAGES), arguments, None, "send",
        )  # fmt: skip
        if number % 2:
            record.__dict__["attempt"] = number % 5
        found.append(record)
    return found


def as_sent(lines: Sequence[dict[str, Any]]) -> bytes:
    """Return rows of the system log as a program would post them."""
    return json.dumps(
        [{**line, "timestamp": line["timestamp"].isoformat()} for line in lines]
    ).encode()


class Table:
    """The system logs, emptied before each turn, and their rows as ready text."""

    def __init__(self) -> None:
        self.connection = connect()

    def execute(self, statement: str) -> Any:
        return self.connection.execute(statement.encode())

    def empty(self) -> None:
        self.execute("TRUNCATE system_logs")

    def count(self) -> int:
        return int(self.execute("SELECT count(*) FROM system_logs").fetchone()[0])

    def copied_out(self) -> None:
        """Keep what is stored as text, in the pieces that go fastest."""
        columns = """id, timestamp, correlation_id, metadata, level, logger_name, message, module,
            function_name, line_number, thread_name, process_id"""
        self.columns = columns
        query = f"COPY (SELECT {columns} FROM system_logs ORDER BY id) TO STDOUT"
        with self.connection.cursor().copy(query.encode()) as source:
            lines = b"".join(map(bytes, source)).splitlines(keepends=True)
        self.pieces, piece = [], bytearray()
        for line in lines:
            piece += line
            if len(piece) >= PIECE_BYTES:
                self.pieces.append(bytes(piece))
                piece = bytearray()
        self.pieces.append(bytes(piece))

    def copy(self, table: str = "system_logs") -> float:
        """Store the ready text by nothing but COPY, in one transaction."""
        self.execute(f"TRUNCATE {table}")

        def work() -> None:
            with self.connection.transaction():
                for piece in self.pieces:
                    statement = f"COPY {table} ({self.columns}) FROM STDIN"
                    with self.connection.cursor().copy(statement.encode()) as sink:
                        sink.write(piece)

        return timed(work)

    def make_without_words(self) -> str:
        """Have the same table once more, without the index of words; return its name."""
        name, month = "system_logs_without_words", f"{datetime.now(UTC):%Y-%m}-01"
        self.execute(f"DROP TABLE IF EXISTS {name}")
        self.execute(
            f"CREATE TABLE {name} (LIKE system_logs INCLUDING ALL) PARTITION BY RANGE (timestamp)"
        )
        for (index,) in self.execute(
            f"SELECT indexname FROM pg_indexes WHERE tablename = '{name}'"
            " AND indexdef LIKE '%USING gin%'"
        ).fetchall():
            self.execute(f'DROP INDEX "{index}"')
        self.execute(
            f"CREATE TABLE {name}_this_month PARTITION OF {name} FOR VALUES"
            f" FROM ('{month}') TO (date '{month}' + interval '1 month')"
        )
        self.execute(f"CREATE TABLE {name}_other PARTITION OF {name} DEFAULT")
        return name


@contextmanager
def cases() -> Iterator[list[Case]]:
    from apps.logs.handler import line_of
    from apps.logs.writer import Writer
    from benchmarks.keys import make_key

    class HeldWriter(Writer):
        """Begins to write only when its queue is full of what it is measured by."""

        held = True

        def _start(self) -> bool:
            return True if self.held else super()._start()

    made = records()
    # What the collector would look through again and again is not what is measured.
    gc.collect()
    gc.freeze()
    table = Table()

    def stored(cost: float) -> float:
        if table.count() != ROWS:
            raise RuntimeError(f"{table.count()} rows are stored, not {ROWS}.")
        return cost

    def write() -> float:
        table.empty()
        writer = HeldWriter(capacity=2 * ROWS, enabled=True)
        for record in made:
            writer.put("SystemLog", line_of(record))
        writer.held = False

        def work() -> None:
            writer._start()
            writer.close(300)

        return stored(timed(work))

    write()
    table.copied_out()
    without = table.make_without_words()
    body = as_sent(list(map(line_of, made)))
    with serving(make_key()) as server:

        def post() -> float:
            table.empty()
            return stored(timed(lambda: server.post(LOGS, body)))

        yield [
            Case(NAMES[0], at_least(0.9), write, table.copy, runs=3),
            Case(NAMES[1], at_least(0.45), post, table.copy, runs=3),
            Case(NAMES[2], at_most(3), table.copy, lambda: table.copy(without), runs=3),
        ]
    table.empty()
    table.execute(f"DROP TABLE {without}")
    table.connection.close()
