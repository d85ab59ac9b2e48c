"""Candles for the charts of other apps: of the series that answers, and never too many."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from apps.market.choices import Granularity
from apps.market.domain.candles import Series, width
from apps.market.models import Candle
from apps.market.models.candles import primary_source

MOST_BARS = 1_500


def bars_of(
    symbol: str, source: str, granularity: str, start: datetime, end: datetime
) -> Sequence[Any]:
    """Return candles of a series with start ≤ timestamp < end, coarser ones where too many."""
    step = width(granularity)
    if (end - start) / step <= MOST_BARS:
        rows = Candle.objects.range(symbol, start, end, source=source, granularity=granularity)
        return list(rows.only("timestamp", "open", "high", "low", "close", "volume"))
    coarser = next(
        (
            each
            for each in Granularity
            if not each.width % step and (end - start) / each.width <= MOST_BARS
        ),
        Granularity.W1,
    )
    return Candle.objects.resampled(symbol, start, end, source, granularity, coarser.value)


def bar_at(bars: Iterable[Any], moment: datetime) -> datetime:
    """Return the start of the last bar at or before a moment, the first one else."""
    starts = [bar.timestamp for bar in bars]
    return max((each for each in starts if each <= moment), default=min(starts, default=moment))


def series_over(
    symbol: str, start: datetime, end: datetime, *, granularity: str = ""
) -> Series | None:
    """Return the series that holds most of a stretch of time, the finest of such; None: none.

    Of the primary source of the instrument, where it names one; of those that hold as much, the
    one of ``granularity`` where there is one.
    """
    stored = Candle.objects.series(symbol) if symbol else []
    named = primary_source(symbol) if stored else ""
    own = [each for each in stored if not named or each.source == named]
    held = [each for each in own if each.first <= end and each.known_until >= start]
    if not held:
        return None

    def covered(each: Series) -> timedelta:
        return min(each.known_until, end) - max(each.first, start)

    most = max(covered(each) for each in held)
    whole = [each for each in held if most - covered(each) <= width(each.granularity)]
    told = [each for each in whole if each.granularity == granularity]
    return min(told or whole, key=lambda each: (width(each.granularity), each.source))
