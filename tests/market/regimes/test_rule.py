"""The rule of regimes: by the words of its source, known at the end of the day, never later."""

import math
from datetime import date, timedelta
from itertools import pairwise
from statistics import mean, stdev

import numpy as np
import pytest

from apps.market.choices import DominantTrend, RegimeType, VolatilityRegime
from apps.market.domain.regimes import Held, Regime, choose_source, classify

START = date(2024, 1, 1)


def days(count: int, *, start: date = START) -> list[date]:
    return [start + timedelta(days=place) for place in range(count)]


def walk(count: int, *, spread: float = 0.02, drift: float = 0.0, seed: int = 7) -> list[float]:
    """Closes that wander, by returns of about ``spread``."""
    steps = np.random.default_rng(seed).normal(drift, spread, count)
    return [float(each) for each in 100 * np.exp(np.cumsum(steps))]


def last(closes: list[float]) -> Regime:
    return classify(days(len(closes)), closes)[-1]


def swinging(count: int, by: float) -> list[float]:
    """Closes that go up and down by a share, day by day."""
    return [100 * (1 + by * (place % 2)) for place in range(count)]


class TestIndicators:
    def test_are_what_their_formulas_say(self):
        closes = walk(260)
        returns = [later / earlier - 1 for earlier, later in pairwise(closes)]

        found = last(closes).indicators

        assert found["close"] == closes[-1]
        vol_30d, vol_90d = (stdev(returns[-n:]) * math.sqrt(252) for n in (30, 90))
        expected = {
            "vol_30d": vol_30d,
            "vol_90d": vol_90d,
            "vol_ratio": vol_30d / vol_90d,
            "trend_30d": closes[-1] / closes[-31] - 1,
            **{f"ma_{n}": mean(closes[-n:]) for n in (20, 50, 100, 200)},
        }
        assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-11)

    @pytest.mark.parametrize(
        ("name", "closes"),
        [
            ("ma_20", 20), ("vol_30d", 31), ("trend_30d", 31), ("ma_50", 50), ("vol_90d", 91),
            ("vol_ratio", 91), ("ma_100", 100), ("ma_200", 200),
        ],
    )  # fmt: skip
    def test_are_known_from_their_first_whole_window_on(self, name, closes):
        rows = classify(days(220), walk(220))

        assert name not in rows[closes - 2].indicators
        assert all(name in row.indicators for row in rows[closes - 1 :])

    def test_are_finite_or_left_out_at_the_ends_of_what_a_float_holds(self):
        closes = [1e300, 1e-300] * 120

        for row in classify(days(240), closes):
            assert all(map(math.isfinite, row.indicators.values()))

    def test_do_not_know_what_comes_after(self):
        closes = walk(300)
        before = classify(days(300), closes)

        for cut in (1, 31, 120, 250):
            changed = closes[:cut] + [each * 9 for each in closes[cut:]]
            assert classify(days(300), changed)[:cut] == before[:cut]
            assert classify(days(cut), closes[:cut]) == before[:cut]

    def test_need_two_hundred_closes_and_no_more(self):
        closes = walk(400)
        whole = classify(days(400), closes)

        part = classify(days(400)[150:], closes[150:])

        assert part[199:] == whole[349:]
        assert part[198] != whole[348]


class TestRegimeType:
    @pytest.mark.parametrize(
        ("swing", "drift", "expected"),
        [
            (0.10, 0.0, RegimeType.HIGH_RANGING),
            (0.10, 0.01, RegimeType.HIGH_BULL),
            (0.10, -0.01, RegimeType.HIGH_BEAR),
            (0.01, 0.0, RegimeType.LOW_RANGING),
            (0.01, 0.01, RegimeType.LOW_BULL),
            (0.01, -0.01, RegimeType.LOW_BEAR),
        ],
    )
    def test_joins_how_much_and_where_to(self, swing, drift, expected):
        closes = [each * (1 + drift) ** place for place, each in enumerate(swinging(61, swing))]

        assert last(closes).regime_type == expected

    def test_is_high_only_above_one(self):
        def swing_of(vol: float) -> float:
            # Returns of x and about -x alternate: their deviation is x * sqrt(30/29).
            low, high = 0.0, 1.0
            for _ in range(60):
                middle = (low + high) / 2
                value = last(swinging(31, middle)).indicators["vol_30d"]
                low, high = (middle, high) if value < vol else (low, middle)
            return high

        assert last(swinging(31, swing_of(0.999))).regime_type == RegimeType.LOW_RANGING
        assert last(swinging(31, swing_of(1.001))).regime_type == RegimeType.HIGH_RANGING

    @pytest.mark.parametrize(
        ("close", "expected"),
        [
            (110.0, RegimeType.LOW_RANGING),
            (110.01, RegimeType.LOW_BULL),
            (90.0, RegimeType.LOW_RANGING),
            (89.99, RegimeType.LOW_BEAR),
        ],
    )
    def test_follows_a_trend_only_beyond_a_tenth(self, close, expected):
        assert last([100.0] * 30 + [close]).regime_type == expected

    def test_is_unknown_without_thirty_returns(self):
        rows = classify(days(31), [100.0] * 31)

        assert {row.regime_type for row in rows[:30]} == {RegimeType.UNKNOWN}
        assert rows[30].regime_type == RegimeType.LOW_RANGING


class TestVolatilityRegime:
    def regime(self, before: float, recent: float) -> VolatilityRegime:
        return last(swinging(61, before) + swinging(31, recent)[1:]).volatility_regime

    def test_compares_thirty_days_with_ninety(self):
        assert self.regime(0.01, 0.05) == VolatilityRegime.EXPANDING
        assert self.regime(0.02, 0.02) == VolatilityRegime.NORMAL
        assert self.regime(0.05, 0.01) == VolatilityRegime.CONTRACTING

    def test_is_unknown_without_ninety_returns(self):
        assert last(walk(90)).volatility_regime == VolatilityRegime.UNKNOWN
        assert last(walk(91)).volatility_regime != VolatilityRegime.UNKNOWN

    @pytest.mark.parametrize("growth", [1.0, 1.01])
    def test_is_unknown_where_a_price_moves_evenly(self, growth):
        row = last([100 * growth**place for place in range(120)])

        assert row.volatility_regime == VolatilityRegime.UNKNOWN
        assert row.indicators["vol_30d"] == 0
        assert "vol_ratio" not in row.indicators


class TestDominantTrend:
    def test_is_what_all_four_means_say(self):
        rising = [100 + place for place in range(200)]

        assert last(rising).dominant_trend == DominantTrend.BULLISH
        assert last([400 - each for each in rising]).dominant_trend == DominantTrend.BEARISH

    def test_is_mixed_where_they_differ(self):
        assert last([100.0] * 180 + [50.0] * 19 + [80.0]).dominant_trend == DominantTrend.MIXED

    @pytest.mark.parametrize("price", [100.0, 0.1, 1 / 3, 1e-9])
    def test_is_mixed_where_nothing_moves(self, price):
        assert last([price] * 200).dominant_trend == DominantTrend.MIXED

    def test_says_when_too_little_is_known(self):
        rows = classify(days(200), walk(200))

        assert rows[18].dominant_trend == DominantTrend.UNKNOWN
        assert rows[19].dominant_trend == DominantTrend.INSUFFICIENT
        assert rows[198].dominant_trend == DominantTrend.INSUFFICIENT
        assert rows[199].dominant_trend != DominantTrend.INSUFFICIENT


class TestHoles:
    def test_of_a_week_are_days_on_which_the_market_rested(self):
        closes = walk(80)
        with_hole = days(40) + days(40, start=START + timedelta(days=46))

        for whole, holed in zip(
            classify(days(80), closes), classify(with_hole, closes), strict=True
        ):
            assert whole.indicators == holed.indicators

    def test_that_are_longer_begin_the_history_anew(self):
        closes = walk(80)
        later = days(40, start=START + timedelta(days=47))

        rows = classify(days(40) + later, closes)

        assert rows[40:] == classify(later, closes[40:])
        assert rows[40].regime_type == RegimeType.UNKNOWN


class TestBadInput:
    @pytest.mark.parametrize("close", [0.0, -1.0, math.nan, math.inf])
    def test_that_is_no_price_is_refused(self, close):
        with pytest.raises(ValueError, match="finite number above zero"):
            classify(days(2), [1.0, close])

    def test_out_of_order_or_twice_is_refused(self):
        for wrong in ([START, START], [START + timedelta(days=1), START]):
            with pytest.raises(ValueError, match="order of time"):
                classify(wrong, [1.0, 1.0])

    def test_of_different_lengths_is_refused(self):
        with pytest.raises(ValueError, match="one close"):
            classify(days(2), [1.0])

    def test_that_is_nothing_gives_nothing(self):
        assert classify([], []) == []


class TestSourceOfCloses:
    def held(self, source, first, last):
        return Held(source, START + timedelta(days=first), START + timedelta(days=last))

    def test_is_the_primary_one_and_no_other(self):
        both = [self.held("a", 0, 900), self.held("b", 500, 800)]

        assert choose_source(both, "b") == both[1]
        assert choose_source(both, "c") is None

    def test_is_else_the_fresh_one_with_the_longest_history(self):
        ended, long, short = (
            self.held("a", 0, 892), self.held("c", 100, 893), self.held("b", 200, 900)
        )  # fmt: skip

        assert choose_source([ended, short, long]) == long
        assert choose_source([self.held("y", 0, 9), self.held("x", 0, 9)]).source == "x"
        assert choose_source([]) is None
