"""What is reported of orders, and the state that follows from it and from their fills."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db import connection, transaction

from apps.bots.choices import OrderEvent
from apps.bots.domain.orders import Events, OrderState, Tally, Times, derived
from apps.bots.models import Order
from apps.logs.services.events import record_trading_events
from apps.shared.errors import DomainError, FieldError
from apps.shared.ingest import probing

# The column of each event's time.
TIMES: Final[Mapping[OrderEvent, str]] = {event: f"{event.value}_at" for event in OrderEvent}

STANDING = """
    SELECT o.order_id, o.quantity, o.status,
        o.accepted_at, o.cancelled_at, o.rejected_at, o.expired_at,
        coalesce(f.quantity, 0), coalesce(f.value, 0), f.last, coalesce(f.late, 0)
    FROM orders o LEFT JOIN LATERAL (
        SELECT sum(quantity) AS quantity, sum(quantity * price) AS value, max(timestamp) AS last,
            count(*) FILTER (
                WHERE timestamp > least(o.cancelled_at, o.rejected_at, o.expired_at)
            ) AS late
        FROM fills WHERE fills.order_id = o.order_id
    ) f ON true
    WHERE o.order_id = ANY(%(order_ids)s)
"""
WRITE_STATES = """
    UPDATE orders SET status = n.status, filled_quantity = n.filled, average_price = n.average,
        late_events = n.late, updated_at = %(now)s
    FROM unnest(%(order_ids)s::text[], %(statuses)s::text[], %(filled)s::numeric[],
        %(averages)s::numeric[], %(late)s::int[]) AS n (order_id, status, filled, average, late)
    WHERE orders.order_id = n.order_id
"""


class UnknownOrder(DomainError):
    """There is no order of this id."""

    code = "unknown_order"
    status = 404


class RefusedEvent(DomainError):
    """A report on an order holds what cannot be; the field is named."""

    code = "invalid"


@transaction.atomic
def record_event(
    *, order_id: str, event: OrderEvent, timestamp: datetime, reason: str = "", now: datetime
) -> bool:
    """Take in that an order was accepted, cancelled, rejected or has expired.

    Of several reports of one event the earliest time is kept, so that their order and number do
    not matter. Returns whether anything changed. Raises UnknownOrder, and RefusedEvent for a time
    ahead of our clock.
    """
    if timestamp > now + settings.CLOCK_TOLERANCE:
        errors = [FieldError("/timestamp", "in_future", "Lies in the future.")]
        raise RefusedEvent("The report is refused.", errors)
    order = Order.objects.select_for_update(no_key=True).filter(order_id=order_id).first()
    if order is None:
        raise UnknownOrder("There is no order of this id.")
    before = Events(times_of(order), order.reason)
    after = before.joined(OrderEvent(event), timestamp, reason)
    if after == before:
        return False
    values = {TIMES[each]: moment for each, moment in after.times.items()}
    Order.objects.filter(pk=order.pk).update(**values, reason=after.reason)
    (settled,) = settle([order_id], now=now)
    if event not in before.times:
        record_trading_events([told(order, event, timestamp, after.reason, settled.state)])
    return True


def times_of(order: Order) -> Times:
    """Return the times of what was reported of an order."""
    found = {event: getattr(order, column) for event, column in TIMES.items()}
    return {event: moment for event, moment in found.items() if moment is not None}


def told(
    order: Order, event: OrderEvent, timestamp: datetime, reason: str, state: OrderState
) -> dict[str, Any]:
    """Return what the logs say of an event of an order."""
    return {
        "event_type": f"order_{OrderEvent(event).value}",
        "symbol": order.symbol,
        "side": order.side,
        "quantity": order.quantity,
        "price": order.price,
        "order_id": order.order_id,
        "strategy": order.strategy,
        "timestamp": timestamp,
        "bot_id": order.bot_id or "",
        "status": state.status.value,
        "reason": reason,
    }


# --- The state that follows ---------------------------------------------------------------


class Settled(NamedTuple):
    """An order whose state was derived anew."""

    order_id: str
    before: str
    state: OrderState


def settle(order_ids: Sequence[str], *, now: datetime) -> list[Settled]:
    """Derive the state of orders anew from their fills and events, and write it.

    Two statements for any number of orders, whose rows must be locked already.
    """
    found: list[Settled] = []
    with connection.cursor() as cursor:
        with probing(cursor):
            cursor.execute(STANDING, {"order_ids": list(order_ids)})
            rows = cursor.fetchall()
        for order_id, quantity, before, *moments, filled, value, last, late in rows:
            times = {
                event: moment
                for event, moment in zip(TIMES, moments, strict=True)
                if moment is not None
            }
            state = derived(quantity, Tally(filled, value, last, late), times)
            found.append(Settled(order_id, before, state))
        cursor.execute(
            WRITE_STATES,
            {
                "now": now,
                "order_ids": [each.order_id for each in found],
                "statuses": [each.state.status.value for each in found],
                "filled": [each.state.filled_quantity for each in found],
                "averages": [each.state.average_price for each in found],
                "late": [each.state.late_events for each in found],
            },
        )
    return found
