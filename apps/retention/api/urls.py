"""Addresses below ``/api/v1/retention/``."""

from apps.retention.api import views
from apps.shared.api.routers import Router

router = Router()
router.register("policies", views.RetentionPolicyViewSet)
router.register("policy-changes", views.PolicyChangeViewSet)
router.register("archives", views.ArchiveViewSet)

urlpatterns = router.urls
