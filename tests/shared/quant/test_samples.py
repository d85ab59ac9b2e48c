"""Figures of a sample."""

from decimal import Decimal
from fractions import Fraction
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.shared import fields
from apps.shared.quant import calibration, digits, samples

changes = st.lists(st.decimals(min_value=-100, max_value=1000, places=8), min_size=1)


class TestSamples:
    @given(changes)
    def test_the_mean_is_rounded_once(self, values):
        exact = sum(map(Fraction, values)) / len(values)

        assert samples.mean(values) == Decimal(round(exact * 10**8)).scaleb(-8)

    @given(changes)
    def test_the_median_lies_in_the_middle(self, values):
        exact = median(map(Fraction, values))

        assert samples.median(values) == Decimal(round(exact * 10**8)).scaleb(-8)

    def test_the_nearest_rank_is_a_value_that_occurred(self):
        values = [Decimal(each) for each in (15, 20, 35, 40, 50)]

        ranks = {"0": 15, "0.05": 15, "0.3": 20, "0.4": 20, "0.5": 35, "1": 50}
        assert {share: samples.nearest_rank(values, Decimal(share)) for share in ranks} == ranks

    def test_nothing_is_known_of_an_empty_sample(self):
        assert samples.mean([]) is None
        assert samples.median([]) is None
        assert samples.nearest_rank([], Decimal("0.5")) is None
        assert samples.ratio(0, 0) is None

    def test_a_share_lies_between_0_and_1(self):
        with pytest.raises(ValueError, match="between 0 and 1"):
            samples.nearest_rank([Decimal(1)], Decimal("1.1"))


class TestCalibration:
    CLAIMS = ((Decimal("0.9"), True), (Decimal("0.8"), False), (Decimal("0.85"), True))

    def test_the_brier_score_is_the_mean_square_of_the_miss(self):
        # (0.01 + 0.64 + 0.0225) / 3
        assert calibration.brier(self.CLAIMS) == Decimal("0.22416667")

    def test_is_undefined_without_claims(self):
        assert calibration.brier([]) is None

    def test_the_bands_hold_what_was_said_and_what_came_true(self):
        bands = calibration.reliability(self.CLAIMS)

        assert len(bands) == 10
        assert bands[8] == (
            Decimal("0.8"),
            Decimal("0.9"),
            2,
            1,
            Decimal("0.825"),
            Decimal("0.5"),
        )
        assert bands[0].hit_rate is None

    def test_certainty_belongs_to_the_last_band(self):
        assert calibration.band_of(Decimal(1)) == 9
        assert calibration.band_of(Decimal(0)) == 0

    def test_refuses_what_is_no_probability(self):
        with pytest.raises(ValueError, match="between 0 and 1"):
            calibration.band_of(Decimal(70))


class TestDigits:
    def test_are_those_of_the_columns(self):
        assert digits.PRICE_PLACES == fields.PRICE_PLACES
        assert digits.PRICE_LIMIT == fields.PRICE_LIMIT
        assert digits.RATIO_PLACES == fields.RATIO_PLACES

    @pytest.mark.parametrize(
        ("number", "places"), [("1.500", 1), ("100", 0), ("1e-18", 18), ("1E+3", 0), ("0.0", 0)]
    )
    def test_behind_the_point_do_not_count_padding(self, number, places):
        assert digits.digits_behind(Decimal(number)) == places
