"""What programs read of the outcomes of decisions."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.agents.services.judging import judge_decisions
from tests.agents.judged import decided, hours_later
from tests.alerts.rows import LATER, closing_at, store
from tests.client import ApiClient
from tests.factories import make_agent, make_key

ROOT = "/api/v1/agents/"
OUTCOMES = f"{ROOT}outcomes/"
SCORECARD = f"{ROOT}scorecard/"


@pytest.fixture
def agents(db):
    """One agent with a long that gained and a hold, another with a short that lost."""
    one, other = make_agent(), make_agent()
    closes = {0: 100, 1: 101, 4: 98, 24: 103}
    store(*(closing_at(hours_later(h), close) for h, close in closes.items()))
    decided(one, status="success", confidence="0.75", prompt_version="v1")
    decided(one, action="HOLD")
    decided(other, action="OPEN_SHORT", symbol="BTC/USD")
    judge_decisions(now=LATER)
    return one, other


def bound(**to):
    return ApiClient(make_key(**to).text)


class TestOutcomes:
    def test_shows_what_became_of_a_decision(self, api, db):
        found = decided(take_profit_price=102)
        closes = {0: 100, 1: 101, 4: 98, 24: 103}
        store(*(closing_at(hours_later(h), close) for h, close in closes.items()))
        judge_decisions(now=LATER)

        body = api.get(f"{OUTCOMES}{found.pk}/").json()

        assert (body["status"], body["is_hit"], body["first_touch"]) == ("settled", True, "target")
        assert (body["change_1h"], body["change_4h"], body["change_24h"]) == ("1", "-2", "3")
        assert (body["source"], body["granularity"], body["agent_id"]) == (
            "test",
            "5m",
            str(found.agent_id),
        )

    @pytest.mark.parametrize(
        ("query", "count"),
        [
            ("", 3),
            ("action=HOLD,OPEN_SHORT", 2),
            ("symbol=BTC/USD", 3),
            ("symbol=ETH/USD", 0),
            ("status=open", 0),
            ("is_hit=true", 1),
            ("is_accepted=false", 2),
            ("prompt_version=v1", 1),
            ("direction=short", 1),
            ("first_touch=none", 0),
            ("confidence_min=0.5", 1),
            ("moment_after=2026-03-02T12:00:00Z", 3),
            ("moment_before=2026-03-02T12:00:00Z", 0),
            ("ordering=moment", 3),
        ],
    )
    def test_filters_the_list(self, api, agents, query, count):
        assert len(api.get(f"{OUTCOMES}?{query}").json()["results"]) == count

    def test_filters_by_agent(self, api, agents):
        body = api.get(f"{OUTCOMES}?agent_id={agents[0].pk}").json()

        assert {row["agent_id"] for row in body["results"]} == {str(agents[0].pk)}

    @pytest.mark.parametrize(
        "query", ["agent_id=alpha", "action=BUY", "is_hit=maybe", "moment_after=soon", "coin=BTC"]
    )
    def test_refuses_what_it_does_not_know(self, api, query):
        answer = api.get(f"{OUTCOMES}?{query}")

        assert answer.status_code == 400
        assert answer["Content-Type"] == "application/problem+json"

    def test_cannot_be_sent(self, api):
        assert api.post(OUTCOMES, {}).status_code == 405

    @pytest.mark.parametrize("name", ["alpha", "00000000-0000-0000-0000-000000000000"])
    def test_of_an_unknown_decision_there_is_none(self, api, name):
        assert api.get(f"{OUTCOMES}{name}/").status_code == 404

    def test_a_bound_key_sees_its_own_alone(self, agents):
        mine, others = agents
        api = bound(agent=str(mine.pk))
        [foreign] = others.outcomes.all()

        assert len(api.get(OUTCOMES).json()["results"]) == 2
        assert api.get(f"{OUTCOMES}{foreign.decision_id}/").status_code == 404
        assert api.get(f"{OUTCOMES}?agent_id={others.pk}").status_code == 403

    def test_a_key_of_a_bot_sees_none(self, agents):
        assert bound(bot="alpha").get(OUTCOMES).json()["results"] == []


class TestScorecard:
    def test_answers_figures_in_plain_notation(self, api, agents):
        body = api.get(f"{SCORECARD}?agent_id={agents[0].pk}").json()

        [row] = body["results"]
        assert body["by"] == "agent"
        assert (row["key"], row["n"], row["hits"], row["hit_rate"]) == (
            str(agents[0].pk),
            1,
            1,
            "1",
        )
        assert row["horizons"][2] == {
            "hours": 24,
            "n": 1,
            "missing": 0,
            "mean": "3",
            "median": "3",
        }
        assert (row["bought"][2]["mean"], row["sold"][2]["mean"]) == ("3", "-3")
        assert (row["aside"], row["brier"], row["reliability"][7]["n"]) == (1, "0.0625", 1)
        assert (row["few"], row["reasons"]) == (True, {})

    @pytest.mark.parametrize(
        ("query", "keys"),
        [
            ("by=action", ["HOLD", "OPEN_LONG", "OPEN_SHORT"]),
            ("by=coin", ["BTC"]),
            ("by=model", ["deepseek-chat"]),
            ("by=prompt_version&is_accepted=true", ["v1"]),
            ("by=symbol&moment_after=2026-03-03T00:00:00Z", []),
            ("by=all&direction=short", [""]),
        ],
    )
    def test_takes_a_grouping_and_filters(self, api, agents, query, keys):
        body = api.get(f"{SCORECARD}?{query}").json()

        assert sorted(row["key"] for row in body["results"]) == keys

    @pytest.mark.parametrize(
        "query",
        ["by=color", "unknown=1", "direction=up", "moment_after=soon", "by=all&by=all", "coin=BTC"],
    )
    def test_refuses_what_it_does_not_know(self, api, query):
        answer = api.get(f"{SCORECARD}?{query}")

        assert answer.status_code == 400
        assert answer["Content-Type"] == "application/problem+json"

    def test_a_bound_key_counts_its_own_alone(self, agents):
        mine, others = agents
        api = bound(agent=str(mine.pk))

        rows = api.get(SCORECARD).json()["results"]
        assert [row["key"] for row in rows] == [str(mine.pk)]
        assert [row["total"] for row in api.get(f"{SCORECARD}?by=all").json()["results"]] == [2]
        assert api.get(f"{SCORECARD}?agent_id={others.pk}").status_code == 403

    def test_a_key_of_a_bot_counts_none(self, agents):
        assert bound(bot="alpha").get(SCORECARD).json()["results"] == []

    def test_needs_the_scope(self, db):
        key = make_key(scopes=["market:read"])
        stranger = Client(headers={"Authorization": f"Bearer {key.text}"})

        assert stranger.get(SCORECARD).status_code == 403
        assert Client().get(SCORECARD).status_code == 401

    def test_costs_the_same_queries_for_any_number(self, api, agents):
        api.get(SCORECARD)
        with CaptureQueriesContext(connection) as for_two:
            api.get(SCORECARD)
        for _ in range(5):
            decided(make_agent())
        with CaptureQueriesContext(connection) as for_many:
            api.get(SCORECARD)

        assert len(for_many) == len(for_two)
