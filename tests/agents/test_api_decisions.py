"""Decisions over HTTP: told alone, and read with their verdicts."""

import uuid
from decimal import Decimal

import pytest

from apps.agents.models import AgentDecision
from tests.agents.cycles import HOLD, LONG, plain, pointed
from tests.client import ApiClient
from tests.factories import make_agent, make_agent_decision, make_agent_trade, make_key

pytestmark = pytest.mark.django_db

DECISIONS = "/api/v1/agents/decisions/"


@pytest.fixture
def agent(db):
    return make_agent()


def body(agent, **values):
    usual = {
        "id": str(uuid.uuid4()),
        "agent_id": str(agent.pk),
        "timestamp": "2026-03-02T12:00:00Z",
    }
    return plain(LONG) | usual | values


class TestADecisionAlone:
    def test_that_is_accepted_is_new(self, api, agent):
        sent = body(agent, reasoning="The trend is up on all frames.")

        answer = api.post(DECISIONS, sent)

        assert answer.status_code == 201
        found = answer.json()
        assert (found["id"], found["status"], found["violations"]) == (sent["id"], "success", [])
        assert (found["size_usd"], found["leverage"], found["direction"]) == ("2000", "5", "long")
        assert (found["call_id"], found["symbol"]) == (None, "BTC/USD")
        assert api.get(f"{DECISIONS}{sent['id']}/").json() == found

    def test_that_is_rejected_is_stored_and_answered_with_all_rules(self, api, agent):
        answer = api.post(
            DECISIONS,
            body(agent, coin="XYZ", leverage=100, confidence=7, size_usd=-5, stop_loss_price=None),
        )

        assert answer.status_code == 200
        found = answer.json()
        assert (found["status"], found["coin"], found["leverage"]) == ("rejected", "XYZ", "100")
        assert (found["size_usd"], found["stop_loss_price"]) == ("-5", None)
        assert [each["rule"] for each in found["violations"]] == [
            "unknown_coin",
            "confidence_out_of_range",
            "leverage_out_of_range",
            "leverage_above_agent",
            "size_not_positive",
            "stop_missing",
        ]

    def test_may_come_again_with_its_verdict(self, api, agent):
        sent = body(agent)
        first = api.post(DECISIONS, sent)
        make_agent_trade(agent=agent, coin="BTC")

        again = api.post(DECISIONS, sent)

        assert (first.status_code, again.status_code) == (201, 200)
        assert again.json() == first.json()

    def test_with_another_content_is_a_conflict(self, api, agent):
        sent = body(agent)
        api.post(DECISIONS, sent)

        answer = api.post(DECISIONS, sent | {"leverage": 7, "reasoning": "I changed my mind."})

        assert answer.status_code == 409
        assert pointed(answer) == [("/leverage", "differs"), ("/reasoning", "differs")]


class TestMany:
    def test_are_stored_and_the_bad_ones_named(self, api, agent):
        rows = [body(agent), body(agent, leverage=99), body(agent, size_usd="much")]
        rows += [plain(HOLD) | {"id": str(uuid.uuid4())}, rows[0]]

        found = api.post(DECISIONS, rows).json()

        assert (found["created"], found["unchanged"], found["failed"]) == (2, 1, 2)
        assert [
            (each["index"], each["status"], [error["pointer"] for error in each["errors"]])
            for each in found["results"]
        ] == [
            (2, "failed", ["/size_usd"]),
            (3, "failed", ["/agent_id"]),
            (4, "unchanged", []),
        ]
        statuses = AgentDecision.objects.order_by("leverage").values_list("status", flat=True)
        assert list(statuses) == ["success", "rejected"]


class TestWhatIsNotTaken:
    @pytest.mark.parametrize(
        ("values", "pointer", "code"),
        [
            ({"id": None}, "/id", "null"),
            ({"agent_id": str(uuid.uuid4())}, "/agent_id", "unknown_agent"),
            ({"action": "BUY"}, "/action", "not_a_choice"),
            ({"action": None}, "/action", "required"),
            ({"coin": ""}, "/coin", "empty"),
            ({"leverage": "10x"}, "/leverage", "not_a_number"),
            ({"leverage": True}, "/leverage", "type"),
            ({"confidence": "65%"}, "/confidence", "not_a_number"),
            ({"size_usd": "Infinity"}, "/size_usd", "not_finite"),
            ({"stop_loss_price": "0.1234567890123456789"}, "/stop_loss_price", "too_precise"),
            ({"timestamp": "2999-01-01T00:00:00Z"}, "/timestamp", "in_future"),
            ({"execution_time_ms": -1}, "/execution_time_ms", "invalid"),
            ({"chain_of_thought": "many"}, "/chain_of_thought", "type"),
            ({"call_id": str(uuid.uuid4())}, "/call_id", "unknown"),
            ({"violations": []}, "/violations", "unknown"),
        ],
    )
    def test_is_named_and_not_stored(self, api, agent, values, pointer, code):
        answer = api.post(DECISIONS, body(agent) | values)

        assert answer.status_code == 400
        assert pointed(answer) == [(pointer, code)]
        assert not AgentDecision.objects.exists()

    @pytest.mark.parametrize("method", ["put", "patch"])
    def test_is_any_change(self, api, agent, method):
        decision = make_agent_decision(agent=agent)

        assert getattr(api, method)(f"{DECISIONS}{decision.pk}/", {}).status_code == 405


class TestTheList:
    @pytest.mark.parametrize(
        "query",
        [
            "status=rejected",
            "status=rejected,failed",
            "action=HOLD",
            "coin=ETH",
            "symbol=ETH/USD",
            "prompt_version=v2",
            "confidence_min=0.9",
            "confidence_min=0.85&confidence_max=0.95",
            "timestamp_after=2026-03-03T00:00:00Z",
        ],
    )
    def test_is_narrowed_by_what_decisions_are(self, api, agent, query):
        make_agent_decision(agent=agent)
        wanted = make_agent_decision(
            agent=agent,
            status="rejected",
            violations=[{"rule": "size_not_zero", "message": "Size 5 must be 0."}],
            action="HOLD",
            coin="ETH",
            symbol="ETH/USD",
            prompt_version="v2",
            confidence=Decimal("0.9"),
            timestamp="2026-03-03T12:00:00Z",
        )

        found = api.get(f"{DECISIONS}?{query}").json()["results"]

        assert [each["id"] for each in found] == [str(wanted.pk)]

    @pytest.mark.parametrize(
        "query", ["mood=good", "status=maybe", "confidence_min=high", "agent_id=1", "ordering=coin"]
    )
    def test_knows_no_other_questions(self, api, query):
        assert api.get(f"{DECISIONS}?{query}").status_code == 400

    def test_is_narrowed_by_agent_and_call(self, api, agent):
        wanted = make_agent_decision(agent=agent)
        make_agent_decision()

        found = api.get(f"{DECISIONS}?agent_id={agent.pk}").json()["results"]
        none = api.get(f"{DECISIONS}?call_id={uuid.uuid4()}").json()["results"]

        assert ([each["id"] for each in found], none) == ([str(wanted.pk)], [])

    def test_runs_by_time_page_by_page(self, api, agent):
        moment = "2026-03-02T12:00:00Z"
        made = {str(make_agent_decision(agent=agent, timestamp=moment).pk) for _ in range(5)}

        pages, at = [], f"{DECISIONS}?limit=2&ordering=timestamp"
        while at:
            page = api.get(at).json()
            pages.append([each["id"] for each in page["results"]])
            at = page["next"]

        assert [len(page) for page in pages] == [2, 2, 1]
        assert [each for page in pages for each in page] == sorted(made)


class TestPrivatePieces:
    def test_are_left_out_unless_asked(self, api, agent):
        decision = make_agent_decision(agent=agent, raw="BUY!!", chain_of_thought={"a": 1})

        (listed,) = api.get(DECISIONS).json()["results"]
        (asked,) = api.get(f"{DECISIONS}?fields=raw,chain_of_thought").json()["results"]

        assert not {"raw", "chain_of_thought"} & set(listed)
        assert asked == {"raw": "BUY!!", "chain_of_thought": {"a": 1}}
        reader = ApiClient(make_key(scopes=["agents:read"]).text)
        assert reader.get(f"{DECISIONS}{decision.pk}/?fields=raw").status_code == 403

    def test_are_not_answered_to_who_told_them(self, api, agent):
        answer = api.post(DECISIONS, body(agent, raw="BUY!!", chain_of_thought={"a": 1}))

        assert not {"raw", "chain_of_thought"} & set(answer.json())


class TestABoundKey:
    def test_tells_and_reads_of_its_own_agent_alone(self, agent):
        bound = ApiClient(make_key(agent=str(agent.pk)).text)
        foreign = make_agent_decision()
        sent = body(agent)

        assert bound.post(DECISIONS, sent).status_code == 201
        assert bound.post(DECISIONS, body(foreign.agent)).status_code == 403
        assert bound.post(DECISIONS, [body(agent), body(foreign.agent)]).status_code == 403
        assert bound.get(f"{DECISIONS}{foreign.pk}/").status_code == 404
        assert bound.get(f"{DECISIONS}?agent_id={foreign.agent_id}").status_code == 403
        assert [each["id"] for each in bound.get(DECISIONS).json()["results"]] == [sent["id"]]

    def test_learns_nothing_of_the_decision_of_another_under_its_id(self, agent):
        bound = ApiClient(make_key(agent=str(agent.pk)).text)
        foreign = make_agent_decision()

        answer = bound.post(DECISIONS, body(agent, id=str(foreign.pk)))

        assert (answer.status_code, pointed(answer)) == (409, [("/agent_id", "differs")])
