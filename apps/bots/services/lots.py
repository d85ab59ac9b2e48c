"""Bookings against lots: the only way in which lots change, besides reservations."""

from bisect import insort
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from apps.bots.choices import Side, TradeType
from apps.bots.domain.lots import (
    Candidate,
    Lot,
    Share,
    age,
    bought,
    first_in_first_out,
    reserved,
    sold,
)
from apps.bots.domain.symbols import quote_of
from apps.bots.models import LotTrade, Position
from apps.bots.services.activity import note_activity
from apps.bots.services.lot_rows import (
    BookingLike,
    BookingRefused,
    Held,
    Kind,
    Part,
    bots_named,
    check_kind,
    columns_of,
    differences,
    figures_of,
    part_of,
    read,
    refused,
    stored_parts,
)
from apps.logs.services.events import record_trading_events
from apps.shared.errors import Conflict, DomainError, FieldError
from apps.shared.fields import plain_text
from apps.shared.ingest import Ingested, RowStatus, ingest

OPEN_LOTS = """
    INSERT INTO positions (lot_id, bot_id, type, symbol, quote_currency)
    SELECT * FROM unnest(%(lot_ids)s::text[], %(bot_ids)s::text[], %(types)s::text[],
        %(symbols)s::text[], %(currencies)s::text[]) AS n (lot_id) ORDER BY lot_id
    ON CONFLICT (lot_id) DO NOTHING RETURNING lot_id
"""
# One statement takes all locks, in the order of the names: no two batches wait in a circle.
LOCK_LOTS = """
    SELECT lot_id, bot_id, type, symbol, quote_currency, total_size, available_size,
        avg_buy_price, realized_pnl, fees, opened_at, closed_at
    FROM positions WHERE lot_id = ANY(ARRAY(
        SELECT unnest(%(lot_ids)s::text[])
        UNION
        SELECT held.lot_id FROM positions held JOIN unnest(%(bot_ids)s::text[], %(types)s::text[],
            %(symbols)s::text[], %(currencies)s::text[]) AS n (bot_id, type, symbol, currency)
            ON held.symbol = n.symbol AND held.type = n.type AND held.quote_currency = n.currency
            AND held.bot_id IS NOT DISTINCT FROM n.bot_id
        WHERE held.total_size > 0
    )) ORDER BY lot_id FOR NO KEY UPDATE
"""
WRITE_LOTS = """
    UPDATE positions SET bot_id = n.bot_id, type = n.type, symbol = n.symbol,
        quote_currency = n.currency, total_size = n.total, available_size = n.available,
        avg_buy_price = n.average, realized_pnl = n.realized, fees = n.fees,
        opened_at = n.opened_at, closed_at = n.closed_at, updated_at = %(now)s
    FROM unnest(%(lot_ids)s::text[], %(bot_ids)s::text[], %(types)s::text[], %(symbols)s::text[],
        %(currencies)s::text[], %(totals)s::numeric[], %(availables)s::numeric[],
        %(averages)s::numeric[], %(realized)s::numeric[], %(fees)s::numeric[],
        %(opened)s::timestamptz[], %(closed)s::timestamptz[])
        AS n (lot_id, bot_id, type, symbol, currency, total, available, average, realized, fees,
            opened_at, closed_at)
    WHERE positions.lot_id = n.lot_id
"""


class UnknownLot(DomainError):
    """There is no lot of this name."""

    code = "unknown_lot"
    status = 404


@transaction.atomic
def book_lot_trades(rows: Sequence[BookingLike], *, now: datetime) -> Ingested:
    """Book buys and sales in their order and say what became of each row.

    A buy without a lot makes one of its own name; with a lot it adds to it, or makes it. A sale
    takes from its lot what is there and not reserved; without a lot from all of its symbol, bot,
    type and currency, the oldest first, and is then stored as one row for each lot: ``id`` when
    it is one, ``id/1``, ``id/2`` … when there are more. The same booking again is *unchanged*,
    another of its name *failed*, its fields named. A sale of more than is there is *failed*, and
    nothing moves. So is a booking against a lot of another symbol, bot or type, a buy into a lot
    of which all was sold, and one that names a bot which is not there. Raises Conflict in the
    rare case that another booked just this at the same moment.
    """
    outcome = Ingested()
    book = Book(rows)
    for place, row in enumerate(rows):
        try:
            parts = book.entered(row, now=now)
        except DomainError as refused:
            outcome.fail(place, refused.errors)
            continue
        outcome.note(place, RowStatus.CREATED if parts else RowStatus.UNCHANGED)
    book.write(now=now)
    bots = {part.bot_id for part in book.entries if part.bot_id}
    if book.entries:
        note_activity(bots, now=now)
        record_trading_events([booked(part) for part in book.entries])
    return outcome


class Book:
    """One batch of bookings, and the lots they are about, locked."""

    def __init__(self, rows: Sequence[BookingLike]) -> None:
        self.bots = bots_named(rows)
        opened = self._open_lots(rows)
        self.lots = self._locked(rows, opened)
        # Asked behind the locks: what another stored meanwhile is there now.
        self.stored = stored_parts({row.id for row in rows})
        self.ages: dict[Kind, list[Any]] = {}
        for name, held in self.lots.items():
            if held.lot.total:
                self.ages.setdefault(held.kind, []).append(age(held.opened_at, name))
        for known in self.ages.values():
            known.sort()
        self.entries: list[Part] = []
        self.touched: set[str] = set()

    def kind_of(self, row: BookingLike) -> Kind:
        """Return what the lots of a booking have in common where it names none."""
        usual, currency = self.bots.get(row.bot_id or "", (TradeType.LIVE.value, ""))
        return Kind(
            row.bot_id or None, row.type or usual, row.symbol, quote_of(row.symbol) or currency
        )

    def _open_lots(self, rows: Sequence[BookingLike]) -> set[str]:
        """Make the lots that buys name and that are not there; return their names."""
        kinds: dict[str, Kind] = {}
        for row in rows:
            if row.trade_type == Side.BUY and self.is_known(row):
                kinds.setdefault(row.lot_id or row.id, self.kind_of(row))
        if not kinds:
            return set()
        with connection.cursor() as cursor:
            cursor.execute(OPEN_LOTS, {"lot_ids": list(kinds), **columns_of(kinds.values())})
            return {name for (name,) in cursor.fetchall()}

    def _locked(self, rows: Sequence[BookingLike], opened: set[str]) -> dict[str, Held]:
        """Return all lots that the rows may touch, locked until the transaction ends."""
        names = {row.lot_id or row.id for row in rows if row.lot_id or row.trade_type == Side.BUY}
        sales = {self.kind_of(row) for row in rows if not row.lot_id and row.trade_type == "sell"}
        with connection.cursor() as cursor:
            cursor.execute(LOCK_LOTS, {"lot_ids": sorted(names), **columns_of(sales)})
            found = cursor.fetchall()
        return {name: read(figures, is_new=name in opened) for name, *figures in found}

    def is_known(self, row: BookingLike) -> bool:
        """Tell whether the bot of a booking is there, or none is named."""
        return not row.bot_id or row.bot_id in self.bots

    # --- One booking ----------------------------------------------------------------------

    def entered(self, row: BookingLike, *, now: datetime) -> list[Part]:
        """Enter one booking; return its parts, none when it was entered before.

        Raises DomainError, the fields named; then nothing moves.
        """
        if known := self.stored.get(row.id):
            if errors := differences(row, known):
                raise Conflict("Booked with other content.", [e.pointer[1:] for e in errors])
            return []
        if errors := list(self.faults(row, now=now)):
            raise BookingRefused("The booking is refused.", errors)
        parts = self._buy(row) if row.trade_type == Side.BUY else self._sell(row)
        self.stored[row.id] = parts
        self.entries += parts
        return parts

    def faults(self, row: BookingLike, *, now: datetime) -> Iterator[FieldError]:
        """Yield what cannot be in a booking."""
        if row.trade_type not in Side.values:
            message = "Only buys and sales are booked; to hold moves no lot."
            yield FieldError("/trade_type", "not_booked", message)
        if not self.is_known(row):
            yield FieldError("/bot_id", "unknown_bot", f'There is no bot "{row.bot_id}".')
        if row.timestamp > now + settings.CLOCK_TOLERANCE:
            yield FieldError("/timestamp", "in_future", "Lies in the future.")

    def _buy(self, row: BookingLike) -> list[Part]:
        name = row.lot_id or row.id
        held = self.lots[name]
        if held.is_new:
            # The first of the batch that named it may have been refused.
            held.kind = self.kind_of(row)
        elif not row.lot_id:
            raise refused("id", "lot_exists", f"There is a lot {name} already: name it to add.")
        else:
            check_kind(row, held.kind)
        held.lot = bought(held.lot, size=row.size, price=row.price, fee=row.fee, name=name)
        if held.is_new:
            held.is_new = False
            held.opened_at = row.timestamp
            insort(self.ages.setdefault(held.kind, []), age(held.opened_at, name))
        self.touched.add(name)
        return [part_of(row, row.id, name, held.kind, size=row.size, fee=row.fee)]

    def _sell(self, row: BookingLike) -> list[Part]:
        if row.lot_id:
            held = self.lots.get(row.lot_id)
            if held is None or held.is_new:
                raise refused("lot_id", "unknown_lot", f"There is no lot {row.lot_id}.")
            check_kind(row, held.kind)
            shares = [Share(row.lot_id, row.size, row.fee)]
        else:
            oldest = self._candidates(self.kind_of(row))
            shares = first_in_first_out(oldest, size=row.size, fee=row.fee)
        # All or nothing: no lot moves before each part is known to be possible.
        after = [
            sold(
                self.lots[share.lot_id].lot,
                size=share.size,
                price=row.price,
                fee=share.fee,
                name=share.lot_id,
            )
            for share in shares
        ]
        parts = []
        for place, (share, (lot, realized)) in enumerate(zip(shares, after, strict=True), 1):
            held = self.lots[share.lot_id]
            held.lot = lot
            if lot.is_closed:
                held.closed_at = max(held.opened_at or row.timestamp, row.timestamp)
                self.ages[held.kind].remove(age(held.opened_at, share.lot_id))
            self.touched.add(share.lot_id)
            name = row.id if len(shares) == 1 else f"{row.id}/{place}"
            part = part_of(row, name, share.lot_id, held.kind, size=share.size, fee=share.fee)
            parts.append(part._replace(pnl=realized, avg_buy_price=lot.average))
        return parts

    def _candidates(self, kind: Kind) -> Iterator[Candidate]:
        for *_, name in self.ages.get(kind, []):
            yield Candidate(name, self.lots[name].lot.available)

    # --- All of them ----------------------------------------------------------------------

    def write(self, *, now: datetime) -> None:
        """Write the bookings and the lots they moved, and drop new lots that were not used."""
        if unused := [name for name, held in self.lots.items() if held.is_new]:
            Position.objects.filter(pk__in=unused).delete()
        if not self.entries:
            return
        moved = {name: self.lots[name] for name in sorted(self.touched)}
        with connection.cursor() as cursor:
            cursor.execute(WRITE_LOTS, {"now": now, **figures_of(moved)})
        stored = ingest(
            LotTrade, self.entries, columns=Part._fields, key=["id"], on_conflict="refuse"
        )
        if stored.created != len(self.entries):
            raise Conflict("Another booked the same at this moment; send it again.")


def booked(part: Part) -> dict[str, Any]:
    """Return what the logs say of a booking."""
    return {
        "event_type": "position_updated",
        "symbol": part.symbol,
        "side": part.trade_type,
        "quantity": part.size,
        "price": part.price,
        "timestamp": part.timestamp,
        "bot_id": part.bot_id or "",
        "lot_id": part.lot_id,
        "booking": part.booking,
        "pnl": None if part.pnl is None else plain_text(part.pnl),
    }


# --- Reservations -------------------------------------------------------------------------


@transaction.atomic
def reserve(*, lot_id: str, size: Decimal, now: datetime) -> Position:
    """Set how much of a lot is reserved, whatever was before; what is, cannot be sold.

    The same again has no effect. Raises UnknownLot, and OverReserved for more than it holds.
    """
    held = Position.objects.select_for_update(no_key=True).filter(pk=lot_id).first()
    if held is None:
        raise UnknownLot("There is no lot of this name.")
    after = reserved(Lot(held.total_size, held.available_size), size=size)
    if after.available != held.available_size:
        held.available_size = after.available
        held.save(update_fields=["available_size", "updated_at"])
    return held
