"""The bases of all admin pages: entity, fact, derived. The base a class takes is its kind.

What a model admin says in about ten lines: ``list_display``, ``list_filter``, ``search_fields``,
``colors``, and for its page ``groups`` (titles with fields) and a ``page_template`` that
``page_context`` feeds. Columns and filters follow from the types of the fields.
"""

from typing import Any

from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
)
from django.urls import URLPattern, path, reverse

from apps.shared.admin.pages import ThingAdmin


class EntityAdmin(ThingAdmin):
    """A thing with a life: staff read its page first; the form stands in a tab of its own."""

    change_form_template = "admin/shared/entity_form.html"
    warn_unsaved_form = True

    def get_urls(self) -> list[URLPattern]:
        view, name = self.admin_site.admin_view(self.edit_view), self.url_name("edit")
        return [path("<path:object_id>/edit/", view, name=name), *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if request.method == "POST" or "_popup" in request.GET:
            return self.edit_view(request, object_id, form_url, extra_context)
        return self.page_view(request, object_id, extra_context)

    def edit_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show or take the form."""
        obj = self.get_object(request, unquote(object_id)) if "\0" not in object_id else None
        if obj is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        if not self.has_change_permission(request, obj):
            raise PermissionDenied
        extra = {
            "tabs": self.page_tabs(request, obj, active="edit"),
            "show_save_and_add_another": False,
        }
        return self.changeform_view(request, object_id, form_url, extra | (extra_context or {}))

    def response_post_save_change(self, request: HttpRequest, obj: Model) -> HttpResponse:
        """Go back to the page of what was changed."""
        return HttpResponseRedirect(
            reverse(f"admin:{self.url_name('change')}", args=[quote(obj.pk)])
        )

    def page_tabs(self, request: HttpRequest, obj: Any, *, active: str) -> list[dict[str, Any]]:
        offered = [("page", "Overview", "change", True)]
        offered += [("edit", "Edit", "edit", self.has_change_permission(request, obj))]
        offered += [("history", "History", "history", True)]
        return [
            {
                "title": title,
                "url": reverse(f"admin:{self.url_name(action)}", args=[quote(obj.pk)]),
                "active": key == active,
            }
            for key, title, action, allowed in offered
            if allowed
        ]


class ReadOnlyAdmin(ThingAdmin):
    """No form at all: rows come from outside or are computed; here they are read."""

    large_table = True

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class FactAdmin(ReadOnlyAdmin):
    """Something that happened, written once from outside."""


class DerivedAdmin(ReadOnlyAdmin):
    """Something computed here by a service, or a database view."""
