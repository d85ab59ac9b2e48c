"""Indicators: what they are by hand, that they know no future, that they are always numbers."""

import numpy as np
import pytest

from apps.analysis.domain.bars import MINIMUM_BARS, Bars, checked
from apps.analysis.domain.indicators import (
    Indicators,
    aligned_close,
    bar_returns,
    btc_correlation,
    compute,
    trend_name,
)
from tests.analysis.series import MONDAY, bars_of, cut, random_bars

WARM = MINIMUM_BARS - 1
PARTS = [name for name in Indicators._fields if name.endswith("_part")]
# Where there is no level behind the level, there is none to name.
MAY_BE_UNKNOWN = {"next_support", "next_resistance"}


def average(values, length):
    """An exponential average begins with the plain one of its first values."""
    value = sum(values[:length]) / length
    for one in values[length:]:
        value += (one - value) * 2 / (length + 1)
    return value


def scaled(bars, factor, volume=1.0):
    prices = (column * factor for column in bars[1:5])
    return checked(Bars(bars.start, *prices, bars.volume * volume, bars.width))


class TestCompute:
    bars = random_bars(300, seed=8)
    found = compute(bars)

    @pytest.mark.parametrize("at", [WARM, 100, 299])
    def test_levels_are_the_extremes_of_twenty_and_sixty_bars(self, at):
        low, high = self.bars.low, self.bars.high
        near, far = slice(at - 19, at + 1), slice(at - 59, at + 1)
        assert self.found.support[at] == min(low[near])
        assert self.found.resistance[at] == max(high[near])
        behind = min(low[far]) if min(low[far]) < min(low[near]) else np.nan
        above = max(high[far]) if max(high[far]) > max(high[near]) else np.nan
        np.testing.assert_equal(self.found.next_support[at], behind)
        np.testing.assert_equal(self.found.next_resistance[at], above)

    @pytest.mark.parametrize("at", [WARM, 100, 299])
    def test_strength_counts_how_often_the_level_was_touched(self, at):
        near = 0.25 * self.found.atr[at]
        for extremes, level, strength in (
            (self.bars.low, self.found.support, self.found.support_strength),
            (self.bars.high, self.found.resistance, self.found.resistance_strength),
        ):
            touched = sum(abs(one - level[at]) <= near for one in extremes[at - 59 : at + 1])
            assert strength[at] == min(1, touched / 5)

    def test_averages_begin_with_the_plain_one(self):
        closes = self.bars.close[:100].tolist()
        assert self.found.ema_fast[99] == pytest.approx(average(closes, 20), rel=1e-12)
        assert self.found.ema_slow[99] == pytest.approx(average(closes, 50), rel=1e-12)

    def test_volatility_is_the_true_range_in_percent_of_the_close(self):
        high, low, close = self.bars.high, self.bars.low, self.bars.close
        ranges = [
            max(high[i] - low[i], abs(high[i] - close[i - 1]), abs(low[i] - close[i - 1]))
            for i in range(1, 101)
        ]
        value = sum(ranges[:14]) / 14
        for one in ranges[14:]:
            value = (13 * value + one) / 14
        assert self.found.atr[100] == pytest.approx(value, rel=1e-12)
        assert self.found.volatility_pct[100] == pytest.approx(100 * value / close[100])

    def test_the_trend_goes_by_the_distance_of_the_averages(self):
        found = compute(random_bars(1500, seed=8))
        apart = (found.ema_fast - found.ema_slow)[WARM:] / found.atr[WARM:]
        wanted = np.sign(apart) * ((abs(apart) >= 0.5).astype(int) + (abs(apart) >= 1.5))
        assert found.trend[WARM:].tolist() == wanted.tolist()
        assert set(wanted) == {-2, -1, 0, 1, 2}
        assert not found.trend[:WARM].any()

    def test_every_trend_has_a_name(self):
        names = [trend_name(trend) for trend in np.arange(-2, 3, dtype=np.int8)]
        assert names == ["STRONG_BEARISH", "BEARISH", "SIDEWAYS", "BULLISH", "STRONG_BULLISH"]

    def test_parts_say_what_they_are_made_of(self):
        i, bars, at = self.found, self.bars, 200
        close, atr = bars.close[at], i.atr[at]
        between = np.clip
        wanted = {
            "trend_part": between(0.5 + (i.ema_fast[at] - i.ema_slow[at]) / atr / 4, 0, 1),
            "momentum_part": (
                between((i.rsi[at] - 30) / 40, 0, 1)
                + between(0.5 + i.macd_histogram[at] / atr, 0, 1)
            )
            / 2,
            "reversion_part": between(0.5 - (close - i.ema_fast[at]) / atr / 4, 0, 1),
            "breakout_part": (close - i.support[at]) / (i.resistance[at] - i.support[at]),
            "volume_part": between(
                bars.volume[at] / average(bars.volume[: at + 1].tolist(), 20) / 2, 0, 1
            ),
            "room_part": (bars.high[141:201].max() - close)
            / (bars.high[141:201].max() - bars.low[141:201].min()),
            "strength_part": i.support_strength[at],
        }
        assert sorted(wanted) == sorted(PARTS)
        for name, value in wanted.items():
            assert getattr(i, name)[at] == pytest.approx(value, rel=1e-9), name

    def test_parts_lie_between_nothing_and_one_and_use_that_room(self):
        values = compute(random_bars(3000, seed=9))
        for name in PARTS:
            column = getattr(values, name)[WARM:]
            assert column.min() >= 0
            assert column.max() <= 1
            assert np.ptp(column) > 0.7, name

    def test_nothing_is_known_before_the_sixtieth_bar(self):
        for name in Indicators._fields:
            if name not in {"close", "trend"}:
                assert np.isnan(getattr(self.found, name)[:WARM]).all(), name
            if name not in MAY_BE_UNKNOWN:
                assert np.isfinite(getattr(self.found, name)[WARM:]).all(), name

    @pytest.mark.parametrize("size", [0, 1, 2, 59, 60, 61])
    def test_short_series_have_columns_of_their_length(self, size):
        found = compute(random_bars(size))
        assert {column.size for column in found} == {size}
        assert np.isfinite(found.support).sum() == max(0, size - WARM)

    def test_no_bar_changes_what_was_known_before_it(self):
        for size in range(301):
            found = compute(cut(self.bars, size))
            known = self.found if size >= MINIMUM_BARS else compute(cut(self.bars, 59))
            for name in Indicators._fields:
                before, now = getattr(known, name)[:size], getattr(found, name)
                assert np.array_equal(before, now, equal_nan=True), (name, size)


class TestOddMarkets:
    @pytest.mark.parametrize("price", [1e-18, 1e-9, 1.0, 1e9, 1e19])
    def test_a_market_that_does_not_move_has_numbers_everywhere(self, price):
        found = compute(bars_of(*[(price,) * 4] * 700))
        for name in set(Indicators._fields) - MAY_BE_UNKNOWN:
            assert np.isfinite(getattr(found, name)[WARM:]).all(), name
        assert set(found.rsi[WARM:]) == {50.0}
        assert set(found.breakout_part[WARM:]) == {0.5}
        assert set(found.volatility_pct[WARM:]) == {0.0}
        assert not found.trend.any()

    def test_a_market_that_goes_to_sleep_has_numbers_everywhere(self):
        moving = random_bars(200, seed=2)
        rows = [*zip(*moving[1:5], strict=True), *[(moving.close[-1],) * 4] * 2000]
        found = compute(bars_of(*rows))
        for name in set(Indicators._fields) - MAY_BE_UNKNOWN:
            assert np.isfinite(getattr(found, name)[WARM:]).all(), name

    def test_nothing_traded_is_neither_little_nor_much(self):
        found = compute(scaled(random_bars(200), 1.0, volume=0.0))
        assert set(found.volume_part[WARM:]) == {0.5}

    def test_a_bar_without_trades_among_others_has_little(self):
        bars = random_bars(200)
        bars.volume[150] = 0
        assert compute(bars).volume_part[150] == 0

    @pytest.mark.parametrize("factor", [2.0**-60, 2.0**-13, 2.0**60])
    def test_the_unit_of_the_price_changes_no_digit(self, factor):
        bars = random_bars(400, seed=6)
        usual, other = compute(bars), compute(scaled(bars, factor))
        for name in [*PARTS, "rsi", "volatility_pct", "trend", "support_strength"]:
            assert np.array_equal(getattr(usual, name), getattr(other, name), equal_nan=True), name
        for name in ("support", "next_resistance", "atr", "ema_slow"):
            moved = getattr(usual, name) * factor
            assert np.array_equal(moved, getattr(other, name), equal_nan=True), name

    def test_a_fall_to_a_billionth_leaves_numbers(self):
        steps = 10.0 ** -np.linspace(0, 9, 300)
        found = compute(bars_of(*((one, one * 1.01, one * 0.99, one) for one in steps)))
        for name in set(Indicators._fields) - MAY_BE_UNKNOWN:
            assert np.isfinite(getattr(found, name)[WARM:]).all(), name


class TestBtcCorrelation:
    def test_equals_pearson_over_each_window(self):
        chance = np.random.default_rng(3)
        btc = chance.normal(0, 0.01, 5000)
        mine = 0.6 * btc + chance.normal(0, 0.01, 5000)
        found = btc_correlation(mine, btc, 50)
        assert np.isnan(found[:49]).all()
        for at in (49, 50, 777, 4095, 4144, 4145, 4999):
            window = slice(at - 49, at + 1)
            wanted = np.corrcoef(mine[window], btc[window])[0, 1]
            assert found[at] == pytest.approx(wanted, abs=1e-12)
        assert np.isfinite(found[49:]).all()

    def test_reaches_one_and_not_more(self):
        btc = np.random.default_rng(3).normal(0, 0.01, 100)
        assert btc_correlation(3 * btc, btc, 20)[19:] == pytest.approx(1)
        assert btc_correlation(-btc, btc, 20)[19:] == pytest.approx(-1)
        assert np.nanmax(np.abs(btc_correlation(3 * btc, btc, 20))) <= 1

    def test_counts_only_pairs_that_are_known(self):
        chance = np.random.default_rng(3)
        mine, btc = chance.normal(size=(2, 60))
        mine[[3, 40]], btc[[7, 41]] = np.nan, np.nan
        known = np.setdiff1d(np.arange(60), [3, 7, 40, 41])
        wanted = np.corrcoef(mine[known], btc[known])[0, 1]
        assert btc_correlation(mine, btc, 60)[59] == pytest.approx(wanted, abs=1e-12)

    def test_is_unknown_where_fewer_than_half_of_the_pairs_are(self):
        mine, btc = np.random.default_rng(3).normal(size=(2, 40))
        btc[:11] = np.nan
        found = btc_correlation(mine, btc, 20)
        assert np.isnan(found[:20]).all()
        assert np.isfinite(found[20:]).all()

    @pytest.mark.parametrize("still", [0.0, 0.1, -1e-9])
    def test_is_unknown_where_a_side_did_not_move(self, still):
        moving = np.random.default_rng(3).normal(size=30)
        constant = np.full(30, still)
        assert np.isnan(btc_correlation(moving, constant, 10)).all()
        assert np.isnan(btc_correlation(constant, moving, 10)).all()

    def test_is_unknown_in_a_series_shorter_than_the_window(self):
        assert np.isnan(btc_correlation(np.ones(5), np.ones(5), 10)).all()
        assert btc_correlation(np.ones(0), np.ones(0), 10).size == 0

    def test_no_bar_changes_what_was_known_before_it(self):
        mine, btc = np.random.default_rng(5).normal(size=(2, 90))
        whole = btc_correlation(mine, btc, 20)
        for size in range(90):
            found = btc_correlation(mine[:size], btc[:size], 20)
            assert np.array_equal(found, whole[:size], equal_nan=True)

    def test_refuses_what_is_not_aligned(self):
        with pytest.raises(ValueError, match="one pair per bar"):
            btc_correlation(np.ones(5), np.ones(6), 3)
        with pytest.raises(ValueError, match="at least 3"):
            btc_correlation(np.ones(5), np.ones(5), 2)


class TestAligned:
    def test_takes_the_close_of_the_same_moment_and_no_other(self):
        mine = random_bars(6)
        other = random_bars(6, seed=2, start=MONDAY + 600)
        found = aligned_close(mine, other)
        assert np.isnan(found[:2]).all()
        assert found[2:].tolist() == other.close[:4].tolist()

    def test_knows_nothing_from_an_empty_series(self):
        assert np.isnan(aligned_close(random_bars(3), bars_of())).all()

    def test_a_return_needs_both_closes(self):
        returns = bar_returns(np.array([100.0, 110.0, np.nan, 50.0, 25.0]))
        np.testing.assert_allclose(returns, [np.nan, 0.1, np.nan, np.nan, -0.5])
        assert bar_returns(np.empty(0)).size == 0
