"""The league of 100 agents with a million decisions: its page, its endpoint, and its making."""

import json
import os
import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from itertools import pairwise
from typing import Any

import psycopg

from benchmarks.admin import log_in
from benchmarks.agents_rows import NOW, fill
from benchmarks.harness import (
    DATABASE,
    LARGE_DATABASE,
    Case,
    Server,
    address_of,
    at_least,
    at_most,
    serving,
    timed,
)

NAMES = [
    "queries of the league page (a query as 1 ms), 100 agents and 1 million decisions",
    "league page of the admin at 1,000,000 decisions, against 1,000",
    "league endpoint at 1,000,000 decisions, against 1,000",
    "the league made anew, 1 million decisions, against counting them by agent and status",
    "snapshots of 100 agents with 100,000 trades, against objects of the ORM",
]
AGENTS, FEW, MANY = 100, 1_000, 1_000_000
PAGES = 9
ENDPOINT = "/api/v1/agents/league/?period=30d&prompt_version=&limit=500"
# What would take long is done for a part of the agents, and its time counts as often.
SHARE = 10

PLAIN = b"SELECT agent_id, status, count(*) FROM agent_decisions GROUP BY agent_id, status"


@contextmanager
def using(database: str) -> Iterator[None]:
    """Have Django of this process work in a database."""
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


class Stage:
    """Two databases with the same agents: a thousand decisions in one, a million in the other."""

    def __init__(self) -> None:
        from django.urls import reverse

        from apps.agents.services.performance import snapshot_agents
        from apps.agents.services.standings import rank_agents

        self.snapshot_agents, self.rank_agents = snapshot_agents, rank_agents
        self.page = reverse("admin:agents_league")
        self.databases = {FEW: DATABASE, MANY: LARGE_DATABASE}
        for decisions, database in self.databases.items():
            fill(database, agents=AGENTS, decisions=decisions)
            with using(database):
                snapshot_agents(now=NOW)
                rank_agents(now=NOW)
        address = address_of(os.environ["DATABASE_URL"], LARGE_DATABASE)
        self.connection = psycopg.connect(address, autocommit=True)

    def queries(self) -> float:
        """Return how many queries the page takes, in thousandths."""
        from django.contrib.auth import get_user_model
        from django.db import connection
        from django.test import Client
        from django.test.utils import CaptureQueriesContext

        with using(LARGE_DATABASE):
            users = get_user_model().objects
            client = Client()
            client.force_login(users.filter(username="bench").get())
            with CaptureQueriesContext(connection) as found:
                answer = client.get(self.page)
            if answer.status_code != 200:
                raise RuntimeError(f"{self.page} answered {answer.status_code}.")
        return len(found) / 1000

    def make(self) -> float:
        """Return the seconds of making the league."""
        with using(LARGE_DATABASE):
            return timed(lambda: expect(self.rank_agents(now=NOW), at_least=3 * AGENTS))

    def count(self) -> float:
        """Return the seconds of the plain count over the same rows."""

        def work() -> None:
            found = self.connection.execute(PLAIN).fetchall()
            expect(sum(row[2] for row in found), at_least=MANY)

        return timed(work)

    def snapshot(self) -> float:
        with using(LARGE_DATABASE):
            return timed(lambda: expect(self.snapshot_agents(now=NOW), at_least=AGENTS))

    def snapshot_objects(self) -> float:
        with using(LARGE_DATABASE):
            return SHARE * timed(lambda: expect(len(snapshots_by_objects()), at_least=1))


def expect(found: int, *, at_least: int) -> None:
    if found < at_least:
        raise RuntimeError(f"{found} are fewer than {at_least}.")


def snapshots_by_objects() -> dict[Any, dict[str, Any]]:
    """Return the figures of some agents the way one writes it first: one object per trade."""
    from django.db.models import Sum

    from apps.agents.models import AgentPerformance, TradingAgent
    from apps.agents.services.marks import market_prices

    found = {}
    for agent in TradingAgent.objects.order_by("name")[: AGENTS // SHARE]:
        wins, losses, unrealized = [], [], Decimal(0)
        for trade in agent.trades.all():
            if trade.status == "open":
                price = market_prices([trade.symbol], now=NOW)[trade.symbol].price
                sign = 1 if trade.side == "long" else -1
                unrealized += (price - trade.entry_price) * trade.size * sign - trade.fees
            elif trade.realized_pnl is not None:
                (wins if trade.realized_pnl > 0 else losses).append(trade.realized_pnl)
        total = sum(wins) + sum(losses) + unrealized
        days: dict[Any, Decimal] = {}
        course = AgentPerformance.objects.filter(agent=agent).order_by("snapshot_time")
        for moment, value in course.values_list("snapshot_time", "total_value"):
            days[moment.date()] = value
        equity = [float(value) for value in days.values()]
        returns = [after / before - 1 for before, after in pairwise(equity)]
        peak = max([*days.values(), agent.initial_balance + total])
        found[agent.pk] = {
            "total_value": agent.initial_balance + total,
            "win_rate": 100 * len(wins) / (len(wins) + len(losses)),
            "profit_factor": sum(wins) / -sum(losses),
            "sharpe_ratio": statistics.mean(returns) / statistics.stdev(returns) * 365**0.5,
            "max_drawdown": peak - agent.initial_balance - total,
            "model_cost": agent.calls.aggregate(cost=Sum("cost"))["cost"],
        }
    return found


@contextmanager
def cases() -> Iterator[list[Case]]:
    from benchmarks.keys import make_key

    stage = Stage()
    pages: dict[int, Server] = {}
    endpoints: dict[int, Server] = {}
    with ExitStack() as stack:
        stack.callback(stage.connection.close)
        for decisions, database in stage.databases.items():
            with using(database):
                key = make_key()
            endpoints[decisions] = stack.enter_context(serving(key, database=database))
            pages[decisions] = stack.enter_context(serving(database=database))
            pages[decisions].headers = {"Cookie": log_in(database)}

        def seconds(server: Server, path: str, check: Callable[[bytes], int]) -> float:
            """Return the seconds of one request, the median of several."""
            # It idled while the other side had its turn, and may be closed by now.
            server.connection.close()
            expect(check(server.get(path)), at_least=AGENTS)
            return statistics.median([timed(lambda: server.get(path)) for _ in range(PAGES)])

        def shown(body: bytes) -> int:
            return sum(f"Agent {n:04}".encode() in body for n in range(AGENTS))

        def answered(body: bytes) -> int:
            return len(json.loads(body)["results"])

        yield [
            Case(NAMES[0], at_most(9), stage.queries, lambda: 0.001, runs=3),
            Case(
                NAMES[1],
                at_most(2),
                lambda: seconds(pages[MANY], stage.page, shown),
                lambda: seconds(pages[FEW], stage.page, shown),
            ),
            Case(
                NAMES[2],
                at_most(2),
                lambda: seconds(endpoints[MANY], ENDPOINT, answered),
                lambda: seconds(endpoints[FEW], ENDPOINT, answered),
            ),
            Case(NAMES[3], at_most(8), stage.make, stage.count),
            Case(NAMES[4], at_least(10), stage.snapshot, stage.snapshot_objects, runs=3),
        ]
