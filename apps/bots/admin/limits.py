"""Limits in the admin: how near they are, and the form that sets one."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter

from apps.bots.admin import limit_shown as shown
from apps.bots.admin import money
from apps.bots.admin.limit_forms import LimitForm, suggestions
from apps.bots.admin.limit_pages import LimitStory
from apps.bots.choices import COLORS, LimitStatus, TradeType
from apps.bots.models import TradingLimit
from apps.bots.services.limits import cancel_limits, rearm_limits, store_limits
from apps.shared import display
from apps.shared.admin import EntityAdmin
from apps.shared.admin.steps import MOST_NAMED, Step, StepsMixin

CANCEL_ASKS = (
    "A cancelled limit guards nothing any more and stays cancelled. What it would have stopped,"
    " goes on."
)
REARM_ASKS = (
    "Each one that fired stays as the record of what happened; a new one like it counts from now"
    " on. What it measures is not forgiven: a daily loss that is still beyond its threshold fires"
    " again at the next look. Bots that were paused or stopped stay so."
)


class NearFilter(DropdownFilter):
    """Active limits by how much of them is used up."""

    title = "used up"
    parameter_name = "used"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("near", "80 % and more"), ("half", "50 % and more")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        least = {"near": shown.NEAR, "half": "0.5"}.get(self.value() or "")
        if least is None:
            return queryset
        return queryset.filter(status=LimitStatus.ACTIVE, usage__gte=least)

    def chips(self) -> list[tuple[str, list[str]]]:
        words = dict(self.lookup_choices).get(self.value() or "")
        return [(f"used up: {words}", [self.parameter_name])] if words else []


@admin.register(TradingLimit)
class TradingLimitAdmin(StepsMixin, EntityAdmin):
    list_display = [
        "kind", "scope", "used", "standing", "does", "status", "fired",
    ]  # fmt: skip
    list_filter = [
        "created_at", "status", "limit_type", NearFilter, "type", "bot", "symbol", "triggered_at",
    ]  # fmt: skip
    search_fields = ["=id", "=symbol", "=bot__id"]
    search_help_text = "Exact id, symbol or bot"
    large_table = True
    time = "created_at"
    ordering = ["-created_at", "-id"]
    sortable_by: Sequence[str] = []
    colors = COLORS
    empty_hint = "Set one here, or by POST /api/v1/bots/limits/ with a key."
    empty_reasons = {
        "bot": "It holds all bots of its type.",
        "symbol": "It holds all symbols.",
        "lot": "It is about no single lot.",
        "currency": "It does not count money.",
        "size": "It is about all that is held.",
        "reference_price": "No price was known when it was set.",
        "evaluated_at": shown.NOT_EVALUATED,
        "triggered_at": shown.NOT_FIRED,
        "trigger_price": shown.NOT_FIRED,
        "cancelled_at": "It was not cancelled.",
        "cancelled_by": "It was not cancelled.",
        "notes": "None were written.",
    }
    page_template = "admin/bots/limit.html"
    groups = [
        ("Limit", ["id", "limit_type", "bot", "symbol", "lot", "type", "direction", "size",
                   "action", "notes"]),
        ("Times", ["created_at", "evaluated_at", "triggered_at", "cancelled_at", "cancelled_by"]),
    ]  # fmt: skip
    steps = [
        Step("cancel", "Cancel", "cancelled", cancel_limits,
             lambda limit: limit.status == LimitStatus.ACTIVE, CANCEL_ASKS),
        Step("rearm", "Arm again", "set anew", rearm_limits,
             lambda limit: limit.status == LimitStatus.TRIGGERED, REARM_ASKS),
    ]  # fmt: skip

    def ask(
        self, step: Step, request: HttpRequest, rows: QuerySet, *, back: str, listed: bool = False
    ) -> HttpResponse:
        """As the base's, each limit named by what it does: ids of ours say nothing."""
        answer: Any = super().ask(step, request, rows, back=back, listed=listed)
        fitting = [limit for limit in rows if step.fits(limit)]
        answer.context_data["named"] = [shown.told(limit) for limit in fitting[:MOST_NAMED]]
        return answer

    # A limit is set once; who means something else cancels it and sets another.

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="Limit")
    def kind(self, obj: TradingLimit) -> str:
        return shown.short_kind(obj)

    @admin.display(description="Holds")
    def scope(self, obj: TradingLimit) -> SafeString:
        return shown.scope(obj)

    @admin.display(description="Used up")
    def used(self, obj: TradingLimit) -> SafeString:
        return shown.usage_bar(obj)

    @admin.display(description="Stands at")
    def standing(self, obj: TradingLimit) -> SafeString:
        return shown.standing(obj)

    @admin.display(description="Does")
    def does(self, obj: TradingLimit) -> SafeString:
        return shown.short_action(obj)

    @admin.display(description="Fired")
    def fired(self, obj: TradingLimit) -> SafeString:
        return shown.fired(obj)

    # --- the page -------------------------------------------------------------------------

    def page_title(self, obj: TradingLimit) -> str:
        return f"{shown.kind_words(obj)} at {shown.bound_words(obj)}"

    def page_badges(self, obj: TradingLimit) -> list[SafeString]:
        kind = display.badge(str(TradeType(obj.type).label), COLORS[obj.type])
        return [shown.state(obj), kind, shown.action(obj)]

    def page_context(self, request: HttpRequest, obj: TradingLimit) -> dict[str, Any]:
        story = LimitStory(obj, now=timezone.now(), user=request.user)
        return super().page_context(request, obj) | {"story": story}

    # --- setting one ----------------------------------------------------------------------

    def add_view(
        self,
        request: HttpRequest,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the form, or set the limit by the service that the API sets them by."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = LimitForm(request.POST or None, initial=LimitForm.asked(request.GET))
        if request.method == "POST" and form.is_valid() and self.set_limit(request, form):
            pk = form.cleaned_data["id"]
            messages.success(request, "The limit is set.")
            return HttpResponseRedirect(money.thing_url("tradinglimit", pk))
        return TemplateResponse(
            request,
            "admin/bots/limit_form.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": "Set a limit",
                "form": form,
                "suggestions": suggestions(),
            },
        )

    def set_limit(self, request: HttpRequest, form: LimitForm) -> bool:
        """Set what the form asks for; the same form sent twice sets one limit."""
        with transaction.atomic():
            outcome = store_limits([form.row()], now=timezone.now())
            if outcome.created:
                limit = TradingLimit.objects.get(pk=form.cleaned_data["id"])
                self.log_addition(request, limit, "Set by hand.")
        for result in outcome.results:
            form.refuse(result.errors)
        return not outcome.failed
