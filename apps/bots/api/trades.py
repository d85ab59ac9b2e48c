"""What programs tell and read of trades."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

import msgspec
from django.http import Http404, HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request

from apps.bots.api.rows_trades import (
    CancelRow,
    CloseRow,
    PartialExitRow,
    TradeDescriptionRow,
    TradeRow,
    TradeSummariesAnswer,
)
from apps.bots.api.verbs import refused_as
from apps.bots.models import CarriedResult, Trade
from apps.bots.services import trade_summaries, trades
from apps.logs.api.callers import DecisionPermission
from apps.shared.api import batches, filters, parsing
from apps.shared.api.answers import plain_values
from apps.shared.api.describing import DescribedViewSet
from apps.shared.api.filters import ANY_OF, EXACT, RANGE
from apps.shared.api.openapi import STORED_ROW, describe
from apps.shared.api.permissions import narrow
from apps.shared.api.rows import Row
from apps.shared.api.viewsets import BODY_BYTES, answer
from apps.shared.api.writing import once
from apps.shared.ingest import Ingested
from apps.shared.wakeups import wake

R = TypeVar("R", bound=Row)

# New trades may have reached a limit.
CHECK_LIMITS = "apps.bots.tasks.check_limits"
# What only the verbs may move, and what is told once.
LIFE = frozenset(TradeRow.__struct_fields__) - {"id", *TradeDescriptionRow.__struct_fields__}
SUMMARY_FILTERS: filters.FilterFields = {
    "bot_id": ANY_OF,
    "trade_type": ANY_OF,
    "symbol": ANY_OF,
    "exit_time": RANGE,
}


class TradeViewSet(DescribedViewSet):
    """Round trips of bots, and the parts in which they were closed.

    POST opens a trade, or tells of one that is over; the same again is harmless whatever the
    trade has done since. It ends by what is posted to ``close/``, ``exits/`` and ``cancel/``; a
    final state is never left: 409. PUT and PATCH change what describes it, and nothing else.

    A row without ``parent_trade_id`` is a whole trade: count those. A closed row whose
    ``partial_exits`` is 0 has booked its money at its exit time: add up those, never both. Trades
    closed in parts are told as open and then by their ``exits/``.
    """

    queryset = Trade.objects.all()
    row = TradeRow
    change_row = TradeDescriptionRow
    life = LIFE
    moved_by = "Is told once, and moved by close/, exits/ and cancel/ alone."
    lookup_field = "id"
    subject_fields = {"bot": "bot_id"}
    fields = [
        "id",
        "bot_id",
        "trade_type",
        "strategy_name",
        "entry_logic_name",
        "exit_logic_name",
        "symbol",
        "interval",
        "quote_currency",
        "direction",
        "status",
        "size",
        "original_position_size",
        "remaining_position_size",
        "entry_time",
        "exit_time",
        "buy_order_created",
        "buy_order_closed",
        "sell_order_created",
        "sell_order_closed",
        "entry_price",
        "exit_price",
        "entry_value",
        "exit_value",
        "commission_rate",
        "entry_commission",
        "exit_commission",
        "commission",
        "gross_pnl",
        "net_pnl",
        "pnl_percentage",
        "reported_net_pnl",
        "exit_reason",
        "extra_metadata",
        "exit_metadata",
        "parent_trade_id",
        "partial_exit_sequence",
        "is_partial_exit",
        "partial_exits",
        "total_position_pnl",
        "position_id",
        "created_at",
        "updated_at",
    ]
    filterset_fields = {
        "bot_id": ANY_OF,
        "trade_type": ANY_OF,
        "status": ANY_OF,
        "symbol": ANY_OF,
        "direction": ANY_OF,
        "is_partial_exit": EXACT,
        "parent_trade_id": ANY_OF,
        "exit_reason": ANY_OF,
        "strategy_name": ANY_OF,
        "quote_currency": ANY_OF,
        "entry_time": RANGE,
        "exit_time": RANGE,
        "created_at": RANGE,
    }
    ordering_fields = ["created_at"]

    def store(self, rows: Sequence[TradeRow]) -> Ingested:
        outcome = trades.store_trades(rows, now=timezone.now())
        if outcome.created:
            wake(CHECK_LIMITS)
        return outcome

    def describe_thing(self, pk: str, values: Mapping[str, Any]) -> Any:
        return trades.describe_trade(trade_id=pk, values=values, now=timezone.now())

    def create_one(self, batch: batches.Batch[Any]) -> HttpResponse:
        """Store one trade; one that was archived is refused by that rule's own name."""
        with refused_as({trades.ArchivedTrade.code: trades.ArchivedTrade.status}):
            return super().create_one(batch)

    def pk_found(self) -> str:
        """Return the id in the address; 409 where the trade was archived, 404 elsewhere."""
        pk = self.found().values_list("pk", flat=True).first()
        if pk is None:
            trades.check_here(self.kwargs[self.lookup_field])
            raise Http404
        return str(pk)

    # --- How a trade ends -----------------------------------------------------------------

    @action(detail=True, methods=["post"])
    @describe(body=CloseRow, answer=STORED_ROW)
    def close(self, request: Request, **kwargs: str) -> HttpResponse:
        """Close a trade, or what earlier exits have left of it, and answer it.

        The same close again has no effect; another one is a 409 that names what differs. What is
        left after partial exits becomes a last part of its own, whose id is the version 5 UUID of
        the name "last" in the name space of the trade's id.
        """
        row = self.read_one_row(request, CloseRow)
        trade_id = self.pk_found()
        report = trades.ExitReport(**msgspec.structs.asdict(row))
        once(lambda: trades.close_trade(trade_id=trade_id, report=report, now=timezone.now()))
        wake(CHECK_LIMITS)
        return self.stored(self.found())

    @action(detail=True, methods=["post"])
    @describe(body=PartialExitRow, answer=STORED_ROW)
    def exits(self, request: Request, **kwargs: str) -> HttpResponse:
        """Close a part of a trade and answer the part: 201, and 200 when it was known.

        A part as large as what is left closes the trade; a larger one is a 422
        (``more_than_remaining``).
        """
        row = self.read_one_row(request, PartialExitRow)
        trade_id = self.pk_found()
        report = trades.PartReport(**msgspec.structs.asdict(row))
        part, created = once(
            lambda: trades.exit_part(trade_id=trade_id, report=report, now=timezone.now())
        )
        wake(CHECK_LIMITS)
        return self.stored(self.get_queryset().filter(pk=part.pk), status=201 if created else 200)

    @action(detail=True, methods=["post"], permission_classes=[DecisionPermission])
    @describe(body=CancelRow, answer=STORED_ROW)
    def cancel(self, request: Request, **kwargs: str) -> HttpResponse:
        """Call off a trade of which nothing was closed; again it has no effect."""
        filters.check_known(request._request.GET, [])
        body = parsing.read_body(request._request, BODY_BYTES)
        row = CancelRow() if parsing.empty_body(body) else self.read_one(request, CancelRow)
        trade_id = self.pk_found()
        once(lambda: trades.cancel_trade(trade_id=trade_id, reason=row.reason, now=timezone.now()))
        return self.stored(self.found())

    # --- What trades came to --------------------------------------------------------------

    @extend_schema(
        parameters=[
            OpenApiParameter(name, str, description=each.description)
            for name, each in filters.parameters(Trade, SUMMARY_FILTERS).items()
        ]
    )
    @action(detail=False)
    @describe(answer=TradeSummariesAnswer)
    def summary(self, request: Request) -> HttpResponse:
        """Count up trades by bot, type and currency; those are never added together.

        Whole trades are counted, all closed parts are added up. Within exit times only what is
        closed and not archived counts; without them, what archived trades came to is in it.
        """
        query = request._request.GET
        known = filters.parameters(Trade, SUMMARY_FILTERS)
        filters.check_known(query, list(known))
        rows = filters.narrowed(self.get_queryset(), query, known)
        # Of archived trades no single exit is known here.
        archived = None
        if all(name not in query for name in known if name.startswith("exit_time")):
            own = narrow(CarriedResult.objects.all(), request.auth, self.subject_fields)
            named = {name: each for name, each in known.items() if name in query}
            archived = filters.narrowed(own, query, named)
        found = trade_summaries.summarize(rows, carried=archived)
        results = [{**asdict(each), "win_rate": each.win_rate} for each in found]
        return answer(plain_values({"results": results}))

    # --- Helpers --------------------------------------------------------------------------

    def read_one_row(self, request: Request, row: type[R]) -> R:
        """Return the body of a verb, which must be there."""
        filters.check_known(request._request.GET, [])
        return self.read_one(request, row)
