"""The bases of all admin pages: entity, fact, derived. The base a class takes is its kind.

What a model admin says in about ten lines: ``list_display``, ``list_filter``, ``search_fields``,
``colors``, and for its page ``groups`` (titles with fields) and a ``page_template`` that
``page_context`` feeds. Columns and filters follow from the types of the fields.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import ShowFacets
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.db.models import Field, Model, Q, QuerySet
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseBase,
    HttpResponseRedirect,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from apps.shared import display
from apps.shared.admin import export
from apps.shared.admin.changelist import BoundedChangeList, ThingChangeList
from apps.shared.admin.filters import filter_for
from apps.shared.admin.reads import leads_an_index, words

SEARCH_LIMIT = 200  # characters


class ThingAdmin(ModelAdmin):
    """What all kinds share: lists that scan well, a page for reading, an export."""

    #: Values with a color: the table that stands beside the choices.
    colors: Mapping[Any, str] = {}
    #: Percentages in which a sign means gain or loss.
    signed: Sequence[str] = ()
    #: Why a field is empty, where it may be: {"final_return_24h": "No candle at 24 h."}
    empty_reasons: Mapping[str, str] = {}
    #: The fields of the page: [("Prices", ["entry_price", …])]. Empty: all of them in one group.
    groups: Sequence[tuple[str, Sequence[str]]] = ()
    #: A template shown above the groups, with what ``page_context`` returns.
    page_template: str = ""
    #: The time column of the list, and the span shown when nobody asked for one (see ``PERIODS``).
    time: str = ""
    default_period: str = ""
    #: Whether the table may grow without end: then nothing is counted, only indexes are sorted by.
    large_table: bool = False
    #: What to say when the table is empty: what would fill it, and how.
    empty_hint: str = ""
    export_fields: Sequence[str] = ()

    ordering: Any = None
    search_help_text: str | None = None
    list_per_page = 50
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_filter_submit = True
    list_fullwidth = True
    list_disable_select_all = True
    list_before_template = "admin/shared/list_before.html"
    actions: Any = None
    empty_value_display = display.EMPTY
    readonly_preprocess_fields: Mapping[str, Any] = {}

    def __init__(self, model: type[Model], admin_site: admin.AdminSite) -> None:
        super().__init__(model, admin_site)
        self.columns: dict[str, Callable[[Model], Any]] = {}
        if self.large_table and not self.ordering and not model._meta.ordering and self.time:
            self.ordering = [f"-{self.time}"]

    # --- the list -------------------------------------------------------------------------

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ThingChangeList]:
        return BoundedChangeList if self.large_table else ThingChangeList

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [self.column(name) for name in super().get_list_display(request)]

    def column(self, name: Any) -> Any:
        """Return what shows ``name`` in a list: its field's display, or ``name`` itself."""
        if not isinstance(name, str) or hasattr(self, name) or name == "__str__":
            return name
        if name not in self.columns:
            self.columns[name] = self.build_column(name)
        return self.columns[name]

    def build_column(self, name: str) -> Any:
        """Return a callable column for the field at ``name`` (``"performance__status"``)."""
        try:
            field = self.field_at(name)
        except FieldDoesNotExist:
            return name
        show = self.shown_by(field, name, listed=True)
        if show is None:
            return name
        steps, reason = name.split("__"), self.empty_reasons.get(name, "")

        def column(thing: Any) -> Any:
            for step in steps:
                thing = getattr(thing, step, None)
                if thing is None:
                    break
            return show(thing, reason)

        column.__name__ = name
        column.short_description = words(field.verbose_name)  # type: ignore[attr-defined]
        column.admin_order_field = name  # type: ignore[attr-defined]
        return column

    def field_at(self, name: str) -> Field:
        """Return the model field at a path; raises ``FieldDoesNotExist``."""
        *relations, last = name.split("__")
        model: Any = self.model
        for relation in relations:
            related = model._meta.get_field(relation).related_model
            if related is None:
                raise FieldDoesNotExist(name)
            model = related
        return model._meta.get_field(last)

    def shown_by(self, field: Field, name: str, *, listed: bool) -> display.Show | None:
        signed = name in self.signed or field.name in self.signed
        return display.for_field(field, colors=self.colors, signed=signed, listed=listed)

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return [
            (name, filter_for(self.model, name)) if isinstance(name, str) else name
            for name in super().get_list_filter(request)
        ]

    def get_sortable_by(self, request: HttpRequest) -> list[Any]:
        columns = self.get_list_display(request)
        if not self.large_table:
            return columns
        return [
            column
            for column in columns
            if (name := getattr(column, "admin_order_field", None) or column)
            and isinstance(name, str)
            and self.has_column(name)
            and leads_an_index(self.model, name)
        ]

    def has_column(self, name: str) -> bool:
        return any(field.name == name for field in self.model._meta.concrete_fields)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        """As Django's, but ``=field`` compares as it stands, so that the plain index answers.

        Django's own ``=`` compares upper-cased text, which reads the whole table. Symbols are
        written in capitals, so the term is tried that way too.
        """
        fields = list(self.get_search_fields(request))
        term = search_term.strip()[:SEARCH_LIMIT]
        exact = [name.removeprefix("=") for name in fields if name.startswith("=")]
        if not term or len(exact) < len(fields):
            return super().get_search_results(request, queryset, term)
        spellings = sorted({term, term.upper()})
        wanted = Q()
        for name in exact:
            wanted |= Q(**{f"{name}__in": spellings})
        return queryset.filter(wanted), False

    def get_search_fields(self, request: HttpRequest) -> Sequence[str]:
        fields = super().get_search_fields(request)
        if fields and not self.search_help_text:
            titles = [str(self.field_at(name.lstrip("=^@")).verbose_name) for name in fields]
            named = ", ".join(titles)
            self.search_help_text = f"Exact {named}" if self.large_table else words(named)
        return fields

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if any("\0" in word for words_ in request.GET.lists() for word in words_[1]):
            # No text column holds a NUL, and PostgreSQL refuses to be asked for one.
            return HttpResponseRedirect(request.path)
        extra = {
            "export_formats": ["csv", "xlsx"] if self.has_export() else [],
            "empty_hint": self.empty_hint,
        }
        return super().changelist_view(request, extra | (extra_context or {}))

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
        except admin.options.IncorrectLookupParameters:
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
        if hasattr(self, name):
            own = getattr(self, name)
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
        return display.link(reverse(name, args=[quote(other.pk)]), str(other))

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
            "title": self.page_title(obj),
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
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/shared/page.html", context)

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
