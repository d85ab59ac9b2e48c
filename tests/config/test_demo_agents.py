"""The demo's agents: they follow their candles, tell nothing twice, and are judged like others."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from apps.agents.choices import DecisionStatus, Verdict
from apps.agents.models import (
    AgentDecision,
    AgentPerformance,
    AgentStanding,
    AgentTrade,
    DecisionOutcome,
    LLMCall,
    LLMPrice,
    TradingAgent,
)
from apps.market.choices import Granularity
from apps.market.domain.candles import CandleRow
from apps.market.services.candles import store_candles
from config import demo_agents
from tests.factories import make_agent

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 6, 17, 15, tzinfo=UTC)
DAY = timedelta(days=1)
DAYS = 45


def tape(symbol, number):
    """Daily candles of a price that goes up and down every few weeks."""
    rows = []
    for back in range(DAYS, 0, -1):
        close = Decimal(100 + abs((back + 3 * number) % 16 - 8) + back % 3)
        prices = close, close + 1, close - 1, close
        start = (NOW - back * DAY).replace(hour=0)
        rows.append(CandleRow(symbol, "demo", Granularity.D1, start, *prices, Decimal(9)))
    return rows


@pytest.fixture
def tapes():
    """Return the candles of every symbol of the demo's agents, stored."""
    symbols = demo_agents.COINS.values()
    found = {symbol: tape(symbol, number) for number, symbol in enumerate(symbols)}
    for rows in found.values():
        store_candles(rows, now=NOW)
    return found


def counts():
    models = [LLMCall, AgentDecision, AgentTrade, DecisionOutcome, AgentPerformance]
    return [model.objects.count() for model in models]


class TestLoad:
    def test_tells_calls_decisions_trades_accounts_and_a_league_and_nothing_twice(self, tapes):
        said = demo_agents.load(tapes, since=NOW, now=NOW)

        decisions = AgentDecision.objects.count()
        assert said == f"{len(demo_agents.AGENTS)} agents, {decisions:,} decisions"
        assert decisions > 300
        assert AgentTrade.objects.exclude(decision=None).count() > 10
        assert AgentTrade.objects.over().filter(realized_pnl__isnull=False).exists()
        assert not LLMCall.objects.filter(cost=None).exists()
        whole = AgentStanding.objects.filter(period="all", prompt_version="")
        stood = dict(whole.values_list("agent__name", "verdict"))
        assert stood["Mumbler"] == Verdict.NOT_ITS_OWN
        assert stood["Newcomer"] == Verdict.TOO_EARLY
        unread = AgentDecision.objects.filter(status=DecisionStatus.PARSING_ERROR)
        assert set(unread.values_list("agent__name", flat=True)) == {"Mumbler"}
        before = counts()
        assert demo_agents.load(tapes, since=NOW, now=NOW).endswith(" 0 decisions")
        assert counts() == before

    def test_goes_on_as_candles_become_known(self, tapes):
        early = NOW - 3 * DAY
        demo_agents.load(tapes, since=early, now=early)
        before = counts()

        demo_agents.load(tapes, since=early, now=NOW)

        assert all(now > then for now, then in zip(counts(), before, strict=True))
        assert TradingAgent.objects.count() == len(demo_agents.AGENTS)

    def test_leaves_a_machine_without_the_data_alone(self):
        assert demo_agents.load({}, since=NOW, now=NOW) == "0 agents, 0 decisions"
        assert not TradingAgent.objects.exists()

    def test_leaves_what_staff_have_made_of_an_agent_and_a_price(self, tapes):
        demo_agents.load(tapes, since=NOW, now=NOW)
        TradingAgent.objects.filter(name="Coin Toss").update(name="Dice", daily_budget=7)
        LLMPrice.objects.update(input_per_million=9)

        demo_agents.load(tapes, since=NOW, now=NOW)

        assert TradingAgent.objects.get(name="Dice").daily_budget == 7
        assert TradingAgent.objects.count() == len(demo_agents.AGENTS)
        assert set(LLMPrice.objects.values_list("input_per_million", flat=True)) == {9}

    def test_leaves_an_agent_of_somebody_else_that_has_the_name_of_one(self, tapes):
        other = make_agent(name="Coin Toss")

        demo_agents.load(tapes, since=NOW, now=NOW)

        assert not other.calls.exists()
        assert TradingAgent.objects.count() == len(demo_agents.AGENTS)
