"""One cycle of an agent in one request."""

import json
import uuid
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from apps.agents.models import AgentDecision, LLMCall
from tests.agents.cycles import HOLD, LONG, plain, pointed
from tests.client import ApiClient
from tests.factories import make_agent, make_agent_trade, make_key, make_llm_call
from tests.threads import at_once

pytestmark = pytest.mark.django_db

CALLS = "/api/v1/agents/calls/"
DECISIONS = "/api/v1/agents/decisions/"
SECRET = "sk-" + "a1B2c3D4" * 6


@pytest.fixture
def agent(db):
    return make_agent()


def long(**values):
    return plain(LONG) | values


def hold(**values):
    return plain(HOLD) | values


def body(agent, *decisions, **values):
    usual = {
        "id": str(uuid.uuid4()),
        "agent_id": str(agent.pk),
        "timestamp": "2026-03-02T12:00:00Z",
        "decisions": list(decisions),
    }
    return usual | values


def permission(codename):
    return Permission.objects.get(codename=codename, content_type__app_label="agents")


class TestOneCycle:
    def test_is_answered_with_its_verdicts(self, api, agent):
        sent = body(agent, long(), long(coin="xyz", leverage=100), hold(), cost="0.0012")

        answer = api.post(CALLS, sent)

        assert answer.status_code == 200
        found = answer.json()
        assert (found["id"], found["status"], found["created"]) == (sent["id"], "answered", True)
        assert (found["cost"], found["cost_reason"]) == ("0.0012", "")
        verdicts = found["decisions"]
        assert [each["place"] for each in verdicts] == [0, 1, 2]
        assert [each["coin"] for each in verdicts] == ["BTC", "XYZ", "ETH"]
        assert [each["status"] for each in verdicts] == ["success", "rejected", "success"]
        assert [each["rule"] for each in verdicts[1]["violations"]] == [
            "unknown_coin",
            "leverage_out_of_range",
            "leverage_above_agent",
        ]
        assert verdicts[1]["violations"][1] == {
            "rule": "leverage_out_of_range",
            "message": "Leverage 100 is not a whole number from 1 to 50.",
        }
        stored = AgentDecision.objects.filter(call=sent["id"]).order_by("place")
        assert [str(each.pk) for each in stored] == [each["id"] for each in verdicts]

    def test_of_which_everything_is_wrong_is_answered_the_same_way(self, api, agent):
        wrong = {"action": "OPEN_SHORT", "coin": "BTC", "size_usd": -1, "confidence": 7}

        answer = api.post(CALLS, body(agent, wrong))

        assert answer.status_code == 200
        (verdict,) = answer.json()["decisions"]
        assert verdict["status"] == "rejected"
        assert len(verdict["violations"]) == 6
        assert answer.json()["cost_reason"]

    def test_may_come_again_and_is_answered_as_it_was(self, api, agent):
        sent = body(agent, long(), hold())
        first = api.post(CALLS, sent)
        make_agent_trade(agent=agent, coin="BTC")

        again = api.post(CALLS, sent)

        assert (first.status_code, again.status_code) == (200, 200)
        assert again.json() == first.json() | {"created": False}
        assert LLMCall.objects.count() == 1

    def test_with_another_content_is_a_conflict_that_names_what_differs(self, api, agent):
        sent = body(agent, long(), prompt="One")
        api.post(CALLS, sent)

        answer = api.post(CALLS, sent | {"prompt": "Two", "decisions": [hold()]})

        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        assert pointed(answer) == [("/decisions", "differs"), ("/prompt", "differs")]

    def test_may_leave_its_decisions_to_the_answer(self, api, agent):
        text = '```json\n{"btc": {"signal": "hold", "confidence": "65%", "justification": '
        text += '"nothing new since"}, "ETH": {"signal": "sideways"}}\n```'

        found = api.post(CALLS, body(agent, decisions=None, answer=text)).json()

        assert [(each["coin"], each["status"]) for each in found["decisions"]] == [
            ("BTC", "success"),
            ("ETH", "parsing_error"),
        ]
        assert found["decisions"][1]["error_message"]

    def test_that_failed_leaves_a_row(self, api, agent):
        sent = body(agent, error="Timeout")
        del sent["decisions"]

        found = api.post(CALLS, sent).json()

        assert found["status"] == "failed"
        (verdict,) = found["decisions"]
        assert (verdict["status"], verdict["action"], verdict["coin"]) == ("failed", "", "")
        assert verdict["error_message"] == "Timeout"


class TestManyCycles:
    def test_are_answered_as_a_batch(self, api, agent):
        rows = [body(agent, long()), body(agent, hold(), agent_id=str(uuid.uuid4()))]
        rows += [body(agent, hold(leverage="ten")), rows[0]]

        answer = api.post(CALLS, rows)

        assert answer.status_code == 200
        found = answer.json()
        assert (found["created"], found["unchanged"], found["failed"]) == (1, 1, 2)
        assert [
            (each["index"], [error["pointer"] for error in each["errors"]])
            for each in found["results"]
        ] == [(1, ["/agent_id"]), (2, ["/decisions/0/leverage"]), (3, [])]

    def test_may_be_all_or_none(self, api, agent):
        rows = [body(agent, long()), body(agent, hold(), agent_id=str(uuid.uuid4()))]

        assert api.post(f"{CALLS}?atomic=1", rows).status_code == 400
        assert not LLMCall.objects.exists()


class TestWhatIsNotTaken:
    @pytest.mark.parametrize(
        ("values", "pointer", "code"),
        [
            ({"id": "1"}, "/id", "not_a_uuid"),
            ({"agent_id": str(uuid.uuid4())}, "/agent_id", "unknown_agent"),
            ({"timestamp": "2026-03-02T12:00:00"}, "/timestamp", "naive"),
            ({"timestamp": "2999-01-01T00:00:00Z"}, "/timestamp", "in_future"),
            ({"tokens_in": -1}, "/tokens_in", "invalid"),
            ({"tokens_in": "many"}, "/tokens_in", "type"),
            ({"cost": -1}, "/cost", "too_small"),
            ({"cost": "NaN"}, "/cost", "not_finite"),
            ({"positions": {"BTC": "up"}}, "/positions/BTC", "not_a_choice"),
            ({"positions": {"BTC": "long", "btc": "long"}}, "/positions", "given_twice"),
            ({"positions": ["BTC"]}, "/positions", "type"),
            ({"thoughts": "many"}, "/thoughts", "unknown"),
            ({"decisions": None}, "/decisions", "required"),
            ({"decisions": {}}, "/decisions", "type"),
            ({"decisions": [hold()] * 201}, "/decisions", "too_many"),
            ({"decisions": ["HOLD"]}, "/decisions/0", "type"),
            (
                {"decisions": [hold(), hold(leverage="10x")]},
                "/decisions/1/leverage",
                "not_a_number",
            ),
            ({"decisions": [hold(), hold(action="BUY")]}, "/decisions/1/action", "not_a_choice"),
            ({"decisions": [hold(action=None)]}, "/decisions/0/action", "required"),
            ({"decisions": [hold(status="rejected")]}, "/decisions/0/status", "not_a_choice"),
            ({"decisions": [hold(mood="good")]}, "/decisions/0/mood", "unknown"),
            ({"decisions": [hold(coin="B T C")]}, "/decisions/0/coin", "pattern"),
            ({"decisions": [hold(size_usd="1e30")]}, "/decisions/0/size_usd", "too_large"),
            ({"decisions": [hold(entry_price=0)]}, "/decisions/0/entry_price", "too_small"),
            ({"prompt": "x" * 1_000_001}, "/prompt", "too_long"),
        ],
    )
    def test_is_named_and_not_stored(self, api, agent, values, pointer, code):
        answer = api.post(CALLS, body(agent, hold()) | values)

        assert answer.status_code == 400
        assert pointed(answer) == [(pointer, code)]
        assert not LLMCall.objects.exists()

    def test_names_every_wrong_field_at_once(self, api, agent):
        answer = api.post(CALLS, body(agent, hold(coin=1), hold(leverage=[]), cycle="one"))

        assert pointed(answer) == [
            ("/cycle", "type"),
            ("/decisions/0/coin", "type"),
            ("/decisions/1/leverage", "type"),
        ]


class TestPrivacy:
    @pytest.fixture
    def call(self, agent):
        return make_llm_call(agent=agent, prompt="What now?", answer="Hold.")

    def test_leaves_prompt_and_answer_out_unless_asked(self, api, call):
        (listed,) = api.get(CALLS).json()["results"]
        read = api.get(f"{CALLS}{call.pk}/").json()

        assert not {"prompt", "answer"} & (set(listed) | set(read))
        named = api.get(f"{CALLS}?fields=id,prompt,answer").json()["results"]
        assert named == [{"id": str(call.pk), "prompt": "What now?", "answer": "Hold."}]
        assert api.get(f"{CALLS}{call.pk}/?fields=prompt").json() == {"prompt": "What now?"}

    @pytest.mark.parametrize(
        "path", [f"{CALLS}?fields=prompt", f"{CALLS}?fields=id,answer", f"{DECISIONS}?fields=raw"]
    )
    def test_needs_a_scope_of_its_own(self, call, path):
        reader = ApiClient(make_key(scopes=["agents:read"]).text)

        answer = reader.get(path)

        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
        assert reader.get(CALLS).status_code == 200

    def test_needs_a_permission_of_its_own(self, call, django_user_model):
        asked = f"{CALLS}?fields=prompt"
        staff = django_user_model.objects.create_user("ann", is_staff=True)
        staff.user_permissions.add(permission("view_llmcall"))
        browser = Client()
        browser.force_login(staff)
        without = browser.get(asked)
        staff.user_permissions.add(permission("read_llmcall"))

        assert (without.status_code, without.json()["code"]) == (403, "permission_missing")
        assert browser.get(CALLS).status_code == 200
        assert browser.get(asked).json()["results"] == [{"prompt": "What now?"}]

    def test_lets_nobody_search_by_what_is_private(self, api, call):
        for path in (f"{CALLS}?prompt=x", f"{CALLS}?ordering=prompt", f"{DECISIONS}?raw=x"):
            assert api.get(path).status_code == 400

    def test_cuts_secrets_out(self, api, agent):
        sent = body(agent, hold(reasoning=f"I use {SECRET} here"), prompt=f"Key {SECRET}")
        api.post(CALLS, sent)

        found = api.get(f"{CALLS}?fields=prompt,altered").content
        found += api.get(f"{DECISIONS}?fields=reasoning,raw,chain_of_thought").content

        assert SECRET.encode() not in found
        assert json.loads(api.get(f"{CALLS}{sent['id']}/").content)["altered"] == {
            "prompt": "secrets redacted",
            "decisions/0/reasoning": "secrets redacted",
        }


class TestABoundKey:
    @pytest.fixture
    def bound(self, agent):
        return ApiClient(make_key(agent=str(agent.pk)).text)

    def test_tells_and_reads_of_its_own_agent(self, bound, agent):
        sent = body(agent, hold())

        assert bound.post(CALLS, sent).status_code == 200
        assert [each["id"] for each in bound.get(CALLS).json()["results"]] == [sent["id"]]

    def test_tells_nothing_of_others(self, bound, agent):
        sent = body(make_agent(), hold())

        assert bound.post(CALLS, sent).status_code == 403
        assert bound.post(CALLS, [body(agent, hold()), sent]).status_code == 403
        assert not LLMCall.objects.exists()

    def test_reads_nothing_of_others(self, bound, agent):
        foreign = make_llm_call()

        assert bound.get(f"{CALLS}{foreign.pk}/").status_code == 404
        assert bound.get(f"{CALLS}?agent_id={foreign.agent_id}").status_code == 403
        assert bound.get(CALLS).json()["results"] == []

    def test_learns_nothing_of_the_call_of_another_under_its_id(self, bound, agent):
        foreign = make_llm_call(prompt="theirs")

        answer = bound.post(CALLS, body(agent, hold(), id=str(foreign.pk), prompt="mine"))

        assert (answer.status_code, pointed(answer)) == (409, [("/agent_id", "differs")])


class TestScopes:
    def test_are_needed(self, agent):
        reader = ApiClient(make_key(scopes=["agents:read"]).text)
        writer = ApiClient(make_key(scopes=["agents:write"]).text)

        assert reader.post(CALLS, body(agent, hold())).status_code == 403
        assert writer.post(CALLS, body(agent, hold())).status_code == 200
        assert writer.get(CALLS).status_code == 403
        assert ApiClient().post(CALLS, body(agent, hold())).status_code == 401


class TestTheList:
    def test_is_narrowed_by_what_calls_are(self, api, agent):
        wanted = make_llm_call(agent=agent, model="one", prompt_version="v2", cost=Decimal(3))
        make_llm_call(model="two")

        for query in (
            f"agent_id={agent.pk}",
            "model=one",
            "prompt_version=v2",
            "cost_min=2",
            f"cycle={wanted.cycle}",
        ):
            found = api.get(f"{CALLS}?{query}").json()["results"]
            assert [each["id"] for each in found] == [str(wanted.pk)], query
        assert len(api.get(f"{CALLS}?status=answered").json()["results"]) == 2

    def test_runs_by_time_page_by_page(self, api, agent):
        calls = [make_llm_call(agent=agent) for _ in range(3)]

        first = api.get(f"{CALLS}?limit=2").json()
        second = api.get(first["next"]).json()

        found = [each["id"] for each in first["results"] + second["results"]]
        assert found == [str(each.pk) for each in reversed(calls)]


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_the_same_cycle_is_stored_once_and_answered_alike(self):
        agent = make_agent()
        sent = body(agent, long(), hold())
        key = make_key().text

        answers = at_once([lambda: ApiClient(key).post(CALLS, sent)] * 4)

        assert [each.status_code for each in answers] == [200] * 4
        found = [each.json() for each in answers]
        assert sorted(each.pop("created") for each in found) == [False, False, False, True]
        assert all(each == found[0] for each in found)
        assert LLMCall.objects.count() == 1


def test_the_documentation_shows_what_is_sent_and_answered(api_document):
    post = api_document["paths"][CALLS]["post"]
    rows = api_document["components"]["schemas"]

    content = post["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    assert content[0] == {"$ref": "#/components/schemas/CallRow"}
    assert "decisions" in rows["CallRow"]["properties"]
    answered = post["responses"]["200"]["content"]["application/json"]["schema"]["oneOf"]
    assert answered[0] == {"$ref": "#/components/schemas/CallAnswer"}
    assert "violations" in rows["VerdictAnswer"]["properties"]
