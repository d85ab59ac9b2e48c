"""What the demo shows beside prices: features, regimes, checked candles, other series, the cache.

The other series are made up by plain formulas and say so by their source. Each value depends on
its day alone, so loading again adds the days that have come since, and nothing twice.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256

from django.utils import timezone

from apps.market.domain.candles import CandleRow
from apps.market.models import FeatureSeries
from apps.market.services import cache
from apps.market.services.basics import ensure_basics
from apps.market.services.coverage import refresh_coverage
from apps.market.services.features import building
from apps.market.services.health import check_health
from apps.market.services.regimes import classify_regimes
from apps.market.services.series import ONCHAIN, SENTIMENT, store_points
from apps.shared.ingest import Ingested

SOURCE = "demo"
DAY = timedelta(days=1)
DAYS = 365
# On these days before today the chain's node was away: the page of the series shows the gap.
AWAY = range(40, 44)
MOMENTUM = 20
CHAIN = "BTC/USD"


@dataclass(frozen=True)
class Metric:
    """A series that grows by the year, swings by the week, and is a little noisy."""

    name: str
    level: float
    growth: float
    swing: float
    noise: float


METRICS = [
    Metric("active_addresses", 950_000, 0.08, 0.06, 0.03),
    Metric("transaction_count", 420_000, 0.12, 0.09, 0.04),
    Metric("hash_rate", 6.2e20, 0.35, 0.0, 0.02),
    Metric("mvrv_ratio", 2.1, 0.05, 0.02, 0.05),
]


@dataclass(frozen=True)
class OnchainPoint:
    """What ``store_points`` takes of a chain."""

    symbol: str
    source: str
    metric_name: str
    timestamp: datetime
    metric_value: float


@dataclass(frozen=True)
class SentimentPoint:
    """What ``store_points`` takes of a mood."""

    symbol: str
    source: str
    timestamp: datetime
    sentiment_score: float


def load(tapes: Mapping[str, Sequence[CandleRow]], *, since: datetime, now: datetime) -> str:
    """Store what the demo shows of the market beside its candles; say what was added."""
    points = Ingested()
    if not tapes:
        return told(points, 0, 0)
    points.merge(store_points(ONCHAIN, list(chain(since, now)), now=now))
    points.merge(store_points(SENTIMENT, list(moods(tapes)), now=now))
    # At once, so that the first pages are full; from here on the worker does it.
    features = build(now)
    days = classify_regimes(now=now)
    check_health(now=now)
    refresh_coverage(now=now)
    remember(now)
    return told(points, features, days)


def told(points: Ingested, features: int, days: int) -> str:
    return f"{points.created:,} points of other series, {features:,} vectors, {days:,} regimes"


def build(now: datetime) -> int:
    """Build all features that are due, as workers do; return how many vectors came."""
    ensure_basics()
    before = vectors()
    if building.plan_build(now=now, triggered_by="DEMO"):
        while building.work(clock=timezone.now, joined=lambda: None):
            pass
    return vectors() - before


def vectors() -> int:
    return sum(FeatureSeries.objects.values_list("rows", flat=True))


def chain(since: datetime, now: datetime) -> Iterator[OnchainPoint]:
    """Yield a value of each metric for each day from a year before ``since`` to today."""
    first = midnight(since) - DAYS * DAY
    today = midnight(since)
    for number in range((midnight(now) - first).days + 1):
        day = first + number * DAY
        if (today - day).days in AWAY:
            continue
        for metric in METRICS:
            week = metric.swing * math.sin(2 * math.pi * day.weekday() / 7)
            grown = (1 + metric.growth) ** (number / 365)
            noise = metric.noise * chance(f"{metric.name} {day:%Y-%m-%d}")
            value = metric.level * grown * (1 + week + noise)
            yield OnchainPoint(CHAIN, SOURCE, metric.name, day, float(f"{value:.6g}"))


def moods(tapes: Mapping[str, Sequence[CandleRow]]) -> Iterator[SentimentPoint]:
    """Yield a score of 0 (fear) to 100 (greed) a day, by how prices of twenty days have moved."""
    for symbol, rows in tapes.items():
        days = {row.timestamp.date(): float(row.close) for row in rows}
        closes = list(days.items())[-DAYS:]
        for place in range(MOMENTUM, len(closes)):
            day, close = closes[place]
            change = close / closes[place - MOMENTUM][1] - 1
            score = 50 + 50 * math.tanh(5 * change)
            moment = datetime(day.year, day.month, day.day, tzinfo=UTC) + DAY
            # Of a day that is still under way nothing is said.
            if moment <= rows[-1].timestamp + DAY:
                yield SentimentPoint(symbol, SOURCE, moment, round(score, 2))


def midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def chance(words: str) -> float:
    """Return a number between -1 and 1 that is always the same for the same words."""
    return int.from_bytes(sha256(words.encode()).digest()[:4], "big") / 2**31 - 1


def remember(now: datetime) -> None:
    """Ask a pretended venue through the cache, so that its page has something to show."""
    for symbol in ("AAPL", "GOOG", "IBM", "MSFT"):
        for _ in range(3):
            cache.cached(
                source=SOURCE,
                method="markets",
                args=(symbol,),
                data_type="markets",
                now=now,
                load=partial(dict, symbol=symbol, tick="0.01", lot="1"),
            )
    cache.flush_counts()
