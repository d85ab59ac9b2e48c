"""The demo's runs, models and what they say: plain rules on the demo's candles, no magic.

Everything has a name that is fixed, so that loading again adds what has become known since, and
nothing twice.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from statistics import fmean, pstdev
from typing import Any

from django.utils import timezone

from apps.analysis.choices import ModelStatus
from apps.analysis.models import StrategyConfiguration
from apps.analysis.services.claims import store_predictions, store_signals
from apps.analysis.services.features import store_importance
from apps.analysis.services.judging import settle_claims
from apps.analysis.services.registry import register_models
from apps.analysis.services.symbol_additions import SymbolAddition, request_symbol_addition
from apps.analysis.services.symbol_steps import work
from apps.executions.choices import ExecutionStatus, StepStatus
from apps.executions.models import Execution
from apps.executions.services.runs import StepReport, finish, report_step, start_executions
from apps.executions.tracking import Beginning
from apps.market.choices import Granularity
from apps.market.domain.candles import CandleRow, known_at
from apps.shared.errors import DomainError
from config.demo_told import behind_left

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
# Symbols on which all strategies of these timeframes are tried out.
ADDED = {"EUR/USD": ["1h", "4h", "1d"], "AAPL": ["1d"]}
OLD, NEW = "momentum_v1", "momentum_v2"
BACK = {OLD: 5, NEW: 10}  # how many days of returns a model looks at
SPAN = timedelta(weeks=26)
SIGNAL_EVERY = 6  # hours
FAST, SLOW = 12, 72  # hours
CENT = Decimal("0.01")


@dataclass(frozen=True, kw_only=True)
class DemoModel:
    model_id: str
    version: str
    status: ModelStatus
    name: str = "momentum"
    model_type: str = "rule"
    parameters: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    file_path: str = ""


@dataclass(frozen=True, kw_only=True)
class DemoPrediction:
    prediction_id: str
    model_id: str
    symbol: str
    timestamp: datetime
    prediction_value: Decimal
    confidence: Decimal
    prediction_type: str = "price_direction"
    direction: str = ""
    horizon_hours: int | None = 24
    confidence_pct: Decimal | None = None
    features: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DemoSignal:
    signal_id: str
    symbol: str
    timestamp: datetime
    signal: str
    confidence: Decimal
    model_version: str = "crossing v1.0"
    horizon_hours: int | None = 24
    confidence_pct: Decimal | None = None
    price_prediction: Decimal | None = None
    analysis_data: dict[str, Any] = field(default_factory=dict)
    signal_weights: dict[str, Any] = field(default_factory=dict)
    comprehensive_signals: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DemoImportance:
    feature_name: str
    importance_score: float
    timestamp: datetime
    model_version: str
    category: str = ""


def load(candles: Mapping[str, Sequence[CandleRow]], *, since: datetime, now: datetime) -> str:
    """Store the runs, models and claims of the demo; return what was added, as text.

    ``candles`` by symbol, oldest first; ``since`` is when the demo was first loaded.
    """
    if not candles:
        return "0 runs, 0 predictions, 0 signals"
    runs = nightly_runs(since=since, now=now)
    if behind_left("executions", since) == since:
        runs += sum(add_symbol(symbol, now=now) for symbol in ADDED if symbol in candles)
    status = {OLD: ModelStatus.DEPRECATED, NEW: ModelStatus.ACTIVE}
    models = [
        DemoModel(
            model_id=each,
            version=f"{number}.0",
            status=status[each],
            parameters={"days": BACK[each], "horizon_hours": 24},
        )
        for number, each in enumerate((OLD, NEW), start=1)
    ]
    register_models(models, by="demo", now=now)
    daily = [rows for rows in candles.values() if rows and rows[0].granularity == Granularity.D1]
    begin = behind_left("predictions", since - SPAN)
    predictions = [each for rows in daily for each in predictions_of(rows, begin)]
    added = store_predictions(predictions, now=now).created
    hourly = [rows for rows in candles.values() if rows and rows[0].granularity == Granularity.H1]
    begin = behind_left("model_signals", since - SPAN / 13)
    signals = [each for rows in hourly for each in signals_of(rows, begin)]
    given = store_signals(signals, now=now).created
    store_importance(list(importance(since)), now=now)
    # At once, so that the first page has outcomes; from here on the worker does it.
    settle_claims(now=now)
    return f"{runs} runs, {added} predictions, {given} signals"


# --- Runs ---------------------------------------------------------------------------------


def add_symbol(symbol: str, *, now: datetime) -> int:
    """Have all strategies tried out on a symbol, here and now; return 1 if that is new."""
    active = StrategyConfiguration.objects.active().filter(timeframe__in=ADDED[symbol])
    wish = SymbolAddition(
        symbol=symbol,
        execution_id=f"demo-add-{symbol.replace('/', '-')}",
        strategy_configurations=list(active.values_list("pk", flat=True)),
        triggered_by="demo",
    )
    try:
        _, created = request_symbol_addition(wish=wish, now=now)
    except DomainError:
        # Other settings than the demo is made for ask for more than it has.
        return 0
    while created and work(clock=timezone.now, joined=lambda: None):
        pass
    return int(created)


def nightly_runs(*, since: datetime, now: datetime) -> int:
    """Report two runs of a program outside: one that went well, one that broke."""
    made = 0
    for name, began, broken in (
        ("demo-training-1", since - 27 * HOUR, False),
        ("demo-training-2", since - 3 * HOUR, True),
    ):
        left = began < behind_left("executions", began)
        if left or Execution.objects.filter(pk=name).exists():
            continue
        beginning = Beginning(
            execution_id=name,
            execution_type="SCHEDULED_TRAINING",
            symbol="AAPL",
            symbols=[],
            status=ExecutionStatus.RUNNING,
            timestamp_start=began,
            total_tasks=3,
            triggered_by="demo",
            server_id="pipeline-1",
            version="2.4.0",
            lease_seconds=300,
            metadata={"demo": True},
        )
        start_executions([beginning], now=began)
        train(name, began, broken=broken)
        made += 1
    return made


def train(name: str, began: datetime, *, broken: bool) -> None:
    """Report the steps of a training, the last of which may break."""
    moment = began
    for step, minutes, result in (
        ("load features", 4, {"rows": 12_480, "columns": 36}),
        ("fit", 31, {"epochs": 40, "loss": 0.312}),
        ("evaluate", 6, {"accuracy": 0.541}),
    ):
        fails = broken and step == "fit"
        done = moment + timedelta(minutes=minutes)
        report_step(
            execution_id=name,
            report=StepReport(step_name=step, status=StepStatus.RUNNING, timestamp_start=moment),
            now=moment,
        )
        report_step(
            execution_id=name,
            report=StepReport(
                step_name=step,
                status=StepStatus.FAILED if fails else StepStatus.SUCCESS,
                timestamp_end=done,
                result_data={} if fails else result,
                error_type="FloatingPointError" if fails else "",
                error_message="loss is not a number after epoch 17" if fails else "",
            ),
            now=done,
        )
        moment = done
        if fails:
            break
    status = ExecutionStatus.FAILED if broken else ExecutionStatus.COMPLETED
    finish(execution_id=name, status=status, now=moment)


# --- Models -------------------------------------------------------------------------------


def predictions_of(rows: Sequence[CandleRow], since: datetime) -> Iterator[DemoPrediction]:
    """Yield both models' predictions of the next day, made when a day's candle closes.

    The direction is that of the mean return of some days; the confidence grows with how far that
    lies from its usual spread. Nothing later is used.
    """
    closes = [float(row.close) for row in rows]
    for model, days in BACK.items():
        for index in range(days + 1, len(rows)):
            row = rows[index]
            moment = known_at(row.timestamp, row.granularity)
            # After a Friday comes no day to be judged by.
            if moment < since or row.timestamp.weekday() > 3:
                continue
            window = closes[index - days : index + 1]
            returns = [after / before - 1 for before, after in pairwise(window)]
            drift, spread = fmean(returns), pstdev(returns)
            if not drift or not spread:
                continue
            strength = min(abs(drift) / spread, 1.0)
            yield DemoPrediction(
                prediction_id=f"demo-{model}-{row.symbol}-{moment:%Y%m%d}",
                model_id=model,
                symbol=row.symbol,
                timestamp=moment,
                prediction_value=Decimal(1 if drift > 0 else -1),
                confidence=Decimal(0.5 + 0.3 * strength).quantize(CENT),
                features={"mean_return": round(drift, 6), "spread": round(spread, 6)},
            )


def signals_of(rows: Sequence[CandleRow], since: datetime) -> Iterator[DemoSignal]:
    """Yield what two averages advise, every few hours."""
    closes = [float(row.close) for row in rows]
    for index in range(SLOW, len(rows)):
        moment = known_at(rows[index].timestamp, rows[index].granularity)
        if moment < since or moment.hour % SIGNAL_EVERY:
            continue
        fast = fmean(closes[index - FAST + 1 : index + 1])
        slow = fmean(closes[index - SLOW + 1 : index + 1])
        apart = (fast / slow - 1) * 1_000
        signal = "hold" if abs(apart) < 1 else ("buy" if apart > 0 else "sell")
        yield DemoSignal(
            signal_id=f"demo-{rows[index].symbol}-{moment:%Y%m%dT%H}",
            symbol=rows[index].symbol,
            timestamp=moment,
            signal=signal,
            confidence=Decimal(0.5 + min(abs(apart) / 20, 0.4)).quantize(CENT),
            signal_weights={
                "technical_weight": 0.7,
                "onchain_weight": 0,
                "sentiment_weight": 0.2,
                "macro_weight": 0.1,
            },
            comprehensive_signals={"fast": round(fast, 6), "slow": round(slow, 6)},
        )


def importance(since: datetime) -> Iterator[DemoImportance]:
    """Yield how much the newer model looked at its features, week by week."""
    features = {
        "mean_return_10d": 0.46,
        "spread_10d": 0.31,
        "volume_ratio": 0.15,
        "macro_vix": 0.08,
    }
    for week, (name, score) in ((w, f) for w in range(8) for f in features.items()):
        moment = (since - week * timedelta(weeks=1)).replace(minute=0, second=0, microsecond=0)
        sway = 0.02 * ((week + len(name)) % 3 - 1)
        yield DemoImportance(
            feature_name=name,
            importance_score=round(score + sway, 4),
            timestamp=moment,
            model_version=NEW,
        )
