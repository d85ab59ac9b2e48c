"""Orders and their fills in the admin."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from apps.bots.admin import money, shown
from apps.bots.admin.order_pages import OrderStory, slippage
from apps.bots.choices import COLORS
from apps.bots.models import Fill, Order
from apps.shared import display
from apps.shared.admin import EntityAdmin, FactAdmin

NO_LIMIT = "It has no limit."
NOT_FILLED = "Nothing of it is filled."


@admin.register(Order)
class OrderAdmin(EntityAdmin):
    list_display = [
        "shown_id", "trade_type", "bot_name", "symbol", "side", "order_type", "quantity",
        "filled", "price", "average_price", "slipped", "status", "trade_id_link", "created_at",
    ]  # fmt: skip
    list_filter = [
        "created_at", "bot", "trade_type", "status", "symbol", "side", "order_type", "strategy",
    ]  # fmt: skip
    search_fields = ["=order_id", "=symbol"]
    large_table = True
    time = "created_at"
    ordering = ["-created_at", "-id"]
    sortable_by = ["created_at"]
    colors = COLORS
    titles = {"trade_type": "Type", "order_type": "Kind", "average_price": "Average",
              "created_at": "Came"}  # fmt: skip
    shows = dict.fromkeys(
        ["quantity", "filled_quantity", "price", "average_price", "stop_price"], money.size
    )
    empty_hint = "Bots report their orders by POST /api/v1/bots/orders/ with a key."
    empty_reasons = {
        "price": NO_LIMIT,
        "average_price": NOT_FILLED,
        "stop_price": "It waits for no price.",
        "strategy": "None was named.",
        "bot": "It belongs to no bot.",
        "trade": "It belongs to no trade.",
        "model": "No model is named as its cause.",
        "prediction": "No prediction is named as its cause.",
        "reason": "None was told.",
        "extra_metadata": "Nothing was sent along.",
    }
    page_template = "admin/bots/order.html"
    groups = [
        ("Order", ["order_id", "bot", "trade", "trade_type", "symbol", "side", "order_type",
                   "quantity", "price", "stop_price"]),
        ("Where it comes from", ["strategy", "model", "prediction", "reason", "created_at",
                                 "updated_at"]),
        ("Sent along", ["extra_metadata"]),
    ]  # fmt: skip

    # Its state follows from its fills and from what is reported: no form for it.

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        try:
            return super().get_object(request, object_id, from_field)
        except OverflowError:
            return None

    @admin.display(description="Order")
    def shown_id(self, obj: Order) -> SafeString:
        return shown.middle_cut(obj.order_id)

    @admin.display(description="Bot")
    def bot_name(self, obj: Order) -> SafeString:
        return shown.bot_listed(obj.bot_id)

    @admin.display(description="Trade")
    def trade_id_link(self, obj: Order) -> SafeString:
        return shown.trade_link(obj.trade_id)

    @admin.display(description="Filled")
    def filled(self, obj: Order) -> SafeString:
        return shown.filled(obj)

    @admin.display(description="Slippage")
    def slipped(self, obj: Order) -> SafeString:
        return slippage(obj)

    def page_badges(self, obj: Order) -> list[SafeString]:
        badges = [shown.trade_type(obj.trade_type), shown.side(obj.side)]
        return [*badges, shown.order_status(obj.status), display.age(obj.created_at)]

    def page_context(self, request: HttpRequest, obj: Order) -> dict[str, Any]:
        return super().page_context(request, obj) | {"story": OrderStory(obj)}


@admin.register(Fill)
class FillAdmin(FactAdmin):
    list_display = [
        "shown_id", "symbol", "side", "quantity", "price", "value", "fee", "liquidity",
        "order_name", "timestamp",
    ]  # fmt: skip
    list_filter = ["timestamp", "symbol", "liquidity", "order__side"]
    list_select_related = ["order"]
    search_fields = ["=order__order_id", "=symbol", "=fill_id"]
    search_help_text = "Exact id of the order or fill, or symbol"
    time = "timestamp"
    ordering = ["-timestamp", "-id"]
    sortable_by = ["timestamp"]
    colors = COLORS
    shows = dict.fromkeys(["quantity", "price"], money.size) | {"commission": money.money}
    empty_hint = "Bots report their fills by POST /api/v1/bots/fills/ with a key."
    empty_reasons = {
        "liquidity": "Whether it made or took was not told.",
        "commission_currency": "It was not told.",
    }
    groups = [
        ("Fill", ["fill_id", "order", "symbol", "side", "quantity", "price", "value", "fee",
                  "liquidity", "timestamp", "created_at"]),
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Fill]:
        return super().get_queryset(request).select_related("order")

    @admin.display(description="Fill")
    def shown_id(self, obj: Fill) -> SafeString:
        return shown.middle_cut(obj.fill_id)

    @admin.display(description="Side")
    def side(self, obj: Fill) -> SafeString:
        return shown.side(obj.order.side)

    @admin.display(description="Order")
    def order_name(self, obj: Fill) -> SafeString:
        return shown.order_link(obj.order)

    @admin.display(description="Value")
    def value(self, obj: Fill) -> SafeString:
        return money.money(money.WIDE.multiply(obj.quantity, obj.price))

    @admin.display(description="Fee")
    def fee(self, obj: Fill) -> SafeString:
        currency = obj.commission_currency
        return shown.with_unit(money.money(obj.commission, currency=currency), currency)

    def page_title(self, obj: Fill) -> str:
        return obj.fill_id

    def page_badges(self, obj: Fill) -> list[SafeString]:
        trade_type = shown.trade_type(obj.order.trade_type)
        return [trade_type, shown.side(obj.order.side), display.age(obj.timestamp)]
