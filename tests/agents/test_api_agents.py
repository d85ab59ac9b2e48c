"""Agents over the API: registered, described anew, paused, and closed to the keys of others."""

import uuid

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from apps.agents.models import TradingAgent
from tests.client import ApiClient
from tests.factories import make_agent, make_agent_trade, make_key

pytestmark = pytest.mark.django_db

AGENTS = "/api/v1/agents/agents/"
BODY = {"name": "Trend Follower", "llm_model": "deepseek-chat", "initial_balance": "10000.50"}


def of(agent: object) -> str:
    return f"{AGENTS}{agent}/"


def bound_to(agent: object) -> ApiClient:
    return ApiClient(make_key(agent=str(agent)).text)


def refused(answer):
    return answer.status_code, [(each["pointer"], each["code"]) for each in answer.json()["errors"]]


class TestRegistration:
    def test_creates_and_replaces_under_the_id(self, api):
        name = uuid.uuid4()
        first = api.put(of(name), BODY)
        again = api.put(of(name), BODY)
        other = api.put(of(name), BODY | {"max_leverage": 3, "daily_budget": 5})

        assert [each.status_code for each in (first, again, other)] == [201, 200, 200]
        found = other.json()
        assert (found["id"], found["max_leverage"], found["daily_budget"]) == (str(name), 3, "5")
        assert (found["mode"], found["status"], found["initial_balance"]) == (
            "paper",
            "active",
            "10000.5",
        )
        assert found["coins"]["DOGE"] == "DOGE/USD"
        assert found["benchmark_coin"] == "BTC"

    def test_by_post_needs_no_id_and_may_come_twice(self, api):
        first, again = api.post(AGENTS, BODY), api.post(AGENTS, BODY)
        other = api.post(AGENTS, BODY | {"llm_model": "gpt"})

        assert [each.status_code for each in (first, again, other)] == [201, 200, 409]
        assert first.json() == again.json()
        assert other.json()["code"] == "conflict"

    def test_of_many_stores_the_good_and_names_the_bad(self, api):
        make_agent(name="Taken")
        rows = [
            BODY,
            BODY | {"name": "Taken", "id": str(uuid.uuid4())},
            BODY | {"name": "C", "coins": {"BTC": ""}},
            BODY | {"name": "D", "max_leverage": 51},
        ]

        found = api.post(AGENTS, rows).json()

        assert (found["created"], found["failed"]) == (1, 3)
        assert [each["errors"][0]["pointer"] for each in found["results"]] == [
            "/name",
            "/coins/BTC",
            "/max_leverage",
        ]

    def test_changes_single_fields(self, api):
        agent = make_agent()

        found = api.patch(of(agent.pk), {"coins": {"sol": "SOL/USD"}, "min_confidence": "0.7"})

        assert found.status_code == 200
        assert found.json()["coins"] == {"SOL": "SOL/USD"}
        assert (found.json()["benchmark_coin"], found.json()["min_confidence"]) == ("SOL", "0.7")
        assert found.json()["name"] == agent.name

    @pytest.mark.parametrize("method", ["put", "patch"])
    def test_moves_no_status(self, api, method):
        agent = make_agent()

        answer = getattr(api, method)(of(agent.pk), BODY | {"status": "stopped"})

        assert refused(answer) == (400, [("/status", "not_changed_here")])

    @pytest.mark.parametrize("method", ["put", "patch"])
    def test_leaves_what_trades_were_counted_with(self, api, method):
        agent = make_agent_trade().agent
        body = BODY | {"initial_balance": "5", "mode": "live"}

        answer = getattr(api, method)(of(agent.pk), body)

        assert refused(answer) == (
            409,
            [("/mode", "not_changed_here"), ("/initial_balance", "not_changed_here")],
        )
        assert answer.json()["code"] == "not_changed_here"
        assert "has trades" in answer.json()["detail"]

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", ""),
            ("name", "a" * 101),
            ("name", " a"),
            ("llm_model", ""),
            ("mode", "demo"),
            ("quote_currency", ""),
            ("initial_balance", "0"),
            ("initial_balance", "NaN"),
            ("max_position_size", 0),
            ("max_position_size", "100.00000001"),
            ("max_leverage", 0),
            ("max_leverage", 51),
            ("stop_loss_pct", 0),
            ("stop_loss_pct", 101),
            ("take_profit_pct", 0),
            ("min_confidence", "1.1"),
            ("daily_budget", 0),
            ("coins", []),
            ("coins", {}),
            ("benchmark_coin", "SHIB"),
            ("bot_id", "a/b"),
            ("id", "7"),
            ("nonsense", 1),
        ],
    )
    def test_refuses_what_cannot_be(self, api, field, value):
        answer = api.post(AGENTS, BODY | {field: value})

        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"] == f"/{field}"
        assert not TradingAgent.objects.exists()

    @pytest.mark.parametrize(("field", "value"), [("stop_loss_pct", 100), ("max_leverage", 50)])
    def test_takes_what_lies_on_a_bound(self, api, field, value):
        assert api.post(AGENTS, BODY | {field: value}).status_code == 201


class TestList:
    def test_is_filtered(self, api):
        one = make_agent(llm_model="gpt", provider="openai", bot_id="program-1")
        make_agent()

        for query in ("llm_model=gpt", "provider=openai", "bot_id=program-1", f"name={one.name}"):
            found = api.get(f"{AGENTS}?{query}").json()["results"]
            assert [each["id"] for each in found] == [str(one.pk)], query
        assert (
            len(api.get(f"{AGENTS}?status=active&mode=paper&ordering=name").json()["results"]) == 2
        )


class TestStatus:
    def test_is_moved_and_the_same_again_has_no_effect(self, api):
        agent = make_agent()
        first = api.post(f"{of(agent.pk)}status/", {"status": "paused"})
        again = api.post(f"{of(agent.pk)}status/", {"status": "paused"})

        assert (first.status_code, first.json()["status"]) == (200, "paused")
        assert again.json() == first.json()

    @pytest.mark.parametrize("body", [{}, {"status": "gone"}, {"status": None}, {"x": 1}])
    def test_needs_a_word_that_is_known(self, api, body):
        assert api.post(f"{of(make_agent().pk)}status/", body).status_code == 400

    @pytest.mark.parametrize("name", [uuid.uuid4(), "nobody"])
    def test_of_nobody_is_not_found(self, api, name):
        answer = api.post(f"{of(name)}status/", {"status": "paused"})

        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_agent")

    def test_is_moved_by_staff_who_may_change_agents(self):
        agent = make_agent()
        user = User.objects.create_user("vera", is_staff=True)
        client = Client()
        client.force_login(user)
        address, kind = f"{of(agent.pk)}status/", "application/json"

        before = client.post(address, '{"status": "stopped"}', content_type=kind)
        user.user_permissions.set(
            Permission.objects.filter(codename__in=["view_tradingagent", "change_tradingagent"])
        )
        after = client.post(address, '{"status": "stopped"}', content_type=kind)

        assert (before.status_code, after.status_code) == (403, 200)
        agent.refresh_from_db()
        assert agent.status == "stopped"


class TestBoundKey:
    def test_sees_its_own_agent_alone(self):
        mine, other = make_agent(), make_agent()
        client = bound_to(mine.pk)

        assert [each["id"] for each in client.get(AGENTS).json()["results"]] == [str(mine.pk)]
        assert client.get(of(mine.pk)).status_code == 200
        assert client.get(of(other.pk)).status_code == 403
        assert client.get(f"{AGENTS}?id={other.pk}").status_code == 403

    def test_describes_and_pauses_its_own_alone(self):
        mine, other = make_agent(), make_agent()
        client = bound_to(mine.pk)

        assert client.patch(of(mine.pk), {"max_leverage": 2}).status_code == 200
        assert client.post(f"{of(mine.pk)}status/", {"status": "paused"}).status_code == 200
        for answer in (
            client.patch(of(other.pk), {"max_leverage": 2}),
            client.put(of(other.pk), BODY),
            client.post(f"{of(other.pk)}status/", {"status": "paused"}),
            client.post(AGENTS, BODY | {"id": str(other.pk)}),
            client.post(AGENTS, [BODY | {"id": str(other.pk)}]),
            client.post(AGENTS, BODY | {"name": other.name}),
            client.post(AGENTS, BODY),
        ):
            assert answer.status_code == 403
        other.refresh_from_db()
        assert (other.max_leverage, other.status) == (10, "active")

    def test_registers_itself(self):
        name = uuid.uuid4()

        assert bound_to(name).put(of(name), BODY).status_code == 201
