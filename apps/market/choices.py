"""Closed vocabularies of the market app."""

from datetime import timedelta

from django.db.models import TextChoices


class AssetClass(TextChoices):
    CRYPTO = "crypto", "Crypto"
    EQUITY = "equity", "Equity"
    FOREX = "forex", "Forex"
    OTHER = "other", "Other"


class Granularity(TextChoices):
    """How long one candle lasts; the members stand from finest to coarsest."""

    M1 = "1m", "1 minute"
    M3 = "3m", "3 minutes"
    M5 = "5m", "5 minutes"
    M15 = "15m", "15 minutes"
    M30 = "30m", "30 minutes"
    H1 = "1h", "1 hour"
    H2 = "2h", "2 hours"
    H4 = "4h", "4 hours"
    H6 = "6h", "6 hours"
    H12 = "12h", "12 hours"
    D1 = "1d", "1 day"
    W1 = "1w", "1 week"

    @property
    def width(self) -> timedelta:
        """The length of one candle."""
        return WIDTHS[self]


WIDTHS = {
    Granularity.M1: timedelta(minutes=1),
    Granularity.M3: timedelta(minutes=3),
    Granularity.M5: timedelta(minutes=5),
    Granularity.M15: timedelta(minutes=15),
    Granularity.M30: timedelta(minutes=30),
    Granularity.H1: timedelta(hours=1),
    Granularity.H2: timedelta(hours=2),
    Granularity.H4: timedelta(hours=4),
    Granularity.H6: timedelta(hours=6),
    Granularity.H12: timedelta(hours=12),
    Granularity.D1: timedelta(days=1),
    Granularity.W1: timedelta(weeks=1),
}


class ProviderName(TextChoices):
    CCXT = "ccxt", "CCXT: a crypto exchange"
    ALPACA = "alpaca", "Alpaca: US equities"
    REPLAY = "replay", "Replay of stored candles"


class FeedState(TextChoices):
    IDLE = "idle", "Not fetched yet"
    OK = "ok", "Healthy"
    UNHEALTHY = "unhealthy", "Unhealthy"


class Freshness(TextChoices):
    """How a series of candles stands."""

    FRESH = "fresh", "Fresh"
    STALE = "stale", "Stale"
    ENDED = "ended", "History"


COLORS = {
    AssetClass.CRYPTO: "info",
    AssetClass.EQUITY: "success",
    AssetClass.FOREX: "warning",
    AssetClass.OTHER: "default",
    FeedState.IDLE: "default",
    FeedState.OK: "success",
    FeedState.UNHEALTHY: "danger",
    Freshness.FRESH: "success",
    Freshness.STALE: "danger",
    Freshness.ENDED: "default",
}
