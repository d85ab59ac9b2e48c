"""Trades as they are stored, closed at once or in parts, and called off."""

import os
import uuid
from dataclasses import replace
from decimal import Decimal
from functools import partial

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.bots.domain.trades import MoreThanRemaining
from apps.bots.models import BotInstance, Trade
from apps.bots.services import exits, trade_summaries, trades
from apps.bots.services.trades import (
    HasExits,
    RefusedReport,
    TradeEnded,
    UnknownTrade,
    cancel_trade,
    close_trade,
    describe_trade,
    exit_part,
    store_trades,
)
from apps.shared.errors import Conflict
from apps.shared.quant.money import TooLarge
from tests.bots.trades import (
    HOUR,
    MINUTE,
    NOON,
    OVER,
    Told,
    closing,
    every_bit,
    new_bot,
    opened,
    parting,
    refusal,
)
from tests.threads import at_once

pytestmark = pytest.mark.django_db

ROUNDS = int(os.environ.get("BOTS_ROUNDS", "2"))
THREADS = 8
QUANTUM = Decimal("1e-18")
LARGEST = Decimal("99999999999999999999")


@pytest.fixture
def bot():
    return new_bot(id="grid-1")


@pytest.fixture
def events(monkeypatch):
    """Return what is recorded of trades, in a list that fills."""
    found = []
    monkeypatch.setattr(trades, "record_trading_events", found.extend)
    monkeypatch.setattr(exits, "record_trading_event", lambda **event: found.append(event))
    return found


def stored(row):
    return Trade.objects.get(pk=row.pk if isinstance(row, Trade) else row.id)


def failures(outcome):
    return [
        (result.index, error.pointer, error.code)
        for result in outcome.results
        for error in result.errors
    ]


class TestTakingIn:
    def test_an_open_trade_works_out_its_entry(self, bot):
        trade = opened(bot)

        assert (trade.status, trade.trade_type, trade.quote_currency) == ("open", "paper", "USD")
        assert (trade.entry_value, trade.entry_commission) == (5000, 5)
        assert (trade.original_position_size, trade.remaining_position_size) == (
            Decimal("0.1"),
            Decimal("0.1"),
        )
        assert trade.net_pnl is trade.commission is trade.exit_price is None

    def test_a_closed_trade_works_out_what_it_came_to(self, bot):
        trade = opened(bot, **OVER, net_pnl=Decimal(90))

        assert (trade.gross_pnl, trade.commission) == (100, Decimal("10.1"))
        assert (trade.net_pnl, trade.pnl_percentage) == (Decimal("89.9"), Decimal("1.798"))
        assert (trade.reported_net_pnl, trade.remaining_position_size) == (90, 0)

    def test_a_total_of_fees_leaves_the_legs_unknown(self, bot):
        trade = opened(bot, **OVER, commission=Decimal(7))

        assert (trade.commission, trade.net_pnl) == (7, 93)
        assert trade.entry_commission is trade.exit_commission is None

    def test_a_total_that_is_not_the_sum_of_its_legs_is_refused(self, bot):
        legs = {"entry_commission": Decimal(2), "exit_commission": Decimal(3)}

        outcome = store_trades(
            [Told(bot_id=bot.pk, **OVER, **legs, commission=Decimal(total)) for total in (5, 6)],
            now=NOON,
        )

        assert failures(outcome) == [(1, "/commission", "not_the_sum")]

    def test_type_and_currency_are_those_of_the_bot_where_they_are_not_told(self, bot):
        trade = opened(bot, symbol="AAPL")
        told = opened(bot, symbol="AAPL", trade_type="live", quote_currency="USD")

        assert (trade.trade_type, trade.quote_currency) == ("paper", "EUR")
        assert (told.trade_type, told.quote_currency) == ("live", "USD")

    def test_an_entry_without_a_time_is_now(self, bot):
        assert opened(bot, entry_time=None).entry_time == NOON

    def test_bad_rows_are_named_and_good_ones_stored(self, bot):
        rows = [
            Told(bot_id=bot.pk),
            Told(bot_id="nobody"),
            Told(bot_id=bot.pk, **OVER | {"exit_time": NOON - 2 * HOUR}),
            Told(bot_id=bot.pk, size=Decimal("NaN")),
            Told(bot_id=bot.pk, trade_type="real"),
            Told(bot_id=bot.pk, size=LARGEST),
            Told(bot_id=bot.pk, **OVER),
        ]

        outcome = store_trades(rows, now=NOON)

        assert (outcome.created, outcome.failed) == (2, 5)
        assert failures(outcome) == [
            (1, "/bot_id", "unknown_bot"),
            (2, "/exit_time", "before_entry"),
            (3, "/size", "not_finite"),
            (4, "/trade_type", "not_a_choice"),
            (5, "/entry_commission", "too_large"),
        ]
        assert Trade.objects.count() == 2

    def test_takes_as_many_statements_for_many_as_for_two(self, bot):
        other = new_bot()

        def statements(count):
            rows = [Told(bot_id=one.pk) for one in (bot, other) for _ in range(count)]
            with CaptureQueriesContext(
                connection,
            ) as captured:
                assert store_trades(rows, now=NOON).created == 2 * count
                store_trades(rows, now=NOON)
            return len(captured)

        assert statements(1) == statements(50)

    def test_shows_that_the_bot_is_at_work(self, bot):
        opened(bot)

        assert BotInstance.objects.get(pk=bot.pk).last_activity_at == NOON

    def test_records_what_was_opened_and_no_backfill(self, bot, events):
        rows = [Told(bot_id=bot.pk), Told(bot_id=bot.pk, **OVER)]

        store_trades(rows, now=NOON)
        store_trades(rows, now=NOON)

        assert [(event["event_type"], event["trade_id"]) for event in events] == [
            ("trade_opened", rows[0].id)
        ]


class TestToldAgain:
    def again(self, row):
        return store_trades([row], now=NOON + HOUR)

    def test_is_unchanged_whatever_the_trade_has_done_since(self, bot):
        row = Told(bot_id=bot.pk, entry_time=None, extra_metadata={"x": Decimal("0.1")})
        store_trades([row], now=NOON)
        moves = [
            lambda: None,
            lambda: exit_part(trade_id=row.id, report=parting(), now=NOON),
            lambda: close_trade(trade_id=row.id, report=closing(sell_order_closed=NOON), now=NOON),
        ]

        for move in moves:
            move()
            before = every_bit()
            assert self.again(row).unchanged == 1
            assert every_bit() == before

    def test_is_unchanged_after_it_was_cancelled(self, bot):
        row = Told(bot_id=bot.pk)
        store_trades([row], now=NOON)
        cancel_trade(trade_id=row.id, reason="no funds", now=NOON)

        assert self.again(row).unchanged == 1

    @pytest.mark.parametrize(
        ("values", "names"),
        [
            ({"size": Decimal(2)}, ["size", "entry_commission"]),
            ({"entry_price": Decimal(2)}, ["entry_price", "entry_commission"]),
            ({"direction": "short"}, ["direction"]),
            ({"symbol": "ETH/USD"}, ["symbol"]),
            ({"trade_type": "live"}, ["trade_type"]),
            ({"entry_time": NOON}, ["entry_time"]),
            ({"extra_metadata": {"x": 1}}, ["extra_metadata"]),
            ({"buy_order_created": NOON}, ["buy_order_created"]),
            ({"status": "cancelled"}, ["status"]),
        ],
    )
    def test_with_other_content_names_what_differs(self, bot, values, names):
        row = Told(bot_id=bot.pk)
        store_trades([row], now=NOON)

        outcome = self.again(replace(row, **values))

        assert sorted(failures(outcome)) == sorted((0, f"/{name}", "differs") for name in names)

    def test_as_closed_is_unchanged_where_it_was_closed_so(self, bot):
        row = Told(bot_id=bot.pk)
        store_trades([row], now=NOON)
        close_trade(trade_id=row.id, report=closing(), now=NOON)

        assert self.again(replace(row, **OVER, exit_reason="signal")).unchanged == 1
        assert failures(self.again(replace(row, **OVER))) == [(0, "/exit_reason", "differs")]

    def test_as_closed_does_not_close_what_is_open(self, bot):
        row = Told(bot_id=bot.pk)
        store_trades([row], now=NOON)

        outcome = self.again(replace(row, **OVER))

        assert (0, "/status", "differs") in failures(outcome)
        assert stored(row).status == "open"

    def test_a_backfill_is_compared_with_its_exit(self, bot):
        row = Told(bot_id=bot.pk, **OVER, net_pnl=Decimal(90))
        store_trades([row], now=NOON)

        assert self.again(row).unchanged == 1
        assert (0, "/exit_price", "differs") in failures(
            self.again(replace(row, exit_price=Decimal(52_000)))
        )
        assert failures(self.again(replace(row, net_pnl=Decimal(91)))) == [
            (0, "/net_pnl", "differs")
        ]

    def test_in_the_same_batch_is_stored_once(self, bot):
        row = Told(bot_id=bot.pk)
        other = replace(row, size=Decimal(2))

        outcome = store_trades([row, row, other], now=NOON)

        assert (outcome.created, outcome.unchanged) == (1, 1)
        assert (2, "/size", "differs") in failures(outcome)

    def test_under_the_id_of_a_part_is_something_else(self, bot):
        trade = opened(bot)
        part, _ = exit_part(trade_id=trade.pk, report=parting(), now=NOON)

        outcome = self.again(Told(id=str(part.pk), bot_id=bot.pk))

        assert (0, "/id", "differs") in failures(outcome)


class TestClosing:
    def test_at_once_comes_to_the_known_result(self):
        trade, changed = close_trade(
            trade_id=opened().pk, report=closing(net_pnl=Decimal(90)), now=NOON
        )

        assert changed
        assert (trade.status, trade.exit_reason, trade.exit_time) == ("closed", "signal", NOON)
        assert (trade.entry_commission, trade.exit_commission) == (5, Decimal("5.1"))
        assert (trade.gross_pnl, trade.commission) == (100, Decimal("10.1"))
        assert (trade.net_pnl, trade.pnl_percentage) == (Decimal("89.9"), Decimal("1.798"))
        assert (trade.reported_net_pnl, trade.remaining_position_size) == (90, 0)

    def test_takes_the_fee_that_is_told_before_any_rate(self):
        by_amount, _ = close_trade(
            trade_id=opened().pk, report=closing(exit_commission=Decimal(1)), now=NOON
        )
        by_rate, _ = close_trade(
            trade_id=opened().pk, report=closing(commission_rate=Decimal("0.002")), now=NOON
        )

        assert (by_amount.exit_commission, by_rate.exit_commission) == (1, Decimal("10.2"))

    def test_without_any_fee_told_nets_the_gross(self):
        trade, _ = close_trade(trade_id=opened(commission_rate=None).pk, report=closing(), now=NOON)

        assert (trade.commission, trade.net_pnl) == (0, 100)
        assert trade.entry_commission is trade.exit_commission is None

    def test_the_same_again_changes_nothing(self):
        metadata = {"order": "7", "slip": Decimal("0.10000000000000000000000001")}
        report = closing(exit_metadata=metadata, sell_order_closed=NOON)
        trade = opened()
        close_trade(trade_id=trade.pk, report=report, now=NOON)
        before = every_bit()

        assert close_trade(trade_id=trade.pk, report=report, now=NOON + HOUR)[1] is False
        assert every_bit() == before

    def test_again_without_a_time_changes_nothing(self):
        trade, report = opened(), closing(exit_time=None)

        first, _ = close_trade(trade_id=trade.pk, report=report, now=NOON)
        again, changed = close_trade(trade_id=trade.pk, report=report, now=NOON + HOUR)

        assert not changed
        assert first.exit_time == again.exit_time == NOON

    def test_without_a_time_is_never_before_its_entry(self):
        trade = opened(entry_time=NOON + 2 * MINUTE)

        closed, _ = close_trade(trade_id=trade.pk, report=closing(exit_time=None), now=NOON)

        assert closed.exit_time == trade.entry_time

    @pytest.mark.parametrize(
        ("values", "name"),
        [
            ({"exit_price": Decimal(52_000), "exit_commission": Decimal("5.1")}, "exit_price"),
            ({"exit_time": NOON - MINUTE}, "exit_time"),
            ({"exit_reason": "stop_loss"}, "exit_reason"),
            ({"exit_commission": Decimal(1)}, "exit_commission"),
            ({"commission_rate": Decimal("0.002")}, "exit_commission"),
            ({"net_pnl": Decimal(1)}, "net_pnl"),
            ({"exit_metadata": {"x": 1}}, "exit_metadata"),
            ({"sell_order_closed": NOON}, "sell_order_closed"),
        ],
    )
    def test_otherwise_is_a_conflict_that_names_it(self, values, name):
        trade = opened()
        close_trade(trade_id=trade.pk, report=closing(), now=NOON)
        before = every_bit()

        with pytest.raises(Conflict) as refused:
            close_trade(trade_id=trade.pk, report=closing(**values), now=NOON)

        assert refusal(refused.value) == [(f"/{name}", "differs")]
        assert every_bit() == before

    @pytest.mark.parametrize(
        ("values", "pointer", "code"),
        [
            ({"exit_time": NOON - 2 * HOUR}, "/exit_time", "before_entry"),
            ({"exit_time": NOON + HOUR}, "/exit_time", "in_future"),
            ({"exit_price": Decimal("NaN")}, "/exit_price", "not_finite"),
            ({"exit_price": Decimal(0)}, "/exit_price", "too_small"),
            ({"exit_commission": Decimal("Infinity")}, "/exit_commission", "not_finite"),
            ({"commission_rate": Decimal(2)}, "/commission_rate", "out_of_range"),
        ],
    )
    def test_that_cannot_be_is_refused_and_changes_nothing(self, values, pointer, code):
        trade = opened()
        before = every_bit()

        with pytest.raises(RefusedReport) as refused:
            close_trade(trade_id=trade.pk, report=closing(**values), now=NOON)

        assert refusal(refused.value) == [(pointer, code)]
        assert every_bit() == before

    def test_that_no_column_holds_is_refused_by_name(self):
        trade = opened(size=Decimal(10) ** 15)
        before = every_bit()

        with pytest.raises(TooLarge) as refused:
            close_trade(trade_id=trade.pk, report=closing(exit_price=Decimal(10) ** 9), now=NOON)

        assert refusal(refused.value) == [("/exit_commission", "too_large")]
        assert every_bit() == before

    def test_of_what_is_unknown_or_cancelled_is_refused(self):
        trade = opened()
        cancel_trade(trade_id=trade.pk, reason="", now=NOON)

        with pytest.raises(UnknownTrade):
            close_trade(trade_id=uuid.uuid4(), report=closing(), now=NOON)
        with pytest.raises(TradeEnded):
            close_trade(trade_id=trade.pk, report=closing(), now=NOON)

    def test_is_recorded_once_and_shows_that_the_bot_is_at_work(self, bot, events):
        trade = opened(bot)
        for _ in range(2):
            close_trade(trade_id=trade.pk, report=closing(), now=NOON + HOUR)

        assert [event["event_type"] for event in events] == ["trade_opened", "trade_closed"]
        assert BotInstance.objects.get(pk=bot.pk).last_activity_at == NOON + HOUR


class TestClosingInParts:
    def test_makes_parts_that_add_up_to_the_whole(self):
        root = opened(
            size=Decimal(1),
            entry_price=Decimal(100),
            commission_rate=None,
            entry_commission=Decimal(1),
        )
        for number, price in enumerate((110, 120), start=1):
            part, created = exit_part(
                trade_id=root.pk,
                report=parting(
                    size=Decimal("0.3"),
                    exit_price=Decimal(price),
                    exit_time=NOON - number * MINUTE,
                    exit_commission=Decimal("0.1"),
                ),
                now=NOON,
            )
            assert created
            assert (part.parent_trade_id, part.partial_exit_sequence) == (root.pk, number)
        halfway = stored(root)
        closed, _ = close_trade(
            trade_id=root.pk,
            report=closing(exit_price=Decimal(90), exit_commission=Decimal("0.1")),
            now=NOON,
        )
        parts = list(Trade.objects.filter(parent_trade=root).order_by("partial_exit_sequence"))

        assert (halfway.status, halfway.remaining_position_size) == ("open", Decimal("0.4"))
        assert (halfway.gross_pnl, halfway.commission) == (9, Decimal("0.8"))
        assert [part.gross_pnl for part in parts] == [3, 6, -4]
        assert [part.remaining_position_size for part in parts] == [
            Decimal("0.7"),
            Decimal("0.4"),
            0,
        ]
        assert [part.total_position_pnl for part in parts] == [None, None, Decimal("3.7")]
        assert parts[-1].pk == uuid.uuid5(root.pk, "last")
        assert (closed.status, closed.partial_exits) == ("closed", 3)
        assert (closed.gross_pnl, closed.commission) == (5, Decimal("1.3"))
        assert (closed.net_pnl, closed.pnl_percentage) == (Decimal("3.7"), Decimal("3.7"))
        assert (closed.exit_value, closed.exit_price) == (105, 105)
        assert closed.exit_time == NOON

    def test_adds_up_to_the_last_digit_where_nothing_divides(self):
        root = opened(
            size=Decimal("0.000000000000000007"),
            entry_price=Decimal("3.333333333333333333"),
            commission_rate=None,
            entry_commission=Decimal("0.000000000000000010"),
        )
        for _ in range(2):
            exit_part(trade_id=root.pk, report=parting(size=3 * QUANTUM), now=NOON)
        closed, _ = close_trade(trade_id=root.pk, report=closing(), now=NOON)
        parts = list(closed.exits.all())

        assert len(parts) == 3
        for name, whole in (
            ("size", closed.size),
            ("entry_commission", closed.entry_commission),
            ("entry_value", closed.entry_value),
            ("exit_value", closed.exit_value),
            ("gross_pnl", closed.gross_pnl),
            ("commission", closed.commission),
            ("net_pnl", closed.net_pnl),
        ):
            assert sum(getattr(part, name) for part in parts) == whole, name

    def test_ends_with_the_part_that_takes_all_that_is_left(self, events):
        root = opened()

        part, _ = exit_part(trade_id=root.pk, report=parting(size=Decimal("0.1")), now=NOON)

        closed = stored(root)
        assert (closed.status, closed.net_pnl, closed.partial_exits) == ("closed", part.net_pnl, 1)
        assert part.net_pnl == part.total_position_pnl == Decimal("89.9")
        assert [event["event_type"] for event in events] == ["trade_opened", "trade_closed"]

    def test_refuses_more_than_is_left(self):
        root = opened()
        exit_part(trade_id=root.pk, report=parting(size=Decimal("0.06")), now=NOON)
        before = every_bit()

        with pytest.raises(MoreThanRemaining) as refused:
            exit_part(trade_id=root.pk, report=parting(size=Decimal("0.05")), now=NOON)

        assert refusal(refused.value) == [("/size", "more_than_remaining")]
        assert every_bit() == before

    def test_the_same_part_again_changes_nothing_not_even_later(self):
        root, report = opened(), parting(exit_time=None)
        first, _ = exit_part(trade_id=root.pk, report=report, now=NOON)
        close_trade(trade_id=root.pk, report=closing(), now=NOON)
        before = every_bit()

        again, created = exit_part(trade_id=root.pk, report=report, now=NOON + HOUR)

        assert (again.pk, created) == (first.pk, False)
        assert every_bit() == before

    @pytest.mark.parametrize(
        ("values", "names"),
        [
            ({"size": Decimal("0.05")}, ["size"]),
            ({"exit_price": Decimal(1)}, ["exit_price", "exit_commission"]),
            ({"exit_reason": "other"}, ["exit_reason"]),
        ],
    )
    def test_the_same_id_with_other_content_is_a_conflict(self, values, names):
        root, report = opened(), parting()
        exit_part(trade_id=root.pk, report=report, now=NOON)

        with pytest.raises(Conflict) as refused:
            exit_part(trade_id=root.pk, report=replace(report, **values), now=NOON)

        assert sorted(refusal(refused.value)) == sorted((f"/{name}", "differs") for name in names)

    def test_an_id_of_another_trade_is_a_conflict(self, bot):
        root, other = opened(bot), opened(bot)

        for taken in (root, other):
            with pytest.raises(Conflict) as refused:
                exit_part(trade_id=root.pk, report=parting(id=taken.pk), now=NOON)
            assert refusal(refused.value) == [("/id", "differs")]

    def test_the_close_of_the_rest_may_come_twice(self):
        root = opened()
        exit_part(trade_id=root.pk, report=parting(), now=NOON)
        close_trade(trade_id=root.pk, report=closing(exit_time=None), now=NOON)
        before = every_bit()

        assert not close_trade(trade_id=root.pk, report=closing(exit_time=None), now=NOON + HOUR)[1]
        with pytest.raises(Conflict):
            close_trade(trade_id=root.pk, report=closing(exit_reason="x"), now=NOON)
        assert every_bit() == before

    def test_before_the_entry_is_refused(self):
        root = opened()
        before = every_bit()

        with pytest.raises(RefusedReport):
            exit_part(trade_id=root.pk, report=parting(exit_time=NOON - 2 * HOUR), now=NOON)

        assert every_bit() == before

    def test_parts_have_no_exits_of_their_own(self):
        root = opened()
        part, _ = exit_part(trade_id=root.pk, report=parting(), now=NOON)

        with pytest.raises(TradeEnded):
            exit_part(trade_id=part.pk, report=parting(size=QUANTUM), now=NOON)

    def test_reported_results_are_added_only_where_all_were_told(self):
        root, silent = opened(), opened()
        for trade, second in ((root, Decimal(2)), (silent, None)):
            exit_part(trade_id=trade.pk, report=parting(net_pnl=Decimal(1)), now=NOON)
            close_trade(trade_id=trade.pk, report=closing(net_pnl=second), now=NOON)

        assert stored(root).reported_net_pnl == 3
        assert stored(silent).reported_net_pnl is None


class TestCancelling:
    def test_ends_a_trade_without_money(self, events):
        trade = opened()

        assert cancel_trade(trade_id=trade.pk, reason="no funds", now=NOON)
        assert not cancel_trade(trade_id=trade.pk, reason="no funds", now=NOON)

        ended = stored(trade)
        assert (ended.status, ended.exit_reason, ended.net_pnl) == ("cancelled", "no funds", None)
        assert [event["event_type"] for event in events] == ["trade_opened", "trade_cancelled"]

    def test_of_a_trade_that_is_closed_or_partly_so_is_refused(self):
        closed, partly = opened(), opened()
        close_trade(trade_id=closed.pk, report=closing(), now=NOON)
        exit_part(trade_id=partly.pk, report=parting(), now=NOON)
        before = every_bit()

        with pytest.raises(TradeEnded):
            cancel_trade(trade_id=closed.pk, reason="", now=NOON)
        with pytest.raises(HasExits):
            cancel_trade(trade_id=partly.pk, reason="", now=NOON)
        assert every_bit() == before


class TestDescribing:
    def test_changes_words_and_no_money(self):
        trade, _ = close_trade(trade_id=opened().pk, report=closing(), now=NOON)
        values = {"strategy_name": "other", "extra_metadata": {"x": Decimal("0.1")}}

        assert describe_trade(trade_id=trade.pk, values=values, now=NOON)
        assert not describe_trade(trade_id=trade.pk, values=values, now=NOON)

        after = stored(trade)
        assert (after.strategy_name, after.extra_metadata) == ("other", {"x": 0.1})
        assert after.net_pnl == trade.net_pnl


class TestSummaries:
    def test_never_add_types_or_currencies(self, bot):
        for values in ({}, {"trade_type": "live"}, {"quote_currency": "EUR"}):
            opened(bot, **OVER, **values)
        opened(bot)
        opened(bot, **OVER | {"exit_price": Decimal(50_000)}, commission=Decimal(0))
        opened(bot, **OVER | {"exit_price": Decimal(49_000)}, commission=Decimal(0))
        cancel_trade(trade_id=opened(bot).pk, reason="", now=NOON)

        found = trade_summaries.summarize(Trade.objects.all())

        assert [(each.trade_type, each.quote_currency, each.total) for each in found] == [
            ("live", "USD", 1),
            ("paper", "EUR", 1),
            ("paper", "USD", 5),
        ]
        last = found[-1]
        assert (last.open, last.closed, last.cancelled) == (1, 3, 1)
        assert (last.wins, last.losses, last.breakeven) == (1, 1, 1)
        assert (last.gross_pnl, last.fees, last.net_pnl) == (0, Decimal("10.1"), Decimal("-10.1"))
        assert last.win_rate == Decimal("33.33333333")

    def test_count_trades_and_add_up_parts(self, bot):
        root, part_of_open = opened(bot), opened(bot)
        for trade in (root, part_of_open):
            exit_part(trade_id=trade.pk, report=parting(commission_rate=Decimal(0)), now=NOON)
        close_trade(trade_id=root.pk, report=closing(commission_rate=Decimal(0)), now=NOON)

        (found,) = trade_summaries.summarize(Trade.objects.all())

        assert (found.total, found.open, found.closed, found.wins) == (2, 1, 1, 1)
        assert (found.gross_pnl, found.fees) == (140, 7)

    def test_have_no_rate_without_closed_trades(self, bot):
        opened(bot)

        (found,) = trade_summaries.summarize(Trade.objects.all())

        assert found.win_rate is None
        assert (found.net_pnl, found.open) == (0, 1)


@pytest.mark.django_db(transaction=True)
class TestEightThreadsOnOneTrade:
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

    def test_never_sell_more_than_there_is(self):
        for _ in range(ROUNDS):
            trade = opened(size=Decimal(1))
            reports = [parting(size=Decimal("0.3")) for _ in range(THREADS // 2)] * 2

            found = at_once(
                [
                    partial(exit_part, trade_id=trade.pk, report=report, now=NOON)
                    for report in reports
                ]
            )

            parts = list(trade.exits.order_by("partial_exit_sequence"))
            assert [part.partial_exit_sequence for part in parts] == [1, 2, 3]
            assert stored(trade).remaining_position_size == Decimal("0.1")
            refused = [each for each in found if not isinstance(each, tuple)]
            assert len(refused) == 2
            assert all(isinstance(each, MoreThanRemaining) for each in refused)

    def test_end_it_in_one_way(self):
        for _ in range(ROUNDS):
            trade = opened(size=Decimal(1))
            calls = [
                *(
                    partial(close_trade, trade_id=trade.pk, report=closing(), now=NOON)
                    for _ in range(3)
                ),
                *(partial(cancel_trade, trade_id=trade.pk, reason="", now=NOON) for _ in range(2)),
                *(
                    partial(
                        exit_part,
                        trade_id=trade.pk,
                        report=parting(size=Decimal("0.5")),
                        now=NOON,
                    )
                    for _ in range(3)
                ),
            ]

            at_once(calls)

            after = stored(trade)
            parts = list(after.exits.all())
            assert after.status != "open"
            if after.status == "cancelled":
                assert parts == []
            elif parts:
                assert sum(part.size for part in parts) == after.size
                assert sum(part.net_pnl for part in parts) == after.net_pnl

    def test_give_a_part_of_one_id_to_one_trade(self):
        for _ in range(ROUNDS):
            trades = [opened(size=Decimal(1)) for _ in range(THREADS)]
            report = parting(size=Decimal("0.5"))

            found = at_once(
                [partial(exit_part, trade_id=each.pk, report=report, now=NOON) for each in trades]
            )

            assert sum(isinstance(each, Conflict) for each in found) == THREADS - 1
            assert sum(stored(each).partial_exits for each in trades) == 1
