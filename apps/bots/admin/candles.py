"""The candles behind a limit or a lot: of the series that gives its symbol the newest price."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from apps.market.choices import Granularity
from apps.market.domain.candles import Series, width
from apps.market.models import Candle
from apps.market.models.candles import primary_source

MOST_BARS = 1_500
LEAST_BARS = 60


def series_of(symbol: str) -> Series | None:
    """Return the series whose last candle ended last: of the primary source if one is named.

    Of several the finest, then the first by source, as ``services/prices`` chooses.
    """
    stored = Candle.objects.series(symbol)
    named = primary_source(symbol) if stored else ""
    own = [each for each in stored if not named or each.source == named]
    if not own:
        return None
    newest = max(each.known_until for each in own)
    return min(
        (each for each in own if each.known_until == newest),
        key=lambda each: (width(each.granularity), each.source),
    )


def bars_of(symbol: str, series: Series, start: datetime, end: datetime) -> Sequence[Any]:
    """Return the candles of a stretch of time, coarser ones where there would be too many.

    Where the series ended before, or the stretch is short, what comes before it is shown too.
    """
    step = width(series.granularity)
    end = min(end + step, series.known_until)
    start = min(start, end - LEAST_BARS * step)
    if (end - start) / step <= MOST_BARS:
        rows = Candle.objects.range(
            symbol, start, end, source=series.source, granularity=series.granularity
        )
        return list(rows.only("timestamp", "open", "high", "low", "close", "volume"))
    coarser = next(
        (
            each
            for each in Granularity
            if not each.width % step and (end - start) / each.width <= MOST_BARS
        ),
        Granularity.W1,
    )
    return Candle.objects.resampled(
        symbol, start, end, series.source, series.granularity, coarser.value
    )


def bar_at(bars: Sequence[Any], moment: datetime) -> datetime:
    """Return the start of the last bar at or before a moment, the first one else."""
    before = [bar.timestamp for bar in bars if bar.timestamp <= moment]
    return max(before) if before else min((bar.timestamp for bar in bars), default=moment)
