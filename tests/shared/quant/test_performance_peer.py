"""Figures of returns beside those of empyrical-reloaded, under the same conventions."""

import math

import empyrical
import numpy as np
import pytest

from apps.shared.quant.performance import Conventions, drawdowns, returns_metrics

PERIODS = (252, 365, 12, 52, 8760)
RATES = (0.0, 0.02, 0.0525, -0.005)
SERIES = 200


def series(seed):
    """Return a row of returns and conventions: each seed another length, size and shape."""
    chance = np.random.default_rng(seed)
    n = int(chance.integers(20, 3000))
    shapes = (
        lambda: chance.normal(0.0005, 0.01, n),
        lambda: chance.standard_t(3, n) * 0.02,
        lambda: chance.normal(0, 1e-7, n),
        lambda: chance.lognormal(0, 0.05, n) - 1,
        lambda: chance.normal(0.001, 0.03, n) * (chance.random(n) < 0.3),
        lambda: chance.choice([-0.02, -0.01, 0.015, 0.03], n),
        lambda: chance.uniform(-0.9, 1.1, n),
    )
    # One sure loss: without a fall, half the figures would have nothing to compare.
    returns = np.maximum(shapes[seed % len(shapes)](), -0.95)
    returns[int(chance.integers(n))] = -0.011
    return returns, Conventions(int(chance.choice(PERIODS)), float(chance.choice(RATES)), ddof=1)


def theirs(returns, conventions):
    """Return what empyrical says: rates per period, except where it takes a yearly one."""
    year = conventions.periods_per_year
    rate = (1 + conventions.risk_free_rate) ** (1 / year) - 1
    return {
        "total_return": empyrical.cum_returns_final(returns),
        "annual_return": empyrical.annual_return(returns, annualization=year),
        "annual_volatility": empyrical.annual_volatility(returns, annualization=year),
        "sharpe_ratio": empyrical.sharpe_ratio(returns, rate, annualization=year),
        "sortino_ratio": empyrical.sortino_ratio(returns, rate, annualization=year),
        "calmar_ratio": empyrical.calmar_ratio(returns, annualization=year),
        "max_drawdown": empyrical.max_drawdown(returns),
        "omega_ratio": empyrical.omega_ratio(
            returns, required_return=conventions.risk_free_rate, annualization=year
        ),
        "value_at_risk_95": empyrical.value_at_risk(returns, 0.05),
        "conditional_value_at_risk_95": empyrical.conditional_value_at_risk(returns, 0.05),
    }


class TestPeer:
    @pytest.mark.parametrize("seed", range(SERIES))
    def test_every_figure_is_theirs(self, seed):
        returns, conventions = series(seed)

        ours = {each.name: each.value for each in returns_metrics(returns, conventions)}

        assert ours == pytest.approx(theirs(returns, conventions), rel=1e-9, abs=1e-9)

    def test_small_figures_are_theirs_too(self):
        """Where 1e-9 would be as large as the figures, the digits are compared."""
        returns, conventions = series(2)
        assert np.abs(np.sort(returns)[1:]).max() < 1e-6

        ours = {each.name: each.value for each in returns_metrics(returns, conventions)}

        assert ours == pytest.approx(theirs(returns, conventions), rel=1e-9, abs=1e-13)

    @pytest.mark.parametrize("seed", range(20))
    def test_the_drawdowns_are_theirs(self, seed):
        returns, _ = series(seed)

        found = drawdowns(returns)

        assert found.shape == returns.shape
        assert found == pytest.approx(empyrical.stats.drawdown_series(returns), abs=1e-9)

    @pytest.mark.parametrize(
        ("returns", "names"),
        [
            ([0.01, 0.02, 0.03], {"sortino_ratio", "calmar_ratio", "omega_ratio"}),
            ([0.1, 0.1, 0.1], {"sharpe_ratio", "sortino_ratio", "calmar_ratio", "omega_ratio"}),
            ([-0.1, -0.1], {"sharpe_ratio"}),
            (
                [-0.1],
                {"annual_volatility", "sharpe_ratio", "sortino_ratio", "omega_ratio"},
            ),
        ],
    )
    def test_where_they_have_no_finite_number_we_have_a_reason(self, returns, names):
        found = returns_metrics(returns, Conventions())
        peer = theirs(np.array(returns), Conventions())

        assert {each.name for each in found if each.value is None} == names
        assert {name for name, value in peer.items() if not math.isfinite(value)} == names
        assert all(bool(each.reason) is (each.value is None) for each in found)
