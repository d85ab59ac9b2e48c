"""Trades of agents as they are stored, closed, completed and called off."""

import os
import uuid
from dataclasses import replace
from decimal import Decimal
from functools import partial

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.agents.models import AgentTrade
from apps.agents.services import trade_exits, trades
from apps.agents.services.trades import (
    RefusedReport,
    TradeEnded,
    UnknownTrade,
    cancel_trade,
    close_trade,
    describe_trade,
    store_trades,
)
from apps.shared.errors import Conflict
from apps.shared.quant.money import TooLarge
from tests.agents.trading import (
    HOUR,
    MINUTE,
    NOON,
    OVER,
    Told,
    closing,
    every_bit,
    failures,
    opened,
    priced,
    refusal,
    told,
)
from tests.factories import make_agent, make_agent_decision
from tests.threads import at_once

pytestmark = pytest.mark.django_db

ROUNDS = int(os.environ.get("AGENTS_ROUNDS", "2"))
THREADS = 8
LARGEST = Decimal("99999999999999999999")


@pytest.fixture
def agent():
    return make_agent()


@pytest.fixture
def events(monkeypatch):
    """Return what is recorded of trades, in a list that fills."""
    found = []
    monkeypatch.setattr(trades, "record_trading_events", found.extend)
    monkeypatch.setattr(trade_exits, "record_trading_event", lambda **event: found.append(event))
    return found


def stored(row):
    return AgentTrade.objects.get(pk=row.pk if isinstance(row, AgentTrade) else row.id)


def store(*rows, now=NOON):
    return store_trades(rows, now=now)


def decision(agent, **values):
    """Return an accepted long of 2,000 dollars in Bitcoin, decided at noon at 50,000."""
    return make_agent_decision(agent=agent, **{"timestamp": NOON} | values)


def born_of(made, **values):
    """Return a trade that tells its decision, and nothing else unless it is given."""
    return Told(agent_id=str(made.agent_id), decision_id=str(made.pk), **values)


def ending(agent, **values):
    usual = {"action": "CLOSE_POSITION", "direction": "short", "size_usd": Decimal(0)}
    return decision(agent, **usual | values)


class TestATradeToldAlone:
    def test_is_stored_with_what_follows_from_it(self, agent):
        trade = opened(agent)

        assert (trade.status, trade.symbol, trade.coin) == ("open", "BTC/USD", "BTC")
        assert (trade.fees, trade.liquidation_price) == (5, 40_000)
        assert trade.decision is trade.realized_pnl is trade.unrealized_pnl is None

    def test_takes_coins_in_any_case(self, agent):
        assert opened(agent, coin="eth").symbol == "ETH/USD"

    def test_may_be_of_a_coin_that_the_agent_does_not_list(self, agent):
        assert opened(agent, coin="PEPE").symbol == ""

    def test_that_is_over_comes_to_the_known_result(self, agent):
        trade = opened(agent, **OVER, exit_fees=Decimal("5.1"), realized_pnl=Decimal(90))

        assert (trade.gross_pnl, trade.fees) == (100, Decimal("10.1"))
        assert (trade.realized_pnl, trade.reported_pnl) == (Decimal("89.9"), 90)

    def test_of_a_short_gains_where_the_price_falls(self, agent):
        trade = opened(agent, **OVER | {"exit_price": Decimal(49_000)}, side="short")

        assert (trade.gross_pnl, trade.liquidation_price) == (100, 60_000)

    def test_without_fees_told_nets_the_gross(self, agent):
        trade = opened(agent, **OVER, entry_fees=None)

        assert (trade.fees, trade.realized_pnl) == (0, 100)
        assert trade.entry_fees is trade.exit_fees is None

    def test_may_tell_the_total_of_its_fees_alone(self, agent):
        trade = opened(agent, **OVER, entry_fees=None, fees=Decimal(7))

        assert (trade.fees, trade.realized_pnl, trade.entry_fees) == (7, 93, None)

    @pytest.mark.parametrize("status", ["closed", "liquidated"])
    def test_that_ended_at_a_price_nobody_knows_came_to_something_unknown(self, agent, status):
        trade = opened(agent, status=status, exit_time=NOON, realized_pnl=Decimal(90))

        assert trade.realized_pnl is trade.gross_pnl is trade.exit_price is None
        assert (trade.fees, trade.reported_pnl) == (5, 90)
        assert list(AgentTrade.objects.pnl_unknown()) == [trade]

    def test_may_be_open_at_an_entry_that_is_not_known(self, agent):
        trade = opened(agent, entry_price=None, entry_time=None)

        assert trade.entry_price is trade.liquidation_price is None
        assert trade.entry_time == NOON

    def test_that_was_cancelled_has_no_money(self, agent):
        trade = opened(
            agent, status="cancelled", entry_price=None, entry_time=None, entry_fees=None
        )

        assert trade.fees is trade.realized_pnl is trade.entry_time is None

    def test_that_is_wrong_is_named_and_good_ones_are_stored(self, agent):
        rows = [
            told(agent),
            Told(agent_id=str(uuid.uuid4())),
            told(agent, **OVER | {"exit_time": NOON - 2 * HOUR}),
            told(agent, size=Decimal("NaN")),
            told(agent, size=LARGEST),
            told(agent, coin=None, side=None, size=None),
            told(agent, status="lost"),
            told(agent, **OVER),
        ]

        outcome = store(*rows)

        assert (outcome.created, outcome.failed) == (2, 6)
        assert failures(outcome) == [
            (1, "/agent_id", "unknown_agent"),
            (2, "/exit_time", "before_entry"),
            (3, "/size", "not_finite"),
            (4, "/size", "too_large"),
            (5, "/coin", "required"),
            (5, "/side", "required"),
            (5, "/size", "required"),
            (6, "/status", "not_a_choice"),
        ]
        assert AgentTrade.objects.count() == 2

    def test_takes_as_many_statements_for_many_as_for_two(self, agent):
        other = make_agent()
        decisions = [decision(each) for each in (agent, other)]

        def statements(count):
            rows = [told(each) for each in (agent, other) for _ in range(count)]
            rows += [born_of(each, size=Decimal(1)) for each in decisions for _ in range(count)]
            with CaptureQueriesContext(connection) as captured:
                assert store(*rows).created == 4 * count
                assert store(*rows).unchanged == 4 * count
            return len(captured)

        assert statements(1) == statements(50) <= 30

    def test_is_recorded_when_it_is_opened_and_not_when_it_is_over(self, agent, events):
        rows = [told(agent), told(agent, **OVER)]

        store(*rows)
        store(*rows)

        assert [(event["event_type"], event["trade_id"]) for event in events] == [
            ("trade_opened", rows[0].id)
        ]


class TestATradeBornOfADecision:
    def test_needs_nothing_but_the_decision(self, agent):
        made = decision(agent)
        priced(51_200)

        row = born_of(made)
        assert store(row).created == 1

        trade = stored(row)
        assert (trade.coin, trade.symbol, trade.side) == ("BTC", "BTC/USD", "long")
        assert (trade.leverage, trade.entry_time) == (5, NOON)
        assert (trade.entry_price, trade.size) == (51_200, Decimal("0.0390625"))
        assert trade.liquidation_price == 40_960

    def test_takes_the_price_that_was_known_then(self, agent):
        made = decision(agent)
        for minutes, price in ((-1, 49_000), (0, 50_100), (1, 52_000)):
            priced(price, at=NOON + minutes * MINUTE)

        row = born_of(made)
        store(row, now=NOON + HOUR)

        assert stored(row).entry_price == 50_100

    def test_takes_the_price_of_the_decision_where_the_market_has_none(self, agent):
        priced(49_000, at=NOON - HOUR)

        row = born_of(decision(agent))
        store(row)

        assert (stored(row).entry_price, stored(row).size) == (50_000, Decimal("0.04"))

    def test_has_no_entry_where_neither_knows_a_price(self, agent):
        made = decision(agent, entry_price=None)

        row = born_of(made, size=Decimal("0.04"))
        store(row)

        assert stored(row).entry_price is None
        assert failures(store(born_of(made))) == [(0, "/size", "required")]

    def test_may_say_itself_how_it_was_filled(self, agent):
        made = decision(agent)
        priced(51_200)
        values = {
            "entry_price": Decimal(50_010),
            "entry_time": NOON + MINUTE,
            "size": Decimal("0.0399"),
            "leverage": Decimal(3),
        }

        row = born_of(made, **values, coin="btc", side="long")
        store(row)

        trade = stored(row)
        assert {name: getattr(trade, name) for name in values} == values

    def test_is_short_where_the_decision_is(self, agent):
        row = born_of(decision(agent, action="OPEN_SHORT", direction="short"))
        store(row)

        assert (stored(row).side, stored(row).liquidation_price) == ("short", 60_000)

    def test_may_be_over_already_and_closed_by_a_decision(self, agent):
        made, last = decision(agent), ending(agent, timestamp=NOON + HOUR)
        exit_time = NOON + 2 * HOUR
        values = OVER | {"exit_time": exit_time, "close_decision_id": str(last.pk)}

        row = born_of(made, **values)
        outcome = store(row, now=exit_time)

        assert outcome.created == 1, outcome.results
        assert (stored(row).realized_pnl, stored(row).close_decision) == (40, last)

    @pytest.mark.parametrize(
        ("values", "pointer", "code"),
        [
            ({"status": "rejected", "violations": [{"rule": "x"}]}, "/decision_id", "not_accepted"),
            ({"status": "failed"}, "/decision_id", "not_accepted"),
            ({"action": "HOLD"}, "/decision_id", "not_an_opening"),
            ({"action": "CLOSE_POSITION"}, "/decision_id", "not_an_opening"),
            ({"coin": "ETH"}, "/coin", "other_coin"),
            ({"action": "OPEN_SHORT"}, "/side", "other_side"),
        ],
    )
    def test_is_refused_where_the_decision_says_otherwise(self, agent, values, pointer, code):
        row = told(agent, decision_id=str(decision(agent, **values).pk))

        assert failures(store(row)) == [(0, pointer, code)]

    def test_is_refused_where_the_decision_is_anothers_or_not_there(self, agent):
        foreign = decision(make_agent())

        outcome = store(
            told(agent, decision_id=str(foreign.pk)), told(agent, decision_id=str(uuid.uuid4()))
        )

        assert failures(outcome) == [
            (0, "/decision_id", "unknown_decision"),
            (1, "/decision_id", "unknown_decision"),
        ]

    @pytest.mark.parametrize(
        ("values", "code"),
        [
            ({"action": "HOLD"}, "not_a_close"),
            ({"coin": "ETH"}, "other_coin"),
            ({"status": "failed"}, "not_accepted"),
        ],
    )
    def test_is_refused_where_what_closed_it_says_otherwise(self, agent, values, code):
        last = ending(agent, **values)

        outcome = store(told(agent, **OVER, close_decision_id=str(last.pk)))

        assert failures(outcome) == [(0, "/close_decision_id", code)]

    def test_that_is_open_was_not_closed_by_a_decision(self, agent):
        outcome = store(told(agent, close_decision_id=str(ending(agent).pk)))

        assert failures(outcome) == [(0, "/close_decision_id", "not_closed")]


class TestToldAgain:
    def again(self, row):
        return store(row, now=NOON + HOUR)

    def test_is_unchanged_whatever_the_trade_has_done_since(self, agent):
        made = decision(agent, entry_price=None)
        row = born_of(made, size=Decimal(1), extra_metadata={"x": Decimal("0.1")}, notes="first")
        store(row)
        report = closing(exit_price=None, exit_time=None, realized_pnl=Decimal(3))
        complete = trades.CloseReport(exit_price=Decimal(9), entry_price=Decimal(8))
        moves = [
            lambda: priced(50_000),
            lambda: describe_trade(trade_id=row.id, values={"notes": "second"}, now=NOON),
            lambda: close_trade(trade_id=row.id, report=report, now=NOON),
            lambda: close_trade(trade_id=row.id, report=complete, now=NOON),
        ]

        for move in moves:
            move()
            before = every_bit()
            assert self.again(row).unchanged == 1
            assert every_bit() == before

    def test_is_unchanged_after_it_was_cancelled(self, agent):
        row = told(agent)
        store(row)
        cancel_trade(trade_id=row.id, reason="no funds", now=NOON)

        assert self.again(row).unchanged == 1

    @pytest.mark.parametrize(
        ("values", "names"),
        [
            ({"size": Decimal(2)}, ["size"]),
            ({"entry_price": Decimal(2)}, ["entry_price"]),
            ({"leverage": Decimal(2)}, ["leverage"]),
            ({"side": "short"}, ["side"]),
            ({"coin": "ETH"}, ["coin"]),
            ({"entry_time": NOON}, ["entry_time"]),
            ({"entry_fees": Decimal(2)}, ["entry_fees"]),
            ({"extra_metadata": {"x": 1}}, ["extra_metadata"]),
            ({"notes": "other", "hyperliquid_order_id": "7"}, ["hyperliquid_order_id", "notes"]),
            ({"status": "cancelled"}, ["status"]),
        ],
    )
    def test_with_other_content_names_what_differs(self, agent, values, names):
        row = told(agent)
        store(row)

        outcome = self.again(
            replace(row, entry_fees=None, **values)
            if "status" in values
            else replace(row, **values)
        )

        assert sorted(failures(outcome)) == [(0, f"/{name}", "differs") for name in names]

    def test_of_another_agent_tells_nothing_of_the_trade(self, agent):
        row = told(agent)
        store(row)

        outcome = self.again(replace(row, agent_id=str(make_agent().pk), size=Decimal(9)))

        assert failures(outcome) == [(0, "/agent_id", "differs")]

    def test_as_over_is_unchanged_where_it_ended_so(self, agent):
        row = told(agent)
        store(row)
        close_trade(trade_id=row.id, report=closing(), now=NOON)

        assert self.again(replace(row, **OVER, exit_reason="target")).unchanged == 1
        assert failures(self.again(replace(row, **OVER, exit_reason="stop"))) == [
            (0, "/exit_reason", "differs")
        ]
        assert (0, "/status", "differs") in failures(
            self.again(replace(row, **OVER | {"status": "liquidated"}))
        )

    def test_as_over_does_not_close_what_is_open(self, agent):
        row = told(agent)
        store(row)

        outcome = self.again(replace(row, **OVER))

        assert (0, "/status", "differs") in failures(outcome)
        assert stored(row).status == "open"

    def test_a_backfill_is_compared_with_what_was_reported(self, agent):
        row = told(agent, **OVER, realized_pnl=Decimal(90))
        store(row)

        assert self.again(row).unchanged == 1
        assert failures(self.again(replace(row, realized_pnl=Decimal(91)))) == [
            (0, "/realized_pnl", "differs")
        ]

    def test_in_the_same_batch_is_stored_once(self, agent):
        row = told(agent)

        outcome = store(row, row, replace(row, size=Decimal(2)))

        assert (outcome.created, outcome.unchanged) == (1, 1)
        assert failures(outcome) == [(2, "/size", "differs")]


class TestClosing:
    def close(self, trade, now=NOON, **values):
        return close_trade(trade_id=trade.pk, report=closing(**values), now=now)

    def test_comes_to_the_known_result(self):
        trade, changed = self.close(opened(), realized_pnl=Decimal(90))

        assert changed
        assert (trade.status, trade.exit_reason, trade.exit_time) == ("closed", "target", NOON)
        assert (trade.gross_pnl, trade.fees) == (100, Decimal("10.1"))
        assert (trade.realized_pnl, trade.reported_pnl) == (Decimal("89.9"), 90)

    def test_empties_what_was_unrealized(self):
        trade = opened()
        AgentTrade.objects.update(unrealized_pnl=Decimal(7), mark_price=Decimal(50_070))

        trade, _ = self.close(trade)

        assert (trade.unrealized_pnl, trade.mark_price) == (None, 50_070)

    def test_may_be_a_liquidation(self):
        trade, _ = self.close(opened(), liquidated=True, exit_price=Decimal(40_000))

        assert (trade.status, trade.gross_pnl) == ("liquidated", -1_000)

    def test_may_tell_the_total_of_fees_alone(self):
        trade, _ = self.close(opened(), exit_fees=None, fees=Decimal(12))

        assert (trade.fees, trade.realized_pnl) == (12, 88)

    def test_without_any_fee_told_nets_what_was_paid_at_entry(self):
        trade, _ = self.close(opened(), exit_fees=None)

        assert (trade.fees, trade.realized_pnl) == (5, 95)

    def test_may_tell_the_entry_that_was_not_known(self):
        trade, _ = self.close(opened(entry_price=None), entry_price=Decimal(50_000))

        assert (trade.entry_price, trade.liquidation_price) == (50_000, 40_000)
        assert trade.realized_pnl == Decimal("89.9")

    def test_may_name_the_decision_that_closed_it(self, agent):
        last = ending(agent)

        trade, _ = self.close(opened(agent), close_decision_id=str(last.pk))

        assert trade.close_decision == last

    @pytest.mark.parametrize(
        ("values", "code"),
        [
            ({"action": "HOLD"}, "not_a_close"),
            ({"coin": "ETH"}, "other_coin"),
            ({"status": "failed"}, "not_accepted"),
        ],
    )
    def test_by_a_decision_that_closes_nothing_is_refused(self, agent, values, code):
        last = ending(agent, **values)

        with pytest.raises(RefusedReport) as refused:
            self.close(opened(agent), close_decision_id=str(last.pk))

        assert refusal(refused.value) == [("/close_decision_id", code)]

    def test_by_a_decision_of_another_agent_is_refused(self, agent):
        with pytest.raises(RefusedReport) as refused:
            self.close(opened(agent), close_decision_id=str(ending(make_agent()).pk))

        assert refusal(refused.value) == [("/close_decision_id", "unknown_decision")]

    def test_the_same_again_changes_nothing(self, agent):
        values = {"realized_pnl": Decimal(90), "close_decision_id": str(ending(agent).pk)}
        trade = opened(agent)
        self.close(trade, liquidated=False, **values)
        before = every_bit()

        assert self.close(trade, now=NOON + HOUR, **values)[1] is False
        assert self.close(trade, now=NOON + HOUR, exit_time=None)[1] is False
        assert every_bit() == before

    def test_without_a_time_is_never_before_its_entry(self):
        trade = opened(entry_time=NOON + 2 * MINUTE)

        closed, _ = self.close(trade, exit_time=None)

        assert closed.exit_time == trade.entry_time

    @pytest.mark.parametrize(
        ("values", "name"),
        [
            ({"exit_price": Decimal(52_000)}, "exit_price"),
            ({"exit_time": NOON - MINUTE}, "exit_time"),
            ({"exit_fees": Decimal(1)}, "exit_fees"),
            ({"exit_fees": None, "fees": Decimal(1)}, "fees"),
            ({"exit_reason": "stop"}, "exit_reason"),
            ({"realized_pnl": Decimal(1)}, "realized_pnl"),
            ({"liquidated": True}, "liquidated"),
            ({"entry_price": Decimal(49_000)}, "entry_price"),
        ],
    )
    def test_otherwise_is_a_conflict_that_names_what_differs(self, values, name):
        trade = opened()
        self.close(trade)
        before = every_bit()

        with pytest.raises(Conflict) as refused:
            self.close(trade, **values)

        assert refusal(refused.value) == [(f"/{name}", "differs")]
        assert every_bit() == before

    @pytest.mark.parametrize(
        ("values", "pointer", "code"),
        [
            ({"exit_time": NOON - 2 * HOUR}, "/exit_time", "before_entry"),
            ({"exit_time": NOON + HOUR}, "/exit_time", "in_future"),
            ({"exit_price": Decimal(0)}, "/exit_price", "too_small"),
            ({"exit_fees": Decimal("NaN")}, "/exit_fees", "not_finite"),
            ({"realized_pnl": Decimal("1e20")}, "/realized_pnl", "too_large"),
            ({"fees": Decimal(11)}, "/fees", "not_the_sum"),
        ],
    )
    def test_that_cannot_be_is_refused(self, values, pointer, code):
        trade = opened()
        before = every_bit()

        with pytest.raises(RefusedReport) as refused:
            self.close(trade, **values)

        assert refusal(refused.value) == [(pointer, code)]
        assert every_bit() == before

    def test_without_an_entry_is_refused(self):
        with pytest.raises(RefusedReport) as refused:
            self.close(opened(entry_price=None))

        assert refusal(refused.value) == [("/entry_price", "no_entry")]

    def test_at_another_entry_than_is_known_is_a_conflict(self):
        with pytest.raises(Conflict):
            self.close(opened(), entry_price=Decimal(49_999))

    def test_of_more_than_columns_hold_is_refused(self):
        trade = opened(size=Decimal(10) ** 10, entry_price=Decimal(1))

        with pytest.raises(TooLarge):
            self.close(trade, exit_price=Decimal(10) ** 11)

    def test_of_a_trade_that_is_not_there_is_not_found(self):
        with pytest.raises(UnknownTrade):
            close_trade(trade_id=uuid.uuid4(), report=closing(), now=NOON)

    def test_of_a_trade_that_was_cancelled_is_refused(self):
        trade = opened()
        cancel_trade(trade_id=trade.pk, reason="", now=NOON)

        with pytest.raises(TradeEnded):
            self.close(trade)

    def test_is_recorded_as_it_ended(self, events):
        self.close(opened())
        self.close(opened(), liquidated=True)

        ends = [event["event_type"] for event in events if event["event_type"] != "trade_opened"]
        assert ends == ["trade_closed", "trade_liquidated"]


class TestAnEndThatIsNotKnown:
    @pytest.fixture
    def trade(self, agent):
        """Return a trade that was found to be gone: nobody knows at what price."""
        return self.gone(opened(agent))

    def gone(self, trade, **values):
        report = trades.CloseReport(**values)
        return close_trade(trade_id=trade.pk, report=report, now=NOON)[0]

    def complete(self, trade, **values):
        report = trades.CloseReport(**{"exit_price": Decimal(51_000)} | values)
        return close_trade(trade_id=trade.pk, report=report, now=NOON + HOUR)

    def test_comes_to_nothing_that_could_be_added(self, trade):
        assert (trade.status, trade.exit_time, trade.fees) == ("closed", NOON, 5)
        assert trade.exit_price is trade.realized_pnl is trade.gross_pnl is None

    def test_is_completed_by_its_price(self, trade):
        completed, changed = self.complete(trade, exit_fees=Decimal("5.1"))

        assert changed
        assert (completed.realized_pnl, completed.fees) == (Decimal("89.9"), Decimal("10.1"))
        assert (completed.status, completed.exit_time) == ("closed", NOON)

    def test_is_completed_by_when_it_really_was(self, trade):
        completed, _ = self.complete(trade, exit_time=NOON - MINUTE)

        assert completed.exit_time == NOON - MINUTE

    def test_is_completed_by_an_entry_that_was_not_known_either(self, agent):
        trade = self.gone(opened(agent, entry_price=None))

        with pytest.raises(RefusedReport):
            self.complete(trade)
        assert self.complete(trade, entry_price=Decimal(50_000))[0].realized_pnl == 95

    def test_is_completed_once(self, trade):
        self.complete(trade)
        before = every_bit()

        assert self.complete(trade)[1] is False
        with pytest.raises(Conflict):
            self.complete(trade, exit_price=Decimal(52_000))
        assert every_bit() == before

    def test_told_again_changes_nothing_before_or_after(self, trade):
        before = every_bit()
        self.gone(trade)
        assert every_bit() == before

        self.complete(trade)
        before = every_bit()
        self.gone(trade)
        assert every_bit() == before

    def test_of_a_liquidation_stays_one(self, agent):
        trade = self.gone(opened(agent), liquidated=True)

        assert self.complete(trade)[0].status == "liquidated"

    def test_may_have_known_its_fees(self, agent):
        trade = self.gone(opened(agent), fees=Decimal(8), realized_pnl=Decimal(90))

        completed, _ = self.complete(trade)

        assert (completed.fees, completed.realized_pnl, completed.reported_pnl) == (8, 92, 90)

    @pytest.mark.parametrize(
        ("first", "second", "name"),
        [
            ({"exit_reason": "sync"}, {"exit_reason": "stop"}, "exit_reason"),
            ({"realized_pnl": Decimal(90)}, {"realized_pnl": Decimal(91)}, "realized_pnl"),
            ({"exit_fees": Decimal(1)}, {"exit_fees": Decimal(2)}, "exit_fees"),
            ({"fees": Decimal(8)}, {"fees": Decimal(9)}, "fees"),
            ({"fees": Decimal(8)}, {"exit_fees": Decimal(9)}, "fees"),
            ({"liquidated": True}, {"liquidated": False}, "liquidated"),
            ({}, {"liquidated": True}, "liquidated"),
        ],
    )
    def test_is_not_completed_against_what_was_told(self, agent, first, second, name):
        trade = self.gone(opened(agent), **first)

        with pytest.raises(Conflict) as refused:
            self.complete(trade, **second)

        assert refusal(refused.value) == [(f"/{name}", "differs")]

    def test_is_recorded_when_it_becomes_known(self, trade, events):
        self.complete(trade)

        assert [event["event_type"] for event in events] == ["trade_completed"]


class TestCancelling:
    def test_ends_a_trade_without_money(self, events):
        trade = opened()
        AgentTrade.objects.update(unrealized_pnl=Decimal(7))

        assert cancel_trade(trade_id=trade.pk, reason="no funds", now=NOON)
        assert not cancel_trade(trade_id=trade.pk, reason="no funds", now=NOON)

        ended = stored(trade)
        assert (ended.status, ended.exit_reason) == ("cancelled", "no funds")
        assert ended.realized_pnl is ended.unrealized_pnl is None
        assert [event["event_type"] for event in events] == ["trade_opened", "trade_cancelled"]

    def test_of_a_trade_that_is_over_is_refused(self):
        trade = opened(**OVER)

        with pytest.raises(TradeEnded):
            cancel_trade(trade_id=trade.pk, reason="", now=NOON)


class TestDescribing:
    def test_changes_words_and_no_money(self):
        trade = opened(**OVER)
        values = {"notes": "late", "extra_metadata": {"x": Decimal("0.1")}}

        assert describe_trade(trade_id=trade.pk, values=values, now=NOON)
        assert not describe_trade(trade_id=trade.pk, values=values, now=NOON)

        after = stored(trade)
        assert (after.notes, after.extra_metadata) == ("late", {"x": 0.1})
        assert after.realized_pnl == trade.realized_pnl

    def test_moves_nothing_else(self):
        trade = opened()

        assert not describe_trade(trade_id=trade.pk, values={"size": Decimal(9)}, now=NOON)


@pytest.mark.django_db(transaction=True)
class TestEightThreadsOnOneTrade:
    def test_store_it_once(self):
        for _ in range(ROUNDS):
            row = told(make_agent())

            found = at_once([partial(store, row) for _ in range(THREADS)])

            assert sum(each.created for each in found) == 1
            assert sum(each.unchanged for each in found) == THREADS - 1

    def test_close_it_once(self):
        for _ in range(ROUNDS):
            trade = opened()
            reports = [closing(exit_reason=f"reason {place % 2}") for place in range(THREADS)]

            found = at_once(
                [
                    partial(close_trade, trade_id=trade.pk, report=report, now=NOON)
                    for report in reports
                ]
            )

            won = stored(trade).exit_reason
            changed = [each for each in found if isinstance(each, tuple) and each[1]]
            assert len(changed) == 1
            for report, each in zip(reports, found, strict=True):
                assert isinstance(each, tuple if report.exit_reason == won else Conflict), each

    def test_end_it_in_one_way_and_complete_it_once(self):
        for _ in range(ROUNDS):
            trade = opened()
            unknown = trades.CloseReport()
            calls = [
                *(partial(cancel_trade, trade_id=trade.pk, reason="", now=NOON) for _ in range(2)),
                *(
                    partial(close_trade, trade_id=trade.pk, report=report, now=NOON)
                    for report in (unknown, closing(), unknown, closing(), unknown, closing())
                ),
            ]

            found = at_once(calls)

            after = stored(trade)
            if after.status == "cancelled":
                assert all(isinstance(each, TradeEnded) for each in found[2:])
            else:
                assert all(isinstance(each, TradeEnded) for each in found[:2])
                assert (after.status, after.realized_pnl) == ("closed", Decimal("89.9"))
