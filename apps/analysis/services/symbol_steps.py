"""Doing the steps of a symbol's addition: fetch candles, try strategies out, rank the results."""

import functools
import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.conf import settings
from django.db import transaction

from apps.analysis.choices import AnalysisStatus
from apps.analysis.domain.bars import Bars, resampled
from apps.analysis.domain.leverage import LeverageParameters
from apps.analysis.domain.strategies import StrategyParameters, read_parameters
from apps.analysis.domain.symbols import FailReason, SymbolRefused, check_bars
from apps.analysis.domain.trades import TradeRecord
from apps.analysis.domain.tryout import Entry, try_out
from apps.analysis.models import Analysis
from apps.analysis.services.analyses import judge_trades, rank_run, store_leverage
from apps.analysis.services.symbol_additions import (
    BACKTEST,
    DATA_FETCH,
    RESULT_SAVE,
    RUNNER,
    TYPE,
    checked_history,
    feed_of,
    stored_series,
    window_of,
)
from apps.executions.choices import StepStatus
from apps.executions.domain.states import FINAL
from apps.executions.models import ExecutionStep
from apps.executions.services.work import (
    claim_step,
    close_runs,
    finish_step,
    keep_step,
    note_use,
    release_step,
    skip_steps,
)
from apps.executions.tracking import Meter
from apps.market.domain.candles import Series, width
from apps.market.models import Candle
from apps.market.providers.base import ProviderError, ProviderUnreachable
from apps.market.services.arrays import load_arrays
from apps.market.services.candles import make_instruments
from apps.market.services.history import fetch_history
from apps.shared.errors import DomainError

logger = logging.getLogger(__name__)

Clock = Callable[[], datetime]
# One message works for so long and makes way for others; a fetch goes on with the next one.
WORK_FOR: Final = timedelta(seconds=5)
FETCH_FOR: Final = timedelta(seconds=30)
DAYS_OF_YEAR: Final = 365
NO_DATA: Final = "no_data"


class Released(Exception):
    """The step is somebody else's by now, or waits for its next turn."""


class StepFailed(Exception):
    """A step that cannot succeed, and why; it is no fault of ours."""

    def __init__(self, status: StepStatus, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


def work(*, clock: Clock, joined: Callable[[], None]) -> int:
    """Do steps that are due, for a few seconds; return how many were taken up.

    ``joined`` is called after each claim: whoever has something to do calls others to help. Runs
    that have nothing left to do are ended. May run many times at once.
    """
    began, taken = clock(), 0
    while clock() - began < WORK_FOR:
        step = claim_step(runner=RUNNER, now=clock(), lease=settings.STEP_LEASE)
        if step is None:
            break
        taken += 1
        joined()
        meter = Meter()
        perform(step, clock)
        note_use(step=step, report=meter.report(), now=clock())
    close_runs(now=clock(), runner=RUNNER)
    leave_nothing_open(now=clock())
    return taken


def perform(step: ExecutionStep, clock: Clock) -> None:
    """Do one claimed step and note how it went."""
    kind = step.parameters["kind"]
    try:
        if kind != DATA_FETCH:
            check_fetched(step, clock())
        STEPS[kind](step, clock)
    except Released:
        return
    except StepFailed as failure:
        fail(step, clock(), failure.status, failure.reason, str(failure))
    except SymbolRefused as refusal:
        status = StepStatus.FAILED_INSUFFICIENT_DATA
        fail(step, clock(), status, refusal.reason.value, refusal.message)
    except DomainError as refusal:
        status = StepStatus.FAILED_INSUFFICIENT_CONFIG
        fail(step, clock(), status, refusal.code, refusal.message)
    except Exception as error:
        # One strategy that breaks must not keep the others from being tried out.
        logger.exception("Step %s failed", step)
        fail(step, clock(), StepStatus.FAILED, "", str(error), error)


def check_fetched(step: ExecutionStep, now: datetime) -> None:
    """Leave out all that is left of a run that has no candles to work on; raise Released then.

    A fetch that fails does so itself; one that cost its workers their lives could not.
    """
    fetched = step.execution.steps.filter(step_name=DATA_FETCH, status=StepStatus.SUCCESS)
    if fetched.exists():
        return
    with transaction.atomic():
        if finish_step(step=step, status=StepStatus.SKIPPED, reason=NO_DATA, now=now):
            skip_steps(execution_id=step.execution_id, now=now, reason=NO_DATA)
    raise Released


def fail(
    step: ExecutionStep,
    now: datetime,
    status: StepStatus,
    reason: str,
    message: str,
    error: Exception | None = None,
) -> None:
    """End a step as failed, and with it what cannot go on without it."""
    with transaction.atomic():
        ended = finish_step(
            step=step,
            status=status,
            reason=reason,
            error_type=type(error).__qualname__ if error else "",
            error_message=message,
            error_traceback="".join(traceback.format_exception(error)) if error else "",
            now=now,
        )
        if not ended:
            return
        if step.parameters["kind"] == DATA_FETCH:
            skip_steps(execution_id=step.execution_id, now=now, reason=reason or NO_DATA)
        if step.parameters["kind"] == BACKTEST:
            of_step(step).update(
                status=AnalysisStatus.FAILED, error_message=message, updated_at=now
            )


def of_step(step: ExecutionStep) -> Any:
    return Analysis.objects.filter(
        execution_id=step.execution_id,
        symbol=step.execution.symbol,
        timeframe=step.parameters["timeframe"],
        config=step.parameters["label"],
    )


def leave_nothing_open(*, now: datetime) -> None:
    """Close the analyses of runs that ended without them: cancelled, lost, without data."""
    waiting = [AnalysisStatus.PENDING, AnalysisStatus.RUNNING]
    Analysis.objects.filter(
        status__in=waiting,
        execution__execution_type=TYPE,
        execution__status__in=[status.value for status in FINAL],
    ).update(status=AnalysisStatus.SKIPPED, updated_at=now)


# --- data_fetch ---------------------------------------------------------------------------


def fetch_data(step: ExecutionStep, clock: Clock) -> None:
    """Fetch what is missing, see that it is enough, and lay out the analyses to come."""
    run, request = step.execution, step.execution.metadata["request"]
    fetched = fetch_missing(step, clock) if request["provider"] else 0
    feed = feed_of(request, run.metadata["fetch_granularity"]) if request["provider"] else None
    series = stored_series(
        run.symbol,
        feed.source if feed else request["source"],
        feed.granularity if feed else request["granularity"],
    )
    if series is None:
        message = f"No candles of {run.symbol} are stored."
        raise SymbolRefused(FailReason.SYMBOL_NOT_FOUND, message)
    history = checked_history(run.symbol, series, request["days"])
    start, end = window_of(series, request["days"])
    with transaction.atomic():
        make_instruments({run.symbol})
        lay_out_analyses(step, series, start, end, clock())
        finish(
            step,
            clock(),
            {
                "symbol": run.symbol,
                "source": series.source,
                "granularity": series.granularity,
                "date_range": {"start": start.isoformat(), "end": end.isoformat()},
                "records_fetched": fetched,
                "days": str(history.days),
                "completeness": str(history.completeness),
            },
        )


def fetch_missing(step: ExecutionStep, clock: Clock) -> int:
    """Fetch the candles that the provider has and we have not; return how many came.

    Goes on behind the last candle stored. Takes a pause, as the others want their turn too: the
    step then waits for its next one.
    """
    run, request = step.execution, step.execution.metadata["request"]
    began = clock()
    feed = feed_of(request, run.metadata["fetch_granularity"])
    start = began - timedelta(days=request["days"])
    candles = Candle.objects.of_series(feed.symbol, feed.source, feed.granularity)
    last = (
        candles.filter(timestamp__gte=start)
        .order_by("-timestamp")
        .values_list("timestamp", flat=True)
        .first()
    )
    first = (
        candles.order_by("timestamp").values_list("timestamp", flat=True).first() if last else None
    )
    # Stored candles that begin too late are of no use for what lies before them.
    behind = last if first is not None and first <= start + width(feed.granularity) else None

    paused = False

    def go_on(so_far: int) -> bool:
        nonlocal paused
        if not keep_step(step=step, now=clock(), lease=settings.STEP_LEASE):
            raise Released
        paused = clock() - began > FETCH_FOR
        return not paused

    try:
        fetched = fetch_history(feed=feed, start=behind or start, clock=clock, go_on=go_on)
    except ProviderUnreachable as error:
        raise StepFailed(
            StepStatus.FAILED, FailReason.API_CONNECTION_FAILED.value, str(error)
        ) from error
    except ProviderError as error:
        raise StepFailed(
            StepStatus.FAILED_INSUFFICIENT_DATA,
            FailReason.INSUFFICIENT_DATA_QUALITY.value,
            str(error),
        ) from error
    if paused:
        release_step(step=step, now=clock())
        raise Released
    return fetched


def lay_out_analyses(
    step: ExecutionStep, series: Series, start: datetime, end: datetime, now: datetime
) -> None:
    """Make the analyses that the run will fill, so that what is to come can be seen."""
    tried = [
        each.parameters
        for each in step.execution.steps.all()
        if each.parameters["kind"] == BACKTEST
    ]
    Analysis.objects.bulk_create(
        [
            Analysis(
                execution_id=step.execution_id,
                symbol=step.execution.symbol,
                timeframe=each["timeframe"],
                config=each["label"],
                strategy_configuration_id=each["strategy_configuration"],
                status=AnalysisStatus.PENDING,
                generated_at=now,
                source=series.source,
                period_start=start,
                period_end=end,
            )
            for each in tried
        ],
        ignore_conflicts=True,
    )


def finish(step: ExecutionStep, now: datetime, result: Mapping[str, Any]) -> None:
    """End a step well, inside the transaction that stores its work; raise Released if it is
    not ours any more, so that nothing of it is stored."""
    if not finish_step(step=step, status=StepStatus.SUCCESS, now=now, result_data=result):
        raise Released


# --- backtest -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Window:
    """The candles a run is tried out on."""

    symbol: str
    source: str
    granularity: str
    start: datetime
    end: datetime

    run: str

    def bars(self, timeframe: str) -> Bars:
        """Return whole bars of a timeframe; raise SymbolRefused where none can be made."""
        wanted, there = width(timeframe), width(self.granularity)
        if wanted < there or wanted % there:
            raise SymbolRefused(
                FailReason.INSUFFICIENT_DATA_QUALITY,
                f"Bars of {timeframe} cannot be made of candles of {self.granularity}.",
            )
        return resampled(candles(self), int(wanted.total_seconds()))


@functools.lru_cache(maxsize=2)
def candles(window: Window) -> Bars:
    """Return a run's candles; its steps, done one after the other, all ask for the same."""
    arrays = load_arrays(
        symbol=window.symbol,
        source=window.source,
        granularity=window.granularity,
        start=window.start,
        end=window.end,
    )
    return Bars(*arrays, int(width(window.granularity).total_seconds()))


def window_of_run(step: ExecutionStep) -> Window:
    """Return the candles that the run's first step settled on."""
    found = step.execution.steps.get(step_name=DATA_FETCH).result_data
    return Window(
        symbol=step.execution.symbol,
        source=found["source"],
        granularity=found["granularity"],
        start=datetime.fromisoformat(found["date_range"]["start"]),
        end=datetime.fromisoformat(found["date_range"]["end"]),
        run=step.execution_id,
    )


def bitcoin_beside(window: Window, timeframe: str) -> Bars | None:
    """Return bars of Bitcoin over the same stretch, None where there are none.

    Of the finest of its series that reaches over the whole of it.
    """
    if window.symbol == settings.BITCOIN_SYMBOL:
        return None
    wanted = width(timeframe)
    fitting = [
        each
        for each in Candle.objects.series(settings.BITCOIN_SYMBOL)
        if not wanted % width(each.granularity)
        and each.first <= window.start
        and each.known_until >= window.end
    ]
    if not fitting:
        return None
    series = min(fitting, key=lambda each: (width(each.granularity), each.source))
    beside = Window(
        symbol=settings.BITCOIN_SYMBOL,
        source=series.source,
        granularity=series.granularity,
        start=window.start,
        end=window.end,
        run=window.run,
    )
    return beside.bars(timeframe)


def try_strategy(step: ExecutionStep, clock: Clock) -> None:
    """Try one strategy out and store its analysis: trades, figures, leverage."""
    given, window = step.parameters, window_of_run(step)
    parameters = read_parameters(given["base_strategy"], given["timeframe"], given["parameters"])
    leverage = LeverageParameters.from_mapping(given["leverage_parameters"])
    bars = window.bars(given["timeframe"])
    check_bars(given["timeframe"], bars.start.size)
    tried = try_out(
        bars,
        base_strategy=given["base_strategy"],
        parameters=parameters,
        leverage=leverage,
        bitcoin=bitcoin_beside(window, given["timeframe"]),
    )
    with transaction.atomic():
        analysis = of_step(step).select_for_update().get()
        analysis.parameters = {
            "strategy": {name: plainly(each) for name, each in asdict(parameters).items()},
            "leverage": leverage.as_mapping(),
        }
        store(analysis, tried, parameters, window, clock())
        finish(
            step,
            clock(),
            {
                "bars": bars.start.size,
                "total_trades": analysis.total_trades,
                "total_return": analysis.total_return,
                "sharpe_ratio": analysis.sharpe_ratio,
                "max_drawdown": analysis.max_drawdown,
            },
        )


def plainly(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value


def store(
    analysis: Analysis,
    tried: list[Entry],
    parameters: StrategyParameters,
    window: Window,
    now: datetime,
) -> None:
    """Store what became of a strategy."""
    analysis.status = AnalysisStatus.COMPLETED if tried else AnalysisStatus.NO_SIGNAL
    analysis.error_message = ""
    judge_trades(
        analysis=analysis,
        trades=[record(each) for each in tried],
        stake=parameters.stake,
        start=window.start,
        end=window.end,
        periods_per_year=DAYS_OF_YEAR,
        now=now,
    )
    store_leverage(
        analysis=analysis,
        breakdowns=[(each.number, each.entered_at, each.breakdown) for each in tried],
    )


def record(entry: Entry) -> TradeRecord:
    """Return a trade as it is kept."""
    trade = entry.trade
    return TradeRecord(
        trade_number=entry.number,
        direction=trade.direction,
        entry_time=entry.entered_at,
        exit_time=entry.over_at,
        entry_price=trade.entry_price,
        exit_price=trade.exit_price,
        stop_price=trade.stop_price,
        target_price=trade.target_price,
        leverage=trade.leverage,
        confidence=trade.confidence,
        exit_reason=trade.exit_reason.value,
        gross_pct=trade.gross_pct,
        fees_pct=trade.fees_pct,
        net_pct=trade.net_pct,
    )


# --- result_save --------------------------------------------------------------------------


def save_results(step: ExecutionStep, clock: Clock) -> None:
    """Rank what the run has tried out."""
    with transaction.atomic():
        ranked = rank_run(execution_id=step.execution_id)
        analyses = Analysis.objects.filter(execution_id=step.execution_id)
        done = [AnalysisStatus.COMPLETED, AnalysisStatus.NO_SIGNAL]
        if not analyses.filter(status__in=done).exists():
            raise StepFailed(
                StepStatus.FAILED_INSUFFICIENT_DATA,
                FailReason.INSUFFICIENT_HISTORICAL_DATA.value,
                "No strategy could be tried out.",
            )
        best = analyses.filter(ranking=1).first()
        finish(
            step,
            clock(),
            {
                "symbol": step.execution.symbol,
                "ranking_entries_created": ranked,
                "best": {"analysis": best.pk, "config": best.config} if best else None,
            },
        )


STEPS: Mapping[str, Callable[[ExecutionStep, Clock], None]] = {
    DATA_FETCH: fetch_data,
    BACKTEST: try_strategy,
    RESULT_SAVE: save_results,
}
