"""Analyses: taken in, judged by their trades, changed, ranked."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from django.db import connection, transaction

from apps.analysis.choices import AnalysisStatus, Origin
from apps.analysis.domain.leverage import LeverageParameters, Setup, break_down
from apps.analysis.domain.trades import TradeRecord
from apps.analysis.models import Analysis, BacktestMetric, LeverageCalculation
from apps.analysis.services.analyses import (
    as_sent,
    judge_trades,
    rank_run,
    ranking,
    replace_analyses,
    store_analyses,
    store_leverage,
)
from apps.analysis.services.figures import LEVERAGE_COLUMNS, store_leverage_rows, store_metrics
from apps.analysis.services.trade_files import open_file, read_trades
from apps.shared.ingest import RowStatus
from apps.shared.quant.performance import define
from tests.factories import make_analysis, make_execution, make_metric, make_strategy_configuration

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
numbers = count(1)


@pytest.fixture(autouse=True)
def root(tmp_path, settings):
    settings.MEDIA_ROOT = tmp_path / "media"
    return settings.MEDIA_ROOT


@dataclass
class Trade:
    """A trade as it is sent."""

    values: dict[str, Any]

    def record(self, number):
        return TradeRecord(**{"trade_number": number} | self.values)


def trade(net="1", day=0, **values):
    usual = {
        "direction": 1,
        "entry_time": NOON + day * DAY,
        "exit_time": NOON + day * DAY + HOUR,
        "entry_price": Decimal(100),
        "exit_price": Decimal(101),
        "net_pct": Decimal(net),
    }
    return Trade(usual | values)


THREE = [trade("10"), trade("-10", day=1), trade("20", day=2)]


@dataclass
class Sent:
    """An analysis as it is sent."""

    execution_id: str
    config: str = field(default_factory=lambda: f"Balanced {next(numbers)}")
    symbol: str = "BTC/USD"
    timeframe: str = "1h"
    status: str = AnalysisStatus.COMPLETED
    generated_at: datetime = NOON
    total_trades: int | None = None
    win_rate: float | None = None
    total_return: float | None = None
    sharpe_ratio: float | None = None
    max_drawdown: float | None = None
    avg_leverage: float | None = None
    metrics: dict = field(default_factory=dict)
    source: str = ""
    period_start: datetime | None = None
    period_end: datetime | None = None
    parameters: dict = field(default_factory=dict)
    chart_path: str = ""
    compressed_path: str = ""
    error_message: str = ""
    trades: list | None = None
    leverage_details: list | None = None


@dataclass
class Detail:
    """The leverage of a trade as it is sent."""

    trade_number: int = 1
    final_leverage: Decimal = Decimal(5)
    calculation_timestamp: datetime = NOON
    support_distance_pct: Decimal | None = None
    trend_strength: str = ""
    binding_constraint: str = "support"
    bounded_by: str = ""
    formula: str = ""
    reasons: dict = field(default_factory=dict)
    analysis_id: int = 0

    def __getattr__(self, name):
        if name in LEVERAGE_COLUMNS:
            return
        raise AttributeError(name)


@pytest.fixture
def run():
    return make_execution().pk


def store(*rows):
    return store_analyses(rows, now=NOW)


def again(row, **values):
    return Sent(**{**row.__dict__, **values})


def pointers(outcome):
    return [each.pointer for result in outcome.results for each in result.errors]


def metric(analysis, name):
    return BacktestMetric.objects.get(analysis=analysis, metric_name=name)


class TestStoringWithoutTrades:
    def test_shows_what_is_reported(self, run):
        outcome = store(Sent(run, sharpe_ratio=1.5, win_rate=0.5, total_trades=8))

        held = Analysis.objects.get()
        assert outcome.created == 1
        assert (held.origin, held.sharpe_ratio, held.win_rate) == (Origin.REPORTED, 1.5, 0.5)
        assert held.total_trades == 8
        assert held.reported == {"sharpe_ratio": 1.5, "win_rate": 0.5, "total_trades": 8}

    def test_keeps_further_figures_as_metrics(self, run):
        store(Sent(run, sharpe_ratio=1.5, metrics={"sqn": 2.25}))

        held = Analysis.objects.get()
        assert metric(held, "sqn").reported_value == 2.25
        assert metric(held, "sharpe_ratio").reported_value == 1.5
        assert metric(held, "sqn").metric_value is None

    def test_without_figures_is_of_no_origin(self, run):
        store(Sent(run, status=AnalysisStatus.RUNNING))

        assert Analysis.objects.get().origin == Origin.NONE
        assert not BacktestMetric.objects.exists()

    def test_of_many_names_the_bad_ones(self, run):
        rows = [
            Sent(run),
            Sent("no such run"),
            Sent(run, win_rate=55.0),
            Sent(run),
            Sent(run, max_drawdown=0.2),
            Sent(run, chart_path="../x"),
            Sent(run, period_start=NOON, period_end=NOON - DAY),
            Sent(run, generated_at=NOW + DAY),
            Sent(run, metrics={"win_rate": 0.5}),
        ]

        outcome = store(*rows)

        assert (outcome.created, outcome.failed) == (2, 7)
        assert [each.index for each in outcome.results] == [1, 2, 4, 5, 6, 7, 8]
        assert pointers(outcome) == [
            "/execution_id",
            "/win_rate",
            "/max_drawdown",
            "/chart_path",
            "/period_end",
            "/generated_at",
            "/metrics/win_rate",
        ]
        assert "no such run" in outcome.results[0].errors[0].message

    @pytest.mark.parametrize("name", ["chart_path", "compressed_path"])
    @pytest.mark.parametrize("path", ["/etc/passwd", "a/../../b", "a\\b", "C:\\x", "a\x00b"])
    def test_refuses_a_path_out_of_the_media_root(self, run, name, path):
        outcome = store(Sent(run, **{name: path}))

        assert (outcome.failed, pointers(outcome)) == (1, [f"/{name}"])
        assert outcome.results[0].errors[0].code == "invalid_path"


class TestStoringWithTrades:
    def test_computes_all_figures(self, run):
        store(Sent(run, trades=THREE, parameters={"stake": 1}))

        held = Analysis.objects.get()
        assert held.origin == Origin.COMPUTED
        assert held.total_trades == 3
        assert held.win_rate == pytest.approx(2 / 3)
        assert held.total_return == pytest.approx(1.1 * 0.9 * 1.2 - 1)
        assert held.max_drawdown == pytest.approx(-0.1)
        assert held.avg_leverage == 1
        assert (held.period_start, held.period_end) == (NOON, NOON + 2 * DAY + HOUR)

    def test_says_how_each_was_computed(self, run):
        store(Sent(run, trades=THREE))

        computed = BacktestMetric.objects.all()
        assert {"sharpe_ratio", "sortino_ratio", "calmar_ratio", "profit_factor", "expectancy"} <= {
            each.metric_name for each in computed
        }
        assert all(define(each.definition) and each.n is not None for each in computed)
        assert all(bool(each.reason) == (each.metric_value is None) for each in computed)

    def test_keeps_what_is_reported_beside_ours(self, run):
        store(Sent(run, trades=THREE, win_rate=0.9, metrics={"profit_factor": 7.0, "sqn": 2.0}))

        held = Analysis.objects.get()
        assert held.win_rate == pytest.approx(2 / 3)
        assert held.reported == {"win_rate": 0.9, "profit_factor": 7.0, "sqn": 2.0}
        assert metric(held, "win_rate").reported_value == 0.9
        assert metric(held, "win_rate").metric_value == pytest.approx(2 / 3)
        assert metric(held, "profit_factor").reported_value == 7
        assert metric(held, "profit_factor").metric_value == pytest.approx(3)
        assert (metric(held, "sqn").metric_value, metric(held, "sqn").reported_value) == (None, 2)

    def test_names_the_stake_it_reckoned_with(self, run):
        store(Sent(run, trades=THREE))

        held = Analysis.objects.get()
        assert held.parameters == {"stake": "0.1"}
        assert held.total_return == pytest.approx(1.01 * 0.99 * 1.02 - 1)

    @pytest.mark.parametrize("stake", [0, -1, "1.01", "a lot", None, True, [], "NaN", "Infinity"])
    def test_refuses_a_stake_that_is_none(self, run, stake):
        outcome = store(Sent(run, trades=THREE, parameters={"stake": stake}))

        assert pointers(outcome) == ["/parameters/stake"]

    def test_keeps_the_trades_themselves(self, run):
        store(Sent(run, trades=THREE))

        found = read_trades(Analysis.objects.get())
        assert [each.net_pct for each in found] == [10, -10, 20]
        assert [each.trade_number for each in found] == [1, 2, 3]

    def test_names_bad_trades_by_row(self, run):
        bad = [
            trade(),
            trade(exit_time=NOON - HOUR),
            trade(entry_price=Decimal(0)),
            trade(leverage=Decimal(-1)),
        ]

        outcome = store(Sent(run, trades=bad))

        assert pointers(outcome) == [
            "/trades/1/exit_time",
            "/trades/2/entry_price",
            "/trades/3/leverage",
        ]
        assert not Analysis.objects.exists()

    def test_without_a_single_trade_says_why_nothing_is_known(self, run):
        store(Sent(run, trades=[], status=AnalysisStatus.NO_SIGNAL))

        held = Analysis.objects.get()
        assert (held.origin, held.total_trades, held.win_rate) == (Origin.COMPUTED, 0, None)
        assert metric(held, "win_rate").reason == "There are no trades."
        assert read_trades(held) == []

    def test_takes_no_path_beside_trades(self, run):
        outcome = store(Sent(run, trades=THREE, compressed_path="a/b.parquet"))

        assert pointers(outcome) == ["/compressed_path"]

    def test_refuses_a_period_of_more_than_a_century(self, run):
        long = trade(entry_time=datetime(1800, 1, 1, tzinfo=UTC))

        assert pointers(store(Sent(run, trades=[long]))) == ["/period_end"]

    def test_taken_back_leaves_nothing_that_passes_for_data(self, run, root):
        row = Sent(run, trades=THREE)
        with transaction.atomic():
            store(row)
            transaction.set_rollback(True)

        assert not Analysis.objects.exists()
        assert store(row).created == 1
        assert len(read_trades(Analysis.objects.get())) == 3
        assert len(list(root.rglob("*.parquet"))) == 1


class TestStoringAgain:
    def row(self, run):
        return Sent(
            run,
            trades=THREE,
            sharpe_ratio=1.25,
            metrics={"sqn": 0.1},
            parameters={"threshold": Decimal("0.123456789012345678901")},
            leverage_details=[Detail(1), Detail(2)],
        )

    def test_changes_nothing(self, run):
        row = self.row(run)
        store(row)
        before = Analysis.objects.values().get()

        outcome = store(row, row)

        assert (outcome.unchanged, outcome.failed) == (2, 0)
        assert Analysis.objects.values().get() == before
        assert LeverageCalculation.objects.count() == 2

    def test_knows_trades_however_they_are_written(self, run):
        row = Sent(run, trades=[trade("1.50")])
        store(row)

        assert store(again(row, trades=[trade("1.5")])).unchanged == 1

    @pytest.mark.parametrize(
        ("values", "found"),
        [
            ({"status": AnalysisStatus.FAILED}, ["/status"]),
            ({"sharpe_ratio": 1.5}, ["/sharpe_ratio"]),
            ({"sharpe_ratio": None}, ["/sharpe_ratio"]),
            ({"win_rate": 0.5}, ["/win_rate"]),
            ({"metrics": {"sqn": 0.2}}, ["/metrics/sqn"]),
            ({"trades": [trade("1")]}, ["/trades"]),
            ({"trades": None, "parameters": {"stake": "0.1"}}, ["/parameters", "/trades"]),
            ({"parameters": {}}, ["/parameters"]),
            ({"period_start": NOON - DAY}, ["/period_start"]),
            ({"error_message": "x"}, ["/error_message"]),
            (
                {"leverage_details": [Detail(1), Detail(2, final_leverage=Decimal(6))]},
                ["/leverage_details/1/final_leverage"],
            ),
        ],
    )
    def test_with_other_content_names_what_differs(self, run, values, found):
        row = self.row(run)
        store(row)
        before = Analysis.objects.values().get()

        outcome = store(again(row, **values))

        assert outcome.failed == 1
        assert sorted(pointers(outcome)) == found
        assert {each.code for each in outcome.results[0].errors} == {"differs"}
        assert Analysis.objects.values().get() == before

    def test_does_not_mind_leverage_that_is_not_told_again(self, run):
        row = self.row(run)
        store(row)

        assert store(again(row, leverage_details=None)).unchanged == 1

    def test_with_leverage_of_another_trade_differs(self, run):
        row = Sent(run)
        store(row)

        assert "/leverage_details/0/trade_number" in pointers(
            store(again(row, leverage_details=[Detail(1)]))
        )


class TestReplacing:
    def replaced(self, row):
        outcome = replace_analyses([row], now=NOW)
        assert outcome.failed == 0, outcome.results
        return Analysis.objects.get()

    def test_makes_what_is_new(self, run):
        assert replace_analyses([Sent(run)], now=NOW).created == 1

    def test_of_the_same_changes_nothing(self, run):
        row = Sent(run, trades=THREE, sharpe_ratio=1.0)
        store(row)

        assert replace_analyses([row], now=NOW).unchanged == 1

    def test_judges_other_trades(self, run):
        row = Sent(run, trades=THREE)
        store(row)

        held = self.replaced(again(row, trades=[trade("-50")]))

        assert (held.total_trades, held.win_rate) == (1, 0)
        assert len(read_trades(held)) == 1

    def test_completes_what_was_running(self, run):
        row = Sent(run, status=AnalysisStatus.RUNNING)
        store(row)

        held = self.replaced(again(row, status=AnalysisStatus.COMPLETED, trades=THREE))

        assert (held.status, held.origin) == (AnalysisStatus.COMPLETED, Origin.COMPUTED)

    def test_writes_a_file_anew_that_was_lost(self, run, root):
        row = Sent(run, trades=THREE)
        store(row)
        [lost] = root.rglob("*.parquet")
        lost.unlink()

        assert replace_analyses([row], now=NOW).unchanged == 1
        assert len(read_trades(Analysis.objects.get())) == 3

    def test_without_trades_shows_what_is_reported_again(self, run):
        row = Sent(run, trades=THREE, win_rate=0.9)
        store(row)

        held = self.replaced(again(row, trades=None))

        assert (held.origin, held.win_rate, held.compressed_path) == (Origin.REPORTED, 0.9, "")
        assert held.trades_checksum == ""
        assert list(BacktestMetric.objects.values_list("metric_name", "metric_value")) == [
            ("win_rate", None)
        ]

    def test_keeps_trades_whose_file_it_names(self, run):
        row = Sent(run, trades=THREE)
        store(row)
        before = Analysis.objects.get()

        held = self.replaced(Sent(**as_sent(before) | {"chart_path": "charts/a.png"}))

        assert held.chart_path == "charts/a.png"
        assert (held.origin, held.win_rate) == (Origin.COMPUTED, before.win_rate)
        assert (held.compressed_path, held.trades_checksum) == (
            before.compressed_path,
            before.trades_checksum,
        )

    def test_judges_kept_trades_by_another_stake(self, run):
        store(Sent(run, trades=THREE))
        sent = as_sent(Analysis.objects.get())

        held = self.replaced(Sent(**sent | {"parameters": {"stake": 1}}))

        assert held.total_return == pytest.approx(1.1 * 0.9 * 1.2 - 1)

    def test_takes_back_what_is_no_longer_reported(self, run):
        row = Sent(run, trades=THREE, win_rate=0.9, metrics={"sqn": 2.0})
        store(row)

        held = self.replaced(again(row, win_rate=0.8, metrics={}))

        assert metric(held, "win_rate").reported_value == 0.8
        assert not BacktestMetric.objects.filter(metric_name="sqn").exists()

    def test_leaves_what_was_computed_here_as_it_is(self, run):
        ours = make_analysis(
            execution_id=run,
            generated_at=NOON,
            strategy_configuration=make_strategy_configuration(),
        )
        sent = Sent(**as_sent(ours))

        outcome = replace_analyses([again(sent, status=AnalysisStatus.FAILED)], now=NOW)

        assert outcome.failed == 1
        assert outcome.results[0].errors[0].code == "computed_here"

    def test_adds_reported_figures_to_what_was_computed_here(self, run):
        ours = make_analysis(
            execution_id=run,
            generated_at=NOON,
            strategy_configuration=make_strategy_configuration(),
        )
        sent = Sent(**as_sent(ours))

        outcome = replace_analyses(
            [again(sent, sharpe_ratio=9.0, chart_path="charts/b.png")], now=NOW
        )

        assert outcome.replaced == 1
        ours.refresh_from_db()
        assert ours.reported == {"sharpe_ratio": 9.0}
        assert metric(ours, "sharpe_ratio").reported_value == 9


class TestJudging:
    def judge(self, analysis, *trades, now=NOW):
        judge_trades(
            analysis=analysis,
            trades=[each.record(number) for number, each in enumerate(trades, start=1)],
            stake=Decimal(1),
            start=NOON,
            end=NOON + 10 * DAY,
            periods_per_year=252,
            now=now,
        )
        return Analysis.objects.get(pk=analysis.pk)

    def test_fills_the_columns_and_keeps_the_trades(self):
        held = self.judge(make_analysis(origin=Origin.NONE, sharpe_ratio=None), *THREE)

        assert (held.origin, held.total_trades) == (Origin.COMPUTED, 3)
        assert held.sharpe_ratio == metric(held, "sharpe_ratio").metric_value
        assert "252" in metric(held, "sharpe_ratio").definition
        assert metric(held, "sharpe_ratio").n == 11
        open_file(held).close()

    def test_again_changes_nothing(self):
        held = self.judge(make_analysis(), *THREE)
        figures = list(BacktestMetric.objects.order_by("pk").values())

        twice = self.judge(held, *THREE)

        assert list(BacktestMetric.objects.order_by("pk").values()) == figures
        assert twice.trades_checksum == held.trades_checksum
        assert twice.sharpe_ratio == held.sharpe_ratio

    def test_takes_the_place_of_earlier_figures_of_ours_only(self):
        analysis = make_analysis()
        make_metric(analysis=analysis, metric_name="win_rate", reported_value=0.75)
        make_metric(analysis=analysis, metric_name="sqn", reported_value=2)
        make_metric(
            analysis=analysis,
            metric_name="old",
            reported_value=None,
            metric_value=1,
            definition="old",
        )
        make_metric(
            analysis=analysis,
            metric_name="older",
            reported_value=3,
            metric_value=1,
            definition="old",
        )

        self.judge(analysis, *THREE)

        assert metric(analysis, "win_rate").reported_value == 0.75
        assert metric(analysis, "win_rate").metric_value == pytest.approx(2 / 3)
        assert metric(analysis, "sqn").reported_value == 2
        assert not BacktestMetric.objects.filter(metric_name="old").exists()
        assert metric(analysis, "older").metric_value is None
        assert metric(analysis, "older").reported_value == 3

    def test_saves_what_else_was_set(self):
        analysis = make_analysis(status=AnalysisStatus.RUNNING)
        analysis.status = AnalysisStatus.NO_SIGNAL

        assert self.judge(analysis).status == AnalysisStatus.NO_SIGNAL


class TestMetrics:
    def row(self, analysis, name="sqn", value=2.0):
        return type("Row", (), {
            "analysis_id": analysis, "metric_name": name, "reported_value": value
        })()  # fmt: skip

    def test_are_set_beside_ours(self):
        analysis = make_analysis()
        make_metric(
            analysis=analysis, metric_name="sqn", reported_value=None, metric_value=1.5,
            definition="sqn/1", n=3,
        )  # fmt: skip

        outcome = store_metrics([self.row(analysis.pk)])

        found = metric(analysis, "sqn")
        assert outcome.created == 1
        assert (found.metric_value, found.definition, found.n) == (1.5, "sqn/1", 3)
        assert found.reported_value == 2

    def test_again_change_nothing_and_another_value_is_refused(self):
        analysis = make_analysis().pk
        store_metrics([self.row(analysis)])

        outcome = store_metrics([self.row(analysis), self.row(analysis, value=3.0)])

        assert (outcome.unchanged, outcome.failed) == (1, 1)
        assert pointers(outcome) == ["/reported_value"]
        assert BacktestMetric.objects.get().reported_value == 2

    def test_of_an_unknown_analysis_are_refused_by_name(self):
        outcome = store_metrics([self.row(4711)])

        assert "4711" in outcome.results[0].errors[0].message

    def test_twice_in_one_batch_count_once(self):
        analysis = make_analysis().pk

        outcome = store_metrics(
            [self.row(analysis), self.row(analysis), self.row(analysis, value=1)]
        )

        assert (outcome.created, outcome.unchanged, outcome.failed) == (1, 1, 1)


class TestLeverage:
    def breakdown(self, support="95"):
        setup = Setup(
            price=Decimal(100),
            support=Decimal(support),
            next_support=None,
            resistance=Decimal(110),
            next_resistance=None,
            support_strength=Decimal("0.8"),
            resistance_strength=Decimal("0.5"),
            confidence=Decimal("0.7"),
            btc_correlation=None,
            volatility_pct=Decimal(2),
            trend=None,
        )
        return break_down(setup, LeverageParameters(), ceiling=Decimal(20))

    def test_keeps_every_figure_of_a_breakdown(self):
        analysis, found = make_analysis(), self.breakdown()

        store_leverage(analysis=analysis, breakdowns=[(1, NOON, found)])

        held = LeverageCalculation.objects.get()
        columns = found.as_columns()
        binding = columns.pop("binding")
        assert {name: getattr(held, name) for name in columns} == columns
        assert (held.binding_constraint, held.formula) == (binding, "leverage/1")
        assert held.calculation_timestamp == NOON

    def test_again_takes_the_place_of_what_was_there(self):
        analysis = make_analysis()
        store_leverage(
            analysis=analysis,
            breakdowns=[(number, NOON, self.breakdown()) for number in (1, 2, 3)],
        )

        store_leverage(analysis=analysis, breakdowns=[(1, NOON, self.breakdown("90"))])

        assert LeverageCalculation.objects.get().support_distance_pct == 10

    def test_from_outside_is_stored_once(self):
        analysis = make_analysis().pk
        row = Detail(analysis_id=analysis)

        assert store_leverage_rows([row]).created == 1
        assert store_leverage_rows([row]).unchanged == 1
        other = store_leverage_rows([Detail(analysis_id=analysis, final_leverage=Decimal(6))])
        assert pointers(other) == ["/final_leverage"]

    def test_from_outside_is_not_taken_for_ours(self):
        ours = make_analysis(strategy_configuration=make_strategy_configuration())

        outcome = store_leverage_rows([Detail(analysis_id=ours.pk), Detail(analysis_id=4711)])

        assert [each.errors[0].code for each in outcome.results] == [
            "computed_here",
            "unknown_analysis",
        ]


class TestRanking:
    def test_places_a_run_by_sharpe_then_return(self):
        run = make_execution()
        values = [
            {"sharpe_ratio": 1.0, "total_return": 0.1},
            {"sharpe_ratio": 2.0, "total_return": 0.0},
            {"sharpe_ratio": 1.0, "total_return": 0.2},
            {"sharpe_ratio": None, "total_return": 9.0},
            {"sharpe_ratio": 5.0, "status": AnalysisStatus.FAILED},
            {"sharpe_ratio": 6.0, "total_trades": 0},
        ]
        made = [make_analysis(execution=run, **each) for each in values]
        elsewhere = make_analysis(sharpe_ratio=9.0)

        assert rank_run(execution_id=run.pk) == 4

        places = [Analysis.objects.get(pk=each.pk).ranking for each in made]
        assert places == [3, 1, 2, 4, None, None]
        assert Analysis.objects.get(pk=elsewhere.pk).ranking is None

    def test_again_touches_nothing_and_takes_back_places(self):
        run = make_execution()
        made = make_analysis(execution=run)
        rank_run(execution_id=run.pk)
        made.refresh_from_db()

        assert rank_run(execution_id=run.pk) == 1
        assert Analysis.objects.get().updated_at == made.updated_at

        Analysis.objects.update(status=AnalysisStatus.FAILED)
        assert rank_run(execution_id=run.pk) == 0
        assert Analysis.objects.get().ranking is None

    def test_lists_the_best_that_reach_the_bounds(self):
        best = make_analysis(sharpe_ratio=3.0, max_drawdown=-0.1, win_rate=0.6, total_trades=20)
        deep = make_analysis(sharpe_ratio=4.0, max_drawdown=-0.5, win_rate=0.6, total_trades=20)
        unknown = make_analysis(sharpe_ratio=None, max_drawdown=None)
        make_analysis(sharpe_ratio=9.0, status=AnalysisStatus.FAILED)

        assert list(ranking()) == [deep, best, unknown]
        assert list(ranking(max_drawdown_min=-0.2)) == [best]
        assert list(ranking(sharpe_min=3.5)) == [deep]
        assert list(ranking(win_rate_min=0.6, total_trades_min=20, limit=1)) == [deep]
        assert list(ranking(execution_id=best.execution_id, symbol="BTC/USD")) == [best]
        assert list(ranking(config=deep.config, timeframe="1h")) == [deep]


def test_the_status_of_a_row_counts_only_once(run):
    row = Sent(run)
    outcome = store(row, row)

    assert (outcome.created, outcome.unchanged) == (1, 1)
    assert [each.status for each in outcome.results] == [RowStatus.UNCHANGED]


@pytest.mark.django_db(transaction=True)
def test_the_same_analysis_sent_by_many_at_once_is_stored_once():
    row = Sent(make_execution().pk, trades=THREE, sharpe_ratio=1.0, metrics={"sqn": 2.0})

    def send(_):
        try:
            return store(row)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as senders:
        outcomes = list(senders.map(send, range(8)))

    assert sum(each.created for each in outcomes) == 1
    assert sum(each.unchanged for each in outcomes) == 7
    assert len(read_trades(Analysis.objects.get())) == 3
