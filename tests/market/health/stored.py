"""Arrays of candles as stored rows."""

from datetime import timedelta
from decimal import Decimal

from apps.market.domain.candles import CandleRow
from apps.market.domain.health.frames import moment
from apps.market.models import CandleSeries
from apps.market.services.candles import store_candles


def rows_of(candles, granularity, *, symbol="ETH/BTC", source="venue"):
    columns = (column.tolist() for column in candles)
    return [
        CandleRow(
            symbol, source, granularity, moment(start), *(Decimal(repr(each)) for each in values)
        )
        for start, *values in zip(*columns, strict=True)
    ]


def store(rows, now=None):
    """Store rows as of when they were all over; return their series."""
    now = now or max(row.timestamp for row in rows) + timedelta(days=40)
    outcome = store_candles(rows, now=now)
    assert not outcome.failed, outcome.results[0]
    first = rows[0]
    return CandleSeries.objects.get(
        symbol=first.symbol, source=first.source, granularity=first.granularity
    )


def known(series):
    """Return all that health knows of a series, without ids and times of the looks."""
    series = CandleSeries.objects.get(pk=series.pk)
    defects = series.defects.order_by("start", "kind")
    days = series.days.order_by("day")
    counts = ("candles", "expected", "missing", "gaps", "duplicates", "zero_volume", "outliers")
    return (
        list(defects.values_list("kind", "start", "end", "candles", "value", "detail")),
        list(days.values_list("day", "candles", "expected", "zero_volume", "defects")),
        [getattr(series, name) for name in [*counts, "spreads", "checked_until", "recheck_from"]],
    )
