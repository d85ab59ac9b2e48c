"""Rows that leave: archived against a plain COPY, deleted block by block against one DELETE."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks import log_rows
from benchmarks.harness import Case, at_least, connect, timed

NAMES = [
    "200,000 log lines archived and verified, against COPY TO",
    "100,000 trades archived and verified, against COPY TO",
    "100,000 trades deleted in verified blocks, against one DELETE",
    "100,000 trades deleted in blocks that are not archived, against one DELETE",
]
LINES, TRADES = 200_000, 100_000
MONTH = date(2020, 5, 1)
PARTITION = "system_logs_2020_05"
PATH = "bench/rows"
NOW = datetime(2026, 1, 1, tzinfo=UTC)

LINES_STATEMENT = log_rows.COMMON.replace(
    "now() - interval '90 days' + n * (interval '90 days' / {rows})",
    "timestamptz '2020-05-01 00:00:00+00' + n * (interval '30 days' / {rows})",
)
TRADES_STATEMENT = """
INSERT INTO trades (id, bot_id, trade_type, strategy_name, entry_logic_name, exit_logic_name,
    symbol, interval, quote_currency, direction, status, size, entry_time, exit_time,
    entry_price, exit_price, entry_value, exit_value, commission_rate, entry_commission,
    exit_commission, commission, gross_pnl, net_pnl, pnl_percentage, exit_reason,
    extra_metadata, exit_metadata, position_id)
SELECT gen_random_uuid(), 'bench', 'paper', 'momentum', 'breakout', 'target',
    'BTC/USDT', '1h', 'USDT', 'long', 'closed', 0.5, moment, moment + interval '3 hours',
    60000 + n %% 977, 60000 + n %% 991, 30000 + n %% 977 / 2.0, 30000 + n %% 991 / 2.0, 0.001, 30,
    30, 60, n %% 991 - n %% 977, n %% 991 - n %% 977 - 60, 0.12345678, 'target',
    '{"signal": 0.7123, "regime": "bull"}', '{}', ''
FROM generate_series(1, %s) AS n,
    LATERAL (SELECT timestamptz '2020-01-01 00:00:00+00' + n * interval '5 minutes' AS moment) AS at
"""


def rule(name: str) -> Any:
    from apps.shared.retention.datasets import Rule, dataset

    found = dataset(name)
    return Rule(found, found.times[0], timedelta(days=found.age_days), frozenset())


def fill_lines() -> None:
    """Have a month long ago with log lines."""
    columns, values = log_rows.TABLES["system_logs"]
    with connect() as connection:
        connection.execute(f"DROP TABLE IF EXISTS {PARTITION}".encode())
        connection.execute(
            f"CREATE TABLE {PARTITION} PARTITION OF system_logs "
            "FOR VALUES FROM ('2020-05-01 00:00:00+00') TO ('2020-06-01 00:00:00+00')".encode()
        )
        statement = LINES_STATEMENT.format(
            table=PARTITION, columns=columns, values=values.format(rows=LINES), rows=LINES,
            first_id=70_000_000_000, together=log_rows.TOGETHER,
        )  # fmt: skip
        connection.execute(statement.encode())
        connection.execute(f"VACUUM ANALYZE {PARTITION}".encode())


def fill_trades() -> None:
    """Have so many old trades of one bot, and no others."""
    from apps.bots.models import BotInstance

    with connect() as connection:
        connection.execute("TRUNCATE trades, carried_results, departed_trades CASCADE")
        BotInstance.objects.get_or_create(
            id="bench", defaults={"type": "paper", "symbol": "BTC/USDT", "initial_balance": 1000}
        )
        connection.execute(TRADES_STATEMENT, [TRADES])
        connection.execute("VACUUM ANALYZE trades")
        connection.execute("CHECKPOINT")


def tidy() -> None:
    from django.conf import settings

    shutil.rmtree(Path(settings.ARCHIVE_ROOT) / PATH, ignore_errors=True)


def archive(name: str, rows: int, month: date | None = None) -> Any:
    """Archive all of a dataset in one part."""
    from apps.shared.retention.archives import write_part

    written = write_part(rule=rule(name), now=NOW, after=None, path=PATH, month=month, rows=rows)
    if written is None or written.manifest.roots != rows:
        raise RuntimeError(f"Not all of {name} was archived.")
    return written


def archived(name: str, rows: int, month: date | None = None) -> float:
    tidy()
    return timed(lambda: archive(name, rows, month))


def copied(table: str) -> float:
    """Copy the rows out as text and throw them away."""

    def work() -> None:
        statement = f"COPY (SELECT * FROM {table}) TO STDOUT".encode()
        with connect() as connection, connection.cursor().copy(statement) as copy:
            for _ in copy:
                pass

    return timed(work)


def deleted_in_blocks() -> float:
    """Delete archived trades, block by block as a run does, each in its transaction."""
    from django.conf import settings
    from django.db import transaction

    from apps.shared.retention.deleting import delete_block

    fill_trades()
    tidy()
    written = archive("trades", TRADES)
    folder = Path(settings.ARCHIVE_ROOT) / written.path

    def work() -> None:
        left = 0
        for block in range(len(written.manifest.tables[0].blocks)):
            with transaction.atomic():
                left += delete_block(
                    rule=rule("trades"),
                    now=NOW,
                    folder=folder,
                    manifest=written.manifest,
                    block=block,
                ).rows
        if left != TRADES:
            raise RuntimeError(f"{left} rows have left.")

    return timed(work)


def deleted_in_batches() -> float:
    """Delete trades that are not archived, batch by batch."""
    from django.db import transaction

    from apps.shared.retention.deleting import delete_batch

    fill_trades()

    def work() -> None:
        left = 0
        while True:
            with transaction.atomic():
                rows = delete_batch(rule=rule("trades"), now=NOW)
            if not rows:
                break
            left += rows
        if left != TRADES:
            raise RuntimeError(f"{left} rows have left.")

    return timed(work)


def deleted_at_once() -> float:
    fill_trades()

    def work() -> None:
        with connect() as connection:
            connection.execute("DELETE FROM trades WHERE exit_time < '2025-01-01'")

    return timed(work)


@contextmanager
def cases() -> Iterator[list[Case]]:
    from django.db import connection

    yield [
        Case(
            NAMES[0],
            at_least(0.4),
            lambda: archived("system_logs", LINES, MONTH),
            lambda: copied(PARTITION),
            fill_lines,
        ),
        Case(
            NAMES[1],
            at_least(0.4),
            lambda: archived("trades", TRADES),
            lambda: copied("trades"),
            fill_trades,
        ),
        Case(NAMES[2], at_least(0.2), deleted_in_blocks, deleted_at_once, runs=3),
        Case(NAMES[3], at_least(0.2), deleted_in_batches, deleted_at_once, runs=3),
    ]
    tidy()
    connection.close()
