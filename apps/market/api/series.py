"""What programs read and write of on-chain and sentiment series."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.decorators import action
from rest_framework.request import Request

from apps.market.api.rows_series import (
    GapsAnswer,
    OnchainGapsQuery,
    OnchainLatest,
    OnchainLatestAnswer,
    OnchainLatestQuery,
    OnchainMetricRow,
    SentimentGapsQuery,
    SentimentLatest,
    SentimentLatestAnswer,
    SentimentLatestQuery,
    SentimentScoreRow,
    SeriesGapAnswer,
)
from apps.market.domain.series import LEAST_POINTS
from apps.market.models import OnchainMetric, SentimentScore
from apps.market.services.series import (
    ONCHAIN,
    SENTIMENT,
    Table,
    completeness,
    latest_points,
    store_points,
)
from apps.shared.api.errors import ApiError
from apps.shared.api.filters import ANY_OF, RANGE, invalid_parameter
from apps.shared.api.openapi import describe
from apps.shared.api.queries import read_query
from apps.shared.api.viewsets import FactViewSet, answer
from apps.shared.errors import FieldError
from apps.shared.ingest import Ingested

NO_CADENCE = f"Known from {LEAST_POINTS} points on that stand at different moments."


class SeriesViewSet(FactViewSet):
    """Points of series: what both kinds have in common."""

    table: ClassVar[Table]
    bulk = True
    ordering_fields = ["timestamp"]
    sent_again = "The same point sent again is unchanged; another value for it is refused."

    def store(self, rows: Sequence[Any]) -> Ingested:
        return store_points(self.table, rows, now=timezone.now())

    def latest_of(self, asked: Any, line: type[Any]) -> tuple[list[Any], dict[str, str] | None]:
        """Return the lines of a page, and the parameters of the next one if there is one."""
        after = [getattr(asked, f"after_{name}") for name in self.table.key]
        if any(after) and not all(after):
            raise incomplete(self.table, after)
        named = {name: getattr(asked, name) or "" for name in self.table.key}
        found = latest_points(
            self.table,
            limit=asked.limit + 1,
            after=tuple(after) if all(after) else (),
            **named,
        )
        now = timezone.now()
        lines = [
            line(*each.key, each.timestamp, each.value, (now - each.timestamp).total_seconds())
            for each in found[: asked.limit]
        ]
        if len(found) <= asked.limit:
            return lines, None
        last = found[asked.limit - 1].key
        return lines, {
            f"after_{name}": text for name, text in zip(self.table.key, last, strict=True)
        }

    def gaps_of(self, asked: Any) -> GapsAnswer:
        """Return where points of the series in a query are missing."""
        if asked.start and asked.end and asked.end <= asked.start:
            raise before_start()
        found = completeness(
            self.table,
            tuple(getattr(asked, name) for name in self.table.key),
            now=timezone.now(),
            start=asked.start,
            end=asked.end,
        )
        cadence, silent = found.cadence, found.silent
        return GapsAnswer(
            cadence_seconds=None if cadence is None else cadence.total_seconds(),
            cadence_reason=NO_CADENCE if cadence is None else "",
            points=found.points,
            first=found.first,
            last=found.last,
            cut=found.cut,
            gaps=[SeriesGapAnswer(*gap) for gap in found.gaps],
            missing=sum(gap.missing for gap in found.gaps),
            silent_seconds=None if silent is None else silent.total_seconds(),
        )


class OnchainMetricViewSet(SeriesViewSet):
    """What chains show: values of measures such as hash rate, flows and active addresses."""

    queryset = OnchainMetric.objects.all()
    table = ONCHAIN
    row = OnchainMetricRow
    key = ["symbol", "source", "metric_name", "timestamp"]
    fields = ["id", *OnchainMetricRow.__struct_fields__, "created_at"]
    filterset_fields = {
        "symbol": ANY_OF,
        "source": ANY_OF,
        "metric_name": ANY_OF,
        "timestamp": RANGE,
    }

    @action(detail=False)
    @describe(query=OnchainLatestQuery, answer=OnchainLatestAnswer)
    def latest(self, request: Request) -> HttpResponse:
        """Answer the last value of each series and how old it is."""
        asked = read_query(OnchainLatestQuery, request)
        return answer(OnchainLatestAnswer(*self.latest_of(asked, OnchainLatest)))

    @action(detail=False)
    @describe(query=OnchainGapsQuery, answer=GapsAnswer)
    def gaps(self, request: Request) -> HttpResponse:
        """Answer how often values of a series usually come, and where some are missing."""
        return answer(self.gaps_of(read_query(OnchainGapsQuery, request)))


class SentimentScoreViewSet(SeriesViewSet):
    """How markets are felt about, by source: each has a scale of its own."""

    queryset = SentimentScore.objects.all()
    table = SENTIMENT
    row = SentimentScoreRow
    key = ["symbol", "source", "timestamp"]
    fields = ["id", *SentimentScoreRow.__struct_fields__, "created_at"]
    filterset_fields = {"symbol": ANY_OF, "source": ANY_OF, "timestamp": RANGE}

    @action(detail=False)
    @describe(query=SentimentLatestQuery, answer=SentimentLatestAnswer)
    def latest(self, request: Request) -> HttpResponse:
        """Answer the last score of each series and how old it is."""
        asked = read_query(SentimentLatestQuery, request)
        return answer(SentimentLatestAnswer(*self.latest_of(asked, SentimentLatest)))

    @action(detail=False)
    @describe(query=SentimentGapsQuery, answer=GapsAnswer)
    def gaps(self, request: Request) -> HttpResponse:
        """Answer how often scores of a series usually come, and where some are missing."""
        return answer(self.gaps_of(read_query(SentimentGapsQuery, request)))


def incomplete(table: Table, after: Sequence[str | None]) -> ApiError:
    """Return the refusal of a place between two lines that is told by half."""
    missing = next(name for name, text in zip(table.key, after, strict=True) if not text)
    return invalid_parameter(f"after_{missing}", "required", "Goes with the others of after_….")


def before_start() -> ApiError:
    """Return the refusal of a window that ends before it starts."""
    return ApiError(
        400,
        "invalid_parameter",
        "The window ends before it starts.",
        [FieldError("?end", "before_start", "Must lie after start.")],
    )
