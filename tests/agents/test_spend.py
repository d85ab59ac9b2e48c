"""What agents spend in a day, and who is told."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.agents.models import TradingAgent
from apps.agents.services.spend import NOTHING, Spent, note_spend, spent_on, spent_today
from apps.logs.models import Notification
from tests.factories import make_agent, make_llm_call
from tests.threads import at_once

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)


def spend(agent, dollars, moment=NOW, **values):
    cost = None if dollars is None else Decimal(dollars)
    source = "" if dollars is None else "given"
    return make_llm_call(agent=agent, timestamp=moment, cost=cost, cost_source=source, **values)


def told():
    return list(Notification.objects.order_by("id").values_list("what", "level"))


WARNED, OVER = ("agent_budget_warning", "warning"), ("agent_over_budget", "critical")


@pytest.mark.django_db
class TestSpent:
    def test_is_the_sum_of_the_days_calls_of_each_agent(self):
        one, other, idle = make_agent(), make_agent(), make_agent()
        spend(one, "0.1", MIDNIGHT)
        spend(one, "0.000000000000000001", MIDNIGHT + timedelta(hours=23, minutes=59))
        spend(one, "7", MIDNIGHT - timedelta.resolution)
        spend(one, "7", MIDNIGHT + timedelta(days=1))
        spend(other, "2")

        assert spent_on([one.pk, other.pk, idle.pk], NOW) == {
            one.pk: Spent(Decimal("0.100000000000000001"), 2, 0),
            other.pk: Spent(Decimal(2), 1, 0),
            idle.pk: NOTHING,
        }

    def test_counts_calls_whose_cost_is_not_known(self):
        agent = make_agent()
        spend(agent, None)
        spend(agent, "0.5")

        assert spent_today([agent.pk], now=NOW) == {agent.pk: Spent(Decimal("0.5"), 2, 1)}

    def test_is_read_by_one_statement(self):
        agents = [make_agent().pk for _ in range(3)]

        with CaptureQueriesContext(
            connection,
        ) as queries:
            spent_on(agents, NOW)

        assert len(queries) == 1
        assert spent_on([], NOW) == {}


@pytest.mark.django_db
class TestAlarm:
    def test_comes_from_80_percent_on_and_again_above_100(self):
        agent = make_agent(daily_budget=Decimal(5))
        found = []
        for dollars in ("3.99", "0.01", "1", "0.01"):
            spend(agent, dollars)
            note_spend(agent_ids=[agent.pk], now=NOW)
            found.append(told())

        assert found == [[], [WARNED], [WARNED], [WARNED, OVER]]

    def test_says_how_much_and_leads_to_the_agent(self):
        agent = make_agent(name="Trend Follower", daily_budget=Decimal(1))
        spend(agent, "0.9")
        spend(agent, None)

        note_spend(agent_ids=[agent.pk], now=NOW)

        notification = Notification.objects.get()
        assert notification.subject == "Near its budget: Trend Follower"
        assert notification.message == (
            "Trend Follower spent 0.9 of 1 US dollars on its model on 2026-03-02 (UTC), in 2 calls."
            " The cost of 1 of them is not known."
        )
        assert notification.link == f"/admin/agents/tradingagent/{agent.pk}/change/"

    def test_comes_once_per_agent_and_day(self):
        agents = [make_agent(daily_budget=Decimal(1)) for _ in range(2)]
        ids = [agent.pk for agent in agents]
        for moment in (NOW, NOW + timedelta(hours=1), NOW + timedelta(days=1)):
            for agent in agents:
                spend(agent, "0.9" if moment == NOW else "0.05", moment)
                spend(agent, "0.85" if moment > NOW + timedelta(hours=2) else "0", moment)
            note_spend(agent_ids=ids, now=moment)

        assert told() == [WARNED] * 4

    def test_of_one_that_is_over_at_once_does_not_say_that_it_is_near(self):
        agent = make_agent(daily_budget=Decimal(1))
        spend(agent, "9")

        assert note_spend(agent_ids=[agent.pk], now=NOW) == 1
        assert told() == [OVER]

    def test_comes_again_for_another_budget(self):
        agent = make_agent(daily_budget=Decimal(1))
        spend(agent, "0.9")
        note_spend(agent_ids=[agent.pk], now=NOW)
        TradingAgent.objects.filter(pk=agent.pk).update(daily_budget=Decimal(2))
        note_spend(agent_ids=[agent.pk], now=NOW)
        spend(agent, "0.9")
        note_spend(agent_ids=[agent.pk], now=NOW)

        assert told() == [WARNED] * 2

    def test_does_not_come_of_yesterdays_call_that_comes_late(self):
        agent = make_agent(daily_budget=Decimal(1))
        spend(agent, "50", NOW - timedelta(days=1))

        assert note_spend(agent_ids=[agent.pk], now=NOW) == 0
        assert told() == []

    def test_needs_a_budget(self):
        agent = make_agent()
        spend(agent, "1000000")

        assert note_spend(agent_ids=[agent.pk], now=NOW) == 0
        assert note_spend(agent_ids=[], now=NOW) == 0
        assert told() == []

    def test_takes_as_many_statements_for_many_agents_as_for_one(self):
        agents = [make_agent(daily_budget=Decimal(1)) for _ in range(5)]
        for agent in agents:
            spend(agent, "2")
        counts = []
        for some in (agents[:1], agents):
            with CaptureQueriesContext(connection) as queries:
                note_spend(agent_ids=[agent.pk for agent in some], now=NOW)
            counts.append(len(queries))

        assert counts[0] == counts[1]
        assert told() == [OVER] * 5


@pytest.mark.django_db(transaction=True)
class TestTwoAtOnce:
    def test_tell_once_what_both_of_them_see(self):
        agent = make_agent(daily_budget=Decimal(1))
        spend(agent, "2")

        at_once([lambda: note_spend(agent_ids=[agent.pk], now=NOW)] * 4)

        assert told() == [OVER]

    def test_miss_nothing_that_only_both_of_them_make(self):
        agent = make_agent(daily_budget=Decimal(1))

        def store():
            with transaction.atomic():
                spend(agent, "0.6")
                return note_spend(agent_ids=[agent.pk], now=NOW)

        assert sorted(at_once([store, store])) == [0, 1]
        assert told() == [OVER]
