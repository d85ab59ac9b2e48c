"""What belongs to a bot: its trades, orders, lots, limits, states, keys and log lines."""

from datetime import datetime
from functools import cached_property
from typing import Any

from django.db.models import F, Q
from django.urls import reverse
from django.utils.safestring import SafeString

from apps.access.models import ApiKey
from apps.bots.admin import money, shown
from apps.bots.admin.limit_shown import limit_line
from apps.bots.admin.rows import order_row, trade_row
from apps.bots.models import BotInstance, Order, Position, Trade, TradingLimit
from apps.logs.admin.links import entry_url
from apps.logs.choices import COLORS as LOG_COLORS
from apps.logs.choices import Severity
from apps.logs.models import RecentActivity
from apps.market.services.prices import NewestPrice, newest_prices
from apps.shared import display

MOST_OPEN, MOST_CLOSED, MOST_ORDERS, MOST_LOTS, MOST_STATES, MOST_LINES = 50, 10, 20, 20, 20, 15
MOST_LIMITS, MOST_KEYS = 20, 5
MESSAGE_READ = 500


class BotParts:
    """The parts of a bot's page, each read once when it is asked for."""

    def __init__(self, bot: BotInstance, *, now: datetime, user: Any) -> None:
        self.bot = bot
        self.now = now
        self.user = user
        self.currency = bot.quote_currency

    def age(self, moment: datetime | None, reason: str = "Never.") -> SafeString:
        return display.age(moment, reason, now=self.now)

    # --- what it does and holds -----------------------------------------------------------

    @cached_property
    def open_rows(self) -> list[Trade]:
        rows = Trade.objects.open().filter(bot=self.bot).order_by("-entry_time", "-pk")
        return list(rows.defer("extra_metadata", "exit_metadata")[: MOST_OPEN + 1])

    @cached_property
    def prices(self) -> dict[str, NewestPrice]:
        return newest_prices((trade.symbol for trade in self.open_rows), now=self.now)

    @cached_property
    def open_trades(self) -> list[dict[str, Any]]:
        return [
            trade_row(trade, now=self.now, price=self.prices.get(trade.symbol))
            for trade in self.open_rows[:MOST_OPEN]
        ]

    @property
    def open_count(self) -> str:
        return f"{MOST_OPEN}+" if len(self.open_rows) > MOST_OPEN else str(len(self.open_rows))

    @cached_property
    def closed_trades(self) -> list[dict[str, Any]]:
        rows = Trade.objects.leaves().filter(
            bot=self.bot, trade_type=self.bot.type, quote_currency=self.currency
        )
        newest = rows.defer("extra_metadata", "exit_metadata").order_by("-exit_time", "-id")
        return [trade_row(trade, now=self.now) for trade in newest[:MOST_CLOSED]]

    @cached_property
    def orders(self) -> list[dict[str, Any]]:
        rows = Order.objects.working().filter(bot=self.bot).defer("extra_metadata")
        return [order_row(order) for order in rows.order_by("-created_at", "-id")[:MOST_ORDERS]]

    @cached_property
    def lots(self) -> list[dict[str, Any]]:
        rows = Position.objects.held().filter(bot=self.bot).order_by("symbol", "opened_at")
        return [
            {
                "link": shown.link(Position, lot.pk, lot.pk),
                "type": shown.trade_type(lot.type),
                "symbol": lot.symbol,
                "total": money.size(lot.total_size),
                "available": money.size(lot.available_size),
                "price": money.size(lot.avg_buy_price, "It was not told."),
                "opened": self.age(lot.opened_at, "It was not told."),
            }
            for lot in rows[:MOST_LOTS]
        ]

    @cached_property
    def limits(self) -> list[dict[str, Any]]:
        """Return the limits that hold it: its own, and those of all bots of its type."""
        rows = (
            TradingLimit.objects.active()
            .filter(Q(bot=self.bot) | Q(bot__isnull=True), type=self.bot.type)
            .filter(Q(symbol="") | Q(symbol=self.bot.symbol) | Q(bot=self.bot))
            .order_by(F("usage").desc(nulls_last=True), "pk")
        )
        return [limit_line(limit) for limit in rows[:MOST_LIMITS]]

    @cached_property
    def states(self) -> list[dict[str, Any]]:
        kept = self.bot.states.defer("value").order_by("-updated_at")[:MOST_STATES]
        return [
            {
                "link": shown.link(type(state), state.pk, state.pk),
                "version": state.version,
                "updated": self.age(state.updated_at),
            }
            for state in kept
        ]

    # --- who speaks for it ----------------------------------------------------------------

    @cached_property
    def keys(self) -> list[dict[str, Any]] | None:
        """Return the keys bound to it, with the step that replaces each; None: not to be seen."""
        if not self.user.has_perm("access.view_apikey"):
            return None
        may_change = self.user.has_perm("access.change_apikey")
        bound = ApiKey.objects.filter(bot=self.bot.pk, revoked_at__isnull=True, replaced_by=None)
        return [
            {
                "link": display.link(shown.page_of(ApiKey, key.pk), key.client),
                "prefix": key.prefix,
                "used": self.age(key.last_used_at, "Never used."),
                "expires": self.age(key.expires_at),
                "rotate": reverse("admin:access_apikey_rotate", args=[key.pk])
                if may_change and key.expires_at > self.now
                else "",
            }
            for key in bound.order_by("-created_at")[:MOST_KEYS]
        ]

    @cached_property
    def lines(self) -> list[dict[str, Any]] | None:
        """Return what it logged last: entries whose logger or component is its name."""
        if not self.user.has_perm("logs.view_recentactivity"):
            return None
        newest = (
            RecentActivity.objects.filter(component=self.bot.pk)
            .order_by("-timestamp", "-id")
            .values("id", "source", "timestamp", "severity", "description")[:MOST_LINES]
        )
        return [
            {
                "key": line["id"],
                "url": entry_url(line["source"], line["id"]),
                "words": display.short_text(line["description"][:MESSAGE_READ], "No text."),
                "severity": display.badge(
                    Severity(line["severity"]).label, LOG_COLORS.get(line["severity"], "default")
                ),
                "when": self.age(line["timestamp"]),
            }
            for line in newest
        ]
