"""Open trades at the market's price, and who is told of those near liquidation."""

from decimal import Decimal
from functools import partial

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.agents.models import AgentTrade
from apps.agents.services.accounts import accounts_of
from apps.agents.services.marks import mark_trades, prices_at
from apps.agents.services.trades import cancel_trade, close_trade
from apps.logs.models import Notification
from tests.agents.test_trades_services import ROUNDS
from tests.agents.trading import DAY, HOUR, MINUTE, NOON, OVER, closing, every_bit, opened, priced
from tests.factories import make_agent, make_candle, make_instrument
from tests.threads import at_once

pytestmark = pytest.mark.django_db


def marked(trade, now=NOON):
    """Mark all trades and return this one as it is then."""
    mark_trades(now=now)
    return AgentTrade.objects.get(pk=trade.pk)


class TestPricesAtTheirTime:
    def at(self, *moments, now=NOON + DAY, symbol="BTC/USD"):
        found = prices_at([(symbol, moment) for moment in moments], now=now)
        return [found.get((symbol, moment)) for moment in moments]

    def test_are_those_of_the_candle_that_ended_last(self):
        priced(100, at=NOON - MINUTE)
        priced(101)
        priced(102, at=NOON + MINUTE)

        late = NOON + MINUTE - MINUTE / 60
        assert self.at(NOON - MINUTE, NOON, late, NOON + MINUTE) == [100, 101, 101, 102]

    def test_are_not_known_before_they_were_there(self):
        priced(101)

        assert self.at(NOON - MINUTE) == [None]
        assert self.at(NOON, now=NOON - MINUTE) == [None]
        assert self.at(NOON + MINUTE, now=NOON) == [101]

    def test_are_not_known_where_they_are_too_old(self):
        priced(101)

        assert self.at(NOON + 10 * MINUTE, NOON + 11 * MINUTE) == [101, None]

    def test_come_of_the_finest_series_and_of_the_primary_source(self):
        common = {"symbol": "BTC/USD", "timestamp": NOON - HOUR}
        make_candle(**common, granularity="1h", price=200)
        make_candle(**common | {"timestamp": NOON - MINUTE}, granularity="1m", price=201)
        make_candle(**common, granularity="1h", price=300, source="other")

        assert self.at(NOON) == [201]
        make_instrument(symbol="BTC/USD", primary_source="other")
        assert self.at(NOON) == [300]

    def test_of_many_cost_one_statement(self):
        for minutes in range(20):
            priced(minutes + 1, at=NOON + minutes * MINUTE)

        with CaptureQueriesContext(connection) as captured:
            found = self.at(*[NOON + minutes * MINUTE for minutes in range(20)])

        assert found == list(range(1, 21))
        assert len(captured) == 1

    def test_of_nothing_cost_nothing(self):
        with CaptureQueriesContext(connection) as captured:
            assert prices_at([("", NOON)], now=NOON) == {}

        assert len(captured) == 0


class TestMarks:
    def test_are_what_a_trade_would_come_to_now(self):
        trade = opened()
        priced("50500.123456789012345678", at=NOON - MINUTE)

        after = marked(trade)

        assert after.unrealized_pnl == Decimal("45.012345678901234568")
        assert (after.mark_price, after.marked_at) == (
            Decimal("50500.123456789012345678"),
            NOON - MINUTE,
        )

    def test_of_a_short_rise_where_the_price_falls(self):
        trade = opened(side="short")
        priced(49_000)

        assert marked(trade).unrealized_pnl == 95

    def test_add_up_to_the_unrealized_of_the_account(self):
        agent = make_agent()
        for values in ({}, {"side": "short"}, {"coin": "ETH", "entry_price": Decimal(3)}):
            opened(agent, size=Decimal("0.123456789012345678"), **values)
        priced("50500.123456789")
        priced("3.000000000000000001", coin="ETH")
        mark_trades(now=NOON)

        marks = AgentTrade.objects.values_list("unrealized_pnl", flat=True)

        assert accounts_of([agent.pk], now=NOON)[agent.pk].unrealized == sum(marks)

    def test_are_written_only_where_something_changed(self):
        opened(), opened(coin="ETH"), opened(coin="PEPE")
        priced(50_500)
        priced(3_000, coin="ETH")

        assert mark_trades(now=NOON) == 2
        before = every_bit()
        assert mark_trades(now=NOON + MINUTE) == 0
        assert every_bit() == before
        priced(50_600, at=NOON + MINUTE)
        assert mark_trades(now=NOON + MINUTE) == 1

    def test_leave_alone_what_has_ended(self):
        over, closed, cancelled = opened(**OVER), opened(), opened()
        close_trade(trade_id=closed.pk, report=closing(), now=NOON)
        cancel_trade(trade_id=cancelled.pk, reason="", now=NOON)
        priced(50_500)

        assert mark_trades(now=NOON) == 0
        assert over.unrealized_pnl is None

    def test_know_nothing_without_an_entry(self):
        trade = opened(entry_price=None)
        priced(50_500)

        after = marked(trade)

        assert (after.unrealized_pnl, after.mark_price) == (None, 50_500)

    def test_know_nothing_any_more_where_the_market_is_silent(self):
        trade = opened()
        priced(50_500)

        assert marked(trade, now=NOON + 120 * HOUR).unrealized_pnl == 45
        after = marked(trade, now=NOON + 120 * HOUR + MINUTE)
        assert (after.unrealized_pnl, after.mark_price, after.marked_at) == (None, 50_500, NOON)

    def test_take_as_many_statements_for_many_as_for_one(self):
        priced(50_500)

        def statements(count):
            for _ in range(count):
                opened()
            with CaptureQueriesContext(connection) as captured:
                assert mark_trades(now=NOON) == count
            return len(captured)

        assert statements(1) == statements(20)


class TestNearLiquidation:
    def told(self):
        found = Notification.objects.filter(what="agent_trade_near_liquidation")
        return [(each.level, each.subject) for each in found.order_by("created_at", "pk")]

    def test_is_told_once_at_each_level(self):
        # A long at 50,000 with leverage 4 is liquidated at 37,500.
        trade = opened(make_agent(name="Trend Follower"), leverage=Decimal(4))
        for place, price in enumerate([50_000, 46_000, 45_000, 41_000, 40_500, 45_000, 50_000]):
            priced(price, at=NOON + place * MINUTE)
            mark_trades(now=NOON + place * MINUTE)
        for place, price in enumerate([46_000, 41_000], start=7):
            priced(price, at=NOON + place * MINUTE)
            mark_trades(now=NOON + place * MINUTE)

        assert self.told() == [
            ("warning", "Below 20 % to liquidation: Trend Follower, BTC"),
            ("critical", "Below 10 % to liquidation: Trend Follower, BTC"),
        ]
        first = Notification.objects.order_by("created_at", "pk").first()
        assert first.link == f"/admin/agents/agenttrade/{trade.pk}/change/"
        assert first.message == (
            "Trend Follower holds 0.1 BTC long at 46000: 18.48 % from its liquidation, which is"
            " at about 37500."
        )

    def test_of_a_short_is_told_as_the_price_rises(self):
        opened(leverage=Decimal(4), side="short")
        for place, price in enumerate([50_000, 53_000, 61_000, 70_000]):
            priced(price, at=NOON + place * MINUTE)
            mark_trades(now=NOON + place * MINUTE)

        assert [level for level, _ in self.told()] == ["warning", "critical"]

    def test_at_once_very_near_is_told_as_that_alone(self):
        opened()
        priced(39_000)
        mark_trades(now=NOON)

        assert [level for level, _ in self.told()] == ["critical"]
        assert "past its liquidation" in Notification.objects.get().message

    def test_is_told_of_each_trade(self):
        for _ in range(3):
            opened()
        priced(49_000)
        mark_trades(now=NOON)

        assert len(self.told()) == 3

    def test_is_not_told_where_nothing_is_known_of_it(self):
        opened(leverage=None), opened(leverage=Decimal(1)), opened(entry_price=None)
        priced(1)
        mark_trades(now=NOON)

        assert self.told() == []


@pytest.mark.django_db(transaction=True)
class TestAtTheSameMoment:
    def test_marks_tell_once_and_never_touch_what_is_closed(self):
        for _ in range(ROUNDS):
            held = [opened() for _ in range(4)]
            priced(49_000)
            calls = [partial(mark_trades, now=NOON) for _ in range(4)]
            calls += [
                partial(close_trade, trade_id=each.pk, report=closing(), now=NOON)
                for each in held[:2]
            ]

            found = at_once(calls)

            assert not [each for each in found if isinstance(each, Exception)]
            after = [AgentTrade.objects.get(pk=each.pk) for each in held]
            assert [each.unrealized_pnl for each in after] == [None, None, -105, -105]
            assert [each.status for each in after] == ["closed", "closed", "open", "open"]
            for each in held[2:]:
                key = f"agent_trade_near_liquidation:{each.pk}:20"
                assert Notification.objects.filter(dedupe_key=key).count() == 1
            AgentTrade.objects.all().delete()
            connection.cursor().execute("DELETE FROM candles")
