"""One maker per model: a valid row, different at each call, any of it overridable."""

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from django.db import connection

from apps.access.models import ApiKey, IdempotencyRecord
from apps.access.scopes import known_scopes
from apps.access.services import IssuedKey, create_key
from apps.agents.choices import Action, AgentMode, CallStatus, DecisionStatus, Period, Verdict
from apps.agents.choices import OutcomeStatus as DecisionOutcomeStatus
from apps.agents.choices import TradeStatus as AgentTradeStatus
from apps.agents.models import (
    AgentDecision,
    AgentPerformance,
    AgentStanding,
    AgentTrade,
    DecisionOutcome,
    LLMCall,
    LLMPrice,
    TradingAgent,
)
from apps.alerts.choices import CheckpointStatus
from apps.alerts.models import Alert, AlertPerformance, TrackedPrice
from apps.analysis.choices import (
    AnalysisStatus,
    FeatureCategory,
    ModelStatus,
    Origin,
    OutcomeStatus,
)
from apps.analysis.models import (
    Analysis,
    BacktestMetric,
    BacktestResult,
    FeatureImportance,
    LeverageCalculation,
    MLModel,
    ModelOutcome,
    ModelSignal,
    ModelStatusChange,
    Prediction,
    SignalPerformance,
    StrategyConfiguration,
)
from apps.bots.choices import Origin as PerformanceOrigin
from apps.bots.choices import TradeStatus
from apps.bots.models import (
    BotInstance,
    BotPerformance,
    BotState,
    CarriedResult,
    DepartedTrade,
    Fill,
    LotTrade,
    Order,
    PaperPerformance,
    PaperPortfolio,
    PaperTrade,
    Position,
    Trade,
    TradingLimit,
)
from apps.executions.choices import ExecutionStatus, StepStatus
from apps.executions.domain.states import FINAL, STEP_FINAL
from apps.executions.models import Execution, ExecutionStep, Watch
from apps.logs.models import (
    ErrorGroup,
    ErrorLog,
    LogEntry,
    Notification,
    PerformanceLog,
    RecentActivity,
    SystemLog,
    TradingEvent,
    UserActionLog,
)
from apps.market.choices import (
    DefectKind,
    DominantTrend,
    FeatureOrigin,
    Granularity,
    InvalidationKind,
    RegimeType,
    VolatilityRegime,
)
from apps.market.models import (
    ApiCacheEntry,
    CacheDailyStats,
    CacheInvalidation,
    CacheRule,
    Candle,
    CandleDay,
    CandleDefect,
    CandleSeries,
    FeatureCoverage,
    FeatureSeries,
    FeatureVector,
    FeatureVersion,
    Feed,
    Instrument,
    MarketRegime,
    OnchainMetric,
    SentimentScore,
)
from apps.retention.choices import ArchiveStatus
from apps.retention.models import Archive, PolicyChange, RetentionPolicy

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)

_numbers = count(1)


def make_instrument(**values: Any) -> Instrument:
    return Instrument.objects.create(**{"symbol": f"COIN{next(_numbers)}/USD"} | values)


def make_candle(**values: Any) -> Candle:
    price = Decimal(values.pop("price", 100))
    granularity = Granularity(values.pop("granularity", Granularity.M5))
    defaults = {
        "symbol": "BTC/USD",
        "source": "test",
        "granularity": granularity,
        "timestamp": NOON + next(_numbers) * granularity.width,
        "volume": Decimal(1),
    }
    prices = dict.fromkeys(["open", "high", "low", "close"], price)
    return Candle.objects.create(**defaults | prices | values)


def make_feed(**values: Any) -> Feed:
    number = next(_numbers)
    defaults = {
        "provider": "replay",
        "source": "test",
        "symbol": f"COIN{number}/USD",
        "granularity": Granularity.M5,
    }
    return Feed.objects.create(**defaults | values)


def make_candle_series(**values: Any) -> CandleSeries:
    """Make a series that was checked: one day of five-minute candles, of which two are missing."""
    defaults = {
        "symbol": f"COIN{next(_numbers)}/USD",
        "source": "test",
        "granularity": Granularity.M5,
        "first_timestamp": NOON,
        "last_timestamp": NOON + timedelta(hours=23, minutes=55),
        "checked_until": NOON + timedelta(days=1),
        "checked_at": NOON + timedelta(days=1),
        "candles": 286,
        "expected": 288,
        "missing": 2,
        "gaps": 1,
    }
    return CandleSeries.objects.create(**defaults | values)


def make_candle_day(**values: Any) -> CandleDay:
    series = values.pop("series", None) or make_candle_series()
    day = NOON.date() + timedelta(days=next(_numbers))
    return CandleDay.objects.create(
        series=series, **{"day": day, "candles": 286, "expected": 288} | values
    )


def make_candle_defect(**values: Any) -> CandleDefect:
    series = values.pop("series", None) or make_candle_series()
    start = NOON + next(_numbers) * timedelta(minutes=10)
    defaults = {
        "kind": DefectKind.GAP,
        "start": start,
        "end": values.get("start", start) + timedelta(minutes=10),
        "candles": 2,
    }
    return CandleDefect.objects.create(series=series, **defaults | values)


def make_feature_version(**values: Any) -> FeatureVersion:
    """Make one that a pipeline registered."""
    defaults = {"version": f"9.{next(_numbers)}", "origin": FeatureOrigin.REPORTED}
    return FeatureVersion.objects.create(**defaults | values)


def make_feature_series(**values: Any) -> FeatureSeries:
    """Make the series of one row; of a version that is made when there is none of its number."""
    version = values.pop("feature_version", "9")
    known, _ = FeatureVersion.objects.get_or_create(version=version)
    defaults = {
        "symbol": f"COIN{next(_numbers)}/USD",
        "source": "test",
        "granularity": Granularity.H1,
        "rows": 1,
        "rsi_rows": 1,
        "ma_rows": 1,
        "first_timestamp": NOON,
        "last_timestamp": NOON,
        "computed_at": NOON,
    }
    return FeatureSeries.objects.create(feature_version=known, **defaults | values)


def make_feature_vector(**values: Any) -> FeatureVector:
    defaults = {
        "symbol": "BTC/USD",
        "source": "test",
        "granularity": Granularity.H1,
        "feature_version": "9",
        "timestamp": NOON + next(_numbers) * timedelta(hours=1),
        "close": 100.5,
        "rsi_1d": 55.25,
        "price_ma_short": 99.75,
    }
    return FeatureVector.objects.create(**defaults | values)


def make_feature_coverage(**values: Any) -> FeatureCoverage:
    """Make a row of features that is young enough to be covered, and return what covers it."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    series = make_feature_series(first_timestamp=now, last_timestamp=now, **values)
    make_feature_vector(
        symbol=series.symbol, feature_version=series.feature_version_id, timestamp=now
    )
    with connection.cursor() as cursor:
        cursor.execute("REFRESH MATERIALIZED VIEW mv_features_dashboard_summary")
    return FeatureCoverage.objects.get(symbol=series.symbol)


def make_cache_entry(**values: Any) -> ApiCacheEntry:
    """Make an answer that is fresh for five minutes, and kept for another hour."""
    cached = values.setdefault("cached_at", datetime.now(UTC))
    expires = values.setdefault("expires_at", cached + timedelta(minutes=5))
    defaults = {
        "cache_key": f"coingecko:fetch:coin{next(_numbers)}:3mo",
        "data_type": "crypto",
        "api_source": "coingecko",
        "response_data": "[1,2]",
        "stale_until": expires + timedelta(hours=1),
    }
    row = defaults | values
    return ApiCacheEntry.objects.create(**{"size_bytes": len(row["response_data"].encode())} | row)


def make_cache_rule(**values: Any) -> CacheRule:
    defaults = {"data_type": f"type {next(_numbers)}", "ttl_seconds": 300, "stale_seconds": 3600}
    return CacheRule.objects.create(**defaults | values)


def make_cache_invalidation(**values: Any) -> CacheInvalidation:
    defaults = {
        "kind": InvalidationKind.PATTERN,
        "pattern": "bitcoin",
        "reason": "A wrong answer",
        "invalidated_at": NOON + timedelta(seconds=next(_numbers)),
        "entries_affected": 3,
        "invalidated_by": "somebody",
    }
    return CacheInvalidation.objects.create(**defaults | values)


def make_cache_stats(**values: Any) -> CacheDailyStats:
    day = NOON.date() + timedelta(days=next(_numbers))
    return CacheDailyStats.objects.create(
        **{"date": day, "total_hits": 7, "total_misses": 3} | values
    )


def make_alert(**values: Any) -> Alert:
    """Make an alert and the open performance that is born with it."""
    number = next(_numbers)
    defaults = {
        "alert_id": f"alert-{number}",
        "symbol": "BTC/USD",
        # Close together, however many a whole run makes: a test may count on the day.
        "timestamp": NOON + timedelta(seconds=number),
        "strategy": "breakout",
        "timeframe": "1h",
        "entry_price": Decimal(100),
    }
    alert = Alert.objects.create(**defaults | values)
    AlertPerformance.objects.create(
        alert=alert, symbol=alert.symbol, next_checkpoint_at=alert.timestamp
    )
    return alert


def make_tracked_price(**values: Any) -> TrackedPrice:
    alert = values.pop("alert", None) or make_alert()
    hours = values.pop("time_elapsed_hours", 1)
    moment = alert.timestamp + timedelta(hours=hours)
    defaults = {
        "symbol": alert.symbol,
        "timestamp": moment,
        "status": CheckpointStatus.KNOWN,
        "price": Decimal(101),
        "percentage_change": Decimal(1),
        "candle_timestamp": moment - timedelta(minutes=5),
    }
    return TrackedPrice.objects.create(alert=alert, time_elapsed_hours=hours, **defaults | values)


def make_performance(**values: Any) -> AlertPerformance:
    performance = make_alert().performance
    for name, value in values.items():
        setattr(performance, name, value)
    performance.save()
    return performance


def make_key(**values: Any) -> IssuedKey:
    """Make a key with every scope; its text is in the answer."""
    defaults = {"client": f"client {next(_numbers)}", "scopes": known_scopes(), "now": NOON}
    far = {"expires_at": datetime(2100, 1, 1, tzinfo=UTC)}
    return create_key(**defaults | far | values)


def make_idempotency_record(**values: Any) -> IdempotencyRecord:
    number = next(_numbers)
    defaults = {
        "owner": "key:1",
        "key": f"attempt-{number}",
        "fingerprint": "0" * 64,
        "status": 201,
        "body": b"{}",
    }
    return IdempotencyRecord.objects.create(**defaults | values)


def make_api_key(**values: Any) -> ApiKey:
    return make_key(**values).key


def entry(model: type[LogEntry], defaults: dict[str, Any], values: dict[str, Any]) -> Any:
    """Make an entry; now, as lists show the last day."""
    usual = {"timestamp": datetime.now(UTC), "correlation_id": f"cause-{next(_numbers)}"}
    return model.objects.create(**usual | defaults | values)


def make_system_log(**values: Any) -> SystemLog:
    defaults = {"level": "WARNING", "logger_name": "bots.grid", "message": "Order BTC/USD is late"}
    return entry(SystemLog, defaults, values)


def make_trading_event(**values: Any) -> TradingEvent:
    defaults = {"event_type": "order_filled", "symbol": "BTC/USD", "price": Decimal(100)}
    return entry(TradingEvent, defaults, values)


def make_performance_log(**values: Any) -> PerformanceLog:
    defaults = {"operation_name": "get_features", "duration_ms": Decimal("12.5")}
    return entry(PerformanceLog, defaults | {"component": "pipeline"}, values)


def make_error_log(**values: Any) -> ErrorLog:
    defaults = {"error_type": "ValueError", "error_message": "no price", "component": "bots.grid"}
    return entry(ErrorLog, defaults | {"fingerprint": f"{next(_numbers):032x}"}, values)


def make_user_action_log(**values: Any) -> UserActionLog:
    defaults = {"action_type": "api_call", "user_id": "grid bot", "ip_address": "192.0.2.7"}
    request = {"request_method": "GET", "request_path": "/api/v1/", "response_status": 200}
    return entry(UserActionLog, defaults | request | {"duration_ms": Decimal("3.5")}, values)


def make_activity(**values: Any) -> RecentActivity:
    """Make a log line and return it as the view has it."""
    return RecentActivity.objects.get(pk=make_system_log(**values).pk)


def make_error_group(**values: Any) -> ErrorGroup:
    number = next(_numbers)
    defaults = {
        "fingerprint": f"{number:08x}" * 4,
        "error_type": "ValueError",
        "culprit": "apps/bots/grid.py in close",
        "message": "no price",
        "count": 3,
        "first_seen": datetime.now(UTC) - timedelta(hours=2),
        "last_seen": datetime.now(UTC),
    }
    return ErrorGroup.objects.create(**defaults | values)


def make_notification(**values: Any) -> Notification:
    defaults = {"what": "feed_unhealthy", "subject": f"Feed {next(_numbers)} fails"}
    return Notification.objects.create(**defaults | values)


def make_execution(**values: Any) -> Execution:
    """Make a running one unless told otherwise; its times fit its status."""
    status = values.get("status", ExecutionStatus.RUNNING)
    defaults: dict[str, Any] = {
        "execution_id": f"nightly-{next(_numbers)}",
        "execution_type": "NIGHTLY",
        "symbol": "BTC/USD",
        "status": status,
    }
    if status != ExecutionStatus.PENDING:
        began = values.get("timestamp_start") or datetime.now(UTC) - timedelta(minutes=1)
        defaults |= {"timestamp_start": began, "heartbeat_at": datetime.now(UTC)}
        defaults |= {"progressed_at": began}
    if status in FINAL:
        defaults["timestamp_end"] = datetime.now(UTC)
    return Execution.objects.create(**defaults | values)


def make_step(**values: Any) -> ExecutionStep:
    status = values.get("status", StepStatus.RUNNING)
    execution = values.pop("execution", None) or make_execution()
    defaults: dict[str, Any] = {"step_name": f"step {next(_numbers)}", "status": status}
    if status != StepStatus.PENDING:
        defaults["timestamp_start"] = datetime.now(UTC) - timedelta(seconds=30)
    if status in STEP_FINAL:
        defaults["timestamp_end"] = datetime.now(UTC)
    return ExecutionStep.objects.create(execution=execution, **defaults | values)


def make_watch(**values: Any) -> Watch:
    now = datetime.now(UTC)
    defaults = {"name": f"watch {next(_numbers)}", "looked_at": now, "awake_since": now}
    return Watch.objects.create(**defaults | values)


def make_strategy_configuration(**values: Any) -> StrategyConfiguration:
    defaults = {
        "name": f"Careful {next(_numbers)}",
        "base_strategy": "Balanced",
        "timeframe": Granularity.H1,
        "parameters": {
            "risk_multiplier": 1.0,
            "confidence_threshold": 0.6,
            "max_leverage": 10,
            "stop_loss_threshold": 0.05,
            "take_profit_threshold": 0.1,
        },
    }
    return StrategyConfiguration.objects.create(**defaults | values)


def make_analysis(**values: Any) -> Analysis:
    execution = values.pop("execution", None) or make_execution()
    defaults = {
        "symbol": "BTC/USD",
        "timeframe": "1h",
        "config": f"Balanced {next(_numbers)}",
        "generated_at": datetime.now(UTC),
        "status": AnalysisStatus.COMPLETED,
        "origin": Origin.REPORTED,
        "sharpe_ratio": 1.25,
        "win_rate": 0.5,
        "max_drawdown": -0.1,
        "total_return": 0.2,
        "total_trades": 12,
    }
    return Analysis.objects.create(execution=execution, **defaults | values)


def make_metric(**values: Any) -> BacktestMetric:
    analysis = values.pop("analysis", None) or make_analysis()
    defaults = {"metric_name": f"custom_{next(_numbers)}", "reported_value": 1.5}
    return BacktestMetric.objects.create(analysis=analysis, **defaults | values)


def make_leverage_calculation(**values: Any) -> LeverageCalculation:
    analysis = values.pop("analysis", None) or make_analysis()
    defaults = {
        "trade_number": next(_numbers),
        "support_constraint_leverage": Decimal(8),
        "min_constraint_leverage": Decimal(8),
        "final_leverage": Decimal(7),
        "binding_constraint": "support",
        "calculation_timestamp": datetime.now(UTC),
    }
    return LeverageCalculation.objects.create(analysis=analysis, **defaults | values)


def make_backtest_result(**values: Any) -> BacktestResult:
    defaults = {
        "backtest_id": f"walk-forward-{next(_numbers)}",
        "timestamp": datetime.now(UTC),
        "sharpe_ratio": 1.1,
        "total_trades": 8,
    }
    return BacktestResult.objects.create(**defaults | values)


def make_signal_performance(**values: Any) -> SignalPerformance:
    backtest = values.pop("backtest", None) or make_backtest_result()
    defaults = {
        "signal_name": f"rsi_{next(_numbers)}",
        "timestamp": datetime.now(UTC),
        "mean_return": 0.01,
        "activation_count": 5,
    }
    return SignalPerformance.objects.create(backtest=backtest, **defaults | values)


def make_ml_model(**values: Any) -> MLModel:
    number = next(_numbers)
    defaults = {
        "model_id": f"lstm_v{number}",
        "name": "lstm",
        "version": f"{number}.0",
        "model_type": "LSTM",
        "status": ModelStatus.ACTIVE,
    }
    return MLModel.objects.create(**defaults | values)


def make_model_status_change(**values: Any) -> ModelStatusChange:
    model = values.pop("model", None) or make_ml_model()
    defaults = {"status": ModelStatus.ACTIVE, "since": datetime.now(UTC)}
    return ModelStatusChange.objects.create(model=model, **defaults | values)


def make_prediction(**values: Any) -> Prediction:
    """Make a prediction and the open outcome that is born with it."""
    number = next(_numbers)
    model = values.pop("model", None) or make_ml_model()
    defaults = {
        "prediction_id": f"prediction-{number}",
        "symbol": "BTC/USD",
        "timestamp": NOON + timedelta(seconds=number),
        "prediction_type": "price_direction",
        "prediction_value": Decimal(1),
        "confidence": Decimal("0.7"),
    }
    prediction = Prediction.objects.create(model=model, **defaults | values)
    ModelOutcome.objects.create(
        prediction=prediction,
        model_version=model.model_id,
        symbol=prediction.symbol,
        moment=prediction.timestamp,
        horizon_hours=prediction.horizon_hours or 24,
        direction=prediction.direction or "long",
        confidence=prediction.confidence,
        due_at=prediction.timestamp,
    )
    return prediction


def make_model_signal(**values: Any) -> ModelSignal:
    """Make a signal and the open outcome that is born with it."""
    number = next(_numbers)
    defaults = {
        "signal_id": f"signal-{number}",
        "symbol": "BTC/USD",
        "signal": "buy",
        "timestamp": NOON + timedelta(seconds=number),
        "confidence": Decimal("0.6"),
        "model_version": "v1.0",
    }
    signal = ModelSignal.objects.create(**defaults | values)
    ModelOutcome.objects.create(
        signal=signal,
        model_version=signal.model_version,
        symbol=signal.symbol,
        moment=signal.timestamp,
        horizon_hours=signal.horizon_hours or 24,
        direction="long",
        confidence=signal.confidence,
        due_at=signal.timestamp,
    )
    return signal


def make_model_outcome(**values: Any) -> ModelOutcome:
    outcome = make_prediction().outcome
    for name, value in values.items():
        setattr(outcome, name, value)
    if outcome.status == OutcomeStatus.SETTLED and outcome.settled_at is None:
        outcome.settled_at = datetime.now(UTC)
    outcome.save()
    return outcome


def make_feature_importance(**values: Any) -> FeatureImportance:
    defaults = {
        "feature_name": f"rsi_{next(_numbers)}",
        "importance_score": 0.25,
        "timestamp": datetime.now(UTC),
        "model_version": "v1.0",
        "category": FeatureCategory.TECHNICAL,
    }
    return FeatureImportance.objects.create(**defaults | values)


def make_bot(**values: Any) -> BotInstance:
    """Make a live bot with a capital of 10,000 USD that was never heard of."""
    defaults = {
        "id": f"bot-{next(_numbers)}",
        "type": "live",
        "symbol": "BTC/USD",
        "quote_currency": "USD",
        "initial_balance": Decimal(10_000),
    }
    return BotInstance.objects.create(**defaults | values)


def make_bot_state(**values: Any) -> BotState:
    defaults = {"key": f"state-{next(_numbers)}", "value": {"cycle_count": 3}}
    return BotState.objects.create(**defaults | values)


def make_trade(**values: Any) -> Trade:
    """Make an open trade: 0.1 BTC bought for 50,000; with ``closed=True`` it went well."""
    bot = values.pop("bot", None) or make_bot()
    closed = values.pop("closed", False)
    number = next(_numbers)
    defaults = {
        "trade_type": bot.type,
        "symbol": "BTC/USD",
        "interval": "1h",
        "quote_currency": "USD",
        "direction": "long",
        "size": Decimal("0.1"),
        "original_position_size": Decimal("0.1"),
        "remaining_position_size": Decimal("0.1"),
        "entry_time": NOON + timedelta(seconds=number),
        "entry_price": Decimal(50_000),
        "entry_value": Decimal(5_000),
        "entry_commission": Decimal(5),
        "commission_rate": Decimal("0.001"),
    }
    if closed:
        defaults |= {
            "status": TradeStatus.CLOSED,
            "remaining_position_size": Decimal(0),
            "exit_time": NOON + timedelta(hours=1, seconds=number),
            "exit_price": Decimal(51_000),
            "exit_value": Decimal(5_100),
            "exit_commission": Decimal("5.1"),
            "commission": Decimal("10.1"),
            "gross_pnl": Decimal(100),
            "net_pnl": Decimal("89.9"),
            "pnl_percentage": Decimal("1.798"),
            "exit_reason": "take_profit",
        }
    return Trade.objects.create(bot=bot, **defaults | values)


def make_order(**values: Any) -> Order:
    defaults = {
        "order_id": f"order-{next(_numbers)}",
        "trade_type": "live",
        "symbol": "BTC/USD",
        "side": "buy",
        "quantity": Decimal(1),
        "order_type": "limit",
        "price": Decimal(50_000),
    }
    return Order.objects.create(**defaults | values)


def make_fill(**values: Any) -> Fill:
    order = values.pop("order", None) or make_order()
    number = next(_numbers)
    defaults = {
        "fill_id": f"fill-{number}",
        "symbol": order.symbol,
        "quantity": Decimal("0.5"),
        "price": Decimal(50_000),
        "commission": Decimal(25),
        "commission_currency": "USD",
        "timestamp": NOON + timedelta(seconds=number),
    }
    return Fill.objects.create(order=order, **defaults | values)


def make_position(**values: Any) -> Position:
    defaults = {
        "lot_id": f"lot-{next(_numbers)}",
        "type": "live",
        "symbol": "BTC/USD",
        "quote_currency": "USD",
        "total_size": Decimal(2),
        "available_size": Decimal(2),
        "avg_buy_price": Decimal(40_000),
        "opened_at": NOON,
    }
    return Position.objects.create(**defaults | values)


def make_lot_trade(**values: Any) -> LotTrade:
    lot = values.pop("lot", None) or make_position()
    number = next(_numbers)
    defaults = {
        "id": f"booking-{number}",
        "booking": f"booking-{number}",
        "type": lot.type,
        "symbol": lot.symbol,
        "trade_type": "buy",
        "price": Decimal(40_000),
        "size": Decimal(2),
        "timestamp": NOON + timedelta(seconds=number),
    }
    return LotTrade.objects.create(lot=lot, **defaults | values)


def make_limit(**values: Any) -> TradingLimit:
    defaults = {
        "id": f"limit-{next(_numbers)}",
        "limit_type": "stop_loss",
        "type": "live",
        "symbol": "BTC/USD",
        "price": Decimal(45_000),
        "currency": "USD",
    }
    return TradingLimit.objects.create(**defaults | values)


def make_paper_portfolio(**values: Any) -> PaperPortfolio:
    return PaperPortfolio.objects.create(**{"name": f"paper-{next(_numbers)}"} | values)


def make_paper_trade(**values: Any) -> PaperTrade:
    portfolio = values.pop("portfolio", None) or make_paper_portfolio()
    number = next(_numbers)
    defaults = {
        "id": f"paper-trade-{number}",
        "timestamp": NOON + timedelta(seconds=number),
        "trade_type": "buy",
        "price": Decimal(50_000),
        "market_price": Decimal(50_000),
        "amount": Decimal("0.01"),
        "value": Decimal(500),
    }
    return PaperTrade.objects.create(portfolio=portfolio, **defaults | values)


def make_paper_performance(**values: Any) -> PaperPerformance:
    portfolio = values.pop("portfolio", None) or make_paper_portfolio()
    defaults = {
        "timestamp": NOON + timedelta(minutes=15 * next(_numbers)),
        "total_value": Decimal(10_050),
        "total_pnl": Decimal(50),
    }
    return PaperPerformance.objects.create(portfolio=portfolio, **defaults | values)


def make_bot_performance(**values: Any) -> BotPerformance:
    bot = values.pop("bot", None) or make_bot()
    defaults = {
        "trade_type": bot.type,
        "quote_currency": bot.quote_currency,
        "origin": PerformanceOrigin.COMPUTED,
        "calculated_at": NOON + timedelta(minutes=15 * next(_numbers)),
        "total_trades": 3,
        "winning_trades": 2,
        "losing_trades": 1,
        "win_rate": 66.7,
        "net_pnl": Decimal(120),
        "equity": Decimal(10_120),
    }
    return BotPerformance.objects.create(bot=bot, **defaults | values)


def make_carried_result(**values: Any) -> CarriedResult:
    """Make what three archived trades of a paper bot came to."""
    bot = values.pop("bot", None) or make_bot(type="paper")
    defaults = {
        "trade_type": bot.type,
        "symbol": "BTC/USD",
        "quote_currency": bot.quote_currency,
        "trades": 3,
        "winning": 1,
        "losing": 2,
        "net_pnl": Decimal("-12.3"),
        "commission": Decimal("1.5"),
        "last_exit": NOON - timedelta(days=100),
    }
    return CarriedResult.objects.create(bot=bot, **defaults | values)


def make_departed_trade(**values: Any) -> DepartedTrade:
    return DepartedTrade.objects.create(**{"id": uuid.uuid4()} | values)


def make_agent(**values: Any) -> TradingAgent:
    """Make an agent of pretended money: 10,000 US dollars, six coins."""
    defaults = {
        "name": f"Agent {next(_numbers)}",
        "llm_model": "deepseek-chat",
        "provider": "deepseek",
        "mode": AgentMode.PAPER,
        "initial_balance": Decimal(10_000),
    }
    return TradingAgent.objects.create(**defaults | values)


def make_llm_price(**values: Any) -> LLMPrice:
    defaults = {
        "provider": "deepseek",
        "model": f"model-{next(_numbers)}",
        "valid_from": NOON,
        "input_per_million": Decimal("0.27"),
        "output_per_million": Decimal("1.10"),
    }
    return LLMPrice.objects.create(**defaults | values)


def make_llm_call(**values: Any) -> LLMCall:
    agent = values.pop("agent", None) or make_agent()
    number = next(_numbers)
    defaults = {
        "id": uuid.uuid4(),
        "timestamp": NOON + timedelta(seconds=number),
        "cycle": number,
        "status": CallStatus.ANSWERED,
        "provider": agent.provider,
        "model": agent.llm_model,
        "prompt_version": "v1",
        "prompt": f"The market as it stands, {number}.",
        "answer": f"I hold everything, {number}.",
        "tokens_in": 4_000,
        "tokens_out": 500,
        "cost": Decimal("0.00163"),
        "cost_source": "table",
        "latency_ms": 1_500,
        "content_hash": f"{number:064x}",
    }
    return LLMCall.objects.create(agent=agent, **defaults | values)


def make_agent_decision(**values: Any) -> AgentDecision:
    """Make an accepted long of 2,000 US dollars in Bitcoin; of a call where one is given."""
    call = values.get("call")
    agent = values.pop("agent", None) or (call.agent if call else make_agent())
    number = next(_numbers)
    defaults = {
        "timestamp": call.timestamp if call else NOON + timedelta(seconds=number),
        "status": DecisionStatus.SUCCESS,
        "action": Action.OPEN_LONG,
        "coin": "BTC",
        "symbol": "BTC/USD",
        "direction": "long",
        "size_usd": Decimal(2_000),
        "leverage": Decimal(5),
        "stop_loss_price": Decimal(49_000),
        "take_profit_price": Decimal(53_000),
        "confidence": Decimal("0.8"),
        "entry_price": Decimal(50_000),
        "account_value": Decimal(10_000),
        "withdrawable": Decimal(10_000),
        "reasoning": f"The trend is up on both frames, {number}.",
        "prompt_version": call.prompt_version if call else "",
        "content_hash": f"{number:064x}",
    }
    return AgentDecision.objects.create(agent=agent, **defaults | values)


def make_decision_outcome(**values: Any) -> DecisionOutcome:
    """Make what became of a decision: open; with ``settled=True`` it gained two percent."""
    decision = values.pop("decision", None) or make_agent_decision()
    settled = values.pop("settled", False)
    defaults = {
        "agent": decision.agent,
        "symbol": decision.symbol,
        "moment": decision.timestamp,
        "action": decision.action,
        "direction": decision.direction,
        "confidence": decision.confidence,
        "is_accepted": decision.status == DecisionStatus.SUCCESS,
        "prompt_version": decision.prompt_version,
        "target": decision.take_profit_price,
        "stop": decision.stop_loss_price,
        "due_at": decision.timestamp,
    }
    if settled:
        defaults |= {
            "status": DecisionOutcomeStatus.SETTLED,
            "source": "test",
            "granularity": Granularity.M5,
            "entry_price": Decimal(50_000),
            "price_1h": Decimal(50_250),
            "price_4h": Decimal(50_500),
            "price_24h": Decimal(51_000),
            "change_1h": Decimal("0.5"),
            "change_4h": Decimal(1),
            "change_24h": Decimal(2),
            "max_gain": Decimal(3),
            "max_loss": Decimal(-1),
            "first_touch": "none",
            "is_hit": True,
            "due_at": None,
            "settled_at": decision.timestamp + timedelta(days=1),
        }
    return DecisionOutcome.objects.create(decision=decision, **defaults | values)


def make_agent_trade(**values: Any) -> AgentTrade:
    """Make an open long of 0.04 Bitcoin; with ``closed=True`` it went well."""
    agent = values.pop("agent", None) or make_agent()
    closed = values.pop("closed", False)
    number = next(_numbers)
    defaults = {
        "coin": "BTC",
        "symbol": "BTC/USD",
        "side": "long",
        "size": Decimal("0.04"),
        "leverage": Decimal(5),
        "entry_price": Decimal(50_000),
        "entry_time": NOON + timedelta(seconds=number),
        "entry_fees": Decimal(1),
        "fees": Decimal(1),
        "liquidation_price": Decimal(40_000),
    }
    if closed:
        defaults |= {
            "status": AgentTradeStatus.CLOSED,
            "exit_price": Decimal(51_000),
            "exit_time": NOON + timedelta(hours=1, seconds=number),
            "exit_fees": Decimal(1),
            "fees": Decimal(2),
            "gross_pnl": Decimal(40),
            "realized_pnl": Decimal(38),
            "exit_reason": "target",
        }
    return AgentTrade.objects.create(agent=agent, **defaults | values)


def make_agent_performance(**values: Any) -> AgentPerformance:
    agent = values.pop("agent", None) or make_agent()
    defaults = {
        "snapshot_time": NOON + next(_numbers) * timedelta(minutes=15),
        "total_value": Decimal(10_450),
        "cash_balance": Decimal(10_400),
        "position_value": Decimal(50),
        "realized_pnl": Decimal(400),
        "unrealized_pnl": Decimal(50),
        "total_pnl": Decimal(450),
        "roi_percent": Decimal("4.5"),
        "num_trades": 3,
        "num_winning_trades": 2,
        "num_losing_trades": 1,
        "win_rate": Decimal("66.66666667"),
        "avg_win": Decimal(250),
        "avg_loss": Decimal(-100),
        "profit_factor": 5.0,
        "max_drawdown": Decimal(100),
        "max_drawdown_percent": Decimal("0.97087379"),
        "fees": Decimal(6),
        "model_cost": Decimal("0.5"),
        "peak_value": Decimal(10_450),
        "reasons": {"sharpe_ratio": "Returns of at least two days are needed."},
    }
    return AgentPerformance.objects.create(agent=agent, **defaults | values)


def make_agent_standing(**values: Any) -> AgentStanding:
    agent = values.pop("agent", None) or make_agent()
    defaults = {
        "period": Period.ALL,
        "computed_at": NOON + timedelta(seconds=next(_numbers)),
        "began_at": NOON - timedelta(days=30),
        "days": Decimal(30),
        "rank": 1,
        "rank_low": 1,
        "rank_high": 2,
        "verdict": Verdict.BETTER,
        "verdict_reason": "The whole interval of its return lies above zero.",
        "net_return": Decimal("4.2"),
        "return_low": Decimal("1.1"),
        "return_high": Decimal("7.9"),
        "net_pnl": Decimal(450),
        "model_cost": Decimal(30),
        "max_drawdown_percent": Decimal("2.5"),
        "sharpe_ratio": 1.4,
        "trades": 40,
        "winning_trades": 26,
        "calls": 1_000,
        "decisions": 6_000,
        "accepted": 5_700,
        "rejected": 200,
        "failed": 40,
        "unreadable": 60,
        "holds": 5_500,
        "model_share": Decimal("0.95"),
        "model_share_low": Decimal("0.944"),
        "model_share_high": Decimal("0.955"),
        "cost_per_decision": Decimal("0.005"),
        "judged": 100,
        "hits": 60,
        "hit_rate": Decimal("0.6"),
        "brier": 0.21,
        "hold_return": Decimal("3.1"),
        "equal_return": Decimal("2.7"),
    }
    return AgentStanding.objects.create(agent=agent, **defaults | values)


def make_onchain_metric(**values: Any) -> OnchainMetric:
    defaults = {
        "symbol": "BTC/USD",
        "source": "glassnode",
        "timestamp": NOON + timedelta(hours=next(_numbers)),
        "metric_name": "hash_rate",
        "metric_value": 6.2e20,
    }
    return OnchainMetric.objects.create(**defaults | values)


def make_sentiment_score(**values: Any) -> SentimentScore:
    defaults = {
        "symbol": "BTC/USD",
        "source": "fear_greed",
        "timestamp": NOON + timedelta(hours=next(_numbers)),
        "sentiment_score": 61.0,
    }
    return SentimentScore.objects.create(**defaults | values)


def make_market_regime(**values: Any) -> MarketRegime:
    defaults = {
        "symbol": "BTC/USD",
        "source": "regime model",
        "timestamp": NOON + timedelta(days=next(_numbers)),
        "regime_type": RegimeType.LOW_RANGING,
        "volatility_regime": VolatilityRegime.NORMAL,
        "dominant_trend": DominantTrend.MIXED,
        "indicators_json": {"vol_30d": 0.41},
    }
    return MarketRegime.objects.create(**defaults | values)


def make_policy(**values: Any) -> RetentionPolicy:
    """Make a policy of a dataset that no app declares, unless told which."""
    defaults = {
        "dataset": f"dataset_{next(_numbers)}",
        "age_days": 90,
        "time_column": "created_at",
    }
    return RetentionPolicy.objects.create(**defaults | values)


def make_policy_change(**values: Any) -> PolicyChange:
    policy = values.pop("policy", None) or make_policy()
    defaults = {
        "changed_at": NOON,
        "changed_by": "someone",
        "before": {"age_days": 90},
        "after": {"age_days": 30},
    }
    return PolicyChange.objects.create(policy=policy, **defaults | values)


def make_archive(**values: Any) -> Archive:
    """Make one whose rows have left; there are no files of it."""
    number = next(_numbers)
    defaults: dict[str, Any] = {
        "path": f"trades/2026-03-02/{number:04}",
        "dataset": "trades",
        "status": ArchiveStatus.KEPT,
        "part": 1,
        "sha256": f"{number:064x}",
        "schema_version": "0" * 16,
        "rows": 12,
        "roots": 4,
        "bytes": 20_480,
        "first_time": NOON - timedelta(days=300),
        "last_time": NOON - timedelta(days=200),
        "cutoff": NOON - timedelta(days=90),
        "left_rows": 12,
        "emptied_at": NOON,
    }
    return Archive.objects.create(**defaults | values)


MAKERS = {
    "access.ApiKey": make_api_key,
    "access.IdempotencyRecord": make_idempotency_record,
    "agents.AgentDecision": make_agent_decision,
    "agents.AgentPerformance": make_agent_performance,
    "agents.AgentStanding": make_agent_standing,
    "agents.AgentTrade": make_agent_trade,
    "agents.DecisionOutcome": make_decision_outcome,
    "agents.LLMCall": make_llm_call,
    "agents.LLMPrice": make_llm_price,
    "agents.TradingAgent": make_agent,
    "alerts.Alert": make_alert,
    "alerts.AlertPerformance": make_performance,
    "alerts.TrackedPrice": make_tracked_price,
    "analysis.Analysis": make_analysis,
    "analysis.BacktestMetric": make_metric,
    "analysis.BacktestResult": make_backtest_result,
    "analysis.FeatureImportance": make_feature_importance,
    "analysis.LeverageCalculation": make_leverage_calculation,
    "analysis.MLModel": make_ml_model,
    "analysis.ModelOutcome": make_model_outcome,
    "analysis.ModelSignal": make_model_signal,
    "analysis.ModelStatusChange": make_model_status_change,
    "analysis.Prediction": make_prediction,
    "analysis.SignalPerformance": make_signal_performance,
    "analysis.StrategyConfiguration": make_strategy_configuration,
    "bots.BotInstance": make_bot,
    "bots.BotPerformance": make_bot_performance,
    "bots.BotState": make_bot_state,
    "bots.CarriedResult": make_carried_result,
    "bots.DepartedTrade": make_departed_trade,
    "bots.Fill": make_fill,
    "bots.LotTrade": make_lot_trade,
    "bots.Order": make_order,
    "bots.PaperPerformance": make_paper_performance,
    "bots.PaperPortfolio": make_paper_portfolio,
    "bots.PaperTrade": make_paper_trade,
    "bots.Position": make_position,
    "bots.Trade": make_trade,
    "bots.TradingLimit": make_limit,
    "executions.Execution": make_execution,
    "executions.ExecutionStep": make_step,
    "executions.Watch": make_watch,
    "logs.ErrorGroup": make_error_group,
    "logs.ErrorLog": make_error_log,
    "logs.Notification": make_notification,
    "logs.PerformanceLog": make_performance_log,
    "logs.RecentActivity": make_activity,
    "logs.SystemLog": make_system_log,
    "logs.TradingEvent": make_trading_event,
    "logs.UserActionLog": make_user_action_log,
    "market.ApiCacheEntry": make_cache_entry,
    "market.CacheDailyStats": make_cache_stats,
    "market.CacheInvalidation": make_cache_invalidation,
    "market.CacheRule": make_cache_rule,
    "market.Candle": make_candle,
    "market.CandleDay": make_candle_day,
    "market.CandleDefect": make_candle_defect,
    "market.CandleSeries": make_candle_series,
    "market.FeatureCoverage": make_feature_coverage,
    "market.FeatureSeries": make_feature_series,
    "market.FeatureVector": make_feature_vector,
    "market.FeatureVersion": make_feature_version,
    "market.Feed": make_feed,
    "market.Instrument": make_instrument,
    "market.MarketRegime": make_market_regime,
    "market.OnchainMetric": make_onchain_metric,
    "market.SentimentScore": make_sentiment_score,
    "retention.Archive": make_archive,
    "retention.PolicyChange": make_policy_change,
    "retention.RetentionPolicy": make_policy,
}
