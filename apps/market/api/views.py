"""What programs read and write of the market."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.decorators import action
from rest_framework.request import Request

from apps.market.api.rows import (
    MAX_CANDLES,
    CandleRow,
    CloseQuery,
    FeedRow,
    InstrumentRow,
    RangeQuery,
    ResampledQuery,
)
from apps.market.domain.candles import check_divides, width
from apps.market.models import Candle, Feed, Instrument
from apps.market.models.instruments import NO_TIMEZONE, timezones
from apps.market.services import health
from apps.market.services.candles import Checked, check_candles, store_checked
from apps.shared.api.errors import ApiError
from apps.shared.api.filters import ANY_OF, EXACT, RANGE, invalid_parameter
from apps.shared.api.openapi import describe
from apps.shared.api.queries import read_query
from apps.shared.api.viewsets import EntityViewSet, FactViewSet, answer
from apps.shared.errors import FieldError
from apps.shared.ingest import Ingested


class InstrumentViewSet(EntityViewSet):
    """What is traded: coin pairs, shares, currency pairs."""

    queryset = Instrument.objects.all()
    row = InstrumentRow
    fields = [*InstrumentRow.__struct_fields__, "created_at", "updated_at"]
    filterset_fields = {
        "symbol": ANY_OF,
        "asset_class": ANY_OF,
        "exchange": ANY_OF,
        "sector": ANY_OF,
        "active": EXACT,
    }
    ordering_fields = ["symbol", "created_at"]
    ordering = "symbol"
    lookup_field = "symbol"
    lookup_value_regex = ".+"

    def ingested(self, rows: Sequence[Any], *, on_conflict: Any) -> Ingested:
        """Store the rows whose time zone exists, and name the others."""
        outcome = Ingested()
        kept = []
        for place, row in enumerate(rows):
            if row.timezone and row.timezone not in timezones():
                outcome.fail(place, [FieldError("/timezone", "unknown_timezone", NO_TIMEZONE)])
            else:
                kept.append(place)
        good = [rows[place] for place in kept]
        before = health.rules_of(row.symbol for row in good)
        outcome.merge(super().ingested(good, on_conflict=on_conflict), kept)
        health.recheck_changed(before)
        outcome.sort()
        return outcome


class CandleViewSet(FactViewSet):
    """Prices over time: what one source says of one interval."""

    queryset = Candle.objects.all()
    row = CandleRow
    bulk = True
    key = ["symbol", "source", "granularity", "timestamp"]
    fields = ["id", *CandleRow.__struct_fields__, "created_at"]
    filterset_fields = {
        "symbol": ANY_OF,
        "source": ANY_OF,
        "granularity": ANY_OF,
        "timestamp": RANGE,
    }
    ordering_fields = ["timestamp"]

    def prepare(self, rows: Sequence[Any]) -> Checked:
        return check_candles(rows, now=timezone.now())

    def store(self, rows: Checked) -> Ingested:
        return store_checked(rows)

    @action(detail=False, url_path="close-at")
    @describe(query=CloseQuery)
    def close_at(self, request: Request) -> HttpResponse:
        """Answer the price that was known at a moment, or null with the reason."""
        asked = read_query(CloseQuery, request)
        point = Candle.objects.close_at(asked.symbol, asked.moment)
        if point is None:
            return answer({"price": None, "reason": "No candle is recent enough at that moment."})
        return answer({**point._asdict(), "known_at": point.known_at})

    @action(detail=False)
    @describe(query=RangeQuery)
    def gaps(self, request: Request) -> HttpResponse:
        """Answer where candles are missing inside a window."""
        asked = read_window(RangeQuery, request)
        found = Candle.objects.gaps(
            asked.symbol, asked.source, asked.granularity, asked.start, asked.end
        )
        return answer({"results": [gap._asdict() for gap in found]})

    @action(detail=False)
    @describe(query=ResampledQuery)
    def resampled(self, request: Request) -> HttpResponse:
        """Answer the candles of a window in a coarser granularity."""
        asked = read_window(ResampledQuery, request)
        try:
            check_divides(asked.granularity, asked.to)
        except ValueError as error:
            raise invalid_parameter("to", "not_a_multiple", str(error)) from error
        if (asked.end - asked.start) / width(asked.to) > MAX_CANDLES:
            raise invalid_parameter("end", "too_many", f"Makes more than {MAX_CANDLES} candles.")
        found = Candle.objects.resampled(
            asked.symbol, asked.start, asked.end, asked.source, asked.granularity, asked.to
        )
        return answer({"results": [candle._asdict() for candle in found]})


class FeedViewSet(EntityViewSet):
    """Series that are fetched from a provider, and how that goes."""

    queryset = Feed.objects.all()
    row = FeedRow
    key = ["symbol", "source", "granularity"]
    fields = [
        "id",
        *FeedRow.__struct_fields__,
        "state",
        "next_fetch_at",
        "last_fetch_at",
        "last_success_at",
        "last_candle_at",
        "consecutive_failures",
        "last_error",
        "created_at",
        "updated_at",
    ]
    filterset_fields = {"symbol": ANY_OF, "provider": ANY_OF, "state": ANY_OF, "enabled": EXACT}
    ordering_fields = ["created_at"]


def read_window(row: type[Any], request: Request) -> Any:
    """Return the window a query asks for; its end must lie behind its start."""
    asked = read_query(row, request)
    if asked.end <= asked.start:
        raise ApiError(
            400,
            "invalid_parameter",
            "The window ends before it starts.",
            [FieldError("?end", "before_start", "Must lie after start.")],
        )
    return asked
