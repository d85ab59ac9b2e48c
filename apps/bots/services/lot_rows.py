"""Bookings as they are sent and stored, and the lots they are about."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple, Protocol

from apps.bots.domain.lots import EXACT, ZERO, Lot
from apps.bots.models import BotInstance, LotTrade
from apps.shared.errors import DomainError, FieldError
from apps.shared.fields import plain

EXECUTED: Final = "executed"


class BookingRefused(DomainError):
    """A booking that the rules refuse; the fields are named."""


class BookingLike(Protocol):
    """A booking as it is sent. What is None or empty is not told, and not compared later."""

    @property
    def id(self) -> str: ...
    @property
    def bot_id(self) -> str | None: ...
    @property
    def type(self) -> str: ...
    @property
    def symbol(self) -> str: ...
    @property
    def trade_type(self) -> str: ...
    @property
    def price(self) -> Decimal: ...
    @property
    def size(self) -> Decimal: ...
    @property
    def fee(self) -> Decimal: ...
    @property
    def lot_id(self) -> str | None: ...
    @property
    def timestamp(self) -> datetime: ...
    @property
    def notes(self) -> str: ...


class Kind(NamedTuple):
    """What lots must have in common for a sale to draw on them."""

    bot_id: str | None
    type: str
    symbol: str
    currency: str


class Part(NamedTuple):
    """A booking against one lot as it is stored, column by column."""

    id: str
    booking: str
    lot_id: str
    bot_id: str | None
    type: str
    symbol: str
    trade_type: str
    price: Decimal
    size: Decimal
    fee: Decimal
    pnl: Decimal | None
    avg_buy_price: Decimal | None
    timestamp: datetime
    status: str
    notes: str


@dataclass(slots=True)
class Held:
    """A lot whose row is locked, as it stands after the bookings so far."""

    kind: Kind
    lot: Lot = field(default_factory=Lot)
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    is_new: bool = False


def read(figures: Sequence[Any], *, is_new: bool) -> Held:
    """Return a lot from the columns of ``LOCK_LOTS`` behind its name."""
    *kind, total_size, available, average, realized, fees, opened_at, closed_at = figures
    lot = Lot(
        total=plain(total_size),
        available=plain(available),
        average=None if average is None else plain(average),
        realized=plain(realized),
        fees=plain(fees),
    )
    return Held(Kind(*kind), lot, opened_at, closed_at, is_new=is_new)


def bots_named(rows: Iterable[BookingLike]) -> dict[str, tuple[str, str]]:
    """Return the type and currency of the bots that rows name and that are there."""
    names = {row.bot_id for row in rows if row.bot_id}
    if not names:
        return {}
    found = BotInstance.objects.filter(pk__in=names)
    return {
        pk: (kind, quote) for pk, kind, quote in found.values_list("pk", "type", "quote_currency")
    }


def stored_parts(bookings: Iterable[str]) -> dict[str, list[Part]]:
    """Return what is stored of these bookings, by their names."""
    found: dict[str, list[Part]] = {}
    rows = LotTrade.objects.filter(booking__in=list(bookings)).order_by("id")
    for values in rows.values_list(*Part._fields):
        part = Part(*values)
        found.setdefault(part.booking, []).append(part)
    return found


def columns_of(kinds: Iterable[Kind]) -> dict[str, list[Any]]:
    """Return kinds as columns, for a statement."""
    each = list(kinds)
    return {
        "bot_ids": [kind.bot_id for kind in each],
        "types": [kind.type for kind in each],
        "symbols": [kind.symbol for kind in each],
        "currencies": [kind.currency for kind in each],
    }


def figures_of(moved: Mapping[str, Held]) -> dict[str, list[Any]]:
    """Return lots as columns, for a statement."""
    return {
        "lot_ids": list(moved),
        **columns_of(held.kind for held in moved.values()),
        "totals": [held.lot.total for held in moved.values()],
        "availables": [held.lot.available for held in moved.values()],
        "averages": [held.lot.average for held in moved.values()],
        "realized": [held.lot.realized for held in moved.values()],
        "fees": [held.lot.fees for held in moved.values()],
        "opened": [held.opened_at for held in moved.values()],
        "closed": [held.closed_at for held in moved.values()],
    }


def part_of(
    row: BookingLike, name: str, lot_id: str, kind: Kind, *, size: Decimal, fee: Decimal
) -> Part:
    """Return a booking against one lot; a sale's gain is not in it yet."""
    return Part(
        id=name,
        booking=row.id,
        lot_id=lot_id,
        bot_id=kind.bot_id,
        type=kind.type,
        symbol=kind.symbol,
        trade_type=row.trade_type,
        price=row.price,
        size=size,
        fee=fee,
        pnl=None,
        avg_buy_price=None,
        timestamp=row.timestamp,
        status=EXECUTED,
        notes=row.notes,
    )


def check_kind(row: BookingLike, kind: Kind) -> None:
    """Raise BookingRefused unless a lot is of the symbol, and of the bot and type if told."""
    same_bot = not row.bot_id or row.bot_id == kind.bot_id
    same_type = not row.type or row.type == kind.type
    if row.symbol != kind.symbol or not same_bot or not same_type:
        message = f"The lot {row.lot_id} is not one of this symbol, bot and type."
        raise refused("lot_id", "other_lot", message)


def differences(row: BookingLike, parts: Sequence[Part]) -> list[FieldError]:
    """Return in what a booking differs from the one stored under its name."""
    first = parts[0]
    compared = {
        "symbol": (row.symbol, first.symbol),
        "trade_type": (row.trade_type, first.trade_type),
        "price": (row.price, first.price),
        "size": (row.size, total(part.size for part in parts)),
        "fee": (row.fee, total(part.fee for part in parts)),
        "timestamp": (row.timestamp, first.timestamp),
        "notes": (row.notes, first.notes),
        "type": (row.type or first.type, first.type),
    }
    if row.bot_id and row.bot_id != first.bot_id:
        # Of another bot's booking nothing is told, not even what is the same.
        names = ["bot_id"]
    else:
        names = [name for name, (told, held) in compared.items() if told != held]
        if row.lot_id and [row.lot_id] != [part.lot_id for part in parts]:
            names.append("lot_id")
    return [FieldError(f"/{name}", "differs", "Differs from the stored value.") for name in names]


def total(values: Iterable[Decimal]) -> Decimal:
    """Return the exact sum."""
    found = ZERO
    for value in values:
        found = EXACT.add(found, value)
    return found


def refused(name: str, code: str, message: str) -> BookingRefused:
    """Return the error that names one field."""
    return BookingRefused("The booking is refused.", [FieldError(f"/{name}", code, message)])
