"""The state of an order as a function of what is known of it, in whatever order it came."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final, NamedTuple

from apps.bots.choices import OrderEvent, OrderStatus
from apps.shared.quant.digits import PRICE_PLACES

ZERO: Final = Decimal(0)
PLACE: Final = Decimal(1).scaleb(-PRICE_PLACES)
# A hundred thousand products of two numbers of 38 digits; none is lost before the division.
EXACT: Final = Context(prec=140, rounding=ROUND_HALF_EVEN)

# What ends an order. Of two at the same moment the one that is named first counts.
TERMINAL: Final = (OrderEvent.CANCELLED, OrderEvent.EXPIRED, OrderEvent.REJECTED)
# How outside systems call what we have a word for.
OTHER_WORDS: Final[Mapping[str, str]] = {
    "canceled": OrderStatus.CANCELLED,
    "new": OrderStatus.ACCEPTED,
    "open": OrderStatus.ACCEPTED,
    "pending_new": OrderStatus.PENDING,
    "partial": OrderStatus.PARTIALLY_FILLED,
}
# Statuses that are told by events; the others follow from the fills.
EVENT_OF: Final[Mapping[str, OrderEvent]] = {
    OrderStatus.ACCEPTED: OrderEvent.ACCEPTED,
    OrderStatus.CANCELLED: OrderEvent.CANCELLED,
    OrderStatus.REJECTED: OrderEvent.REJECTED,
    OrderStatus.EXPIRED: OrderEvent.EXPIRED,
}

Times = Mapping[OrderEvent, datetime]


class FillFacts(NamedTuple):
    """One execution: so much, at this price, at this time."""

    quantity: Decimal
    price: Decimal
    timestamp: datetime


class Tally(NamedTuple):
    """All fills of an order in four figures.

    ``value`` is Σ quantity × price, exact; ``late`` how many are stamped after the order's end.
    """

    quantity: Decimal = ZERO
    value: Decimal = ZERO
    last: datetime | None = None
    late: int = 0


class OrderState(NamedTuple):
    """What follows of an order."""

    status: OrderStatus
    filled_quantity: Decimal
    average_price: Decimal | None
    late_events: int


@dataclass(frozen=True, slots=True)
class Events:
    """The earliest time of each event that was reported, and why the order ended.

    The reason is that of the report that counts: the earliest of an end. Of two reports of one
    end at the same moment the reason that comes later in the alphabet is kept, so any beats none.
    """

    times: Times = field(default_factory=dict)
    reason: str = ""

    def end(self) -> tuple[datetime, int] | None:
        """Return when the order ended, and the place of what ended it among ``TERMINAL``."""
        ends = [(self.times[e], place) for place, e in enumerate(TERMINAL) if e in self.times]
        return min(ends, default=None)

    def ended_at(self) -> datetime | None:
        """Return the earliest time of an end; None while none was reported."""
        found = self.end()
        return found[0] if found else None

    def joined(self, event: OrderEvent, timestamp: datetime, reason: str = "") -> "Events":
        """Return what is known after one more report; twice, or in another order, is the same."""
        times = {**self.times, event: min(timestamp, self.times.get(event, timestamp))}
        if event not in TERMINAL:
            return Events(times, self.reason)
        told, known = (timestamp, TERMINAL.index(event)), self.end()
        if known is None or told < known:
            return Events(times, reason)
        return Events(times, max(reason, self.reason) if told == known else self.reason)


def status_named(word: str) -> str:
    """Return our own word for a status that an outside system may call otherwise.

    >>> status_named("canceled"), status_named("new"), status_named("expired")
    ('cancelled', 'accepted', 'expired')
    """
    return str(OTHER_WORDS.get(word, word))


def average_of(quantity: Decimal, value: Decimal) -> Decimal | None:
    """Return Σ quantity × price / Σ quantity, half to even at 18 places; None without fills."""
    if not quantity:
        return None
    return EXACT.divide(value, quantity).quantize(PLACE, context=EXACT)


def tally_of(fills: Iterable[FillFacts], *, ended_at: datetime | None) -> Tally:
    """Return fills, each known once, in four figures; ``ended_at``: when the order ended."""
    quantity, value, last, late = ZERO, ZERO, None, 0
    for fill in fills:
        quantity = EXACT.add(quantity, fill.quantity)
        value = EXACT.add(value, EXACT.multiply(fill.quantity, fill.price))
        last = fill.timestamp if last is None else max(last, fill.timestamp)
        late += ended_at is not None and fill.timestamp > ended_at
    return Tally(quantity, value, last, late)


def derived(quantity: Decimal, tally: Tally, times: Times) -> OrderState:
    """Return the state of an order of ``quantity``, from its fills and its events.

    *filled* when the fills come to the quantity; else what ended it first; else
    *partially_filled*, *accepted* or *pending*. A rejection counts only while there is no fill:
    what was carried out in part was not rejected. ``late_events`` are the fills stamped after
    the end, and the ends stamped after the fill that completed the order.
    """
    filled = tally.quantity == quantity
    late = tally.late
    if filled and tally.last is not None:
        late += sum(event in times and times[event] > tally.last for event in TERMINAL)
    ends = [
        (times[event], place, event)
        for place, event in enumerate(TERMINAL)
        if event in times and not (event is OrderEvent.REJECTED and tally.quantity)
    ]
    if filled:
        status = OrderStatus.FILLED
    elif ends:
        status = OrderStatus(min(ends)[2].value)
    elif tally.quantity:
        status = OrderStatus.PARTIALLY_FILLED
    else:
        known = OrderEvent.ACCEPTED in times
        status = OrderStatus.ACCEPTED if known else OrderStatus.PENDING
    return OrderState(status, tally.quantity, average_of(tally.quantity, tally.value), late)


def state_of(quantity: Decimal, fills: Iterable[FillFacts], events: Events) -> OrderState:
    """Return the state of an order from everything that is known of it (see ``derived``).

    Fills are known once each and never come to more than the quantity.
    """
    return derived(quantity, tally_of(fills, ended_at=events.ended_at()), events.times)
