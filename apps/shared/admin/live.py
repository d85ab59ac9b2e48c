"""Pages of things that change while one looks: they refresh themselves without a reload."""

from typing import Any

from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse


class LiveMixin:
    """Lets the page of a thing fetch its own parts anew for as long as ``is_live`` says so.

    The parts are the elements with ``data-panel``; the script of the desk does the rest.
    """

    live_seconds = 3

    def is_live(self, obj: Any) -> bool:
        """Return whether the thing may still change by itself."""
        raise NotImplementedError

    def get_urls(self) -> list[URLPattern]:
        guard, name = self.admin_site.admin_view, self.url_name("live")  # type: ignore[attr-defined]
        own = path("<path:object_id>/live/", guard(self.live_view), name=name)
        return [own, *super().get_urls()]  # type: ignore[misc]

    def live_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Answer with the parts of the page alone."""
        obj = self.get_object(request, unquote(object_id)) if "\0" not in object_id else None  # type: ignore[attr-defined]
        if obj is None:
            raise Http404
        if not self.has_view_permission(request, obj):  # type: ignore[attr-defined]
            raise PermissionDenied
        return render(request, "admin/shared/parts.html", self.page_data(request, obj))  # type: ignore[attr-defined]

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        known: dict[str, Any] = super().page_context(request, obj)  # type: ignore[misc]
        if not self.is_live(obj):
            return known
        name = f"admin:{self.url_name('live')}"  # type: ignore[attr-defined]
        live = {"url": reverse(name, args=[quote(obj.pk)]), "seconds": self.live_seconds}
        return known | {"live": live}
