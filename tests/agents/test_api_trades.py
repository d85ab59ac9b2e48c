"""Trades and accounts of agents over HTTP."""

import os
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.agents.models import AgentTrade
from tests.agents.trading import OVER, every_bit, opened, priced
from tests.client import ApiClient
from tests.factories import make_agent, make_agent_decision, make_key, make_llm_call
from tests.threads import at_once

pytestmark = pytest.mark.django_db

TRADES = "/api/v1/agents/trades/"
AGENTS = "/api/v1/agents/agents/"
ROUNDS = int(os.environ.get("AGENTS_ROUNDS", "2"))


@pytest.fixture
def agent(db):
    return make_agent()


def body(agent, **values):
    usual = {
        "id": str(uuid.uuid4()),
        "agent_id": str(agent.pk),
        "coin": "BTC",
        "side": "long",
        "size": "0.1",
        "leverage": 5,
        "entry_price": 50000,
        "entry_time": "2026-03-02T11:00:00Z",
        "entry_fees": "5",
    }
    return usual | values


def born_of(decision, **values):
    usual = {
        "id": str(uuid.uuid4()),
        "agent_id": str(decision.agent_id),
        "decision_id": str(decision.pk),
    }
    return usual | values


def ending(**values):
    usual = {"exit_price": "51000", "exit_time": "2026-03-02T12:00:00Z", "exit_fees": "5.1"}
    return usual | values


def errors(answer):
    return [(each["pointer"], each["code"]) for each in answer.json()["errors"]]


def bound_to(agent):
    return ApiClient(make_key(agent=str(agent.pk)).text)


class TestARoundTrip:
    def test_goes_from_a_decision_to_the_known_result(self, api, agent):
        decision = make_agent_decision(agent=agent)
        opening = born_of(decision)
        at = f"{TRADES}{opening['id']}/"

        first = api.post(TRADES, opening)
        closed = api.post(f"{at}close/", {"exit_price": "51000", "realized_pnl": "39.9"})

        assert first.status_code == 201
        assert (first.json()["size"], first.json()["liquidation_price"]) == ("0.04", "40000")
        assert closed.status_code == 200
        result = closed.json()
        assert (result["gross_pnl"], result["fees"]) == ("40", "0")
        assert (result["realized_pnl"], result["reported_pnl"]) == ("40", "39.9")
        assert result["status"] == "closed"
        assert api.get(at).json() == result

    def test_may_be_told_again_at_every_step(self, api, agent):
        opening = body(agent)
        at = f"{TRADES}{opening['id']}/"
        steps = [(TRADES, opening), (f"{at}close/", ending())]

        first = [api.post(*step).status_code for step in steps]
        before = every_bit()
        again = [api.post(*step).status_code for step in steps]

        assert (first, again) == ([201, 200], [200, 200])
        assert every_bit() == before

    def test_may_end_at_a_price_that_is_told_later(self, api, agent):
        opening = body(agent)
        at = f"{TRADES}{opening['id']}/close/"
        api.post(TRADES, opening)

        gone = api.post_bytes(at, b"").json()
        known = api.post(at, ending(exit_time=None)).json()

        assert (gone["status"], gone["realized_pnl"]) == ("closed", None)
        assert (known["realized_pnl"], known["exit_time"]) == ("89.9", gone["exit_time"])
        assert api.post(at, ending(exit_time=None, exit_price="1")).status_code == 409

    def test_takes_ids_and_coins_in_any_case(self, api, agent):
        opening = body(agent)
        api.post(TRADES, opening)

        again = api.post(TRADES, opening | {"id": opening["id"].upper(), "coin": "btc"})

        assert again.status_code == 200
        assert AgentTrade.objects.count() == 1

    def test_may_be_called_off(self, api, agent):
        opening = body(agent)
        api.post(TRADES, opening)
        at = f"{TRADES}{opening['id']}/cancel/"

        answers = [api.post(at, {"reason": "no funds"}), api.post_bytes(at, b"")]

        assert [each.status_code for each in answers] == [200, 200]
        assert answers[0].json()["exit_reason"] == "no funds"
        assert api.post(f"{TRADES}{opening['id']}/close/", ending()).status_code == 409

    def test_may_be_a_batch_with_bad_rows(self, api, agent):
        rows = [body(agent), body(agent, size=0), body(agent, status="closed", **ending())]

        answer = api.post(TRADES, rows)

        found = answer.json()
        assert (answer.status_code, found["created"], found["failed"]) == (200, 2, 1)
        assert found["results"][0]["index"] == 1


class TestADecisionAndItsTrade:
    def decide(self, api, agent, **values):
        usual = {
            "id": str(uuid.uuid4()),
            "agent_id": str(agent.pk),
            "action": "OPEN_LONG",
            "coin": "BTC",
            "size_usd": "2000",
            "leverage": 5,
            "stop_loss_price": "49000",
            "take_profit_price": "53000",
            "confidence": "0.8",
            "entry_price": "50000",
            "reasoning": "The trend is up on both frames.",
        }
        answer = api.post("/api/v1/agents/decisions/", usual | values).json()
        return answer["id"], answer["status"], [each["rule"] for each in answer["violations"]]

    def test_know_of_each_other(self, api, agent):
        close = {"action": "CLOSE_POSITION", "size_usd": 0, "stop_loss_price": 0}
        close |= {"take_profit_price": 0, "leverage": 1}
        first, *_ = self.decide(api, agent)
        opening = {"id": str(uuid.uuid4()), "agent_id": str(agent.pk), "decision_id": first}

        assert api.post(TRADES, opening).json()["size"] == "0.04"
        second, status, rules = self.decide(api, agent)
        assert (status, rules) == ("rejected", ["position_already_open"])
        refused = api.post(TRADES, opening | {"id": str(uuid.uuid4()), "decision_id": second})
        assert errors(refused) == [("/decision_id", "not_accepted")]
        last, status, _ = self.decide(api, agent, **close)
        assert status == "success"
        report = {"exit_price": 51000, "close_decision_id": last}
        ended = api.post(f"{TRADES}{opening['id']}/close/", report).json()
        assert (ended["realized_pnl"], ended["close_decision_id"]) == ("40", last)
        assert self.decide(api, agent, **close)[2] == ["no_position_to_close"]


class TestWhatCannotBe:
    @pytest.mark.parametrize(
        ("values", "pointer", "code"),
        [
            (
                ending(exit_time="2026-03-02T10:00:00Z", status="closed"),
                "/exit_time",
                "before_entry",
            ),
            ({"size": "NaN"}, "/size", "not_finite"),
            ({"size": 0}, "/size", "too_small"),
            ({"size": "0.1234567890123456789"}, "/size", "too_precise"),
            ({"size": None}, "/size", "required"),
            ({"coin": None}, "/coin", "required"),
            ({"coin": "ß" * 11}, "/coin", "too_long"),
            ({"leverage": "0.5"}, "/leverage", "too_small"),
            ({"leverage": "10x"}, "/leverage", "not_a_number"),
            ({"entry_price": "100000000000000000000"}, "/entry_price", "too_large"),
            ({"agent_id": str(uuid.uuid4())}, "/agent_id", "unknown_agent"),
            ({"decision_id": str(uuid.uuid4())}, "/decision_id", "unknown_decision"),
            ({"id": "1"}, "/id", "not_a_uuid"),
            ({"side": "up"}, "/side", "not_a_choice"),
            ({"exit_price": 1}, "/exit_price", "not_closed"),
            ({"entry_time": "2026-03-02T11:00:00"}, "/entry_time", "naive"),
            ({"unrealized_pnl": 1}, "/unrealized_pnl", "unknown"),
        ],
    )
    def test_is_named_and_not_stored(self, api, agent, values, pointer, code):
        answer = api.post(TRADES, body(agent, **values))

        assert answer.status_code == 400
        assert errors(answer) == [(pointer, code)]
        assert not AgentTrade.objects.exists()

    @pytest.mark.parametrize(
        ("values", "status", "pointer", "code"),
        [
            ({"exit_time": "2026-03-02T10:00:00Z"}, 422, "/exit_time", "before_entry"),
            ({"exit_price": "NaN"}, 400, "/exit_price", "not_finite"),
            ({"exit_price": -1}, 400, "/exit_price", "too_small"),
            ({"liquidated": "yes"}, 400, "/liquidated", "type"),
            ({"size": "1"}, 400, "/size", "unknown"),
            ({"close_decision_id": str(uuid.uuid4())}, 422, "/close_decision_id", None),
            ({"entry_price": "1"}, 409, "/entry_price", "differs"),
        ],
    )
    def test_as_a_close_changes_nothing(self, api, agent, values, status, pointer, code):
        trade = opened(agent)
        before = every_bit()

        answer = api.post(f"{TRADES}{trade.pk}/close/", ending(**values))

        assert answer.status_code == status
        assert errors(answer) == [(pointer, code or "unknown_decision")]
        assert every_bit() == before

    def test_as_another_close_is_a_conflict_that_names_what_differs(self, api, agent):
        trade = opened(agent)
        api.post(f"{TRADES}{trade.pk}/close/", ending())
        before = every_bit()

        answer = api.post(f"{TRADES}{trade.pk}/close/", ending(exit_price="51001"))

        assert answer.status_code == 409
        assert errors(answer) == [("/exit_price", "differs")]
        assert every_bit() == before

    def test_as_another_opening_is_a_conflict(self, api, agent):
        opening = body(agent)
        api.post(TRADES, opening)

        answer = api.post(TRADES, opening | {"coin": "ETH"})

        assert answer.status_code == 409
        assert errors(answer) == [("/coin", "differs")]

    @pytest.mark.parametrize("verb", ["close", "cancel"])
    @pytest.mark.parametrize("name", ["5f0c2a1e-7d6b-4c3a-9e8f-0a1b2c3d4e5f", "nothing"])
    def test_of_an_unknown_trade_is_not_found(self, api, verb, name):
        assert api.post(f"{TRADES}{name}/{verb}/", {}).status_code == 404


class TestWhatDescribesATrade:
    def test_may_be_changed_at_any_time(self, api, agent):
        trade = opened(agent, **OVER)
        at = f"{TRADES}{trade.pk}/"

        changed = api.patch(at, {"notes": "late", "extra_metadata": {"x": 1}})
        replaced = api.put(at, {"hyperliquid_order_id": "7"})

        assert (changed.status_code, changed.json()["notes"]) == (200, "late")
        assert changed.json()["realized_pnl"] == "95"
        answer = replaced.json()
        assert (answer["hyperliquid_order_id"], answer["notes"]) == ("7", "")
        assert answer["extra_metadata"] == {}

    @pytest.mark.parametrize("name", ["status", "exit_price", "size", "agent_id", "decision_id"])
    @pytest.mark.parametrize("verb", ["patch", "put"])
    def test_moves_neither_money_nor_state(self, api, agent, verb, name):
        trade = opened(agent)
        before = every_bit()

        answer = getattr(api, verb)(f"{TRADES}{trade.pk}/", {name: "1"})

        assert answer.status_code == 400
        assert errors(answer) == [(f"/{name}", "not_changed_here")]
        assert every_bit() == before

    def test_is_of_a_trade_that_is_there(self, api):
        assert api.put(f"{TRADES}{uuid.uuid4()}/", {"notes": "x"}).status_code == 404


class TestTheList:
    def test_is_narrowed_by_what_was_traded_and_how_it_ended(self, api, agent):
        decision = make_agent_decision(agent=agent)
        born = api.post(TRADES, born_of(decision)).json()["id"]
        over = str(opened(agent, **OVER, side="short", coin="ETH").pk)
        gone = str(opened(agent, status="liquidated", exit_time=OVER["exit_time"]).pk)
        opened()

        def found(query):
            return {
                row["id"]
                for row in api.get(f"{TRADES}?agent_id={agent.pk}&{query}").json()["results"]
            }

        assert found("coin=ETH") == found("symbol=ETH/USD") == found("side=short") == {over}
        assert found("status=open") == found(f"decision_id={decision.pk}") == {born}
        assert found("status=closed,liquidated") == {over, gone}
        assert found("pnl_unknown=true") == {gone}
        assert found("pnl_unknown=false") == {born, over}
        assert found("exit_time_after=2026-03-02T12:00:00Z") == {over, gone}
        assert found("exit_time_before=2026-03-02T12:00:00Z") == set()
        assert found("entry_time_before=2026-03-02T11:30:00Z") == {over, gone}

    def test_costs_a_constant_number_of_queries(self, api, agent):
        def queries():
            with CaptureQueriesContext(connection) as captured:
                api.get(TRADES)
            return len(captured)

        opened(agent)
        few = queries()
        for _ in range(20):
            opened(agent)
        assert queries() <= few <= 5


class TestAKeyOfOneAgent:
    def test_sees_and_writes_what_is_its_own(self, agent):
        mine = bound_to(agent)

        assert mine.post(TRADES, body(agent)).status_code == 201
        assert len(mine.get(TRADES).json()["results"]) == 1
        assert mine.get(f"{AGENTS}{agent.pk}/account/").status_code == 200

    def test_sees_and_writes_nothing_of_others(self, agent):
        mine, other = bound_to(agent), make_agent()
        foreign = opened(other)
        decision = make_agent_decision(agent=other)
        at = f"{TRADES}{foreign.pk}/"
        before = every_bit()

        assert mine.get(TRADES).json()["results"] == []
        assert mine.get(f"{TRADES}?agent_id={other.pk}").status_code == 403
        assert mine.get(f"{AGENTS}{other.pk}/account/").status_code in (403, 404)
        assert mine.post(TRADES, body(other)).status_code == 403
        assert mine.post(TRADES, [body(agent), body(other)]).status_code == 403
        answers = [
            mine.get(at),
            mine.patch(at, {"notes": "mine"}),
            mine.put(at, {"notes": "mine"}),
            mine.post(f"{at}close/", ending()),
            mine.post(f"{at}cancel/", {}),
        ]
        assert [each.status_code for each in answers] == [404] * 5
        taken = mine.post(TRADES, body(agent, id=str(foreign.pk)))
        assert (taken.status_code, errors(taken)) == (409, [("/agent_id", "differs")])
        borrowed = mine.post(TRADES, body(agent, decision_id=str(decision.pk)))
        assert errors(borrowed) == [("/decision_id", "unknown_decision")]
        assert every_bit() == before


class TestAnAccount:
    def test_begins_with_the_balance(self, api, agent):
        found = api.get(f"{AGENTS}{agent.pk}/account/").json()

        assert (found["value"], found["withdrawable"], found["held"]) == ("10000", "10000", {})
        assert (found["open_trades"], found["decisions"]) == ([], [])
        assert found["daily_budget"] is found["budget_left"] is None

    def test_holds_what_an_agent_must_know_before_it_decides(self, api):
        agent = make_agent(daily_budget=Decimal(2))
        now = datetime.now(UTC)
        opened(agent, **OVER, entry_fees=None)
        trade = opened(agent)
        priced(50_500, at=now.replace(second=0, microsecond=0))
        make_llm_call(agent=agent, timestamp=now, cost=Decimal("0.5"))
        decisions = [
            make_agent_decision(agent=agent, timestamp=now - place * timedelta(minutes=3))
            for place in range(7)
        ]

        found = api.get(f"{AGENTS}{agent.pk}/account/").json()

        assert (found["realized"], found["unrealized"], found["value"]) == ("100", "45", "10145")
        assert (found["margin_used"], found["withdrawable"]) == ("1010", "9135")
        assert (found["exposure"], found["held"]) == ("5050", {"BTC": "long"})
        assert (found["spent_today"], found["budget_left"]) == ("0.5", "1.5")
        assert [each["id"] for each in found["open_trades"]] == [str(trade.pk)]
        assert found["open_trades"][0]["liquidation_price"] == "40000"
        newest = found["decisions"]
        assert [each["id"] for each in newest] == [str(each.pk) for each in decisions[:5]]
        assert set(newest[0]) == {
            "id", "timestamp", "coin", "action", "status", "confidence", "reasoning"
        }  # fmt: skip

    def test_remembers_as_much_as_it_is_asked_for(self, api, agent):
        for _ in range(7):
            make_agent_decision(agent=agent)
        at = f"{AGENTS}{agent.pk}/account/"

        assert len(api.get(f"{at}?decisions=6").json()["decisions"]) == 6
        assert api.get(f"{at}?decisions=0").json()["decisions"] == []
        assert api.get(f"{at}?decisions=101").status_code == 400
        assert api.get(f"{at}?trades=1").status_code == 400

    def test_of_nobody_is_not_found(self, api):
        assert api.get(f"{AGENTS}{uuid.uuid4()}/account/").status_code == 404

    def test_costs_the_same_queries_however_much_there_is(self, api, agent):
        def queries():
            with CaptureQueriesContext(connection) as captured:
                assert api.get(f"{AGENTS}{agent.pk}/account/").status_code == 200
            return len(captured)

        opened(agent)
        make_agent_decision(agent=agent)
        few = queries()
        for _ in range(10):
            opened(agent)
            make_agent_decision(agent=agent)
        assert queries() <= few <= 12


@pytest.mark.django_db(transaction=True)
class TestTheSameCloseFromManyRequests:
    def test_is_booked_once(self, agent):
        text = make_key().text
        for _ in range(ROUNDS):
            trade = opened(agent)
            at = f"{TRADES}{trade.pk}/close/"

            answers = at_once([lambda at=at: ApiClient(text).post(at, ending())] * 6)

            assert {each.status_code for each in answers} == {200}
            assert len({each.content for each in answers}) == 1
            assert AgentTrade.objects.get(pk=trade.pk).realized_pnl == Decimal("89.9")
