"""One strategy tried out on a symbol's candles, and its analysis stored."""

import functools
from dataclasses import asdict, dataclass
from datetime import datetime
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
from apps.analysis.services.analyses import judge_trades, store_leverage
from apps.analysis.services.symbol_additions import (
    DATA_FETCH,
)
from apps.analysis.services.symbol_outcomes import (
    Clock,
    finish,
    of_step,
)
from apps.executions.models import ExecutionStep
from apps.market.domain.candles import width
from apps.market.models import Candle
from apps.market.services.arrays import load_arrays

DAYS_OF_YEAR: Final = 365


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
