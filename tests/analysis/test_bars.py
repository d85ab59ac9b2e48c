"""Columns of bars: what they must be, coarser ones made of them, floats made exact."""

import math
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.analysis.domain.bars import Bars, checked, exact, resampled
from apps.market.choices import Granularity
from apps.market.domain import candles
from tests.analysis.series import MONDAY, bars_of, cut, random_bars

HOUR, DAY, WEEK = 3600, 86_400, 604_800


def keep(bars, chosen):
    return Bars(*(column[chosen] for column in bars[:6]), bars.width)


def same(left, right):
    return all(map(np.array_equal, left[:6], right[:6])) and left.width == right.width


class TestChecked:
    def test_makes_columns_of_the_right_types(self):
        bars = checked(Bars([0, 60], [1, 2], [1, 2], [1, 2], [1, 2], [0, 0], 60))
        assert bars.start.dtype == np.int64
        assert {column.dtype for column in bars[1:6]} == {np.dtype(np.float64)}

    def test_lets_no_bars_at_all_pass(self):
        assert checked(bars_of()).close.size == 0

    @pytest.mark.parametrize(
        "row",
        [
            (1, 2, 0, 1),  # a low of zero
            (1, 2, -1, 1),
            (3, 2, 1, 1),  # an open above the high
            (1, 2, 1, 0.5),  # a close below the low
            (1, 0.5, 1, 1),  # a high below the low
            (math.nan, 2, 1, 1),
            (1, math.inf, 1, 1),
            (1, math.nan, 1, 1),
            (1, 2, 1, math.nan),
        ],
    )
    def test_refuses_values_that_no_candle_can_have(self, row):
        with pytest.raises(ValueError, match="Bar 1 has values"):
            bars_of((1, 1, 1, 1), row)

    @pytest.mark.parametrize("volume", [-1.0, math.nan, math.inf])
    def test_refuses_a_volume_that_is_none(self, volume):
        with pytest.raises(ValueError, match="Bar 0 has values"):
            checked(Bars([0], [1], [1], [1], [1], [volume], 60))

    @pytest.mark.parametrize("starts", [[60, 0], [0, 0], [0, 59]])
    def test_refuses_bars_out_of_order_or_over_each_other(self, starts):
        with pytest.raises(ValueError, match="order of time"):
            checked(Bars(starts, [1, 1], [1, 1], [1, 1], [1, 1], [1, 1], 60))

    def test_refuses_columns_of_different_length(self):
        with pytest.raises(ValueError, match="one length"):
            checked(Bars([0, 60], [1, 1], [1], [1, 1], [1, 1], [1, 1], 60))

    def test_refuses_bars_that_last_no_time(self):
        with pytest.raises(ValueError, match="last some seconds"):
            checked(Bars([0], [1], [1], [1], [1], [1], 0))


class TestResampled:
    @pytest.mark.parametrize("granularity", ["15m", "1h", "4h", "1d", "1w"])
    def test_says_what_the_candles_of_the_market_say(self, granularity):
        # Three weeks, a tenth of the bars missing.
        bars = random_bars(6048, seed=3)
        bars = keep(bars, np.random.default_rng(4).random(6048) > 0.1)
        width = int(Granularity(granularity).width.total_seconds())
        rows = [
            candles.CandleValues(
                datetime.fromtimestamp(int(start), UTC), *(exact(value) for value in values)
            )
            for start, *values in zip(*bars[:6], strict=True)
        ]
        wanted = candles.resample(rows, granularity, granularity="5m")
        if rows[0].timestamp != wanted[0].timestamp:
            wanted = wanted[1:]
        if rows[-1].timestamp.timestamp() + 300 != wanted[-1].timestamp.timestamp() + width:
            wanted = wanted[:-1]
        found = resampled(bars, width)
        assert len(wanted) >= 2
        assert found.start.tolist() == [int(row.timestamp.timestamp()) for row in wanted]
        for name in ("open", "high", "low", "close"):
            assert [exact(value) for value in getattr(found, name)] == [
                getattr(row, name) for row in wanted
            ]
        assert found.volume == pytest.approx([float(row.volume) for row in wanted], rel=1e-12)

    def test_weeks_begin_on_monday(self):
        found = resampled(random_bars(30, width=DAY, start=MONDAY - 3 * DAY), WEEK)
        assert found.start.tolist() == [MONDAY, MONDAY + WEEK, MONDAY + 2 * WEEK]

    def test_leaves_out_the_interval_in_whose_middle_the_series_begins(self):
        found = resampled(random_bars(24, start=MONDAY + 300), HOUR)
        assert found.start.tolist() == [MONDAY + HOUR]

    def test_leaves_out_the_last_interval_while_it_has_not_ended(self):
        bars = random_bars(24)
        assert resampled(bars, HOUR).start.tolist() == [MONDAY, MONDAY + HOUR]
        assert resampled(cut(bars, 23), HOUR).start.tolist() == [MONDAY]

    def test_an_interval_has_ended_when_a_later_bar_exists(self):
        bars = random_bars(24)
        gap = keep(bars, np.array([*range(5), *range(14, 23)]))
        found = resampled(gap, HOUR)
        assert found.start.tolist() == [MONDAY]
        assert found.close.tolist() == [bars.close[4]]

    def test_intervals_without_a_bar_stay_empty(self):
        bars = random_bars(48)
        found = resampled(keep(bars, np.array([*range(12), *range(36, 48)])), HOUR)
        assert found.start.tolist() == [MONDAY, MONDAY + 3 * HOUR]

    def test_nothing_whole_makes_nothing(self):
        for bars in (bars_of(), random_bars(5), random_bars(5, start=MONDAY + 300)):
            found = resampled(bars, HOUR)
            assert found.width == HOUR
            assert all(column.size == 0 for column in found[:6])

    def test_the_same_width_is_the_same_bars(self):
        bars = random_bars(7, start=MONDAY + 300)
        assert resampled(bars, 300) is bars

    @pytest.mark.parametrize("width", [60, 700, 450])
    def test_refuses_a_width_that_whole_bars_do_not_make(self, width):
        with pytest.raises(ValueError, match="do not add up"):
            resampled(random_bars(10), width)

    def test_later_bars_change_nothing_of_what_was_there(self):
        bars = random_bars(80)
        whole = resampled(bars, 1800)
        for size in range(80):
            found = resampled(cut(bars, size), 1800)
            assert same(found, cut(whole, found.start.size))


class TestExact:
    @given(st.integers(1, 10**15 - 1), st.integers(-18, 5))
    def test_up_to_fifteen_digits_come_back(self, digits, exponent):
        stored = Decimal(digits).scaleb(exponent)
        assert exact(float(stored)) == stored

    def test_reads_the_numbers_of_columns(self):
        assert exact(np.float64("0.10")) == Decimal("0.1")
        assert exact(np.float64(1e-18)) == Decimal("1e-18")

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_refuses_what_is_no_number(self, value):
        with pytest.raises(ValueError, match="finite"):
            exact(value)
