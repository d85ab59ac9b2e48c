"""The weights of a model signal: none negative, each group a whole."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.analysis.domain.weights import GROUPS, check_weights

TOP = {
    "technical_weight": 0.4,
    "onchain_weight": 0.35,
    "sentiment_weight": 0.15,
    "macro_weight": 0.1,
}
# The predecessor's defaults, all fourteen.
DEFAULTS = {
    **TOP,
    "momentum_weight": 0.3,
    "trend_weight": 0.4,
    "volatility_weight": 0.15,
    "volume_weight": 0.15,
    "flow_weight": 0.4,
    "network_weight": 0.3,
    "holder_weight": 0.3,
    "social_weight": 0.5,
    "derivatives_weight": 0.3,
    "fear_greed_weight": 0.2,
}


def errors_of(weights):
    return [(error.pointer, error.code) for error in check_weights(weights)]


class TestWeights:
    def test_of_the_predecessor_are_taken(self):
        assert len(DEFAULTS) == 14
        assert check_weights(DEFAULTS) == []

    def test_may_be_none_at_all_or_single_groups(self):
        assert check_weights({}) == []
        assert check_weights(TOP) == []
        assert check_weights({"flow_weight": 1, "network_weight": 0, "holder_weight": 0}) == []

    def test_may_be_decimals_and_floats_together(self):
        weights = {"flow_weight": Decimal("0.4"), "network_weight": 0.6, "holder_weight": 0}

        assert check_weights(weights) == []

    def test_may_miss_one_by_a_millionth(self):
        def thirds(last):
            third = Decimal("0.333333")
            return {"flow_weight": third, "network_weight": third, "holder_weight": Decimal(last)}

        assert check_weights(thirds("0.333333")) == []
        assert check_weights(thirds("0.333335")) == []
        assert errors_of(thirds("0.3333329")) == [("/signal_weights", "wrong_sum")]
        assert errors_of(thirds("0.3333351")) == [("/signal_weights", "wrong_sum")]

    def test_that_the_optimizer_wrote_raw_are_refused(self):
        weights = {
            "technical_weight": 0.3745,
            "onchain_weight": 0.9507,
            "sentiment_weight": 0.7320,
            "macro_weight": -1.0572,
        }

        assert errors_of(weights) == [("/signal_weights/macro_weight", "out_of_range")]

    def test_that_sum_to_two_are_refused_with_their_sum(self):
        (error,) = check_weights(dict.fromkeys(TOP, 0.5))

        assert (error.pointer, error.code) == ("/signal_weights", "wrong_sum")
        assert error.message == (
            "top level: technical_weight, onchain_weight, sentiment_weight, macro_weight "
            "must sum to 1, not to 2.00000000."
        )

    @pytest.mark.parametrize(
        ("value", "code"),
        [
            (True, "not_a_number"),
            ("0.4", "not_a_number"),
            (None, "not_a_number"),
            ([0.4], "not_a_number"),
            (float("nan"), "not_a_number"),
            (float("inf"), "not_a_number"),
            (Decimal("NaN"), "not_a_number"),
            (Decimal("sNaN"), "not_a_number"),
            (-0.0001, "out_of_range"),
            (1.1, "out_of_range"),
            (10**4000, "out_of_range"),
            (Decimal("1e999999"), "out_of_range"),
        ],
    )
    def test_that_are_no_shares_are_named(self, value, code):
        weights = {**DEFAULTS, "onchain_weight": value}

        assert errors_of(weights) == [("/signal_weights/onchain_weight", code)]

    def test_missing_from_their_group_are_named(self):
        weights = {"flow_weight": 0.5, "network_weight": 0.5}

        assert errors_of(weights) == [("/signal_weights/holder_weight", "missing")]

    def test_unknown_are_named_with_a_pointer_that_can_be_followed(self):
        weights = {**DEFAULTS, "technical": 0.4, "a/b~c": 1}

        assert errors_of(weights) == [
            ("/signal_weights/technical", "unknown"),
            ("/signal_weights/a~1b~0c", "unknown"),
        ]

    def test_are_wrong_in_every_group_at_once(self):
        weights = {**DEFAULTS, "trend_weight": 0.5, "social_weight": -1, "x": 1}

        assert errors_of(weights) == [
            ("/signal_weights/x", "unknown"),
            ("/signal_weights", "wrong_sum"),
            ("/signal_weights/social_weight", "out_of_range"),
        ]

    @given(
        st.sampled_from(sorted(GROUPS)).flatmap(
            lambda group: st.tuples(
                st.just(group),
                st.lists(
                    st.floats(0.001, 1000), min_size=len(GROUPS[group]), max_size=len(GROUPS[group])
                ),
            )
        )
    )
    def test_of_any_shares_of_a_whole_are_taken_after_json(self, drawn):
        group, parts = drawn
        whole = sum(parts)
        shares = [part / whole for part in parts]
        weights = json.loads(json.dumps(dict(zip(GROUPS[group], shares, strict=True))))

        assert check_weights(weights) == []
        assert check_weights({name: value * 0.99 for name, value in weights.items()}) != []
