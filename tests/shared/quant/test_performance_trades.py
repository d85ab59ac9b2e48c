"""Figures of trades, against exact arithmetic and at the edges."""

import math
from fractions import Fraction
from itertools import groupby
from statistics import mean, stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.shared.quant import performance
from apps.shared.quant.performance import define, trades_metrics


def exact_figures(net):
    """Return each figure from its definition, in fractions; undefined is None."""
    exact = [Fraction(each) for each in net]
    wins = [each for each in exact if each > 0]
    losses = [each for each in exact if each < 0]
    streaks = [(sign(key), len(list(run))) for key, run in groupby(exact, sign)]
    varied = len(set(exact)) > 1
    return {
        "total_trades": len(exact),
        "winning_trades": len(wins),
        "losing_trades": len(losses),
        "breakeven_trades": exact.count(0),
        "win_rate": Fraction(len(wins), len(wins) + len(losses)) if wins or losses else None,
        "profit_factor": sum(wins) / -sum(losses) if losses else None,
        "expectancy": mean(exact) if exact else None,
        "average_win": mean(wins) if wins else None,
        "average_loss": mean(losses) if losses else None,
        "payoff_ratio": mean(wins) / -mean(losses) if wins and losses else None,
        "best_trade": max(exact, default=None),
        "worst_trade": min(exact, default=None),
        "longest_winning_streak": max((n for key, n in streaks if key > 0), default=0),
        "longest_losing_streak": max((n for key, n in streaks if key < 0), default=0),
        "sharpe_per_trade": float(mean(exact) / Fraction(stdev(exact))) if varied else None,
    }


def assert_exact(net, *, floor):
    """Compare to 1e-9 of each figure; the same ones are undefined."""
    exact = exact_figures(net)
    found = values(net)
    assert list(found) == list(exact)
    assert {name for name in found if found[name] is None} == {
        name for name in exact if exact[name] is None
    }
    for name, value in exact.items():
        if value is not None:
            assert found[name] == pytest.approx(float(value), rel=1e-9, abs=floor), name


def sign(value):
    return (value > 0) - (value < 0)


def values(net):
    return {each.name: each.value for each in trades_metrics(net)}


def reasons(net):
    return {each.name: each.reason for each in trades_metrics(net) if each.value is None}


DEGENERATE = {
    "no trades": [],
    "one win": [0.02],
    "one loss": [-0.02],
    "one that broke even": [0.0],
    "all wins": [0.01, 0.02, 0.03],
    "all losses": [-0.01, -0.02, -0.03],
    "all even": [0.0, 0.0, 0.0],
    "no variance": [0.1, 0.1, 0.1],
    "no variance, all losses": [-0.1] * 5,
    "a win and a loss": [0.1, -0.1],
    "a total loss": [0.1, -1.0, 0.2],
    "more than the margin lost": [-1.002, 0.3, -1.002],
    "breakeven between losses": [-0.1, -0.1, 0.0, -0.1, 0.1, 0.1, 0.1, 0.0],
    "very large": [1e120, -2e120, 3e120],
    "very small": [1e-120, -2e-120, 3e-120],
    "large and small": [1e100, -1e-100, 0.0],
}


class TestTrades:
    @pytest.mark.parametrize("net", DEGENERATE.values(), ids=DEGENERATE)
    def test_every_figure_is_exact(self, net):
        assert_exact(net, floor=0)

    @given(st.lists(st.integers(-300, 300).map(lambda each: each / 256), max_size=40))
    def test_any_trades_are_exact(self, net):
        assert_exact(net, floor=1e-12)

    @given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=40))
    def test_any_finite_numbers_have_figures_or_reasons(self, net):
        for metric in trades_metrics(net):
            assert metric.n <= len(net)
            if metric.value is None:
                assert metric.reason
            else:
                assert type(metric.value) is float
                assert math.isfinite(metric.value)
                assert not metric.reason

    def test_without_trades_counts_are_zero_and_all_else_is_undefined(self):
        found = values([])

        counts = {name for name, value in found.items() if value == 0}
        assert counts == {
            *("total_trades", "winning_trades", "losing_trades", "breakeven_trades"),
            *("longest_winning_streak", "longest_losing_streak"),
        }
        assert reasons([]) == dict.fromkeys(found.keys() - counts, "There are no trades.")

    @pytest.mark.parametrize(
        ("net", "expected"),
        [
            (
                [0.1],
                {
                    "profit_factor": "No trade lost.",
                    "average_loss": "No trade lost.",
                    "payoff_ratio": "No trade lost.",
                    "sharpe_per_trade": "At least two trades are needed.",
                },
            ),
            ([-0.1, -0.2], {"average_win": "No trade won.", "payoff_ratio": "No trade won."}),
            (
                [0.0, 0.0],
                {
                    "win_rate": "Every trade broke even.",
                    "profit_factor": "No trade lost.",
                    "average_win": "No trade won.",
                    "average_loss": "No trade lost.",
                    "payoff_ratio": "No trade won.",
                    "sharpe_per_trade": "The trades do not vary.",
                },
            ),
            ([1e300, -1e-300], {"profit_factor": "The value is too large for a number."}),
        ],
    )
    def test_what_is_undefined_says_why(self, net, expected):
        found = reasons(net)

        assert {name: found.get(name) for name in expected} == expected
        assert found.keys() - expected.keys() <= {"payoff_ratio"}

    def test_each_figure_counts_what_it_was_computed_from(self):
        counted = {each.name: each.n for each in trades_metrics([0.1, 0.2, -0.1, 0.0])}

        assert counted == dict.fromkeys(counted, 4) | {
            "win_rate": 3,
            "average_win": 2,
            "average_loss": 1,
            "payoff_ratio": 3,
        }

    def test_a_known_answer(self):
        """Of 10,000: 300 won, 100 lost, 200 won."""
        found = values([0.03, -0.01, 0.02])

        assert found["win_rate"] == pytest.approx(2 / 3)
        assert found["profit_factor"] == pytest.approx(5)
        assert found["average_win"] == pytest.approx(0.025)
        assert found["average_loss"] == -0.01
        assert found["payoff_ratio"] == pytest.approx(2.5)
        assert found["expectancy"] == pytest.approx(0.04 / 3)

    def test_a_mean_of_equal_trades_is_that_trade(self):
        """In floats the sum of three times 0.1 is not 0.3."""
        assert values([0.1, 0.1, 0.1])["expectancy"] == 0.1

    def test_each_single_function_says_what_all_together_say(self):
        net = np.random.default_rng(5).normal(0.001, 0.02, 200).round(2)

        for metric in trades_metrics(net):
            assert getattr(performance, metric.name)(net) == metric

    @pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
    def test_no_figure_is_made_of_what_is_not_a_finite_number(self, wrong):
        with pytest.raises(ValueError, match="Value 1 is not a finite number"):
            trades_metrics([0.1, wrong])

    def test_every_id_has_its_sentence(self):
        for metric in trades_metrics([0.1, -0.1]):
            assert define(metric.definition).endswith(".")
