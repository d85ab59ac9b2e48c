"""Which way a model signal or a prediction points."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.analysis.domain.claims import (
    DOWN_WORDS,
    UP_WORDS,
    ClaimRefused,
    direction_of_prediction,
    direction_of_signal,
    horizon,
)

HUNDRED = Decimal(100)


class TestASignal:
    @pytest.mark.parametrize(
        "word", ["buy", "BUY", " strong_buy ", "Strong Buy", "open-long", "up"]
    )
    def test_to_buy_points_up(self, word):
        assert direction_of_signal(word) == 1

    @pytest.mark.parametrize("word", ["sell", "Short", "STRONG_SELL", "open short", "bearish"])
    def test_to_sell_points_down(self, word):
        assert direction_of_signal(word) == -1

    @pytest.mark.parametrize(
        "word", ["hold", "backtest_complete", "", "buyer", "neutral", "close_long", "1"]
    )
    def test_of_any_other_word_points_nowhere(self, word):
        assert direction_of_signal(word) is None

    def test_never_points_both_ways(self):
        assert not UP_WORDS & DOWN_WORDS


class TestAPrediction:
    @pytest.mark.parametrize(
        ("kind", "value", "sign"),
        [
            ("price_direction", "1", 1),
            ("price_direction", "-1", -1),
            ("Direction", "0.3", 1),
            ("price_direction", "-0.0001", -1),
            ("probability_up", "0.51", 1),
            ("probability_up", "0.49", -1),
            ("up_probability", "1", 1),
            ("up_probability", "0", -1),
            ("probability_down", "0.9", -1),
            ("return", "0.02", 1),
            ("return_24h", "-0.02", -1),
            ("price_change_pct", "-3", -1),
            ("pct change", "0.1", 1),
            ("target_price", "101", 1),
            ("price", "99", -1),
            ("close_price_1d", "100.01", 1),
        ],
    )
    def test_points_where_its_value_says(self, kind, value, sign):
        assert direction_of_prediction(kind, Decimal(value), HUNDRED) == (sign, "")

    @pytest.mark.parametrize(
        ("kind", "value", "entry", "reason"),
        [
            ("price_direction", "0", HUNDRED, "of 0 points neither up nor down"),
            ("return", "0.00", HUNDRED, "of 0 points neither up nor down"),
            ("probability_up", "0.5", HUNDRED, "one half points neither up nor down"),
            ("probability_up", "51", HUNDRED, "lies between 0 and 1"),
            ("probability_up", "-0.1", HUNDRED, "lies between 0 and 1"),
            ("price", "101", None, "No price is known"),
            ("price", "100.0", HUNDRED, "is the price at the time"),
            ("price", "0", HUNDRED, "above zero"),
            ("volatility", "0.3", HUNDRED, "A prediction of volatility claims no direction"),
            ("volatility_24h", "0.3", HUNDRED, "volatility_24h claims no direction"),
            ("return_volatility", "0.3", HUNDRED, "claims no direction"),
            ("", "1", HUNDRED, "without a type"),
            ("price_direction", "NaN", HUNDRED, "no number"),
            ("price", "Infinity", HUNDRED, "no number"),
        ],
    )
    def test_points_nowhere_and_says_why(self, kind, value, entry, reason):
        found = direction_of_prediction(kind, Decimal(value), entry)

        assert found.sign is None
        assert reason in found.reason

    def test_says_so_in_few_words(self):
        assert len(direction_of_prediction("x" * 5000, Decimal(1), HUNDRED).reason) < 120

    def test_needs_no_price_unless_it_names_one(self):
        assert direction_of_prediction("price_direction", Decimal(1), None).sign == 1

    @given(st.text(max_size=30), st.decimals(), st.none() | st.just(HUNDRED))
    def test_of_any_kind_has_a_direction_or_a_reason(self, kind, value, entry):
        found = direction_of_prediction(kind, value, entry)

        assert (found.sign in (1, -1)) != bool(found.reason)


class TestAHorizon:
    DAY = timedelta(days=1)

    @pytest.mark.parametrize(
        ("hours", "length"),
        [
            (None, DAY),
            (4, timedelta(hours=4)),
            (Decimal("0.5"), timedelta(minutes=30)),
            (1 / 60, timedelta(minutes=1)),
            (8784, timedelta(days=366)),
        ],
    )
    def test_is_what_the_claim_says_or_the_default(self, hours, length):
        assert horizon(hours, self.DAY) == length

    @pytest.mark.parametrize(
        "hours", [0, -1, 0.001, 8785, float("nan"), float("inf"), Decimal("NaN"), Decimal("1e999")]
    )
    def test_is_refused_where_nothing_can_be_judged(self, hours):
        with pytest.raises(ClaimRefused) as refusal:
            horizon(hours, self.DAY)

        assert [error.pointer for error in refusal.value.errors] == ["/horizon_hours"]
