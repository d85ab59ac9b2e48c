"""What the page of one trade tells: its candles, its money, its orders, its life as a line."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.bots.admin import money, shown
from apps.bots.admin.rows import (
    NO_CANDLE,
    fill_row,
    left,
    order_row,
    trade_row,
    unrealized,
)
from apps.bots.admin.trade_charts import TradePicture
from apps.bots.choices import OrderEvent, TradeStatus
from apps.bots.models import Fill, Order, Trade
from apps.market.services.prices import NewestPrice, newest_prices
from apps.shared import display

MOST_PARTS, MOST_ORDERS, MOST_FILLS = 100, 50, 200
ENDS = (OrderEvent.ACCEPTED, OrderEvent.CANCELLED, OrderEvent.REJECTED, OrderEvent.EXPIRED)


class Event(NamedTuple):
    """Something that happened to a trade; ``tone`` as of a badge."""

    at: datetime
    what: str
    tone: str
    said: Any


class TradeStory:
    """Everything the template of a trade's page asks for, each read once."""

    def __init__(self, trade: Trade, *, now: datetime) -> None:
        self.trade = trade
        self.now = now
        self.open = trade.status == TradeStatus.OPEN
        self.currency = trade.quote_currency

    @cached_property
    def picture(self) -> TradePicture:
        return TradePicture(self.trade, parts=self.part_rows, fills=self.fill_rows, now=self.now)

    @property
    def standing(self) -> Iterator[tuple[str, SafeString]]:
        """Yield what one must know to read the figures, each with its tone."""
        trade = self.trade
        if trade.is_partial_exit:
            whole = shown.trade_link(trade.parent_trade_id)
            yield "info", format_html("This is part {} of trade {}, which counts as one trade.",
                                      trade.partial_exit_sequence, whole)  # fmt: skip
        if self.open and trade.partial_exits:
            yield "info", format_html("Partly closed: gross, fees and net are what its {} so far"
                                      " came to.", self.parts_words)  # fmt: skip
        told = trade.reported_net_pnl
        if told is not None and trade.net_pnl is not None and told != trade.net_pnl:
            off = money.signed_money(told - trade.net_pnl, currency=self.currency)
            words = "The bot made {} of it: {} off what follows from its prices and fees."
            yield "warning", format_html(words, money.signed_money(told), off)

    @property
    def parts_words(self) -> str:
        count = self.trade.partial_exits
        return "1 part" if count == 1 else f"{count:,} parts"

    # --- money ----------------------------------------------------------------------------

    def amount(self, value: Decimal | None, reason: str) -> SafeString:
        return money.signed_money(value, reason, self.currency)

    @property
    def gross(self) -> SafeString:
        return self.amount(self.trade.gross_pnl, shown.NOT_CLOSED)

    @property
    def fees(self) -> SafeString:
        return money.money(self.trade.commission, "No fee was told.", self.currency)

    @property
    def legs(self) -> SafeString:
        """Return what the fees were paid for."""
        trade = self.trade
        if trade.entry_commission is None and trade.exit_commission is None:
            return display.empty("Entry and exit are not told apart.")
        return format_html(
            "entry {}, exit {}",
            money.money(trade.entry_commission, "It was not told.", self.currency),
            money.money(trade.exit_commission, shown.NOT_CLOSED, self.currency),
        )

    @property
    def entry_fee(self) -> SafeString:
        return money.money(self.trade.entry_commission, "No fee was told.", self.currency)

    @property
    def net(self) -> SafeString:
        return self.amount(self.trade.net_pnl, shown.NOT_CLOSED)

    @property
    def percent(self) -> SafeString:
        return display.signed_pct(self.trade.pnl_percentage, shown.NOT_CLOSED)

    @property
    def reported(self) -> SafeString:
        return self.amount(self.trade.reported_net_pnl, shown.NOT_TOLD)

    @property
    def entry(self) -> SafeString:
        return money.size(self.trade.entry_price, "It was not told.")

    @property
    def exit(self) -> SafeString:
        return money.size(self.trade.exit_price, shown.NOT_CLOSED)

    @property
    def size(self) -> SafeString:
        return money.size(self.trade.size, "It was not told.")

    @property
    def left(self) -> SafeString:
        return money.size(left(self.trade), "It was not told.")

    @property
    def held(self) -> SafeString:
        return shown.held(self.trade, self.now)

    @cached_property
    def price(self) -> NewestPrice | None:
        """Return the newest price; only what is open is measured by it."""
        if not self.open:
            return None
        return newest_prices([self.trade.symbol], now=self.now).get(self.trade.symbol)

    @property
    def mark(self) -> SafeString:
        """Return the newest price, and since when it is known."""
        if self.price is None:
            return display.empty(NO_CANDLE)
        known = display.age(self.price.known_at, now=self.now)
        return format_html("at {}, known {}", money.size(self.price.price), known)

    @property
    def unrealized(self) -> SafeString:
        return self.amount(unrealized(self.trade, self.price), NO_CANDLE)

    # --- parts, orders, fills -------------------------------------------------------------

    @cached_property
    def part_rows(self) -> list[Trade]:
        if not self.trade.partial_exits:
            return []
        rows = self.trade.exits.defer("extra_metadata", "exit_metadata")
        return list(rows.order_by("partial_exit_sequence")[:MOST_PARTS])

    @cached_property
    def parts(self) -> list[dict[str, Any]]:
        return [trade_row(part, now=self.now) for part in self.part_rows]

    @cached_property
    def order_rows(self) -> list[Order]:
        rows = self.trade.orders.defer("extra_metadata").order_by("created_at", "id")
        return list(rows[:MOST_ORDERS])

    @cached_property
    def orders(self) -> list[dict[str, Any]]:
        return [order_row(order) for order in self.order_rows]

    @cached_property
    def fill_rows(self) -> list[Fill]:
        names = [order.order_id for order in self.order_rows]
        if not names:
            return []
        rows = Fill.objects.filter(order_id__in=names).order_by("timestamp", "id")
        return list(rows[:MOST_FILLS])

    @cached_property
    def fills(self) -> list[dict[str, Any]]:
        return [fill_row(fill) for fill in self.fill_rows]

    # --- its life -------------------------------------------------------------------------

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """Return what happened, the first thing first, each with the time since the one before."""
        ordered = sorted(self.happened(), key=lambda each: each.at)
        before = [ordered[0].at, *(each.at for each in ordered)] if ordered else []
        return [
            {
                "at": display.exact_moment(each.at),
                "what": display.badge(each.what, each.tone),
                "said": each.said,
                "after": f"+{shown.span(each.at - last)}" if each.at > last else "",
            }
            for each, last in zip(ordered, before, strict=False)
        ]

    def happened(self) -> Iterator[Event]:
        trade = self.trade
        for name, words in (
            ("buy_order_created", "Buy order made"),
            ("buy_order_closed", "Buy order done"),
            ("sell_order_created", "Sell order made"),
            ("sell_order_closed", "Sell order done"),
        ):
            moment = getattr(trade, name)
            if moment is not None:
                yield Event(moment, words, "default", "")
        if trade.entry_time is not None:
            said = format_html("{} at {}", self.size, self.entry)
            yield Event(trade.entry_time, "Entry", "info", said)
        for part in self.part_rows:
            if part.exit_time is not None:
                yield Event(part.exit_time, f"Part {part.partial_exit_sequence}", "info",
                            self.closing(part))  # fmt: skip
        if trade.exit_time is not None:
            gained = (trade.net_pnl or 0) >= 0
            yield Event(trade.exit_time, "Exit", "success" if gained else "danger",
                        self.closing(trade))  # fmt: skip
        for order in self.order_rows:
            yield from self.of_order(order)
        for fill in self.fill_rows:
            said = format_html("{} at {} <span class=\"b-quiet\">{}</span>",
                               money.size(fill.quantity), money.size(fill.price),
                               shown.middle_cut(fill.order_id))  # fmt: skip
            yield Event(fill.timestamp, "Fill", "success", said)

    def closing(self, trade: Trade) -> SafeString:
        """Return how much was closed at which price, what it came to, and why."""
        why = display.visible(trade.exit_reason)
        net = money.signed_money(trade.net_pnl, shown.NOT_CLOSED, self.currency)
        return format_html(
            '{} at {}, net {} <span class="b-quiet">{}</span>',
            money.size(trade.size, "It was not told."),
            money.size(trade.exit_price, shown.NOT_CLOSED),
            net,
            why,
        )

    def of_order(self, order: Order) -> Iterator[Event]:
        """Yield what an order reports of itself."""
        link = shown.order_link(order)
        made = format_html(
            "{} {} {} {}",
            order.get_side_display(),
            money.size(order.quantity),
            order.get_order_type_display().lower(),
            link,
        )
        yield Event(order.submitted_at or order.created_at, "Order", "default", made)
        for end in ENDS:
            moment = getattr(order, f"{end.value}_at")
            if moment is not None:
                tone = "info" if end == OrderEvent.ACCEPTED else "warning"
                yield Event(moment, f"Order {end.label.lower()}", tone, link)
