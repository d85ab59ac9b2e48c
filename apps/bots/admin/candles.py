"""The candles behind a limit or a lot: of the series that gives its symbol the newest price."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from apps.market.domain.candles import Series, width
from apps.market.models import Candle
from apps.market.models.candles import primary_source
from apps.market.services import bars
from apps.market.services.bars import bar_at

__all__ = ["bar_at", "bars_of", "series_of"]

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
    return bars.bars_of(symbol, series.source, series.granularity, start, end)
