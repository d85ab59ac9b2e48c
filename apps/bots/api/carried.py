"""What archived trades came to."""

from apps.bots.models import CarriedResult
from apps.shared.api.filters import ANY_OF, RANGE
from apps.shared.api.viewsets import ReadOnlyViewSet


class CarriedResultViewSet(ReadOnlyViewSet):
    """What the archived trades of a bot came to, per symbol, type and currency.

    Every balance begins with it. ``trades``, ``winning`` and ``losing`` count round trips,
    ``net_pnl`` and ``commission`` add up what they booked.
    """

    queryset = CarriedResult.objects.all()
    subject_fields = {"bot": "bot_id"}
    fields = [
        "id",
        "bot_id",
        "trade_type",
        "symbol",
        "quote_currency",
        "trades",
        "winning",
        "losing",
        "net_pnl",
        "commission",
        "last_exit",
        "created_at",
        "updated_at",
    ]
    filterset_fields = {
        "bot_id": ANY_OF,
        "trade_type": ANY_OF,
        "symbol": ANY_OF,
        "quote_currency": ANY_OF,
        "last_exit": RANGE,
    }
    ordering_fields = ["created_at"]
