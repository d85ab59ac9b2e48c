"""Tables of the market app, one module per subject."""

from apps.market.models.cache import ApiCacheEntry, CacheDailyStats, CacheInvalidation, CacheRule
from apps.market.models.candles import Candle
from apps.market.models.features import (
    FeatureCoverage,
    FeatureSeries,
    FeatureVector,
    FeatureVersion,
)
from apps.market.models.feeds import Feed
from apps.market.models.health import CandleDay, CandleDefect, CandleSeries
from apps.market.models.instruments import Instrument
from apps.market.models.regimes import MarketRegime
from apps.market.models.series import OnchainMetric, SentimentScore

__all__ = [
    "ApiCacheEntry",
    "CacheDailyStats",
    "CacheInvalidation",
    "CacheRule",
    "Candle",
    "CandleDay",
    "CandleDefect",
    "CandleSeries",
    "FeatureCoverage",
    "FeatureSeries",
    "FeatureVector",
    "FeatureVersion",
    "Feed",
    "Instrument",
    "MarketRegime",
    "OnchainMetric",
    "SentimentScore",
]
