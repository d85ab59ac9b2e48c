"""How sure a rate is."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.shared.quant.intervals import wilson


class TestWilson:
    @pytest.mark.parametrize(
        ("hits", "n", "low", "high"),
        [
            # Newcombe (1998), table I: the score method.
            (81, 263, "0.2553", "0.3662"),
            (15, 148, "0.0624", "0.1605"),
            (0, 20, "0.0000", "0.1611"),
            (1, 29, "0.0061", "0.1718"),
        ],
    )
    def test_knows_the_published_answers(self, hits, n, low, high):
        interval = wilson(hits, n)

        assert round(interval.low, 4) == Decimal(low)
        assert round(interval.high, 4) == Decimal(high)

    def test_is_undefined_without_trials(self):
        assert wilson(0, 0) is None

    @pytest.mark.parametrize(("hits", "n"), [(-1, 3), (4, 3), (0, -1)])
    def test_refuses_what_cannot_be(self, hits, n):
        with pytest.raises(ValueError, match="cannot be"):
            wilson(hits, n)

    @given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
    def test_encloses_the_rate_and_mirrors(self, trial):
        hits, n = trial
        interval, mirrored = wilson(hits, n), wilson(n - hits, n)

        assert 0 <= interval.low <= Decimal(hits) / n <= interval.high <= 1
        assert abs(interval.low - (1 - mirrored.high)) < Decimal("1e-20")
