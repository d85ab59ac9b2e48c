"""What a snapshot of an agent says: known answers, what is undefined, falls and returns."""

import random
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import reduce

import numpy as np
import pytest

from apps.agents.domain.performance import (
    ALL_EVEN,
    DEFINITIONS,
    MEANINGS,
    NO_DAYS,
    NO_LOSS,
    NO_TRADE,
    NO_WIN,
    RETURN_TOO_LARGE,
    RUINED,
    Course,
    Ledger,
    Opened,
    deepest_fall,
    figures_of,
    sharpe_of,
    unrealized_of,
)
from apps.agents.models import AgentPerformance
from apps.shared.quant.money import EXACT, TooLarge
from apps.shared.quant.performance import Conventions, define, sharpe_ratio

TEN_THOUSAND = Decimal(10_000)
NONE_YET = (None, NO_DAYS)


def ledger_of(*nets, **values):
    """Return the sums of trades that are over with these net amounts."""
    amounts = [Decimal(str(net)) for net in nets]
    return Ledger(
        trades=len(amounts),
        winning=sum(net > 0 for net in amounts),
        losing=sum(net < 0 for net in amounts),
        won=reduce(EXACT.add, (net for net in amounts if net > 0), Decimal(0)),
        lost=reduce(EXACT.add, (net for net in amounts if net < 0), Decimal(0)),
        **values,
    )


def figures(*nets, initial=TEN_THOUSAND, before=None, sharpe=NONE_YET, **values):
    return figures_of(
        ledger_of(*nets, **values),
        initial=initial,
        before=before or Course(),
        model_cost=Decimal(0),
        sharpe=sharpe,
    )


class TestTheKnownAnswer:
    """10,000; closed +300, −100 and +200; open +50 (sources/hyper-demo.md, 7)."""

    def test_comes_out(self):
        found = figures(300, -100, 200, unrealized=Decimal(50), open=1).values

        assert found["realized_pnl"] == 400
        assert found["unrealized_pnl"] == 50
        assert found["total_pnl"] == 450
        assert found["roi_percent"] == Decimal("4.5")
        assert (found["num_trades"], found["num_winning_trades"]) == (3, 2)
        assert found["num_losing_trades"] == 1
        assert found["win_rate"] == Decimal("66.66666667")
        assert found["avg_win"] == 250
        assert found["avg_loss"] == -100
        assert found["profit_factor"] == 5.0
        assert found["total_value"] == 10_450
        assert found["cash_balance"] == 10_400
        assert found["position_value"] == 50
        assert found["peak_value"] == 10_450
        assert (found["max_drawdown"], found["max_drawdown_percent"]) == (0, 0)


class TestFigures:
    def test_of_no_trade_are_empty_with_a_reason(self):
        found = figures()

        assert found.reasons == {
            "win_rate": NO_TRADE,
            "avg_win": NO_TRADE,
            "avg_loss": NO_TRADE,
            "profit_factor": NO_TRADE,
            "sharpe_ratio": NO_DAYS,
        }
        assert all(found.values[name] is None for name in found.reasons)
        assert found.values["total_value"] == TEN_THOUSAND
        assert found.values["roi_percent"] == 0

    def test_have_no_profit_factor_without_a_loss(self):
        found = figures(10, 20)

        assert found.values["profit_factor"] is None
        assert found.reasons["profit_factor"] == NO_LOSS
        assert found.values["win_rate"] == 100

    def test_have_a_profit_factor_of_zero_without_a_win(self):
        found = figures(-10)

        assert found.values["profit_factor"] == 0
        assert found.reasons["avg_win"] == NO_WIN

    def test_count_a_trade_that_broke_even_as_neither_won_nor_lost(self):
        found = figures(10, 0, -10).values

        assert (found["num_trades"], found["win_rate"]) == (3, 50)
        assert (found["num_winning_trades"], found["num_losing_trades"]) == (1, 1)
        assert figures(0, 0).reasons["win_rate"] == ALL_EVEN

    def test_count_trades_of_unknown_outcome_apart(self):
        found = figures(10, unknown=2, unpriced=1, open=3).values

        assert (found["num_trades"], found["unknown_trades"]) == (1, 2)
        assert (found["open_trades"], found["unpriced_trades"]) == (3, 1)

    def test_keep_every_digit(self):
        long = "12345678901234567.123456789012345678"
        found = figures(long, initial=Decimal("0.000000000000000001")).values

        assert str(found["realized_pnl"]) == long
        assert str(found["total_value"]) == "12345678901234567.123456789012345679"

    def test_have_no_return_that_its_column_cannot_hold(self):
        found = figures("1e16", initial=Decimal("1e-3"))

        assert found.values["roi_percent"] is None
        assert found.reasons["roi_percent"] == RETURN_TOO_LARGE

    def test_refuse_money_that_its_column_cannot_hold(self):
        with pytest.raises(TooLarge):
            figures("9e19", "9e19")

    def test_are_the_columns_of_the_table(self):
        columns = {field.attname for field in AgentPerformance._meta.concrete_fields}
        others = {"id", "agent_id", "snapshot_time", "reasons", "created_at"}

        assert set(figures(1).values) == set(MEANINGS) == columns - others

    def test_have_definitions_that_the_kernel_knows(self):
        assert DEFINITIONS["sharpe_ratio"] == "sharpe_ratio/365/ddof1/rf0"
        assert all(define(each) for each in DEFINITIONS.values())


class TestDrawdown:
    def run(self, *totals):
        """Return the snapshots of an account whose total P&L takes these values in turn."""
        course, rows = Course(), []
        for total in totals:
            rows.append(figures(unrealized=Decimal(total), before=course).values)
            course = Course(
                peak=rows[-1]["peak_value"] - TEN_THOUSAND,
                fall=rows[-1]["max_drawdown"],
                fall_percent=rows[-1]["max_drawdown_percent"],
            )
        return rows

    def test_counts_from_the_initial_balance(self):
        [row] = self.run(-500)

        assert (row["max_drawdown"], row["max_drawdown_percent"]) == (500, 5)
        assert row["peak_value"] == TEN_THOUSAND

    def test_stays_when_the_equity_recovers(self):
        _, second, third, fourth = self.run(2000, -1000, 5000, 4000)

        assert (second["max_drawdown"], second["max_drawdown_percent"]) == (3000, 25)
        assert (third["max_drawdown"], third["peak_value"]) == (3000, 15_000)
        assert (fourth["max_drawdown"], fourth["max_drawdown_percent"]) == (3000, 25)

    def test_is_the_largest_of_each_in_money_and_in_percent(self):
        rows = self.run(-1000, 90_000, 85_000)

        assert (rows[-1]["max_drawdown"], rows[-1]["max_drawdown_percent"]) == (5000, 10)

    def test_exceeds_hundred_percent_where_more_than_all_is_lost(self):
        [row] = self.run(-15_000)

        assert row["max_drawdown_percent"] == 150

    def test_equals_that_of_the_whole_series(self):
        chance = random.Random(7)
        totals = [chance.randint(-6000, 9000) for _ in range(300)]

        rows = self.run(*totals)

        peak, fall, percent = Fraction(10_000), Fraction(0), Fraction(0)
        for total, row in zip(totals, rows, strict=True):
            equity = Fraction(10_000 + total)
            peak = max(peak, equity)
            fall = max(fall, peak - equity)
            percent = max(percent, 100 * (peak - equity) / peak)
            assert Fraction(row["peak_value"]) == peak
            assert Fraction(row["max_drawdown"]) == fall
            assert abs(Fraction(row["max_drawdown_percent"]) - percent) <= Fraction(1, 2 * 10**8)
        series = np.array([10_000.0 + total for total in totals])
        assert deepest_fall(series, start=10_000.0) == pytest.approx(float(percent))

    def test_of_nothing_is_none(self):
        assert deepest_fall(np.array([]), start=1.0) == 0


class TestOpenTrades:
    def test_are_worth_what_they_would_bring_net_of_fees(self):
        long = Opened("long", Decimal(2), Decimal(100), Decimal("0.5"), Decimal(110))
        short = Opened("short", Decimal(2), Decimal(100), None, Decimal(110))

        assert unrealized_of([long]) == (Decimal("19.5"), 0)
        assert unrealized_of([short]) == (Decimal(-20), 0)
        assert unrealized_of([long, short]) == (Decimal("-0.5"), 0)

    def test_without_a_price_are_counted_and_not_taken_for_a_loss(self):
        no_entry = Opened("long", Decimal(2), None, Decimal(1), Decimal(110))
        no_price = Opened("long", Decimal(2), Decimal(100), Decimal(1), None)

        assert unrealized_of([no_entry, no_price]) == (0, 2)


def days_from(first, count):
    start = date.fromisoformat(first).toordinal()
    return np.arange(start, start + count)


class TestSharpe:
    def test_is_that_of_the_daily_returns(self):
        equity = np.array([100.0, 101.0, 99.0, 104.0, 103.0])

        value, reason = sharpe_of(days_from("2026-03-01", 5), equity)

        returns = np.diff(equity) / equity[:-1]
        assert value == pytest.approx(returns.mean() / returns.std(ddof=1) * np.sqrt(365))
        assert reason == ""
        assert value == sharpe_ratio(returns, Conventions(365)).value

    def test_counts_a_day_without_a_snapshot_as_zero(self):
        days = days_from("2026-03-01", 4)[[0, 1, 3]]

        value, _ = sharpe_of(days, np.array([100.0, 101.0, 103.02]))

        expected = sharpe_ratio([0.01, 0.0, 0.02], Conventions(365)).value
        assert value == pytest.approx(expected, rel=1e-9)

    @pytest.mark.parametrize("count", [0, 1, 2])
    def test_is_empty_under_two_returns(self, count):
        days = days_from("2026-03-01", count)

        assert sharpe_of(days, np.arange(1.0, count + 1)) == (None, NO_DAYS)

    def test_is_empty_where_the_returns_do_not_vary(self):
        value, reason = sharpe_of(days_from("2026-03-01", 3), np.full(3, 5.0))

        assert (value, reason) == (None, "The returns do not vary.")

    @pytest.mark.parametrize("equity", [(5.0, 0.0, 3.0), (5.0, 4.0, -1.0), (0.0, 5.0, 4.0)])
    def test_is_empty_where_all_was_lost(self, equity):
        assert sharpe_of(days_from("2026-03-01", 3), np.array(equity)) == (None, RUINED)
