"""Ids that carry the conventions, and the sentences behind them."""

import re

import pytest

from apps.shared.quant.performance import (
    DEFINITIONS,
    Conventions,
    Unit,
    define,
    identify,
    returns_metrics,
    trades_metrics,
    unit_of,
)

CONVENTIONS = [
    Conventions(),
    Conventions(252, 0.02),
    Conventions(12, -0.005, 0),
    Conventions(8760, 0.00000001),
    Conventions(1, 100),
    Conventions(31_622_400, -0.99999999),
]


class TestIds:
    def test_an_id_carries_what_its_figure_depends_on_and_no_more(self):
        found = [each.definition for each in returns_metrics([], Conventions(252, 0.025))]

        assert found == [
            "total_return/compounded",
            "annual_return/compounded/252",
            "annual_volatility/252/ddof1",
            "sharpe_ratio/252/ddof1/rf0.025",
            "sortino_ratio/252/ddof0/rf0.025",
            "calmar_ratio/compounded/252",
            "max_drawdown/compounded",
            "omega_ratio/252/rf0.025",
            "value_at_risk_95/linear",
            "conditional_value_at_risk_95/lower",
        ]

    def test_the_same_conventions_have_the_same_id(self):
        assert identify("sharpe_ratio", Conventions(365, 0)) == "sharpe_ratio/365/ddof1/rf0"
        assert identify("sharpe_ratio", Conventions(365, -0.0)) == "sharpe_ratio/365/ddof1/rf0"
        assert identify("sharpe_ratio", Conventions(365, 0.10)) == "sharpe_ratio/365/ddof1/rf0.1"
        assert identify("sharpe_ratio", Conventions(365, 10)) == "sharpe_ratio/365/ddof1/rf10"

    @pytest.mark.parametrize("conventions", CONVENTIONS)
    @pytest.mark.parametrize("name", DEFINITIONS)
    def test_every_figure_under_any_conventions_has_a_sentence(self, name, conventions):
        definition = identify(name, conventions)

        sentence = define(definition)

        assert re.fullmatch(r"[A-Z][^{}]+\.", sentence)
        assert len(definition) <= 64

    def test_every_figure_that_is_made_is_defined(self):
        made = [*returns_metrics([], Conventions()), *trades_metrics([])]

        assert [each.name for each in made] == list(DEFINITIONS)

    @pytest.mark.parametrize(
        "unknown",
        [
            "",
            "sharpe_ratio",
            "sharpe_ratio/",
            "sharpe/365/ddof1/rf0",
            "sharpe_ratio/365/ddof1",
            "sharpe_ratio/365/ddof2/rf0",
            "sharpe_ratio/365/ddof1/rf0.0",
            "sharpe_ratio/365/ddof1/rf-0",
            "sharpe_ratio/365/ddof1/rf00.02",
            "sharpe_ratio/0365/ddof1/rf0",
            "sharpe_ratio/0/ddof1/rf0",
            "sharpe_ratio/365/365/ddof1/rf0",
            "sharpe_ratio/ddof1/365/rf0",
            "sharpe_ratio/365/ddof1/rf0/",
            "sharpe_ratio/365/ddof1/rfnan",
            "sharpe_ratio/{periods}/ddof1/rf0",
            "sortino_ratio/365/ddof1/rf0",
            "total_return/365",
            "win_rate/net",
            "sharpe_per_trade/net/ddof0",
        ],
    )
    def test_an_id_that_no_figure_has_is_refused(self, unknown):
        with pytest.raises(ValueError, match=r"There is no definition|A year has"):
            define(unknown)


class TestSentences:
    def test_the_formula_names_the_conventions(self):
        assert define("sharpe_ratio/252/ddof1/rf0.02") == (
            "Sharpe ratio: the mean excess return over the standard deviation of the returns, per "
            "year, mean(r − f) / √(Σ(r − mean)² / (n − 1)) × √252, with "
            "f = (1 + 0.02)^(1/252) − 1, a risk-free rate of 2 % a year."
        )

    def test_no_risk_free_rate_is_said_to_be_none(self):
        assert define("omega_ratio/365/rf0").endswith("with f = 0, no risk-free rate.")

    def test_a_rate_below_zero_is_taken_off(self):
        sentence = define("omega_ratio/12/rf-0.005")

        assert "f = (1 − 0.005)^(1/12) − 1, a risk-free rate of -0.5 % a year" in sentence

    def test_the_divisor_follows_ddof(self):
        assert "Σ(r − mean)² / n)" in define("annual_volatility/12/ddof0")
        assert "Σ(r − mean)² / (n − 1))" in define("annual_volatility/12/ddof1")


class TestUnits:
    def test_a_figure_says_how_it_reads(self):
        assert unit_of("win_rate") is Unit.FRACTION
        assert unit_of("sharpe_ratio") is Unit.RATIO
        assert unit_of("total_trades") is Unit.COUNT

    def test_an_unknown_figure_has_no_unit(self):
        with pytest.raises(ValueError, match="'alpha'"):
            unit_of("alpha")
