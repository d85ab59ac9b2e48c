"""Limits that are set, fire once, are cancelled and armed again."""

import os
import random
from datetime import timedelta
from decimal import Decimal as D

import pytest

from apps.bots.choices import DesiredState, LimitStatus
from apps.bots.domain import limits as rules
from apps.bots.models import BotInstance, TradingLimit
from apps.bots.services.firing import evaluate_limits
from apps.bots.services.limits import LimitFinal, cancel_limits, rearm_limit, rearm_limits
from apps.logs.models import Notification
from tests.bots.limit_rows import DAY, HOUR, MINUTE, NOON, bar, limit, operators
from tests.factories import make_bot, make_position, make_trade
from tests.threads import at_once

pytestmark = pytest.mark.django_db

ROUNDS = int(os.environ.get("BOTS_ROUNDS", "3"))
FINE, LATER = NOON + 5 * MINUTE, NOON + 10 * MINUTE
CENT = D("0.01")
WHOLE = {"original_position_size": None, "remaining_position_size": None}


def stored(one):
    return TradingLimit.objects.get(pk=one.pk)


def closed(net, exit_time=NOON, **values):
    gross = D(net)
    figures = {"gross_pnl": gross, "commission": D(0), "net_pnl": gross, "pnl_percentage": None}
    return make_trade(
        closed=True, entry_time=exit_time - HOUR, exit_time=exit_time, **figures | values
    )


def wishes():
    return dict(BotInstance.objects.values_list("pk", "desired_state"))


class TestPriceLimits:
    @pytest.mark.parametrize(
        ("values", "candle", "at"),
        [
            ({}, (46_000, 47_000, 45_000, 46_500), 45_000),
            ({}, (44_000, 46_000, 43_000, 45_500), 44_000),
            ({"direction": "short"}, (44_000, 45_000, 43_000, 44_500), 45_000),
            ({"direction": "short"}, (46_000, 47_000, 44_000, 45_000), 46_000),
            ({"limit_type": "take_profit"}, (44_000, 45_500, 43_000, 44_500), 45_000),
            (
                {"limit_type": "take_profit", "direction": "short"},
                (46_000, 47_000, 44_900, 46_000),
                45_000,
            ),
        ],
    )
    def test_fires_at_its_price_or_at_the_open_beyond_it(self, values, candle, at):
        one = limit(**values)
        bar(NOON + MINUTE, *candle)

        assert evaluate_limits(now=LATER) == 1

        found = stored(one)
        assert found.status == LimitStatus.TRIGGERED
        assert (found.triggered_at, found.trigger_price) == (NOON + MINUTE, at)
        assert (found.triggered_value, found.evaluated_at) == (at, LATER)

    @pytest.mark.parametrize(
        ("values", "candle"),
        [
            ({}, (46_000, 60_000, "45000.01", 46_000)),
            ({"direction": "short"}, (44_000, "44999.99", 1, 44_000)),
            ({"limit_type": "take_profit"}, (44_000, "44999.99", 1, 44_000)),
            ({"type": "live", "symbol": "ETH/USD"}, (1, 1, 1, 1)),
        ],
    )
    def test_waits_until_its_price_is_touched(self, values, candle):
        one = limit(**values)
        bar(NOON + MINUTE, *candle)

        assert evaluate_limits(now=LATER) == 0
        assert stored(one).status == LimitStatus.ACTIVE

    def test_looks_at_no_candle_that_began_before_it_was_set_or_has_not_ended(self):
        one = limit(NOON + timedelta(seconds=1))
        bar(NOON, 40_000)
        bar(LATER, 40_000)

        assert evaluate_limits(now=LATER) == 0
        assert evaluate_limits(now=LATER + MINUTE) == 1
        assert stored(one).triggered_at == LATER

    def test_counts_a_changed_price_from_then_on(self):
        one = limit(price=D(40_000))
        bar(NOON, 42_000)
        TradingLimit.objects.filter(pk=one.pk).update(price=43_000, counts_from=FINE)

        assert evaluate_limits(now=LATER) == 0

    def test_counts_on_when_only_its_notes_are_changed(self):
        one = limit(price=D(43_000))
        bar(NOON, 42_000)
        TradingLimit.objects.filter(pk=one.pk).update(notes="look at it", updated_at=FINE)

        assert evaluate_limits(now=LATER) == 1

    def test_takes_the_first_of_several_touches(self):
        one = limit()
        for minute, low in enumerate([46_000, 44_000, 30_000]):
            bar(NOON + minute * MINUTE, 46_000, 46_000, low, 46_000)

        evaluate_limits(now=LATER)

        assert stored(one).triggered_at == NOON + MINUTE

    def test_finds_candles_that_arrive_late(self):
        one = limit()
        bar(NOON + 9 * MINUTE, 50_000)
        assert evaluate_limits(now=LATER) == 0

        bar(NOON + 2 * MINUTE, 44_000)

        assert evaluate_limits(now=LATER + MINUTE) == 1
        assert stored(one).triggered_at == NOON + 2 * MINUTE

    def test_says_how_near_it_is(self):
        one = limit(reference_price=D(50_000))
        bar(NOON, 46_000)

        evaluate_limits(now=LATER)

        found = stored(one)
        assert (found.current_value, found.usage) == (46_000, D("0.8"))
        assert (found.evaluated_at, found.evaluated_until) == (LATER, NOON + MINUTE)
        assert found.updated_at == NOON

    def test_begins_its_way_at_the_first_price_that_is_known(self):
        one = limit()
        bar(NOON, 50_000)
        evaluate_limits(now=FINE)
        bar(FINE, 47_500)

        evaluate_limits(now=LATER)

        assert (stored(one).reference_price, stored(one).usage) == (50_000, D("0.5"))

    def test_of_a_lot_that_is_sold_out_waits(self):
        lot = make_position(total_size=D(0), available_size=D(0))
        limit(lot=lot)
        bar(NOON, 44_000)

        assert evaluate_limits(now=LATER) == 0


class TestDailyLoss:
    def test_fires_when_the_loss_of_the_day_reaches_it(self):
        one = operators("max_daily_loss", 100)
        closed(-60)
        closed(20)
        assert evaluate_limits(now=LATER) == 0
        assert (stored(one).current_value, stored(one).usage) == (40, D("0.4"))

        closed(-60)

        assert evaluate_limits(now=LATER) == 1
        found = stored(one)
        assert (found.triggered_at, found.triggered_value) == (LATER, 100)
        assert found.trigger_price is None

    def test_a_cent_less_is_less(self):
        one = operators("max_daily_loss", 100)
        closed(CENT - 100)

        assert evaluate_limits(now=LATER) == 0
        assert stored(one).usage == D("0.9999")

    def test_a_profit_uses_nothing_up(self):
        one = operators("max_daily_loss", 100)
        closed(60)
        evaluate_limits(now=LATER)

        assert (stored(one).current_value, stored(one).usage) == (-60, 0)

    def test_counts_only_what_lies_within_it(self):
        bot, other = make_bot(), make_bot(type="paper")
        one = operators("max_daily_loss", 100, bot=bot, symbol="BTC/USD")
        yesterday = NOON.replace(hour=0) - timedelta(microseconds=1)
        closed(-1000, bot=make_bot())
        closed(-1000, bot=bot, symbol="ETH/USD")
        closed(-1000, bot=bot, quote_currency="EUR")
        closed(-1000, bot=bot, trade_type="paper")
        closed(-1000, bot=other)
        closed(-1000, bot=bot, exit_time=yesterday)
        make_trade(bot=bot)
        closed(-1, bot=bot, exit_time=NOON.replace(hour=0))

        assert evaluate_limits(now=LATER) == 0
        assert stored(one).current_value == 1

    def test_adds_parts_and_not_their_whole(self):
        one = operators("max_daily_loss", 100)
        root = closed(-60, partial_exits=2)
        for part in (1, 2):
            parent = {"parent_trade": root, "partial_exit_sequence": part, "is_partial_exit": True}
            closed(-30, bot=root.bot, **parent)

        evaluate_limits(now=LATER)

        assert stored(one).current_value == 60


class TestDrawdown:
    def test_is_measured_from_the_peak_with_open_trades_at_the_newest_price(self):
        bot = make_bot(initial_balance=D(1000))
        one = operators("max_drawdown", 20, bot=bot)
        closed(500, bot=bot, exit_time=NOON - 2 * DAY)
        closed(-150, bot=bot, exit_time=NOON - DAY)
        make_trade(bot=bot, size=D(1), remaining_position_size=None, entry_price=D(500))
        bar(NOON, 400)

        assert evaluate_limits(now=LATER) == 0
        # 1500 at the peak, 1350 realized, 100 lost in the open trade.
        assert stored(one).current_value == D("16.666666666666666667")

        bar(FINE, 350)
        assert evaluate_limits(now=LATER) == 1
        assert stored(one).triggered_value == 20

    def test_counts_what_is_left_of_shorts_the_other_way(self):
        bot = make_bot(initial_balance=D(1000))
        one = operators("max_drawdown", 50)
        sizes = {
            "size": D(2),
            "original_position_size": D(2),
            "remaining_position_size": D(1),
        }
        make_trade(bot=bot, direction="short", entry_price=D(500), **sizes)
        bar(NOON, 600)

        evaluate_limits(now=LATER)

        assert stored(one).current_value == 10

    def test_is_unknown_without_capital(self):
        bot = make_bot(initial_balance=None)
        one = operators("max_drawdown", 1)
        closed(-1000, bot=bot)

        assert evaluate_limits(now=LATER) == 0
        assert (stored(one).current_value, stored(one).usage) == (None, None)
        assert stored(one).evaluated_at == LATER

    def test_of_a_symbol_counts_the_bots_that_trade_it(self):
        one = operators("max_drawdown", 90, symbol="ETH/USD")
        traders = [make_bot(initial_balance=D(1000)), make_bot(symbol="ETH/USD")]
        make_bot(initial_balance=D(1_000_000))
        closed(-110, bot=traders[0], symbol="ETH/USD")
        closed(-5000, bot=traders[0])

        evaluate_limits(now=LATER)

        assert stored(one).current_value == 1


class TestExposure:
    def test_is_what_is_left_at_the_newest_price_else_at_the_entry(self):
        one = operators("max_exposure", 1000)
        sizes = {"size": D(3), "original_position_size": D(3), "remaining_position_size": D(2)}
        make_trade(symbol="ETH/USD", entry_price=D(90), **sizes)
        make_trade(symbol="ADA/USD", size=D(5), remaining_position_size=None, entry_price=D(10))
        bar(NOON, 100, symbol="ETH/USD")

        assert evaluate_limits(now=LATER) == 0
        assert (stored(one).current_value, stored(one).usage) == (250, D("0.25"))

        bar(FINE, 475, symbol="ETH/USD")
        assert evaluate_limits(now=LATER) == 1


class TestTradesPerHour:
    def test_counts_what_was_told_within_the_hour(self):
        one = operators("max_trades_per_hour", 3, currency="")
        trades = [make_trade() for _ in range(4)]
        for trade, told in zip(
            trades, [LATER - HOUR, LATER - HOUR + MINUTE, LATER, LATER + MINUTE], strict=True
        ):
            type(trade).objects.filter(pk=trade.pk).update(created_at=told)

        assert evaluate_limits(now=LATER) == 0
        assert stored(one).current_value == 2
        assert evaluate_limits(now=LATER + 30 * timedelta(seconds=1)) == 0
        type(trades[0]).objects.filter(pk=trades[0].pk).update(created_at=FINE)
        assert evaluate_limits(now=LATER) == 1


class TestFiring:
    def test_tells_staff_once_and_never_again(self):
        one = limit(limit_type="take_profit")
        bar(NOON, 46_000)

        assert [evaluate_limits(now=LATER) for _ in range(3)] == [1, 0, 0]

        [told] = Notification.objects.all()
        assert (told.what, told.level) == ("limit_triggered", "info")
        assert told.subject == "Take profit reached: BTC/USD (live)"
        assert "45000 was reached at 46000, 2026-03-02 12:00 UTC." in told.message
        assert one.pk in told.link

    @pytest.mark.parametrize(("action", "state"), [("pause", "pause"), ("stop", "stop")])
    def test_asks_its_bot(self, action, state):
        bot, other = make_bot(), make_bot()
        one = operators("max_daily_loss", 1, bot=bot, action=action)
        closed(-2, bot=bot)

        evaluate_limits(now=LATER)

        bot.refresh_from_db()
        assert wishes() == {bot.pk: state, other.pk: "run"}
        assert (bot.desired_by, bot.desired_at) == (f"limit {one.pk}", LATER)
        assert bot.desired_reason == "Maximum daily loss 1 USD was reached: 2 USD."
        assert Notification.objects.get().message.endswith(f"1 bot is told to {action}.")

    def test_asks_all_bots_of_its_type_in_its_currency(self):
        usd, euro, paper = make_bot(), make_bot(quote_currency="EUR"), make_bot(type="paper")
        operators("max_daily_loss", 1, action="pause")
        closed(-2, bot=usd)

        evaluate_limits(now=LATER)

        assert wishes() == {usd.pk: "pause", euro.pk: "run", paper.pk: "run"}

    def test_with_a_symbol_asks_those_that_hold_it(self):
        holder, idle, other = make_bot(), make_bot(), make_bot()
        make_trade(bot=holder)
        make_trade(bot=other, symbol="ETH/USD")
        limit(action="stop")
        bar(NOON, 44_000)

        evaluate_limits(now=LATER)

        assert wishes() == {holder.pk: "stop", idle.pk: "run", other.pk: "run"}

    def test_of_a_lot_asks_the_bot_it_belongs_to(self):
        bot, other = make_bot(), make_bot()
        lot = make_position(bot=bot)
        limit(lot=lot, bot=bot, action="pause")
        make_trade(bot=other)
        bar(NOON, 44_000)

        evaluate_limits(now=LATER)

        assert wishes() == {bot.pk: "pause", other.pk: "run"}

    def test_leaves_a_bot_that_is_to_stop_so(self):
        bot = make_bot(desired_state=DesiredState.STOP, desired_by="ada")
        operators("max_daily_loss", 1, action="pause")
        closed(-2, bot=bot)

        assert evaluate_limits(now=LATER) == 1

        bot.refresh_from_db()
        assert (bot.desired_state, bot.desired_by, bot.instruction) == ("stop", "ada", 0)

    def test_turns_a_pause_into_a_stop(self):
        bot = make_bot(desired_state=DesiredState.PAUSE)
        operators("max_daily_loss", 1, action="stop")
        closed(-2, bot=bot)

        evaluate_limits(now=LATER)

        assert wishes() == {bot.pk: "stop"}

    def test_is_undone_with_its_notification(self, monkeypatch):
        one = operators("max_daily_loss", 1)
        closed(-2)

        def broken(*args, **kwargs):
            raise RuntimeError("the server goes away")

        with monkeypatch.context() as patched:
            patched.setattr("apps.bots.services.firing.notify", broken)
            with pytest.raises(RuntimeError):
                evaluate_limits(now=LATER)
        assert stored(one).status == LimitStatus.ACTIVE

        assert evaluate_limits(now=LATER) == 1
        assert Notification.objects.count() == 1

    def test_costs_one_statement_when_nothing_is_active(self, django_assert_num_queries):
        limit(status="cancelled")
        with django_assert_num_queries(1):
            assert evaluate_limits(now=LATER) == 0

    def test_costs_the_same_for_many(self, django_assert_max_num_queries):
        bot = make_bot()
        closed(-50, bot=bot)
        bar(NOON, 50_000)
        for _ in range(20):
            operators("max_daily_loss", 100)
            limit()
        with django_assert_max_num_queries(8):
            evaluate_limits(now=LATER)


class TestRules:
    """The statements say what the rules in the domain say, over prices drawn at random."""

    def test_of_prices(self):
        draw = random.Random(5)
        bars = []
        for minute in range(8):
            low, opened, close, high = sorted(draw.randint(90_00, 110_00) for _ in range(4))
            bars.append((opened, high, low, close))
            bar(NOON + minute * MINUTE, *(D(each) / 100 for each in bars[-1]))
        made = [
            limit(
                limit_type=draw.choice(["stop_loss", "take_profit"]),
                direction=draw.choice(["long", "short"]),
                price=D(draw.randint(75_00, 125_00)) / 100,
                reference_price=D(draw.randint(85_00, 115_00)) / 100,
            )
            for _ in range(60)
        ]

        evaluate_limits(now=LATER)

        fired = 0
        for one in made:
            above = rules.fires_above(one.limit_type, one.direction)
            touches = [
                (NOON + minute * MINUTE, at)
                for minute, (opened, high, low, _) in enumerate(bars)
                if (
                    at := rules.crossed_at(
                        price=one.price,
                        above=above,
                        opened=D(opened) / 100,
                        high=D(high) / 100,
                        low=D(low) / 100,
                    )
                )
            ]
            found = stored(one)
            expected = touches[0] if touches else (None, None)
            assert (found.triggered_at, found.trigger_price) == expected
            current = expected[1] or D(bars[-1][3]) / 100
            used = rules.way_used(reference=one.reference_price, price=one.price, current=current)
            assert found.usage == (max(used or D(1), D(1)) if touches else used)
            fired += bool(touches)
        assert 10 < fired < 55

    def test_of_drawdowns(self):
        draw = random.Random(6)
        bar(NOON, 150, symbol="ETH/USD")
        for _ in range(10):
            bot = make_bot(initial_balance=D(1000))
            one = operators("max_drawdown", 25, bot=bot)
            results = [D(draw.randint(-9_000, 9_000)) / 100 for _ in range(draw.randint(0, 9))]
            for number, result in enumerate(results):
                closed(result, bot=bot, exit_time=NOON + number * MINUTE)
            entry = D(draw.randint(1, 300))
            make_trade(bot=bot, symbol="ETH/USD", size=D(1), entry_price=entry, **WHOLE)

            evaluate_limits(now=LATER)

            expected = rules.drawdown_pct(initial=D(1000), results=results, unrealized=150 - entry)
            found = stored(one)
            assert abs(found.current_value - expected) <= D("1e-18")
            reached = rules.reached(value=found.current_value, threshold=D(25))
            assert (found.status == "triggered") == reached
            used = rules.share_used(value=found.current_value, threshold=D(25))
            assert found.usage == used


@pytest.mark.django_db(transaction=True)
class TestSeveralAtOnce:
    def test_fire_each_limit_once(self):
        for _ in range(ROUNDS):
            bots = [make_bot() for _ in range(3)]
            for bot in bots:
                closed(-200, bot=bot)
                operators("max_daily_loss", 100, bot=bot, action="pause")
                limit(bot=bot, action="stop")
            operators("max_daily_loss", 100, action="stop")
            bar(NOON, 44_000, source=bots[0].pk)
            told = Notification.objects.count()

            fired = at_once([lambda: evaluate_limits(now=LATER)] * 4)

            assert sum(fired) == 7
            assert Notification.objects.count() - told == 7
            assert not TradingLimit.objects.active().exists()
            ours = BotInstance.objects.filter(pk__in=[bot.pk for bot in bots])
            assert {bot.desired_state for bot in ours} == {"stop"}

    def test_a_cancelled_limit_has_not_fired(self):
        for _ in range(ROUNDS):
            one = operators("max_daily_loss", 100)
            closed(-200, bot=make_bot())
            rows = TradingLimit.objects.filter(pk=one.pk)
            before = Notification.objects.count()

            fired, cancelled = at_once(
                [
                    lambda: evaluate_limits(now=LATER),
                    lambda rows=rows: cancel_limits(rows, by="ada", now=LATER),
                ]
            )

            assert fired + cancelled == 1
            assert Notification.objects.count() - before == fired
            assert stored(one).status == ("triggered" if fired else "cancelled")


class TestCancelling:
    def test_ends_what_is_active_alone(self):
        active, fired = operators("max_daily_loss", 100), operators("max_daily_loss", 1)
        closed(-2)
        evaluate_limits(now=LATER)
        rows = TradingLimit.objects.all()

        assert [cancel_limits(rows, by="ada", now=LATER) for _ in range(2)] == [1, 0]

        assert (stored(active).status, stored(active).cancelled_by) == ("cancelled", "ada")
        assert stored(fired).status == "triggered"

    def test_keeps_it_from_firing(self):
        limit()
        cancel_limits(TradingLimit.objects.all(), by="ada", now=NOON)
        bar(NOON, 44_000)

        assert evaluate_limits(now=LATER) == 0


class TestArmingAgain:
    def fired(self, **values):
        one = limit(id="stop", action="pause", notes="tight", **values)
        bar(NOON, 44_000)
        evaluate_limits(now=LATER)
        return one

    def test_sets_a_new_limit_and_keeps_the_old_one(self):
        self.fired()

        new, created = rearm_limit(limit_id="stop", by="ada", now=LATER)

        assert (new.pk, new.status, created) == ("stop~2", "active", True)
        assert (new.price, new.action, new.notes) == (45_000, "pause", "tight")
        assert (new.reference_price, new.triggered_at, new.usage) == (44_000, None, None)
        assert TradingLimit.objects.get(pk="stop").status == "triggered"

    def test_twice_makes_one(self):
        self.fired()
        rearm_limit(limit_id="stop", by="ada", now=LATER)

        assert rearm_limit(limit_id="stop", by="ada", now=LATER)[1] is False
        assert rearm_limits(TradingLimit.objects.all(), by="ada", now=LATER) == 0
        assert TradingLimit.objects.count() == 2

    def test_is_for_limits_that_fired(self):
        limit(id="active")

        with pytest.raises(LimitFinal, match="is active"):
            rearm_limit(limit_id="active", by="ada", now=LATER)
        assert rearm_limits(TradingLimit.objects.all(), by="ada", now=LATER) == 0

    def test_fires_no_more_for_what_was_before(self):
        self.fired()
        rearm_limit(limit_id="stop", by="ada", now=LATER)
        TradingLimit.objects.filter(pk="stop~2").update(created_at=LATER, updated_at=LATER)

        assert evaluate_limits(now=LATER + MINUTE) == 0
        bar(LATER, 44_000)
        assert evaluate_limits(now=LATER + MINUTE) == 1
        assert rearm_limits(TradingLimit.objects.filter(pk="stop~2"), by="ada", now=LATER) == 1
