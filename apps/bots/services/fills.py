"""Fills: taken in under the locks of their orders, so that they never come to more than those."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple, Protocol

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from apps.bots.choices import OrderStatus
from apps.bots.domain.orders import EXACT
from apps.bots.domain.symbols import quote_of
from apps.bots.models import Fill, Order
from apps.bots.services.activity import note_activity
from apps.bots.services.order_states import Settled, settle
from apps.logs.services.events import record_trading_events
from apps.shared.errors import FieldError
from apps.shared.fields import plain_text
from apps.shared.ingest import Ingested, RowStatus, ingest

OVER_FILL: Final = "over_fill"


class FillLike(Protocol):
    """A fill as it is sent. What is empty is the order's, or follows from its symbol."""

    @property
    def order_id(self) -> str: ...
    @property
    def fill_id(self) -> str: ...
    @property
    def quantity(self) -> Decimal: ...
    @property
    def price(self) -> Decimal: ...
    @property
    def timestamp(self) -> datetime: ...
    @property
    def symbol(self) -> str: ...
    @property
    def side(self) -> str: ...
    @property
    def commission(self) -> Decimal: ...
    @property
    def commission_currency(self) -> str: ...
    @property
    def liquidity(self) -> str: ...


class FillFacts(NamedTuple):
    """A fill as it is stored, column by column."""

    order_id: str
    fill_id: str
    symbol: str
    quantity: Decimal
    price: Decimal
    commission: Decimal
    commission_currency: str
    liquidity: str
    timestamp: datetime


Name = tuple[str, str]


@transaction.atomic
def store_fills(
    rows: Sequence[FillLike], *, now: datetime, orders: QuerySet[Order] | None = None
) -> Ingested:
    """Store fills of any number of orders and say what became of each row.

    The same ``fill_id`` of an order again is *unchanged* with the same content and *failed* with
    other content. One that would bring the fills of its order above the order's quantity is
    *failed* as ``over_fill``, alone: rows count in the order of the batch. So is one for an order
    that is not among ``orders`` (all, unless given), or of another symbol or side than its order.
    A fill may be older than its order, since clocks differ, and younger than its end.

    Orders are locked in the order of their names, so that two batches never wait in a circle;
    the number of statements does not grow with the batch.
    """
    outcome = Ingested()
    among = Order.objects.all() if orders is None else orders
    held = locked({row.order_id for row in rows}, among)
    stored = stored_fills(rows)
    room = {
        name: EXACT.subtract(order.quantity, order.filled_quantity) for name, order in held.items()
    }
    places: list[int] = []
    new: list[FillFacts] = []
    for place, row in enumerate(rows):
        order = held.get(row.order_id)
        errors = faults(row, order, now=now)
        if order is None or errors:
            outcome.fail(place, errors)
            continue
        facts = facts_of(row, order)
        name = (facts.order_id, facts.fill_id)
        if name in stored:
            if differing := differences(row, facts, stored[name]):
                outcome.fail(place, differing)
            else:
                outcome.note(place, RowStatus.UNCHANGED)
        elif facts.quantity > room[facts.order_id]:
            outcome.fail(place, [over_fill(facts, room[facts.order_id])])
        else:
            room[facts.order_id] = EXACT.subtract(room[facts.order_id], facts.quantity)
            stored[name] = facts
            places.append(place)
            new.append(facts)
    if new:
        inserted = ingest(
            Fill,
            new,
            columns=FillFacts._fields,
            key=["order_id", "fill_id"],
            on_conflict="refuse",
        )
        outcome.merge(inserted, places)
        settled = settle(sorted({facts.order_id for facts in new}), now=now)
        touched = [held[each.order_id] for each in settled]
        note_activity({order.bot_id for order in touched if order.bot_id}, now=now)
        record_trading_events(list(filled(new, held, settled)))
    outcome.sort()
    return outcome


def locked(order_ids: Iterable[str], among: QuerySet[Order]) -> dict[str, Order]:
    """Return these orders by name, locked until the transaction ends."""
    rows = (
        among.filter(order_id__in=list(order_ids))
        .select_for_update(no_key=True, of=("self",))
        .only("order_id", "bot_id", "symbol", "side", "quantity", "filled_quantity", "strategy")
        .order_by("order_id")
    )
    return {order.order_id: order for order in rows}


def stored_fills(rows: Sequence[FillLike]) -> dict[Name, FillFacts]:
    """Return the fills of these names that are stored. To be asked behind the locks."""
    found = Fill.objects.filter(
        order_id__in=list({row.order_id for row in rows}),
        fill_id__in=list({row.fill_id for row in rows}),
    )
    facts = (FillFacts(*values) for values in found.values_list(*FillFacts._fields))
    return {(each.order_id, each.fill_id): each for each in facts}


def faults(row: FillLike, order: Order | None, *, now: datetime) -> list[FieldError]:
    """Return what cannot be in a fill of this order."""
    if order is None:
        message = f'There is no order "{row.order_id}".'
        return [FieldError("/order_id", "unknown_order", message)]
    errors = []
    for name in ("symbol", "side"):
        told, own = getattr(row, name), getattr(order, name)
        if told and told != own:
            message = f"Its order is one to {order.side} {order.symbol}."
            errors.append(FieldError(f"/{name}", f"other_{name}", message))
    if row.timestamp > now + settings.CLOCK_TOLERANCE:
        errors.append(FieldError("/timestamp", "in_future", "Lies in the future."))
    return errors


def facts_of(row: FillLike, order: Order) -> FillFacts:
    """Return a fill as it is stored."""
    return FillFacts(
        order_id=row.order_id,
        fill_id=row.fill_id,
        symbol=order.symbol,
        quantity=row.quantity,
        price=row.price,
        commission=row.commission,
        commission_currency=row.commission_currency or quote_of(order.symbol),
        liquidity=row.liquidity,
        timestamp=row.timestamp,
    )


def differences(row: FillLike, facts: FillFacts, stored: FillFacts) -> list[FieldError]:
    """Return in what a fill differs from the stored one; a liquidity not told is not compared."""
    message = "Differs from the stored value."
    return [
        FieldError(f"/{name}", "differs", message)
        for name, told, held in zip(FillFacts._fields, facts, stored, strict=True)
        if told != held and (name != "liquidity" or row.liquidity)
    ]


def over_fill(facts: FillFacts, room: Decimal) -> FieldError:
    left = plain_text(room) if room else "nothing"
    message = f"{plain_text(facts.quantity)} is more than is left of its order: {left}."
    return FieldError("/quantity", OVER_FILL, message)


def filled(
    new: Sequence[FillFacts], held: Mapping[str, Order], settled: Sequence[Settled]
) -> Iterable[dict[str, Any]]:
    """Yield what the logs say of new fills: whether their order is filled now, or in part."""
    complete = {each.order_id for each in settled if each.state.status == OrderStatus.FILLED}
    last = {facts.order_id: facts for facts in new}
    for facts in new:
        order = held[facts.order_id]
        whole = facts.order_id in complete and facts is last[facts.order_id]
        yield {
            "event_type": "order_filled" if whole else "order_partially_filled",
            "symbol": order.symbol,
            "side": order.side,
            "quantity": facts.quantity,
            "price": facts.price,
            "order_id": order.order_id,
            "strategy": order.strategy,
            "timestamp": facts.timestamp,
            "bot_id": order.bot_id or "",
            "fill_id": facts.fill_id,
        }
