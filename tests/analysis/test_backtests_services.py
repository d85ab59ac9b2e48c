"""Taking in results of backtests that ran elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.analysis.models import BacktestResult, SignalPerformance
from apps.analysis.services.backtests import store_backtest_results, store_signal_performance

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
_numbers = count(1)

NESTED = {
    "timestamp": "2026-03-02T12:00:00",
    "performance_metrics": {
        "sortino_ratio_mean": Decimal("1.75"),
        "sharpe_ratio_mean": Decimal("1.25"),
        "max_drawdown_mean": Decimal("-0.12"),
        "win_rate_mean": Decimal("0.55"),
        "total_return": Decimal("0.2"),
    },
    "trading_statistics": {"total_trades": 42},
    "confidence_score": Decimal("0.65"),
    "signal_analysis": {
        "top_signals": {
            "rsi": {
                "avg_mean_return": Decimal("0.01"),
                "total_contribution": Decimal("0.3"),
                "avg_win_rate": Decimal("0.6"),
                "total_count": 12,
            },
            "macd": {"avg_mean_return": Decimal("0.005")},
        }
    },
}
# The figures of a real row whose columns its own system left at zero.
FLAT = {
    "total_trades": 8,
    "win_rate_mean": Decimal("0.25"),
    "sharpe_ratio": Decimal("-1.4919"),
    "max_drawdown": Decimal("-0.05199"),
    "total_return": Decimal("-0.01544"),
}
FAILURE = {"success": False, "error": "Not enough data"}


@dataclass(slots=True)
class Sent:
    """A result as a program sends it."""

    backtest_id: str = field(default_factory=lambda: f"backtest-{next(_numbers)}")
    timestamp: datetime = NOON
    period: str = ""
    composite_score: float | None = None
    confidence_score: float | None = None
    sortino_ratio: float | None = None
    sharpe_ratio: float | None = None
    max_drawdown: float | None = None
    total_return: float | None = None
    win_rate: float | None = None
    total_trades: int | None = None
    results_json: Mapping[str, Any] = field(default_factory=dict)
    config_json: Mapping[str, Any] = field(default_factory=dict)
    error_message: str = ""


@dataclass(slots=True)
class Fared:
    """How a signal fared, as a program sends it."""

    backtest_id: str = "one"
    signal_name: str = "rsi"
    timestamp: datetime = NOON
    mean_return: float | None = 0.01
    total_contribution: float | None = None
    win_rate: float | None = 0.5
    activation_count: int | None = 3


def stored(**values) -> BacktestResult:
    row = Sent(**values)
    outcome = store_backtest_results([row], now=NOON)
    assert outcome.created == 1, outcome.results
    return BacktestResult.objects.get(backtest_id=row.backtest_id)


class TestTheThreeShapes:
    def test_nested_fills_the_columns(self):
        found = stored(results_json=NESTED)

        assert (found.shape, found.error_message, found.differing) == ("nested", "", {})
        assert (found.sortino_ratio, found.sharpe_ratio) == (1.75, 1.25)
        assert (found.max_drawdown, found.win_rate, found.total_return) == (-0.12, 0.55, 0.2)
        assert (found.total_trades, found.confidence_score) == (42, 0.65)
        assert found.composite_score is None

    def test_flat_fills_the_columns(self):
        found = stored(results_json=FLAT)

        assert found.shape == "flat"
        assert (found.total_trades, found.win_rate, found.sharpe_ratio) == (8, 0.25, -1.4919)
        assert (found.max_drawdown, found.total_return) == (-0.05199, -0.01544)

    def test_a_failure_says_so_and_has_no_figures(self):
        found = stored(results_json=FAILURE | {"win_rate": Decimal("0.5")})

        assert (found.shape, found.error_message) == ("failure", "Not enough data")
        assert (found.win_rate, found.total_trades) == (None, None)

    def test_a_named_error_stands_above_that_of_the_results(self):
        assert stored(results_json=FAILURE, error_message="Killed").error_message == "Killed"

    @pytest.mark.parametrize(("results", "shape"), [({"note": "?"}, "unknown"), ({}, "none")])
    def test_nothing_is_read_out_of_anything_else(self, results, shape):
        found = stored(results_json=results)

        assert (found.shape, found.total_trades) == (shape, None)


class TestFiguresThatAreNamed:
    def test_are_kept_and_what_differs_is_listed(self):
        found = stored(results_json=FLAT, total_trades=0, win_rate=0.25, composite_score=0.35)

        assert (found.total_trades, found.win_rate, found.composite_score) == (0, 0.25, 0.35)
        assert found.differing == {"total_trades": 8}
        assert found.sharpe_ratio == -1.4919

    def test_stand_alone_without_results(self):
        found = stored(sharpe_ratio=1.5)

        assert (found.shape, found.sharpe_ratio, found.differing) == ("none", 1.5, {})


class TestThePeriod:
    @pytest.mark.parametrize(
        ("named", "config", "period"),
        [
            ("", {"period": "3mo"}, "3mo"),
            ("unknown", {"period": "1y"}, "1y"),
            ("2y", {"period": "1y"}, "2y"),
            ("unknown", {}, "unknown"),
            ("", {"period": 3}, ""),
            ("", {"period": "x" * 80}, "x" * 50),
        ],
    )
    def test_comes_from_the_configuration_unless_it_is_named(self, named, config, period):
        assert stored(period=named, config_json=config).period == period


class TestStoreBacktestResults:
    def test_creates_the_rows_of_its_signals(self):
        result = stored(results_json=NESTED)

        found = {row.signal_name: row for row in result.signals.all()}
        assert set(found) == {"rsi", "macd"}
        assert (found["rsi"].mean_return, found["rsi"].win_rate) == (0.01, 0.6)
        assert (found["rsi"].total_contribution, found["rsi"].activation_count) == (0.3, 12)
        assert (found["macd"].timestamp, found["macd"].win_rate) == (NOON, None)

    def test_takes_names_of_any_length(self):
        signals = [{"name": "long name " * 20, "win_rate": 1}, {"name": "long name " * 21}]

        result = stored(results_json=NESTED | {"signal_analysis": {"top_signals": signals}})

        assert [len(row.signal_name) for row in result.signals.all()] == [100]

    def test_sent_again_changes_nothing(self):
        row = Sent(results_json=NESTED, config_json={"period": "3mo"}, win_rate=0.1 + 0.2)
        store_backtest_results([row], now=NOON)

        outcome = store_backtest_results([row, Sent()], now=NOON)

        assert (outcome.created, outcome.unchanged) == (1, 1)
        assert SignalPerformance.objects.count() == 2

    def test_with_other_results_names_what_can_be_sent(self):
        row = Sent(results_json=FLAT)
        store_backtest_results([row], now=NOON)

        outcome = store_backtest_results([replace(row, results_json=FAILURE)], now=NOON)

        pointers = {each.pointer for each in outcome.results[0].errors}
        assert pointers >= {"/results_json", "/error_message", "/sharpe_ratio"}
        assert not pointers & {"/shape", "/differing"}

    def test_refuses_the_future_and_takes_the_rest(self):
        rows = [Sent(timestamp=NOON + timedelta(hours=1)), Sent(results_json=NESTED)]

        outcome = store_backtest_results(rows, now=NOON)

        assert (outcome.created, outcome.failed, outcome.results[0].index) == (1, 1, 0)

    def test_costs_the_same_queries_for_one_and_for_many(self):
        with CaptureQueriesContext(connection) as for_one:
            store_backtest_results([Sent(results_json=NESTED)], now=NOON)
        with CaptureQueriesContext(connection) as for_many:
            store_backtest_results([Sent(results_json=NESTED) for _ in range(50)], now=NOON)

        assert len(for_many) == len(for_one)

    def test_the_database_holds_nan_out_too(self):
        result = stored()

        with pytest.raises(IntegrityError), transaction.atomic():
            BacktestResult.objects.filter(pk=result.pk).update(sharpe_ratio=float("nan"))


class TestStoreSignalPerformance:
    def test_stores_rows_of_a_known_backtest(self):
        result = stored(backtest_id="one")

        outcome = store_signal_performance([Fared(), Fared(signal_name="ema")], now=NOON)

        assert outcome.created == 2
        assert result.signals.count() == 2

    def test_refuses_an_unknown_backtest_and_the_future(self):
        stored(backtest_id="one")

        rows = [Fared(backtest_id="two"), Fared(timestamp=NOON + timedelta(hours=1)), Fared()]
        outcome = store_signal_performance(rows, now=NOON)

        assert (outcome.created, outcome.failed) == (1, 2)
        assert [each.errors[0].code for each in outcome.results] == [
            "unknown_backtest",
            "in_future",
        ]

    def test_sent_again_changes_nothing(self):
        stored(backtest_id="one")
        store_signal_performance([Fared()], now=NOON)

        assert store_signal_performance([Fared()], now=NOON).unchanged == 1
        outcome = store_signal_performance([Fared(win_rate=0.75)], now=NOON)
        assert [each.pointer for each in outcome.results[0].errors] == ["/win_rate"]
