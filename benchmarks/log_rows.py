"""Ninety days of entries in the five log tables, made by the database."""

import functools
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import psycopg

from apps.shared.partitions import month_of, months_from, next_month, partition_name
from benchmarks.harness import LARGE_DATABASE, address_of

DAYS = 90
RARE = "flashcrash"
# So many rows hold the rare word, however many there are.
RARE_ROWS = 20
LARGE, OTHERS = 10_000_000, 2_000_000
# Entries of one cause: among the system logs, and in each of the other tables.
TOGETHER = 10

INDEXES = """
SELECT indexrelid::regclass::text, replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ')
FROM pg_index WHERE indrelid = %s::regclass AND NOT indisprimary
"""

# {n} counts the rows, {h} is a number by chance that is the same each time.
COMMON = """
INSERT INTO {table} (id, timestamp, correlation_id, metadata, {columns})
SELECT {first_id} + n, now() - interval '90 days' + n * (interval '90 days' / {rows}),
    md5((n / {together})::text), '{{"host": "web-1", "attempt": 1}}', {values}
FROM generate_series(1, {rows}) AS n,
    LATERAL (SELECT hashint8(n) & 2147483647 AS h) AS chance
"""
SEVERITY = """CASE WHEN h % 100 < 70 THEN 'INFO' WHEN h % 100 < 90 THEN 'WARNING'
    WHEN h % 100 < 98 THEN 'ERROR' ELSE 'CRITICAL' END"""
COMPONENT = "'app.part' || h / 100 % 50"
MESSAGE = """format((ARRAY[
    'Order %s of BTC/USDT was sent to binance and acknowledged after %s ms, waiting for its fills',
    'Candles of ETH/USDT up to %s were stored, %s of them new, coverage is complete for this day',
    'Position %s closed by its stop loss at %s, the rest of the plan is cancelled with the venue',
    'Heartbeat %s came late by %s ms; the bot goes on trading and its deadline has been extended',
    'Features of batch %s were computed for %s symbols, the matrix has no gaps in the last hour',
    'Request %s to the exchange answered with a limit; it is tried again in %s ms by this worker',
    'Signal %s of the momentum model: confidence %s permille, below what the strategy asks for',
    'Session %s of the market data feed was renewed after %s messages without any sequence gaps'
])[h % 8 + 1], h / 8 % 100000, h % 977)"""
TABLES: Mapping[str, tuple[str, str]] = {
    "system_logs": (
        "level, logger_name, message, module, function_name, line_number, thread_name, process_id",
        f"""{SEVERITY}, {COMPONENT},
        {MESSAGE} || CASE WHEN n % ({{rows}} / {RARE_ROWS}) = 0 THEN ' {RARE}' ELSE '' END,
        'orders', 'send', h % 500, 'MainThread', 4711""",
    ),
    "trading_events": (
        "event_type, symbol, side, quantity, price, order_id, strategy",
        """(ARRAY['signal', 'order_sent', 'order_filled', 'strategy_started'])[h % 4 + 1],
        'SYM' || h % 20, 'buy', 1.5, 60000.12, 'o-' || n, 'momentum'""",
    ),
    "performance_logs": (
        "operation_name, duration_ms, status, component, memory_usage_mb, cpu_usage_percent",
        f"""'operation' || h % 40, h % 1000 / 7.0,
        CASE WHEN h % 100 < 90 THEN 'success' WHEN h % 100 < 96 THEN 'timeout' ELSE 'error' END,
        {COMPONENT}, 120.5, 10.5""",
    ),
    # Few words: what takes long here is the index of words, which the list does not read.
    "error_logs": (
        """error_type, error_message, stack_trace, component, user_id, request_path,
        fingerprint""",
        f"""(ARRAY['ValueError', 'TimeoutError', 'KeyError'])[h % 3 + 1], 'no answer',
        repeat('File "apps/bots/services.py", line 10, in close ', 4), {COMPONENT}, '7',
        '/api/v1/bots/', md5((h % 100)::text)""",
    ),
    "user_action_logs": (
        """action_type, user_id, session_id, ip_address, user_agent, request_path,
        request_method, response_status, duration_ms""",
        """'request', 'user' || h % 200, md5((h % 200)::text), '10.0.0.1',
        'Mozilla/5.0 (X11; Linux x86_64)', '/api/v1/market/candles/' || n, 'GET',
        CASE WHEN h % 100 < 90 THEN 200 WHEN h % 100 < 97 THEN 404 ELSE 500 END, 12.5""",
    ),
}


def months_past() -> list[datetime]:
    """Return the first moments of the months that the last ninety days touch."""
    now = datetime.now(UTC)
    months = months_from(month_of(now - timedelta(days=DAYS)), 4)
    return [datetime(m.year, m.month, 1, tzinfo=UTC) for m in months if m <= month_of(now)]


def fill_table(connection: psycopg.Connection, table: str, rows: int, *, together: int) -> None:
    """Have so many entries in a table, spread over ninety days up to now."""

    def execute(statement: str) -> None:
        connection.execute(statement.encode())

    execute(f"TRUNCATE {table}")
    for month in months_past():
        name, end = partition_name(table, month.date()), next_month(month.date())
        execute(
            f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF {table}"
            f" FOR VALUES FROM ('{month.isoformat()}') TO ('{end} 00:00:00+00')"
        )
    # What is built after the rows is built much faster than with each row.
    indexes = connection.execute(INDEXES, [table]).fetchall()
    for name, _ in indexes:
        execute(f"DROP INDEX {name}")
    execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey")
    columns, values = TABLES[table]
    # The tables share one sequence: each takes a stretch of its own.
    first_id = 1_000_000_000 * (1 + list(TABLES).index(table))
    execute(
        COMMON.format(
            table=table,
            columns=columns,
            values=values.format(rows=rows),
            rows=rows,
            first_id=first_id,
            together=together,
        )
    )
    execute(f"ALTER TABLE {table} ADD PRIMARY KEY (id, timestamp)")
    for _, definition in indexes:
        execute(definition)
    execute(f"VACUUM ANALYZE {table}")


def fill(database: str, **rows: int) -> None:
    """Have so many entries in each of the named tables of a database.

    Ten system logs are of one cause, together with as many others as fall into their time.
    """
    address = address_of(os.environ["DATABASE_URL"], database)
    causes = max(rows.values()) // TOGETHER
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("SET maintenance_work_mem = '1GB'")
        for table, count in rows.items():
            fill_table(connection, table, count, together=max(count // causes, 1))


@functools.cache
def fill_large() -> None:
    """Have ten million system logs and two million of each other kind, once per run."""
    others = dict.fromkeys(list(TABLES)[1:], OTHERS)
    fill(LARGE_DATABASE, system_logs=LARGE, **others)


def correlation_of(database: str, *, share: float) -> str:
    """Return the correlation id of the system log that stands at a share of all by time."""
    address = address_of(os.environ["DATABASE_URL"], database)
    with psycopg.connect(address) as connection:
        found = connection.execute(
            "SELECT correlation_id FROM system_logs"
            " WHERE timestamp >= now() - (1 - %s) * interval '90 days' ORDER BY timestamp LIMIT 1",
            [share],
        ).fetchone()
    assert found is not None
    return str(found[0])
