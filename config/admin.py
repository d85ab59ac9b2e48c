"""The admin site: opened by the desk, which refreshes itself from an address of its own."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from unfold.sites import UnfoldAdminSite

from config import desk


class BlotterAdminSite(UnfoldAdminSite):
    """Django's admin under the name of Blotter."""

    site_title = site_header = "Blotter"
    index_title = "Desk"

    def extra_urls(self) -> list[URLPattern]:
        return [path("desk/", self.admin_view(self.desk_view), name="desk")]

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().index(request, desk.context(request) | (extra_context or {}))

    def desk_view(self, request: HttpRequest) -> HttpResponse:
        """Answer with the panels alone: what the open desk fetches every few seconds."""
        return render(request, "admin/desk/panels.html", desk.context(request))
