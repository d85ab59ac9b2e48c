"""What programs send and ask of on-chain and sentiment series."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from apps.market.api.rows import Source
from apps.shared.api.rows import Moment, Real, Row, Symbol, text

Metric = Annotated[
    str,
    text(
        100,
        minimum=1,
        pattern=r"\S+(?: \S+)*",
        description="What is measured, such as hash_rate or nvt_ratio.",
    ),
]
Lines = Annotated[int, Meta(ge=1, le=1_000, description="How many lines at most.")]
USUAL_LINES = 100


class OnchainMetricRow(Row):
    """One value of one measure of a chain, as one source says."""

    symbol: Symbol
    source: Source
    timestamp: Moment
    metric_name: Metric
    metric_value: Real


class SentimentScoreRow(Row):
    """How a market is felt about at a moment, as one source says; each has its own scale."""

    symbol: Symbol
    source: Source
    timestamp: Moment
    sentiment_score: Real


class SentimentLatestQuery(Row):
    """Of which series the last point is asked for; of all of them where nothing is named.

    ``after``: symbol and source of the last line of the page before, as ``next`` says it.
    """

    symbol: Symbol | None = None
    source: Source | None = None
    after_symbol: Symbol | None = None
    after_source: Source | None = None
    limit: Lines = USUAL_LINES


class OnchainLatestQuery(SentimentLatestQuery):
    """Of which series the last point is asked for; of all of them where nothing is named."""

    metric_name: Metric | None = None
    after_metric_name: Metric | None = None


class SentimentGapsQuery(Row):
    """A series, and where it is looked at: ``start`` ≤ timestamp < ``end``, or its newest."""

    symbol: Symbol
    source: Source
    start: Moment | None = None
    end: Moment | None = None


class OnchainGapsQuery(Row):
    """A series, and where it is looked at: ``start`` ≤ timestamp < ``end``, or its newest."""

    symbol: Symbol
    source: Source
    metric_name: Metric
    start: Moment | None = None
    end: Moment | None = None


# --- Answers ------------------------------------------------------------------------------


class SeriesGapAnswer(msgspec.Struct):
    """Between two points that are there so many are missing."""

    start: datetime
    end: datetime
    missing: int


class GapsAnswer(msgspec.Struct):
    """Where points of a series are missing; times in seconds, null with the reason beside it."""

    cadence_seconds: float | None
    cadence_reason: str
    points: int
    first: datetime | None
    last: datetime | None
    cut: bool
    gaps: list[SeriesGapAnswer]
    missing: int
    silent_seconds: float | None


class OnchainLatest(msgspec.Struct):
    """The last point of a series."""

    symbol: str
    source: str
    metric_name: str
    timestamp: datetime
    metric_value: float
    age_seconds: float


class SentimentLatest(msgspec.Struct):
    """The last point of a series."""

    symbol: str
    source: str
    timestamp: datetime
    sentiment_score: float
    age_seconds: float


class OnchainLatestAnswer(msgspec.Struct):
    """The last point of each series, in order; ``next`` are the parameters of the next page."""

    results: list[OnchainLatest]
    next: dict[str, str] | None


class SentimentLatestAnswer(msgspec.Struct):
    """The last point of each series, in order; ``next`` are the parameters of the next page."""

    results: list[SentimentLatest]
    next: dict[str, str] | None
