"""How sound stored candles are, and having fetched again what is missing."""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.decorators import action
from rest_framework.request import Request

from apps.logs.api.callers import DecisionPermission, name_of
from apps.market.api.rows_health import (
    MOST_SERIES,
    BackfillRow,
    SeriesState,
    SeriesStates,
    StartedRun,
    StatesQuery,
)
from apps.market.choices import Granularity
from apps.market.models import CandleDay, CandleDefect, CandleSeries
from apps.market.services import health
from apps.market.services.backfill import plan_backfill
from apps.shared.api import batches, filters, parsing
from apps.shared.api.filters import ANY_OF, RANGE, Narrowing, invalid_parameter
from apps.shared.api.openapi import describe
from apps.shared.api.queries import read_query
from apps.shared.api.viewsets import BODY_BYTES, ReadOnlyViewSet, answer
from apps.shared.api.writing import once
from apps.shared.errors import FieldError


def of_series(column: str) -> Callable[[QuerySet[Any], str], QuerySet[Any]]:
    """Return what keeps the rows whose series has one of several words in a column."""

    def keep(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
        words = text.split(",")
        if column == "granularity" and not set(words) <= set(Granularity.values):
            message = f"Must be one of {', '.join(Granularity.values)}."
            raise invalid_parameter(column, "not_a_choice", message)
        return rows.filter(**{f"series__{column}__in": words})

    return keep


BY_SERIES = {
    name: Narrowing(of_series(name), "Of series with this; several values by comma.")
    for name in ("symbol", "source", "granularity")
}


def accepted(rows: QuerySet[Any], wanted: bool) -> QuerySet[Any]:
    """Return the defects that somebody accepted, or those that nobody did."""
    return rows.filter(accepted_at__isnull=not wanted)


class CandleSeriesViewSet(ReadOnlyViewSet):
    """All candles of one symbol from one source at one granularity, and how sound they are.

    ``first_timestamp`` and ``last_timestamp`` are the bounds of what is stored. Counts are as of
    ``checked_at``, over the candles before ``checked_until``; ``expected`` and ``missing`` are
    null where nothing tells how many there should be.
    """

    queryset = CandleSeries.objects.all()
    fields = [
        "id",
        "symbol",
        "source",
        "granularity",
        "first_timestamp",
        "last_timestamp",
        "checked_until",
        "recheck_from",
        "checked_at",
        "candles",
        "expected",
        "missing",
        "gaps",
        "duplicates",
        "zero_volume",
        "outliers",
        "spreads",
        "created_at",
        "updated_at",
    ]
    filterset_fields = {
        "id": ANY_OF,
        "symbol": ANY_OF,
        "source": ANY_OF,
        "granularity": ANY_OF,
        "last_timestamp": RANGE,
        "checked_at": RANGE,
        "missing": RANGE,
        "gaps": RANGE,
        "duplicates": RANGE,
        "zero_volume": RANGE,
        "outliers": RANGE,
        "spreads": RANGE,
    }
    ordering_fields = ["symbol", "last_timestamp"]
    ordering = "symbol"

    @action(detail=False)
    @describe(query=StatesQuery, answer=SeriesStates)
    def states(self, request: Request) -> HttpResponse:
        """Answer how series stand now against what was to be expected of them.

        *fresh*: the next candle is not late; *stale*: it is, since ``expected_by``; *ended*:
        silent for long, and nobody fetches it. ``fetched`` tells whether a feed should fill it.
        """
        asked = read_query(StatesQuery, request)
        wanted = {
            "symbol": asked.symbol,
            "source": asked.source,
            "granularity": asked.granularity,
        }
        given = {name: value for name, value in wanted.items() if value is not None}
        rows = self.get_queryset().filter(**given).order_by("symbol", "source", "granularity")
        found = list(rows[: MOST_SERIES + 1])
        if len(found) > MOST_SERIES:
            message = f"There are more than {MOST_SERIES:,} series: name a symbol or a source."
            raise invalid_parameter("symbol", "too_many", message)
        standing = health.series_states(timezone.now(), found)
        wanted_states = [each for each in standing if asked.state in (None, each.state)]
        return answer(SeriesStates([as_answered(each) for each in wanted_states]))

    @action(detail=False, methods=["post"], permission_classes=[DecisionPermission])
    @describe(body=BackfillRow, answer=StartedRun)
    def backfill(self, request: Request) -> HttpResponse:
        """Have the gaps of series fetched by a worker; 202 with the run to follow.

        Name the series by ``series_ids``, or one by symbol, source and granularity. Refused (422)
        where no feed fetches a series or no gap is known, and 409 while another run is at it.
        """
        filters.check_known(request._request.GET, [])
        parsing.content_type(request._request, (parsing.JSON,))
        row = batches.read_one(BackfillRow, parsing.read_body(request._request, BODY_BYTES))
        chosen, by = self.series_of(row), name_of(request)
        run = once(lambda: plan_backfill(series_ids=chosen, by=by, now=timezone.now()))
        return answer(StartedRun(run.execution_id, run.status, run.total_tasks), 202)

    def series_of(self, row: BackfillRow) -> list[int]:
        """Return the ids of the series that a body names, all of which there are."""
        names = {"symbol": row.symbol, "source": row.source, "granularity": row.granularity}
        given = [name for name, value in names.items() if value is not None]
        if (row.series_ids is None) == (not given):
            message = "Name either series_ids, or symbol, source and granularity."
            raise batches.invalid([FieldError("/series_ids", "one_of", message)])
        if row.series_ids is not None:
            known = set(
                self.get_queryset().filter(pk__in=row.series_ids).values_list("pk", flat=True)
            )
            missing = [
                FieldError(f"/series_ids/{place}", "unknown", "There is no such series.")
                for place, pk in enumerate(row.series_ids)
                if pk not in known
            ]
            if missing:
                raise batches.invalid(missing)
            return sorted(known)
        if len(given) < len(names):
            raise batches.invalid(
                [
                    FieldError(f"/{name}", "required", "Must be given.")
                    for name in names
                    if name not in given
                ]
            )
        found = list(self.get_queryset().filter(**names).values_list("pk", flat=True))
        if not found:
            message = "There are no candles of this symbol, source and granularity."
            raise batches.invalid([FieldError("/symbol", "unknown", message)])
        return found


def as_answered(standing: health.SeriesState) -> SeriesState:
    """Return how a series stands as it is answered."""
    row = standing.series
    return SeriesState(
        id=row.pk,
        symbol=row.symbol,
        source=row.source,
        granularity=row.granularity,
        state=standing.state.value,
        fetched=standing.fetched,
        last_timestamp=row.last_timestamp,
        expected_by=standing.expected_by,
    )


class CandleDefectViewSet(ReadOnlyViewSet):
    """What is wrong with candles: gaps, repeated candles, zero volume, outliers, spreads.

    From ``start`` to before ``end``. What staff accepted is known, and left as it is.
    """

    queryset = CandleDefect.objects.all()
    fields = [
        "id",
        "series_id",
        "series.symbol",
        "series.source",
        "series.granularity",
        "kind",
        "start",
        "end",
        "candles",
        "value",
        "detail",
        "found_at",
        "accepted_at",
        "accepted_by",
    ]
    filterset_fields = {
        "series_id": ANY_OF,
        **BY_SERIES,
        "kind": ANY_OF,
        "start": RANGE,
        "found_at": RANGE,
        "accepted": Narrowing(accepted, "Known, and left as it is (true), or not.", flag=True),
    }
    ordering_fields = ["start"]


class CandleDayViewSet(ReadOnlyViewSet):
    """Days (UTC) of series: how many candles there are, of how many that were to be expected."""

    queryset = CandleDay.objects.all()
    fields = [
        "id",
        "series_id",
        "series.symbol",
        "series.source",
        "series.granularity",
        "day",
        "candles",
        "expected",
        "zero_volume",
        "defects",
    ]
    filterset_fields = {
        "series_id": ANY_OF,
        **BY_SERIES,
        "day": RANGE,
        "candles": RANGE,
        "defects": RANGE,
    }
    ordering_fields = ["day"]
