"""What the desk reads of the market's own work: each reading one bounded query, asked for once."""

from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from django.db import connection

from apps.market.models import CacheDailyStats, CandleDefect, FeatureSeries

# What is told of goes no further than this.
MOST_FAILING, MOST_DEFECTS = 50, 200
# Defects of candles from long ago call nobody.
RECENT = timedelta(hours=48)
# New candles have features within a tick or two.
FEATURES_GRACE = timedelta(minutes=15)

FEATURES = """
SELECT count(*), count(*) FILTER (WHERE features.error <> ''),
    count(*) FILTER (
        WHERE candles.updated_at < %(since)s AND (
            features.changed_from IS NOT NULL
            OR coalesce(features.last_timestamp, '-infinity') < candles.last_timestamp
            -- Its last candles may have been deleted.
            AND EXISTS (
                SELECT FROM candles AS candle
                WHERE (candle.symbol, candle.source, candle.granularity)
                        = (features.symbol, features.source, features.granularity)
                  AND candle.timestamp > coalesce(features.last_timestamp, '-infinity')
            )
        )
    )
FROM feature_series AS features
JOIN feature_versions AS version ON version.version = features.feature_version
JOIN candle_series AS candles USING (symbol, source, granularity)
WHERE version.built AND version.granularities ? features.granularity
"""


class FeatureCounts(NamedTuple):
    """Of how many series features are kept, how many of them fail, how many lag behind."""

    series: int
    failing: int
    behind: int


class MarketReadings:
    """The part of the readings that is about features, sound candles and the cache."""

    at: datetime

    @cached_property
    def features(self) -> FeatureCounts:
        with connection.cursor() as cursor:
            cursor.execute(FEATURES, {"since": self.at - FEATURES_GRACE})
            return FeatureCounts(*cursor.fetchone())

    @cached_property
    def failing_features(self) -> list[FeatureSeries]:
        """The series whose features could not be computed, the latest failure first."""
        if not self.features.failing:
            return []
        failing = FeatureSeries.objects.failing().order_by("-updated_at", "pk")
        return list(failing.defer("state", "tail")[:MOST_FAILING])

    @cached_property
    def new_defects(self) -> list[CandleDefect]:
        """Open defects of the newest candles, the newest first."""
        found = CandleDefect.objects.open().filter(start__gte=self.at - RECENT)
        return list(found.select_related("series").order_by("-start", "-pk")[:MOST_DEFECTS])

    @cached_property
    def cache_today(self) -> CacheDailyStats:
        """What the cache did today (UTC); nothing yet when there is no row of today."""
        today = self.at.date()
        return CacheDailyStats.objects.filter(date=today).first() or CacheDailyStats(date=today)
