"""Model calls in the admin: what each cost, and what was said, for those who may read it."""

from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.agents.admin import shown
from apps.agents.admin.decision_rows import NOT_TOLD, decision_row
from apps.agents.admin.finding import AgentFilter, FindMixin, agent_link, narrow
from apps.agents.admin.texts import TEXTS, Reading, text_url
from apps.agents.choices import COLORS, CallStatus, CostSource
from apps.agents.models import AgentDecision, LLMCall, LLMPrice, TradingAgent
from apps.shared import display
from apps.shared.admin import FactAdmin
from apps.shared.admin.figures import money

READ = "agents.read_llmcall"
MOST_DECISIONS = 200
NO_TOKENS = "Neither a cost nor the tokens were told."
NO_PRICE = "The price table has no price of this model for its time."
SOURCES = {
    CostSource.GIVEN: "As the agent told.",
    CostSource.TABLE: "By its tokens and the price table.",
}
# What is sent is text: no browser takes it for a page, and nothing in it may act.
SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


def why_no_cost(call: LLMCall) -> str:
    """Return why nobody knows what a call cost."""
    return NO_TOKENS if call.tokens_in is None or call.tokens_out is None else NO_PRICE


def cost(call: LLMCall) -> SafeString:
    """Return what a call cost in US dollars, and where that is from on hover."""
    if call.cost is None:
        return display.empty(why_no_cost(call), figure=True)
    return money(call.cost, "", "USD")


def latency(value: int | None, reason: str = "") -> SafeString:
    return display.milliseconds(None if value is None else Decimal(value), reason)


def status(call: LLMCall) -> SafeString:
    return shown.badge(CallStatus, call.status)


class CallStory:
    """Everything the template of a call's page asks for, each read once."""

    def __init__(self, call: LLMCall, *, may_read: bool, now: datetime) -> None:
        self.call = call
        self.may_read = may_read
        self.now = now

    @property
    def cost(self) -> SafeString:
        return cost(self.call)

    @property
    def cost_from(self) -> SafeString | str:
        """Return where the cost is from, or what would give it one."""
        if self.call.cost is not None:
            return SOURCES[CostSource(self.call.cost_source)]
        why = why_no_cost(self.call)
        prices = shown.list_of(LLMPrice)
        if why == NO_TOKENS or not prices:
            return why
        return format_html("{} {}", why, display.link(prices, "Add one"))

    @property
    def latency(self) -> SafeString:
        return latency(self.call.latency_ms, NOT_TOLD)

    @property
    def accepted(self) -> SafeString:
        call = self.call
        if not call.decisions_count:
            return display.empty("No decision came of it.", figure=True)
        return display.figure(f"{call.accepted_count:,} of {call.decisions_count:,}")

    @cached_property
    def decisions(self) -> list[dict[str, Any]]:
        rows = AgentDecision.objects.filter(call=self.call.pk).select_related("outcome", "agent")
        rows = rows.defer("chain_of_thought", "raw").order_by("place", "id")
        return [decision_row(row) for row in rows[:MOST_DECISIONS]]

    @property
    def altered(self) -> list[tuple[str, str]]:
        """Return what of the texts is not as it was sent, field by field."""
        told = self.call.altered
        if not isinstance(told, dict):
            return []
        return [(str(name), str(what)) for name, what in sorted(told.items())]

    @cached_property
    def texts(self) -> list[Reading]:
        """Return answer and prompt for those who may read them; nobody else's page asks."""
        if not self.may_read:
            return []
        return [
            Reading(name, text, whole_url=text_url(self.call.pk, name))
            for name in TEXTS
            if (text := getattr(self.call, name))
        ]


@admin.register(LLMCall)
class LLMCallAdmin(FindMixin, FactAdmin):
    list_display = [
        "name", "timestamp", "agent_name", "provider", "prompt_version", "shown_status",
        "tokens_in", "tokens_out", "shown_cost", "shown_latency", "accepted", "error",
    ]  # fmt: skip
    list_filter = [
        "timestamp", ("agent", AgentFilter), "status", "provider", "model", "prompt_version",
        "cost_source", "cost", "latency_ms", "tokens_in", "tokens_out",
    ]  # fmt: skip
    # Never the texts: whoever searches would read what he may not.
    search_fields = ["=id", "=model", "=provider"]
    search_help_text = "Exact id, model or provider"
    found_by = ("model", "provider")
    names_are_indexed = False
    time = "timestamp"
    default_period = "week"
    ordering = ["-timestamp", "-id"]
    sortable_by = ["timestamp"]
    colors = COLORS
    titles = {"prompt_version": "Prompt"}
    shows = {"latency_ms": latency, "provider": narrow, "prompt_version": narrow}
    empty_reasons = {
        **dict.fromkeys(["provider", "model", "prompt_version", "tokens_in", "tokens_out",
                         "cycle", "latency_ms", "temperature", "max_tokens", "account_value",
                         "withdrawable", "positions"], NOT_TOLD),
        "cost_source": "What it cost is not known.",
        "error": "Nothing went wrong.",
        "altered": "Nothing was replaced, redacted or cut.",
        "extra_metadata": "Nothing was sent along.",
    }  # fmt: skip
    empty_hint = "Agents report them by POST /api/v1/agents/calls/, a cycle at a time, with a key."
    private = ["prompt", "answer"]
    export_fields = [
        "id", "agent", "agent__name", "timestamp", "cycle", "status", "provider", "model",
        "prompt_version", "tokens_in", "tokens_out", "cost", "cost_source", "latency_ms",
        "temperature", "max_tokens", "decisions_count", "accepted_count", "error",
    ]  # fmt: skip
    page_template = "admin/agents/call.html"
    groups = [
        ("Call", ["agent", "timestamp", "cycle", "provider", "name", "prompt_version",
                  "temperature", "max_tokens", "created_at"]),
        ("Cost", ["tokens_in", "tokens_out", "shown_cost", "cost_source", "latency_ms"]),
        ("What the agent saw", ["account_value", "withdrawable", "positions"]),
        ("Sent along", ["extra_metadata"]),
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[LLMCall]:
        rows = super().get_queryset(request).select_related("agent")
        return rows.defer(
            "prompt", "answer", "agent__strategy_description", "agent__extra_metadata"
        )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.text_view)
        own = path("<uuid:call_id>/text/<str:name>/", view, name="agents_llmcall_text")
        return [own, *super().get_urls()]

    def text_view(self, request: HttpRequest, call_id: Any, name: str) -> HttpResponse:
        """Answer with a text as nothing but text: made visible to read, as it is to download."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        if not self.has_view_permission(request) or not request.user.has_perm(READ):
            raise PermissionDenied
        if name not in TEXTS:
            raise Http404
        text = LLMCall.objects.filter(pk=call_id).values_list(name, flat=True).first()
        if text is None:
            raise Http404
        whole = "download" in request.GET
        answer = HttpResponse(
            text if whole else display.visible(text), content_type="text/plain; charset=utf-8"
        )
        kind = "attachment" if whole else "inline"
        answer["Content-Disposition"] = f'{kind}; filename="{name}-{str(call_id)[:8]}.txt"'
        for header, value in SAFE.items():
            answer[header] = value
        return answer

    @admin.display(description="Agent")
    def agent_name(self, obj: LLMCall) -> SafeString:
        return agent_link(obj.agent)

    @admin.display(description="Model")
    def name(self, obj: LLMCall) -> SafeString:
        return narrow(obj.model, NOT_TOLD)

    @admin.display(description="Status")
    def shown_status(self, obj: LLMCall) -> SafeString:
        return status(obj)

    @admin.display(description="Cost (USD)")
    def shown_cost(self, obj: LLMCall) -> SafeString:
        return cost(obj)

    @admin.display(description="Latency")
    def shown_latency(self, obj: LLMCall) -> SafeString:
        return latency(obj.latency_ms, NOT_TOLD)

    @admin.display(description="Accepted")
    def accepted(self, obj: LLMCall) -> SafeString:
        return CallStory(obj, may_read=False, now=obj.timestamp).accepted

    def page_title(self, obj: LLMCall) -> str:
        return f"Call {str(obj.pk)[: shown.BEGINNING]}"

    def page_badges(self, obj: LLMCall) -> list[SafeString]:
        agent = shown.link(TradingAgent, obj.agent_id, obj.agent.name)
        return [status(obj), shown.mode(obj.agent.mode), agent, display.age(obj.timestamp)]

    def page_context(self, request: HttpRequest, obj: LLMCall) -> dict[str, Any]:
        may_read = request.user.has_perm(READ)
        story = CallStory(obj, may_read=may_read, now=timezone.now())
        return {
            "story": story,
            "may_read": may_read,
            "texts": story.texts,
            "no_texts": "The call came without its prompt and its answer.",
        }
