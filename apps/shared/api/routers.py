"""Addresses of the API: ``/api/v1/<app>/<plural-kebab>/``, and lists of what is there."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpResponse
from django.urls import URLPattern, URLResolver, path
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView

from apps.shared.api.negotiation import OnlyJson
from apps.shared.api.viewsets import answer

# What a list of names tells is known to whoever may call at all.


class AnyCaller(BasePermission):
    """Whoever has a key, and staff."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Tell whether the caller is known."""
        return request.auth is not None or bool(request.user and request.user.is_staff)


class Root(APIView):
    """What there is below this address."""

    content_negotiation_class = OnlyJson
    metadata_class = None
    permission_classes: Sequence[Any] = [AnyCaller]
    schema: Any = None
    names: Sequence[str] = ()

    def get(self, request: Request) -> HttpResponse:
        """Answer name → address."""
        here = request.build_absolute_uri(request.path)
        return answer({name: f"{here}{name}/" for name in self.names})


class Router(SimpleRouter):
    """Routes of one app; ``router.register("candles", CandleViewSet)`` is all it takes.

    Routes are named ``<app>-<prefix>-list`` and so on. Verbs of a single row stand before the
    row itself, so that a key with a slash in it (``ETH/BTC``) does not swallow them.
    """

    include_root_view = True

    def __init__(self) -> None:
        super().__init__(trailing_slash=True)
        last = len(self.routes) - 1
        self.routes = [*self.routes[: last - 1], self.routes[last], self.routes[last - 1]]

    def get_default_basename(self, viewset: Any) -> str:
        """Return the app's label; the prefix is added by ``register``."""
        label: str = viewset.queryset.model._meta.app_label
        return label

    def register(self, prefix: str, viewset: Any, basename: str | None = None) -> None:
        """Add a viewset under ``prefix``."""
        super().register(
            prefix, viewset, basename or f"{self.get_default_basename(viewset)}-{prefix}"
        )

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Return all routes and the list of them."""
        names = [prefix for prefix, _, _ in self.registry]
        return [path("", Root.as_view(names=names)), *super().get_urls()]


def root(apps: Mapping[str, Any] | Sequence[str]) -> URLPattern:
    """Return the route of ``/api/v1/`` itself, which lists the apps."""
    return path("", Root.as_view(names=list(apps)))
