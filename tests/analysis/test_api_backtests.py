"""Results of backtests over HTTP."""

import json

import pytest

from apps.analysis.models import BacktestResult, SignalPerformance

pytestmark = pytest.mark.django_db

RESULTS = "/api/v1/analysis/backtest-results/"
SIGNALS = "/api/v1/analysis/signal-performance/"
FIGURES = ["composite_score", "sharpe_ratio", "max_drawdown", "win_rate", "total_return"]


def result(**values):
    return {"backtest_id": "walk-1", "timestamp": "2026-03-02T12:00:00Z"} | values


def performance(**values):
    return result() | {"signal_name": "rsi", "win_rate": 0.5} | values


def pointers(answer):
    return [each["pointer"] for each in answer.json()["errors"]]


class TestBacktestResults:
    def test_are_read_out_of_their_json(self, api):
        results = {
            "performance_metrics": {"sharpe_ratio_mean": 1.25, "max_drawdown_mean": -0.12},
            "trading_statistics": {"total_trades": 42},
            "signal_analysis": {"top_signals": {"rsi": {"total_count": 3, "avg_win_rate": 0.5}}},
        }

        answer = api.post(
            RESULTS,
            result(results_json=results, config_json={"period": "3mo"}, total_trades=40),
        )

        body = answer.json()
        assert answer.status_code == 201
        assert (body["shape"], body["period"]) == ("nested", "3mo")
        assert (body["sharpe_ratio"], body["max_drawdown"]) == (1.25, -0.12)
        assert (body["total_trades"], body["differing"]) == (40, {"total_trades": 42})
        assert body["results_json"] == results
        [signal] = api.get(f"{SIGNALS}?backtest_id=walk-1").json()["results"]
        assert (signal["signal_name"], signal["activation_count"]) == ("rsi", 3)
        assert (signal["backtest_id"], signal["win_rate"]) == ("walk-1", 0.5)

    def test_of_a_failure_hold_its_error(self, api):
        body = api.post(RESULTS, result(results_json={"success": False, "error": "No data"})).json()

        assert (body["shape"], body["error_message"]) == ("failure", "No data")

    @pytest.mark.parametrize("name", FIGURES)
    @pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e400"])
    def test_refuse_what_is_no_finite_number(self, api, name, value):
        answer = api.post(RESULTS, result(**{name: value}))

        assert (answer.status_code, pointers(answer)) == (400, [f"/{name}"])

    def test_take_no_bare_nan_anywhere(self, api):
        for body in (result(win_rate=float("nan")), result(results_json={"a": float("inf")})):
            assert api.post_bytes(RESULTS, json.dumps(body).encode()).status_code == 400
        assert not BacktestResult.objects.exists()

    def test_sent_again_are_unchanged_or_conflict(self, api):
        first = result(results_json={"sharpe_ratio": 1.5}, win_rate=0.1)
        api.post(RESULTS, first)

        assert api.post(RESULTS, first).status_code == 200
        answer = api.post(RESULTS, first | {"win_rate": 0.2})
        assert (answer.status_code, pointers(answer)) == (409, ["/win_rate"])

    def test_are_found_by_their_figures(self, api):
        api.post(RESULTS, [result(backtest_id=f"w{n}", sharpe_ratio=n / 2) for n in range(4)])

        body = api.get(f"{RESULTS}?sharpe_ratio_min=0.5&sharpe_ratio_max=1&fields=backtest_id")

        found = body.json()["results"]
        assert sorted(row["backtest_id"] for row in found) == ["w1", "w2"]

    def test_refuse_a_count_that_is_none(self, api):
        for value in (-1, 1.5, 2**31):
            answer = api.post(RESULTS, result(total_trades=value))
            assert (answer.status_code, pointers(answer)) == (400, ["/total_trades"])


class TestSignalPerformance:
    def test_is_sent_under_its_backtest(self, api):
        api.post(RESULTS, result())

        answer = api.post(SIGNALS, performance())

        assert answer.status_code == 201
        assert (answer.json()["backtest_id"], answer.json()["win_rate"]) == ("walk-1", 0.5)
        assert api.post(SIGNALS, performance()).status_code == 200
        assert api.post(SIGNALS, performance(win_rate=0.75)).status_code == 409

    def test_of_an_unknown_backtest_is_refused(self, api):
        answer = api.post(SIGNALS, performance(backtest_id="nobody"))

        assert (answer.status_code, pointers(answer)) == (400, ["/backtest_id"])

    def test_comes_in_lists(self, api):
        api.post(RESULTS, result())

        rows = [performance(signal_name="ema"), performance(backtest_id="nobody"), performance()]
        body = api.post(SIGNALS, rows).json()

        assert (body["created"], body["failed"]) == (2, 1)
        assert SignalPerformance.objects.count() == 2
