"""What the page of one order tells: how it was carried out, at which price, and its life."""

from decimal import Decimal
from functools import cached_property
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.bots.admin import money, shown
from apps.bots.admin.rows import fill_row
from apps.bots.choices import OrderEvent, Side
from apps.bots.models import Fill, Order
from apps.shared import display
from apps.shared.fields import plain_text

MOST_FILLS = 200
EVENTS = [
    ("submitted_at", "Submitted", "default"),
    *((f"{event.value}_at", str(event.label), "info" if event == OrderEvent.ACCEPTED else "warning")
      for event in OrderEvent),
]  # fmt: skip
SLIPPAGE = (
    "How much worse than the limit the fills were on average, in percent of the limit; a minus"
    " sign means better."
)


def slipped(order: Order) -> Decimal | None:
    """Return (average − limit) / limit × 100, turned round for a sale: above 0 is worse."""
    if order.price is None or order.average_price is None:
        return None
    off = money.WIDE.subtract(order.average_price, order.price)
    turned = off if order.side == Side.BUY else -off
    return money.WIDE.divide(money.WIDE.multiply(turned, Decimal(100)), order.price)


def slippage(order: Order) -> SafeString:
    """Return how far from its limit an order was filled: worse in red, better in green."""
    value = slipped(order)
    if value is None:
        why = "It has no limit to be measured by." if order.price is None else "It is not filled."
        return display.empty(why, figure=True)
    tone = "b-loss" if value > 0 else "b-gain" if value < 0 else ""
    exact = f"{plain_text(value.quantize(Decimal('1e-8'), context=money.WIDE))} %. {SLIPPAGE}"
    words = display.pct_words(value, places=3)
    return format_html('<span class="b-num {}" title="{}">{}</span>', tone, exact, words)


class OrderStory:
    """Everything the template of an order's page asks for, each read once."""

    slippage_means = SLIPPAGE

    def __init__(self, order: Order) -> None:
        self.order = order

    @cached_property
    def rows(self) -> list[Fill]:
        return list(self.order.fills.order_by("timestamp", "id")[: MOST_FILLS + 1])

    @cached_property
    def fills(self) -> list[dict[str, Any]]:
        return [fill_row(fill) for fill in self.rows[:MOST_FILLS]]

    @property
    def has_more(self) -> bool:
        return len(self.rows) > MOST_FILLS

    @property
    def filled(self) -> SafeString:
        return money.size(self.order.filled_quantity)

    @property
    def share(self) -> SafeString:
        return shown.filled(self.order)

    @property
    def average(self) -> SafeString:
        return money.size(self.order.average_price, "Nothing of it is filled.")

    @property
    def limit(self) -> SafeString:
        return money.size(self.order.price, "It has no limit.")

    @property
    def slippage(self) -> SafeString:
        return slippage(self.order)

    @property
    def fees(self) -> SafeString:
        """Return what the shown fills cost, currency by currency."""
        sums: dict[str, Decimal] = {}
        for fill in self.rows[:MOST_FILLS]:
            known = sums.get(fill.commission_currency, Decimal(0))
            sums[fill.commission_currency] = money.WIDE.add(known, fill.commission)
        if not sums:
            return display.empty("Nothing of it is filled.")
        found = [
            shown.with_unit(money.money(total, currency=name), name)
            for name, total in sorted(sums.items())
        ]
        joined = found[0]
        for each in found[1:]:
            joined = format_html("{} + {}", joined, each)
        return joined

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """Return what happened to it, the first thing first."""
        order = self.order
        happened = [
            (moment, words, tone, "")
            for name, words, tone in EVENTS
            if (moment := getattr(order, name)) is not None
        ]
        happened.append((order.created_at, "Came to us", "default", ""))
        happened += [
            (
                fill.timestamp,
                "Fill",
                "success",
                format_html("{} at {}", money.size(fill.quantity), money.size(fill.price)),
            )
            for fill in self.rows[:MOST_FILLS]
        ]
        happened.sort(key=lambda each: each[0])
        before = [happened[0][0], *(each[0] for each in happened)]
        return [
            {
                "at": display.exact_moment(moment),
                "what": display.badge(words, tone),
                "said": said,
                "after": f"+{shown.span(moment - last)}" if moment > last else "",
            }
            for (moment, words, tone, said), last in zip(happened, before, strict=False)
        ]
