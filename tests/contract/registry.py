"""The models, admin pages and endpoints that the contract tests walk over."""

from collections.abc import Iterator

from django.apps import apps
from django.db.models import Model
from django.urls import URLPattern, URLResolver, get_resolver

from apps.shared.admin import DerivedAdmin, EntityAdmin, FactAdmin
from apps.shared.api.viewsets import EntityViewSet, FactViewSet, ReadOnlyViewSet

# Why a model has no endpoint. Everything else must have one.
WITHOUT_ENDPOINT = {
    "access.ApiKey": "Keys are given out by staff; a program cannot make itself another.",
    "access.IdempotencyRecord": "The memory of the API itself; its content is answers already given.",
}
# Why a model has no admin page. Everything else must have one.
WITHOUT_ADMIN = {
    "access.IdempotencyRecord": "Answers already given, kept for a day; staff would only read noise.",
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


def endpoints() -> Iterator[tuple[str, str, type]]:
    """Yield (path, url name, viewset) of everything under ``/api/v1/``."""

    def walk(patterns: list, prefix: str, namespaces: str) -> Iterator[tuple[str, str, type]]:
        for pattern in patterns:
            path = prefix + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                inner = f"{namespaces}{pattern.namespace}:" if pattern.namespace else namespaces
                yield from walk(pattern.url_patterns, path, inner)
            elif isinstance(pattern, URLPattern) and hasattr(pattern.callback, "cls"):
                yield path, f"{namespaces}{pattern.name}", pattern.callback.cls

    for path, name, viewset in walk(get_resolver().url_patterns, "/", ""):
        if path.startswith("/api/"):
            yield path, name, viewset


def viewset_of(model: type[Model]) -> type | None:
    """Return the viewset whose queryset is of ``model``, if there is one."""
    for _, _, viewset in endpoints():
        queryset = getattr(viewset, "queryset", None)
        if queryset is not None and queryset.model is model:
            return viewset
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
