"""Prices over time, and the reads that everything else asks them by."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Self

from django.db import connections, models
from django.db.models import Case, F, Func, Q, Value, When, Window
from django.db.models.functions import Lead

from apps.market.choices import Granularity
from apps.market.domain.candles import (
    ORIGIN,
    CandleValues,
    Gap,
    PricePoint,
    Series,
    aligned_start,
    check_divides,
    choose_price,
    choose_source,
    find_gaps,
    width,
)
from apps.market.models.instruments import Instrument
from apps.shared import fields
from apps.shared.models import CreatedModel, known_choices, positive

# One index probe per series, whatever the number of candles: PostgreSQL has no skip scan
# that stops after the first row of each group.
SERIES = """
WITH RECURSIVE series AS (
    (SELECT source, granularity FROM candles WHERE symbol = %(symbol)s
     ORDER BY source, granularity LIMIT 1)
    UNION ALL
    SELECT following.source, following.granularity
    FROM series CROSS JOIN LATERAL (
        SELECT source, granularity FROM candles
        WHERE symbol = %(symbol)s
          AND (source, granularity) > (series.source, series.granularity)
        ORDER BY source, granularity LIMIT 1
    ) AS following
)
"""
BOUNDS = (
    SERIES
    + """
SELECT source, granularity, first.timestamp, last.timestamp
FROM series
CROSS JOIN LATERAL (
    SELECT timestamp FROM candles
    WHERE symbol = %(symbol)s AND source = series.source
      AND granularity = series.granularity
    ORDER BY timestamp LIMIT 1
) AS first
CROSS JOIN LATERAL (
    SELECT timestamp FROM candles
    WHERE symbol = %(symbol)s AND source = series.source
      AND granularity = series.granularity
    ORDER BY timestamp DESC LIMIT 1
) AS last
"""
)
HEADS = (
    SERIES
    + """
SELECT head.close, source, granularity, head.timestamp
FROM series
CROSS JOIN LATERAL (
    SELECT timestamp, close FROM candles
    WHERE symbol = %(symbol)s AND source = series.source
      AND granularity = series.granularity
      AND timestamp <= %(moment)s - (%(widths)s::jsonb ->> series.granularity)::interval
    ORDER BY timestamp DESC LIMIT 1
) AS head
"""
)
ALL_SERIES = """
WITH RECURSIVE series AS (
    (SELECT symbol, source, granularity FROM candles
     ORDER BY symbol, source, granularity LIMIT 1)
    UNION ALL
    SELECT following.symbol, following.source, following.granularity
    FROM series CROSS JOIN LATERAL (
        SELECT symbol, source, granularity FROM candles
        WHERE (symbol, source, granularity) > (series.symbol, series.source, series.granularity)
        ORDER BY symbol, source, granularity LIMIT 1
    ) AS following
)
SELECT symbol, source, granularity, last.timestamp
FROM (SELECT * FROM series LIMIT %(limit)s) AS series
CROSS JOIN LATERAL (
    SELECT timestamp FROM candles
    WHERE symbol = series.symbol AND source = series.source
      AND granularity = series.granularity
    ORDER BY timestamp DESC LIMIT 1
) AS last
"""
RESAMPLED = """
SELECT date_bin(%(to)s, timestamp, %(origin)s) AS start,
       (array_agg(open ORDER BY timestamp))[1], max(high), min(low),
       (array_agg(close ORDER BY timestamp DESC))[1], sum(volume)
FROM candles
WHERE symbol = %(symbol)s AND source = %(source)s AND granularity = %(granularity)s
  AND timestamp >= %(start)s AND timestamp < %(end)s
GROUP BY start ORDER BY start
"""
WIDTHS = json.dumps({one.value: f"{one.width.total_seconds():.0f} seconds" for one in Granularity})

ALIGNED_START = Func(
    Case(*(When(granularity=one, then=Value(one.width)) for one in Granularity)),
    F("timestamp"),
    Value(ORIGIN),
    function="date_bin",
    output_field=models.DateTimeField(),
)


class CandleQuerySet(models.QuerySet["Candle"]):
    def series(self, symbol: str) -> list[Series]:
        """Every series of the symbol with its first and last start; finest first per source."""
        found = [Series._make(row) for row in self._rows(BOUNDS, symbol=symbol)]
        return sorted(found, key=lambda one: (one.source, width(one.granularity)))

    def all_series(self, *, limit: int) -> list[tuple[str, Series]]:
        """Up to ``limit`` series of all symbols in order, their ``first`` being their last too.

        One index probe per series: what a page that watches over everything can afford.
        """
        rows = self._rows(ALL_SERIES, limit=limit)
        return [
            (symbol, Series(source, granularity, last, last))
            for symbol, source, granularity, last in rows
        ]

    def heads(self, symbol: str, moment: datetime) -> list[PricePoint]:
        """The last candle of each series that was known at ``moment``, however old."""
        rows = self._rows(HEADS, symbol=symbol, moment=moment, widths=WIDTHS)
        return [PricePoint(fields.plain(price), *rest) for price, *rest in rows]

    def close_at(self, symbol: str, moment: datetime) -> PricePoint | None:
        """The price at ``moment`` by the series that answers for it; None when not known."""
        return choose_price(self.heads(symbol, moment), moment, primary_source(symbol))

    def of_series(self, symbol: str, source: str, granularity: str) -> Self:
        return self.filter(symbol=symbol, source=source, granularity=granularity)

    def range(
        self,
        symbol: str,
        start: datetime,
        end: datetime,
        *,
        source: str = "",
        granularity: str = "",
    ) -> Self:
        """Candles of one series with start ≤ timestamp < end, oldest first.

        Without a source, the one that answers at ``end``; without a granularity, the
        finest of that source that has candles in the window.
        """
        window = self.filter(symbol=symbol, timestamp__gte=start, timestamp__lt=end)
        if not source:
            source = choose_source(self.heads(symbol, end), primary_source(symbol))
        if not granularity:
            present = (
                each.granularity
                for each in self.series(symbol)
                if each.source == source
                and window.filter(source=source, granularity=each.granularity).exists()
            )
            granularity = next(present, "")
        return window.filter(source=source, granularity=granularity).order_by("timestamp")

    def resampled(
        self,
        symbol: str,
        start: datetime,
        end: datetime,
        source: str,
        granularity: str,
        to: str,
    ) -> list[CandleValues]:
        """Candles of the coarser granularity ``to``, oldest first, as ``domain.resample``.

        The window is widened to whole candles of ``to``, so none is cut at the edges.
        ValueError when ``granularity`` does not divide ``to``.
        """
        check_divides(granularity, to)
        rows = self._rows(
            RESAMPLED,
            symbol=symbol,
            source=source,
            granularity=granularity,
            start=aligned_start(start, to),
            end=aligned_start(end - timedelta(microseconds=1), to) + width(to),
            to=width(to),
            origin=ORIGIN,
        )
        return [CandleValues(row[0], *map(fields.plain, row[1:])) for row in rows]

    def gaps(
        self, symbol: str, source: str, granularity: str, start: datetime, end: datetime
    ) -> list[Gap]:
        """What is missing between the first and the last candle of start ≤ timestamp < end."""
        step = width(granularity)
        inside = self.of_series(symbol, source, granularity).filter(
            timestamp__gte=start, timestamp__lt=end
        )
        following = Window(Lead("timestamp"), order_by=F("timestamp").asc())
        edges = (
            inside.annotate(following=following)
            .filter(following__gt=F("timestamp") + step)
            .order_by("timestamp")
            .values_list("timestamp", "following")
        )
        return [gap for pair in edges for gap in find_gaps(pair, granularity)]

    def _rows(self, sql: str, **parameters: Any) -> Iterable[tuple[Any, ...]]:
        with connections[self.db].cursor() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall())


def primary_source(symbol: str) -> str:
    """Return the source that the instrument names, or an empty string."""
    named = Instrument.objects.filter(symbol=symbol).values_list("primary_source", flat=True)
    return named.first() or ""


class Candle(CreatedModel):
    """What one source says of one interval: it starts at ``timestamp`` and is known at its end.

    The symbol is text, not a foreign key: candles arrive by the hundred thousand, and a
    check per row would cost more than the row.
    """

    symbol = models.CharField(max_length=50)
    source = models.CharField(max_length=50)
    granularity = models.CharField(max_length=3, choices=Granularity)
    timestamp = models.DateTimeField()
    open = fields.Price()
    high = fields.Price()
    low = fields.Price()
    close = fields.Price()
    volume = fields.Size()

    objects = CandleQuerySet.as_manager()

    class Meta:
        db_table = "candles"
        constraints = [
            # Also the index that every price lookup runs on, without touching the table.
            models.UniqueConstraint(
                fields=["symbol", "source", "granularity", "timestamp"],
                include=["high", "low", "close"],
                name="candles_one_per_interval",
            ),
            known_choices("granularity", Granularity, name="candles_granularity_known"),
            positive("low", name="candles_low_positive"),
            models.CheckConstraint(
                condition=Q(open__gte=F("low"), open__lte=F("high"))
                & Q(close__gte=F("low"), close__lte=F("high"))
                & Q(high__lt=fields.PRICE_LIMIT),
                name="candles_high_low_enclose",
            ),
            models.CheckConstraint(
                condition=Q(volume__gte=0, volume__lt=fields.PRICE_LIMIT),
                name="candles_volume_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(timestamp=ALIGNED_START), name="candles_timestamp_aligned"
            ),
        ]
        indexes = [models.Index(fields=["timestamp", "id"], name="candles_timestamp_idx")]

    def __str__(self) -> str:
        return f"{self.symbol} {self.granularity} {self.timestamp:%Y-%m-%d %H:%M} ({self.source})"
