"""Predictions, signals and candles as the tests of judging send them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from apps.analysis.models import ModelOutcome
from apps.analysis.services.claims import store_predictions, store_signals
from apps.market.choices import Granularity
from apps.market.models import Candle
from apps.shared.quant.outcomes import Bar
from tests.factories import make_ml_model

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIVE = timedelta(minutes=5)
LATER = NOON + timedelta(days=30)
MODEL = "lstm_v1"

_numbers = count(1)


@dataclass(slots=True)
class SentPrediction:
    """A prediction as a program sends it."""

    prediction_id: str = field(default_factory=lambda: f"prediction-{next(_numbers)}")
    model_id: str = MODEL
    symbol: str = "BTC/USD"
    timestamp: datetime = NOON
    prediction_type: str = "price_direction"
    prediction_value: Decimal = Decimal(1)
    confidence: Decimal | None = None
    confidence_pct: Decimal | None = None
    direction: str = ""
    horizon_hours: int | None = None
    features: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class SentSignal:
    """A model signal as a program sends it."""

    signal_id: str = field(default_factory=lambda: f"signal-{next(_numbers)}")
    symbol: str = "BTC/USD"
    signal: str = "buy"
    confidence: Decimal | None = None
    confidence_pct: Decimal | None = None
    price_prediction: Decimal | None = None
    timestamp: datetime = NOON
    model_version: str = "v1.0"
    horizon_hours: int | None = None
    analysis_data: Mapping[str, Any] = field(default_factory=dict)
    signal_weights: Mapping[str, Any] = field(default_factory=dict)
    comprehensive_signals: Mapping[str, Any] = field(default_factory=dict)


def prediction(**values: Any) -> SentPrediction:
    """Make a prediction; numbers may be given as text."""
    return SentPrediction(**exact(values))


def signal(**values: Any) -> SentSignal:
    """Make a signal; numbers may be given as text."""
    return SentSignal(**exact(values))


def exact(values: dict[str, Any]) -> dict[str, Any]:
    numbers = {"prediction_value", "confidence", "confidence_pct", "price_prediction"}
    return {
        name: Decimal(value) if name in numbers and isinstance(value, int | str) else value
        for name, value in values.items()
    }


def predicted(**values: Any) -> str:
    """Store a prediction and return its name."""
    row = prediction(**values)
    outcome = store_predictions([row], now=LATER)
    assert outcome.created == 1, outcome.results
    return row.prediction_id


def signaled(**values: Any) -> str:
    """Store a signal and return its name."""
    row = signal(**values)
    outcome = store_signals([row], now=LATER)
    assert outcome.created == 1, outcome.results
    return row.signal_id


def register(model_id: str = MODEL) -> None:
    make_ml_model(model_id=model_id)


def candle(start: datetime, close: Any, high: Any = None, low: Any = None, **values: Any) -> Candle:
    close = Decimal(close)
    prices = {
        "open": close,
        "close": close,
        "high": Decimal(high or close),
        "low": Decimal(low or close),
    }
    series = {"symbol": "BTC/USD", "source": "test", "granularity": Granularity.M5}
    return Candle(timestamp=start, volume=1, **series | prices | values)


def closing_at(end: datetime, close: Any, **values: Any) -> Candle:
    """Make a candle by its end, when its close is known."""
    width = Granularity(values.get("granularity", Granularity.M5)).width
    return candle(end - width, close, **values)


def store(*candles: Candle) -> None:
    Candle.objects.bulk_create(candles)


def bars_of(candles: Sequence[Candle]) -> list[Bar]:
    return [Bar(each.timestamp, each.high, each.low, each.close) for each in candles]


def outcome_of(name: str) -> ModelOutcome:
    found = ModelOutcome.objects.filter(prediction_id=name) | ModelOutcome.objects.filter(
        signal_id=name
    )
    return found.get()
