"""Figures of returns, against exact arithmetic and at the edges."""

import math
import sys
from decimal import MAX_EMAX, MIN_EMIN, Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from apps.shared.quant import performance
from apps.shared.quant.performance import Conventions, define, drawdowns, returns_metrics

DAYS = Conventions(365)
FIGURES = (
    "total_return",
    "annual_return",
    "annual_volatility",
    "sharpe_ratio",
    "sortino_ratio",
    "calmar_ratio",
    "max_drawdown",
    "omega_ratio",
    "value_at_risk_95",
    "conditional_value_at_risk_95",
)
LARGEST = Decimal(sys.float_info.max)


def exact_figures(returns, periods=365, rate=0.0, ddof=1):
    """Return each figure from its definition: fractions, and decimals where roots are drawn.

    Undefined is None. Nothing here is rounded before the 700th digit.
    """
    with localcontext(prec=700, Emax=MAX_EMAX, Emin=MIN_EMIN):
        found = dict.fromkeys(FIGURES)
        r = [Fraction(float(each)) for each in returns]
        n = len(r)
        if not n:
            return found
        ordered, place = sorted(r), Fraction(n - 1, 20)
        low, share = int(place), place % 1
        high = min(low + 1, n - 1)
        found["value_at_risk_95"] = ordered[low] * (1 - share) + ordered[high] * share
        found["conditional_value_at_risk_95"] = sum(ordered[: low + 1]) / (low + 1)

        if ordered[0] >= -1:
            value = peak = Fraction(1)
            deepest = Fraction(0)
            for each in r:
                value *= 1 + each
                peak = max(peak, value)
                deepest = min(deepest, value / peak - 1)
            annual = decimal(value) ** (Decimal(periods) / n) - 1
            found |= {"total_return": value - 1, "annual_return": annual, "max_drawdown": deepest}
            if deepest:
                found["calmar_ratio"] = annual / decimal(-deepest)

        if n >= 2:
            root = Decimal(periods).sqrt()
            free = Fraction((1 + Decimal(repr(rate))) ** (1 / Decimal(periods)) - 1)
            mean = sum(r) / n
            excess = [each - free for each in r]
            deviation = decimal(sum((each - mean) ** 2 for each in r) / (n - ddof)).sqrt()
            below = [min(each, Fraction(0)) for each in excess]
            found["annual_volatility"] = deviation * root
            if deviation:
                found["sharpe_ratio"] = decimal(mean - free) / deviation * root
            if any(below):
                downside = decimal(sum(each**2 for each in below) / n).sqrt()
                found["sortino_ratio"] = decimal(mean - free) / downside * root
                found["omega_ratio"] = sum(max(each, Fraction(0)) for each in excess) / -sum(below)
        return {
            name: None if value is None or abs(decimal(value)) > LARGEST else decimal(value)
            for name, value in found.items()
        }


def decimal(value):
    """Return a fraction as a decimal, as precise as the context."""
    if isinstance(value, Fraction):
        return Decimal(value.numerator) / Decimal(value.denominator)
    return Decimal(value)


def assert_exact(metrics, exact, *, floors=None):
    """Compare to 1e-9 of each figure, or of its floor where the figure is smaller."""
    assert [each.name for each in metrics] == list(exact)
    for metric in metrics:
        expected = exact[metric.name]
        assert (metric.value is None) == (expected is None), metric
        if expected is not None:
            floor = floors[metric.name] if floors else Decimal(0)
            allowed = max(abs(expected), floor) * Decimal("1e-9")
            assert abs(Decimal(metric.value) - expected) <= allowed, (metric, expected)


DEGENERATE = {
    "no returns": [],
    "one gain": [0.02],
    "one loss": [-0.02],
    "one return of nothing": [0.0],
    "two returns": [0.03, -0.01],
    "all gains": [0.01, 0.02, 0.005, 0.03],
    "all losses": [-0.01, -0.02, -0.005, -0.03],
    "no variance": [0.1, 0.1, 0.1],
    "no variance, all losses": [-0.3] * 7,
    "nothing ever happens": [0.0] * 30,
    "nothing but one loss": [0.0] * 29 + [-0.01],
    "a total loss": [0.02, 0.01, -1.0],
    "a total loss, and gains on nothing": [0.02, -1.0, 0.5, 0.1],
    "a total loss at once": [-1.0],
    "a gain of a million": [1e6, -0.5, 0.25],
    "very large": [1e200, 3e200, -0.5, 2e250],
    "the largest": [1.7976931348623157e308, -0.5, 1.7976931348623157e308],
    "the largest, all the same": [1.7976931348623157e308] * 3,
    "the largest of both signs": [-1.7976931348623157e308, 1.7976931348623157e308],
    "very small": [1e-200, 3e-200, -2e-200, 1e-201],
    "very small gains": [1e-200, 3e-200],
    "large and small": [1e150, -1e-150],
    "a long fall": [-0.9] * 2000,
    "a long rise": [9.0, 8.0] * 500,
    "twenty and one": [float(each) / 100 for each in range(-9, 12)],
}


class TestDegenerate:
    @pytest.mark.parametrize("returns", DEGENERATE.values(), ids=DEGENERATE)
    @pytest.mark.parametrize("conventions", [DAYS, Conventions(12), Conventions(1, 0.0, 0)])
    def test_every_figure_is_exact(self, returns, conventions):
        exact = exact_figures(returns, conventions.periods_per_year, ddof=conventions.ddof)

        assert_exact(returns_metrics(returns, conventions), exact)

    @pytest.mark.parametrize("name", ["one loss", "two returns", "all gains", "a total loss"])
    def test_a_risk_free_rate_is_taken_off_each_period(self, name):
        returns = DEGENERATE[name]

        found = returns_metrics(returns, Conventions(252, 0.05))

        assert_exact(found, exact_figures(returns, 252, 0.05))

    @given(st.lists(st.floats(-1, 10), max_size=25), st.sampled_from([1, 12, 252, 365, 35040]))
    def test_any_returns_are_exact(self, returns, periods):
        exact = exact_figures(returns, periods)
        size = max((abs(Decimal(each)) for each in returns), default=Decimal(0))
        fall = exact["max_drawdown"]
        # What has no digits left in a float is not to be compared: a spread of a billionth of
        # the values, a fall of a millionth beside the growth before it.
        assume(len(set(returns)) < 2 or np.ptp(returns) > 1e-9 * float(size))
        assume(not fall or fall < Decimal("-1e-6"))

        floors = dict.fromkeys(FIGURES, max(size, Decimal(1)))
        if fall:
            floors["calmar_ratio"] /= -fall
        assert_exact(returns_metrics(returns, Conventions(periods)), exact, floors=floors)

    @given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=40))
    def test_any_finite_numbers_have_figures_or_reasons(self, returns):
        for conventions in (DAYS, Conventions(252, 0.02)):
            for metric in returns_metrics(returns, conventions):
                assert metric.n == len(returns)
                if metric.value is None:
                    assert metric.reason
                else:
                    assert type(metric.value) is float
                    assert math.isfinite(metric.value)
                    assert not metric.reason


class TestReasons:
    @pytest.mark.parametrize(
        ("returns", "reasons"),
        [
            ([], dict.fromkeys(FIGURES, "There are no returns.")),
            (
                [-0.1],
                dict.fromkeys(
                    ("annual_volatility", "sharpe_ratio", "sortino_ratio", "omega_ratio"),
                    "At least two returns are needed.",
                ),
            ),
            (
                [0.1, 0.1],
                {
                    "sharpe_ratio": "The returns do not vary.",
                    "sortino_ratio": "No return is below the risk-free rate.",
                    "calmar_ratio": "There was no drawdown.",
                    "omega_ratio": "No return is below the risk-free rate.",
                },
            ),
            (
                [0.1, -1.1],
                dict.fromkeys(
                    ("total_return", "annual_return", "calmar_ratio", "max_drawdown"),
                    "A loss beyond −100 % cannot be compounded.",
                ),
            ),
            (
                [1e200, 1e200, -0.5],
                dict.fromkeys(
                    ("total_return", "annual_return", "calmar_ratio"),
                    "The value is too large for a number.",
                ),
            ),
        ],
    )
    def test_what_is_undefined_says_why(self, returns, reasons):
        found = returns_metrics(returns, DAYS)

        assert {each.name: each.reason for each in found if each.value is None} == reasons

    @pytest.mark.parametrize(
        "returns",
        [
            # What is left of 1 % a day after dividing neighbors of its curve.
            [1.01 ** (day + 1) / 1.01**day - 1 for day in range(300)],
            [0.1, 0.1, math.nextafter(0.1, 1)],
        ],
    )
    def test_values_that_differ_by_rounding_do_not_vary(self, returns):
        assert len(set(returns)) > 1

        assert performance.sharpe_ratio(returns, DAYS).value is None
        assert performance.annual_volatility(returns, DAYS).value == 0
        assert performance.sharpe_per_trade(returns).value is None

    @pytest.mark.parametrize("offsets", [(0, 2e-13, 3e-13), (*[0] * 36, 2e-13)])
    def test_a_small_deviation_is_one(self, offsets):
        """Eleven digits in common are not twelve, and what is behind them is not rounded off."""
        returns = [0.1 + each for each in offsets]

        exact = exact_figures(returns)
        found = performance.sharpe_ratio(returns, DAYS).value

        assert found == pytest.approx(float(exact["sharpe_ratio"]), rel=1e-9)

    def test_returns_at_the_risk_free_rate_fall_short_of_nothing(self):
        conventions = Conventions(365, 0.02)
        returns = np.full(50, 1.02 ** (1 / 365) - 1)

        assert performance.sortino_ratio(returns, conventions).value is None
        assert performance.omega_ratio(returns, conventions).value is None

    def test_a_deviation_lost_beside_the_risk_free_rate_is_none(self):
        returns = [1e-200, 2e-200]

        assert performance.sharpe_ratio(returns, Conventions(365, 0.02)).value is None
        assert performance.sharpe_ratio(returns, DAYS).value is not None


class TestInput:
    @pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_no_figure_is_made_of_what_is_not_a_finite_number(self, wrong, place):
        returns = [0.01, -0.02, 0.03]
        returns[place] = wrong

        with pytest.raises(ValueError, match=f"Value {place} is not a finite number"):
            returns_metrics(returns, DAYS)
        with pytest.raises(ValueError, match="not a finite number"):
            drawdowns(returns)

    @pytest.mark.parametrize("wrong", [[[0.1, 0.2]], 0.1])
    def test_a_sample_is_one_row(self, wrong):
        with pytest.raises(ValueError, match="one row"):
            returns_metrics(wrong, DAYS)

    def test_the_returns_given_stay_as_they_are(self):
        returns = np.array([0.01, -0.02, 0.03, 0.0001])
        before = returns.copy()

        returns_metrics(returns, Conventions(252, 0.05))

        assert (returns == before).all()

    @pytest.mark.parametrize(
        "wrong",
        [
            {"periods_per_year": 0},
            {"periods_per_year": -365},
            {"periods_per_year": 365.25},
            {"periods_per_year": math.inf},
            {"periods_per_year": math.nan},
            {"risk_free_rate": -1.0},
            {"risk_free_rate": math.nan},
            {"risk_free_rate": math.inf},
            {"risk_free_rate": 0.123456789},
            {"ddof": 2},
            {"ddof": -1},
        ],
    )
    def test_impossible_conventions_are_refused(self, wrong):
        with pytest.raises(ValueError, match=r"."):
            Conventions(**wrong)


class TestSingleFunctions:
    def test_each_says_what_all_together_say(self):
        returns = np.random.default_rng(4).normal(0.001, 0.02, 400)
        conventions = Conventions(52, 0.03)

        for metric in returns_metrics(returns, conventions):
            function = getattr(performance, metric.name)
            takes = (conventions,) if "conventions" in function.__annotations__ else ()
            assert function(returns, *takes) == metric

    def test_a_known_answer(self):
        """Half lost, half won back, and a third of it: 0.5, 0.75, 1."""
        returns = [-0.5, 0.5, 1 / 3]

        assert drawdowns(returns).tolist() == pytest.approx([-0.5, -0.25, 0], abs=1e-15)
        assert performance.max_drawdown(returns).value == -0.5
        assert performance.total_return(returns).value == pytest.approx(0, abs=1e-15)
        assert performance.omega_ratio(returns, DAYS).value == pytest.approx(5 / 3)

    def test_a_loss_smaller_than_a_digit_of_the_growth_is_still_a_drawdown(self):
        assert performance.max_drawdown([5.0, -1e-20]).value == -1e-20

    def test_drawdowns_of_nothing_are_none(self):
        assert drawdowns([]).tolist() == []

    def test_drawdowns_do_not_go_below_a_total_loss(self):
        with pytest.raises(ValueError, match="beyond"):
            drawdowns([0.1, -1.5])

    def test_returns_come_from_the_values_of_an_account(self):
        assert performance.simple_returns([100, 110, 55, 0]).tolist() == pytest.approx(
            [0.1, -0.5, -1]
        )
        assert performance.simple_returns([100]).tolist() == []
        assert performance.simple_returns([]).tolist() == []

    @pytest.mark.parametrize(
        "values", [[0, 1], [1, -1], [-1, 1], [1, 0, 1], [1, math.nan], [1e-300, 1e300]]
    )
    def test_there_is_no_return_from_nothing(self, values):
        with pytest.raises(ValueError, match=r"no return|finite"):
            performance.simple_returns(values)

    def test_every_id_has_its_sentence(self):
        for conventions in (DAYS, Conventions(8760, -0.005, 0)):
            for metric in returns_metrics([0.1, -0.1], conventions):
                assert define(metric.definition).endswith(".")
