"""What the page of one lot tells: what is left of it, what was booked, what guards it."""

from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.db.models import Case, F, Sum, When, Window
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from apps.bots.admin import money
from apps.bots.admin.limit_shown import limit_line
from apps.bots.choices import COLORS, Side
from apps.bots.models import LotTrade, Position, TradingLimit
from apps.shared import display

MOST_BOOKINGS = 200
MOST_LIMITS = 20

MOVED = Case(When(trade_type=Side.BUY, then=F("size")), default=-F("size"))
RUNNING = Window(Sum(MOVED), order_by=[F("timestamp").asc(), F("id").asc()])


class LotStory:
    """Everything the template of a lot's page asks for, each read once."""

    def __init__(self, lot: Position, *, now: datetime, user: Any) -> None:
        self.lot = lot
        self.now = now
        self.user = user

    @cached_property
    def mark(self) -> Any:
        return money.marks_of([self.lot.symbol], now=self.now).get(self.lot.symbol)

    @property
    def currency(self) -> str:
        return self.lot.quote_currency

    @property
    def total(self) -> SafeString:
        return money.size(self.lot.total_size)

    @property
    def reserved(self) -> str:
        reserved = self.lot.total_size - self.lot.available_size
        if not self.lot.total_size:
            return "all of it was sold"
        if not reserved:
            return "all of it available"
        available = display.grouped(self.lot.available_size)
        return f"{available} available, {display.grouped(reserved)} reserved"

    @property
    def average(self) -> SafeString:
        return money.size(self.lot.avg_buy_price, "Nothing was bought into it yet.")

    @property
    def newest(self) -> SafeString:
        return money.price_of(self.mark)

    @property
    def worth(self) -> SafeString:
        """Return what the rest is worth at the newest price."""
        value = money.WIDE.multiply(self.lot.total_size, self.mark.price) if self.mark else None
        return money.money(value, money.NO_PRICE, self.currency)

    @property
    def unrealized(self) -> SafeString:
        gained = money.gain(self.lot.total_size, self.lot.avg_buy_price, self.mark)
        reason = money.why_no_gain(self.lot.avg_buy_price)
        return money.signed_money(gained, reason, self.currency)

    @property
    def realized(self) -> SafeString:
        return money.signed_money(self.lot.realized_pnl, currency=self.currency)

    @property
    def fees(self) -> SafeString:
        return money.money(self.lot.fees, currency=self.currency)

    @property
    def net(self) -> SafeString:
        net = money.WIDE.subtract(self.lot.realized_pnl, self.lot.fees)
        return money.signed_money(net, currency=self.currency)

    @property
    def holder(self) -> SafeString:
        return money.bot_link(self.lot.bot_id, "It belongs to no bot: it is held by hand.")

    # --- bookings -------------------------------------------------------------------------

    @cached_property
    def bookings(self) -> list[dict[str, Any]]:
        """Return the newest bookings, each with what the lot held after it."""
        if not self.user.has_perm("bots.view_lottrade"):
            return []
        rows = LotTrade.objects.filter(lot=self.lot).annotate(running=RUNNING)
        newest = rows.defer("notes").order_by("-timestamp", "-id")
        return [self.booking(row) for row in newest[: MOST_BOOKINGS + 1]]

    def booking(self, row: Any) -> dict[str, Any]:
        value = money.WIDE.multiply(row.price, row.size)
        return {
            "when": display.link(
                money.thing_url("lottrade", row.pk), display.moment(row.timestamp)
            ),
            "side": display.badge(str(Side(row.trade_type).label), COLORS[row.trade_type]),
            "size": money.size(row.size),
            "price": money.size(row.price),
            "value": money.money(value, currency=self.currency),
            "fee": money.money(row.fee, currency=self.currency),
            "pnl": money.signed_money(row.pnl, "A purchase brings no P&L.", self.currency),
            "running": money.size(Decimal(row.running)),
        }

    @property
    def more_bookings(self) -> bool:
        return len(self.bookings) > MOST_BOOKINGS

    @property
    def shown_bookings(self) -> list[dict[str, Any]]:
        return self.bookings[:MOST_BOOKINGS]

    @property
    def bookings_url(self) -> str:
        return reverse("admin:bots_lottrade_changelist") + f"?{urlencode({'q': self.lot.pk})}"

    # --- limits ---------------------------------------------------------------------------

    @cached_property
    def limits(self) -> list[dict[str, Any]]:
        """Return the limits on this lot, active ones first."""
        if not self.user.has_perm("bots.view_tradinglimit"):
            return []
        rows = TradingLimit.objects.filter(lot=self.lot).defer("notes")
        return [
            limit_line(row) for row in rows.order_by("status", "-created_at", "pk")[:MOST_LIMITS]
        ]

    @property
    def add_limit_url(self) -> str:
        """Return where a limit on this lot is set; empty for who may not."""
        if not self.lot.total_size or not self.user.has_perm("bots.add_tradinglimit"):
            return ""
        asked = urlencode({"kind": "stop_loss", "lot": self.lot.pk})
        return reverse("admin:bots_tradinglimit_add") + f"?{asked}"
