"""Decisions in the admin: a list that scans well, and the page that tells why, and what came."""

from typing import Any

from django.contrib import admin
from django.db.models import F, QuerySet
from django.db.models.functions import Left
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from apps.agents.admin import decision_rows, shown
from apps.agents.admin.decision_pages import DecisionStory
from apps.agents.admin.decision_rows import NOT_AN_OPENING, NOT_TOLD, OPENINGS
from apps.agents.admin.finding import AgentFilter, FindMixin, agent_link, narrow
from apps.agents.admin.outcomes import CHANGES, EXCURSIONS, change, outcome
from apps.agents.choices import COLORS, DecisionStatus
from apps.agents.models import AgentDecision, LLMCall, TradingAgent
from apps.shared import display
from apps.shared.admin import FactAdmin
from apps.shared.admin.figures import money, size

READ = "agents.read_llmcall"


@admin.register(AgentDecision)
class AgentDecisionAdmin(FindMixin, FactAdmin):
    list_display = [
        "shown_action", "coin", "timestamp", "agent_name", "shown_status", "shown_size",
        "leverage", "confidence", "shown_outcome", "in_1h", "in_24h", "prompt_version", "said",
    ]  # fmt: skip
    list_display_links = ["shown_action", "coin"]
    list_filter = [
        "timestamp", "status", "action", "coin", ("agent", AgentFilter), "prompt_version",
        "confidence", "leverage", "size_usd", "outcome__is_hit",
    ]  # fmt: skip
    search_fields = ["=id", "=call", "=coin"]
    search_help_text = "Exact id of a decision or of its call, or coin"
    found_by = ("coin",)
    found_by_ids = ("pk", "call")
    narrowing = ("call", "call__id__exact")
    time = "timestamp"
    default_period = "week"
    ordering = ["-timestamp", "-id"]
    sortable_by = ["timestamp"]
    colors = COLORS
    titles = {"prompt_version": "Prompt", "leverage": "Lev.", "confidence": "Conf."}
    shows = {
        "confidence": display.share,
        "leverage": display.times,
        "prompt_version": narrow,
        **dict.fromkeys(["size_usd", "account_value", "withdrawable"], money),
        **dict.fromkeys(["entry_price", "stop_loss_price", "take_profit_price"], size),
    }
    empty_reasons = {
        **dict.fromkeys(["action", "coin"], "It could not be read."),
        **dict.fromkeys(["size_usd", "leverage", "stop_loss_price", "take_profit_price",
                         "confidence", "prompt_version", "execution_time_ms"], NOT_TOLD),
        "call": "It was told alone: no call of a model came with it.",
        "symbol": "The agent has no symbol for this coin.",
        "direction": "It takes no side, or which one is not known.",
        "entry_price": "No price was told, and none was known then.",
        "account_value": "It was not told, nor known.",
        "withdrawable": "It was not told, nor known.",
        "reasoning": "It gives no reason.",
        "error_message": "Nothing went wrong.",
    }  # fmt: skip
    empty_hint = "Agents report them by POST /api/v1/agents/calls/, a cycle at a time, with a key."
    # The object that it was read from, and a piece of the answer that could not be read.
    private = ["chain_of_thought", "raw"]
    export_fields = [
        "id", "agent", "agent__name", "call", "timestamp", "place", "status", "action", "coin",
        "symbol", "direction", "size_usd", "leverage", "stop_loss_price", "take_profit_price",
        "confidence", "entry_price", "account_value", "withdrawable", "reasoning",
        "error_message", "violations", "prompt_version", "execution_time_ms", "outcome__status",
        "outcome__is_hit", *(f"outcome__{name}" for name in [*CHANGES, *EXCURSIONS]),
        "outcome__first_touch",
    ]  # fmt: skip
    page_template = "admin/agents/decision.html"
    groups = [
        ("Decided", ["action", "coin", "symbol", "direction", "size_usd", "leverage",
                     "stop_loss_price", "take_profit_price", "confidence"]),
        ("Held against", ["entry_price", "account_value", "withdrawable"]),
        ("Where from", ["agent", "call", "place", "prompt_version", "execution_time_ms",
                        "timestamp", "created_at"]),
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[AgentDecision]:
        rows = super().get_queryset(request).select_related("agent", "outcome")
        return rows.defer(
            "chain_of_thought", "raw", "agent__strategy_description", "agent__extra_metadata"
        )

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        found = super().get_object(request, object_id, from_field)
        if found is not None and found.call_id is not None:
            # Never the texts of the call, which most of the staff may not read.
            found.call = LLMCall.objects.defer("prompt", "answer").get(pk=found.call_id)
        return found

    def listed(self, queryset: QuerySet) -> QuerySet:
        limit = display.READ_TEXT_LIMIT
        return super().listed(queryset).annotate(
            cut_reasoning=Left("reasoning", limit), cut_error=Left("error_message", limit),
            broke=F("violations"),
        )  # fmt: skip

    @admin.display(description="Action")
    def shown_action(self, obj: AgentDecision) -> SafeString:
        return decision_rows.action(obj.action)

    @admin.display(description="Agent")
    def agent_name(self, obj: AgentDecision) -> SafeString:
        return agent_link(obj.agent)

    @admin.display(description="Status")
    def shown_status(self, obj: AgentDecision) -> SafeString:
        return decision_rows.status(obj)

    @admin.display(description="Size")
    def shown_size(self, obj: AgentDecision) -> SafeString:
        if obj.action in OPENINGS:
            return money(obj.size_usd, NOT_TOLD, obj.agent.quote_currency)
        return display.empty(NOT_AN_OPENING, figure=True)

    @admin.display(description="Outcome")
    def shown_outcome(self, obj: AgentDecision) -> SafeString:
        return outcome(getattr(obj, "outcome", None))

    @admin.display(description="1 h")
    def in_1h(self, obj: AgentDecision) -> SafeString:
        return self.changed(obj, "change_1h")

    @admin.display(description="24 h")
    def in_24h(self, obj: AgentDecision) -> SafeString:
        return self.changed(obj, "change_24h")

    def changed(self, obj: AgentDecision, name: str) -> SafeString:
        found = getattr(obj, "outcome", None)
        return change(getattr(found, name, None), found)

    @admin.display(description="Why")
    def said(self, obj: Any) -> SafeString:
        """Return the reason it gives, or what speaks against it."""
        wrong = " ".join(decision_rows.sentences(obj.broke)) or obj.cut_error
        if obj.status != DecisionStatus.SUCCESS and wrong:
            return display.short_text(wrong)
        return display.short_text(obj.cut_reasoning, "It gives no reason.")

    def page_title(self, obj: AgentDecision) -> str:
        return f"{obj.get_action_display() or 'Unreadable'} {obj.coin}".strip()

    def page_badges(self, obj: AgentDecision) -> list[SafeString]:
        agent = shown.link(TradingAgent, obj.agent_id, obj.agent.name)
        badges = [decision_rows.status(obj), outcome(getattr(obj, "outcome", None))]
        return [*badges, shown.mode(obj.agent.mode), agent, display.age(obj.timestamp)]

    def page_context(self, request: HttpRequest, obj: AgentDecision) -> dict[str, Any]:
        may_read = request.user.has_perm(READ)
        story = DecisionStory(obj, may_read=may_read, now=timezone.now())
        return {
            "story": story,
            "may_read": may_read,
            "texts": story.texts,
            "no_texts": story.no_texts,
        }
