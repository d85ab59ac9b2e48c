"""Every address of Blotter."""

from django.contrib import admin
from django.urls import include, path

from apps.access.api.docs import DocsView, SchemaView
from apps.shared.api.routers import root
from config import desk, health

APPS = ["agents", "alerts", "analysis", "bots", "executions", "logs", "market", "retention"]

urlpatterns = [
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("admin/desk/", desk.fragment, name="desk"),
    path("admin/logs/trace/", include("apps.logs.admin.urls")),
    path("admin/", admin.site.urls),
    path("api/v1/", include([root(APPS)])),
    path("api/v1/schema/", SchemaView.as_view(), name="api-schema"),
    path("api/v1/docs/", DocsView.as_view(), name="api-docs"),
    path("api/v1/agents/", include("apps.agents.api.urls")),
    path("api/v1/alerts/", include("apps.alerts.api.urls")),
    path("api/v1/analysis/", include("apps.analysis.api.urls")),
    path("api/v1/bots/", include("apps.bots.api.urls")),
    path("api/v1/executions/", include("apps.executions.api.urls")),
    path("api/v1/logs/", include("apps.logs.api.urls")),
    path("api/v1/market/", include("apps.market.api.urls")),
    path("api/v1/retention/", include("apps.retention.api.urls")),
]
