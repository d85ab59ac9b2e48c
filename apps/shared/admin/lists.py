"""The list of every admin page: columns, filters, search and sorting follow from the fields."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import ShowFacets
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import Field, JSONField, Model, Q, QuerySet, TextField
from django.db.models.functions import Left
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
)
from unfold.admin import ModelAdmin

from apps.shared import display
from apps.shared.admin.changelist import BoundedChangeList, ThingChangeList
from apps.shared.admin.documents import DocumentField
from apps.shared.admin.filters import filter_for
from apps.shared.admin.reads import leads_an_index, words

SEARCH_LIMIT = 200  # characters
# The beginning of a long text, as a list reads it.
CUT = "cut_"


class ListAdmin(ModelAdmin):
    """What a model admin may declare, and the list that comes of it."""

    #: Values with a color: the table that stands beside the choices.
    colors: Mapping[Any, str] = {}
    #: Percentages in which a sign means gain or loss.
    signed: Sequence[str] = ()
    #: Fields whose type alone does not say how they look: {"leverage": display.times}.
    shows: Mapping[str, display.Show] = {}
    #: Headings of a list that say more than the name of the field: {"correlation_id": "Trace"}.
    titles: Mapping[str, str] = {}
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
    #: Texts without a length of their own that are short all the same: a list reads them whole.
    short_texts: Sequence[str] = ()
    #: What to say when the table is empty: what would fill it, and how.
    empty_hint: str = ""
    export_fields: Sequence[str] = ()
    #: Columns that not everybody on the staff may read: no list is narrowed by them, for whoever
    #: asks whether a text begins with this or with that reads it letter by letter.
    private: Sequence[str] = ()

    ordering: Any = None
    sortable_by: Sequence[str] | None = None
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
    formfield_overrides: Mapping[Any, Any] = {JSONField: {"form_class": DocumentField}}

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

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> Any:
        if not self.list_display_links:
            return super().get_list_display_links(request, list_display)
        return [self.column(name) for name in self.list_display_links]

    def get_default_period(self, request: HttpRequest) -> str:
        """Return the span of time to show when none is asked for; ``""`` is all of it."""
        return self.default_period

    def listed(self, queryset: QuerySet) -> QuerySet:
        """Return the rows as a list reads them: of long texts the beginning, and none unseen.

        A page of fifty messages of 200 kB each would otherwise be read to show a line of each.
        """
        long = [
            field
            for field in self.model._meta.concrete_fields
            if isinstance(field, (TextField, JSONField)) and field.name not in self.short_texts
        ]
        cuts = {
            CUT + field.name: Left(field.name, display.READ_TEXT_LIMIT)
            for field in long
            if isinstance(field, TextField) and field.name in self.list_display
        }
        return queryset.defer(*(field.name for field in long)).annotate(**cuts)

    def prepare_rows(self, rows: Sequence[Any]) -> None:
        """Give the rows of a page what they show beside their own columns, read in one go."""

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
            if CUT + name in thing.__dict__:
                return show(thing.__dict__[CUT + name], reason)
            for step in steps:
                thing = getattr(thing, step, None)
                if thing is None:
                    break
            return show(thing, reason)

        column.__name__ = name
        title = self.titles.get(name) or words(field.verbose_name)
        column.short_description = title  # type: ignore[attr-defined]
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
        if name in self.shows:
            return self.shows[name]
        signed = name in self.signed or field.name in self.signed
        return display.for_field(field, colors=self.colors, signed=signed, listed=listed)

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return [
            (name, filter_for(self.model, name)) if isinstance(name, str) else name
            for name in super().get_list_filter(request)
        ]

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """As Django's, which lets an address ask for anything of any column of the table."""
        column, *rest = lookup.split("__")
        # A pattern that is none would be an error of the database.
        if column in self.private or {"regex", "iregex"} & set(rest):
            return False
        return bool(super().lookup_allowed(lookup, value, request))

    def get_sortable_by(self, request: HttpRequest) -> list[Any]:
        columns = self.get_list_display(request)
        if self.sortable_by is not None:
            return [self.column(name) for name in self.sortable_by]
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

    def response_action(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        """As Django's, but with a key that no row can have nothing is done."""
        try:
            for key in request.POST.getlist(ACTION_CHECKBOX_NAME):
                self.opts.pk.to_python(key)
                if "\0" in key:
                    return None
        except ValidationError:
            return None
        answer: HttpResponse | None = super().response_action(request, queryset)
        return answer

    def has_export(self) -> bool:
        return False
