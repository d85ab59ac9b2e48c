"""Policies in the admin: one line per dataset, its page, its preview, and running it now."""

from collections.abc import Callable
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Case, When
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
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.executions.admin.shown import run_url
from apps.retention.admin import shown
from apps.retention.admin.policy_forms import PolicyForm
from apps.retention.admin.policy_pages import PolicyStory, PreviewStory, TotalStory, notices
from apps.retention.models import RetentionPolicy
from apps.retention.services.policies import change_policy
from apps.retention.services.runs import plan_retention
from apps.shared import display
from apps.shared.admin import DerivedAdmin
from apps.shared.admin.steps import CONFIRMED
from apps.shared.errors import DomainError
from apps.shared.retention.datasets import datasets

CHANGE: Final = "retention.change_retentionpolicy"
TABS = (
    ("page", "Overview", "change", "retention.view_retentionpolicy"),
    ("preview", "Preview", "preview", "retention.view_retentionpolicy"),
    ("edit", "Edit", "edit", CHANGE),
)

View = Callable[[HttpRequest, str], HttpResponse]


@admin.register(RetentionPolicy)
class RetentionPolicyAdmin(DerivedAdmin):
    list_display = [
        "what", "state", "kept", "archived", "stays", "ran", "rows_freed", "bytes_freed", "next",
    ]  # fmt: skip
    large_table = False
    sortable_by: list[str] = []
    search_fields = ["dataset"]
    list_before_template = "admin/retention/policies_before.html"
    empty_hint = "The product makes a policy for each dataset of its apps when it starts."
    page_template = "admin/retention/policy.html"
    groups = [
        ("Policy", ["dataset", "state", "kept", "counted_from", "archived", "held_until",
                    "created_at", "updated_at"]),
    ]  # fmt: skip
    empty_reasons = {"held_until": "Nothing holds it."}

    def get_urls(self) -> list[URLPattern]:
        def own(route: str, view: View | Callable[[HttpRequest], HttpResponse], name: str) -> Any:
            return path(route, self.admin_site.admin_view(view), name=self.url_name(name))

        return [
            own("preview/", self.preview_all_view, "preview_all"),
            own("<path:object_id>/preview/", self.preview_view, "preview"),
            own("<path:object_id>/run/", self.run_view, "run"),
            own("<path:object_id>/edit/", self.edit_view, "edit"),
            *super().get_urls(),
        ]

    # --- the list -------------------------------------------------------------------------

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        """Run along the titles, which are not in the table."""
        titles = sorted(datasets(), key=lambda each: each.title.lower())
        places = [When(dataset=each.name, then=place) for place, each in enumerate(titles)]
        return [Case(*places, default=len(places)), "dataset"]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        extra = {"notices": notices(RetentionPolicy.objects.order_by("dataset"))}
        return super().changelist_view(request, extra | (extra_context or {}))

    @admin.display(description="Dataset", ordering="dataset")
    def what(self, obj: RetentionPolicy) -> SafeString:
        found = shown.known(obj.dataset)
        if found is None:
            return format_html("<code>{}</code>", display.visible(obj.dataset))
        return format_html(
            '{}<span class="b-retention-about" title="{}">{}</span>',
            found.title,
            found.about,
            found.about,
        )

    @admin.display(description="State")
    def state(self, obj: RetentionPolicy) -> SafeString:
        return badges(obj)

    @admin.display(description="Kept for", ordering="age_days")
    def kept(self, obj: RetentionPolicy) -> SafeString:
        return shown.days(obj.age_days)

    @admin.display(description="Age counts from")
    def counted_from(self, obj: RetentionPolicy) -> str:
        return shown.column_words(shown.known(obj.dataset), obj.time_column)

    @admin.display(description="Archived")
    def archived(self, obj: RetentionPolicy) -> SafeString:
        return display.yes_no(obj.archive)

    @admin.display(description="What stays")
    def stays(self, obj: RetentionPolicy) -> SafeString:
        return stays_in_short(obj)

    @admin.display(description="Last run")
    def ran(self, obj: RetentionPolicy) -> SafeString:
        if obj.last_run_at is None:
            return display.empty(shown.NEVER_RAN)
        told = display.age(obj.last_run_at)
        # By its key alone: the run itself need not be read for that.
        return display.link(run_url(str(obj.last_run_id)), told) if obj.last_run_id else told

    @admin.display(description="Rows freed")
    def rows_freed(self, obj: RetentionPolicy) -> SafeString:
        return display.number(obj.last_rows, shown.NEVER_RAN)

    @admin.display(description="Size freed")
    def bytes_freed(self, obj: RetentionPolicy) -> SafeString:
        return shown.size(obj.last_bytes, shown.NEVER_RAN)

    @admin.display(description="Next")
    def next(self, obj: RetentionPolicy) -> SafeString:
        if shown.known(obj.dataset) is None:
            return display.empty("No app declares this dataset any more.")
        return display.link(shown.address(RetentionPolicy, "preview", obj.pk), "Preview")

    # --- the page -------------------------------------------------------------------------

    def page_title(self, obj: RetentionPolicy) -> str:
        return shown.title_of(obj.dataset)

    def page_badges(self, obj: RetentionPolicy) -> list[SafeString]:
        return list(shown.states(obj, timezone.now()))

    def page_tabs(
        self, request: HttpRequest, obj: RetentionPolicy, *, active: str
    ) -> list[dict[str, Any]]:
        gone = shown.known(obj.dataset) is None
        return [
            {
                "title": title,
                "url": reverse(f"admin:{self.url_name(action)}", args=[quote(obj.pk)]),
                "active": key == active,
            }
            for key, title, action, needed in TABS
            if request.user.has_perm(needed) and not (gone and key != "page")
        ]

    def page_context(self, request: HttpRequest, obj: RetentionPolicy) -> dict[str, Any]:
        story = PolicyStory(obj, now=timezone.now(), user=request.user)
        return super().page_context(request, obj) | {
            "story": story,
            "ran": self.ran(obj),
            "rows_freed": self.rows_freed(obj),
            "bytes_freed": self.bytes_freed(obj),
        }

    # --- what would leave, and letting it leave -------------------------------------------

    def preview_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Count what would leave now, and offer to let it."""
        policy = self.policy_of(request, object_id)
        story = PreviewStory(policy, now=timezone.now())
        return self.answer(request, policy, "preview", {
            "story": story,
            "may_run": request.user.has_perm(CHANGE) and story.runnable,
            "run_url": shown.address(RetentionPolicy, "run", policy.pk),
            "confirmed": CONFIRMED,
        })  # fmt: skip

    def preview_all_view(self, request: HttpRequest) -> HttpResponse:
        """Count what would leave of all datasets."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": "Preview of all datasets",
            "opts": self.opts,
            "story": TotalStory(now=timezone.now()),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/retention/preview_all.html", context)

    def run_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Have one policy applied now, which somebody has seen the preview of."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        policy = self.policy_of(request, object_id)
        if not request.user.has_perm(CHANGE):
            raise PermissionDenied
        preview = HttpResponseRedirect(shown.address(RetentionPolicy, "preview", policy.pk))
        now = timezone.now()
        if CONFIRMED not in request.POST:
            return preview
        if shown.is_held(policy, now):
            messages.error(request, "Nothing was done: it is held, because rows were restored.")
            return preview
        try:
            run = plan_retention(dataset=policy.dataset, by=request.user.get_username(), now=now)
        except DomainError as refusal:
            messages.error(request, f"Nothing was done. {refusal.message}")
            return preview
        messages.success(request, f"{self.page_title(policy)}: the run begins within a minute.")
        return HttpResponseRedirect(run_url(run.execution_id))

    # --- changing it ----------------------------------------------------------------------

    def edit_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the form, or change the policy by the service that judges what may be."""
        policy = self.policy_of(request, object_id)
        if not request.user.has_perm(CHANGE):
            raise PermissionDenied
        found = shown.known(policy.dataset)
        if found is None:
            raise Http404
        now = timezone.now()
        form = PolicyForm(
            request.POST if request.method == "POST" else None,
            policy=policy,
            dataset=found,
            held=shown.is_held(policy, now),
        )
        if request.method == "POST" and form.is_valid():
            try:
                change_policy(
                    policy=policy, changes=form.changes(), by=request.user.get_username(), now=now
                )
            except DomainError as refusal:
                form.refuse(refusal.errors, refusal.message)
            else:
                messages.success(request, f"{found.title}: saved.")
                return HttpResponseRedirect(shown.address(RetentionPolicy, "change", policy.pk))
        return self.answer(request, policy, "edit", {"form": form, "dataset": found})

    # --- what these pages share -----------------------------------------------------------

    def policy_of(self, request: HttpRequest, object_id: str) -> RetentionPolicy:
        """Return the policy of an address, for those who may see it; 404 where there is none."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        policy = self.get_object(request, unquote(object_id)) if "\0" not in object_id else None
        if policy is None:
            raise Http404
        return policy

    def answer(
        self, request: HttpRequest, policy: RetentionPolicy, tab: str, context: dict[str, Any]
    ) -> HttpResponse:
        """Answer with one tab of a policy."""
        frame = {
            **self.admin_site.each_context(request),
            "title": f"{self.page_title(policy)}: {tab}",
            "opts": self.opts,
            "obj": policy,
            "original": policy,
            "page_title": self.page_title(policy),
            "page_badges": self.page_badges(policy),
            "tabs": self.page_tabs(request, policy, active=tab),
        }
        request.current_app = self.admin_site.name
        name = f"admin/retention/policy_{tab}.html"
        return TemplateResponse(request, name, frame | context)


def badges(policy: RetentionPolicy) -> SafeString:
    """Return the states of a policy in one cell."""
    told = format_html_join("", "{}", ((each,) for each in shown.states(policy, timezone.now())))
    return format_html('<span class="b-badges">{}</span>', told)


def stays_in_short(policy: RetentionPolicy) -> SafeString:
    """Return how much of a dataset stays for good: how many rules, each by name on hover."""
    found = shown.known(policy.dataset)
    if found is None:
        return display.empty("No app declares this dataset any more.")
    never = [each.why for each in found.mandatory]
    named = shown.chosen(policy)
    chosen = [each.why for each in found.exempt if each.name in named]
    if not never and not chosen:
        return display.empty("Nothing of it: all that is old leaves.")
    first = (never + chosen)[0]
    more = len(never) + len(chosen) - 1
    return format_html(
        '<span class="b-tip b-retention-stays" title="{}">{}{}</span>',
        "Stays if " + "; if ".join(never + chosen),
        f"{more + 1} rules: " if more else "",
        first,
    )
