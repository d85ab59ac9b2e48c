"""The page of one thing, for reading, and the export of a list."""

from collections.abc import Callable
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseBase,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from apps.shared import display
from apps.shared.admin import export
from apps.shared.admin.lists import ListAdmin
from apps.shared.admin.reads import words


class ThingAdmin(ListAdmin):
    """What all kinds share: lists that scan well, a page for reading, an export."""

    # --- export ---------------------------------------------------------------------------

    def has_export(self) -> bool:
        return bool(self.get_export_fields())

    def get_export_fields(self) -> list[str]:
        """Return the columns of an export: the declared ones, else all of the table."""
        return list(self.export_fields or [f.name for f in self.model._meta.concrete_fields])

    def export_view(self, request: HttpRequest, kind: str) -> HttpResponseBase:
        """Answer with the rows that the list shows under the same parameters, all pages of it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if kind not in export.ANSWERS:
            return HttpResponseBadRequest("Unknown format.")
        if any("\0" in word for words_ in request.GET.lists() for word in words_[1]):
            return HttpResponseBadRequest("A parameter holds a NUL character.")
        try:
            rows = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            return HttpResponseBadRequest("Unknown filter.")
        columns = [(name, self.exported(name)) for name in self.get_export_fields()]
        name = self.model._meta.verbose_name_plural.replace(" ", "-")
        limit = export.LIMITS[kind]
        return export.ANSWERS[kind](export.rows_of(rows, columns, limit), name)

    def exported(self, name: str) -> Callable[[Any], Any]:
        """Return how an export reads one column of an object; foreign keys give their value."""
        *relations, last = name.split("__")
        attribute = self.field_at(name).attname if not relations else last

        def read(thing: Any) -> Any:
            for step in [*relations, attribute]:
                thing = getattr(thing, step, None)
                if thing is None:
                    return None
            return thing

        return read

    # --- the page of one thing ------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        view, name = self.admin_site.admin_view, self.url_name("export")
        return [
            path("export/<str:kind>/", view(self.export_view), name=name),
            *super().get_urls(),
        ]

    def url_name(self, action: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{action}"

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        """Return what ``page_template`` needs beside ``obj``; a model admin overrides it."""
        return {}

    def page_title(self, obj: Any) -> str:
        return str(obj)

    def page_badges(self, obj: Any) -> list[SafeString]:
        """Return the states that stand beside the title."""
        return []

    def page_groups(self, request: HttpRequest, obj: Any) -> list[dict[str, Any]]:
        """Return the fields of a thing in their groups: label, value, help."""
        groups = self.groups or [
            ("Details", [f.name for f in self.opts.concrete_fields if f.name != "id"])
        ]
        return [
            {"title": title, "rows": [self.page_row(name, obj) for name in names]}
            for title, names in groups
        ]

    def page_row(self, name: str, obj: Any) -> dict[str, Any]:
        own = getattr(self, name, None)
        # A column may be called "model", which an admin has too: its class of the rows.
        if own is not None and not isinstance(own, type):
            label = getattr(own, "short_description", None) or name.replace("_", " ")
            return {"label": words(label), "value": own(obj), "help": "", "wide": False}
        field = self.field_at(name)
        owner: Any = obj
        *relations, last = name.split("__")
        for relation in relations:
            owner = getattr(owner, relation, None)
        value = getattr(owner, last, None)
        reason = self.empty_reasons.get(name, "")
        show = None if field.is_relation else self.shown_by(field, name, listed=False)
        shown = self.related_link(value) if field.is_relation else None
        if shown is None:
            shown = show(value, reason) if show else display.text(value, reason)
        return {
            "label": words(field.verbose_name),
            "value": shown,
            "help": field.help_text,
            "wide": field.get_internal_type() in ("JSONField", "TextField"),
        }

    def related_link(self, other: Model | None) -> SafeString | None:
        """Return a link to the page of a related thing, where it has one."""
        if other is None or type(other) not in self.admin_site._registry:
            return None
        name = f"admin:{other._meta.app_label}_{other._meta.model_name}_change"
        return display.link(reverse(name, args=[quote(other.pk)]), display.visible(str(other)))

    def page_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the thing for reading."""
        obj = self.get_object(request, unquote(object_id)) if "\0" not in object_id else None
        if obj is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        if not self.has_view_permission(request, obj):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            **self.page_data(request, obj),
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/shared/page.html", context)

    def page_data(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        """Return everything that the page shows of a thing."""
        return {
            "title": display.visible(self.page_title(obj)),
            "opts": self.opts,
            "original": obj,
            "obj": obj,
            "media": self.media,
            "is_page": True,
            "page_template": self.page_template,
            "page_title": self.page_title(obj),
            "page_badges": self.page_badges(obj),
            "groups": self.page_groups(request, obj),
            "tabs": self.page_tabs(request, obj, active="page"),
            "has_add_permission": False,
            **self.page_context(request, obj),
        }

    def page_tabs(self, request: HttpRequest, obj: Any, *, active: str) -> list[dict[str, Any]]:
        """Return the tabs of a thing: its page, its form, its history, as the viewer may."""
        return []

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        return self.page_view(request, object_id, extra_context)
