"""Features of candles: the rows, the versions they come in, where each series stands."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.decorators import action
from rest_framework.request import Request

from apps.logs.api.callers import DecisionPermission, name_of
from apps.market.api.rows_features import (
    FeatureRow,
    FeatureVersionRow,
    LatestFeaturesQuery,
    NothingRow,
)
from apps.market.api.rows_health import StartedRun
from apps.market.choices import FeatureOrigin
from apps.market.domain.features.versions import version_key
from apps.market.models import FeatureCoverage, FeatureSeries, FeatureVector, FeatureVersion
from apps.market.services.coverage import request_refresh
from apps.market.services.features.reported import store_reported
from apps.shared.api import batches, filters, parsing
from apps.shared.api.errors import ApiError
from apps.shared.api.filters import ANY_OF, EXACT, RANGE, Narrowing, invalid_parameter
from apps.shared.api.openapi import STORED_ROW, describe
from apps.shared.api.queries import read_query
from apps.shared.api.viewsets import (
    BODY_BYTES,
    EntityViewSet,
    FactViewSet,
    ReadOnlyViewSet,
    answer,
)
from apps.shared.api.writing import once
from apps.shared.errors import FieldError
from apps.shared.ingest import Ingested

COMPUTED_HERE = "Is computed here; programs register versions of their own."


class FeatureVersionViewSet(EntityViewSet):
    """Definitions of features, under numbers that are compared part by part: 3.10 is above 3.9.

    PUT registers the version of a pipeline, or describes it anew; its rows may come from then on.
    Versions that are computed here are changed by nobody but us (409).
    """

    queryset = FeatureVersion.objects.all()
    row = FeatureVersionRow
    fields = [
        "version",
        "origin",
        *(name for name in FeatureVersionRow.__struct_fields__ if name != "version"),
        "built",
        "created_at",
        "updated_at",
    ]
    filterset_fields = {"version": ANY_OF, "origin": ANY_OF, "is_causal": EXACT, "built": EXACT}
    ordering_fields = ["created_at", "version"]
    lookup_field = "version"

    def store(self, rows: Sequence[FeatureVersionRow]) -> Ingested:
        """Register versions that are new."""
        return self.registered(rows, on_conflict="refuse")

    def replace(self, rows: Sequence[FeatureVersionRow]) -> Ingested:
        """Register a version, or describe it anew."""
        return self.registered(rows, on_conflict="replace")

    def registered(self, rows: Sequence[FeatureVersionRow], *, on_conflict: str) -> Ingested:
        """Store versions, but for those that are computed here."""
        names = [row.version for row in rows]
        ours = set(
            FeatureVersion.objects.filter(
                version__in=names, origin=FeatureOrigin.COMPUTED
            ).values_list("version", flat=True)
        )
        error = FieldError("/version", "computed_here", COMPUTED_HERE)
        if ours and len(rows) == 1:
            raise ApiError(409, error.code, f"Version {names[0]} is computed here.", [error])
        outcome = Ingested()
        places = [place for place, name in enumerate(names) if name not in ours]
        for place, name in enumerate(names):
            if name in ours:
                outcome.fail(place, [error])
        stored = self.ingested([rows[place] for place in places], on_conflict=on_conflict)
        outcome.merge(stored, places)
        outcome.sort()
        return outcome


class FeatureVectorViewSet(FactViewSet):
    """What was known of a market at the close of a candle: 100 columns, null where not known.

    Pipelines send rows of versions that they registered (feature-versions/); a row that is sent
    anew takes the place of the one before. Rows of versions that are computed here are made from
    candles, and not taken. Numbers are finite: NaN and infinity are refused by their column.
    """

    queryset = FeatureVector.objects.all()
    row = FeatureRow
    bulk = True
    key = ["symbol", "source", "granularity", "feature_version", "timestamp"]
    sent_again = "A row that is sent anew takes the place of the one before."
    fields = ["id", *FeatureRow.__struct_fields__, "created_at", "updated_at"]
    filterset_fields = {
        "symbol": ANY_OF,
        "source": ANY_OF,
        "granularity": ANY_OF,
        "feature_version": ANY_OF,
        "timestamp": RANGE,
    }
    ordering_fields = ["timestamp"]

    def store(self, rows: Sequence[FeatureRow]) -> Ingested:
        return store_reported(rows, now=timezone.now())

    @action(detail=False)
    @describe(query=LatestFeaturesQuery, answer=STORED_ROW)
    def latest(self, request: Request) -> HttpResponse:
        """Answer the newest row of a symbol: of the highest version it has, unless one is named.

        404 where there is none.
        """
        asked = read_query(LatestFeaturesQuery, request)
        fields = self.fields_of(asked.fields)
        if asked.version is not None and not is_known(asked.version):
            raise invalid_parameter("version", "unknown_version", "There is no such version.")
        wanted = {
            "source": asked.source,
            "granularity": asked.granularity,
            "feature_version": asked.version,
        }
        given = {name: value for name, value in wanted.items() if value is not None}
        found = FeatureSeries.objects.filter(symbol=asked.symbol, **given)
        place = newest_place(found)
        if place is None:
            message = f"There are no such features of {asked.symbol}."
            raise ApiError(404, "not_found", message)
        rows = self.get_queryset().filter(symbol=asked.symbol, **place)
        return self.stored(rows.order_by("-timestamp"), fields)


def is_known(version: str) -> bool:
    return FeatureVersion.objects.filter(version=version).exists()


def newest_place(series: QuerySet[FeatureSeries]) -> dict[str, str] | None:
    """Return source, granularity and version of the highest version's newest row, or None.

    Several that are as new are told apart by their names, so that an answer does not change by
    chance.
    """
    names = ("source", "granularity", "feature_version")
    filled = series.filter(last_timestamp__isnull=False)
    found = list(filled.values_list(*names, "last_timestamp"))
    if not found:
        return None
    highest = max(version_key(each[2]) for each in found)
    best = max(
        (each for each in found if version_key(each[2]) == highest),
        key=lambda each: (each[3], each[:3]),
    )
    return dict(zip(names, best[:3], strict=True))


def failing(rows: QuerySet[Any], wanted: bool) -> QuerySet[Any]:
    """Return the series whose features could not be computed, or all others."""
    return rows.exclude(error="") if wanted else rows.filter(error="")


class FeatureSeriesViewSet(ReadOnlyViewSet):
    """Where the features of each series stand: from which definition, how many rows, until when.

    ``changed_from`` is the earliest candle that came late or was replaced, and is computed again.
    """

    queryset = FeatureSeries.objects.all()
    fields = [
        "id",
        "symbol",
        "source",
        "granularity",
        "feature_version",
        "rows",
        "rsi_rows",
        "ma_rows",
        "first_timestamp",
        "last_timestamp",
        "latest_rsi",
        "latest_ma",
        "computed_at",
        "definition_hash",
        "timezone",
        "changed_from",
        "failures",
        "retry_at",
        "error",
        "execution_id",
        "created_at",
        "updated_at",
    ]
    filterset_fields = {
        "symbol": ANY_OF,
        "source": ANY_OF,
        "granularity": ANY_OF,
        "feature_version": ANY_OF,
        "execution_id": ANY_OF,
        "last_timestamp": RANGE,
        "computed_at": RANGE,
        "failing": Narrowing(failing, "Could not be computed (true), or could.", flag=True),
    }
    ordering_fields = ["symbol", "created_at"]
    ordering = "symbol"


class FeatureCoverageViewSet(ReadOnlyViewSet):
    """How complete the features of each symbol are over the last 90 days, as of ``refreshed_at``.

    Coverages lie between 0 and 1. Refreshed by the hour; ``refresh/`` asks for it now.
    """

    queryset = FeatureCoverage.objects.all()
    fields = [
        "symbol",
        "latest_timestamp",
        "total_records",
        "latest_version",
        "latest_rsi",
        "latest_ma",
        "rsi_coverage",
        "ma_coverage",
        "refreshed_at",
    ]
    filterset_fields = {
        "symbol": ANY_OF,
        "latest_version": ANY_OF,
        "latest_timestamp": RANGE,
        "rsi_coverage": RANGE,
        "ma_coverage": RANGE,
    }
    ordering_fields = ["symbol", "latest_timestamp"]
    ordering = "symbol"
    lookup_field = "symbol"
    lookup_value_regex = ".+"

    @action(detail=False, methods=["post"], permission_classes=[DecisionPermission])
    @describe(answer=StartedRun)
    def refresh(self, request: Request) -> HttpResponse:
        """Have the coverage refreshed by a worker; 202 with the run to follow under executions.

        While one waits to begin it is that one, and nothing new is started. One that runs already
        may have read what is older: another is started behind it.
        """
        filters.check_known(request._request.GET, [])
        body = parsing.read_body(request._request, BODY_BYTES)
        if not parsing.empty_body(body):
            parsing.content_type(request._request, (parsing.JSON,))
            batches.read_one(NothingRow, body)
        by = name_of(request)
        run = once(lambda: request_refresh(by=by, now=timezone.now()))
        return answer(StartedRun(run.execution_id, run.status, run.total_tasks), 202)
