"""The changes of policies in the admin: who changed what, and when. They are only read."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from apps.retention.admin import shown
from apps.retention.models import PolicyChange
from apps.shared import display
from apps.shared.admin import DerivedAdmin


@admin.register(PolicyChange)
class PolicyChangeAdmin(DerivedAdmin):
    list_display = ["changed_at", "of", "what", "changed_by"]
    list_filter = ["changed_at", "policy"]
    search_fields = ["=policy__dataset", "=changed_by"]
    search_help_text = "Exact dataset or name"
    list_select_related = ["policy"]
    time = "changed_at"
    ordering = ["-changed_at", "-id"]
    sortable_by = ["changed_at"]
    # A list tells what changed, so it reads it.
    short_texts = ["before", "after"]
    titles = {"changed_at": "When", "changed_by": "By"}
    empty_hint = "Each change of a policy, by its form or by a restore, is noted here."
    page_template = "admin/retention/change.html"
    groups = [("Change", ["policy", "changed_at", "changed_by"])]

    @admin.display(description="Policy")
    def of(self, obj: PolicyChange) -> str:
        return shown.title_of(obj.policy.dataset)

    @admin.display(description="What")
    def what(self, obj: PolicyChange) -> SafeString:
        lines = shown.told_changes(obj.before, obj.after)
        if not obj.before:
            return format_html('<span class="b-quiet">{}</span>', "Made with its defaults")
        if not lines:
            return display.empty("Nothing that is told here.")
        return format_html_join(
            mark_safe("<br>"),
            "{}: {} → {}",
            [
                (each["label"], display.visible(each["before"]), display.visible(each["after"]))
                for each in lines
            ],
        )

    def page_title(self, obj: PolicyChange) -> str:
        return shown.title_of(obj.policy.dataset)

    def page_badges(self, obj: PolicyChange) -> list[SafeString]:
        return [format_html("changed {}", display.age(obj.changed_at))]

    def page_context(self, request: HttpRequest, obj: PolicyChange) -> dict[str, Any]:
        known = super().page_context(request, obj)
        return known | {"lines": shown.told_changes(obj.before, obj.after)}
