"""Bots and their closed trades, as many as a measurement needs."""

import time
from datetime import UTC, datetime

from benchmarks.harness import connect

START = datetime(2025, 1, 1, tzinfo=UTC)
CAPITAL = 10_000

FILL_BOTS = """
    INSERT INTO bot_instances (id, type, symbol, quote_currency, initial_balance,
        config_file, config, config_hash, strategy_name, heartbeat_interval_seconds, version,
        extra_metadata)
    SELECT 'bot-' || lpad(n::text, 4, '0'), 'paper', 'BTC/USD', 'USD', %(capital)s,
        '', '{}', '', '', 60, '', '{}'
    FROM generate_series(0, %(bots)s - 1) AS n
"""
# In the order in which they were closed, as trades come in: the bots take turns.
FILL_TRADES = """
    INSERT INTO trades (id, bot_id, trade_type, strategy_name, entry_logic_name,
        exit_logic_name, symbol, interval, quote_currency, direction, status, size,
        original_position_size, remaining_position_size, entry_time, exit_time, entry_price,
        exit_price, entry_value, exit_value, commission_rate, entry_commission,
        exit_commission, commission, gross_pnl, net_pnl, pnl_percentage, exit_reason,
        extra_metadata, exit_metadata, position_id)
    SELECT new_uuid(), 'bot-' || lpad((n %% %(bots)s)::text, 4, '0'), 'paper', 'bollinger',
        'RSIBBVolumeEntryMixin', 'ATRExitMixin', 'BTC/USD', '1h', 'USD', 'long', 'closed', 0.1,
        0.1, 0, at - interval '1 hour', at, 50000, 50000 + 10 * gross, 5000, 5000 + gross,
        0.001, 5, 5 + gross / 1000, 10 + gross / 1000, gross, gross - (10 + gross / 1000),
        (gross - (10 + gross / 1000)) / 50, 'take_profit', '{}', '{}', ''
    FROM (
        SELECT n, %(start)s + (n / %(bots)s) * interval '8 hours' + n %% %(bots)s * interval '1 s'
            AS at, round((220 * random() - 98)::numeric, 8) AS gross
        FROM generate_series(0, %(trades)s - 1) AS n
        OFFSET 0
    ) AS made
"""


def fill(*, bots: int, trades: int) -> None:
    """Have so many bots and closed trades stored, and the planner know of them."""
    given = {"bots": bots, "trades": trades, "capital": CAPITAL, "start": START}
    with connect() as connection:
        connection.execute("TRUNCATE bot_instances CASCADE")
        connection.execute(FILL_BOTS, given)
        connection.execute(FILL_TRADES, given)
        # VACUUM counts a page as visible to all only once its rows have reached the disk.
        time.sleep(1)
        connection.execute("VACUUM ANALYZE trades")
        connection.execute("VACUUM ANALYZE bot_instances")
