"""Accounts of many agents at the market's newest prices."""

import uuid
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.agents.services.accounts import accounts_of
from apps.agents.services.trades import cancel_trade, close_trade
from tests.agents.trading import DAY, HOUR, MINUTE, NOON, OVER, closing, opened, priced
from tests.factories import make_agent

pytestmark = pytest.mark.django_db


def account(agent, now=NOON):
    return accounts_of([agent.pk], now=now)[agent.pk]


class TestTheAccountOfAnAgent:
    def test_begins_with_its_balance(self):
        found = account(make_agent(initial_balance=Decimal(500)))

        assert (found.value, found.withdrawable, found.held) == (500, 500, {})

    def test_follows_a_trade_from_entry_to_exit(self):
        agent = make_agent()
        trade = opened(agent)
        priced(50_500)

        held = account(agent)
        close_trade(trade_id=trade.pk, report=closing(), now=NOON)
        after = account(agent)

        assert (held.unrealized, held.realized, held.value) == (45, 0, 10_045)
        assert (held.margin_used, held.withdrawable) == (1_010, 9_035)
        assert held.held == {"BTC": "long"}
        assert (after.unrealized, after.realized) == (0, Decimal("89.9"))
        assert (after.value, after.withdrawable) == (Decimal("10089.9"), Decimal("10089.9"))
        assert after.held == {}

    def test_comes_to_the_known_result(self):
        agent = make_agent()
        for price in (53_000, 49_000, 52_000):
            opened(agent, **OVER | {"exit_price": Decimal(price)}, entry_fees=None)
        opened(agent, entry_fees=None)
        priced(50_500)

        found = account(agent)

        assert (found.realized, found.unrealized, found.value) == (400, 50, 10_450)

    def test_adds_nothing_for_what_is_not_known(self):
        agent = make_agent()
        opened(agent, status="closed", exit_time=NOON)
        opened(agent, entry_price=None)
        opened(agent, coin="ETH")
        cancel_trade(trade_id=opened(agent, coin="SOL").pk, reason="", now=NOON)
        priced(50_500)

        found = account(agent)

        assert (found.value, found.unpriced, found.unknown) == (10_000, 2, 1)
        assert found.held == {"BTC": "long", "ETH": "long"}

    def test_takes_the_newest_price_that_is_known_and_none_that_is_old(self):
        agent = make_agent()
        opened(agent)
        priced(50_500, at=NOON - 2 * MINUTE)
        priced(50_600)
        priced(50_700, at=NOON + MINUTE)

        assert account(agent).unrealized == 55
        assert account(agent, now=NOON + DAY).unrealized == 65
        assert account(agent, now=NOON + 120 * HOUR + 2 * MINUTE).unpriced == 1

    def test_holds_the_side_that_was_told_last(self):
        agent = make_agent()
        opened(agent)
        opened(agent, side="short")

        assert account(agent).held == {"BTC": "short"}

    def test_of_an_agent_that_is_not_there_is_left_out(self):
        agent = make_agent()

        assert list(accounts_of([agent.pk, uuid.uuid4()], now=NOON)) == [agent.pk]
        assert accounts_of([], now=NOON) == {}


class TestManyAccounts:
    def test_are_kept_apart(self):
        agents = [make_agent(initial_balance=Decimal(place * 1_000)) for place in (1, 2, 3)]
        opened(agents[0], coin="BTC")
        opened(agents[1], **OVER)
        priced(50_500)

        found = accounts_of([str(agent.pk) for agent in agents], now=NOON)

        assert [found[agent.pk].value for agent in agents] == [1_045, 2_095, 3_000]
        assert [found[agent.pk].held for agent in agents] == [{"BTC": "long"}, {}, {}]

    def test_cost_as_many_statements_as_one(self):
        agents = [make_agent() for _ in range(10)]
        for agent in agents:
            opened(agent)
            opened(agent, coin="ETH")
            opened(agent, **OVER)

        def statements(some):
            with CaptureQueriesContext(connection) as captured:
                accounts_of([agent.pk for agent in some], now=NOON)
            return len(captured)

        assert statements(agents[:1]) == statements(agents) == 4
