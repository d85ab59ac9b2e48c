"""Adding a symbol: what is refused, what is planned, and what a worker makes of it."""

from datetime import timedelta

import pytest

from apps.analysis.choices import AnalysisStatus, Origin
from apps.analysis.domain.symbols import FailReason, SymbolRefused
from apps.analysis.models import (
    Analysis,
    BacktestMetric,
    LeverageCalculation,
    StrategyConfiguration,
)
from apps.analysis.services import symbol_additions, symbol_steps
from apps.analysis.services.symbol_additions import (
    DATA_FETCH,
    RESULT_SAVE,
    AlreadyRunning,
    SymbolAddition,
    request_symbol_addition,
)
from apps.executions.choices import ExecutionStatus, StepStatus
from apps.executions.models import Execution, ExecutionStep
from apps.executions.services.runs import request_cancel, retry_execution
from apps.executions.services.watching import watch_executions
from apps.executions.services.work import claim_step
from apps.market.choices import AssetClass, Granularity
from apps.market.models import Candle
from apps.shared.errors import Conflict
from tests.analysis.candles import LATER, NEW_YEAR, store_walk
from tests.factories import make_instrument, make_strategy_configuration

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
LEASE = timedelta(seconds=60)
QUARTERS_OF_A_DAY = 96


@pytest.fixture(autouse=True)
def twenty_days_are_enough(settings, tmp_path):
    settings.SYMBOL_HISTORY_DAYS = 20
    settings.MEDIA_ROOT = tmp_path
    settings.STEP_LEASE = LEASE


@pytest.fixture
def three_strategies():
    """Three instead of the eighteen, of which one needs bars that take too long."""
    StrategyConfiguration.objects.update(is_active=False)
    names = ["Balanced - 15m", "Aggressive_ML - 1h", "Balanced - 1w"]
    StrategyConfiguration.objects.filter(name__in=names).update(is_active=True)
    return list(StrategyConfiguration.objects.active())


def wish(symbol="ETH/BTC", **values):
    return SymbolAddition(symbol=symbol, **values)


def ask(**values):
    run, _ = request_symbol_addition(wish=wish(**values), now=LATER)
    return run


def work(at=LATER):
    """Do all that is due, as a worker with a clock that stands still."""
    return symbol_steps.work(clock=lambda: at, joined=lambda: None)


def steps_of(run):
    return {step.step_name: step for step in run.steps.order_by("stage", "id")}


class TestRefusals:
    def reason(self, **values):
        with pytest.raises(SymbolRefused) as refusal:
            ask(**values)
        assert not Execution.objects.exists()
        return refusal.value.reason, refusal.value.message

    def test_a_symbol_without_candles_and_without_a_provider(self):
        reason, _ = self.reason()

        assert reason == FailReason.SYMBOL_NOT_FOUND

    def test_a_history_that_is_too_short(self):
        store_walk(bars=19 * QUARTERS_OF_A_DAY)

        reason, message = self.reason()

        assert reason == FailReason.INSUFFICIENT_HISTORICAL_DATA
        assert "19.0 days of 20" in message

    def test_a_history_with_too_many_holes(self):
        rows = store_walk(bars=21 * QUARTERS_OF_A_DAY)
        holes = [row.timestamp for row in rows[10:120]]
        Candle.objects.filter(timestamp__in=holes).delete()

        reason, message = self.reason()

        assert reason == FailReason.INSUFFICIENT_DATA_QUALITY
        assert "94.5 %" in message

    def test_weekends_are_no_holes_where_the_market_rests(self):
        make_instrument(symbol="EUR/USD", asset_class=AssetClass.FOREX)
        rows = store_walk("EUR/USD", bars=40 * 24, granularity=Granularity.H1)
        weekend = [row.timestamp for row in rows if row.timestamp.weekday() > 4]
        Candle.objects.filter(timestamp__in=weekend).delete()

        assert ask(symbol="EUR/USD").status == ExecutionStatus.PENDING

    def test_a_text_that_is_no_symbol(self):
        reason, _ = self.reason(symbol="../etc")

        assert reason == FailReason.CUSTOM_RULE_VIOLATION

    def test_a_provider_that_does_not_exist(self):
        reason, message = self.reason(provider="madeup")

        assert reason == FailReason.EXCHANGE_NOT_SUPPORTED
        assert "madeup" in message

    def test_a_provider_that_lacks_something(self):
        reason, _ = self.reason(provider="replay")

        assert reason == FailReason.CONFIG_VALIDATION_FAILED

    def test_a_strategy_that_is_not_active(self):
        store_walk(bars=21 * QUARTERS_OF_A_DAY)
        asleep = make_strategy_configuration(is_active=False)

        reason, message = self.reason(strategy_configurations=[asleep.pk])

        assert reason == FailReason.CONFIG_VALIDATION_FAILED
        assert str(asleep.pk) in message

    def test_more_candles_than_a_worker_can_hold(self, monkeypatch):
        monkeypatch.setattr(symbol_additions, "MOST_BARS", 2_000)
        store_walk(bars=21 * QUARTERS_OF_A_DAY)

        reason, message = self.reason()

        assert reason == FailReason.INSUFFICIENT_RESOURCES
        assert "2,016 candles" in message

    def test_fewer_days_than_are_required(self):
        store_walk(bars=21 * QUARTERS_OF_A_DAY)

        assert self.reason(days=19)[0] == FailReason.CONFIG_VALIDATION_FAILED


class TestPlan:
    @pytest.fixture(autouse=True)
    def candles(self):
        store_walk(bars=21 * QUARTERS_OF_A_DAY)

    def test_has_a_step_for_every_active_strategy(self):
        run = ask()

        steps = steps_of(run)
        assert run.status == ExecutionStatus.PENDING
        assert next(iter(steps)) == DATA_FETCH
        assert list(steps)[-1] == RESULT_SAVE
        assert len(steps) == StrategyConfiguration.objects.active().count() + 2 == 20

    def test_has_the_strategies_that_were_chosen(self):
        chosen = StrategyConfiguration.objects.get(name="Balanced - 1h")

        run = ask(strategy_configurations=[chosen.pk])

        assert "backtest Balanced - 1h" in steps_of(run)
        assert run.total_tasks == 3
        assert run.metadata["execution_mode"] == "selective"

    def test_is_made_once_for_one_name(self):
        first, created = request_symbol_addition(wish=wish(execution_id="mine"), now=LATER)
        second, again = request_symbol_addition(wish=wish(execution_id="mine"), now=LATER)

        assert (created, again) == (True, False)
        assert first.pk == second.pk == "mine"
        assert Execution.objects.count() == 1

    def test_does_not_take_a_name_from_another_wish(self):
        ask(execution_id="mine")

        with pytest.raises(Conflict) as refusal:
            ask(execution_id="mine", days=30)

        assert [each.pointer for each in refusal.value.errors] == ["/days"]

    def test_waits_for_the_run_that_adds_the_symbol_already(self):
        run = ask()

        with pytest.raises(AlreadyRunning, match=run.pk):
            ask()

    def test_keeps_the_strategy_as_it_was(self, three_strategies):
        run = ask()
        for each in three_strategies:
            each.parameters = {"nonsense": 1}
            each.save()

        step = steps_of(run)["backtest Balanced - 15m"]
        assert step.parameters["parameters"]["risk_multiplier"] == 1.0


class TestWork:
    @pytest.fixture(autouse=True)
    def candles(self, three_strategies):
        store_walk(bars=21 * QUARTERS_OF_A_DAY)

    def test_tries_every_strategy_out_and_ranks_them(self):
        run = ask()

        assert work() == 5

        run.refresh_from_db()
        steps = steps_of(run)
        assert run.status == ExecutionStatus.PARTIAL_SUCCESS
        assert run.progress_percentage == 100
        assert run.memory_peak_mb > 1
        assert run.cpu_usage_avg is not None
        assert steps[DATA_FETCH].status == StepStatus.SUCCESS
        assert steps[RESULT_SAVE].status == StepStatus.SUCCESS
        done = Analysis.objects.filter(execution=run, status=AnalysisStatus.COMPLETED)
        assert {each.config for each in done} == {"Balanced - 15m", "Aggressive_ML - 1h"}
        assert sorted(each.ranking for each in done) == [1, 2]

    def test_says_why_a_timeframe_could_not_be_tried_out(self):
        run = ask()
        work()

        step = steps_of(run)["backtest Balanced - 1w"]
        assert step.status == StepStatus.FAILED_INSUFFICIENT_DATA
        assert "whole bars of 1w" in step.error_message
        failed = Analysis.objects.get(execution=run, config="Balanced - 1w")
        assert failed.status == AnalysisStatus.FAILED
        assert failed.error_message == step.error_message

    def test_stores_figures_with_their_definition_and_each_leverage(self):
        run = ask()
        work()

        analysis = Analysis.objects.get(execution=run, config="Balanced - 15m")
        assert analysis.origin == Origin.COMPUTED
        assert analysis.total_trades > 0
        assert analysis.period_start == NEW_YEAR
        figures = BacktestMetric.objects.filter(analysis=analysis)
        assert figures.exclude(definition="").count() == figures.count() > 15
        sums = LeverageCalculation.objects.filter(analysis=analysis)
        assert sums.count() == analysis.total_trades
        assert all(each.final_leverage <= each.ceiling for each in sums)

    def test_says_of_a_strategy_without_trades_that_there_was_no_signal(self):
        shy = make_strategy_configuration(
            name="Shy",
            timeframe=Granularity.M15,
            parameters={
                "risk_multiplier": 1,
                "confidence_threshold": 1,
                "max_leverage": 5,
                "stop_loss_threshold": 0.05,
                "take_profit_threshold": 0.1,
            },
        )
        run = ask(strategy_configurations=[shy.pk])
        work()

        analysis = Analysis.objects.get(execution=run)
        run.refresh_from_db()
        assert analysis.status == AnalysisStatus.NO_SIGNAL
        assert analysis.total_trades == 0
        assert analysis.win_rate is None
        assert run.status == ExecutionStatus.COMPLETED

    def test_ends_as_failed_when_the_candles_went_missing(self):
        run = ask()
        Candle.objects.all().delete()

        work()

        run.refresh_from_db()
        steps = steps_of(run)
        assert run.status == ExecutionStatus.FAILED
        assert steps[DATA_FETCH].reason == FailReason.SYMBOL_NOT_FOUND
        assert {step.status for name, step in steps.items() if name != DATA_FETCH} == {
            StepStatus.SKIPPED
        }

    def test_changes_nothing_when_there_is_nothing_to_do(self):
        run = ask()
        work()
        before = list(Analysis.objects.order_by("pk").values())

        assert work(LATER + DAY) == 0
        assert list(Analysis.objects.order_by("pk").values()) == before
        assert Execution.objects.get(pk=run.pk).status == ExecutionStatus.PARTIAL_SUCCESS

    def test_ends_cancelled_when_somebody_wishes_so(self):
        run = ask()
        claimed = claim_step(runner=symbol_additions.RUNNER, now=LATER, lease=LEASE)
        request_cancel(Execution.objects.filter(pk=run.pk), by="ann", now=LATER)
        symbol_steps.perform(claimed, lambda: LATER)

        work()

        run.refresh_from_db()
        assert run.status == ExecutionStatus.CANCELLED
        assert not Analysis.objects.filter(
            status__in=[AnalysisStatus.PENDING, AnalysisStatus.RUNNING]
        ).exists()
        assert not run.steps.filter(status__in=[StepStatus.PENDING, StepStatus.RUNNING]).exists()

    def test_a_worker_that_died_at_any_step_is_followed_by_another(self):
        run = ask()
        now, died = LATER, 0
        while claim_step(runner=symbol_additions.RUNNER, now=now, lease=LEASE):
            # It dies with the step in its hands; the next one does it.
            died += 1
            now += LEASE + timedelta(seconds=1)
            watch_executions(now=now)
            step = claim_step(runner=symbol_additions.RUNNER, now=now, lease=LEASE)
            symbol_steps.perform(step, lambda now=now: now)
        work(now)

        run.refresh_from_db()
        assert died == 5
        assert run.status == ExecutionStatus.PARTIAL_SUCCESS
        assert Analysis.objects.filter(status=AnalysisStatus.COMPLETED).count() == 2

    def test_a_retry_does_all_of_it_anew(self):
        run = ask()
        first = steps_of(run)
        now = LATER
        # Three workers in a row die over the candles.
        for _ in range(3):
            claim_step(runner=symbol_additions.RUNNER, now=now, lease=LEASE)
            now += LEASE + timedelta(seconds=1)
            watch_executions(now=now)
        work(now)
        run.refresh_from_db()
        assert run.status == ExecutionStatus.FAILED
        assert ExecutionStep.objects.get(pk=first[DATA_FETCH].pk).error_type == "WorkerLost"
        # Without candles there is nothing to try out.
        others = run.steps.exclude(step_name=DATA_FETCH)
        assert set(others.values_list("status", flat=True)) == {StepStatus.SKIPPED}
        assert run.error_count == 1

        again = retry_execution(execution_id=run.pk, by="ann", now=now)
        work(now)

        again.refresh_from_db()
        assert again.retry_of_id == run.pk
        assert again.status == ExecutionStatus.PARTIAL_SUCCESS
        assert Analysis.objects.filter(execution=again).count() == 3

    def test_a_step_that_another_worker_took_over_stores_nothing_twice(self):
        run = ask(strategy_configurations=[StrategyConfiguration.objects.active()[0].pk])
        slow = claim_step(runner=symbol_additions.RUNNER, now=LATER, lease=LEASE)
        later = LATER + LEASE + timedelta(seconds=1)
        watch_executions(now=later)
        quick = claim_step(runner=symbol_additions.RUNNER, now=later, lease=LEASE)
        symbol_steps.perform(quick, lambda: later)

        symbol_steps.perform(slow, lambda: later)

        step = ExecutionStep.objects.get(pk=slow.pk)
        assert step.attempt == 2
        assert Analysis.objects.filter(execution=run).count() == 1


class TestProvider:
    def test_fetches_what_is_missing_before_it_looks(self, three_strategies):
        # What is replayed lies a year before the time of asking.
        store_walk(bars=60 * QUARTERS_OF_A_DAY, source="tape")
        now = NEW_YEAR + 60 * DAY

        run, _ = request_symbol_addition(
            wish=wish(provider="replay", source="fetched", options={"source": "tape"}, days=25),
            now=now,
        )
        symbol_steps.work(clock=lambda: now, joined=lambda: None)

        step = steps_of(run)[DATA_FETCH]
        assert step.status == StepStatus.SUCCESS
        assert step.result_data["records_fetched"] == 25 * QUARTERS_OF_A_DAY
        fetched = Candle.objects.filter(source="fetched")
        assert fetched.count() == 25 * QUARTERS_OF_A_DAY
        assert set(Analysis.objects.values_list("source", flat=True)) == {"fetched"}

    def test_a_provider_that_is_not_to_be_believed_is_a_failed_step(self, three_strategies):
        run, _ = request_symbol_addition(
            wish=wish(provider="replay", options={"source": "nowhere"}), now=LATER
        )
        work()

        run.refresh_from_db()
        step = steps_of(run)[DATA_FETCH]
        assert run.status == ExecutionStatus.FAILED
        assert step.status == StepStatus.FAILED_INSUFFICIENT_DATA
        assert "Nothing is stored" in step.error_message

    def test_a_fetch_stops_at_its_next_page_when_somebody_wishes_so(
        self, three_strategies, monkeypatch
    ):
        store_walk(bars=60 * QUARTERS_OF_A_DAY, source="tape")
        monkeypatch.setattr("apps.market.services.feeds.PAGE", 50)
        now = NEW_YEAR + 60 * DAY
        run, _ = request_symbol_addition(
            wish=wish(provider="replay", source="fetched", options={"source": "tape"}, days=25),
            now=now,
        )

        def call_off():
            request_cancel(Execution.objects.filter(pk=run.pk), by="ann", now=now)

        symbol_steps.work(clock=lambda: now, joined=call_off)

        run.refresh_from_db()
        assert run.status == ExecutionStatus.CANCELLED
        assert steps_of(run)[DATA_FETCH].status == StepStatus.CANCELLED
        assert Candle.objects.filter(source="fetched").count() == 50
        assert not Analysis.objects.exists()
