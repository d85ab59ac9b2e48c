"""What archived trades came to, in the admin."""

from django.contrib import admin
from django.utils.safestring import SafeString

from apps.bots.admin import money, shown
from apps.bots.choices import COLORS
from apps.bots.models import CarriedResult
from apps.shared import display
from apps.shared.admin import DerivedAdmin


@admin.register(CarriedResult)
class CarriedResultAdmin(DerivedAdmin):
    list_display = [
        "bot_name", "trade_type", "symbol", "currency", "trades", "winning", "losing", "net_pnl",
        "commission", "last_exit",
    ]  # fmt: skip
    list_filter = ["last_exit", "bot", "trade_type", "symbol", "quote_currency"]
    search_fields = ["=bot__id", "=symbol"]
    search_help_text = "Exact name of the bot or symbol"
    time = "last_exit"
    ordering = ["-created_at", "-id"]
    sortable_by = ["last_exit"]
    colors = COLORS
    titles = {
        "trade_type": "Type", "winning": "Won", "losing": "Lost", "net_pnl": "Net",
        "commission": "Fees",
    }  # fmt: skip
    shows = {"net_pnl": money.signed_money, "commission": shown.paid}
    empty_hint = "What closed trades came to is carried forward here when they are archived."
    groups = [
        ("Of", ["bot", "trade_type", "symbol", "quote_currency"]),
        ("Came to", ["trades", "winning", "losing", "net_pnl", "commission", "last_exit"]),
        ("Kept", ["created_at", "updated_at"]),
    ]  # fmt: skip
    empty_reasons = {
        "quote_currency": "It was not told.",
        "last_exit": "No exit of theirs is known.",
    }

    @admin.display(description="Bot")
    def bot_name(self, obj: CarriedResult) -> SafeString:
        return shown.bot_listed(obj.bot_id)

    @admin.display(description="Currency")
    def currency(self, obj: CarriedResult) -> SafeString:
        return display.short_text(obj.quote_currency, "It was not told.")

    def page_title(self, obj: CarriedResult) -> str:
        return f"{obj.bot_id} in {obj.symbol}"

    def page_badges(self, obj: CarriedResult) -> list[SafeString]:
        return [shown.trade_type(obj.trade_type), display.age(obj.last_exit, "Not known.")]
