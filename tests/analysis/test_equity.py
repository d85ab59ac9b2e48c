"""The equity of an account, day by day, and its returns."""

import random
from decimal import Decimal

import numpy as np
import pytest

from apps.analysis.domain.backtest import simulate
from apps.analysis.domain.equity import DAY, Closing, closings, daily_returns, equity_curve
from apps.analysis.domain.strategies import StrategyParameters
from tests.analysis.series import MONDAY, bars_of

TENTH = Decimal("0.1")


def curve(*trades, stake=TENTH, start=MONDAY, end=MONDAY + 3 * DAY):
    rows = [Closing(moment, Decimal(net)) for moment, net in trades]
    return equity_curve(rows, stake=stake, start=start, end=end)


class TestEquityCurve:
    def test_grows_by_the_staked_part_of_each_trade(self):
        found = curve((MONDAY + 60, 50), (MONDAY + DAY + 60, -20), (MONDAY + DAY + 120, 10))
        assert found.day.tolist() == [MONDAY, MONDAY + DAY, MONDAY + 2 * DAY]
        assert found.equity == pytest.approx([1.05, 1.05 * 0.98 * 1.01, 1.05 * 0.98 * 1.01])

    def test_a_trade_over_at_midnight_belongs_to_the_day_that_ends(self):
        assert curve((MONDAY + DAY, 50)).equity == pytest.approx([1.05, 1.05, 1.05])
        assert curve((MONDAY + DAY + 1, 50)).equity == pytest.approx([1, 1.05, 1.05])

    def test_takes_trades_in_the_order_in_which_they_were_over(self):
        trades = [(MONDAY + DAY + 60, -20), (MONDAY + 60, 50)]
        assert curve(*trades).equity.tolist() == curve(*reversed(trades)).equity.tolist()

    def test_stays_where_it_was_without_trades(self):
        assert curve().equity.tolist() == [1, 1, 1]
        assert daily_returns(curve()).tolist() == [0, 0, 0]

    def test_holds_every_day_that_the_time_touches(self):
        found = curve(start=MONDAY + DAY - 1, end=MONDAY + DAY + 1)
        assert found.day.tolist() == [MONDAY, MONDAY + DAY]
        assert curve(start=MONDAY, end=MONDAY + 1).day.tolist() == [MONDAY]
        assert curve(start=MONDAY, end=MONDAY + DAY).day.tolist() == [MONDAY]

    def test_needs_some_time(self):
        for end in (MONDAY, MONDAY - 1):
            with pytest.raises(ValueError, match="some time"):
                curve(end=end)

    def test_leaves_out_what_is_over_after_the_last_day(self):
        assert curve((MONDAY + 3 * DAY + 1, 50)).equity.tolist() == [1, 1, 1]

    def test_ends_at_nothing_and_not_below(self):
        found = curve((MONDAY + 60, "-110"), (MONDAY + DAY + 60, "500"), stake=Decimal(1))
        assert found.equity.tolist() == [0, 0, 0]
        assert daily_returns(found).tolist() == [-1, 0, 0]

    def test_stays_a_number_however_large_it_grows(self):
        trades = [(MONDAY + number, "1e12") for number in range(40)]
        found = curve(*trades, (MONDAY + DAY + 5, "-50"), stake=Decimal(1))
        assert np.isfinite(found.equity).all()
        assert np.isfinite(daily_returns(found)).all()

    def test_equals_an_account_that_is_kept_trade_by_trade(self):
        chance = random.Random(11)
        for _ in range(50):
            days = chance.randint(1, 30)
            rows = [
                Closing(MONDAY + chance.randrange(days * DAY), Decimal(chance.randint(-100, 300)))
                for _ in range(chance.randint(0, 60))
            ]
            found = equity_curve(rows, stake=TENTH, start=MONDAY, end=MONDAY + days * DAY)
            equity, wanted = 1.0, []
            waiting = sorted(rows, key=lambda one: one.moment)
            for day in range(days):
                while waiting and waiting[0].moment <= MONDAY + (day + 1) * DAY:
                    equity *= 1 + 0.1 * float(waiting.pop(0).net_pct) / 100
                wanted.append(equity)
            assert found.equity == pytest.approx(wanted)


class TestDailyReturns:
    def test_compound_to_the_equity(self):
        found = curve((MONDAY + 60, 50), (MONDAY + DAY + 60, -20), (MONDAY + 2 * DAY + 60, 10))
        assert daily_returns(found) == pytest.approx([0.05, -0.02, 0.01])
        assert np.prod(1 + daily_returns(found)) == pytest.approx(found.equity[-1])


class TestClosings:
    def test_a_trade_is_over_at_the_end_of_its_last_bar(self):
        bars = bars_of((100, 101, 99, 100), (100, 120, 99, 110), (110, 111, 109, 110), width=DAY)
        parameters = StrategyParameters(
            *map(Decimal, ("1", "0.5", "10", "0.05", "0.1")), fee_rate=Decimal(0)
        )
        trades = simulate(
            bars,
            np.array([1, 0, 0], np.int8),
            parameters=parameters,
            leverage_of=lambda _: Decimal(2),
            scores=np.full(3, 0.5),
        )
        assert closings(trades, bars) == [Closing(MONDAY + 2 * DAY, Decimal(20))]
        found = equity_curve(
            closings(trades, bars), stake=TENTH, start=MONDAY, end=MONDAY + 3 * DAY
        )
        assert found.equity == pytest.approx([1, 1.02, 1.02])
