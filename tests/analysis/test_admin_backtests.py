"""Backtests from outside and single figures in the admin."""

import pytest
from django.urls import reverse

from apps.analysis.choices import ResultShape
from tests.analysis.pages import MARKUP, page
from tests.factories import (
    make_backtest_result,
    make_leverage_calculation,
    make_metric,
    make_signal_performance,
)

pytestmark = pytest.mark.django_db

BACKTEST = "admin:analysis_backtestresult_change"


class TestBacktest:
    def test_marks_figures_that_its_results_give_otherwise(self, admin_client):
        row = make_backtest_result(sharpe_ratio=1.5, differing={"sharpe_ratio": 1.2})

        shown = page(admin_client, BACKTEST, row.pk)

        assert ">1.50<" in shown
        assert "its results say 1.2" in shown
        assert ">Differs<" in page(admin_client, "admin:analysis_backtestresult_changelist")

    def test_lists_its_signals_by_what_they_contributed(self, admin_client):
        row = make_backtest_result()
        make_signal_performance(backtest=row, signal_name="weak", total_contribution=0.01)
        make_signal_performance(backtest=row, signal_name="strong", total_contribution=0.4)

        shown = page(admin_client, BACKTEST, row.pk)

        assert shown.index(">strong<") < shown.index(">weak<")
        assert "+40.00 %" in shown

    def test_folds_the_results_as_they_came(self, admin_client):
        row = make_backtest_result(results_json={"metrics": {"sharpe": 1.1}})

        shown = page(admin_client, BACKTEST, row.pk)

        assert "<summary>Results as they came</summary>" in shown

    @pytest.mark.parametrize("differing", [[], ["x"], "x", {"sharpe_ratio": None}, {MARKUP: 1}])
    def test_survives_notes_of_any_shape(self, admin_client, differing):
        row = make_backtest_result(differing=differing)

        assert "<img src=x" not in page(admin_client, BACKTEST, row.pk)
        assert "<img src=x" not in page(admin_client, "admin:analysis_backtestresult_changelist")

    def test_shows_foreign_text_as_text(self, admin_client):
        row = make_backtest_result(
            backtest_id=MARKUP, period=MARKUP, error_message=MARKUP, shape=ResultShape.FAILURE,
            results_json={MARKUP: MARKUP}, config_json={MARKUP: MARKUP},
        )  # fmt: skip
        make_signal_performance(backtest=row, signal_name=MARKUP)

        assert "<img src=x" not in page(admin_client, BACKTEST, row.pk)
        assert "<img src=x" not in page(admin_client, "admin:analysis_signalperformance_changelist")


class TestSignal:
    def test_leads_to_its_backtest(self, admin_client):
        row = make_signal_performance(backtest=make_backtest_result(backtest_id="walk & run"))

        shown = page(admin_client, "admin:analysis_signalperformance_changelist")

        address = reverse("admin:analysis_backtestresult_changelist") + "?q=walk+%26+run"
        assert address in shown
        assert reverse(BACKTEST, args=[row.backtest.pk]) in page(
            admin_client, "admin:analysis_backtestresult_changelist", q="walk & run"
        )


class TestFigure:
    def test_tells_its_definition_in_words(self, admin_client):
        row = make_metric(
            metric_name="win_rate", metric_value=0.5, definition="win_rate/net/decided", n=8
        )

        shown = page(admin_client, "admin:analysis_backtestmetric_change", row.pk)

        assert "Win rate: winning trades / (winning + losing trades)" in shown
        assert ">50.0 %<" in shown

    def test_without_a_definition_is_the_senders_own(self, admin_client):
        row = make_metric(metric_name="edge", reported_value=1e300, definition="edge/unknown")

        shown = page(admin_client, "admin:analysis_backtestmetric_change", row.pk)

        assert "Only the sender knows." in shown
        assert "1e+300" in shown

    def test_leads_from_the_list_to_its_analysis(self, admin_client):
        row = make_metric()

        shown = page(admin_client, "admin:analysis_backtestmetric_changelist")

        assert reverse("admin:analysis_analysis_change", args=[row.analysis_id]) in shown


class TestLeverage:
    def test_leads_from_the_list_to_the_trade(self, admin_client):
        row = make_leverage_calculation(trade_number=7)

        shown = page(admin_client, "admin:analysis_leveragecalculation_changelist")

        address = reverse("admin:analysis_analysis_change", args=[row.analysis_id])
        assert f"{address}?trade=7#leverage" in shown
