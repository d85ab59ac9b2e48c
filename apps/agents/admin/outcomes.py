"""What became of decisions, in the admin: judged in their direction, a HOLD both ways."""

from decimal import Decimal

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.agents.admin import shown
from apps.agents.admin.finding import AgentFilter, FindMixin, agent_link
from apps.agents.choices import COLORS, OutcomeStatus, Side
from apps.agents.models import AgentDecision, DecisionOutcome
from apps.shared import display
from apps.shared.admin import DerivedAdmin

CHANGES = ["change_1h", "change_4h", "change_24h"]
EXCURSIONS = ["max_gain", "max_loss"]
NO_OUTCOME = "Nothing is judged of it."
BOTH_WAYS = "It takes no side: what buying would have brought; selling the negative of it."


def outcome(found: DecisionOutcome | None) -> SafeString:
    """Return what became of a decision in one badge."""
    if found is None:
        return display.empty(NO_OUTCOME)
    note = display.visible(found.note)
    if found.status == OutcomeStatus.NO_CLAIM:
        return display.badge("No claim", "default", note or "There is nothing to judge.")
    if found.status == OutcomeStatus.OPEN:
        return display.badge("Open", "info", "Prices are still to come.")
    if found.is_hit is not None:
        words, tone = ("Hit", "success") if found.is_hit else ("Miss", "danger")
        return display.badge(words, tone, "By the change in its direction after 24 hours.")
    if not found.direction:
        return display.badge("Both ways", "default", note or BOTH_WAYS)
    return display.badge("Undecided", "warning", note or "A price that could decide is missing.")


def change(value: Decimal | None, found: DecisionOutcome | None, reason: str = "") -> SafeString:
    """Return a change in percent; where no side is taken it is nobody's gain or loss."""
    if value is None or found is None:
        return display.empty(reason or why_empty(found), figure=True)
    if found.direction:
        return display.signed_pct(value)
    return format_html(
        '<span class="b-num b-quiet b-tip" title="{}">{}</span>',
        BOTH_WAYS,
        display.pct_words(value),
    )


def why_empty(found: DecisionOutcome | None) -> str:
    """Return why a figure of an outcome is empty."""
    if found is None:
        return NO_OUTCOME
    if found.status == OutcomeStatus.OPEN:
        return "Not known yet."
    return display.visible(found.note) or "Not known."


@admin.register(DecisionOutcome)
class DecisionOutcomeAdmin(FindMixin, DerivedAdmin):
    list_display = [
        "action", "symbol", "moment", "agent_name", "shown_outcome", "in_1h", "in_4h", "in_24h",
        "first_touch", "confidence", "is_accepted", "shown_decision",
    ]  # fmt: skip
    list_filter = [
        "moment", ("agent", AgentFilter), "status", "is_hit", "action", "symbol", "first_touch",
        "is_accepted", "prompt_version", "confidence", "change_24h",
    ]  # fmt: skip
    list_select_related = ["agent"]
    search_fields = ["=decision_id", "=symbol"]
    search_help_text = "Exact id of the decision, or symbol"
    found_by = ("symbol",)
    found_by_ids = ("decision",)
    time = "moment"
    default_period = "week"
    ordering = ["-moment", "-id"]
    sortable_by = ["moment"]
    colors = COLORS
    signed = [*CHANGES, *EXCURSIONS]
    shows = {"confidence": display.share}
    short_texts = ["note"]
    empty_reasons = {
        "action": "It could not be read.",
        "symbol": "The agent has no symbol for its coin, or it names no coin.",
        "first_touch": "Neither target nor stop was named, or the day is not over.",
        "first_touch_at": "Neither target nor stop was touched.",
        "is_hit": "It takes no side, or a price that could decide is missing.",
        "confidence": "None was told, or none that is a probability.",
        "direction": "It takes no side, or which one is not known.",
        "prompt_version": "None was told.",
        "source": "No candles to judge on yet.",
        "granularity": "No candles to judge on yet.",
        "settled_at": "It is settled once 24 hours have passed.",
        "due_at": "It waits for nothing.",
        "next_hours": "It waits for nothing.",
        "note": "Nothing is empty that would need a reason.",
        "target": "None was named.",
        "stop": "None was named.",
        **dict.fromkeys(
            ["entry_price", "price_1h", "price_4h", "price_24h", *CHANGES, *EXCURSIONS],
            "Not known yet, or no candle near that time.",
        ),
    }
    empty_hint = "Each decision gets one of these the moment it is stored."
    export_fields = [
        "decision", "agent", "moment", "symbol", "action", "direction", "is_accepted",
        "confidence", "prompt_version", "status", "is_hit", "source", "granularity", "entry_price",
        "price_1h", "price_4h", "price_24h", *CHANGES, *EXCURSIONS, "target", "stop", "first_touch",
        "first_touch_at", "note", "settled_at",
    ]  # fmt: skip
    groups = [
        ("Outcome", ["shown_decision", "agent", "shown_outcome", "status", "is_hit", "settled_at",
                     "first_touch", "first_touch_at", "note"]),
        ("What it would have brought", ["takes", "in_1h", "in_4h", "in_24h", "best", "worst"]),
        ("Judged on", ["symbol", "source", "granularity", "entry_price", "price_1h", "price_4h",
                       "price_24h", "target", "stop", "next_hours", "due_at", "updated_at"]),
        ("The decision", ["moment", "action", "direction", "confidence", "is_accepted",
                          "prompt_version"]),
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[DecisionOutcome]:
        rows = super().get_queryset(request).select_related("agent")
        return rows.defer("agent__strategy_description", "agent__extra_metadata")

    @admin.display(description="Decision")
    def shown_decision(self, obj: DecisionOutcome) -> SafeString:
        return shown.id_link(AgentDecision, obj.decision_id, "")

    @admin.display(description="Agent")
    def agent_name(self, obj: DecisionOutcome) -> SafeString:
        return agent_link(obj.agent)

    @admin.display(description="Outcome")
    def shown_outcome(self, obj: DecisionOutcome) -> SafeString:
        return outcome(obj)

    @admin.display(description="By")
    def takes(self, obj: DecisionOutcome) -> SafeString:
        if not obj.direction:
            return display.badge("Buying", "default", BOTH_WAYS)
        return shown.badge(Side, obj.direction)

    @admin.display(description="Best in 24 h")
    def best(self, obj: DecisionOutcome) -> SafeString:
        return change(obj.max_gain, obj)

    @admin.display(description="Worst in 24 h")
    def worst(self, obj: DecisionOutcome) -> SafeString:
        return change(obj.max_loss, obj)

    @admin.display(description="1 h")
    def in_1h(self, obj: DecisionOutcome) -> SafeString:
        return change(obj.change_1h, obj)

    @admin.display(description="4 h")
    def in_4h(self, obj: DecisionOutcome) -> SafeString:
        return change(obj.change_4h, obj)

    @admin.display(description="24 h")
    def in_24h(self, obj: DecisionOutcome) -> SafeString:
        return change(obj.change_24h, obj)

    def page_title(self, obj: DecisionOutcome) -> str:
        return f"{obj.get_action_display()} {obj.symbol}".strip() or "Decision outcome"

    def page_badges(self, obj: DecisionOutcome) -> list[SafeString]:
        return [outcome(obj), display.age(obj.moment)]
