"""Addresses below ``/api/v1/bots/``."""

from apps.bots.api import (
    carried,
    instances,
    limits,
    lots,
    orders,
    paper,
    performance,
    states,
    trades,
)
from apps.shared.api.routers import Router

router = Router()
router.register("instances", instances.BotInstanceViewSet)
router.register("state", states.BotStateViewSet)
router.register("trades", trades.TradeViewSet)
router.register("orders", orders.OrderViewSet)
router.register("fills", orders.FillViewSet)
router.register("positions", lots.PositionViewSet)
router.register("lot-trades", lots.LotTradeViewSet)
router.register("limits", limits.LimitViewSet)
router.register("paper-portfolios", paper.PaperPortfolioViewSet)
router.register("paper-trades", paper.PaperTradeViewSet)
router.register("paper-performance", paper.PaperPerformanceViewSet)
router.register("performance", performance.BotPerformanceViewSet)
router.register("carried-results", carried.CarriedResultViewSet)

urlpatterns = router.urls
