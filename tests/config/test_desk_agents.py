"""What the desk says of agents: who is at work, what they cost, what needs somebody."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from apps.agents.choices import AgentMode, AgentStatus, DecisionStatus
from apps.agents.models import TradingAgent
from config import agent_figures, agent_needs, desk
from config.readings import Readings
from tests.factories import (
    make_agent,
    make_agent_decision,
    make_agent_performance,
    make_agent_trade,
    make_llm_call,
)

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 6, 17, 15, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def readings():
    return Readings(NOW)


def spends(agent, cost, at=NOW - MINUTE):
    return make_llm_call(agent=agent, cost=Decimal(cost), timestamp=at)


def needs():
    now = readings()
    return [need for _, read in agent_needs.NEEDS for need in read(now)]


class TestFigures:
    def test_count_who_is_active(self):
        make_agent(), make_agent(), make_agent(status=AgentStatus.PAUSED)

        figure = agent_figures.agents_active(readings())

        assert (figure.value, figure.under) == ("2", "1 paused or stopped")

    def test_count_every_one_of_three_hundred(self):
        TradingAgent.objects.bulk_create(
            TradingAgent(name=f"Agent no. {n}", llm_model="m", initial_balance=1)
            for n in range(300)
        )

        assert agent_figures.agents_active(readings()).value == "300"

    def test_add_up_what_models_cost_today_against_the_budgets(self):
        one = make_agent(daily_budget=Decimal(1))
        spends(one, "0.25"), spends(make_agent(), "0.5")
        spends(one, "7", NOW - DAY)

        figure = agent_figures.spent(readings())

        assert (figure.value, figure.under) == ("0.7500", "US dollars, of 1.00 budgeted")

    def test_tell_how_the_decisions_of_an_hour_went(self):
        agent = make_agent()
        for status in (DecisionStatus.SUCCESS, DecisionStatus.SUCCESS, DecisionStatus.FAILED):
            make_agent_decision(agent=agent, status=status, timestamp=NOW - MINUTE)
        make_agent_decision(agent=agent, timestamp=NOW - DAY)

        figure = agent_figures.decided(readings())

        assert (figure.value, figure.under) == ("3", "67 % accepted, 1 failed or unreadable")

    def test_lead_to_the_rows_behind_them(self, admin_client):
        make_agent()
        for _, read in agent_figures.FIGURES:
            assert admin_client.get(read(readings()).url).status_code == 200


class TestNeeds:
    def test_are_none_while_all_is_well(self):
        spends(make_agent(daily_budget=Decimal(1)), "0.79")
        make_agent_trade(mark_price=Decimal(50_000), liquidation_price=Decimal(40_000))

        assert not needs()

    def test_name_who_is_over_or_near_its_budget(self):
        over, near = (make_agent(name=name, daily_budget=Decimal(1)) for name in ("Big", "Near"))
        spends(over, "1.01"), spends(near, "0.80")

        assert [need.what for need in needs()] == [
            "Big is over its budget",
            "Near comes near its budget",
        ]

    def test_name_a_position_that_is_near_its_liquidation(self):
        make_agent_trade(mark_price=Decimal(45_000), liquidation_price=Decimal(40_000))

        (need,) = needs()

        assert "near its liquidation" in need.what
        assert "11.1 % away" in need.why

    def test_name_an_agent_half_of_whose_decisions_are_not_understood(self):
        agent = make_agent(name="Mumbler")
        statuses = [DecisionStatus.PARSING_ERROR] * 3 + [DecisionStatus.SUCCESS] * 3
        for status in statuses:
            make_agent_decision(agent=agent, status=status, timestamp=NOW - MINUTE)

        (need,) = needs()

        assert need.what == "Mumbler is not understood"
        assert "Of 6 decisions in the last hour 3" in need.why

    def test_lead_to_pages(self, admin_client):
        spends(make_agent(daily_budget=Decimal(1)), "2")
        make_agent_trade(mark_price=Decimal(45_000), liquidation_price=Decimal(40_000))

        for need in needs():
            assert admin_client.get(need.url).status_code == 200


class TestThePanel:
    def test_adds_up_the_last_account_of_each_day_real_and_pretended_money_apart(self):
        live, paper = make_agent(mode=AgentMode.LIVE), make_agent()
        for agent, realized in ((live, "5"), (paper, "-3"), (make_agent(), "-4")):
            make_agent_performance(
                agent=agent, snapshot_time=NOW - DAY, realized_pnl=Decimal(realized)
            )
        make_agent_performance(agent=live, snapshot_time=NOW - MINUTE, realized_pnl=Decimal(9))

        shown = desk.agents(readings())

        assert shown["summary"] == "live +9.00 USD, paper −7.00 USD"
        first, second = shown["chart"]["series"]
        assert [value for _, value in first["points"]][-3:] == [0, 5, 9]
        assert [value for _, value in second["points"]][-2:] == [-7, -7]

    def test_is_empty_without_accounts(self):
        make_agent()

        assert desk.agents(readings())["chart"] is None
