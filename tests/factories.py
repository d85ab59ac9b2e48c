"""One maker per model: a valid row, different at each call, any of it overridable."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from apps.access.models import ApiKey, IdempotencyRecord
from apps.access.scopes import known_scopes
from apps.access.services import IssuedKey, create_key
from apps.alerts.choices import CheckpointStatus
from apps.alerts.models import Alert, AlertPerformance, TrackedPrice
from apps.market.choices import Granularity
from apps.market.models import Candle, Feed, Instrument

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


MAKERS = {
    "access.ApiKey": make_api_key,
    "access.IdempotencyRecord": make_idempotency_record,
    "alerts.Alert": make_alert,
    "alerts.AlertPerformance": make_performance,
    "alerts.TrackedPrice": make_tracked_price,
    "market.Candle": make_candle,
    "market.Feed": make_feed,
    "market.Instrument": make_instrument,
}
