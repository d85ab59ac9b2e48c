"""What is known of the health of series: states, coverage by day; and what staff accept."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

from django.db import transaction
from django.db.models import QuerySet

from apps.market.choices import AssetClass, Freshness
from apps.market.domain.candles import Series
from apps.market.domain.freshness import expected_within, freshness
from apps.market.models import CandleDay, CandleDefect, CandleSeries, Feed, Instrument
from apps.market.services.health.storing import count_defects

MOST_ROWS: Final = 100


class SeriesState(NamedTuple):
    """How a series stands at a moment; its next candle was to come by ``expected_by``."""

    series: CandleSeries
    state: Freshness
    fetched: bool
    expected_by: datetime


class DayCount(NamedTuple):
    """One day of a series; ``expected`` is None where nothing tells how many there should be."""

    day: date
    candles: int
    expected: int | None
    zero_volume: int
    defects: int


class CoverageRow(NamedTuple):
    """A series and the days that are known of it, oldest first."""

    series: CandleSeries
    days: list[DayCount]


def series_states(now: datetime, series: Sequence[CandleSeries] | None = None) -> list[SeriesState]:
    """Return how series (all of them by default) stand against what is expected of them."""
    rows = list(CandleSeries.objects.all()) if series is None else series
    symbols = {row.symbol for row in rows}
    classes = dict(
        Instrument.objects.filter(symbol__in=symbols).values_list("symbol", "asset_class")
    )
    feeds = Feed.objects.filter(enabled=True, symbol__in=symbols)
    fetched = set(feeds.values_list("symbol", "source", "granularity"))
    found = []
    for row in rows:
        bounds = Series(row.source, row.granularity, row.first_timestamp, row.last_timestamp)
        asset_class = classes.get(row.symbol, AssetClass.OTHER)
        is_fetched = (row.symbol, row.source, row.granularity) in fetched
        state = freshness(bounds, asset_class=asset_class, fetched=is_fetched, now=now)
        expected_by = bounds.known_until + expected_within(row.granularity, asset_class)
        found.append(SeriesState(row, state, is_fetched, expected_by))
    return found


def coverage_map(
    *, days: int, now: datetime, limit: int = MOST_ROWS, offset: int = 0, **filters: Any
) -> list[CoverageRow]:
    """Return series, in order of their names, with the last ``days`` days (UTC) of each.

    ``filters`` are those of a query for CandleSeries. Reads days and never candles, so it costs
    the same however many of them there are.
    """
    series = list(CandleSeries.objects.filter(**filters)[offset : offset + limit])
    since = now.date() - timedelta(days=days - 1)
    known: dict[int, list[DayCount]] = {row.pk: [] for row in series}
    rows = CandleDay.objects.filter(series__in=list(known), day__gte=since, day__lte=now.date())
    for pk, *counted in rows.order_by("day").values_list("series_id", *DayCount._fields):
        known[pk].append(DayCount._make(counted))
    return [CoverageRow(row, known[row.pk]) for row in series]


@transaction.atomic
def accept_defects(queryset: QuerySet[CandleDefect], *, by: str, now: datetime) -> int:
    """Say that defects are known and stay as they are; return how many nobody had accepted.

    They are listed still, but not counted any more. Found again they stay accepted.
    """
    chosen = set(queryset.filter(accepted_at__isnull=True).values_list("series_id", flat=True))
    # As everybody who takes several of them: in the order of their keys.
    held = CandleSeries.objects.select_for_update(no_key=True).filter(pk__in=chosen)
    series = [row.pk for row in held.order_by("symbol", "source", "granularity")]
    accepted = CandleDefect.objects.open().filter(
        pk__in=queryset.order_by().values("pk"), series__in=series
    )
    count = accepted.update(accepted_at=now, accepted_by=by[:150])
    count_defects(series)
    return count
