"""Agents as they describe themselves: stored, described anew, refused where it cannot be."""

import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction

from apps.agents.choices import AgentStatus
from apps.agents.models import AgentTrade, TradingAgent
from apps.agents.services.agents import coins_of, register_agents, set_status
from tests.factories import make_agent, make_agent_trade
from tests.threads import at_once

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
COINS = {"BTC": "BTC/USD", "ETH": "ETH/USD"}


@dataclass(frozen=True)
class Told:
    """An agent as it describes itself."""

    name: str = "Trend Follower"
    id: str | None = None
    llm_model: str = "deepseek-chat"
    provider: str = "deepseek"
    exchange_account: str = ""
    mode: str = "paper"
    quote_currency: str = "USD"
    initial_balance: Decimal = Decimal(10_000)
    max_position_size: Decimal = Decimal(20)
    max_leverage: int = 5
    stop_loss_pct: Decimal = Decimal(5)
    take_profit_pct: Decimal = Decimal(10)
    min_confidence: Decimal | None = None
    daily_budget: Decimal | None = None
    coins: dict[str, Any] = field(default_factory=lambda: dict(COINS))
    benchmark_coin: str = ""
    strategy_description: str = ""
    bot_id: str = ""
    extra_metadata: dict[str, Any] = field(default_factory=dict)


def register(*rows, **options):
    return register_agents(rows, now=NOW, **options)


def refusals(outcome):
    return [
        (each.index, error.pointer, error.code) for each in outcome.results for error in each.errors
    ]


def some_id() -> str:
    return str(uuid.uuid4())


@pytest.mark.django_db
class TestRegistration:
    def test_stores_what_is_told_and_leaves_the_status(self):
        name = some_id()
        register(Told(id=name))
        agent = TradingAgent.objects.get()
        set_status(TradingAgent.objects.all(), status=AgentStatus.PAUSED, by="vera", now=NOW)

        found = register(Told(id=name, max_leverage=7))

        assert (found.created, found.replaced) == (0, 1)
        agent.refresh_from_db()
        assert (str(agent.pk), agent.max_leverage, agent.status) == (name, 7, "paused")
        assert agent.created_at == NOW

    def test_twice_is_unchanged(self):
        assert register(Told()).created == 1
        assert register(Told()).unchanged == 1
        assert register(Told(), replace=False).unchanged == 1

    def test_without_an_id_is_about_the_agent_of_the_name(self):
        held = make_agent(name="Momentum")

        register(Told(name="Momentum", max_leverage=3))

        held.refresh_from_db()
        assert held.max_leverage == 3
        assert TradingAgent.objects.count() == 1

    def test_of_a_known_one_is_refused_where_replacing_is_not_meant(self):
        register(Told())

        found = register(Told(llm_model="other", max_leverage=3), replace=False)

        assert refusals(found) == [(0, "/llm_model", "differs"), (0, "/max_leverage", "differs")]

    def test_gives_another_name_to_a_known_id(self):
        name = some_id()
        register(Told(id=name))
        register(Told(id=name, name="Mean Reverter"))

        assert TradingAgent.objects.get().name == "Mean Reverter"

    def test_under_the_name_of_another_agent_fails_and_the_others_are_stored(self):
        make_agent(name="Taken")
        rows = [Told(name="Taken", id=some_id()), Told(name="New"), Told(name="New", id=some_id())]

        found = register(*rows)

        assert refusals(found) == [(0, "/name", "taken"), (2, "/name", "taken")]
        assert found.created == 1

    def test_that_failed_otherwise_keeps_no_name_from_others(self):
        found = register(Told(coins={}), Told(id=some_id()))

        assert refusals(found) == [(0, "/coins", "empty")]
        assert found.created == 1


@pytest.mark.django_db
class TestCoins:
    def test_are_kept_in_upper_case(self):
        register(Told(coins={"btc": "BTC/USD", "kPepe": "kPEPE/USD"}, benchmark_coin="kpepe"))

        agent = TradingAgent.objects.get()
        assert agent.coins == {"BTC": "BTC/USD", "KPEPE": "kPEPE/USD"}
        assert agent.benchmark_coin == "KPEPE"

    def test_without_a_benchmark_are_measured_by_the_first(self):
        register(Told(coins={"SOL": "SOL/USD", "BTC": "BTC/USD"}))

        assert TradingAgent.objects.get().benchmark_coin == "SOL"

    def test_keep_the_benchmark_while_it_is_traded(self):
        register(Told(coins={"SOL": "SOL/USD", "BTC": "BTC/USD"}))
        register(Told(coins={"BTC": "BTC/USD", "SOL": "SOL/USD"}))
        kept = TradingAgent.objects.get().benchmark_coin
        register(Told(coins={"BTC": "BTC/USD", "ETH": "ETH/USD"}))

        assert (kept, TradingAgent.objects.get().benchmark_coin) == ("SOL", "BTC")

    def test_hold_the_benchmark(self):
        found = register(Told(benchmark_coin="DOGE"))

        assert refusals(found) == [(0, "/benchmark_coin", "unknown_coin")]

    @pytest.mark.parametrize(
        ("coins", "pointer", "code"),
        [
            ({}, "/coins", "empty"),
            ({f"C{n}": "X/USD" for n in range(51)}, "/coins", "too_many"),
            ({"": "BTC/USD"}, "/coins/", "coin"),
            ({"B TC": "BTC/USD"}, "/coins/B TC", "coin"),
            ({"BTC/USD": "BTC/USD"}, "/coins/BTC~1USD", "coin"),
            ({"B\u200bTC": "BTC/USD"}, "/coins/B\u200bTC", "coin"),
            ({"B" * 21: "BTC/USD"}, "/coins/" + "B" * 21, "coin"),
            ({"ß" * 11: "BTC/USD"}, "/coins/" + "ß" * 11, "coin"),
            ({"btc": "BTC/USD", "BTC": "BTC/USD"}, "/coins/BTC", "given_twice"),
            ({"BTC": 5}, "/coins/BTC", "type"),
            ({"BTC": None}, "/coins/BTC", "type"),
            ({"BTC": ""}, "/coins/BTC", "symbol"),
            ({"BTC": " BTC/USD"}, "/coins/BTC", "symbol"),
            ({"BTC": "B" * 51}, "/coins/BTC", "symbol"),
        ],
    )
    def test_that_cannot_be_are_named(self, coins, pointer, code):
        assert refusals(register(Told(coins=coins))) == [(0, pointer, code)]
        assert not TradingAgent.objects.exists()

    def test_of_the_largest_number_and_length_are_taken(self):
        coins = {f"{n:020}": "S" * 50 for n in range(50)}

        assert coins_of(coins) == (coins, [])


@pytest.mark.django_db
class TestOnceThereAreTrades:
    @pytest.mark.parametrize(
        ("name", "value"),
        [("mode", "live"), ("quote_currency", "EUR"), ("initial_balance", Decimal(5))],
    )
    def test_what_they_were_counted_with_stays(self, name, value):
        told = Told(id=some_id())
        register(told)
        assert register(replace(told, **{name: value})).replaced == 1
        register(told)
        make_agent_trade(agent=TradingAgent.objects.get())

        assert refusals(register(replace(told, **{name: value}))) == [
            (0, f"/{name}", "not_changed_here")
        ]
        assert getattr(TradingAgent.objects.get(), name) == getattr(told, name)

    def test_everything_else_may_change(self):
        told = Told(id=some_id())
        register(told)
        make_agent_trade(agent=TradingAgent.objects.get())

        assert register(replace(told, name="Other", max_leverage=9, coins=COINS)).replaced == 1

    def test_the_same_balance_in_other_digits_is_no_change(self):
        told = Told(id=some_id())
        register(told)
        make_agent_trade(agent=TradingAgent.objects.get())

        assert register(replace(told, initial_balance=Decimal("10000.00"))).unchanged == 1


@pytest.mark.django_db
class TestStatus:
    def test_is_moved_of_those_that_are_not_there_yet(self):
        make_agent(status=AgentStatus.PAUSED)
        make_agent()

        rows = TradingAgent.objects.all()
        assert set_status(rows, status=AgentStatus.PAUSED, by="vera", now=NOW) == 1
        assert set_status(rows, status=AgentStatus.STOPPED, by="vera", now=NOW) == 2
        assert set(rows.values_list("status", flat=True)) == {"stopped"}
        assert set_status(rows, status=AgentStatus.STOPPED, by="vera", now=NOW) == 0

    def test_tells_the_log_who_did_it(self, caplog):
        make_agent(name="Momentum")

        with caplog.at_level("INFO", logger="apps.agents.services.agents"):
            set_status(TradingAgent.objects.all(), status=AgentStatus.STOPPED, by="vera", now=NOW)

        assert [record.getMessage() for record in caplog.records] == [
            "Agent Momentum: stopped, was active, by vera."
        ]


@pytest.mark.django_db(transaction=True)
class TestAtTheSameMoment:
    def test_one_name_is_one_agents(self):
        rows = [Told(id=some_id()) for _ in range(4)]

        found = at_once([lambda row=row: register(row, Told(name=row.id)) for row in rows])

        assert sorted(len(refusals(each)) for each in found) == [0, 1, 1, 1]
        assert {code for each in found for *_, code in refusals(each)} == {"taken"}
        assert TradingAgent.objects.count() == 5

    def test_one_that_is_told_without_an_id_is_stored_once(self):
        found = at_once([lambda: register(Told(), replace=False)] * 4)

        assert sorted((each.created, each.unchanged) for each in found) == [(0, 1)] * 3 + [(1, 0)]

    def test_no_first_trade_slips_in_behind_another_balance(self):
        told = Told(id=some_id())
        register(told)

        def trade():
            with transaction.atomic():
                agent = TradingAgent.objects.select_for_update(no_key=True).get()
                make_agent_trade(agent=agent)
                return agent.initial_balance

        changed, counted_with = at_once(
            [lambda: register(replace(told, initial_balance=Decimal(5))), trade]
        )

        assert AgentTrade.objects.count() == 1
        assert TradingAgent.objects.get().initial_balance == counted_with
        assert changed.replaced == (counted_with == 5)
