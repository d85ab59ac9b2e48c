"""Asking for a symbol to be added: checked, planned, and done by a worker."""

from typing import Annotated, Any

import msgspec
from django.db import transaction
from django.http import HttpResponse
from django.utils import timezone
from msgspec import Meta
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.analysis.models import Analysis
from apps.analysis.services.symbol_additions import (
    RUNNER,
    USUAL_DAYS,
    SymbolAddition,
    request_symbol_addition,
)
from apps.executions.api.rows import ExecutionKey
from apps.shared.api import batches, filters, parsing
from apps.shared.api.negotiation import OnlyJson
from apps.shared.api.openapi import describe
from apps.shared.api.rows import JsonObject, Name, Row, Symbol, Word
from apps.shared.api.viewsets import BODY_BYTES, answer
from apps.shared.wakeups import wake

Ids = Annotated[list[Annotated[int, Meta(ge=1)]], Meta(max_length=500)]
Days = Annotated[int, Meta(ge=1, le=100_000)]


class SymbolAdditionRow(Row):
    """A symbol to add.

    Without a provider its candles must be stored already. ``strategy_configurations`` are ids;
    none means all that are active. ``days`` of the past are looked at.
    """

    symbol: Symbol
    execution_id: ExecutionKey | None = None
    source: Word = ""
    granularity: Word = ""
    provider: Word = ""
    exchange: Word = ""
    venue_symbol: Word = ""
    connection: Word = ""
    options: JsonObject = {}
    strategy_configurations: Ids = []
    days: Days = USUAL_DAYS
    triggered_by: Name = ""


class PlannedRun(msgspec.Struct):
    """The run that was planned; follow it under executions."""

    execution_id: str
    status: str
    total_tasks: int


class SymbolAdditionsView(APIView):
    """Symbols to add: fetch their candles, try strategies out on them, rank the results."""

    queryset = Analysis.objects.all()
    content_negotiation_class = OnlyJson
    metadata_class = None
    parser_classes: Any = []

    @describe(body=SymbolAdditionRow, answer=PlannedRun)
    def post(self, request: Request) -> HttpResponse:
        """Plan the run: 201, or 200 where the same wish has been planned under this name.

        Refused with 422 and the reason where the symbol cannot be added, 409 while it is being
        added already.
        """
        filters.check_known(request._request.GET, [])
        parsing.content_type(request._request, (parsing.JSON,))
        body = parsing.read_body(request._request, BODY_BYTES)
        row = batches.read_one(SymbolAdditionRow, body)
        sent = msgspec.structs.asdict(row)
        sent["execution_id"] = row.execution_id or ""
        with transaction.atomic():
            run, created = request_symbol_addition(wish=SymbolAddition(**sent), now=timezone.now())
            wake(RUNNER)
        planned = PlannedRun(run.execution_id, run.status, run.total_tasks)
        return answer(msgspec.structs.asdict(planned), 201 if created else 200)
