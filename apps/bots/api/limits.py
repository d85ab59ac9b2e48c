"""What programs tell and read of limits."""

from collections.abc import Sequence

from django.http import Http404, HttpResponse
from django.utils import timezone
from rest_framework.decorators import action
from rest_framework.request import Request

from apps.bots.api.rows_limits import LimitRow, NothingToSay
from apps.bots.choices import LimitStatus
from apps.bots.models import TradingLimit
from apps.bots.services import limits
from apps.logs.api.callers import DecisionPermission, name_of
from apps.shared.api import filters, parsing
from apps.shared.api.filters import ANY_OF, RANGE
from apps.shared.api.openapi import STORED_ROW, describe
from apps.shared.api.viewsets import BODY_BYTES, EntityViewSet
from apps.shared.api.writing import once
from apps.shared.ingest import Ingested
from apps.shared.wakeups import wake

CHECK = "apps.bots.tasks.check_limits"


class LimitViewSet(EntityViewSet):
    """Limits: they fire once, tell staff, and ask the bots they hold to pause or stop.

    Looked at every few seconds, on new prices and trades. A stop loss or take profit fires at the
    first finished candle that began after it was set and touches its price: ``triggered_at`` is
    that candle's start, ``trigger_price`` its own price, or the open of a candle that opened
    beyond. ``usage`` says how near a limit is: 1 fires. One that fired or was cancelled does not
    change any more (409); PUT and PATCH change price, size, threshold, currency, action, notes.
    """

    queryset = TradingLimit.objects.all()
    row = LimitRow
    lookup_field = "id"
    subject_fields = {"bot": "bot_id"}
    fields = [
        "id",
        "limit_type",
        "status",
        "bot_id",
        "type",
        "symbol",
        "lot_id",
        "direction",
        "price",
        "size",
        "threshold",
        "currency",
        "action",
        "reference_price",
        "current_value",
        "usage",
        "evaluated_at",
        "evaluated_until",
        "triggered_at",
        "trigger_price",
        "triggered_value",
        "cancelled_at",
        "cancelled_by",
        "notes",
        "created_at",
        "updated_at",
    ]
    filterset_fields = {
        "limit_type": ANY_OF,
        "status": ANY_OF,
        "bot_id": ANY_OF,
        "type": ANY_OF,
        "symbol": ANY_OF,
        "lot_id": ANY_OF,
        "action": ANY_OF,
        "usage": RANGE,
        "triggered_at": RANGE,
        "created_at": RANGE,
    }
    ordering_fields = ["created_at"]

    def store(self, rows: Sequence[LimitRow]) -> Ingested:
        """Set limits; a worker looks at once whether they are reached already."""
        outcome = limits.store_limits(rows, now=timezone.now())
        if outcome.created:
            wake(CHECK)
        return outcome

    def replace(self, rows: Sequence[LimitRow]) -> Ingested:
        """Set limits, or change active ones."""
        outcome = limits.replace_limits(rows, now=timezone.now())
        if outcome.created or outcome.replaced:
            wake(CHECK)
        return outcome

    @action(detail=True, methods=["post"], permission_classes=[DecisionPermission])
    @describe(answer=STORED_ROW)
    def cancel(self, request: Request, **kwargs: str) -> HttpResponse:
        """Cancel a limit. Again it has no effect; one that fired is a 409."""
        held = self.asked(request)
        rows = TradingLimit.objects.filter(pk=held.pk)
        by = name_of(request)
        if not once(lambda: limits.cancel_limits(rows, by=by, now=timezone.now())):
            held.refresh_from_db()
            if held.status == LimitStatus.TRIGGERED:
                raise limits.LimitFinal("The limit has fired: it cannot be cancelled.")
        return self.stored(rows)

    @action(detail=True, methods=["post"], permission_classes=[DecisionPermission])
    @describe(answer=STORED_ROW)
    def rearm(self, request: Request, **kwargs: str) -> HttpResponse:
        """Set a new limit like one that fired, and answer it (201).

        The old one stays as the record of what happened; the new one has the next name
        (``stop`` → ``stop~2``), so that the same again answers the same limit (200). Only a limit
        that fired is armed again; others are a 409.
        """
        held = self.asked(request)
        by = name_of(request)
        new, created = once(lambda: limits.rearm_limit(limit_id=held.pk, by=by, now=timezone.now()))
        if created:
            wake(CHECK)
        return self.stored(TradingLimit.objects.filter(pk=new.pk), status=201 if created else 200)

    def asked(self, request: Request) -> TradingLimit:
        """Return the limit a verb is about, which needs no body."""
        filters.check_known(request._request.GET, [])
        body = parsing.read_body(request._request, BODY_BYTES)
        if not parsing.empty_body(body):
            self.read_one(request, NothingToSay)
        held = self.found().first()
        if held is None:
            raise Http404
        return held
