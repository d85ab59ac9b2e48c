"""What staff should know, and who has seen it."""

from django.http import Http404, HttpResponse
from django.utils import timezone
from rest_framework.decorators import action
from rest_framework.request import Request

from apps.logs.api.callers import DecisionPermission, name_of
from apps.logs.models import Notification
from apps.logs.services import notifications
from apps.shared.api import filters
from apps.shared.api.filters import ANY_OF, RANGE, Narrowing
from apps.shared.api.openapi import STORED_ROW, describe
from apps.shared.api.viewsets import ReadOnlyViewSet


class NotificationViewSet(ReadOnlyViewSet):
    """Changes of state that staff should know of."""

    queryset = Notification.objects.all()
    fields = [
        "id",
        "what",
        "level",
        "subject",
        "message",
        "link",
        "dedupe_key",
        "correlation_id",
        "seen_by",
        "seen_at",
        "created_at",
    ]
    filterset_fields = {
        "level": ANY_OF,
        "what": ANY_OF,
        "correlation_id": ANY_OF,
        "seen": Narrowing(
            lambda rows, seen: rows.filter(seen_at__isnull=not seen),
            "Whether somebody has seen it.",
            flag=True,
        ),
        "created_at": RANGE,
    }
    ordering_fields = ["created_at"]

    @action(detail=True, methods=["post"], permission_classes=[DecisionPermission])
    @describe(answer=STORED_ROW)
    def acknowledge(self, request: Request, **kwargs: str) -> HttpResponse:
        """Say that it was seen; who said so first stays written down."""
        filters.check_known(request._request.GET, [])
        rows = self.found()
        if not rows.exists():
            raise Http404
        notifications.acknowledge(notifications=rows, by=name_of(request), now=timezone.now())
        return self.stored(rows)
