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


MAKERS = {
    "access.ApiKey": make_api_key,
    "access.IdempotencyRecord": make_idempotency_record,
    "alerts.Alert": make_alert,
    "alerts.AlertPerformance": make_performance,
    "alerts.TrackedPrice": make_tracked_price,
    "logs.ErrorGroup": make_error_group,
    "logs.ErrorLog": make_error_log,
    "logs.Notification": make_notification,
    "logs.PerformanceLog": make_performance_log,
    "logs.RecentActivity": make_activity,
    "logs.SystemLog": make_system_log,
    "logs.TradingEvent": make_trading_event,
    "logs.UserActionLog": make_user_action_log,
    "market.Candle": make_candle,
    "market.Feed": make_feed,
    "market.Instrument": make_instrument,
}
