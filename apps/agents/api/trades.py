"""What agents tell and read of their trades."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.decorators import action
from rest_framework.request import Request

from apps.agents.api.rows_trades import (
    AgentTradeCancelRow,
    AgentTradeCloseRow,
    AgentTradeDescriptionRow,
    AgentTradeRow,
)
from apps.agents.models import AgentTrade
from apps.agents.models.trades import PNL_UNKNOWN
from apps.agents.services import trades
from apps.logs.api.callers import DecisionPermission
from apps.shared.api import filters, parsing
from apps.shared.api.describing import DescribedViewSet
from apps.shared.api.filters import ANY_OF, RANGE, Narrowing
from apps.shared.api.openapi import STORED_ROW, describe
from apps.shared.api.rows import Row
from apps.shared.api.viewsets import BODY_BYTES
from apps.shared.api.writing import once
from apps.shared.ingest import Ingested

R = TypeVar("R", bound=Row)

# What only the verbs may move, and what is told once.
LIFE = frozenset(AgentTradeRow.__struct_fields__) - {
    "id",
    *AgentTradeDescriptionRow.__struct_fields__,
}


def of_unknown(rows: QuerySet[Any], unknown: bool) -> QuerySet[Any]:
    """Return the trades that are over at a price nobody told, or all others."""
    return rows.filter(PNL_UNKNOWN) if unknown else rows.exclude(PNL_UNKNOWN)


class AgentTradeViewSet(DescribedViewSet):
    """Round trips of agents, born of a decision or told alone.

    POST opens a trade, or tells of one that is over; the same again is harmless whatever the
    trade has done since. It ends by what is posted to ``close/`` and ``cancel/``; a final state is
    never left: 409. PUT and PATCH change what describes it, and nothing else.

    ``realized_pnl`` is net of fees, and computed here; ``reported_pnl`` is what the agent said.
    Over without an ``exit_price`` its P&L is unknown, which is not zero: count those apart.
    ``unrealized_pnl`` of an open trade stands at ``mark_price``, known since ``marked_at``.
    """

    queryset = AgentTrade.objects.all()
    row = AgentTradeRow
    change_row = AgentTradeDescriptionRow
    life = LIFE
    moved_by = "Is told once, and moved by close/ and cancel/ alone."
    lookup_field = "id"
    subject_fields = {"agent": "agent_id"}
    fields = [
        "id",
        "agent_id",
        "decision_id",
        "close_decision_id",
        "coin",
        "symbol",
        "side",
        "status",
        "size",
        "leverage",
        "entry_price",
        "entry_time",
        "exit_price",
        "exit_time",
        "entry_fees",
        "exit_fees",
        "fees",
        "gross_pnl",
        "realized_pnl",
        "reported_pnl",
        "unrealized_pnl",
        "mark_price",
        "marked_at",
        "liquidation_price",
        "exit_reason",
        "hyperliquid_order_id",
        "notes",
        "extra_metadata",
        "created_at",
        "updated_at",
    ]
    filterset_fields = {
        "agent_id": ANY_OF,
        "coin": ANY_OF,
        "symbol": ANY_OF,
        "side": ANY_OF,
        "status": ANY_OF,
        "decision_id": ANY_OF,
        "close_decision_id": ANY_OF,
        "exit_reason": ANY_OF,
        "entry_time": RANGE,
        "exit_time": RANGE,
        "created_at": RANGE,
        "pnl_unknown": Narrowing(
            of_unknown, "Over at a price that nobody told (true), or not so (false).", flag=True
        ),
    }
    ordering_fields = ["created_at"]

    def store(self, rows: Sequence[AgentTradeRow]) -> Ingested:
        return trades.store_trades(rows, now=timezone.now())

    def describe_thing(self, pk: str, values: Mapping[str, Any]) -> Any:
        return trades.describe_trade(trade_id=pk, values=values, now=timezone.now())

    # --- How a trade ends -----------------------------------------------------------------

    @action(detail=True, methods=["post"])
    @describe(body=AgentTradeCloseRow, answer=STORED_ROW)
    def close(self, request: Request, **kwargs: str) -> HttpResponse:
        """Close a trade and answer it.

        The same close again has no effect; another one is a 409 that names what differs. Without
        an ``exit_price`` (an empty body will do) its P&L is unknown, until another close tells it.
        """
        row = self.read_verb(request, AgentTradeCloseRow)
        trade_id = self.pk_found()
        report = trades.CloseReport(**msgspec.structs.asdict(row))
        once(lambda: trades.close_trade(trade_id=trade_id, report=report, now=timezone.now()))
        return self.stored(self.found())

    @action(detail=True, methods=["post"], permission_classes=[DecisionPermission])
    @describe(body=AgentTradeCancelRow, answer=STORED_ROW)
    def cancel(self, request: Request, **kwargs: str) -> HttpResponse:
        """Call off a trade that is open; again it has no effect."""
        row = self.read_verb(request, AgentTradeCancelRow)
        trade_id = self.pk_found()
        once(lambda: trades.cancel_trade(trade_id=trade_id, reason=row.reason, now=timezone.now()))
        return self.stored(self.found())

    # --- Helpers --------------------------------------------------------------------------

    def read_verb(self, request: Request, row: type[R]) -> R:
        """Return the body of a verb; where there is none, one that tells nothing."""
        filters.check_known(request._request.GET, [])
        body = parsing.read_body(request._request, BODY_BYTES)
        return row() if parsing.empty_body(body) else self.read_one(request, row)
