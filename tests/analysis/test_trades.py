"""What trades must hold, what they come to, and when two lists are one."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from apps.analysis.domain.trades import (
    TradeRecord,
    closed,
    completed,
    digest,
    faults,
    judge,
    period_of,
)
from apps.shared.quant.performance import Conventions

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KEY = ("run-1", "BTC/USD", "1h", "Balanced")


def trade(number=1, **values):
    usual = {
        "entry_time": NOON + (number - 1) * DAY,
        "exit_time": NOON + (number - 1) * DAY + HOUR,
        "entry_price": Decimal(100),
        "exit_price": Decimal(101),
        "direction": 1,
    }
    return TradeRecord(trade_number=number, **usual | values)


def places(trades, **period):
    return [(each.pointer, each.code) for each in faults(trades, **period)]


def judged(*trades, stake="1", start=NOON - HOUR * 12, end=NOON + 3 * DAY):
    return judge(trades, stake=Decimal(stake), start=start, end=end, conventions=Conventions())


class TestFaults:
    def test_are_none_where_all_is_well(self):
        assert faults([trade(1), trade(2, exit_time=None, exit_price=None)]) == []

    @pytest.mark.parametrize(
        ("values", "pointer", "code"),
        [
            ({"exit_time": NOON - HOUR}, "exit_time", "before_entry"),
            ({"entry_price": Decimal(0)}, "entry_price", "too_small"),
            ({"exit_price": Decimal(-5)}, "exit_price", "too_small"),
            ({"stop_price": Decimal(0)}, "stop_price", "too_small"),
            ({"target_price": Decimal(-1)}, "target_price", "too_small"),
            ({"entry_price": Decimal("NaN")}, "entry_price", "not_finite"),
            ({"exit_price": Decimal("Infinity")}, "exit_price", "not_finite"),
            ({"entry_price": Decimal(10) ** 20}, "entry_price", "too_large"),
            ({"entry_price": Decimal("1.0000000000000000001")}, "entry_price", "too_precise"),
            ({"leverage": Decimal(0)}, "leverage", "too_small"),
            ({"leverage": Decimal(-2)}, "leverage", "too_small"),
            ({"confidence": Decimal("1.1")}, "confidence", "out_of_range"),
            ({"confidence": Decimal("sNaN")}, "confidence", "not_finite"),
            ({"net_pct": Decimal("NaN")}, "net_pct", "not_finite"),
            ({"direction": 0}, "direction", "not_a_choice"),
            ({"trade_number": 0}, "trade_number", "too_small"),
            ({"exit_price": None}, "exit_price", "required"),
            ({"exit_time": None}, "exit_time", "required"),
            (
                {"exit_time": None, "exit_price": None, "net_pct": Decimal(1)},
                "exit_time",
                "required",
            ),
        ],
    )
    def test_are_named_by_row_and_field(self, values, pointer, code):
        bad = replace(trade(3), **{"trade_number": 3} | values)

        assert places([trade(1), trade(2), bad]) == [(f"/trades/2/{pointer}", code)]

    def test_take_padding_zeros_for_nothing(self):
        assert places([trade(entry_price=Decimal("1.5").quantize(Decimal("1e-20")))]) == []

    def test_let_a_trade_end_in_the_moment_it_began(self):
        assert places([trade(exit_time=NOON)]) == []

    def test_find_a_number_that_stands_twice(self):
        assert places([trade(1), trade(2), trade(1)]) == [("/trades/2/trade_number", "duplicate")]

    def test_find_what_reaches_out_of_the_period(self):
        found = places([trade(1), trade(2), trade(3)], start=NOON + HOUR, end=NOON + DAY + HOUR)

        assert found == [
            ("/trades/0/entry_time", "out_of_period"),
            ("/trades/2/exit_time", "out_of_period"),
        ]

    def test_name_all_that_is_wrong_with_one_trade(self):
        bad = trade(entry_price=Decimal(-1), leverage=Decimal(0), exit_time=NOON - HOUR)

        assert len(places([bad])) == 3


class TestCompleted:
    @pytest.mark.parametrize(
        ("direction", "leverage", "gross"), [(1, 1, 1), (1, 10, 10), (-1, 1, -1), (-1, 5, -5)]
    )
    def test_works_results_out_of_prices(self, direction, leverage, gross):
        found = completed(trade(direction=direction, leverage=Decimal(leverage)))

        assert (found.gross_pct, found.net_pct) == (gross, gross)

    def test_takes_fees_off(self):
        assert completed(trade(fees_pct=Decimal("0.2"))).net_pct == Decimal("0.8")

    def test_never_loses_more_than_the_margin_before_fees(self):
        found = completed(trade(exit_price=Decimal(50), leverage=Decimal(10), fees_pct=Decimal(2)))

        assert (found.gross_pct, found.net_pct) == (-100, -102)

    def test_leaves_what_was_told_as_it_is(self):
        told = trade(net_pct=Decimal(7))

        assert completed(told) == told

    def test_takes_the_gross_result_that_was_told(self):
        found = completed(trade(gross_pct=Decimal(3), fees_pct=Decimal(1)))

        assert found.net_pct == 2

    def test_leaves_an_open_trade_alone(self):
        still = trade(exit_time=None, exit_price=None)

        assert completed(still) == still


class TestJudge:
    def test_counts_trades_in_the_order_in_which_they_ended(self):
        first = trade(1, exit_time=NOON + 2 * DAY, net_pct=Decimal(-5))
        second = trade(2, net_pct=Decimal(5))

        assert [one.net_pct for one in closed([first, second])] == [5, -5]

    def test_gives_figures_of_trades_and_of_the_account(self):
        found = judged(
            trade(1, net_pct=Decimal(10)),
            trade(2, net_pct=Decimal(-10)),
            trade(3, net_pct=Decimal(20)),
        )

        assert found.value("total_trades") == 3
        assert found.value("win_rate") == pytest.approx(2 / 3)
        assert found.value("total_return") == pytest.approx(1.1 * 0.9 * 1.2 - 1)
        assert found.value("max_drawdown") == pytest.approx(-0.1)
        assert found.value("profit_factor") == pytest.approx(3)
        assert found.avg_leverage == 1
        assert all(each.definition for each in found.metrics)

    def test_puts_up_only_the_stake(self):
        found = judged(trade(1, net_pct=Decimal(10)), stake="0.1")

        assert found.value("total_return") == pytest.approx(0.01)

    def test_leaves_open_trades_out(self):
        still = trade(2, exit_time=None, exit_price=None, leverage=Decimal(100))
        found = judged(trade(1, net_pct=Decimal(10)), still)

        assert (found.value("total_trades"), found.avg_leverage) == (1, 1)

    def test_of_nothing_has_counts_and_reasons(self):
        found = judged(start=None, end=None)

        assert found.value("total_trades") == 0
        undefined = [each for each in found.metrics if each.value is None]
        assert {"win_rate", "sharpe_ratio", "total_return"} <= {each.name for each in undefined}
        assert all(each.reason for each in undefined)
        assert found.avg_leverage is None

    def test_of_trades_that_are_over_at_once_has_a_day(self):
        only = trade(exit_time=NOON, net_pct=Decimal(5))

        assert judged(only, start=NOON, end=NOON).value("total_return") == pytest.approx(0.05)

    def test_counts_a_trade_that_ends_with_the_period(self):
        midnight = NOON + HOUR * 12
        last = trade(exit_time=midnight, net_pct=Decimal(5))

        assert judged(last, end=midnight).value("total_return") == pytest.approx(0.05)

    def test_survives_the_loss_of_everything(self):
        found = judged(*(trade(each, net_pct=Decimal(-120)) for each in (1, 2, 3)))

        assert found.value("total_return") == -1
        assert found.value("max_drawdown") == -1


class TestPeriodOf:
    def test_reaches_from_the_first_entry_to_the_last_moment(self):
        still = trade(9, exit_time=None, exit_price=None)

        assert period_of([trade(2), trade(1)]) == (NOON, NOON + DAY + HOUR)
        assert period_of([trade(1), still]) == (NOON, NOON + 8 * DAY)

    def test_of_nothing_is_none(self):
        assert period_of([]) is None


class TestDigest:
    def test_knows_numbers_and_moments_however_they_are_written(self):
        tokyo = timezone(HOUR * 9)
        same = trade(
            entry_price=Decimal("100.000"),
            exit_price=Decimal("1.01E+2"),
            exit_time=(NOON + HOUR).astimezone(tokyo),
            fees_pct=Decimal("-0.0"),
        )

        assert digest(KEY, [same]) == digest(KEY, [trade(fees_pct=Decimal(0))])

    def test_does_not_mind_the_order(self):
        assert digest(KEY, [trade(1), trade(2)]) == digest(KEY, [trade(2), trade(1)])

    @pytest.mark.parametrize(
        "values",
        [
            {"trade_number": 2},
            {"direction": -1},
            {"entry_time": NOON + timedelta(microseconds=1)},
            {"exit_price": Decimal("101.000000000000000001")},
            {"leverage": Decimal(2)},
            {"fees_pct": Decimal(0)},
            {"exit_reason": "stop"},
            {"net_pct": Decimal(1)},
        ],
    )
    def test_tells_every_other_value(self, values):
        assert digest(KEY, [replace(trade(), **values)]) != digest(KEY, [trade()])

    def test_is_of_one_analysis_only(self):
        other = ("run-2", *KEY[1:])

        assert digest(other, [trade()]) != digest(KEY, [trade()])

    def test_does_not_confuse_where_a_name_ends(self):
        assert digest(("a", "b,c"), []) != digest(("a,b", "c"), [])
