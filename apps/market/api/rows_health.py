"""What programs ask of the soundness of candles, and what they have fetched again."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from apps.market.api.rows import Source, Width
from apps.market.choices import Freshness
from apps.shared.api.rows import Row, Symbol, choice

# What one backfill, or one answer about states, may be about.
MOST_SERIES = 10_000
MOST_AT_ONCE = 1_000


class StatesQuery(Row):
    """Which series are asked about; without any parameter all of them."""

    symbol: Symbol | None = None
    source: Source | None = None
    granularity: Width | None = None
    state: Annotated[str, choice(Freshness, "Only series that stand so.")] | None = None


class BackfillRow(Row):
    """The series whose gaps are to be fetched: by their ids, or one by its names."""

    series_ids: (
        Annotated[
            list[Annotated[int, Meta(ge=1, le=2**63 - 1)]],
            Meta(min_length=1, max_length=MOST_AT_ONCE, description="Ids of candle-series."),
        ]
        | None
    ) = None
    symbol: Symbol | None = None
    source: Source | None = None
    granularity: Width | None = None


class StartedRun(msgspec.Struct):
    """The run that was planned; follow it under executions."""

    execution_id: str
    status: str
    total_tasks: int


class SeriesState(msgspec.Struct):
    """How a series stands against what was to be expected of it."""

    id: int
    symbol: str
    source: str
    granularity: str
    state: str
    fetched: bool
    last_timestamp: Any
    expected_by: Any


class SeriesStates(msgspec.Struct):
    """How series stand."""

    results: list[SeriesState]
