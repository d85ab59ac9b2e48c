"""Errors that are one and the same, and what is decided about them."""

from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpResponse
from django.utils import timezone
from rest_framework.decorators import action
from rest_framework.request import Request

from apps.logs.api.callers import DecisionPermission, name_of
from apps.logs.models import ErrorGroup
from apps.logs.services import errors
from apps.shared.api import filters
from apps.shared.api.filters import ANY_OF, RANGE
from apps.shared.api.openapi import STORED_ROW, describe
from apps.shared.api.viewsets import ReadOnlyViewSet


class ErrorGroupViewSet(ReadOnlyViewSet):
    """Errors of one type from one place: how often they came, and how staff stand to them."""

    queryset = ErrorGroup.objects.all()
    fields = [
        "id",
        "fingerprint",
        "error_type",
        "culprit",
        "component",
        "message",
        "count",
        "first_seen",
        "last_seen",
        "state",
        "state_changed_at",
        "state_changed_by",
        "created_at",
        "updated_at",
    ]
    filterset_fields = {
        "state": ANY_OF,
        "error_type": ANY_OF,
        "component": ANY_OF,
        "fingerprint": ANY_OF,
        "last_seen": RANGE,
    }
    ordering_fields = ["last_seen", "first_seen", "count"]

    @action(detail=True, methods=["post"], permission_classes=[DecisionPermission])
    @describe(answer=STORED_ROW)
    def resolve(self, request: Request, **kwargs: str) -> HttpResponse:
        """Say that the error is mended; when it comes again it is *regressed*."""
        return self.decide(request, errors.resolve)

    @action(detail=True, methods=["post"], permission_classes=[DecisionPermission])
    @describe(answer=STORED_ROW)
    def mute(self, request: Request, **kwargs: str) -> HttpResponse:
        """Say that the error needs nobody, however often it comes."""
        return self.decide(request, errors.mute)

    @action(detail=True, methods=["post"], permission_classes=[DecisionPermission])
    @describe(answer=STORED_ROW)
    def reopen(self, request: Request, **kwargs: str) -> HttpResponse:
        """Take back that the error is resolved or muted."""
        return self.decide(request, errors.reopen)

    def decide(self, request: Request, change: Callable[..., Any]) -> HttpResponse:
        """Answer the group as it stands after a decision; the same one again changes nothing."""
        filters.check_known(request._request.GET, [])
        group = self.found()
        if not group.exists():
            raise Http404
        change(group, by=name_of(request), now=timezone.now())
        return self.stored(group)
