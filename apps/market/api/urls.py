"""Addresses below ``/api/v1/market/``."""

from apps.market.api import views
from apps.shared.api.routers import Router

router = Router()
router.register("instruments", views.InstrumentViewSet)
router.register("candles", views.CandleViewSet)
router.register("feeds", views.FeedViewSet)

urlpatterns = router.urls
