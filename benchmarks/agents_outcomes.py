"""Ten thousand decisions judged, against the loop of queries that one writes first."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.harness import Case, at_least, connect, timed

NAMES = [
    "10,000 decisions judged 1, 4 and 24 h later on 5-minute candles, against an ORM loop",
]
DECISIONS = 10_000
COINS = 6
START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 30
NOW = START + timedelta(days=DAYS)
WIDTH = timedelta(minutes=5)
# The loop takes a fiftieth of the decisions, and its time counts fiftyfold.
SHARE = 50

CANDLES = """
    INSERT INTO candles (symbol, source, granularity, timestamp, open, high, low, close, volume)
    SELECT 'COIN' || s || '/USD', 'venue', '5m', t, p, p * 1.002, p * 0.998, p, 1
    FROM generate_series(1, %(coins)s) s,
        generate_series(%(start)s::timestamptz, %(end)s, %(width)s) t,
        LATERAL (SELECT round((100 + 5 * sin(extract(epoch FROM t) / 40000 + s)
            + 3 * sin(extract(epoch FROM t) / 7000 * s))::numeric, 6) AS p) prices
"""
# A cycle decides on each coin; every fourth decision is a HOLD, every fourth a close.
AGENT = """
    INSERT INTO trading_agents (id, name, llm_model, provider, exchange_account, mode, status,
        quote_currency, initial_balance, max_position_size, max_leverage, stop_loss_pct,
        take_profit_pct, coins, benchmark_coin, strategy_description, bot_id, extra_metadata)
    VALUES (%(agent)s, 'Judged', 'model', '', '', 'paper', 'active', 'USD', 10000, 20, 10, 2, 5,
        '{}', '', '', '', '{}')
"""
CYCLES = """
    INSERT INTO agent_decisions (id, agent_id, timestamp, place, status, action, coin, symbol,
        direction, size_usd, leverage, stop_loss_price, take_profit_price, confidence, reasoning,
        error_message, violations, raw, prompt_version, content_hash)
    SELECT gen_random_uuid(), %(agent)s,
        %(start)s::timestamptz + interval '1 hour' + n / %(coins)s * interval '23 minutes', n %% 6,
        'success', (ARRAY['OPEN_LONG', 'OPEN_SHORT', 'CLOSE_POSITION', 'HOLD'])[1 + n %% 4],
        'COIN' || 1 + n %% %(coins)s, 'COIN' || 1 + n %% %(coins)s || '/USD',
        (ARRAY['long', 'short', 'long', ''])[1 + n %% 4],
        100, 1, CASE n %% 4 WHEN 0 THEN 94 WHEN 1 THEN 106 ELSE 0 END,
        CASE n %% 4 WHEN 0 THEN 106 WHEN 1 THEN 94 ELSE 0 END, 0.7, '', '', '[]', '', 'v1', ''
    FROM generate_series(0, %(decisions)s - 1) n
"""


class Stage:
    """Candles of a month, decisions on them, and their outcomes as each turn finds them."""

    def __init__(self) -> None:
        from apps.agents.models import AgentDecision
        from apps.agents.services import judging

        self.judging = judging
        self.connection = connect()
        self.execute("TRUNCATE candles, trading_agents CASCADE")
        series = {"coins": COINS, "start": START, "end": NOW, "width": WIDTH}
        agent = "00000000-0000-4000-8000-000000000001"
        self.execute(CANDLES, **series)
        self.execute(AGENT, agent=agent)
        self.execute(CYCLES, agent=agent, coins=COINS, start=START, decisions=DECISIONS)
        # VACUUM counts a page as visible to all only once its rows have reached the disk.
        time.sleep(1)
        self.execute("VACUUM ANALYZE candles, agent_decisions")
        judging.insert_outcomes(AgentDecision.objects.values_list("pk", flat=True))
        self.execute("DROP TABLE IF EXISTS born; CREATE TABLE born AS TABLE decision_outcomes")

    def execute(self, statement: str, **parameters: Any) -> None:
        self.connection.execute(statement.encode(), parameters or None)

    def reset(self) -> None:
        """Bring the table back to where a turn begins."""
        self.execute("TRUNCATE decision_outcomes; INSERT INTO decision_outcomes TABLE born")
        self.execute("VACUUM ANALYZE decision_outcomes")

    def judge(self) -> float:
        self.reset()
        return timed(lambda: expect(self.judging.judge_decisions(now=NOW), DECISIONS))

    def judge_in_a_loop(self) -> float:
        self.reset()
        return SHARE * timed(judge_in_a_loop)


def expect(found: int, wanted: int) -> None:
    if found != wanted:
        raise RuntimeError(f"{found} decisions were settled, not {wanted}.")


def judge_in_a_loop() -> None:
    """Judge decisions the way one writes it first: query by query, row by row."""
    from apps.agents.domain import outcomes as rules
    from apps.agents.models import DecisionOutcome
    from apps.market.models import Candle
    from apps.shared.quant import outcomes

    found = DecisionOutcome.objects.filter(status="open").order_by("pk")
    for row in found[: DECISIONS // SHARE]:
        candles = Candle.objects.filter(
            symbol=row.symbol,
            source="venue",
            granularity="5m",
            timestamp__gte=row.moment - 2 * WIDTH,
            timestamp__lte=row.moment + timedelta(hours=rules.LAST) + WIDTH,
        ).order_by("timestamp")
        bars = [outcomes.Bar(each.timestamp, each.high, each.low, each.close) for each in candles]
        sign = outcomes.SHORT if row.direction == "short" else outcomes.LONG
        claim = outcomes.Claim(row.moment, sign, row.entry_price, row.target, row.stop)
        judged = outcomes.judge(claim, bars, width=WIDTH, hours=rules.HOURS, thresholds={}, now=NOW)
        standing = rules.standing(judged, moment=row.moment, direction=row.direction)
        for name, value in standing._asdict().items():
            setattr(row, name, value)
        row.source, row.granularity, row.settled_at = "venue", "5m", NOW
        row.save()


@contextmanager
def cases() -> Iterator[list[Case]]:
    """Yield the case; it sets its own stage."""
    stages: dict[str, Stage] = {}

    def setup() -> None:
        stages["now"] = Stage()

    yield [
        Case(
            NAMES[0],
            at_least(50),
            lambda: stages["now"].judge(),
            lambda: stages["now"].judge_in_a_loop(),
            setup=setup,
        ),
    ]
    for stage in stages.values():
        stage.execute("DROP TABLE IF EXISTS born")
