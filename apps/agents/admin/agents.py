"""Agents in the admin: a list that says how each stands, and the page of one as it goes on."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from apps.agents.admin import shown, standing_rows
from apps.agents.admin.agent_forms import AgentForm
from apps.agents.admin.agent_pages import AgentStory
from apps.agents.admin.performance import percent, unread
from apps.agents.admin.wishes import STEPS
from apps.agents.choices import COLORS, AgentStatus, Period
from apps.agents.models import AgentDecision, AgentStanding, TradingAgent
from apps.agents.services.accounts import accounts_of
from apps.agents.services.agents import FIXED_BY_TRADES, register_agents
from apps.agents.services.spend import NOTHING, spent_today
from apps.shared import display
from apps.shared.admin import EntityAdmin
from apps.shared.admin.changelist import ThingChangeList
from apps.shared.admin.figures import money, unit, with_unit
from apps.shared.admin.live import LiveMixin
from apps.shared.admin.steps import StepsMixin

NOT_DESCRIBED = "Whoever runs it has not told."


def without_zeros(shown_value: str) -> str:
    """Return an amount that Django has put into words without the zeros that pad it."""
    text = str(shown_value)
    return text.rstrip("0").rstrip(".") if "." in text else text


class AgentChangeList(ThingChangeList):
    """A list whose rows know how their agents stand, read once for all of them."""

    result_list: Any

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        # One read for all rows: a queryset would be asked anew for them.
        self.result_list = list(self.result_list)
        self.model_admin.prepare_rows(self.result_list)


@admin.register(TradingAgent)
class TradingAgentAdmin(LiveMixin, StepsMixin, EntityAdmin):
    form = AgentForm
    steps = STEPS
    list_display = [
        "shown_name", "status", "mode", "shown_model", "worth", "shown_verdict", "shown_rank",
        "spent", "budget", "decided",
    ]  # fmt: skip
    list_filter = ["status", "mode", "llm_model", "provider", "created_at"]
    search_fields = ["name", "llm_model", "bot_id"]
    ordering = ["name"]
    colors = COLORS
    live_seconds = 10
    empty_hint = (
        "An agent announces itself by POST /api/v1/agents/agents/ with a key, or is added here."
    )
    empty_reasons = {
        "provider": NOT_DESCRIBED,
        "exchange_account": NOT_DESCRIBED,
        "min_confidence": "Any confidence will do.",
        "daily_budget": shown.NO_BUDGET,
        "benchmark_coin": "It trades no coin.",
        "strategy_description": NOT_DESCRIBED,
        "bot_id": "Its program tells of its life under no name of a bot.",
        "extra_metadata": "Nothing was sent along.",
    }
    shows = {
        "initial_balance": money,
        "daily_budget": shown.cost,
        "min_confidence": display.share,
        "max_leverage": lambda value, reason: display.times(Decimal(value), reason),
        **dict.fromkeys(["max_position_size", "stop_loss_pct", "take_profit_pct"], percent),
    }
    readonly_preprocess_fields = {"initial_balance": without_zeros}
    page_template = "admin/agents/agent.html"
    groups = [
        ("Described", ["llm_model", "provider", "exchange_account", "quote_currency",
                       "initial_balance", "strategy_description", "created_at", "updated_at"]),
        ("How far it may go", ["max_position_size", "max_leverage", "stop_loss_pct",
                               "take_profit_pct", "min_confidence", "daily_budget"]),
        ("What it trades", ["traded", "benchmark_coin", "bot", "extra_metadata"]),
    ]  # fmt: skip
    fieldsets = [
        (None, {"fields": ["name", ("llm_model", "provider"), ("mode", "exchange_account"),
                           ("quote_currency", "initial_balance")]}),
        ("How far it may go", {"fields": [("max_position_size", "max_leverage"),
                                          ("stop_loss_pct", "take_profit_pct"),
                                          ("min_confidence", "daily_budget")]}),
        ("What it trades", {"fields": ["coins", "benchmark_coin"]}),
        ("What it is", {"fields": ["strategy_description", "bot_id", "extra_metadata"]}),
    ]  # fmt: skip

    # --- the list -------------------------------------------------------------------------

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ThingChangeList]:
        return AgentChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[TradingAgent]:
        rows = super().get_queryset(request)
        listed = getattr(request.resolver_match, "url_name", "") == self.url_name("changelist")
        return rows.defer(*unread()) if listed else rows

    def prepare_rows(self, rows: Sequence[Any]) -> None:
        now, ids = timezone.now(), [agent.pk for agent in rows]
        accounts, spent = accounts_of(ids, now=now), spent_today(ids, now=now)
        own = AgentStanding.objects.filter(agent__in=ids, period=Period.ALL, prompt_version="")
        standings = {row.agent_id: row for row in own}
        newest = AgentDecision.objects.filter(agent=OuterRef("pk")).order_by("-timestamp")
        decided = Subquery(newest.values("timestamp")[:1])
        last = TradingAgent.objects.filter(pk__in=ids).values_list("pk", decided)
        moments = dict(last)
        for agent in rows:
            agent.account = accounts.get(agent.pk)
            agent.standing = standings.get(agent.pk)
            agent.today = spent.get(agent.pk, NOTHING)
            agent.decided_at = moments.get(agent.pk)

    @admin.display(description="Name", ordering="name")
    def shown_name(self, obj: TradingAgent) -> SafeString:
        return display.short_text(obj.name)

    @admin.display(description="Model", ordering="llm_model")
    def shown_model(self, obj: TradingAgent) -> SafeString:
        return display.short_text(obj.llm_model)

    @admin.display(description="Account")
    def worth(self, obj: Any) -> SafeString:
        value: Decimal | None = obj.account.value if obj.account else None
        currency = obj.quote_currency
        return with_unit(money(value, "Not known.", currency), currency)

    @admin.display(description="Verdict")
    def shown_verdict(self, obj: Any) -> SafeString:
        return shown.verdict(obj.standing)

    @admin.display(description="Rank")
    def shown_rank(self, obj: Any) -> SafeString:
        return standing_rows.rank(obj.standing)

    @admin.display(description="Spent today")
    def spent(self, obj: Any) -> SafeString:
        return shown.cost(obj.today.amount)

    @admin.display(description="Of its budget")
    def budget(self, obj: Any) -> SafeString:
        return shown.spend(obj.today.amount, obj.daily_budget)

    @admin.display(description="Last decision")
    def decided(self, obj: Any) -> SafeString:
        return display.age(obj.decided_at, "It has decided nothing yet.")

    # --- the form -------------------------------------------------------------------------

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[Any]:
        # What its trades were counted with: changed, every figure of it would be wrong.
        return list(FIXED_BY_TRADES) if obj is not None and obj.trades.exists() else []

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Store what describes it as a program would."""
        stored = register_agents([obj], now=timezone.now())
        for result in stored.results:
            for error in result.errors:
                messages.error(request, f"It was not stored. {error.pointer}: {error.message}")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only what never did anything can go; the rest stays on record."""
        allowed: bool = super().has_delete_permission(request, obj)
        if obj is None or not allowed:
            return allowed
        kept = (obj.trades, obj.decisions, obj.calls)
        return not any(rows.exists() for rows in kept)

    # --- the page -------------------------------------------------------------------------

    def is_live(self, obj: TradingAgent) -> bool:
        return obj.status != AgentStatus.STOPPED

    @admin.display(description="Coins")
    def traded(self, obj: TradingAgent) -> SafeString:
        return shown.coins(obj.coins)

    @admin.display(description="Bot")
    def bot(self, obj: TradingAgent) -> SafeString:
        return display.text(obj.bot_id, self.empty_reasons["bot_id"])

    def page_badges(self, obj: TradingAgent) -> list[SafeString]:
        own = AgentStanding.objects.filter(agent=obj, period=Period.ALL, prompt_version="")
        return [shown.status(obj.status), shown.mode(obj.mode), shown.verdict(own.first())]

    def page_context(self, request: HttpRequest, obj: TradingAgent) -> dict[str, Any]:
        story = AgentStory(obj, now=timezone.now())
        known = super().page_context(request, obj)
        return known | {
            "story": story,
            "bot_url": shown.bot_url(request, obj.bot_id),
            "currency": unit(obj.quote_currency),
        }
