"""Bots as they describe themselves, and heartbeats at chosen times."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from apps.bots.models import BotInstance
from apps.bots.services.heartbeats import BeatReport, Instruction, beat
from apps.logs.models import Notification
from tests.factories import make_bot

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

_numbers = count(1)


@dataclass(slots=True)
class Described:
    """A bot as a program describes it."""

    id: str = field(default_factory=lambda: f"described-{next(_numbers)}")
    type: str = "paper"
    config_file: str = "btc.json"
    config: dict[str, Any] = field(default_factory=dict)
    strategy_name: str = "macd"
    symbol: str = "BTC/USD"
    quote_currency: str = ""
    initial_balance: Decimal | None = Decimal(1000)
    heartbeat_interval_seconds: int = 60
    candle_interval_seconds: int | None = None
    version: str = "1.0"
    extra_metadata: dict[str, Any] = field(default_factory=dict)


def living(heard: datetime = NOON, **values: Any) -> str:
    """Make a running bot that was heard of at a moment; return its name."""
    defaults = {
        "status": "running",
        "last_heartbeat": heard,
        "beats": 7,
        "started_at": NOON - 24 * HOUR,
        "overdue_at": heard,
    }
    return str(make_bot(**defaults | values).pk)


def stored(bot_id: str) -> BotInstance:
    return BotInstance.objects.get(pk=bot_id)


def beats(bot_id: str, now: datetime = NOON, **report: Any) -> Instruction:
    return beat(bot_id=bot_id, report=BeatReport(**report), now=now)


def told() -> list[str]:
    """Return what staff were told, in its order."""
    return list(Notification.objects.order_by("id").values_list("what", flat=True))


def every_bit() -> list[str]:
    """Return all bots as text, with the places where they stand."""
    return [
        f"{bot.ctid} {sorted((k, str(v)) for k, v in vars(bot).items() if k[0] != '_')}"
        for bot in BotInstance.objects.raw(
            "SELECT *, ctid::text AS ctid FROM bot_instances ORDER BY id"
        )
    ]
