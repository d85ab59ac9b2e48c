"""How bots have done: what was computed here, what they report, the course of their equity."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.decorators import action
from rest_framework.request import Request

from apps.bots.api.rows_performance import (
    EquityAnswer,
    EquityQuery,
    PerformanceRow,
    PointAnswer,
    SnapshotRow,
)
from apps.bots.choices import Origin
from apps.bots.domain.performance import DEFINITIONS, KEPT
from apps.bots.models import BotInstance, BotPerformance
from apps.bots.services import performance
from apps.bots.services.equity import equity_curve
from apps.bots.services.instances import UnknownBot
from apps.logs.api.callers import DecisionPermission
from apps.shared.api import filters, listing, parsing
from apps.shared.api.answers import json_response
from apps.shared.api.filters import ANY_OF, RANGE
from apps.shared.api.openapi import describe
from apps.shared.api.permissions import refuse_others
from apps.shared.api.queries import read_query
from apps.shared.api.viewsets import BODY_BYTES, FactViewSet, answer
from apps.shared.api.writing import once
from apps.shared.fields import plain_text
from apps.shared.ingest import Ingested
from apps.shared.quant.performance import define


class BotPerformanceViewSet(FactViewSet):
    """How bots have done by their closed trades, per type and currency, at a moment.

    Ours (``computed``) every quarter of an hour and on demand; what is posted is kept as
    ``reported`` beside it. What is undefined is null, and ``reasons`` says why; what each figure
    of ours means is told by ``definitions/``.
    """

    queryset = BotPerformance.objects.all()
    row = PerformanceRow
    key = ["bot_id", "trade_type", "quote_currency", "calculated_at"]
    subject_fields = {"bot": "bot_id"}
    fields = [
        "id",
        "bot_id",
        "trade_type",
        "quote_currency",
        "origin",
        "calculated_at",
        *DEFINITIONS,
        "definitions",
        "reasons",
        "extra_metadata",
        "created_at",
    ]
    filterset_fields = {
        "bot_id": ANY_OF,
        "trade_type": ANY_OF,
        "quote_currency": ANY_OF,
        "origin": ANY_OF,
        "calculated_at": RANGE,
    }
    ordering_fields = ["calculated_at"]

    def get_queryset(self) -> QuerySet[Any]:
        """Return the rows this request may see; of a new one's moment only the reported one."""
        found = super().get_queryset()
        return found.filter(origin=Origin.REPORTED) if self.action == "create" else found

    def store(self, rows: Sequence[Any]) -> Ingested:
        return performance.store_reported(rows, now=timezone.now())

    @action(detail=False, methods=["post"], permission_classes=[DecisionPermission])
    @describe(body=SnapshotRow)
    def snapshot(self, request: Request) -> HttpResponse:
        """Compute the figures of one bot or of all as of now, and answer the rows that it made.

        A bot that has closed nothing yet makes none.
        """
        filters.check_known(request._request.GET, [])
        body = parsing.read_body(request._request, BODY_BYTES)
        asked = SnapshotRow() if parsing.empty_body(body) else self.read_one(request, SnapshotRow)
        refuse_others(request, self, asked)
        bots = None if asked.bot_id is None else [asked.bot_id]
        if bots and not BotInstance.objects.filter(pk__in=bots).exists():
            raise UnknownBot(f"There is no bot {asked.bot_id}.")
        now = timezone.now()
        once(lambda: performance.snapshot_bots(now=now, bots=bots, exact=True))
        made = self.get_queryset().filter(origin=Origin.COMPUTED, calculated_at=now)
        if bots:
            made = made.filter(bot_id__in=bots)
        ordered = made.order_by("bot_id", "trade_type", "quote_currency")
        rows = ",".join(text for text, _, _ in listing.rows_as_json(ordered, self.fields))
        return json_response(f'{{"results":[{rows}]}}'.encode(), 201 if rows else 200)

    @action(detail=False)
    @describe(query=EquityQuery, answer=EquityAnswer)
    def equity(self, request: Request) -> HttpResponse:
        """Answer the course of a bot's equity, thinned so that no fall is smoothed away.

        One point per moment at which something was booked; of many, the lowest and highest of each
        stretch, the first and the last. ``opening`` is the net P&L before the first of them; what
        archived trades came to is always in it.
        """
        asked = read_query(EquityQuery, request)
        bot = BotInstance.objects.filter(pk=asked.bot_id).first()
        if bot is None:
            raise UnknownBot(f"There is no bot {asked.bot_id}.")
        trade_type = asked.trade_type or bot.type
        currency = bot.quote_currency if asked.quote_currency is None else asked.quote_currency
        curve = equity_curve(bot, trade_type, currency, since=asked.since, points=asked.points)
        start = curve.initial_balance
        return answer(
            EquityAnswer(
                bot_id=bot.pk,
                trade_type=trade_type,
                quote_currency=currency,
                initial_balance=None if start is None else plain_text(start),
                reason=curve.reason,
                opening=plain_text(curve.opening),
                points=[
                    PointAnswer(
                        each.time,
                        plain_text(each.net_pnl),
                        None if each.equity is None else plain_text(each.equity),
                    )
                    for each in curve.points
                ],
            )
        )

    @action(detail=False)
    @describe()
    def definitions(self, request: Request) -> HttpResponse:
        """Answer what each figure of ours means: id of a definition → sentence.

        Those that end in ``/kept`` are of ledgers whose older trades are archived.
        """
        filters.check_known(request._request.GET, [])
        return answer({each: define(each) for each in (*DEFINITIONS.values(), *KEPT.values())})
