"""Cycles as they are stored: whole, judged once, the same however often they are told."""

import json
import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.agents.choices import AgentStatus
from apps.agents.models import AgentDecision, DecisionOutcome, LLMCall
from apps.agents.services.calls import cost_of, store_calls
from apps.logs.models import Notification
from apps.shared.ingest import RowStatus
from tests.agents.cycles import SEEN, cycle, decided, hold, long, refused, rules
from tests.factories import NOON, make_agent, make_agent_trade, make_candle, make_llm_price
from tests.threads import at_once

pytestmark = pytest.mark.django_db

NOW = NOON + timedelta(seconds=30)
SECRET = "sk-" + "a1B2c3D4" * 6


@pytest.fixture
def agent(db):
    return make_agent()


def store(*rows, now=NOW):
    return store_calls(rows, now=now)


def stored_bits():
    """Return all that is stored of calls, decisions and outcomes."""
    return [list(model.objects.order_by("pk").values()) for model in (LLMCall, AgentDecision)] + [
        list(DecisionOutcome.objects.order_by("decision_id").values())
    ]


class TestACycle:
    def test_is_stored_with_its_decisions_and_their_outcomes(self, agent):
        told = cycle(agent, long(), hold(), **SEEN, prompt="What now?", cycle=7, latency_ms=900)

        outcome = store(told)

        call = LLMCall.objects.get()
        assert (outcome.created, outcome.results) == (1, [])
        assert (str(call.pk), call.status, call.cycle) == (told.id, "answered", 7)
        assert (call.decisions_count, call.accepted_count) == (2, 2)
        assert (call.provider, call.model) == ("deepseek", "deepseek-chat")
        first, second = decided(told)
        assert (first.status, first.symbol, first.direction) == ("success", "BTC/USD", "long")
        assert (second.status, second.symbol, second.direction) == ("success", "ETH/USD", "")
        assert (first.timestamp, first.execution_time_ms) == (NOON, 900)
        assert (second.size_usd, second.leverage, second.stop_loss_price) == (0, 1, 0)
        outcomes = DecisionOutcome.objects.order_by("decision__place")
        assert [(each.decision_id, each.status) for each in outcomes] == [
            (first.pk, "open"),
            (second.pk, "open"),
        ]

    def test_gives_decisions_ids_that_follow_from_call_and_place(self, agent):
        own = str(uuid.uuid4())
        told = cycle(agent, long(), hold(id=own))

        store(told)

        following = uuid.uuid5(uuid.UUID(told.id), "decision/0")
        assert [str(each.pk) for each in decided(told)] == [str(following), own]

    def test_keeps_what_breaks_rules_with_every_rule_and_its_real_values(self, agent):
        wrong = long(
            coin="xyz",
            leverage=Decimal("100.5"),
            size_usd=Decimal(-250),
            confidence=Decimal(7),
            reasoning="up",
            take_profit_price=None,
        )
        told = cycle(agent, wrong, long(coin="SOL"))

        store(told)

        kept, good = decided(told)
        assert (kept.status, kept.coin, kept.symbol) == ("rejected", "XYZ", "")
        assert (kept.leverage, kept.size_usd, kept.confidence) == (Decimal("100.5"), -250, 7)
        assert rules(kept) == [
            "unknown_coin",
            "reasoning_too_short",
            "confidence_out_of_range",
            "leverage_out_of_range",
            "leverage_above_agent",
            "size_not_positive",
            "target_missing",
        ]
        assert good.status == "success"
        assert LLMCall.objects.get().accepted_count == 1
        assert DecisionOutcome.objects.get(decision=kept).status == "no_claim"

    def test_may_decide_nothing(self, agent):
        store(cycle(agent))

        call = LLMCall.objects.get()
        assert (call.status, call.decisions_count) == ("answered", 0)
        assert not AgentDecision.objects.exists()

    def test_without_a_time_is_of_its_arrival(self, agent):
        told = cycle(agent, hold(), timestamp=None)

        store(told)

        assert LLMCall.objects.get().timestamp == NOW
        assert decided(told)[0].timestamp == NOW

    def test_takes_the_margin_of_its_openings_together(self, agent):
        seen = SEEN | {"withdrawable": Decimal(500)}
        told = cycle(agent, long(), long(coin="ETH", leverage=Decimal(10)), **seen)

        store(told)

        first, second = decided(told)
        assert (first.status, rules(second)) == ("success", ["margin_above_withdrawable"])
        assert "beside 400 of this cycle" in second.violations[0]["message"]

    def test_has_one_decision_per_coin(self, agent):
        told = cycle(agent, long(), hold(coin="btc"))

        store(told)

        assert [rules(each) for each in decided(told)] == [[], ["repeated_coin"]]

    def test_of_an_agent_that_rests_opens_nothing_and_is_kept(self, agent):
        agent.status = AgentStatus.PAUSED
        agent.save()
        told = cycle(agent, long(), hold())

        store(told)

        assert [rules(each) for each in decided(told)] == [["agent_not_active"], []]


class TestWhatDecisionsAreHeldAgainst:
    def test_is_the_ledger_where_the_agent_does_not_tell(self, agent):
        make_agent_trade(agent=agent, coin="BTC", side="short", symbol="BTC/USD")
        told = cycle(agent, long(), hold(coin="BTC", action="CLOSE_POSITION"))

        store(told)

        opening, closing = decided(told)
        assert rules(opening) == ["position_already_open"]
        assert (rules(closing), closing.direction) == (["repeated_coin"], "long")
        # The balance less the fee that was paid, less what the trade ties up at its entry.
        assert (opening.account_value, opening.withdrawable) == (10_000, 9_600)

    def test_is_what_the_agent_tells_rather_than_the_ledger(self, agent):
        make_agent_trade(agent=agent, coin="BTC")
        told = cycle(
            agent,
            long(),
            hold(action="CLOSE_POSITION"),
            account_value=Decimal(5000),
            withdrawable=Decimal("399.5"),
            positions={"eth": "long"},
        )

        store(told)

        opening, closing = decided(told)
        assert rules(opening) == ["size_above_position_limit", "margin_above_withdrawable"]
        assert (opening.account_value, opening.withdrawable) == (5000, Decimal("399.5"))
        assert (closing.status, closing.direction) == ("success", "short")
        assert LLMCall.objects.get().positions == {"ETH": "long"}

    def test_is_the_price_of_the_market_at_the_time_of_the_decision(self, agent):
        for minutes, price in ((-15, 51_000), (-10, 52_000), (-5, 48_000), (0, 60_000)):
            make_candle(price=price, timestamp=NOON + timedelta(minutes=minutes))
        told = cycle(agent, long(entry_price=None), timestamp=NOON + timedelta(minutes=4))

        store(told, now=NOON + timedelta(hours=1))

        # 48,000 is the last close that was known four minutes past noon.
        (kept,) = decided(told)
        assert (kept.entry_price, rules(kept)) == (48_000, ["stop_on_wrong_side"])

    def test_is_the_price_that_the_agent_tells_rather_than_the_market(self, agent):
        make_candle(price=48_000, timestamp=NOON - timedelta(minutes=5))
        told = cycle(agent, long(entry_price=Decimal(50_000)))

        store(told)

        (kept,) = decided(told)
        assert (kept.entry_price, kept.status) == (50_000, "success")

    def test_of_a_clock_that_goes_ahead_is_no_candle_that_has_not_ended(self, agent):
        make_candle(price=50_000, timestamp=NOON - timedelta(minutes=5))
        make_candle(price=40_000, timestamp=NOON)
        told = cycle(agent, long(entry_price=None), timestamp=NOON + timedelta(minutes=5))

        store(told, now=NOON + timedelta(minutes=1))

        assert decided(told)[0].entry_price == 50_000

    def test_without_a_price_is_stop_against_target(self, agent):
        other_way = {"stop_loss_price": Decimal(53_000), "take_profit_price": Decimal(49_000)}
        told = cycle(agent, long(entry_price=None), long(coin="ETH", entry_price=None, **other_way))

        store(told)

        first, second = decided(told)
        assert (first.status, first.entry_price) == ("success", None)
        assert rules(second) == ["stop_beyond_target"]


class TestAnAnswer:
    def test_is_read_where_no_decisions_are_told(self, agent):
        answer = {
            "BTC": {
                "signal": "long",
                "risk_usd": 250,
                "leverage": 8,
                "confidence": 0.8,
                "stop_loss": 49000,
                "profit_target": 53000,
                "justification": "trend up on both frames",
            },
            "ETH": {"signal": "hold", "confidence": "65%", "justification": "nothing new here"},
        }
        told = cycle(agent, decisions=None, answer=f"```json\n{json.dumps(answer)}\n```", **SEEN)

        store(told)

        first, second = decided(told)
        assert (first.action, first.size_usd, first.status) == ("OPEN_LONG", 2000, "success")
        assert (second.action, second.confidence) == ("HOLD", Decimal("0.65"))
        assert (second.size_usd, second.leverage) == (0, 1)
        assert first.chain_of_thought["signal"] == "long"
        assert LLMCall.objects.get().status == "answered"

    def test_keeps_the_good_ones_and_the_text_of_the_broken_one(self, agent):
        answer = (
            '{"BTC": {"signal": "hold", "confidence": 0.7, "justification": "nothing new here"},'
            ' "ETH": {"signal": "moon", "leverage": "many"}}'
        )
        told = cycle(agent, decisions=None, answer=answer)

        store(told)

        good, broken = decided(told)
        assert (good.coin, good.status) == ("BTC", "success")
        assert (broken.coin, broken.action, broken.status) == ("ETH", "", "parsing_error")
        assert "moon" in broken.raw
        assert broken.error_message
        assert LLMCall.objects.get().status == "answered"

    @pytest.mark.parametrize("answer", ["", "I would rather not say.", "{", "\x00"])
    def test_of_which_nothing_can_be_read_leaves_one_row(self, agent, answer):
        told = cycle(agent, decisions=None, answer=answer)

        store(told)

        (kept,) = decided(told)
        assert (kept.status, kept.action, kept.coin) == ("parsing_error", "", "")
        assert kept.error_message.endswith(".")
        call = LLMCall.objects.get()
        assert (call.status, call.decisions_count, call.accepted_count) == ("unreadable", 1, 0)
        assert DecisionOutcome.objects.get().status == "no_claim"

    @pytest.mark.parametrize("size", ["1e30", "9" * 40, "1e999999"])
    def test_with_a_number_that_no_column_holds_is_kept_all_the_same(self, agent, size):
        answer = (
            f'{{"BTC": {{"signal": "long", "size_usd": {size}, "leverage": 2, "confidence": 0.7,'
            ' "stop_loss": 1, "profit_target": 2, "justification": "nothing new here"},'
            ' "ETH": {"signal": "hold", "confidence": 0.7, "justification": "nothing new"}}'
        )
        told = cycle(agent, decisions=None, answer=answer)

        assert store(told).created == 1

        by_coin = {each.coin: each for each in decided(told)}
        assert by_coin["ETH"].status == "success"
        assert by_coin["BTC"].status != "success"


class TestAFailure:
    def test_of_the_call_leaves_one_row_that_says_why(self, agent):
        told = cycle(agent, decisions=None, error="Timeout after 60 s", tokens_in=10)

        store(told)

        (kept,) = decided(told)
        assert (kept.status, kept.action, kept.coin) == ("failed", "", "")
        assert kept.error_message == "Timeout after 60 s"
        assert LLMCall.objects.get().status == "failed"

    def test_of_the_call_loses_no_decision_that_is_told_with_it(self, agent):
        told = cycle(agent, long(), error="The stream broke off")

        store(told)

        assert LLMCall.objects.get().status == "failed"
        assert [each.status for each in decided(told)] == ["success"]

    def test_that_is_told_keeps_its_action_and_coin(self, agent):
        told = cycle(
            agent,
            long(coin="eth", status="failed", error_message="Exchange is down"),
            hold(status="parsing_error", action=None, coin=None, raw="BUY!!", reasoning=""),
            hold(coin="SOL"),
        )

        store(told)

        failed, unread, good = decided(told)
        assert (failed.status, failed.action, failed.coin) == ("failed", "OPEN_LONG", "ETH")
        assert (failed.direction, failed.symbol, failed.violations) == ("long", "ETH/USD", [])
        assert failed.size_usd == 2000
        assert (unread.status, unread.raw) == ("parsing_error", "BUY!!")
        assert good.status == "success"

    def test_counts_as_a_decision_on_its_coin(self, agent):
        told = cycle(agent, long(status="failed", error_message="Exchange is down"), long())

        store(told)

        assert rules(decided(told)[1]) == ["repeated_coin"]

    def test_to_be_read_does_not(self, agent):
        told = cycle(agent, long(status="parsing_error", raw="LONG?!"), long())

        store(told)

        assert decided(told)[1].status == "success"


class TestTheSameAgain:
    def test_changes_nothing_and_keeps_its_verdicts(self, agent):
        told = cycle(agent, long(), hold())
        store(told)
        before = stored_bits()
        make_agent_trade(agent=agent, coin="BTC")

        again = store(told, now=NOW + timedelta(hours=1))

        assert (again.created, again.unchanged, again.failed) == (0, 1, 0)
        assert stored_bits() == before

    def test_is_one_content_however_its_numbers_are_written(self, agent):
        told = cycle(agent, long(), cost=Decimal("0.10"))
        store(told)

        spelled = cycle(agent, long(size_usd=Decimal("2E+3")), cost=Decimal("0.1"), id=told.id)

        assert store(spelled).unchanged == 1

    @pytest.mark.parametrize(
        ("values", "pointers"),
        [
            ({"prompt": "Another one"}, ["/prompt"]),
            ({"answer": "Another one", "error": "none"}, ["/answer", "/error"]),
            ({"timestamp": NOON - timedelta(seconds=1)}, ["/timestamp"]),
            ({"tokens_in": 5, "cost": Decimal(1)}, ["/cost", "/tokens_in"]),
            ({"positions": {"ETH": "short"}}, ["/positions"]),
            ({"extra_metadata": {"a": Decimal("0.2")}}, ["/extra_metadata"]),
            ({"model": "another-model"}, ["/model"]),
            ({"decisions": [long(leverage=Decimal(6))]}, ["/decisions"]),
            ({"decisions": []}, ["/decisions"]),
            ({"decisions": None, "prompt": "Other"}, ["/prompt"]),
        ],
    )
    def test_with_another_content_is_refused_naming_what_differs(self, agent, values, pointers):
        usual = {"prompt": "P", "answer": "A", "extra_metadata": {"a": Decimal("0.1")}}
        told = cycle(agent, long(), **usual)
        store(told)
        before = stored_bits()

        outcome = store(cycle(agent, **{"decisions": [long()], **usual, **values, "id": told.id}))

        assert sorted(refused(outcome)) == [(0, pointer, "differs") for pointer in pointers]
        assert stored_bits() == before

    def test_under_the_id_of_another_agent_tells_nothing_else(self, agent):
        told = cycle(agent, long(), prompt="mine")
        store(told)

        outcome = store(cycle(make_agent(), long(), prompt="theirs", id=told.id))

        assert refused(outcome) == [(0, "/agent_id", "differs")]

    def test_in_one_batch_is_stored_once(self, agent):
        told = cycle(agent, long())
        other = cycle(agent, hold(), id=told.id)

        outcome = store(told, told, other)

        assert [result.status for result in outcome.results] == [
            RowStatus.UNCHANGED,
            RowStatus.FAILED,
        ]
        assert refused(outcome) == [(2, "/id", "differs")]
        assert LLMCall.objects.count() == 1

    def test_of_a_decision_under_another_call_is_refused_whole(self, agent):
        own = str(uuid.uuid4())
        store(cycle(agent, hold(id=own)))

        outcome = store(
            cycle(agent, long(), hold(id=own)),
            cycle(agent, hold(id=(twice := str(uuid.uuid4()))), long(id=twice)),
            cycle(agent, hold()),
        )

        assert refused(outcome) == [
            (0, "/decisions/1/id", "taken"),
            (1, "/decisions/1/id", "taken"),
        ]
        assert (outcome.created, LLMCall.objects.count()) == (1, 2)


class TestWhatCannotBeKept:
    def test_is_named_and_holds_up_nothing(self, agent):
        nobody = str(uuid.uuid4())

        outcome = store(
            cycle(agent, hold()),
            cycle(agent, hold(), agent_id=nobody),
            cycle(agent, hold(), timestamp=NOW + timedelta(minutes=6)),
            cycle(agent, decisions=None),
            cycle(agent, hold(), long(action=None, coin=None)),
            cycle(agent, hold(), timestamp=NOW + timedelta(minutes=5)),
        )

        assert refused(outcome) == [
            (1, "/agent_id", "unknown_agent"),
            (2, "/timestamp", "in_future"),
            (3, "/decisions", "required"),
            (4, "/decisions/1/action", "required"),
            (4, "/decisions/1/coin", "required"),
        ]
        assert (outcome.created, LLMCall.objects.count()) == (2, 2)


class TestPrivacy:
    def test_cuts_secrets_out_before_anything_is_stored(self, agent):
        told = cycle(
            agent,
            long(reasoning=f"trend up, api_key={SECRET}", chain_of_thought={"api_key": SECRET}),
            hold(status="failed", error_message=f"401 for {SECRET}", raw=f"key {SECRET}"),
            prompt=f"Use the key {SECRET}",
            answer=f"I was given {SECRET}",
            extra_metadata={"token": SECRET},
        )

        store(told)

        assert SECRET not in json.dumps(stored_bits(), default=str)
        assert set(LLMCall.objects.get().altered) == {
            "prompt",
            "answer",
            "extra_metadata",
            "decisions/0/reasoning",
            "decisions/0/chain_of_thought",
            "decisions/1/error_message",
            "decisions/1/raw",
        }

    def test_cuts_them_out_of_what_is_read_from_an_answer(self, agent):
        answer = (
            f'{{"BTC": {{"signal": "hold", "confidence": 0.7, "justification": "key {SECRET} ok"}},'
            f' "ETH": {{"signal": "moon {SECRET}"}}}}'
        )

        store(cycle(agent, decisions=None, answer=answer))

        assert SECRET not in json.dumps(stored_bits(), default=str)

    def test_keeps_what_no_column_holds_as_well_as_it_can(self, agent):
        told = cycle(agent, long(reasoning="odd\x00 \ud800 one"), prompt="a\x00b")

        store(told)

        call = LLMCall.objects.get()
        assert (call.prompt, decided(told)[0].reasoning) == ("a\ufffdb", "odd\ufffd \ufffd one")
        assert set(call.altered) == {"prompt", "decisions/0/reasoning"}
        assert store(told).unchanged == 1


class TestCosts:
    def test_are_as_told_else_by_the_table_else_not_known(self, agent):
        make_llm_price(model="deepseek-chat", valid_from=NOON - timedelta(days=1))
        tokens = {"tokens_in": 10_000, "tokens_out": 2_000}
        rows = [
            cycle(agent, hold(), **tokens, cost=Decimal("0.5")),
            cycle(agent, hold(), **tokens),
            cycle(agent, hold(), **tokens, model="unheard-of"),
            cycle(agent, hold(), tokens_in=10),
        ]

        store(*rows)

        calls = [LLMCall.objects.get(pk=row.id) for row in rows]
        assert [(call.cost, call.cost_source) for call in calls] == [
            (Decimal("0.5"), "given"),
            (Decimal("0.0049"), "table"),
            (None, ""),
            (None, ""),
        ]
        reasons = [cost_of(call).reason for call in calls]
        assert [bool(reason) for reason in reasons] == [False, False, True, True]
        assert store(*rows).unchanged == 4

    def test_over_budget_are_told(self, agent):
        agent.daily_budget = Decimal(1)
        agent.save()

        store(cycle(agent, hold(), cost=Decimal("1.01")))

        assert Notification.objects.get().what == "agent_over_budget"


class TestStatements:
    def count(self, rows):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert store(*rows).created == len(rows)
        return len(queries)

    def test_are_as_many_for_thirty_cycles_as_for_one(self):
        make_candle(price=50_000, timestamp=NOON - timedelta(minutes=5))
        agents = [make_agent() for _ in range(3)]
        opening = {"entry_price": None}

        def rows(count):
            return [
                cycle(agents[place % 3], long(**opening), hold(), tokens_in=1, tokens_out=1)
                for place in range(count)
            ]

        assert self.count(rows(30)) == self.count(rows(1)) <= 22


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_the_same_cycle_is_stored_once(self):
        told = cycle(make_agent(), long(), hold())

        outcomes = at_once([lambda: store(told)] * 4)

        assert sorted((each.created, each.unchanged) for each in outcomes) == [
            (0, 1), (0, 1), (0, 1), (1, 0),
        ]  # fmt: skip
        assert (LLMCall.objects.count(), AgentDecision.objects.count()) == (1, 2)

    def test_cycles_of_many_agents_in_any_order_do_not_hold_each_other_up(self):
        agents = [make_agent() for _ in range(4)]
        rows = [cycle(agent, long()) for agent in agents]
        orders = [rows, rows[::-1], rows[2:] + rows[:2]]

        outcomes = at_once([lambda order=order: store(*order) for order in orders])

        assert sorted(each.created for each in outcomes) == [0, 0, 4]
        assert AgentDecision.objects.count() == 4

    def test_one_id_of_two_agents_is_of_one_of_them(self):
        own = str(uuid.uuid4())
        rows = [cycle(make_agent(), long(), hold(), id=own) for _ in range(2)]

        outcomes = at_once([lambda row=row: store(row) for row in rows])

        assert sorted((each.created, each.failed) for each in outcomes) == [(0, 1), (1, 0)]
        assert (LLMCall.objects.count(), AgentDecision.objects.count()) == (1, 2)
