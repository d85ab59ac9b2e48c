"""Addresses below ``/api/v1/market/``."""

from apps.market.api import cache, features, health, regimes, series, views
from apps.shared.api.routers import Router

router = Router()
router.register("instruments", views.InstrumentViewSet)
router.register("candles", views.CandleViewSet)
router.register("feeds", views.FeedViewSet)
router.register("onchain-metrics", series.OnchainMetricViewSet)
router.register("sentiment-scores", series.SentimentScoreViewSet)
router.register("regimes", regimes.MarketRegimeViewSet)
router.register("features", features.FeatureVectorViewSet)
router.register("feature-versions", features.FeatureVersionViewSet)
router.register("feature-series", features.FeatureSeriesViewSet)
router.register("feature-coverage", features.FeatureCoverageViewSet)
router.register("candle-series", health.CandleSeriesViewSet)
router.register("candle-defects", health.CandleDefectViewSet)
router.register("candle-days", health.CandleDayViewSet)
router.register("api-cache", cache.ApiCacheEntryViewSet)
router.register("cache-rules", cache.CacheRuleViewSet)
router.register("cache-stats", cache.CacheDailyStatsViewSet)
router.register("cache-invalidations", cache.CacheInvalidationViewSet)

urlpatterns = router.urls
