"""Trades in the admin: a list that adds up what may be added, and the page of one."""

from contextlib import suppress
from functools import cached_property
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter

from apps.bots.admin import ledger, money, shown
from apps.bots.admin.trade_pages import TradeStory
from apps.bots.choices import COLORS, TradeStatus
from apps.bots.models import Trade
from apps.bots.models.trades import TradeQuerySet
from apps.bots.services.reminders import remind_trades
from apps.shared import display
from apps.shared.admin import EntityAdmin
from apps.shared.admin.changelist import BoundedChangeList, ThingChangeList
from apps.shared.admin.lists import SEARCH_LIMIT
from apps.shared.admin.steps import Step, StepsMixin

REMIND_ASKS = (
    "Staff are told, once a day for each trade, that it is to be closed. Nothing is closed by"
    " this: only the bot and who runs it can."
)


class PartsFilter(DropdownFilter):
    """Whole round trips, or the closed parts of them; never both, which would count twice."""

    title = "parts"
    parameter_name = "parts"
    all_option = ("", "Whole trades")
    PARTS = "parts"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(self.PARTS, "What was closed, part by part")]

    def queryset(self, request: HttpRequest, queryset: TradeQuerySet) -> TradeQuerySet:
        return queryset.leaves() if self.value() == self.PARTS else queryset.roots()

    def chips(self) -> list[tuple[str, list[str]]]:
        return [("part by part", [self.parameter_name])] if self.value() == self.PARTS else []


class TradeChangeList(BoundedChangeList):
    """A list with the sums of everything that its filters let through."""

    @cached_property
    def totals(self) -> dict[str, Any]:
        """Return the sums per type and currency, or that there are too many rows for them."""
        found = ledger.totals_of(self.queryset)
        lines = [
            {
                "type": shown.trade_type(line.trade_type),
                "currency": display.text(line.quote_currency, "Not told: not to be compared."),
                "rows": display.number(line.rows),
                "open": display.number(line.open),
                "won": display.figure(f"{line.won:,} of {line.won + line.lost:,}")
                if line.won + line.lost
                else display.empty("None has gained or lost.", figure=True),
                "gross": money.signed_money(line.gross, shown.NOT_CLOSED, line.quote_currency),
                "fees": shown.paid(line.fees, shown.NOT_CLOSED, line.quote_currency),
                "net": money.signed_money(line.net, shown.NOT_CLOSED, line.quote_currency),
            }
            for line in found.lines
        ]
        return {"lines": lines, "too_many": found.too_many, "most": ledger.MOST_ADDED}


@admin.register(Trade)
class TradeAdmin(StepsMixin, EntityAdmin):
    list_display = [
        "short_id", "trade_type", "bot_name", "symbol", "direction", "shown_size", "entry_price",
        "exit_price", "gross_pnl", "fees", "net_pnl", "pnl_percentage", "held", "state",
        "why",
    ]  # fmt: skip
    list_filter = [
        "exit_time", "bot", "trade_type", "status", "symbol", "direction", PartsFilter, "net_pnl",
        "entry_time",
    ]  # fmt: skip
    search_fields = ["=id", "=symbol"]
    search_help_text = "Exact id or symbol"
    large_table = True
    time = "exit_time"
    ordering = ["-created_at", "-id"]
    sortable_by = ["held"]
    colors = COLORS
    signed = ["pnl_percentage"]
    titles = {
        "trade_type": "Type", "pnl_percentage": "%", "entry_price": "Entry",
        "exit_price": "Exit", "gross_pnl": "Gross", "net_pnl": "Net",
    }  # fmt: skip
    shows = {
        **dict.fromkeys(["gross_pnl", "net_pnl", "reported_net_pnl", "total_position_pnl"],
                        money.signed_money),
        **dict.fromkeys(["entry_value", "exit_value", "entry_commission", "exit_commission",
                         "commission"], money.money),
        **dict.fromkeys(["size", "original_position_size", "remaining_position_size",
                         "entry_price", "exit_price"], money.size),
    }  # fmt: skip
    list_before_template = "admin/bots/trades_before.html"
    empty_hint = "Bots report their trades by POST /api/v1/bots/trades/ with a key."
    export_fields = [
        "id", "bot", "trade_type", "symbol", "direction", "status", "quote_currency", "size",
        "entry_time", "entry_price", "exit_time", "exit_price", "gross_pnl", "entry_commission",
        "exit_commission", "commission", "net_pnl", "pnl_percentage", "reported_net_pnl",
        "exit_reason", "strategy_name", "parent_trade", "partial_exit_sequence", "partial_exits",
    ]  # fmt: skip
    empty_reasons = {
        **dict.fromkeys(["exit_price", "exit_time", "exit_value", "gross_pnl", "net_pnl",
                         "pnl_percentage", "exit_metadata"], shown.NOT_CLOSED),
        **dict.fromkeys(["size", "original_position_size", "remaining_position_size",
                         "entry_price", "entry_time", "entry_value", "strategy_name",
                         "entry_logic_name", "exit_logic_name", "interval", "quote_currency",
                         "exit_reason", "position_id"], "It was not told."),
        **dict.fromkeys(["commission", "entry_commission", "exit_commission", "commission_rate"],
                        "No fee was told."),
        "reported_net_pnl": shown.NOT_TOLD,
        "extra_metadata": "Nothing was sent along.",
        "parent_trade": "It is a whole trade.",
    }  # fmt: skip
    page_template = "admin/bots/trade.html"
    groups = [
        ("Trade", ["bot", "trade_type", "symbol", "interval", "direction", "quote_currency",
                   "original_position_size", "remaining_position_size", "position_id",
                   "parent_trade"]),
        ("Decided by", ["strategy_name", "entry_logic_name", "exit_logic_name", "exit_reason"]),
        ("Times", ["entry_time", "exit_time", "created_at", "updated_at"]),
        ("Sent along", ["extra_metadata", "exit_metadata"]),
    ]  # fmt: skip
    steps = [
        Step("remind", "Close reminder", "told of now; each is once a day, while it is open",
             remind_trades, lambda trade: trade.status == TradeStatus.OPEN, REMIND_ASKS),
    ]  # fmt: skip

    # Its money is what the bot reports: no form for it.

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ThingChangeList]:
        return TradeChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        """Find by exact id or symbol; only what can be an id is compared with ids."""
        term = search_term.strip()[:SEARCH_LIMIT]
        if not term:
            return queryset, False
        wanted = Q(symbol__in=sorted({term, term.upper()}))
        with suppress(ValueError):
            wanted |= Q(pk=UUID(term))
        return queryset.filter(wanted), False

    @admin.display(description="Trade")
    def short_id(self, obj: Trade) -> SafeString:
        return display.figure(str(obj.pk)[: shown.BEGINNING], str(obj.pk))

    @admin.display(description="Bot")
    def bot_name(self, obj: Trade) -> SafeString:
        return shown.bot_listed(obj.bot_id)

    @admin.display(description="Size")
    def shown_size(self, obj: Trade) -> SafeString:
        return money.size(obj.size, "It was not told.")

    @admin.display(description="Fees")
    def fees(self, obj: Trade) -> SafeString:
        return shown.paid(obj.commission, "None are known.", obj.quote_currency)

    @admin.display(description="Held", ordering="entry_time")
    def held(self, obj: Trade) -> SafeString:
        return shown.held(obj, timezone.now())

    @admin.display(description="State")
    def state(self, obj: Trade) -> SafeString:
        return shown.trade_state(obj)

    @admin.display(description="Why")
    def why(self, obj: Trade) -> SafeString:
        if not obj.exit_reason:
            return display.empty("None was told.")
        return shown.middle_cut(obj.exit_reason)

    def page_title(self, obj: Trade) -> str:
        return f"{obj.symbol} {obj.get_direction_display().lower()}"

    def page_badges(self, obj: Trade) -> list[SafeString]:
        badges = [shown.trade_type(obj.trade_type), shown.trade_state(obj)]
        return [*badges, money.bot_link(obj.bot_id), display.age(obj.entry_time, "Not entered.")]

    def page_context(self, request: HttpRequest, obj: Trade) -> dict[str, Any]:
        story = TradeStory(obj, now=timezone.now())
        return super().page_context(request, obj) | {"story": story}
