"""What of the market's tables may leave one day. Candles do not."""

from apps.market.models import ApiCacheEntry, CacheInvalidation, FeatureVector
from apps.market.services.features.retaining import retained
from apps.shared.retention.datasets import Dataset, register

register(
    Dataset(
        name="features",
        title="Features",
        about="What was computed of each candle; it can be built anew from the candles, which "
        "stay.",
        model=FeatureVector,
        times=("timestamp",),
        age_days=731,
        around=retained,
    ),
    Dataset(
        name="api_cache",
        title="Cached answers",
        about="Answers that are too old even to stand in for a failing source; they are also "
        "removed every five minutes.",
        model=ApiCacheEntry,
        times=("stale_until",),
        age_days=0,
        archive=False,
    ),
    Dataset(
        name="cache_invalidations",
        title="Cache invalidations",
        about="Who threw away cached answers before their time, and why.",
        model=CacheInvalidation,
        times=("invalidated_at",),
        age_days=90,
    ),
)
