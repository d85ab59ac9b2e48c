"""Addresses of the alerts app."""

from django.urls import path

from apps.alerts.api import views
from apps.shared.api.routers import Router

router = Router()
router.register("alerts", views.AlertViewSet)
router.register("tracked-prices", views.TrackedPriceViewSet)
router.register("performance", views.AlertPerformanceViewSet)

urlpatterns = [*router.urls, path("scorecard/", views.ScorecardView.as_view(), name="scorecard")]
