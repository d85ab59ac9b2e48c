"""Alerts and candles as the tests of this app send them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from django.db import connection

from apps.alerts.models import AlertPerformance, TrackedPrice
from apps.alerts.services import raise_alerts, settle_alerts, track_due_prices
from apps.market.choices import Granularity
from apps.market.models import Candle
from apps.shared.quant.outcomes import Bar

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIVE = timedelta(minutes=5)
LATER = NOON + timedelta(days=30)

_numbers = count(1)


@dataclass(slots=True)
class Sent:
    """An alert as a program sends it."""

    alert_id: str = field(default_factory=lambda: f"alert-{next(_numbers)}")
    symbol: str = "BTC/USD"
    timestamp: datetime = NOON
    alert_type: str = "trading_opportunity"
    priority: str = "medium"
    direction: str = "long"
    leverage: Decimal | None = None
    confidence: Decimal | None = None
    confidence_pct: Decimal | None = None
    strategy: str = "breakout"
    timeframe: str = "1h"
    entry_price: Decimal | None = Decimal(100)
    target_price: Decimal | None = None
    stop_loss: Decimal | None = None
    extra_data: Mapping[str, Any] = field(default_factory=dict)


def sent(**values: Any) -> Sent:
    """Make an alert; prices may be given as text."""
    for name in ("entry_price", "target_price", "stop_loss", "confidence", "confidence_pct"):
        if isinstance(values.get(name), int | str):
            values[name] = Decimal(values[name])
    return Sent(**values)


def raised(**values: Any) -> str:
    """Store an alert and return its name."""
    row = sent(**values)
    outcome = raise_alerts([row], now=LATER)
    assert outcome.created == 1, outcome.results
    return row.alert_id


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
    """Store candles by COPY: tests store them by the thousand, which INSERT takes seconds for."""
    names = ("symbol", "source", "timestamp", "open", "high", "low", "close", "volume")
    statement = f"COPY candles (granularity, {', '.join(names)}) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for each in candles:
            values = [getattr(each, name) for name in names]
            copy.write_row([str(each.granularity), *values])


def bars_of(candles: Sequence[Candle]) -> list[Bar]:
    return [Bar(each.timestamp, each.high, each.low, each.close) for each in candles]


def tick(now: datetime = LATER) -> None:
    """Do what a worker does each minute."""
    track_due_prices(now=now)
    settle_alerts(now=now)


def performance(alert_id: str) -> AlertPerformance:
    return AlertPerformance.objects.select_related("alert").get(alert_id=alert_id)


def prices(alert_id: str) -> dict[int, Decimal | str]:
    """Return price or status by hours."""
    return {
        each.time_elapsed_hours: each.status if each.price is None else each.price
        for each in TrackedPrice.objects.filter(alert_id=alert_id).order_by("time_elapsed_hours")
    }


def changes(alert_id: str) -> list[Decimal | None]:
    found = TrackedPrice.objects.filter(alert_id=alert_id).order_by("time_elapsed_hours")
    return list(found.values_list("percentage_change", flat=True))
