"""What the demo shows of the market beside its candles."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from apps.market.domain.candles import CandleRow
from apps.market.models import (
    ApiCacheEntry,
    CandleDay,
    FeatureCoverage,
    FeatureVector,
    MarketRegime,
    OnchainMetric,
    SentimentScore,
)
from apps.market.services.candles import store_candles
from config import demo_market

DAY = timedelta(days=1)
# The coverage looks back from the clock of the database.
NOW = (datetime.now(UTC) - DAY).replace(hour=15, minute=0, second=0, microsecond=0)


def tape():
    """Forty-five days of a price that swings, to yesterday."""
    first = NOW.replace(hour=0) - 45 * DAY
    return [
        CandleRow("DEMO", "demo", "1d", first + place * DAY, *prices, Decimal(1000 + place))
        for place in range(45)
        if (prices := [Decimal(100 + place * 7 % 11)] * 4)
    ]


@pytest.fixture
def loaded(db):
    rows = tape()
    store_candles(rows, now=NOW)
    return demo_market.load({"DEMO": rows}, since=NOW, now=NOW)


class TestLoad:
    def test_fills_every_page_of_the_market(self, loaded):
        assert FeatureVector.objects.filter(symbol="DEMO").count() == 45
        assert MarketRegime.objects.filter(symbol="DEMO").count() == 45
        assert SentimentScore.objects.count() == 25
        assert CandleDay.objects.count() == 45
        assert FeatureCoverage.objects.get().total_records == 45
        assert {entry.hit_count for entry in ApiCacheEntry.objects.all()} == {2}

    def test_leaves_days_out_of_the_chain_that_its_page_shows_as_a_gap(self, loaded):
        days = set(OnchainMetric.objects.values_list("timestamp__date", flat=True))
        missing = {(NOW - number * DAY).date() for number in range(366)} - days
        assert missing == {(NOW - number * DAY).date() for number in demo_market.AWAY}

    def test_may_be_repeated(self, loaded):
        again = demo_market.load({"DEMO": tape()}, since=NOW, now=NOW)
        assert again == "0 points of other series, 0 vectors, 0 regimes"

    def test_goes_on_where_it_ended_a_day_later(self, loaded):
        rows = [*tape(), tape()[-1]._replace(timestamp=NOW.replace(hour=0))]
        store_candles(rows, now=NOW + DAY)
        again = demo_market.load({"DEMO": rows}, since=NOW, now=NOW + DAY)
        assert again == "5 points of other series, 1 vectors, 1 regimes"

    def test_adds_nothing_where_there_is_no_demo(self, db):
        assert demo_market.load({}, since=NOW, now=NOW).startswith("0 points")
        assert not OnchainMetric.objects.exists()
