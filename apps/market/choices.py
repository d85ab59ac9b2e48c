"""Closed vocabularies of the market app."""

from datetime import timedelta

from django.db.models import TextChoices


class AssetClass(TextChoices):
    CRYPTO = "crypto", "Crypto"
    EQUITY = "equity", "Equity"
    FOREX = "forex", "Forex"
    OTHER = "other", "Other"

    @property
    def zone(self) -> str:
        """The time zone of trading hours where an instrument names none."""
        return "America/New_York" if self is AssetClass.EQUITY else "UTC"


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


class DefectKind(TextChoices):
    """What can be wrong with the candles of a series."""

    GAP = "gap", "Gap"
    DUPLICATE = "duplicate", "Repeated candle"
    ZERO_VOLUME = "zero_volume", "Zero volume"
    OUTLIER = "outlier", "Outlier"
    SPREAD = "spread", "Sources differ"


class FeatureOrigin(TextChoices):
    """Who computes the features of a version."""

    COMPUTED = "computed", "Computed here"
    REPORTED = "reported", "Reported by a pipeline"


class RegimeType(TextChoices):
    """How a market moves: how much, and where to."""

    HIGH_BULL = "High Volatility Bull", "High Volatility Bull"
    HIGH_BEAR = "High Volatility Bear", "High Volatility Bear"
    HIGH_RANGING = "High Volatility Ranging", "High Volatility Ranging"
    LOW_BULL = "Low Volatility Bull", "Low Volatility Bull"
    LOW_BEAR = "Low Volatility Bear", "Low Volatility Bear"
    LOW_RANGING = "Low Volatility Ranging", "Low Volatility Ranging"
    UNKNOWN = "Unknown"


class VolatilityRegime(TextChoices):
    """Whether a market moves more than it used to."""

    EXPANDING = "Expanding"
    NORMAL = "Normal"
    CONTRACTING = "Contracting"
    UNKNOWN = "Unknown"


class DominantTrend(TextChoices):
    """What the averages of a market say together."""

    BULLISH = "Bullish"
    BEARISH = "Bearish"
    MIXED = "Mixed"
    INSUFFICIENT = "Insufficient data", "Insufficient data"
    UNKNOWN = "Unknown"


class ResponseFormat(TextChoices):
    """How a cached answer is written. Only JSON is ever read; the others are kept as text."""

    JSON = "json", "JSON"
    DATAFRAME = "dataframe", "Data frame (opaque)"
    PICKLE = "pickle", "Pickle (opaque)"


class InvalidationKind(TextChoices):
    """By what cached answers were thrown away."""

    PATTERN = "pattern", "Part of the key"
    TYPE = "type", "Type of data"
    SOURCE = "source", "Source"
    KEY = "key", "One key"
    ALL = "all", "Everything"


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
    DefectKind.GAP: "danger",
    DefectKind.DUPLICATE: "warning",
    DefectKind.ZERO_VOLUME: "default",
    DefectKind.OUTLIER: "danger",
    DefectKind.SPREAD: "warning",
    FeatureOrigin.COMPUTED: "success",
    FeatureOrigin.REPORTED: "info",
    RegimeType.HIGH_BULL: "success",
    RegimeType.HIGH_BEAR: "danger",
    RegimeType.HIGH_RANGING: "warning",
    RegimeType.LOW_BULL: "success",
    RegimeType.LOW_BEAR: "danger",
    RegimeType.LOW_RANGING: "info",
    RegimeType.UNKNOWN: "default",
    VolatilityRegime.EXPANDING: "warning",
    VolatilityRegime.NORMAL: "default",
    VolatilityRegime.CONTRACTING: "info",
    DominantTrend.BULLISH: "success",
    DominantTrend.BEARISH: "danger",
    DominantTrend.MIXED: "default",
    DominantTrend.INSUFFICIENT: "default",
    ResponseFormat.JSON: "success",
    ResponseFormat.DATAFRAME: "default",
    ResponseFormat.PICKLE: "default",
    InvalidationKind.PATTERN: "info",
    InvalidationKind.TYPE: "info",
    InvalidationKind.SOURCE: "info",
    InvalidationKind.KEY: "default",
    InvalidationKind.ALL: "warning",
}
