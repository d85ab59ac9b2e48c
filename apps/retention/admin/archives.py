"""Archives in the admin: what has left, whether its files are whole, and bringing rows back."""

from collections.abc import Callable
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.retention.admin import shown
from apps.retention.admin.archive_pages import (
    MOST_AT_ONCE,
    ArchiveStory,
    RestoreStory,
    restored_words,
)
from apps.retention.choices import COLORS
from apps.retention.models import Archive
from apps.retention.services.restoring import restore_archive
from apps.retention.services.verifying import verify_archive
from apps.shared import display
from apps.shared.admin import DerivedAdmin
from apps.shared.admin.steps import CONFIRMED
from apps.shared.errors import DomainError

CHANGE: Final = "retention.change_archive"
TABS = (
    ("page", "Overview", "change", "retention.view_archive"),
    ("restore", "Restore", "restore", CHANGE),
)


@admin.register(Archive)
class ArchiveAdmin(DerivedAdmin):
    list_display = [
        "what", "state", "range", "rows", "left_rows", "size", "created_at",
    ]  # fmt: skip
    list_filter = ["created_at", "status", "dataset", "first_time"]
    search_fields = ["=path", "=dataset", "=sha256"]
    search_help_text = "Exact path, dataset or SHA-256"
    time = "created_at"
    ordering = ["-created_at", "-id"]
    sortable_by = ["created_at"]
    colors = COLORS
    titles = {"left_rows": "Left", "created_at": "Written"}
    shows = {"bytes": shown.size, "first_time": display.exact_moment,
             "last_time": display.exact_moment}  # fmt: skip
    empty_hint = (
        "A policy that archives writes here what it lets leave: the first time that rows are old."
    )
    empty_reasons = {
        "execution": "It was written outside of a run.",
        "month": "It is not one month of a table that is cut into months.",
        "emptied_at": "Not all of its rows have left.",
        "restored_at": "It was not restored.",
        "restored_by": "It was not restored.",
        "note": "Nothing to be said.",
    }
    page_template = "admin/retention/archive.html"
    groups = [
        ("Archive", ["path", "called", "execution", "part", "month", "sha256", "schema_version"]),
        ("Times", ["first_time", "last_time", "cutoff", "created_at", "emptied_at", "restored_at",
                   "restored_by"]),
    ]  # fmt: skip

    def get_urls(self) -> list[URLPattern]:
        def own(action: str, view: Callable[[HttpRequest, str], HttpResponse]) -> Any:
            route = f"<path:object_id>/{action}/"
            return path(route, self.admin_site.admin_view(view), name=self.url_name(action))

        return [
            own("verify", self.verify_view),
            own("restore", self.restore_view),
            *super().get_urls(),
        ]

    # --- the list -------------------------------------------------------------------------

    @admin.display(description="Archive")
    def what(self, obj: Archive) -> SafeString:
        words = '{}<span class="b-retention-about">{}</span>'
        return format_html(words, self.page_title(obj), display.visible(obj.path))

    @admin.display(description="Dataset")
    def called(self, obj: Archive) -> str:
        return shown.title_of(obj.dataset)

    @admin.display(description="State")
    def state(self, obj: Archive) -> SafeString:
        return shown.archive_state(obj)

    @admin.display(description="Of")
    def range(self, obj: Archive) -> SafeString:
        return shown.time_range(obj.first_time, obj.last_time)

    @admin.display(description="Size")
    def size(self, obj: Archive) -> SafeString:
        return shown.size(obj.bytes)

    # --- the page -------------------------------------------------------------------------

    def page_title(self, obj: Archive) -> str:
        return f"{shown.title_of(obj.dataset)}, part {obj.part}"

    def page_badges(self, obj: Archive) -> list[SafeString]:
        return [shown.archive_state(obj), format_html("written {}", display.age(obj.created_at))]

    def page_tabs(self, request: HttpRequest, obj: Archive, *, active: str) -> list[dict[str, Any]]:
        return [
            {
                "title": title,
                "url": reverse(f"admin:{self.url_name(action)}", args=[quote(obj.pk)]),
                "active": key == active,
            }
            for key, title, action, needed in TABS
            if request.user.has_perm(needed)
        ]

    def page_context(self, request: HttpRequest, obj: Archive) -> dict[str, Any]:
        known = super().page_context(request, obj)
        verify = {"title": "Verify", "url": shown.address(Archive, "verify", obj.pk)}
        return known | {
            "story": ArchiveStory(obj),
            "steps": [verify] if request.user.has_perm(CHANGE) else [],
        }

    # --- reading its files again ----------------------------------------------------------

    def verify_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Read all files of an archive again and say whether they are whole."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        archive = self.archive_of(request, object_id)
        try:
            wrong = verify_archive(archive=archive, now=timezone.now())
        except DomainError as refusal:
            wrong = refusal.message
        if wrong:
            messages.error(request, f"Damaged: {wrong}")
        else:
            messages.success(request, "Whole: every file is what was written.")
        return HttpResponseRedirect(shown.address(Archive, "change", archive.pk))

    # --- bringing rows back ---------------------------------------------------------------

    def restore_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Tell what a restore would bring back, or bring it back once that was seen."""
        archive = self.archive_of(request, object_id)
        page = HttpResponseRedirect(shown.address(Archive, "change", archive.pk))
        too_large = archive.rows > MOST_AT_ONCE
        if request.method == "POST" and CONFIRMED in request.POST and not too_large:
            by = request.user.get_username()
            try:
                done = restore_archive(archive=archive, by=by, now=timezone.now())
            except DomainError as refusal:
                messages.error(request, f"Nothing was restored. {refusal.message}")
                return page
            messages.success(request, restored_words(done))
            return page
        story = RestoreStory(archive, now=timezone.now())
        context = {
            **self.admin_site.each_context(request),
            "title": f"{self.page_title(archive)}: restore",
            "opts": self.opts,
            "obj": archive,
            "original": archive,
            "page_title": self.page_title(archive),
            "page_badges": self.page_badges(archive),
            "tabs": self.page_tabs(request, archive, active="restore"),
            "story": story,
            "confirmed": CONFIRMED,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/retention/archive_restore.html", context)

    def archive_of(self, request: HttpRequest, object_id: str) -> Archive:
        """Return the archive of an address, for those who may do something with it."""
        if not request.user.has_perm(CHANGE):
            raise PermissionDenied
        archive = self.get_object(request, unquote(object_id)) if "\0" not in object_id else None
        if archive is None:
            raise Http404
        return archive
