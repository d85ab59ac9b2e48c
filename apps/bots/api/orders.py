"""What programs tell and read of orders and their fills."""

from collections.abc import Sequence
from typing import Any

from django.http import Http404, HttpResponse
from django.utils import timezone
from rest_framework.decorators import action
from rest_framework.request import Request

from apps.bots.api.rows_orders import FillRow, OrderEventRow, OrderRow
from apps.bots.api.verbs import refused_as
from apps.bots.models import Fill, Order
from apps.bots.services import fills, orders
from apps.shared.api import batches, filters
from apps.shared.api.filters import ANY_OF, RANGE
from apps.shared.api.openapi import STORED_ROW, describe
from apps.shared.api.permissions import is_bound, narrow
from apps.shared.api.viewsets import EntityViewSet, FactViewSet
from apps.shared.api.writing import once
from apps.shared.ingest import Ingested


class OrderViewSet(EntityViewSet):
    """Instructions to buy or sell; how each stands follows from its fills and its events.

    POST places an order; the same again is harmless whatever happened to it since. PUT and PATCH
    change its trade, strategy, model, prediction and metadata, and nothing else. What happens to
    it is posted to ``events/``, what is executed of it to ``fills/``; both in any order, twice
    too, with one outcome.
    """

    queryset = Order.objects.all()
    row = OrderRow
    life = ("status",)
    moved_by = "Is moved by events/ and by fills alone."
    lookup_field = "order_id"
    subject_fields = {"bot": "bot_id"}
    fields = [
        "order_id",
        "bot_id",
        "trade_id",
        "trade_type",
        "symbol",
        "side",
        "quantity",
        "order_type",
        "price",
        "stop_price",
        "status",
        "filled_quantity",
        "average_price",
        "strategy",
        "model_id",
        "prediction_id",
        "submitted_at",
        "accepted_at",
        "cancelled_at",
        "rejected_at",
        "expired_at",
        "reason",
        "late_events",
        "extra_metadata",
        "created_at",
        "updated_at",
    ]
    filterset_fields = {
        "bot_id": ANY_OF,
        "trade_id": ANY_OF,
        "trade_type": ANY_OF,
        "symbol": ANY_OF,
        "side": ANY_OF,
        "order_type": ANY_OF,
        "status": ANY_OF,
        "strategy": ANY_OF,
        "model_id": ANY_OF,
        "prediction_id": ANY_OF,
        "created_at": RANGE,
        "submitted_at": RANGE,
        "late_events": RANGE,
    }
    ordering_fields = ["created_at"]

    def store(self, rows: Sequence[OrderRow]) -> Ingested:
        return orders.store_orders(rows, now=timezone.now())

    def replace(self, rows: Sequence[OrderRow]) -> Ingested:
        outcome = Ingested()
        for place, row in enumerate(rows):
            outcome.merge(orders.describe_order(row, now=timezone.now()), [place])
        return outcome

    def update(self, request: Request, **kwargs: str) -> HttpResponse:
        taken = Order.objects.filter(order_id=self.kwargs[self.lookup_field])
        bound = is_bound(request.auth, self.subject_fields)
        if bound and taken.exclude(pk__in=self.found().values("pk")).exists():
            # Another bot's: to this key there is none.
            raise Http404
        return super().update(request, **kwargs)

    @action(detail=True, methods=["post"])
    @describe(body=OrderEventRow, answer=STORED_ROW)
    def events(self, request: Request, **kwargs: str) -> HttpResponse:
        """Take in that an order was accepted, cancelled, rejected or has expired.

        The same again has no effect; of different times the earliest is kept. An order that is
        filled stays filled: what comes late is counted in ``late_events``.
        """
        filters.check_known(request._request.GET, [])
        row = self.read_one(request, OrderEventRow)
        held = self.found().first()
        if held is None:
            raise orders.UnknownOrder("There is no order of this id.")
        now = timezone.now()
        once(
            lambda: orders.record_event(
                order_id=held.order_id,
                event=row.which(),
                timestamp=row.timestamp or now,
                reason=row.reason,
                now=now,
            )
        )
        return self.stored(self.found())


class FillViewSet(FactViewSet):
    """Executions of orders, one ``fill_id`` each; together never more than their order (422)."""

    queryset = Fill.objects.all()
    row = FillRow
    key = ["order_id", "fill_id"]
    subject_fields = {"bot": "order__bot_id"}
    fields = [
        "id",
        "order_id",
        "fill_id",
        "symbol",
        "quantity",
        "price",
        "commission",
        "commission_currency",
        "liquidity",
        "timestamp",
        "created_at",
    ]
    filterset_fields = {
        "order_id": ANY_OF,
        "fill_id": ANY_OF,
        "symbol": ANY_OF,
        "liquidity": ANY_OF,
        "order__bot_id": ANY_OF,
        "timestamp": RANGE,
    }
    ordering_fields = ["timestamp"]

    def store(self, rows: Sequence[FillRow]) -> Ingested:
        """Store fills of the orders that this request may write."""
        mine = narrow(Order.objects.all(), self.request.auth, {"bot": "bot_id"})
        return fills.store_fills(rows, now=timezone.now(), orders=mine)

    def create_one(self, batch: batches.Batch[Any]) -> HttpResponse:
        """Store one fill; one that is too large is refused by that rule's own name."""
        with refused_as({fills.OVER_FILL: 422}):
            return super().create_one(batch)
