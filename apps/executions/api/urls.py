"""Addresses below ``/api/v1/executions/``."""

from apps.executions.api import views
from apps.shared.api.routers import Router

router = Router()
router.register("executions", views.ExecutionViewSet)
router.register("steps", views.ExecutionStepViewSet)

urlpatterns = router.urls
