"""Admin pages of the market: instruments, candles and their health, features, feeds, the cache."""

from apps.market.admin import (
    cache,
    candles,
    coverage,
    features,
    feeds,
    health,
    instruments,
    regimes,
    series,
)

__all__ = [
    "cache",
    "candles",
    "coverage",
    "features",
    "feeds",
    "health",
    "instruments",
    "regimes",
    "series",
]
