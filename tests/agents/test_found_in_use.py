"""What agents, their keys and their models got wrong in use, and what is to come of it."""

import json
import uuid
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from apps.agents.domain.answers import read_answer
from apps.agents.models import LLMCall, LLMPrice
from apps.agents.services import calls
from apps.shared.api.errors import reason_of
from clients import blotter_client
from tests.agents.cycles import LONG, plain
from tests.client import ApiClient
from tests.factories import make_agent, make_agent_trade, make_key, make_llm_call

BASE = "/api/v1/agents/"
BOTH = ["agents:read", "agents:write"]
PRICE = {
    "provider": "openai",
    "model": "m",
    "valid_from": "2026-01-01T00:00:00Z",
    "input_per_million": "1",
    "output_per_million": "1",
}


def answered(**fields):
    return json.dumps({"BTC": {"signal": "long", **fields}})


def bound(name):
    return ApiClient(make_key(scopes=BOTH, agent=name).text)


class TestNumbersJustBelowWhatColumnsHold:
    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("size_usd", "99999999999999999999.9999999999999999999"),
            ("stop_loss", "-99999999999999999999.9999999999999999999"),
            ("leverage", "999999999999.999999999"),
            ("confidence", "-999999999999.999999999"),
        ],
    )
    def test_are_not_rounded_up_to_more(self, name, told):
        answer = read_answer(answered(**{name: told}), coins={"BTC"})

        assert not answer.found
        assert "cannot be read" in answer.broken[0].message

    def test_nor_is_a_product_of_two(self):
        # Their product has 20 nines before the point, and 19 behind it.
        told = answered(risk_usd="49999999999999999999.99999999999999999975", leverage=2)

        assert "too large" in read_answer(told, coins={"BTC"}).broken[0].message

    def test_keep_as_many_digits_as_fit(self):
        told = answered(size_usd="99999999999999999999.999999999999999999")

        assert read_answer(told, coins={"BTC"}).found[0].size_usd == Decimal(
            "99999999999999999999.999999999999999999"
        )

    @pytest.mark.django_db
    def test_leave_the_rest_of_the_batch_alone(self, api):
        agent = make_agent()
        rows = [
            {"id": str(uuid.uuid4()), "agent_id": str(agent.pk), "answer": answer}
            for answer in (answered(leverage="999999999999.999999999"), answered(leverage=5))
        ]

        assert api.post(f"{BASE}calls/", rows).status_code == 201
        assert [LLMCall.objects.get(pk=row["id"]).status for row in rows] == [
            "unreadable",
            "answered",
        ]


@pytest.mark.django_db
class TestKeyWhoseBindingIsNoId:
    @pytest.mark.parametrize(
        "path", ["agents", "calls", "decisions", "trades", "outcomes", "performance", "league"]
    )
    def test_sees_nothing(self, path):
        make_llm_call()

        answer = bound("the one with the hat").get(f"{BASE}{path}/")

        assert (answer.status_code, answer.json()["results"]) == (200, [])

    def test_counts_nothing(self):
        answer = bound("the one with the hat").get(f"{BASE}scorecard/")

        assert (answer.status_code, answer.json()["results"]) == (200, [])

    def test_opens_no_row(self):
        call = make_llm_call()
        client = bound("the one with the hat")

        assert client.get(f"{BASE}calls/{call.pk}/").status_code == 404
        assert client.get(f"{BASE}agents/{call.agent_id}/").status_code == 403


@pytest.mark.django_db
class TestIdInAnotherSpelling:
    @pytest.mark.parametrize("spelled", [str.upper, lambda name: name.replace("-", "")])
    def test_binds_a_key_as_well(self, spelled):
        agent, other = make_agent(), make_agent()
        client = bound(spelled(str(agent.pk)))
        row = {"id": str(uuid.uuid4()), "agent_id": str(agent.pk), "decisions": [plain(LONG)]}

        assert client.post(f"{BASE}calls/", row).status_code == 200
        assert client.get(f"{BASE}agents/{agent.pk}/").status_code == 200
        assert client.get(f"{BASE}agents/{other.pk}/").status_code == 403
        assert len(client.get(f"{BASE}calls/").json()["results"]) == 1

    def test_in_an_address_or_a_query_is_no_foreign_one(self):
        agent, other = make_agent(), make_agent()
        client = bound(str(agent.pk))
        mine, theirs = str(agent.pk).upper(), str(other.pk).upper()

        assert client.get(f"{BASE}agents/{mine}/").status_code == 200
        assert client.get(f"{BASE}calls/?agent_id={mine}").status_code == 200
        assert client.get(f"{BASE}agents/{theirs}/").status_code == 403
        assert client.get(f"{BASE}calls/?agent_id={mine},{theirs}").status_code == 403


@pytest.mark.django_db
class TestPrices:
    def test_are_not_set_by_who_is_bound_to_one_agent(self):
        client = bound(str(make_agent().pk))

        answer = client.post(f"{BASE}prices/", PRICE)

        assert (answer.status_code, answer.json()["code"]) == (403, "other_subject")
        assert not LLMPrice.objects.exists()
        assert client.get(f"{BASE}prices/").status_code == 200

    def test_are_not_corrected_by_who_is_bound_to_one_agent(self, api):
        made = api.post(f"{BASE}prices/", PRICE).json()["id"]
        client, change = bound(str(make_agent().pk)), {"input_per_million": "0"}

        assert client.patch(f"{BASE}prices/{made}/", change).status_code == 403
        assert client.put(f"{BASE}prices/{made}/", PRICE | change).status_code == 403
        assert LLMPrice.objects.get().input_per_million == 1


@pytest.mark.django_db
class TestOtherCoins:
    def test_take_a_benchmark_of_their_own_where_none_was_named(self, api):
        agent = make_agent(coins={"BTC": "BTC/USD"}, benchmark_coin="BTC")
        address = f"{BASE}agents/{agent.pk}/"

        answer = api.patch(address, {"coins": {"ETH": "ETH/USD", "SOL": "SOL/USD"}})

        assert (answer.status_code, answer.json()["benchmark_coin"]) == (200, "ETH")
        kept = api.patch(address, {"coins": {"SOL": "SOL/USD", "ETH": "ETH/USD"}})
        assert kept.json()["benchmark_coin"] == "ETH"
        assert api.patch(address, {"max_leverage": 3}).json()["benchmark_coin"] == "ETH"


CLOSE = {
    "action": "CLOSE_POSITION",
    "coin": "BTC",
    "confidence": "0.9",
    "reasoning": "The trend has broken.",
}


@pytest.mark.django_db
class TestCoinThatIsDroppedWhileItIsHeld:
    def test_can_still_be_closed(self, api):
        trade = make_agent_trade(agent=make_agent(coins={"BTC": "BTC/USD"}), coin="BTC")
        agent = str(trade.agent_id)
        api.patch(f"{BASE}agents/{agent}/", {"coins": {"ETH": "ETH/USD"}})
        row = {"id": str(uuid.uuid4()), "agent_id": agent, "decisions": [CLOSE]}

        verdict = api.post(f"{BASE}calls/", row).json()["decisions"][0]

        assert (verdict["status"], verdict["violations"]) == ("success", [])

    def test_is_not_bought_again_nor_closed_once_more(self, api):
        agent = make_agent(coins={"ETH": "ETH/USD"})
        rows = [
            {"id": str(uuid.uuid4()), "agent_id": str(agent.pk), "decisions": [each]}
            for each in (plain(LONG), CLOSE)
        ]

        answers = [api.post(f"{BASE}calls/", row).json()["decisions"][0] for row in rows]

        assert [answer["violations"][0]["rule"] for answer in answers] == ["unknown_coin"] * 2


@pytest.mark.django_db
class TestSameIdWithAnotherSecret:
    def test_is_not_blamed_on_the_decisions(self, api):
        row = {"id": str(uuid.uuid4()), "agent_id": str(make_agent().pk), "decisions": [CLOSE]}
        api.post(f"{BASE}calls/", row | {"prompt": "password=hunter2"})

        answer = api.post(f"{BASE}calls/", row | {"prompt": "password=other"})

        assert answer.status_code == 409
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/content"]


@pytest.mark.django_db
class TestDecisionsOfManyCalls:
    @pytest.mark.parametrize(
        "told", [{"decisions": [CLOSE] * 3}, {"answer": "BTC: HOLD\nETH: HOLD\nSOL: HOLD"}]
    )
    def test_are_no_more_than_memory_holds(self, api, monkeypatch, told):
        monkeypatch.setattr(calls, "MOST_AT_ONCE", 6)
        agent = str(make_agent().pk)
        rows = [{"id": str(uuid.uuid4()), "agent_id": agent, **told} for _ in range(3)]

        answer = api.post(f"{BASE}calls/", rows)

        assert (answer.status_code, answer.json()["code"]) == (413, "too_many_rows")
        assert not LLMCall.objects.exists()
        assert api.post(f"{BASE}calls/", rows[:2]).status_code == 201


class TestNoNumber:
    @pytest.mark.parametrize("value", [float("nan"), Decimal("NaN"), Decimal("-Infinity")])
    def test_is_told_by_the_client_as_nothing(self, value):
        assert blotter_client._plain({"confidence": value, "leverage": Decimal("2.50")}) == {
            "confidence": None,
            "leverage": "2.50",
        }


@pytest.mark.django_db
class TestWhatTheDatabaseRefuses:
    def test_is_told_without_what_the_row_holds(self):
        call = make_llm_call(prompt="for the eyes of few")

        with pytest.raises(IntegrityError) as caught, transaction.atomic():
            LLMCall.objects.filter(pk=call.pk).update(status="nonsense")

        assert "eyes of few" in str(caught.value)
        reason = reason_of(caught.value)
        assert "llm_calls_status_known" in reason
        assert "eyes of few" not in reason
