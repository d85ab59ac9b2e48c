"""Lots and their bookings in the admin."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter

from apps.bots.admin import money
from apps.bots.admin.lot_pages import LotStory
from apps.bots.choices import COLORS, Side, TradeType
from apps.bots.models import LotTrade, Position
from apps.shared import display
from apps.shared.admin import DerivedAdmin, FactAdmin

NOT_BOUGHT = "Nothing was bought into it yet."
BOUGHT = "A purchase brings no P&L."


class HeldFilter(DropdownFilter):
    """Lots with something left, or those of which all was sold."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open: something is left"), ("closed", "Closed: all was sold")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() == "open":
            return queryset.filter(total_size__gt=0)
        return queryset.filter(total_size=0) if self.value() == "closed" else queryset

    def chips(self) -> list[tuple[str, list[str]]]:
        words = dict(self.lookup_choices).get(self.value() or "")
        return [(str(words), [self.parameter_name])] if words else []


def kind(lot_type: str) -> SafeString:
    """Return whose money it is."""
    return display.badge(str(TradeType(lot_type).label), COLORS[lot_type])


@admin.register(Position)
class PositionAdmin(DerivedAdmin):
    list_display = [
        "short_lot", "symbol", "type", "owner", "total", "available", "reserved", "average",
        "newest", "unrealized", "realized", "paid_fees", "opened_at",
    ]  # fmt: skip
    list_filter = ["created_at", HeldFilter, "type", "symbol", "bot"]
    search_fields = ["=lot_id", "=symbol"]
    time = "created_at"
    ordering = ["-created_at", "-lot_id"]
    sortable_by: Sequence[str] = []
    colors = COLORS
    empty_hint = "Bookings make lots: POST /api/v1/bots/lot-trades/ with a key."
    empty_reasons = {
        "bot": "It belongs to no bot.",
        "quote_currency": "The symbol does not say.",
        "avg_buy_price": NOT_BOUGHT,
        "opened_at": NOT_BOUGHT,
        "closed_at": "Something is left of it.",
    }
    page_template = "admin/bots/lot.html"
    groups = [
        ("Lot", ["lot_id", "bot", "type", "symbol", "quote_currency"]),
        ("Times", ["opened_at", "closed_at", "created_at", "updated_at"]),
    ]

    def prepare_rows(self, rows: Sequence[Any]) -> None:
        now = timezone.now()
        marks = money.marks_of((lot.symbol for lot in rows if lot.total_size), now=now)
        for lot in rows:
            lot.mark = marks.get(lot.symbol)
            lot.seen_at = now

    @admin.display(description="Lot")
    def short_lot(self, obj: Position) -> SafeString:
        return display.short_text(obj.lot_id)

    @admin.display(description="Bot")
    def owner(self, obj: Position) -> SafeString:
        return money.bot_link(obj.bot_id)

    @admin.display(description="Total")
    def total(self, obj: Position) -> SafeString:
        return money.size(obj.total_size)

    @admin.display(description="Available")
    def available(self, obj: Position) -> SafeString:
        return money.size(obj.available_size)

    @admin.display(description="Reserved")
    def reserved(self, obj: Position) -> SafeString:
        return money.size(obj.total_size - obj.available_size)

    @admin.display(description="Average")
    def average(self, obj: Position) -> SafeString:
        return money.size(obj.avg_buy_price, NOT_BOUGHT)

    @admin.display(description="Newest")
    def newest(self, obj: Any) -> SafeString:
        if not obj.total_size:
            return display.empty("Nothing is left of it.", figure=True)
        return money.mark(obj.mark, now=obj.seen_at)

    @admin.display(description="Unrealized")
    def unrealized(self, obj: Any) -> SafeString:
        gained = money.gain(obj.total_size, obj.avg_buy_price, obj.mark)
        return money.signed_money(gained, money.why_no_gain(obj.avg_buy_price), obj.quote_currency)

    @admin.display(description="Realized")
    def realized(self, obj: Position) -> SafeString:
        return money.signed_money(obj.realized_pnl, currency=obj.quote_currency)

    @admin.display(description="Fees")
    def paid_fees(self, obj: Position) -> SafeString:
        return money.money(obj.fees, currency=obj.quote_currency)

    def page_title(self, obj: Position) -> str:
        return f"{obj.symbol} lot {obj.lot_id}"

    def page_badges(self, obj: Position) -> list[SafeString]:
        state = (
            display.badge("Open", "info") if obj.total_size else display.badge("Closed", "default")
        )
        return [kind(obj.type), state]

    def page_context(self, request: HttpRequest, obj: Position) -> dict[str, Any]:
        story = LotStory(obj, now=timezone.now(), user=request.user)
        return super().page_context(request, obj) | {"story": story}


@admin.register(LotTrade)
class LotTradeAdmin(FactAdmin):
    list_display = [
        "timestamp", "trade_type", "symbol", "type", "in_lot", "owner", "shown_size", "shown_price",
        "value", "paid_fee", "result", "booking",
    ]  # fmt: skip
    list_display_links = ["timestamp"]
    list_filter = ["timestamp", "trade_type", "type", "symbol", "bot"]
    search_fields = ["=id", "=booking", "=lot__lot_id", "=symbol"]
    search_help_text = "Exact id, booking, lot or symbol"
    time = "timestamp"
    ordering = ["-timestamp", "-id"]
    sortable_by = ["timestamp"]
    colors = COLORS
    empty_hint = "Bots book what they buy and sell by POST /api/v1/bots/lot-trades/ with a key."
    empty_reasons = {
        "bot": "It was booked by no bot.",
        "pnl": BOUGHT,
        "avg_buy_price": BOUGHT,
        "notes": "None were written.",
    }
    groups = [
        ("Booking", ["id", "booking", "lot", "bot", "type", "symbol", "status"]),
        ("Money", ["trade_type", "price", "size", "value", "fee", "pnl", "avg_buy_price"]),
        ("Kept with it", ["timestamp", "created_at", "notes"]),
    ]

    @admin.display(description="Lot")
    def in_lot(self, obj: LotTrade) -> SafeString:
        # By its key alone: the lot itself need not be read for that.
        return display.link(money.thing_url("position", obj.lot_id), display.short_text(obj.lot_id))

    @admin.display(description="Bot")
    def owner(self, obj: LotTrade) -> SafeString:
        return money.bot_link(obj.bot_id, "It was booked by no bot.")

    @admin.display(description="Size")
    def shown_size(self, obj: LotTrade) -> SafeString:
        return money.size(obj.size)

    @admin.display(description="Price")
    def shown_price(self, obj: LotTrade) -> SafeString:
        return money.size(obj.price)

    @admin.display(description="Value")
    def value(self, obj: LotTrade) -> SafeString:
        return money.money(money.WIDE.multiply(obj.price, obj.size))

    @admin.display(description="Fee")
    def paid_fee(self, obj: LotTrade) -> SafeString:
        return money.money(obj.fee)

    @admin.display(description="P&L")
    def result(self, obj: LotTrade) -> SafeString:
        return money.signed_money(obj.pnl, BOUGHT)

    def page_title(self, obj: LotTrade) -> str:
        return f"{Side(obj.trade_type).label} {display.grouped(obj.size)} {obj.symbol}"

    def page_badges(self, obj: LotTrade) -> list[SafeString]:
        return [
            kind(obj.type),
            display.badge(str(Side(obj.trade_type).label), COLORS[obj.trade_type]),
        ]
