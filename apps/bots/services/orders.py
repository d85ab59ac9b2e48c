"""Orders: placed and described. What is reported of them stands in ``order_states``."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Protocol
from uuid import UUID

from django.conf import settings
from django.db import connection, models, transaction

from apps.analysis.models import MLModel, Prediction
from apps.bots.choices import OrderEvent, OrderStatus, TradeType
from apps.bots.domain.orders import (
    EVENT_OF,
    Tally,
    derived,
    status_named,
)
from apps.bots.models import BotInstance, Order, Trade
from apps.bots.services.activity import note_activity
from apps.bots.services.departures import archived, departed
from apps.bots.services.order_states import TIMES, RefusedEvent, UnknownOrder, record_event
from apps.logs.services.events import record_trading_events
from apps.shared.copying import exact_json
from apps.shared.errors import FieldError
from apps.shared.ingest import Ingested, RowResult, RowStatus, ingest

__all__ = [
    "OrderLike",
    "RefusedEvent",
    "UnknownOrder",
    "describe_order",
    "record_event",
    "store_orders",
]

# The instruction itself, told once; what may be noted later stands in ``NOTES``.
INSTRUCTION: Final = (
    "bot_id",
    "trade_type",
    "symbol",
    "side",
    "quantity",
    "order_type",
    "price",
    "stop_price",
    "submitted_at",
)
# What is not compared where it is not told.
OPTIONAL: Final = ("bot_id", "trade_type", "submitted_at")
NOTES: Final = ("trade_id", "strategy", "model_id", "prediction_id", "extra_metadata")
COLUMNS: Final = ("order_id", *INSTRUCTION, *NOTES, "status", *TIMES.values())

WRITE_NOTES = """
    UPDATE orders SET trade_id = %(trade_id)s, strategy = %(strategy)s, model_id = %(model_id)s,
        prediction_id = %(prediction_id)s, extra_metadata = %(extra_metadata)s::jsonb,
        updated_at = %(now)s
    WHERE order_id = %(order_id)s AND (trade_id, strategy, model_id, prediction_id, extra_metadata)
        IS DISTINCT FROM (%(trade_id)s::uuid, %(strategy)s::text, %(model_id)s::text,
            %(prediction_id)s::text, %(extra_metadata)s::jsonb)
"""


class OrderLike(Protocol):
    """An order as it is sent. What is None or empty is not told, and not compared later."""

    @property
    def order_id(self) -> str: ...
    @property
    def bot_id(self) -> str | None: ...
    @property
    def trade_id(self) -> UUID | str | None: ...
    @property
    def trade_type(self) -> str: ...
    @property
    def symbol(self) -> str: ...
    @property
    def side(self) -> str: ...
    @property
    def quantity(self) -> Decimal: ...
    @property
    def order_type(self) -> str: ...
    @property
    def price(self) -> Decimal | None: ...
    @property
    def stop_price(self) -> Decimal | None: ...
    @property
    def status(self) -> str: ...
    @property
    def strategy(self) -> str: ...
    @property
    def model_id(self) -> str | None: ...
    @property
    def prediction_id(self) -> str | None: ...
    @property
    def submitted_at(self) -> datetime | None: ...
    @property
    def extra_metadata(self) -> Mapping[str, Any]: ...


# --- Placing ------------------------------------------------------------------------------


@transaction.atomic
def store_orders(rows: Sequence[OrderLike], *, now: datetime) -> Ingested:
    """Store orders and say what became of each row.

    An order that is known with the same content is *unchanged*, whatever happened to it since;
    with other content it is *failed*, its fields named. A ``status`` beyond pending is the report
    of an event, at ``submitted_at`` or now. Without a bot it is that of the order's trade, without
    a type that of the bot, without a bot "live". Rows that name a bot, trade, model or prediction
    which is not there are *failed*, and so are those of a trade that was archived.
    """
    outcome = Ingested()
    known = References(rows)
    places, values = [], []
    for place, row in enumerate(rows):
        if errors := [*faults(row, now=now), *known.faults(row)]:
            outcome.fail(place, errors)
        else:
            places.append(place)
            values.append(columns_of(row, known, now=now))
    defaults = {"reason": "", "filled_quantity": Decimal(0), "late_events": 0}
    stored = ingest(
        Order, values, columns=COLUMNS, key=["order_id"], on_conflict="refuse", defaults=defaults
    )
    forgive(stored, [rows[place] for place in places])
    listed = {each.index for each in stored.results}
    new = [dict(zip(COLUMNS, row, strict=True)) for i, row in enumerate(values) if i not in listed]
    if new:
        note_activity({row["bot_id"] for row in new if row["bot_id"]}, now=now)
        record_trading_events([placed(row) for row in new])
    outcome.merge(stored, places)
    outcome.sort()
    return outcome


def faults(row: OrderLike, *, now: datetime) -> list[FieldError]:
    """Return what cannot be in a new order."""
    errors = []
    status = status_named(row.status)
    if status != OrderStatus.PENDING and status not in EVENT_OF:
        message = "Follows from the fills: send them instead."
        errors.append(FieldError("/status", "follows_from_fills", message))
    if row.submitted_at is not None and row.submitted_at > now + settings.CLOCK_TOLERANCE:
        errors.append(FieldError("/submitted_at", "in_future", "Lies in the future."))
    return errors


def columns_of(row: OrderLike, known: "References", *, now: datetime) -> tuple[Any, ...]:
    """Return the values of a new order, in the order of ``COLUMNS``."""
    event = EVENT_OF.get(status_named(row.status))
    times = {event: row.submitted_at or now} if event else {}
    bot_id = known.bot_of(row)
    values = {
        **{name: getattr(row, name) for name in (*INSTRUCTION, *NOTES)},
        "order_id": row.order_id,
        "bot_id": bot_id,
        "trade_type": row.trade_type or known.bots.get(bot_id or "") or TradeType.LIVE.value,
        "model_id": row.model_id or None,
        "prediction_id": row.prediction_id or None,
        "status": derived(row.quantity, Tally(), times).status.value,
        **{column: times.get(each) for each, column in TIMES.items()},
    }
    return tuple(values[name] for name in COLUMNS)


class References:
    """What the rows of one batch name that must be there: one statement for each kind."""

    def __init__(self, rows: Sequence[OrderLike]) -> None:
        trades = {str(row.trade_id) for row in rows if row.trade_id}
        found = Trade.objects.filter(pk__in=trades).values_list("pk", "bot_id") if trades else []
        self.trades = {str(pk): bot_id for pk, bot_id in found}
        self.departed = {str(key) for key in departed(trades - self.trades.keys())}
        bots = {row.bot_id for row in rows if row.bot_id} | set(self.trades.values())
        types = BotInstance.objects.filter(pk__in=bots).values_list("pk", "type") if bots else []
        self.bots: dict[str, str] = dict(types)
        self.models = present(MLModel, "model_id", {row.model_id for row in rows})
        predictions = {row.prediction_id for row in rows}
        self.predictions = present(Prediction, "prediction_id", predictions)

    def bot_of(self, row: OrderLike) -> str | None:
        """Return the bot of an order: that of its trade where it names none."""
        return row.bot_id or self.trades.get(str(row.trade_id))

    def faults(self, row: OrderLike, *, order: Order | None = None) -> list[FieldError]:
        """Return what a row names that is not there, or that belongs to another bot.

        Of an ``order`` that is stored the bot is known, or known to be none.
        """
        errors = []
        if row.bot_id and row.bot_id not in self.bots:
            errors.append(missing("bot_id", "unknown_bot", f'There is no bot "{row.bot_id}".'))
        # The trade of another bot is no more told of than one that is not there.
        owner = self.trades.get(str(row.trade_id))
        own = (row.bot_id or owner) if order is None else order.bot_id
        if str(row.trade_id) in self.departed:
            errors.append(archived("/trade_id"))
        elif row.trade_id and (owner is None or owner != own):
            message = f'There is no trade "{row.trade_id}" of this bot.'
            errors.append(missing("trade_id", "unknown_trade", message))
        if row.model_id and row.model_id not in self.models:
            message = f'There is no model "{row.model_id}".'
            errors.append(missing("model_id", "unknown_model", message))
        if row.prediction_id and row.prediction_id not in self.predictions:
            message = f'There is no prediction "{row.prediction_id}".'
            errors.append(missing("prediction_id", "unknown_prediction", message))
        return errors


def present(model: type[models.Model], field: str, names: Iterable[str | None]) -> set[str]:
    """Return which of these names are stored."""
    wanted = {name for name in names if name}
    if not wanted:
        return set()
    rows = model._default_manager.filter(**{f"{field}__in": wanted})
    return set(rows.values_list(field, flat=True))


def missing(name: str, code: str, message: str) -> FieldError:
    return FieldError(f"/{name}", code, message)


def forgive(stored: Ingested, rows: Sequence[OrderLike]) -> None:
    """Take back the refusal of rows that differ only in what they do not tell, or what moved."""
    refused = [each for each in stored.results if each.status is RowStatus.FAILED]
    reported = reported_events({rows[each.index].order_id for each in refused}) if refused else {}
    for result in refused:
        row = rows[result.index]
        events = reported.get(row.order_id, set())
        result.errors = [each for each in result.errors if differs(each, row, events)]
        if of_bot := [each for each in result.errors if each.pointer == "/bot_id"]:
            # Of another bot's order nothing is told, not even what is the same.
            result.errors = of_bot
        if not result.errors:
            turn(stored, result)


def reported_events(order_ids: Iterable[str]) -> dict[str, set[OrderEvent]]:
    """Return which events were reported of each order."""
    rows = Order.objects.filter(order_id__in=order_ids).values("order_id", *TIMES.values())
    return {
        row["order_id"]: {event for event, column in TIMES.items() if row[column]} for row in rows
    }


def differs(error: FieldError, row: OrderLike, reported: set[OrderEvent]) -> bool:
    """Whether a difference is one of content.

    A status is content only when it tells of an event that was never reported.
    """
    name = error.pointer.removeprefix("/")
    if name in TIMES.values():
        return False
    if name == "status":
        event = EVENT_OF.get(status_named(row.status))
        return event is not None and event not in reported
    compared = name in INSTRUCTION and name not in OPTIONAL
    return compared or bool(getattr(row, name))


def turn(stored: Ingested, result: RowResult) -> None:
    """Make a refused row an unchanged one."""
    result.status = RowStatus.UNCHANGED
    stored.count(RowStatus.FAILED, -1)
    stored.count(RowStatus.UNCHANGED, 1)


def placed(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the logs say of an order that was placed."""
    return {
        "event_type": "order_placed",
        "symbol": row["symbol"],
        "side": row["side"],
        "quantity": row["quantity"],
        "price": row["price"],
        "order_id": row["order_id"],
        "strategy": row["strategy"],
        "bot_id": row["bot_id"] or "",
        "trade_type": row["trade_type"],
    }


# --- Describing ---------------------------------------------------------------------------


@transaction.atomic
def describe_order(row: OrderLike, *, now: datetime) -> Ingested:
    """Replace what is noted of an order (``NOTES``); place it where it is unknown.

    The instruction itself cannot be changed: a row that differs in it is *failed*, its fields
    named. Its state is not touched.
    """
    order = Order.objects.select_for_update(no_key=True).filter(order_id=row.order_id).first()
    if order is None:
        return store_orders([row], now=now)
    outcome = Ingested()
    known = References([row])
    message = "Differs from the stored value, and cannot be changed."
    errors = [
        FieldError(f"/{name}", "differs", message)
        for name in INSTRUCTION
        if getattr(row, name) != getattr(order, name)
        if getattr(row, name) or name not in OPTIONAL
    ]
    errors = [each for each in errors if each.pointer == "/bot_id"] or errors
    if errors := errors or known.faults(row, order=order):
        outcome.fail(0, errors)
        return outcome
    values = {name: getattr(row, name) for name in NOTES}
    for name in ("model_id", "prediction_id"):
        values[name] = values[name] or None
    values["extra_metadata"] = exact_json.encode(row.extra_metadata).decode()
    with connection.cursor() as cursor:
        cursor.execute(WRITE_NOTES, {**values, "order_id": row.order_id, "now": now})
        changed = cursor.rowcount
    outcome.note(0, RowStatus.REPLACED if changed else RowStatus.UNCHANGED)
    return outcome
