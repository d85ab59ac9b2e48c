"""Decisions that are told alone: judged once, each by itself, ten thousand as one."""

import os
import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.agents.api.rows_decisions import DecisionRow
from apps.agents.models import AgentDecision, DecisionOutcome, LLMCall
from apps.agents.services.calls import store_calls
from apps.agents.services.decisions import store_decisions
from apps.shared.errors import Conflict
from tests.agents.cycles import HOLD, LONG, SEEN, alone, cycle, refused, rules
from tests.factories import NOON, make_agent, make_agent_trade, make_candle
from tests.threads import at_once

pytestmark = pytest.mark.django_db

NOW = NOON + timedelta(seconds=30)
COUNT = int(os.environ.get("DECISIONS", "300"))


@pytest.fixture
def agent(db):
    return make_agent()


def keep(*rows, now=NOW):
    return store_decisions(rows, now=now)


class TestADecisionAlone:
    def test_is_stored_with_its_verdict_and_its_outcome(self, agent):
        told = alone(agent, **SEEN, prompt_version="v3", execution_time_ms=12)

        outcome = keep(told)

        kept = AgentDecision.objects.get()
        assert (outcome.created, outcome.results) == (1, [])
        assert (str(kept.pk), kept.call_id, kept.place) == (told.id, None, 0)
        assert (kept.status, kept.direction, kept.symbol) == ("success", "long", "BTC/USD")
        assert (kept.prompt_version, kept.execution_time_ms) == ("v3", 12)
        assert (kept.account_value, kept.timestamp) == (10_000, NOON)
        born = DecisionOutcome.objects.get()
        assert (born.decision_id, born.prompt_version) == (kept.pk, "v3")
        assert (born.target, born.stop) == (53_000, 49_000)

    def test_that_breaks_rules_is_stored_all_the_same(self, agent):
        outcome = keep(alone(agent, leverage=Decimal(99)), alone(agent, coin="xyz"))

        assert (outcome.created, outcome.failed) == (2, 0)
        found = {each.coin: rules(each) for each in AgentDecision.objects.all()}
        assert found == {
            "BTC": ["leverage_out_of_range", "leverage_above_agent"],
            "XYZ": ["unknown_coin"],
        }

    def test_is_a_cycle_of_its_own(self, agent):
        keep(*(alone(agent, withdrawable=Decimal(400)) for _ in range(3)))

        assert [each.status for each in AgentDecision.objects.all()] == ["success"] * 3

    def test_is_held_against_the_ledger_and_the_market(self, agent):
        make_agent_trade(agent=agent, coin="BTC", side="long")
        make_candle(price=48_500, symbol="ETH/USD", timestamp=NOON - timedelta(minutes=5))
        nothing = {"action": "CLOSE_POSITION", "coin": "BTC", "size_usd": None, "leverage": None}
        closing = alone(agent, **HOLD | nothing)
        opening = alone(agent, coin="ETH", entry_price=None)

        keep(closing, opening, alone(agent))

        kept = {str(each.pk): each for each in AgentDecision.objects.all()}
        assert (kept[closing.id].status, kept[closing.id].direction) == ("success", "short")
        assert rules(kept[opening.id]) == ["stop_on_wrong_side"]
        assert kept[opening.id].entry_price == 48_500
        others = [each for pk, each in kept.items() if pk not in (closing.id, opening.id)]
        assert [rules(each) for each in others] == [["position_already_open"]]

    def test_that_failed_stays_failed(self, agent):
        keep(
            alone(agent, status="failed", error_message="No answer", leverage=Decimal(99)),
            alone(agent, status="parsing_error", action=None, coin=None, raw="BUY!!"),
        )

        failed, unread = AgentDecision.objects.order_by("status")
        assert (failed.status, failed.coin, failed.violations) == ("failed", "BTC", [])
        assert (unread.status, unread.coin, unread.raw) == ("parsing_error", "", "BUY!!")


class TestTheSameAgain:
    def test_changes_nothing_and_keeps_its_verdict(self, agent):
        told = alone(agent, timestamp=None, entry_price=None)
        keep(told)
        before = AgentDecision.objects.values().get()
        make_agent_trade(agent=agent, coin="BTC")

        assert keep(told, now=NOW + timedelta(hours=1)).unchanged == 1

        assert AgentDecision.objects.values().get() == before

    @pytest.mark.parametrize(
        ("values", "pointers"),
        [
            ({"leverage": Decimal(6)}, ["/leverage"]),
            ({"coin": "ETH", "reasoning": "It was the other one."}, ["/coin", "/reasoning"]),
            ({"entry_price": Decimal(50_001)}, ["/entry_price"]),
            ({"withdrawable": Decimal(1)}, ["/withdrawable"]),
            ({"positions": {"ETH": "long"}}, ["/content"]),
        ],
    )
    def test_with_another_content_is_refused_naming_what_differs(self, agent, values, pointers):
        told = alone(agent, **SEEN)
        keep(told)
        before = AgentDecision.objects.values().get()

        outcome = keep(alone(agent, **SEEN | values | {"id": told.id}))

        assert refused(outcome) == [(0, pointer, "differs") for pointer in pointers]
        assert AgentDecision.objects.values().get() == before

    def test_of_another_agent_tells_nothing_else(self, agent):
        told = alone(agent)
        keep(told)

        outcome = keep(alone(make_agent(), id=told.id, leverage=Decimal(6)))

        assert refused(outcome) == [(0, "/agent_id", "differs")]

    def test_as_one_of_a_call_is_refused(self, agent):
        own = str(uuid.uuid4())
        told = alone(agent, id=own)
        store_calls([cycle(agent, decision_of(told))], now=NOW)

        assert keep(told).failed == 1
        assert AgentDecision.objects.get().call_id is not None

    def test_in_one_batch_is_stored_once(self, agent):
        told = alone(agent)

        outcome = keep(told, told, alone(agent, id=told.id, leverage=Decimal(6)))

        assert (outcome.created, outcome.unchanged, outcome.failed) == (1, 1, 1)
        assert refused(outcome) == [(2, "/id", "differs")]


def decision_of(told):
    return DecisionRow(**{name: getattr(told, name) for name in ("id", *LONG)})


class TestWhatCannotBeKept:
    def test_is_named_and_holds_up_nothing(self, agent):
        outcome = keep(
            alone(agent),
            alone(agent, agent_id=str(uuid.uuid4()), timestamp=NOW + timedelta(hours=1)),
            alone(agent, action=None),
            alone(agent),
        )

        assert (outcome.created, outcome.failed) == (2, 2)
        assert refused(outcome) == [
            (1, "/agent_id", "unknown_agent"),
            (1, "/timestamp", "in_future"),
            (2, "/action", "required"),
        ]


class TestManyAtOnce:
    def test_take_as_many_statements_as_one(self):
        make_candle(price=50_000, timestamp=NOON - timedelta(minutes=5))
        agents = [make_agent() for _ in range(5)]

        def count(size):
            rows = [
                alone(
                    agents[place % 5],
                    entry_price=None if place % 2 == 0 else LONG["entry_price"],
                    timestamp=NOON - timedelta(seconds=place % 60),
                    leverage=Decimal(place % 12 + 1),
                )
                for place in range(size)
            ]
            with CaptureQueriesContext(connection) as queries:
                outcome = keep(*rows)
            assert (outcome.created, outcome.failed) == (size, 0)
            return len(queries)

        assert count(COUNT) == count(1) <= 14
        assert AgentDecision.objects.count() == COUNT + 1 == DecisionOutcome.objects.count()
        rejected = AgentDecision.objects.filter(status="rejected").count()
        assert rejected == sum(place % 12 + 1 > 10 for place in range(COUNT))


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_the_same_decisions_in_other_orders_are_stored_once(self):
        agents = [make_agent() for _ in range(3)]
        rows = [alone(agent) for agent in agents for _ in range(5)]

        outcomes = at_once([lambda: keep(*rows), lambda: keep(*rows[::-1])])

        assert sorted((each.created, each.unchanged) for each in outcomes) == [(0, 15), (15, 0)]
        assert AgentDecision.objects.count() == DecisionOutcome.objects.count() == 15

    def test_one_id_of_two_agents_is_of_one_of_them(self):
        own = str(uuid.uuid4())
        rows = [alone(make_agent(), id=own) for _ in range(2)]

        found = at_once([lambda row=row: keep(row) for row in rows])

        assert sorted((each.created, each.failed) for each in found) == [(0, 1), (1, 0)]
        assert AgentDecision.objects.count() == DecisionOutcome.objects.count() == 1

    def test_an_id_that_is_taken_meanwhile_holds_up_no_other(self, monkeypatch):
        taken, agent = alone(make_agent()), make_agent()
        keep(taken)
        monkeypatch.setattr("apps.agents.services.decisions.stored_decisions", lambda ids: {})

        outcome = keep(alone(agent), alone(agent, id=taken.id), alone(agent))

        assert (outcome.created, refused(outcome)) == (2, [(1, "/agent_id", "differs")])
        assert DecisionOutcome.objects.count() == 3

    def test_an_id_that_is_taken_meanwhile_stores_no_call_by_half(self, monkeypatch):
        taken, agent = alone(make_agent()), make_agent()
        keep(taken)
        monkeypatch.setattr("apps.agents.services.calls.stored_decisions", lambda ids: {})

        with pytest.raises(Conflict):
            store_calls([cycle(agent, decision_of(taken))], now=NOW)

        assert not LLMCall.objects.exists()
