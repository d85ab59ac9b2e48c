"""What staff should know, and who has seen it."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter

from apps.logs.admin.links import trace_link
from apps.logs.choices import COLORS, NotificationLevel
from apps.logs.models import Notification
from apps.logs.services import notifications
from apps.shared import display
from apps.shared.admin import DerivedAdmin
from apps.shared.admin.steps import Step, StepsMixin

UNSEEN = "Nobody has seen it yet."


class SeenFilter(DropdownFilter):
    """What waits to be seen, and what was."""

    title = "seen"
    parameter_name = "seen"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "Not seen yet"), ("yes", "Seen")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() not in ("no", "yes"):
            return queryset
        return queryset.filter(seen_at__isnull=self.value() == "no")

    def chips(self) -> list[tuple[str, list[str]]]:
        words = dict(self.lookup_choices).get(self.value() or "")
        return [(str(words), [self.parameter_name])] if words else []


def acknowledge(rows: QuerySet, *, by: str, now: datetime) -> int:
    return notifications.acknowledge(notifications=rows, by=by, now=now)


@admin.register(Notification)
class NotificationAdmin(StepsMixin, DerivedAdmin):
    list_display = ["level", "subject", "created_at", "seen", "about", "what", "correlation_id"]
    list_display_links = ["subject"]
    list_filter = ["created_at", SeenFilter, "level", "what"]
    search_fields = ["=what", "=correlation_id"]
    time = "created_at"
    # What nobody has seen comes first.
    ordering = [F("seen_at").desc(nulls_first=True), "-created_at"]
    sortable_by = ["created_at"]
    colors = COLORS
    shows = {"correlation_id": trace_link}
    titles = {"correlation_id": "Trace"}
    empty_hint = "Blotter tells here what changed for the worse, or back to good."
    empty_reasons = {
        "message": "The subject says it all.",
        "seen_at": UNSEEN,
        "seen_by": UNSEEN,
        "dedupe_key": "It is told each time.",
    }
    page_template = "admin/logs/notification.html"
    groups = [
        ("Notification", ["level", "what", "about", "created_at", "correlation_id"]),
        ("Seen", ["seen_by", "seen_at"]),
    ]
    steps = [
        Step("acknowledge", "Acknowledge", "acknowledged", acknowledge,
             lambda notification: notification.seen_at is None),
    ]  # fmt: skip

    @admin.display(description="About")
    def about(self, obj: Notification) -> SafeString:
        """Return the link to what it is about: a page of ours, never of another host."""
        if not obj.link.startswith("/") or obj.link[1:2] in ("/", "\\"):
            return display.text(obj.link, "It is about nothing that has a page.")
        return display.link(obj.link, "Open")

    @admin.display(description="Seen")
    def seen(self, obj: Notification) -> SafeString:
        if obj.seen_at is None:
            return display.badge("Not seen", "warning", UNSEEN)
        return format_html("{} {}", display.short_text(obj.seen_by), display.age(obj.seen_at))

    def page_title(self, obj: Notification) -> str:
        return obj.subject

    def page_badges(self, obj: Notification) -> list[SafeString]:
        level = NotificationLevel(obj.level)
        return [display.badge(level.label, COLORS[level]), self.seen(obj)]

    def page_context(self, request: HttpRequest, obj: Notification) -> dict[str, Any]:
        shown = display.block(obj.message, "The subject says it all.")
        return super().page_context(request, obj) | {"message": shown}
