"""What leaves, counted by hand in plain SQL, beside what the engine plans and deletes."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from django.apps import apps
from django.db import connection

from apps.retention.services import stepping
from apps.retention.services.policies import ensure_policies
from apps.retention.services.previews import preview
from apps.retention.services.runs import plan_retention
from apps.shared.partitions import existing_months, make_months, partition_name
from apps.shared.retention.datasets import dataset, datasets
from config import demo
from tests.retention.kinds import make_all_kinds

# The demo is loaded too where this is set; it takes six seconds for each test.
WITH_DEMO = bool(os.environ.get("RETENTION_DEMO"))
CLOCKS = [timedelta(0), timedelta(days=120), timedelta(days=400), timedelta(days=3_650)]
# Runs take their time: one after the other where the demo is there, else one.
CLOCKS_OF_RUNS = CLOCKS[1:] if WITH_DEMO else CLOCKS[2:3]

# For how long each is kept, in days, as the design has it.
DAYS = {
    "trades": 90, "bot_performance": 365, "paper_performance": 365,
    "agent_decisions": 92, "agent_performance": 183,
    "executions": 90, "analyses": 30, "predictions": 365, "model_signals": 365,
    "features": 731, "api_cache": 0, "cache_invalidations": 90, "alerts": 731,
    "system_logs": 90, "user_action_logs": 90, "performance_logs": 30, "error_logs": 180,
    "trading_events": 731, "notifications": 365,
}  # fmt: skip
LOGS = ("system_logs", "user_action_logs", "performance_logs", "error_logs", "trading_events")

# The key of every row that leaves, as text. Written from the tables, not from the datasets.
LEAVING = {
    "trades": """
        SELECT t.id::text FROM trades t
        WHERE t.exit_time < %(cutoff)s AND t.parent_trade_id IS NULL
          AND t.trade_type IN ('paper', 'optimization') AND t.status = 'closed'
          AND t.id NOT IN (
            SELECT coalesce(of.parent_trade_id, of.id) FROM trades of
            WHERE of.status = 'open' OR of.trade_type = 'live')
          AND t.id NOT IN (
            SELECT coalesce(of.parent_trade_id, of.id)
            FROM orders o JOIN trades of ON of.id = o.trade_id
            WHERE o.trade_type = 'live'
               OR o.status NOT IN ('filled', 'cancelled', 'rejected', 'expired'))""",
    "bot_performance": """
        SELECT id::text FROM (
            SELECT *, rank() OVER (
                PARTITION BY bot_id, trade_type, quote_currency, origin ORDER BY calculated_at DESC
            ) AS place FROM performance_metrics) AS ranked
        WHERE place > 1 AND calculated_at < %(cutoff)s""",
    "paper_performance": """
        SELECT id::text FROM (
            SELECT *, rank() OVER (
                PARTITION BY portfolio_id, origin ORDER BY timestamp DESC
            ) AS place FROM paper_performance) AS ranked
        WHERE place > 1 AND timestamp < %(cutoff)s""",
    "agent_decisions": """
        SELECT d.id::text FROM agent_decisions d JOIN decision_outcomes o ON o.decision_id = d.id
        WHERE d.timestamp < %(cutoff)s AND o.status IN ('settled', 'no_claim')
          AND d.id NOT IN (SELECT decision_id FROM agent_trades WHERE decision_id IS NOT NULL)
          AND d.id NOT IN (
            SELECT close_decision_id FROM agent_trades WHERE close_decision_id IS NOT NULL)""",
    "agent_performance": """
        SELECT id::text FROM (
            SELECT *, rank() OVER (PARTITION BY agent_id ORDER BY snapshot_time DESC) AS place
            FROM agent_performance) AS ranked
        WHERE place > 2 AND snapshot_time < %(cutoff)s""",
    "executions": """
        SELECT e.execution_id FROM execution_logs e
        WHERE e.timestamp_end < %(cutoff)s
          AND e.status IN ('COMPLETED', 'PARTIAL_SUCCESS', 'FAILED', 'CANCELLED')
          AND e.execution_id NOT IN (
            SELECT execution_id FROM analyses
            UNION ALL SELECT retry_of_id FROM execution_logs WHERE retry_of_id IS NOT NULL
            UNION ALL SELECT execution_id FROM retention_archives WHERE execution_id IS NOT NULL
            UNION ALL SELECT last_run_id FROM retention_policies WHERE last_run_id IS NOT NULL)""",
    "analyses": """
        SELECT a.id::text FROM analyses a JOIN execution_logs e USING (execution_id)
        WHERE a.generated_at < %(cutoff)s AND e.status IN ('FAILED', 'CANCELLED')""",
    "predictions": """
        SELECT p.id::text FROM predictions p JOIN model_outcomes o USING (prediction_id)
        WHERE p.timestamp < %(cutoff)s AND o.status <> 'open'
          AND p.prediction_id NOT IN (
            SELECT prediction_id FROM orders WHERE prediction_id IS NOT NULL)""",
    "model_signals": """
        SELECT s.id::text FROM model_signals s JOIN model_outcomes o USING (signal_id)
        WHERE s.timestamp < %(cutoff)s AND o.status <> 'open'""",
    "features": "SELECT id::text FROM feature_engineered_data WHERE timestamp < %(cutoff)s",
    "api_cache": "SELECT id::text FROM api_cache WHERE stale_until < %(cutoff)s",
    "cache_invalidations": """
        SELECT id::text FROM cache_invalidation_log WHERE invalidated_at < %(cutoff)s""",
    "alerts": """
        SELECT a.id::text FROM alerts a JOIN performance_summary p USING (alert_id)
        WHERE a.timestamp < %(cutoff)s AND p.settled_at IS NOT NULL""",
    "notifications": """
        SELECT id::text FROM notifications
        WHERE created_at < %(cutoff)s AND seen_at IS NOT NULL""",
} | {
    table: f"SELECT id::text FROM {table} WHERE timestamp < date_trunc('month', %(cutoff)s, 'UTC')"
    for table in LOGS
}  # fmt: skip

# What goes along with rows of these keys, by table.
ALONG = {
    "trades": {
        "trades": "SELECT id::text FROM trades WHERE parent_trade_id::text = ANY(%(keys)s)",
        "orders": """
            SELECT o.id::text FROM orders o JOIN trades t ON t.id = o.trade_id
            WHERE t.id::text = ANY(%(keys)s) OR t.parent_trade_id::text = ANY(%(keys)s)""",
        "fills": """
            SELECT f.id::text FROM fills f JOIN orders o USING (order_id)
            JOIN trades t ON t.id = o.trade_id
            WHERE t.id::text = ANY(%(keys)s) OR t.parent_trade_id::text = ANY(%(keys)s)""",
    },
    "agent_decisions": {
        "decision_outcomes": """
            SELECT id::text FROM decision_outcomes WHERE decision_id::text = ANY(%(keys)s)""",
    },
    "executions": {
        "execution_steps": """
            SELECT id::text FROM execution_steps WHERE execution_id = ANY(%(keys)s)""",
    },
    "analyses": {
        "backtest_summary": """
            SELECT id::text FROM backtest_summary WHERE analysis_id::text = ANY(%(keys)s)""",
        "leverage_calculation_details": """
            SELECT id::text FROM leverage_calculation_details
            WHERE analysis_id::text = ANY(%(keys)s)""",
    },
    "predictions": {
        "model_outcomes": """
            SELECT o.id::text FROM model_outcomes o JOIN predictions p USING (prediction_id)
            WHERE p.id::text = ANY(%(keys)s)""",
    },
    "model_signals": {
        "model_outcomes": """
            SELECT o.id::text FROM model_outcomes o JOIN model_signals s USING (signal_id)
            WHERE s.id::text = ANY(%(keys)s)""",
    },
    "alerts": {
        "price_tracking": """
            SELECT p.id::text FROM price_tracking p JOIN alerts a USING (alert_id)
            WHERE a.id::text = ANY(%(keys)s)""",
        "performance_summary": """
            SELECT p.id::text FROM performance_summary p JOIN alerts a USING (alert_id)
            WHERE a.id::text = ANY(%(keys)s)""",
    },
}


def asked(sql, **values):
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return sorted(key for (key,) in cursor.fetchall())


def leaving_by_hand(name, now):
    return asked(LEAVING[name], cutoff=now - timedelta(days=DAYS[name]))


def along_by_hand(name, keys):
    return {table: asked(sql, keys=keys) for table, sql in ALONG.get(name, {}).items()}


def told_by_hand(name, now):
    keys = leaving_by_hand(name, now)
    along = along_by_hand(name, keys)
    return (len(keys), {table: len(found) for table, found in along.items()})


def told_by_plan(name, now):
    planned = preview(dataset=name, now=now)
    return (planned.rows, planned.dependents)


def fill(now):
    """Store every kind of row, and the demo where it is wished for; return where it ends."""
    ensure_policies(now=now)
    make_all_kinds(now)
    if WITH_DEMO:
        demo.load()
    return datetime.now(UTC)


@pytest.mark.django_db
class TestPlan:
    def test_knows_every_dataset(self):
        assert set(LEAVING) == set(DAYS) == {one.name for one in datasets()}

    def test_counts_what_is_counted_by_hand(self):
        now = fill(datetime.now(UTC))

        for ahead in CLOCKS:
            by_hand = {name: told_by_hand(name, now + ahead) for name in DAYS}
            planned = {name: told_by_plan(name, now + ahead) for name in DAYS}
            assert planned == by_hand, f"{ahead.days} days ahead"
        # All of them had something to say.
        assert all(rows for rows, _ in by_hand.values())

        later = now + timedelta(days=400)
        for one in datasets():
            planned = preview(dataset=one.name, now=later)
            assert planned.old == planned.rows + sum(each.rows for each in planned.exempt)
            # And so had all exemptions that are for more than what retention itself leaves.
            for each in planned.exempt:
                if not each.name.startswith(("undated", "cited_by_retention_")):
                    assert each.rows, f"{one.name}: {each.name}"


@pytest.fixture
def months():
    """Leave the tables of the logs cut as they were found: a month that left is there again."""
    there = {table: existing_months(table) for table in LOGS}
    yield
    for table, found in there.items():
        for month in set(existing_months(table)) - set(found):
            with connection.cursor() as cursor:
                cursor.execute(f'DROP TABLE "{partition_name(table, month)}"')
        with connection.cursor() as cursor:
            cursor.execute(f'DELETE FROM "{table}"')
        make_months(table, found)


# Rows that are never to leave: how many there are is counted before and after.
KEPT = {
    "open trades": "SELECT count(*) FROM trades WHERE status = 'open'",
    "parts of open trades": """
        SELECT count(*) FROM trades p JOIN trades t ON t.id = p.parent_trade_id
        WHERE t.status = 'open'""",
    "live trades": "SELECT count(*) FROM trades WHERE trade_type = 'live'",
    "live orders": "SELECT count(*) FROM orders WHERE trade_type = 'live'",
    "fills of live orders": """
        SELECT count(*) FROM fills JOIN orders USING (order_id) WHERE trade_type = 'live'""",
    "orders that may be filled": """
        SELECT count(*) FROM orders
        WHERE status IN ('pending', 'accepted', 'partially_filled')""",
    "orders of their own": "SELECT count(*) FROM orders WHERE trade_id IS NULL",
    "agent trades": "SELECT count(*) FROM agent_trades",
    "model calls": "SELECT count(*) FROM llm_calls",
    "decisions that trades cite": """
        SELECT count(*) FROM agent_decisions d WHERE EXISTS (
            SELECT FROM agent_trades t WHERE d.id IN (t.decision_id, t.close_decision_id))""",
    "runs under way": "SELECT count(*) FROM execution_logs WHERE status IN ('PENDING', 'RUNNING')",
    "analyses of runs that ended well": """
        SELECT count(*) FROM analyses JOIN execution_logs e USING (execution_id)
        WHERE e.status NOT IN ('FAILED', 'CANCELLED')""",
    "open outcomes": """
        SELECT (SELECT count(*) FROM model_outcomes WHERE status = 'open')
            + (SELECT count(*) FROM decision_outcomes WHERE status = 'open')
            + (SELECT count(*) FROM performance_summary WHERE status = 'open')""",
    "candles": "SELECT count(*) FROM candles",
    "lots and bookings": """
        SELECT (SELECT count(*) FROM positions) + (SELECT count(*) FROM lot_trades)""",
}  # fmt: skip


def kept():
    with connection.cursor() as cursor:
        return {name: cursor.execute(sql).fetchone()[0] for name, sql in KEPT.items()}


def everything():
    """Return the keys of all rows of all tables."""
    found = {}
    for model in apps.get_models():
        if model._meta.managed:
            key, table = model._meta.pk.column, model._meta.db_table
            found[table] = set(asked(f'SELECT "{key}"::text FROM "{table}"'))
    return found


def run(name, now):
    """Run one policy to its end; return how its execution ended."""
    planned = plan_retention(dataset=name, by="somebody", now=now)
    while stepping.work(clock=lambda: now, joined=lambda: None):
        pass
    planned.refresh_from_db()
    return planned.status


def gone_by_hand(name, now):
    """Return the keys of what a run is to delete, by table."""
    keys = leaving_by_hand(name, now)
    gone = {dataset(name).table: set(keys)}
    for table, found in along_by_hand(name, keys).items():
        gone.setdefault(table, set()).update(found)
    return {table: found for table, found in gone.items() if found}


# What is reported of a market is no series any more when its last row has left.
EMPTIED = """
SELECT f.id::text FROM feature_series f JOIN feature_versions v ON v.version = f.feature_version
WHERE v.origin = 'reported' AND NOT EXISTS (
    SELECT FROM feature_engineered_data d
    WHERE (d.symbol, d.source, d.granularity, d.feature_version)
        = (f.symbol, f.source, f.granularity, f.feature_version) AND d.timestamp >= %(cutoff)s)
"""


@pytest.mark.django_db(transaction=True)
class TestRun:
    def test_deletes_what_is_counted_by_hand_and_nothing_else(self, months, settings, tmp_path):
        settings.ARCHIVE_ROOT = tmp_path
        start = fill(datetime.now(UTC))
        standing = kept()

        for ahead in CLOCKS_OF_RUNS:
            now = start + ahead
            before = everything()
            for name in [one.name for one in datasets()]:
                wanted = gone_by_hand(name, now)
                if name == "features":
                    cutoff = now - timedelta(days=DAYS[name])
                    emptied = asked(EMPTIED, cutoff=cutoff)
                    wanted |= {"feature_series": set(emptied)} if emptied else {}

                assert run(name, now) == "COMPLETED", name

                after = everything()
                gone = {table: before[table] - after[table] for table in before}
                assert {table: keys for table, keys in gone.items() if keys} == wanted, name
                # A run that was retried goes the night after the one that retried it.
                assert name == "executions" or leaving_by_hand(name, now) == [], name
                before = after

        assert kept() == standing
