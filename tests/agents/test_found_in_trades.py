"""What was found by using trades, marks and the league of agents wrongly."""

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.agents.choices import Period
from apps.agents.domain import trades as trade_rules
from apps.agents.models import AgentPerformance, AgentStanding, AgentTrade
from apps.agents.services import marks, performance, standings
from apps.agents.services.trades import close_trade, store_trades
from apps.logs.models import Notification
from apps.shared.errors import Conflict
from tests.agents import league_rows
from tests.agents.trading import MINUTE, NOON, OVER, closing, every_bit, opened, priced, told
from tests.factories import make_agent

pytestmark = pytest.mark.django_db

UNKNOWN = OVER | {"exit_price": None}


@pytest.fixture
def agent(db):
    return make_agent()


class TestATradeToldAgainAfterItsPriceBecameKnown:
    """It was told as over at a price nobody knew; a close completed it, as its time says too."""

    def completed(self, row, **values):
        store_trades([row], now=NOON)
        close_trade(trade_id=row.id, report=closing(exit_fees=None, **values), now=NOON)
        return every_bit()

    def test_is_unchanged_where_only_the_time_was_made_exact(self, agent):
        row = told(agent, **UNKNOWN)
        before = self.completed(row, exit_time=NOON - MINUTE, exit_reason="")

        outcome = store_trades([row], now=NOON + MINUTE)

        assert (outcome.unchanged, outcome.failed) == (1, 0)
        assert every_bit() == before

    def test_is_unchanged_where_a_leg_was_added_to_its_fees(self, agent):
        row = told(agent, **UNKNOWN, fees=Decimal(5))
        store_trades([row], now=NOON)
        close_trade(trade_id=row.id, report=closing(exit_reason=""), now=NOON)

        assert AgentTrade.objects.get().fees == Decimal("10.1")
        assert store_trades([row], now=NOON + MINUTE).unchanged == 1

    def test_still_names_what_its_completion_cannot_have_moved(self, agent):
        row = told(agent, **UNKNOWN)
        self.completed(row, exit_time=NOON - MINUTE, exit_reason="")
        row.size = Decimal(7)

        outcome = store_trades([row], now=NOON + MINUTE)

        assert [each.pointer for each in outcome.results[0].errors] == ["/size"]

    def test_at_another_time_is_refused_while_nothing_completed_it(self, agent):
        row = told(agent, **UNKNOWN)
        store_trades([row], now=NOON)
        row.exit_time = NOON - MINUTE

        outcome = store_trades([row], now=NOON + MINUTE)

        assert [each.pointer for each in outcome.results[0].errors] == ["/exit_time"]


class TestAnEntryToldAfterTheEnd:
    def test_without_an_exit_price_is_a_conflict_and_not_lost_in_silence(self, agent):
        trade = opened(agent, entry_price=None)
        nothing = closing(exit_price=None, exit_fees=None, exit_reason="")
        close_trade(trade_id=trade.pk, report=nothing, now=NOON)
        before = every_bit()

        late = closing(exit_price=None, exit_fees=None, exit_reason="", entry_price=Decimal(50))
        with pytest.raises(Conflict) as refused:
            close_trade(trade_id=trade.pk, report=late, now=NOON)

        assert [each.pointer for each in refused.value.errors] == ["/entry_price"]
        assert every_bit() == before

    def test_again_with_the_entry_that_the_close_told_changes_nothing(self, agent):
        trade = opened(agent, entry_price=None)
        report = closing(exit_price=None, entry_price=Decimal(50_000))

        assert close_trade(trade_id=trade.pk, report=report, now=NOON)[1] is True
        assert close_trade(trade_id=trade.pk, report=report, now=NOON)[1] is False

    def test_with_the_exit_price_completes_the_trade(self, agent):
        trade = opened(agent, entry_price=None)
        nothing = closing(exit_price=None, exit_fees=None, exit_reason="")
        close_trade(trade_id=trade.pk, report=nothing, now=NOON)

        both = closing(entry_price=Decimal(50_000), exit_fees=None)
        after, changed = close_trade(trade_id=trade.pk, report=both, now=NOON)

        assert (changed, after.realized_pnl) == (True, Decimal(95))


class TestMarksOfManyTrades:
    """Two hundred thousand open trades took 900 MB, and their locks for half a minute."""

    def test_are_written_in_parts_and_each_is_told_of_once(self, agent, monkeypatch):
        monkeypatch.setattr(marks, "BATCH", 2)
        for _ in range(5):
            opened(agent)
        priced(49_000)

        assert marks.mark_trades(now=NOON) == 5
        assert marks.mark_trades(now=NOON) == 0
        assert {each.unrealized_pnl for each in AgentTrade.objects.all()} == {Decimal(-105)}
        assert Notification.objects.filter(what="agent_trade_near_liquidation").count() == 5

    def test_take_a_statement_more_for_each_part_and_none_for_each_trade(self, agent, monkeypatch):
        monkeypatch.setattr(marks, "BATCH", 10)
        priced(50_500)

        def statements(count):
            for _ in range(count):
                opened(agent)
            with CaptureQueriesContext(connection) as captured:
                marks.mark_trades(now=NOON)
            return len(captured)

        one = statements(1)
        assert statements(8) == one
        assert statements(3) < 2 * one + 2


class TestTheLeague:
    def test_marks_what_an_agent_holds_once_for_all_its_periods(self, agent, monkeypatch):
        league_rows.trades(agent, [1.0] * 3)
        for _ in range(4):
            opened(agent)
        priced(50_500, at=league_rows.NOW)
        asked = []
        plain = trade_rules.pnl
        monkeypatch.setattr(
            trade_rules, "pnl", lambda **values: asked.append(values) or plain(**values)
        )

        standings.rank_agents(now=league_rows.NOW)

        assert len(asked) == 4
        whole = AgentStanding.objects.get(period=Period.ALL)
        assert whole.net_pnl == Decimal(3 + 4 * 45)


class TestAnAgentDeletedWhileTheLeagueIsMade:
    """The others would have been left with what was a quarter of an hour old."""

    def while_deleting(self, agent, monkeypatch, module, name):
        plain = getattr(module, name)

        def deleting(*args, **values):
            found = plain(*args, **values)
            agent.delete()
            return found

        monkeypatch.setattr(module, name, deleting)

    def test_keeps_nobody_else_out_of_it(self, agent, monkeypatch):
        gone = make_agent()
        self.while_deleting(gone, monkeypatch, standings, "market_prices")

        assert standings.rank_agents(now=league_rows.NOW) == 3
        assert {each.agent_id for each in AgentStanding.objects.all()} == {agent.pk}
        connection.check_constraints()

    def test_keeps_nobody_else_from_a_snapshot(self, agent, monkeypatch):
        gone = make_agent()
        self.while_deleting(gone, monkeypatch, performance, "market_prices")

        assert performance.snapshot_agents(now=league_rows.NOW) == 1
        assert {each.agent_id for each in AgentPerformance.objects.all()} == {agent.pk}
        connection.check_constraints()
