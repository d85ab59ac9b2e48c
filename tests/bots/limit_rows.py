"""Limits and prices as the tests of limits and of paper trading need them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from apps.bots.models import TradingLimit
from apps.market.choices import Granularity
from apps.market.models import Candle
from tests.factories import make_candle, make_limit

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def limit(since: datetime = NOON, **values: Any) -> TradingLimit:
    """Make a limit that was set at ``since``."""
    made = make_limit(**values)
    TradingLimit.objects.filter(pk=made.pk).update(created_at=since, updated_at=since)
    return made


def operators(kind: str, threshold: Any, since: datetime = NOON, **values: Any) -> TradingLimit:
    """Make a limit of the operator's over everything live in USD."""
    usual = {"symbol": "", "price": None, "currency": "USD"}
    return limit(since, limit_type=kind, threshold=Decimal(threshold), **usual | values)


def bar(start: datetime, *prices: Any, **values: Any) -> Candle:
    """Make a candle of a minute: open, high, low, close, or one price for all."""
    names = ["open", "high", "low", "close"]
    four = prices if len(prices) == 4 else prices * 4
    figures = dict(zip(names, map(Decimal, four), strict=True))
    usual = {"granularity": Granularity.M1, "timestamp": start}
    return make_candle(**usual | figures | values)
