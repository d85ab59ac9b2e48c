"""The admin site under its own name; what it opens with is ``config/desk.py``."""

from typing import Any

from django.core.paginator import InvalidPage
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from redis import RedisError
from unfold.sites import UnfoldAdminSite


class BlotterAdminSite(UnfoldAdminSite):
    """Django's admin in the theme, for Blotter."""

    site_title = site_header = "Blotter"
    index_title = "Desk"

    def search(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """As the theme's, which trusts its cache and the page number more than we do."""
        try:
            return super().search(request, extra_context)
        except RedisError:
            why = "The search rests: the cache is away."
        except (InvalidPage, ValueError):
            why = "There is no such page."
        return HttpResponse(format_html('<p class="b-none">{}</p>', why))
