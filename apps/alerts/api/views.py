"""What programs send and read of alerts."""

from collections.abc import Sequence

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.alerts import services
from apps.alerts.choices import Direction, Priority
from apps.alerts.models import Alert, AlertPerformance, TrackedPrice
from apps.shared.api import filters
from apps.shared.api.answers import plain_values
from apps.shared.api.filters import ANY_OF, RANGE
from apps.shared.api.negotiation import OnlyJson
from apps.shared.api.rows import (
    JsonObject,
    Key,
    Moment,
    PositiveRatio,
    Price,
    Probability,
    Ratio,
    Row,
    Symbol,
    Word,
)
from apps.shared.api.viewsets import FactViewSet, ReadOnlyViewSet, answer
from apps.shared.ingest import Ingested
from apps.shared.wakeups import wake


class AlertRow(Row):
    """An alert as it is sent.

    Prices that are left out are looked for in ``extra_data``, under the names senders use:
    ``current_price``, ``price`` or ``entry``; ``target`` or ``take_profit``; ``sl`` or ``stop``.
    """

    alert_id: Key
    symbol: Symbol
    timestamp: Moment
    alert_type: Word = "trading_opportunity"
    priority: Priority = Priority.MEDIUM
    direction: Direction = Direction.LONG
    leverage: PositiveRatio | None = None
    confidence: Probability | None = None
    confidence_pct: Ratio | None = None
    strategy: Word = ""
    timeframe: Word = ""
    entry_price: Price | None = None
    target_price: Price | None = None
    stop_loss: Price | None = None
    extra_data: JsonObject = {}


class AlertViewSet(FactViewSet):
    """Recommendations raised by scanners, bots and agents, and what became of them."""

    queryset = Alert.objects.all()
    row = AlertRow
    lookup_field = "alert_id"
    lookup_value_regex = ".+"
    fields = [
        "alert_id",
        "symbol",
        "alert_type",
        "priority",
        "direction",
        "timestamp",
        "leverage",
        "confidence",
        "strategy",
        "timeframe",
        "entry_price",
        "target_price",
        "stop_loss",
        "extra_data",
        "created_at",
        "performance.status",
        "performance.entry_price",
        "performance.is_success",
        "performance.max_gain",
        "performance.max_loss",
        "performance.final_return_24h",
        "performance.final_return_72h",
        "performance.first_touch",
        "performance.evaluation_note",
    ]
    filterset_fields = {
        "symbol": ANY_OF,
        "alert_type": ANY_OF,
        "priority": ANY_OF,
        "direction": ANY_OF,
        "strategy": ANY_OF,
        "timeframe": ANY_OF,
        "timestamp": RANGE,
        "confidence": RANGE,
        "leverage": RANGE,
        "performance__status": ANY_OF,
        "performance__is_success": ANY_OF,
        "performance__first_touch": ANY_OF,
    }
    ordering_fields = ["timestamp"]

    def store(self, rows: Sequence[AlertRow]) -> Ingested:
        """Raise the alerts; a worker looks at once whether their prices are known already."""
        outcome = services.raise_alerts(rows, now=timezone.now())
        if outcome.created:
            wake("apps.alerts.tasks.track_prices")
        return outcome


class TrackedPriceViewSet(ReadOnlyViewSet):
    """Prices at the checkpoints after each alert, from the candles of the checkpoint's moment."""

    queryset = TrackedPrice.objects.all()
    fields = [
        "id",
        "alert_id",
        "symbol",
        "timestamp",
        "time_elapsed_hours",
        "status",
        "price",
        "percentage_change",
        "candle_timestamp",
        "created_at",
    ]
    filterset_fields = {
        "alert_id": ANY_OF,
        "symbol": ANY_OF,
        "time_elapsed_hours": ANY_OF,
        "status": ANY_OF,
        "timestamp": RANGE,
    }
    ordering_fields = ["timestamp"]


class AlertPerformanceViewSet(ReadOnlyViewSet):
    """What became of each alert: provisional while open, final once settled."""

    queryset = AlertPerformance.objects.all()
    lookup_field = "alert_id"
    lookup_value_regex = ".+"
    fields = [
        "alert_id",
        "symbol",
        "status",
        "source",
        "granularity",
        "entry_price",
        "is_success",
        "max_gain",
        "max_loss",
        "checkpoint_max_gain",
        "checkpoint_max_loss",
        "final_return_24h",
        "final_return_72h",
        "first_touch",
        "first_touch_at",
        "evaluation_note",
        "settled_at",
        "next_checkpoint_at",
        "created_at",
        "updated_at",
    ]
    filterset_fields = {
        "alert_id": ANY_OF,
        "symbol": ANY_OF,
        "status": ANY_OF,
        "is_success": ANY_OF,
        "first_touch": ANY_OF,
    }


class ScorecardView(APIView):
    """How good the alerts were, group by group."""

    queryset = AlertPerformance.objects.all()
    content_negotiation_class = OnlyJson
    metadata_class = None
    filterset_fields = {
        "symbol": ANY_OF,
        "strategy": ANY_OF,
        "timeframe": ANY_OF,
        "direction": ANY_OF,
        "alert_type": ANY_OF,
        "priority": ANY_OF,
        "timestamp": RANGE,
    }

    @extend_schema(
        parameters=[
            OpenApiParameter("by", str, enum=list(services.GROUPINGS), default="strategy"),
            *(
                OpenApiParameter(name, str, description=each.description)
                for name, each in filters.parameters(Alert, filterset_fields).items()
            ),
        ]
    )
    def get(self, request: Request) -> HttpResponse:
        """Count up settled alerts by strategy, symbol, timeframe, direction or confidence.

        Rates come with their sample ``n`` and Wilson 95 % interval, changes in percent as exact
        decimals; what is undefined is null, with its reason under ``reasons``.
        """
        query = request._request.GET
        known = filters.parameters(Alert, self.filterset_fields)
        filters.check_known(query, ["by", *known])
        by = filters.single(query, "by", "strategy")
        if by not in services.GROUPINGS:
            words = ", ".join(services.GROUPINGS)
            raise filters.invalid_parameter("by", "not_a_choice", f"Must be one of {words}.")
        rows = services.scorecard(by=by, filters=services.Filters(**filters.chosen(query, known)))
        return answer({"by": by, "results": [plain_values(row.figures()) for row in rows]})
