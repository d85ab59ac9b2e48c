"""Results of outside backtests, in each of their three shapes."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.analysis.domain.result_shapes import (
    FIGURES,
    Shape,
    SignalFigures,
    period_of,
    read_result,
)

NOTHING = dict.fromkeys(FIGURES)

# As the predecessor stored it: figures at the top, its columns all zero.
FLAT = """{
  "sortino_ratio_mean": -1.1032, "sharpe_ratio_mean": -1.4919, "max_drawdown_mean": -0.05199,
  "total_return_mean": -0.01544, "win_rate_mean": 0.25, "profit_factor_mean": 0.61,
  "total_trades": 8, "periods_tested": 2, "composite_score": 0.31
}"""

NESTED = """{
  "timestamp": "2025-07-02T10:00:00",
  "performance_metrics": {
    "sortino_ratio_mean": 1.8, "sortino_ratio_std": 0.4, "sharpe_ratio_mean": 1.2,
    "max_drawdown_mean": -0.12, "total_return_mean": 0.34, "win_rate_mean": 0.55,
    "composite_score": 0.62, "periods_tested": 6
  },
  "trading_statistics": {"total_trades": 41, "long_positions": 30, "short_positions": 11},
  "signal_analysis": {"top_signals": {
    "rsi_oversold": {"avg_mean_return": 0.012, "total_contribution": 0.2, "avg_win_rate": 0.6,
                     "total_count": 17},
    "macd_cross": {"avg_mean_return": 0.004, "total_contribution": 0.1, "avg_win_rate": null,
                   "total_count": 9}
  }},
  "confidence_score": 0.7
}"""

# A row of the predecessor's database, shortened: what stands beside the error never happened.
FAILURE = """{
  "timestamp": "2025-07-01T23:35:23.421569", "success": false,
  "error": "'AdvancedTradingSignalGenerator' object has no attribute 'set_btc_data_cache'",
  "period_requested": "1y",
  "performance_metrics": {"sortino_ratio_mean": 0.0, "max_drawdown_mean": 0.0,
    "profit_factor_mean": 1.0, "win_rate_mean": 0.5, "total_return_mean": 0.0,
    "sharpe_ratio_mean": 0.0, "composite_score": 0.0, "periods_tested": 0, "success": false},
  "optimal_weights": {"technical": 0.4, "onchain": 0.35, "sentiment": 0.15, "macro": 0.1}
}"""


class TestTheThreeShapes:
    def test_flat_figures_are_found_at_the_top(self):
        found = read_result(json.loads(FLAT))

        assert found.shape == Shape.FLAT
        assert found.values == {
            "composite_score": 0.31,
            "confidence_score": None,
            "sortino_ratio": -1.1032,
            "sharpe_ratio": -1.4919,
            "max_drawdown": -0.05199,
            "total_return": -0.01544,
            "win_rate": 0.25,
            "total_trades": 8,
        }
        assert found.error == ""

    def test_nested_figures_are_found_in_their_places(self):
        found = read_result(json.loads(NESTED))

        assert found.shape == Shape.NESTED
        assert found.values == {
            "composite_score": 0.62,
            "confidence_score": 0.7,
            "sortino_ratio": 1.8,
            "sharpe_ratio": 1.2,
            "max_drawdown": -0.12,
            "total_return": 0.34,
            "win_rate": 0.55,
            "total_trades": 41,
        }

    def test_a_failure_has_its_error_and_no_figures(self):
        found = read_result(json.loads(FAILURE))

        assert found.shape == Shape.FAILURE
        assert found.values == NOTHING
        assert "set_btc_data_cache" in found.error
        assert found.signals == []

    @pytest.mark.parametrize(
        ("results", "error"),
        [
            ({"success": False}, ""),
            ({"error": " No data. "}, "No data."),
            ({"success": False, "error": {"code": 5}}, "{'code': 5}"),
            ({"performance_metrics": {"success": False, "error": "Empty"}}, "Empty"),
        ],
    )
    def test_a_failure_may_say_little(self, results, error):
        found = read_result(results)

        assert (found.shape, found.error, found.values) == (Shape.FAILURE, error, NOTHING)

    def test_a_note_beside_figures_is_no_failure(self):
        found = read_result({"sharpe_ratio": 1.0, "error": None, "success": True})

        assert (found.shape, found.values["sharpe_ratio"]) == (Shape.FLAT, 1.0)

    @pytest.mark.parametrize("results", [{}, {"foo": 1}, {"win_rate": "0.5"}])
    def test_anything_else_is_unknown_and_empty(self, results):
        assert read_result(results) == (Shape.UNKNOWN, NOTHING, "", [])

    def test_a_nested_result_without_figures_stays_nested(self):
        found = read_result({"performance_metrics": {}})

        assert (found.shape, found.values) == (Shape.NESTED, NOTHING)


class TestAFigure:
    def test_of_its_own_name_goes_before_its_mean(self):
        assert read_result({"win_rate": 0.4, "win_rate_mean": 0.5}).values["win_rate"] == 0.4

    def test_that_cannot_be_used_gives_way_to_its_mean(self):
        found = read_result({"win_rate": float("nan"), "win_rate_mean": 0.5})

        assert found.values["win_rate"] == 0.5

    @pytest.mark.parametrize(
        "value",
        [
            float("nan"),
            float("inf"),
            "0.5",
            "NaN",
            None,
            True,
            [],
            {},
            10**400,
            Decimal("sNaN"),
            Decimal("1e400"),
        ],
    )
    def test_that_is_no_finite_number_is_unknown(self, value):
        found = read_result({"sharpe_ratio": value, "total_trades": value, "win_rate": 0.1})

        assert found.values["sharpe_ratio"] is None
        assert found.values["total_trades"] is None

    @pytest.mark.parametrize(
        ("value", "read"),
        [(8, 8), (8.0, 8), (Decimal(8), 8), (0, 0), (8.5, None), (-1, None), (2**31, None)],
    )
    def test_that_counts_trades_is_whole_and_fits(self, value, read):
        found = read_result({"total_trades": value, "win_rate": 0.1}).values["total_trades"]

        assert found == read
        assert found is None or type(found) is int

    def test_that_averages_the_trades_is_not_their_number(self):
        found = read_result({"total_trades_mean": 4, "win_rate": 0.1})

        assert found.values["total_trades"] is None


class TestSignals:
    FIGURES = {
        "avg_mean_return": 0.012,
        "total_contribution": 0.2,
        "avg_win_rate": 0.6,
        "total_count": 17,
    }
    READ = SignalFigures("rsi", 0.012, 0.2, 0.6, 17)

    def test_keep_their_order_and_tell_what_is_missing(self):
        assert read_result(json.loads(NESTED)).signals == [
            SignalFigures("rsi_oversold", 0.012, 0.2, 0.6, 17),
            SignalFigures("macd_cross", 0.004, 0.1, None, 9),
        ]

    @pytest.mark.parametrize(
        "told",
        [
            {"rsi": FIGURES},
            [["rsi", FIGURES]],
            [{"signal_name": "rsi", **FIGURES}],
            [{"name": " rsi ", **FIGURES}],
            [["rsi", FIGURES], ["rsi", {}], ["macd"], 5, None, [1, {}], {"no": "name"}],
        ],
    )
    def test_are_read_however_they_are_listed(self, told):
        assert read_result({"signal_analysis": {"top_signals": told}}).signals == [self.READ]

    def test_may_carry_the_names_of_the_table(self):
        figures = {
            "mean_return": 0.012,
            "total_contribution": 0.2,
            "win_rate": 0.6,
            "activation_count": 17,
        }

        found = read_result({"signal_analysis": {"top_signals": {"rsi": figures}}})

        assert found.signals == [self.READ]

    @pytest.mark.parametrize("told", [None, 5, "rsi", [], {}])
    def test_are_none_where_none_are_told(self, told):
        assert read_result({"signal_analysis": {"top_signals": told}}).signals == []


class TestThePeriod:
    @pytest.mark.parametrize(
        ("config", "period"),
        [
            ({"period": "1y", "optimize_weights": True}, "1y"),
            ({"period": " 3mo "}, "3mo"),
            ({"period": "unknown"}, ""),
            ({"period": None}, ""),
            ({"period": 5}, ""),
            ({}, ""),
        ],
    )
    def test_stands_in_the_configuration(self, config, period):
        assert period_of(config) == period


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *FIGURES,
                    "win_rate_mean",
                    "success",
                    "error",
                    "performance_metrics",
                    "trading_statistics",
                    "signal_analysis",
                    "top_signals",
                    "name",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


class TestAnyJson:
    @given(st.dictionaries(st.sampled_from([*FIGURES, "success", "error"]), json_values))
    def test_is_read_without_an_error(self, results):
        found = read_result(results)

        assert set(found.values) == set(FIGURES)
        # Strict JSON knows neither NaN nor infinity.
        json.dumps([found.values, found.signals], allow_nan=False)

    @given(
        st.fixed_dictionaries(
            {},
            optional={
                "performance_metrics": json_values,
                "signal_analysis": json_values,
                "trading_statistics": json_values,
            },
        )
    )
    def test_is_read_without_an_error_in_depth(self, results):
        found = read_result(results)

        json.dumps([found.values, found.signals], allow_nan=False)
