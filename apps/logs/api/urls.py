"""Addresses below ``/api/v1/logs/``."""

from django.urls import path

from apps.logs.api import entries
from apps.logs.api.activity import ActivityViewSet, TraceView
from apps.logs.api.errors import ErrorGroupViewSet
from apps.logs.api.notifications import NotificationViewSet
from apps.logs.api.records import RecordsView
from apps.shared.api.routers import Router

router = Router()
router.register("system-logs", entries.SystemLogViewSet)
router.register("trading-events", entries.TradingEventViewSet)
router.register("performance-logs", entries.PerformanceLogViewSet)
router.register("error-logs", entries.ErrorLogViewSet)
router.register("user-action-logs", entries.UserActionLogViewSet)
router.register("activity", ActivityViewSet)
router.register("error-groups", ErrorGroupViewSet)
router.register("notifications", NotificationViewSet)

urlpatterns = [
    *router.urls,
    path("records/", RecordsView.as_view(), name="logs-records"),
    path("trace/<path:correlation_id>/", TraceView.as_view(), name="logs-trace"),
]
