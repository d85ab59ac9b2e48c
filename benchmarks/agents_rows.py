"""Agents with decisions, calls, outcomes, trades and snapshots, as many as a measurement needs."""

import os
import time
from datetime import UTC, datetime, timedelta

import psycopg

from benchmarks.harness import address_of

NOW = datetime.now(UTC).replace(minute=7, second=0, microsecond=0)
DAYS = 60
# One decision in ten opens a trade.
OPENS = 10
PER_CALL = 6

AGENTS = """
    INSERT INTO trading_agents (id, name, llm_model, provider, exchange_account, mode, status,
        quote_currency, initial_balance, max_position_size, max_leverage, stop_loss_pct,
        take_profit_pct, coins, benchmark_coin, strategy_description, bot_id, extra_metadata)
    SELECT md5('agent ' || n)::uuid, 'Agent ' || lpad(n::text, 4, '0'), 'deepseek-chat',
        'deepseek', '', 'paper', 'active', 'USD', 10000, 20, 10, 2, 5,
        '{"BTC": "BTC/USD", "ETH": "ETH/USD"}', '', '', '', '{}'
    FROM generate_series(0, %(agents)s - 1) n
"""
CALLS = """
    INSERT INTO llm_calls (id, agent_id, timestamp, cycle, status, provider, model,
        prompt_version, prompt, answer, error, tokens_in, tokens_out, cost, cost_source,
        latency_ms, decisions_count, accepted_count, altered, content_hash, extra_metadata)
    SELECT md5('call ' || n)::uuid, md5('agent ' || n %% %(agents)s)::uuid, at, n, 'answered',
        'deepseek', 'deepseek-chat', encode(sha256((v || '')::bytea), 'hex'),
        repeat('The market as it stands. ', 80), repeat('I hold. ', 100), '', 4000, 500,
        0.00163, 'table', 1500, 6, 6, '{}', md5(n::text), '{}'
    FROM (
        SELECT n, at, floor(extract(epoch FROM %(now)s - at) / 2000000) AS v
        FROM (SELECT n, %(start)s + n * (%(now)s - %(start)s) / %(calls)s AS at
              FROM generate_series(0, %(calls)s - 1) n) t
    ) made
"""
DECISIONS = """
    INSERT INTO agent_decisions (id, agent_id, call_id, timestamp, place, status, action, coin,
        symbol, direction, size_usd, leverage, stop_loss_price, take_profit_price, confidence,
        reasoning, error_message, violations, chain_of_thought, raw, prompt_version, content_hash)
    SELECT md5('decision ' || n)::uuid, md5('agent ' || call %% %(agents)s)::uuid,
        md5('call ' || call)::uuid, at, n %% %(per_call)s,
        CASE WHEN is_open THEN 'success' WHEN noise %% 20 = 1 THEN 'rejected'
            WHEN noise %% 50 = 3 THEN 'parsing_error' ELSE 'success' END,
        CASE WHEN is_open THEN 'OPEN_LONG' WHEN noise %% 50 = 3 THEN '' ELSE 'HOLD' END,
        CASE WHEN n %% 2 = 0 THEN 'BTC' ELSE 'ETH' END,
        CASE WHEN n %% 2 = 0 THEN 'BTC/USD' ELSE 'ETH/USD' END,
        CASE WHEN is_open THEN 'long' ELSE '' END, CASE WHEN is_open THEN 500 ELSE 0 END, 1,
        CASE WHEN is_open THEN 90 ELSE 0 END, CASE WHEN is_open THEN 120 ELSE 0 END, 0.7,
        repeat('The trend is up on both frames. ', 6), '',
        CASE WHEN NOT is_open AND noise %% 20 = 1 THEN '[{"rule": "size", "message": "Too large."}]'
            ELSE '[]' END::jsonb,
        '{"signal": "hold", "quantity": 1.26, "invalidation": "A close below the EMA of 20."}', '',
        encode(sha256((v || '')::bytea), 'hex'), md5(n::text)
    FROM (
        SELECT n, call, at, noise, noise %% %(opens)s = 0 AS is_open,
            floor(extract(epoch FROM %(now)s - at) / 2000000) AS v
        FROM (SELECT n, n / %(per_call)s AS call, abs(hashint4(n)) AS noise,
                  %(start)s + (n / %(per_call)s) * (%(now)s - %(start)s) / %(calls)s AS at
              FROM generate_series(0, %(decisions)s - 1) n) t
    ) made
"""
OUTCOMES = """
    INSERT INTO decision_outcomes (decision_id, agent_id, symbol, moment, action, direction,
        confidence, is_accepted, prompt_version, status, source, granularity, entry_price,
        change_24h, is_hit, settled_at)
    SELECT id, agent_id, symbol, timestamp, action, direction, confidence, status = 'success',
        prompt_version, 'settled', 'venue', '5m', 100, 1,
        CASE WHEN action LIKE 'OPEN%%' THEN random() < 0.55 END, timestamp + interval '1 day'
    FROM agent_decisions
"""
TRADES = """
    INSERT INTO agent_trades (id, agent_id, decision_id, coin, symbol, side, status, size,
        leverage, entry_price, entry_time, exit_price, exit_time, entry_fees, exit_fees, fees,
        gross_pnl, realized_pnl, exit_reason, hyperliquid_order_id, notes, extra_metadata)
    SELECT gen_random_uuid(), agent_id, id, coin, symbol, 'long', 'closed', 5, 1, 100, at,
        100 + gross / 5, least(at + interval '2 hours', %(now)s), 0.2, 0.2, 0.4, gross,
        gross - 0.4, 'target', '', '', '{}'
    FROM (
        SELECT id, agent_id, coin, symbol, timestamp AS at,
            round((40 * random() - 19)::numeric, 8) AS gross
        FROM agent_decisions WHERE action = 'OPEN_LONG'
    ) made
"""
OPEN_TRADES = """
    INSERT INTO agent_trades (id, agent_id, coin, symbol, side, status, size, leverage,
        entry_price, entry_time, entry_fees, fees, exit_reason, hyperliquid_order_id, notes,
        extra_metadata)
    SELECT gen_random_uuid(), id, 'BTC', 'BTC/USD', 'long', 'open', 5, 1, 100,
        %(now)s - interval '1 day', 0.2, 0.2, '', '', '', '{}'
    FROM trading_agents
"""
SNAPSHOTS = """
    INSERT INTO agent_performance (agent_id, snapshot_time, total_value, cash_balance,
        position_value, realized_pnl, unrealized_pnl, total_pnl, num_trades, num_winning_trades,
        num_losing_trades, max_drawdown, max_drawdown_percent, fees, model_cost, open_trades,
        unknown_trades, unpriced_trades, peak_value, reasons)
    SELECT agent.id, at, 10000 + pnl, 10000 + pnl, 0, pnl, 0, pnl, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        11000, '{}'
    FROM generate_series(date_trunc('hour', %(start)s), %(now)s - interval '15 minutes',
            interval '15 minutes') at,
        trading_agents agent, LATERAL (SELECT round((500 * sin(extract(epoch FROM at) / 300000
            + hashtext(agent.name)))::numeric, 8) AS pnl) made
"""
# Hourly candles of both coins, up to now.
CANDLES = """
    INSERT INTO candles (symbol, source, granularity, timestamp, open, high, low, close, volume)
    SELECT symbol, 'venue', '1h', at, 100, 110, 90, 104, 1
    FROM generate_series(date_trunc('hour', %(start)s) - interval '2 hours',
            date_trunc('hour', %(now)s) - interval '1 hour', interval '1 hour') at,
        unnest(ARRAY['BTC/USD', 'ETH/USD']) symbol
"""
TABLES = (
    "trading_agents, llm_calls, agent_decisions, decision_outcomes, agent_trades, "
    "agent_performance, candles"
)


def fill(database: str, *, agents: int, decisions: int) -> None:
    """Have agents with so many decisions in a database, a tenth as many trades, 60 days."""
    given = {
        "agents": agents,
        "decisions": decisions,
        "calls": -(-decisions // PER_CALL),
        "per_call": PER_CALL,
        "opens": OPENS,
        "start": NOW - timedelta(days=DAYS),
        "now": NOW,
    }
    address = address_of(os.environ["DATABASE_URL"], database)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("TRUNCATE candles, trading_agents CASCADE")
        for statement in (AGENTS, CALLS, DECISIONS, OUTCOMES, TRADES, OPEN_TRADES, SNAPSHOTS):
            connection.execute(statement.encode(), given)
        connection.execute(CANDLES.encode(), given)
        # VACUUM counts a page as visible to all only once its rows have reached the disk.
        time.sleep(1)
        connection.execute(f"VACUUM ANALYZE {TABLES}".encode())
