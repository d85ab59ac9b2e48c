"""The models, admin pages and endpoints that the contract tests walk over."""

from collections.abc import Iterator
from typing import NamedTuple

from django.apps import apps
from django.db.models import Model
from django.urls import URLResolver, get_resolver

from apps.shared.admin import DerivedAdmin, EntityAdmin, FactAdmin
from apps.shared.api.viewsets import EntityViewSet, FactViewSet, ReadOnlyViewSet

METHODS = ("get", "post", "put", "patch", "delete")

# Why a model has no endpoint. Everything else must have one.
WITHOUT_ENDPOINT = {
    "access.ApiKey": "Keys are given out by staff; a program cannot make itself another.",
    "access.IdempotencyRecord": "The memory of the API itself: answers already given.",
    "bots.DepartedTrade": "Keys alone; the archives of trades have all there is.",
    "executions.Watch": "Our own notes on when we last looked.",
}
# Why a model has no admin page. Everything else must have one.
WITHOUT_ADMIN = {
    "access.IdempotencyRecord": "Answers already given, kept for a day; noise to staff.",
    "bots.DepartedTrade": "Keys alone; the archives of trades have all there is.",
    "executions.Watch": "Our own notes on when we last looked; the desk tells of late jobs.",
}


def own_models() -> list[type[Model]]:
    """Return every model of ours, in the order of their names."""
    found = [
        model
        for config in apps.get_app_configs()
        if config.name.startswith("apps.")
        for model in config.get_models()
    ]
    return sorted(found, key=label)


def label(model: type[Model]) -> str:
    return model._meta.label


class Endpoint(NamedTuple):
    path: str
    name: str
    view: type
    methods: list[str]

    @property
    def is_list(self) -> bool:
        return issubclass(self.view, ReadOnlyViewSet) and self.name.endswith("-list")


def endpoints() -> Iterator[Endpoint]:
    """Yield everything under ``/api/`` that is served, as the routes have it."""

    def walk(patterns: list, prefix: str) -> Iterator[Endpoint]:
        for pattern in patterns:
            path = prefix + str(pattern.pattern).replace("^", "").replace("$", "")
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, path)
                continue
            view = getattr(pattern.callback, "cls", None) or getattr(
                pattern.callback, "view_class", None
            )
            if view is not None and path.startswith("/api/"):
                # A viewset serves what its route says, a view what it has methods for.
                actions = getattr(pattern.callback, "actions", None)
                served = actions or [name for name in METHODS if hasattr(view, name)]
                methods = sorted(name.upper() for name in served if name in METHODS)
                yield Endpoint(path, pattern.name or "", view, methods)

    yield from walk(get_resolver().url_patterns, "/")


def viewset_of(model: type[Model]) -> type | None:
    """Return the viewset whose queryset is of ``model``, if there is one."""
    for endpoint in endpoints():
        queryset = getattr(endpoint.view, "queryset", None)
        if endpoint.is_list and queryset.model is model:
            return endpoint.view
    return None


def kind_of_admin(admin: object) -> str | None:
    for kind, base in {"entity": EntityAdmin, "fact": FactAdmin, "derived": DerivedAdmin}.items():
        if isinstance(admin, base):
            return kind
    return None


def kind_of_viewset(viewset: type) -> str | None:
    bases = {"entity": EntityViewSet, "fact": FactViewSet, "derived": ReadOnlyViewSet}
    for kind, base in bases.items():
        if issubclass(viewset, base):
            return kind
    return None
