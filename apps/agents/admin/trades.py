"""Trades of agents in the admin: a list that adds up what may be added, and the page of one."""

from functools import cached_property
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter

from apps.agents.admin import shown, trade_rows
from apps.agents.admin.finding import AgentFilter, FindMixin, agent_link
from apps.agents.admin.trade_pages import TradeStory
from apps.agents.admin.trade_rows import NOT_ENTERED, NOT_OVER, NOT_TOLD
from apps.agents.admin.trade_sums import MOST_ADDED, totals_of
from apps.agents.choices import COLORS, AgentMode, TradeStatus
from apps.agents.models import AgentDecision, AgentTrade, TradingAgent
from apps.agents.models.trades import AgentTradeQuerySet
from apps.shared import display
from apps.shared.admin import EntityAdmin
from apps.shared.admin.changelist import BoundedChangeList, ThingChangeList
from apps.shared.admin.figures import money, signed_money, size

MONEY = ["entry_fees", "exit_fees", "fees"]
PNL = ["gross_pnl", "realized_pnl", "reported_pnl", "unrealized_pnl"]


class ModeFilter(DropdownFilter):
    """Real money or pretended: what the agent trades with."""

    title = "mode"
    parameter_name = "mode"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(AgentMode.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        known = self.value() in AgentMode.values
        return queryset.filter(agent__mode=self.value()) if known else queryset

    def chips(self) -> list[tuple[str, list[str]]]:
        labels = dict(AgentMode.choices)
        if self.value() not in labels:
            return []
        return [(f"mode: {labels[self.value()]}", [self.parameter_name])]


class UnknownFilter(DropdownFilter):
    """Trades that are over, but nobody told at which price."""

    title = "P&L"
    parameter_name = "pnl"
    UNKNOWN = "unknown"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(self.UNKNOWN, "Unknown")]

    def queryset(self, request: HttpRequest, queryset: AgentTradeQuerySet) -> QuerySet:
        return queryset.pnl_unknown() if self.value() == self.UNKNOWN else queryset

    def chips(self) -> list[tuple[str, list[str]]]:
        asked = self.value() == self.UNKNOWN
        return [("P&L unknown", [self.parameter_name])] if asked else []


class TradeChangeList(BoundedChangeList):
    """A list with the sums of everything that its filters let through."""

    @cached_property
    def totals(self) -> dict[str, Any]:
        """Return the sums per mode and currency, or that there are too many rows for them."""
        found = totals_of(self.queryset)
        lines = [
            {
                "mode": shown.mode(line.mode),
                "currency": display.text(line.currency),
                "rows": display.number(line.rows),
                "open": display.number(line.open),
                "unknown": display.number(line.unknown),
                "won": display.figure(f"{line.won:,} of {line.won + line.lost:,}")
                if line.won + line.lost
                else display.empty("None has gained or lost.", figure=True),
                "gross": signed_money(line.gross, NOT_OVER, line.currency),
                "fees": trade_rows.paid(line.fees, NOT_OVER, line.currency),
                "net": signed_money(line.net, NOT_OVER, line.currency),
                "unrealized": signed_money(line.unrealized, "None is open.", line.currency),
            }
            for line in found.lines
        ]
        return {"lines": lines, "too_many": found.too_many, "most": MOST_ADDED}


@admin.register(AgentTrade)
class AgentTradeAdmin(FindMixin, EntityAdmin):
    list_display = [
        "coin", "shown_side", "agent_name", "mode", "shown_state", "size", "entry_price",
        "exit_price", "shown_fees", "net", "held", "because", "exit_reason",
    ]  # fmt: skip
    list_filter = [
        "entry_time", ("agent", AgentFilter), ModeFilter, "status", UnknownFilter, "coin", "side",
        "realized_pnl", "exit_time", "created_at",
    ]  # fmt: skip
    search_fields = ["=id", "=coin", "=hyperliquid_order_id"]
    search_help_text = "Exact id, coin or order"
    found_by = ("coin", "hyperliquid_order_id")
    large_table = True
    time = "entry_time"
    ordering = ["-created_at", "-id"]
    sortable_by = ["held"]
    colors = COLORS
    titles = {"entry_price": "Entry", "exit_price": "Exit",
              "exit_reason": "Ended by"}  # fmt: skip
    shows = {
        **dict.fromkeys(PNL, signed_money),
        **dict.fromkeys(MONEY, money),
        **dict.fromkeys(["size", "entry_price", "exit_price", "mark_price", "liquidation_price"],
                        size),
        "leverage": display.times,
    }  # fmt: skip
    list_before_template = "admin/agents/trades_before.html"
    empty_hint = "Agents report their trades by POST /api/v1/agents/trades/ with a key."
    export_fields = [
        "id", "agent", "agent__name", "agent__mode", "agent__quote_currency", "coin", "symbol",
        "side", "status", "size", "leverage", "entry_time", "entry_price", "exit_time",
        "exit_price", *MONEY, *PNL, "mark_price", "marked_at", "liquidation_price", "exit_reason",
        "decision", "close_decision", "hyperliquid_order_id", "created_at",
    ]  # fmt: skip
    empty_reasons = {
        **dict.fromkeys(["exit_price", "exit_time", "exit_fees", "gross_pnl", "realized_pnl",
                         "exit_reason"], "It is not over, or it was not told."),
        **dict.fromkeys(["leverage", "entry_time", "entry_fees", "fees", "hyperliquid_order_id"],
                        NOT_TOLD),
        "entry_price": NOT_ENTERED,
        "symbol": "The agent has no symbol for its coin.",
        "reported_pnl": "The agent has not told.",
        "unrealized_pnl": "It is not open, or no price is known.",
        "mark_price": "No price of its symbol is known.",
        "marked_at": "No price of its symbol is known.",
        "liquidation_price": "Neither told, nor does it follow from entry and leverage.",
        "decision": "It was told without the decision that opened it.",
        "close_decision": "No decision that closed it was told.",
        "notes": "None.",
        "extra_metadata": "Nothing was sent along.",
    }  # fmt: skip
    page_template = "admin/agents/trade.html"
    groups = [
        ("Trade", ["agent", "coin", "symbol", "side", "size", "leverage", "hyperliquid_order_id",
                   "exit_reason", "liquidation_price"]),
        ("Times", ["entry_time", "exit_time", "marked_at", "created_at", "updated_at"]),
        ("Sent along", ["notes", "extra_metadata"]),
    ]  # fmt: skip

    # Its money is what the agent reports: no form for it, and it is never purged.

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ThingChangeList]:
        return TradeChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[AgentTrade]:
        rows = super().get_queryset(request).select_related("agent")
        return rows.defer("agent__strategy_description", "agent__extra_metadata")

    @admin.display(description="Agent")
    def agent_name(self, obj: AgentTrade) -> SafeString:
        return agent_link(obj.agent)

    @admin.display(description="Mode")
    def mode(self, obj: AgentTrade) -> SafeString:
        return shown.mode(obj.agent.mode)

    @admin.display(description="Side")
    def shown_side(self, obj: AgentTrade) -> SafeString:
        return trade_rows.side(obj.side)

    @admin.display(description="Fees")
    def shown_fees(self, obj: AgentTrade) -> SafeString:
        return trade_rows.paid(obj.fees, "None are known.", obj.agent.quote_currency)

    @admin.display(description="P&L")
    def net(self, obj: AgentTrade) -> SafeString:
        return trade_rows.pnl(obj)

    @admin.display(description="Held", ordering="entry_time")
    def held(self, obj: AgentTrade) -> SafeString:
        return trade_rows.held(obj, timezone.now())

    @admin.display(description="State")
    def shown_state(self, obj: AgentTrade) -> SafeString:
        return shown.badge(TradeStatus, obj.status)

    @admin.display(description="Decision")
    def because(self, obj: AgentTrade) -> SafeString:
        reason = "It was told without the decision that opened it."
        return shown.id_link(AgentDecision, obj.decision_id, reason)

    def page_title(self, obj: AgentTrade) -> str:
        return f"{obj.coin} {obj.get_side_display().lower()}"

    def page_badges(self, obj: AgentTrade) -> list[SafeString]:
        agent = shown.link(TradingAgent, obj.agent_id, obj.agent.name)
        badges = [trade_rows.state(obj), shown.mode(obj.agent.mode), agent]
        moment = obj.exit_time if obj.status != TradeStatus.OPEN else obj.entry_time
        return [*badges, display.age(moment, "When is not known.")]

    def page_context(self, request: HttpRequest, obj: AgentTrade) -> dict[str, Any]:
        return super().page_context(request, obj) | {"story": TradeStory(obj, now=timezone.now())}
