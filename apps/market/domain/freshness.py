"""Whether a series of candles comes in as it should. Pure rules."""

from datetime import datetime, timedelta

from apps.market.choices import AssetClass, Freshness
from apps.market.domain.candles import Series, tolerance

# A market that closes is silent over a weekend and a holiday.
CLOSED_MARKET = timedelta(days=4)
# Silent for longer, and nobody fetches it: a history that was brought in, not a feed that broke.
HISTORY = timedelta(days=30)


def expected_within(granularity: str, asset_class: str) -> timedelta:
    """Return how long after the end of the last candle the next one may stay away.

    It is the tolerance within which a close stands for a moment; markets that close get their
    weekend on top.
    """
    closes = asset_class in (AssetClass.EQUITY, AssetClass.FOREX)
    allowance = tolerance(granularity)
    return allowance + CLOSED_MARKET if closes else allowance


def freshness(series: Series, *, asset_class: str, fetched: bool, now: datetime) -> Freshness:
    """Return how a series stands at ``now``; ``fetched`` when an enabled feed should fill it."""
    silent = now - series.known_until
    if silent <= expected_within(series.granularity, asset_class):
        return Freshness.FRESH
    return Freshness.ENDED if silent > HISTORY and not fetched else Freshness.STALE
