"""Snapshots of accounts over HTTP."""

import pytest

from apps.agents.domain.performance import MEANINGS
from tests.client import ApiClient
from tests.factories import NOON, make_agent, make_agent_performance, make_key

pytestmark = pytest.mark.django_db

PERFORMANCE = "/api/v1/agents/performance/"


def ids(answer):
    return [row["id"] for row in answer.json()["results"]]


class TestSnapshots:
    def test_are_answered_with_their_figures_and_reasons(self, api):
        row = make_agent_performance()

        found = api.get(f"{PERFORMANCE}{row.pk}/").json()

        assert set(found) == {"id", "agent_id", "snapshot_time", "reasons", "created_at", *MEANINGS}
        assert (found["total_value"], found["win_rate"]) == ("10450", "66.66666667")
        assert found["sharpe_ratio"] is None
        assert found["reasons"]["sharpe_ratio"]

    def test_are_listed_newest_first(self, api):
        rows = [make_agent_performance() for _ in range(3)]

        assert ids(api.get(PERFORMANCE)) == [str(row.pk) for row in reversed(rows)]

    def test_are_narrowed(self, api):
        mine = make_agent_performance(agent=make_agent(mode="live"), snapshot_time=NOON)
        make_agent_performance()

        assert ids(api.get(f"{PERFORMANCE}?agent_id={mine.agent_id}")) == [str(mine.pk)]
        assert ids(api.get(f"{PERFORMANCE}?mode=live")) == [str(mine.pk)]
        assert ids(api.get(f"{PERFORMANCE}?snapshot_time_before={NOON:%Y-%m-%d}T12:01:00Z")) == [
            str(mine.pk)
        ]

    def test_are_not_written(self, api):
        assert api.post(PERFORMANCE, {}).status_code == 405

    def test_are_those_of_the_agent_that_a_key_is_bound_to(self):
        mine, other = make_agent_performance(), make_agent_performance()
        bound = ApiClient(make_key(agent=str(mine.agent_id)).text)

        assert ids(bound.get(PERFORMANCE)) == [str(mine.pk)]
        assert bound.get(f"{PERFORMANCE}{other.pk}/").status_code == 404

    def test_refuse_what_is_no_filter_or_value(self, api):
        for query in ("nobody=1", "agent_id=me", "snapshot_time_after=soon", "mode=play"):
            assert api.get(f"{PERFORMANCE}?{query}").status_code == 400, query

    def test_have_definitions(self, api):
        assert api.get(f"{PERFORMANCE}definitions/").json() == dict(MEANINGS)
        assert api.get(f"{PERFORMANCE}definitions/?a=1").status_code == 400
