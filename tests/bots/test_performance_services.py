"""Snapshots of all bots at once, the course of their equity, what bots report."""

import random
from datetime import UTC, timedelta
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.bots.domain.performance import (
    DEFINITIONS,
    NO_BALANCE,
    OTHER_TYPE,
    Booked,
    capital_of,
    figures_of,
    totals_of,
)
from apps.bots.models import BotPerformance, Trade
from apps.bots.services.equity import equity_curve, realized_by_day
from apps.bots.services.performance import FIGURES, snapshot_bots, store_reported
from apps.shared.quant.periods import quarter_of
from tests.bots.ledgers import book, closed, in_parts
from tests.factories import NOON, make_bot, make_bot_performance, make_trade

pytestmark = pytest.mark.django_db

LATER = NOON + timedelta(days=90, minutes=7)


def snapshot_of(bot, **values):
    return BotPerformance.objects.get(bot=bot, **values)


def reference(bot, trade_type, currency):
    """Return the figures of a ledger from its rows, one by one."""
    rows = Trade.objects.filter(bot=bot, trade_type=trade_type, quote_currency=currency)
    leaves = list(rows.leaves())
    micros = [round(each.exit_time.timestamp() * 10**6) for each in leaves]
    booked = Booked(np.array(micros, np.int64), np.array([float(each.net_pnl) for each in leaves]))
    roots = rows.roots().filter(status="closed")
    totals = totals_of((each.net_pnl for each in roots), (each.net_pnl for each in leaves))
    capital = capital_of(
        bot.initial_balance,
        bot_type=bot.type,
        bot_currency=bot.quote_currency,
        trade_type=trade_type,
        quote_currency=currency,
    )
    return figures_of(totals, booked, capital, open_trades=rows.open().count())


class TestSnapshots:
    def test_of_random_ledgers_equal_the_reference(self):
        chance = random.Random(11)
        bots = [make_bot(type="paper", initial_balance=None if n == 3 else 5000) for n in range(6)]
        trades = []
        for bot in bots:
            for kind, currency in [("paper", "USD"), ("live", "USD"), ("paper", "EUR")]:
                told = {"trade_type": kind, "quote_currency": currency}
                for _ in range(chance.randrange(30)):
                    net = Decimal(chance.randint(-10_000, 11_000)).scaleb(-2)
                    at = NOON + timedelta(minutes=15 * chance.randrange(4 * 24 * 60))
                    if bot in bots[:4] or chance.random() < 0.5:
                        trades.append(closed(bot, net, at, **told))
                    else:
                        nets = [net, chance.randint(-50, 50), "0.000000000000000001"]
                        over = chance.random() < 0.7
                        trades += in_parts(bot, nets, at, over=over, **told)
        Trade.objects.bulk_create(trades)

        made = snapshot_bots(now=LATER)

        rows = BotPerformance.objects.select_related("bot")
        assert made == rows.count() >= 12
        for row in rows:
            expected = reference(row.bot, row.trade_type, row.quote_currency)
            assert row.reasons == expected.reasons
            assert row.definitions == DEFINITIONS
            for name, value in expected.values.items():
                if isinstance(value, float):
                    assert getattr(row, name) == pytest.approx(value, rel=1e-9), name
                else:
                    assert getattr(row, name) == value, name

    def test_made_twice_in_a_quarter_of_an_hour_are_one(self):
        bot = make_bot()
        book(bot, (0, "10"))
        snapshot_bots(now=LATER)
        book(bot, (1, "-4"))

        assert snapshot_bots(now=LATER + timedelta(minutes=5)) == 1

        row = snapshot_of(bot)
        assert (row.calculated_at, row.net_pnl) == (LATER - timedelta(minutes=7), 6)

    def test_on_demand_are_of_the_moment(self):
        bot = make_bot()
        book(bot, (0, "10"))

        snapshot_bots(now=LATER, bots=[bot.pk], exact=True)

        assert snapshot_of(bot).calculated_at == LATER

    def test_stand_beside_what_was_reported(self):
        bot = make_bot()
        book(bot, (0, "10"))
        quarter = quarter_of(LATER)
        make_bot_performance(bot=bot, origin="reported", calculated_at=quarter, net_pnl=99)

        snapshot_bots(now=LATER)

        assert snapshot_of(bot, origin="computed").net_pnl == 10
        assert snapshot_of(bot, origin="reported").net_pnl == 99

    def test_never_add_types_or_currencies(self):
        bot = make_bot(type="live")
        book(bot, (0, "10"))
        book(bot, (0, "200"), trade_type="optimization")
        book(bot, (0, "3000"), quote_currency="EUR")

        snapshot_bots(now=LATER)

        found = BotPerformance.objects.values_list("trade_type", "quote_currency", "net_pnl")
        assert set(found) == {
            ("live", "USD", 10), ("optimization", "USD", 200), ("live", "EUR", 3000),
        }  # fmt: skip
        row = snapshot_of(bot, trade_type="optimization")
        assert row.reasons["equity"] == OTHER_TYPE.format("optimization")

    def test_count_what_is_open_and_make_none_of_that_alone(self):
        bot, other = make_bot(), make_bot()
        book(bot, (0, "10"))
        make_trade(bot=bot)
        make_trade(bot=other)

        assert snapshot_bots(now=LATER) == 1
        assert snapshot_of(bot).open_trades == 1

    def test_are_made_of_the_bots_that_are_named(self):
        bots = [make_bot() for _ in range(3)]
        for bot in bots:
            book(bot, (0, "10"))

        assert snapshot_bots(now=LATER, bots=[bots[1].pk, "nobody"]) == 1
        assert BotPerformance.objects.get().bot == bots[1]
        assert snapshot_bots(now=LATER, bots=[]) == 0

    def test_take_as_many_statements_for_all_bots_as_for_one(self):
        for _ in range(20):
            book(make_bot(), (0, "10"), (3, "-5"))

        with CaptureQueriesContext(connection) as queries:
            assert snapshot_bots(now=LATER) == 20

        assert len([each for each in queries if "INSERT" in each["sql"]]) == 1
        assert len(queries) <= 4


class TestEquityCurve:
    def curve(self, bot, **asked):
        return equity_curve(bot, bot.type, bot.quote_currency, **asked)

    def test_goes_from_exit_to_exit(self):
        bot = make_bot(initial_balance=100)
        book(bot, (1, "-4"), (0, "10"), (1, "1"))
        Trade.objects.bulk_create(in_parts(bot, ["2", "3"], NOON + timedelta(days=2)))

        found = self.curve(bot)

        assert [(each.net_pnl, each.equity) for each in found.points] == [
            (10, 110), (7, 107), (9, 109), (12, 112),
        ]  # fmt: skip
        assert [each.time.astimezone(UTC) - NOON for each in found.points] == [
            timedelta(days=days) for days in (0, 1, 2, 3)
        ]

    def test_since_a_moment_knows_what_was_before(self):
        bot = make_bot(initial_balance=100)
        book(bot, (0, "10"), (1, "-4"), (2, "1"))

        found = self.curve(bot, since=NOON + timedelta(days=1))

        assert (found.opening, [each.equity for each in found.points]) == (10, [106, 107])

    def test_without_capital_is_one_of_money_alone(self):
        bot = make_bot(initial_balance=None)
        book(bot, (0, "10"))

        found = self.curve(bot)

        assert (found.initial_balance, found.reason) == (None, NO_BALANCE)
        assert [(each.net_pnl, each.equity) for each in found.points] == [(10, None)]

    def test_of_many_exits_is_thinned_without_losing_its_extremes(self):
        bot = make_bot()
        chance = random.Random(4)
        nets = [chance.randint(-50, 52) for _ in range(700)]
        book(bot, *((n / 10, net) for n, net in enumerate(nets)))
        whole = list(np.cumsum(nets))

        found = self.curve(bot, points=50)

        shown = [int(each.net_pnl) for each in found.points]
        assert 25 < len(shown) <= 50
        assert (shown[0], shown[-1]) == (whole[0], whole[-1])
        assert (min(shown), max(shown)) == (min(whole), max(whole))

    def test_of_nothing_has_no_points(self):
        assert self.curve(make_bot()).points == []


class TestRealizedByDay:
    def test_keeps_types_and_currencies_apart(self):
        live, paper = make_bot(type="live"), make_bot(type="paper")
        book(live, (0, "10"), (0, "-3"), (1, "5"))
        book(live, (1, "7"), quote_currency="EUR")
        book(paper, (1, "100"))
        book(paper, (1, "999"), trade_type="optimization")

        found = realized_by_day(now=NOON + timedelta(days=1), days=2)

        days = [((each.day - NOON.date()).days, *each[1:]) for each in found]
        assert days == [
            (0, "live", "USD", 7), (1, "live", "EUR", 7), (1, "live", "USD", 5),
            (1, "paper", "USD", 100),
        ]  # fmt: skip
        [today] = realized_by_day(now=NOON + timedelta(days=1), days=1, bots=[paper.pk])
        assert today.net_pnl == 100

    def test_begins_at_midnight(self):
        bot = make_bot(type="live")
        book(bot, (-0.51, "1"), (-0.49, "2"))

        [found] = realized_by_day(now=NOON, days=1)

        assert found.net_pnl == 2


def report(bot, **values):
    """Return figures as a bot reports them, without any unless they are named."""
    usual = {
        "bot_id": bot if isinstance(bot, str) else bot.pk,
        "trade_type": "live",
        "quote_currency": None,
        "calculated_at": NOON,
        "metrics": {},
        "extra_metadata": {},
    }
    return SimpleNamespace(**dict.fromkeys(FIGURES) | usual | values)


class TestReports:
    def test_are_read_from_columns_and_from_metrics(self):
        bot = make_bot()
        metrics = {"sharpe_ratio": Decimal("1.5"), "win_rate": "55", "total_pnl": 12, "sqn": 2}

        outcome = store_reported([report(bot, win_rate=60.0, metrics=metrics)], now=LATER)

        row = snapshot_of(bot)
        assert outcome.created == 1
        assert (row.origin, row.quote_currency) == ("reported", "USD")
        assert (row.sharpe_ratio, row.win_rate, row.net_pnl) == (1.5, 60, 12)
        assert row.extra_metadata["metrics"]["sqn"] == 2
        assert (row.definitions, row.reasons) == ({}, {})

    @pytest.mark.parametrize(
        ("name", "sent", "reason"),
        [
            ("profit_factor", "inf", "Reported as infinity."),
            ("sharpe_ratio", "nan", "Reported as NaN."),
            ("avg_loss", "-Infinity", "Reported as minus infinity."),
            ("total_trades", 1.5, "Reported as what is no count."),
            ("net_pnl", "1e-19", "Reported with more digits than are kept."),
            ("win_rate", "1e400", "Reported as a number too large to be kept."),
            ("equity", ["many"], "Reported as what is no number."),
        ],
    )
    def test_that_no_column_can_hold_are_empty_with_a_reason(self, name, sent, reason):
        bot = make_bot()

        store_reported([report(bot, metrics={name: sent})], now=LATER)

        row = snapshot_of(bot)
        assert (getattr(row, name), row.reasons) == (None, {name: reason})

    def test_sent_again_are_unchanged_or_refused(self):
        bot = make_bot()
        store_reported([report(bot, net_pnl=Decimal(5))], now=LATER)

        again = store_reported([report(bot, net_pnl=Decimal(5))], now=LATER)
        other = store_reported([report(bot, net_pnl=Decimal(6))], now=LATER)

        assert (again.unchanged, other.failed) == (1, 1)
        assert other.results[0].errors[0].pointer == "/net_pnl"
        assert snapshot_of(bot).net_pnl == 5

    def test_of_nobody_and_from_the_future_are_named_and_the_others_stored(self):
        bot = make_bot()

        outcome = store_reported(
            [report("nobody"), report(bot, calculated_at=LATER + timedelta(hours=1)), report(bot)],
            now=LATER,
        )

        assert (outcome.created, outcome.failed) == (1, 2)
        codes = [each.errors[0].code for each in outcome.results]
        assert codes == ["unknown_bot", "in_future"]
