"""Everything that happened, from all five tables, as one list."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.functions import Left
from django.http import HttpRequest
from django.utils.safestring import SafeString

from apps.logs.admin.entries import CORRELATION
from apps.logs.admin.links import MODELS, entry_url, trace_link
from apps.logs.choices import COLORS, ActivitySource
from apps.logs.models import RecentActivity
from apps.shared import display
from apps.shared.admin import DerivedAdmin
from apps.shared.admin.lists import CUT


def open_sources(user: Any) -> list[ActivitySource]:
    """Return the sources whose own tables somebody may look at."""
    return [
        source
        for source, model in MODELS.items()
        if user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}")
    ]


@admin.register(RecentActivity)
class RecentActivityAdmin(DerivedAdmin):
    list_display = [
        "severity", "shown_description", "source", "component", "timestamp", "correlation_id",
    ]  # fmt: skip
    list_display_links = None
    list_filter = ["timestamp", "source", "severity", "component", CORRELATION]
    search_fields = ["=correlation_id"]
    search_help_text = "Exact correlation id, over everything at once"
    time = "timestamp"
    default_period = "day"
    sortable_by = ["timestamp"]
    colors = COLORS
    shows = {"correlation_id": trace_link}
    titles = {"correlation_id": "Trace"}
    empty_reasons = {"component": "Not told by who sent it."}
    empty_hint = "Whatever programs log, report and do shows here, and every request to Blotter."
    groups = [
        ("What happened", ["source", "severity", "component", "shown_description", "timestamp"]),
        ("Cause", ["correlation_id", "metadata"]),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[RecentActivity]:
        allowed = open_sources(request.user)
        rows = super().get_queryset(request)
        return rows if len(allowed) == len(MODELS) else rows.filter(source__in=allowed)

    def get_default_period(self, request: HttpRequest) -> str:
        named = request.GET.get("correlation_id") or request.GET.get("q")
        return "all" if named else super().get_default_period(request)

    def listed(self, queryset: QuerySet) -> QuerySet:
        beginning = Left("description", display.READ_TEXT_LIMIT)
        return super().listed(queryset).annotate(**{CUT + "description": beginning})

    @admin.display(description="Description")
    def shown_description(self, obj: RecentActivity) -> SafeString:
        """Return what happened as the link to its own entry, which holds more."""
        known = obj.__dict__
        # Not ``get``: the whole text would be read for it.
        cut = CUT + "description"
        words = known[cut] if cut in known else obj.description  # noqa: SIM401
        shown = display.short_text(words, "It has no text.")
        return display.link(entry_url(obj.source, obj.pk), shown)

    def page_title(self, obj: RecentActivity) -> str:
        return f"{ActivitySource(obj.source).label} {obj.pk}"

    def page_badges(self, obj: RecentActivity) -> list[SafeString]:
        return [display.badge(obj.get_severity_display(), COLORS[obj.severity])]
