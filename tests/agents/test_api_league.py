"""The league over HTTP."""

import pytest

from apps.agents.domain.league_figures import MEANINGS
from tests.client import ApiClient
from tests.factories import make_agent, make_agent_standing, make_key

pytestmark = pytest.mark.django_db

LEAGUE = "/api/v1/agents/league/"


def ids(answer):
    return [row["id"] for row in answer.json()["results"]]


class TestTheLeague:
    def test_comes_in_the_order_it_was_made_in(self, api):
        rows = [make_agent_standing(rank=rank) for rank in (1, 2, 3)]

        assert ids(api.get(LEAGUE)) == [row.pk for row in rows]

    def test_names_the_agent_and_its_mode(self, api):
        row = make_agent_standing(agent=make_agent(name="Trend Follower", mode="live"))

        found = api.get(f"{LEAGUE}{row.pk}/").json()

        assert found["agent"] == {"name": "Trend Follower", "mode": "live"}
        assert (found["net_return"], found["return_low"], found["rank"]) == ("4.2", "1.1", 1)
        assert found["verdict_reason"]

    @pytest.mark.parametrize(
        "query",
        [
            "period=30d",
            "period=7d,30d",
            "mode=live",
            "prompt_version=v7",
            "verdict=worse,not_its_own",
            "agent_id={agent_id}",
        ],
    )
    def test_is_narrowed(self, api, query):
        mine = make_agent_standing(
            agent=make_agent(mode="live"),
            period="30d",
            prompt_version="v7",
            verdict="worse",
            rank=None,
        )
        make_agent_standing()

        answer = api.get(f"{LEAGUE}?{query.format(agent_id=mine.agent_id)}")

        assert ids(answer) == [mine.pk]

    def test_of_whole_agents_has_no_version(self, api):
        whole = make_agent_standing()
        make_agent_standing(agent=whole.agent, prompt_version="v1", rank=None)

        assert ids(api.get(f"{LEAGUE}?prompt_version=")) == [whole.pk]

    @pytest.mark.parametrize(
        "query", ["period=1y", "mode=play", "verdict=good", "agent_id=me", "rank=1", "mode="]
    )
    def test_refuses_what_is_no_filter_or_value(self, api, query):
        answer = api.get(f"{LEAGUE}?{query}")

        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"] == f"?{query.partition('=')[0]}"

    def test_has_definitions(self, api):
        row = make_agent_standing()
        found = api.get(f"{LEAGUE}definitions/").json()

        assert found == dict(MEANINGS)
        assert set(found) <= set(api.get(f"{LEAGUE}{row.pk}/").json())

    def test_is_not_written(self, api):
        assert api.post(LEAGUE, {}).status_code == 405

    def test_shows_its_own_line_to_a_key_bound_to_an_agent(self):
        mine, other = make_agent_standing(), make_agent_standing()
        bound = ApiClient(make_key(agent=str(mine.agent_id)).text)

        assert ids(bound.get(LEAGUE)) == [mine.pk]
        assert bound.get(f"{LEAGUE}{other.pk}/").status_code == 404
