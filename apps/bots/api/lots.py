"""What programs tell and read of lots."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.decorators import action
from rest_framework.request import Request

from apps.bots.api.rows_lots import LotTradeRow, ReservationRow
from apps.bots.api.verbs import refused_as
from apps.bots.domain.lots import InsufficientLot, LotClosed, LotTooLarge
from apps.bots.models import LotTrade, Position
from apps.bots.services import lots
from apps.bots.services.lot_rows import total
from apps.shared.api import batches, filters, listing, parsing
from apps.shared.api.answers import answer, check_one
from apps.shared.api.filters import ANY_OF, RANGE, Narrowing
from apps.shared.api.openapi import STORED_ROW, describe
from apps.shared.api.viewsets import BODY_BYTES, FactViewSet, ReadOnlyViewSet
from apps.shared.api.writing import in_transaction, once
from apps.shared.fields import plain_text
from apps.shared.ingest import Ingested

RULES = {each.code: each.status for each in (InsufficientLot, LotClosed, LotTooLarge)}


def only_open(rows: QuerySet[Position], wanted: bool) -> QuerySet[Position]:
    """Return the lots in which something is left, or those in which nothing is."""
    return rows.filter(total_size__gt=0) if wanted else rows.filter(total_size=0)


class PositionViewSet(ReadOnlyViewSet):
    """Lots: what was bought and is still there, what it cost on average, what sales realized.

    They are moved by what is posted to ``lot-trades/`` alone; ``realized_pnl`` is before
    ``fees``. What is not available is reserved.
    """

    queryset = Position.objects.all()
    lookup_field = "lot_id"
    subject_fields = {"bot": "bot_id"}
    fields = [
        "lot_id",
        "bot_id",
        "type",
        "symbol",
        "quote_currency",
        "total_size",
        "available_size",
        "avg_buy_price",
        "realized_pnl",
        "fees",
        "opened_at",
        "closed_at",
        "created_at",
        "updated_at",
    ]
    filterset_fields = {
        "bot_id": ANY_OF,
        "type": ANY_OF,
        "symbol": ANY_OF,
        "quote_currency": ANY_OF,
        "open": Narrowing(only_open, "Whether something is left in it.", flag=True),
        "created_at": RANGE,
    }
    ordering_fields = ["created_at"]

    @action(detail=True, methods=["post"])
    @describe(body=ReservationRow, answer=STORED_ROW)
    def reservation(self, request: Request, **kwargs: str) -> HttpResponse:
        """Set how much of a lot is reserved in all; what is, cannot be sold.

        The same again has no effect; more than the lot holds is refused (422).
        """
        filters.check_known(request._request.GET, [])
        parsing.content_type(request._request, (parsing.JSON,))
        row = batches.read_one(ReservationRow, parsing.read_body(request._request, BODY_BYTES))
        held = self.found().first()
        if held is None:
            raise lots.UnknownLot("There is no lot of this name.")
        once(lambda: lots.reserve(lot_id=held.lot_id, size=row.size, now=timezone.now()))
        return self.stored(self.found())


class LotTradeViewSet(FactViewSet):
    """Bookings against lots, in the order in which they are sent.

    A sale that names no lot takes the oldest ones of its symbol, bot and type; where those are
    several, it is stored as one row for each (``id/1``, ``id/2`` …) and answered whole: its sums,
    no ``lot_id``, and the rows as ``parts``. More than is there is refused (422), and so is a buy
    into a lot of which all was sold.
    """

    queryset = LotTrade.objects.all()
    row = LotTradeRow
    lookup_field = "id"
    lookup_value_regex = ".+"
    subject_fields = {"bot": "bot_id"}
    fields = [
        "id",
        "booking",
        "lot_id",
        "bot_id",
        "type",
        "symbol",
        "trade_type",
        "price",
        "size",
        "fee",
        "pnl",
        "avg_buy_price",
        "timestamp",
        "status",
        "notes",
        "created_at",
    ]
    filterset_fields = {
        "booking": ANY_OF,
        "lot_id": ANY_OF,
        "bot_id": ANY_OF,
        "type": ANY_OF,
        "symbol": ANY_OF,
        "trade_type": ANY_OF,
        "timestamp": RANGE,
    }
    ordering_fields = ["timestamp"]

    def store(self, rows: Sequence[LotTradeRow]) -> Ingested:
        return lots.book_lot_trades(rows, now=timezone.now())

    def create_one(self, batch: batches.Batch[Any]) -> HttpResponse:
        """Enter one booking and answer it as stored, whole where it is about several lots."""
        if batch.failures:
            raise batches.invalid(batch.failures[0])
        outcome = in_transaction(lambda: self.store(batch.ready), all_or_none=True)
        with refused_as(RULES):
            check_one(outcome)
        stored = self.get_queryset().filter(booking=batch.rows[0].id).order_by("id")
        parts = [msgspec.json.decode(row[0]) for row in listing.rows_as_json(stored, self.fields)]
        status = 201 if outcome.created else 200
        return answer(parts[0] if len(parts) == 1 else whole(parts), status)


def whole(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return a booking against several lots as one row, and its rows as ``parts``."""
    ordered = sorted(parts, key=lambda part: int(part["id"].rpartition("/")[2]))
    sums = {
        name: plain_text(total(Decimal(part[name]) for part in parts))
        for name in ("size", "fee", "pnl")
    }
    alone = {"id": parts[0]["booking"], "lot_id": None, "avg_buy_price": None}
    return {**parts[0], **alone, **sums, "parts": ordered}
