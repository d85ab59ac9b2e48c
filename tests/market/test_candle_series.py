"""The row that stands behind all candles of a series, and what it says of the past."""

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction

from apps.market.domain.candles import CandleRow
from apps.market.models import Candle, CandleSeries, FeatureSeries, FeatureVersion
from apps.market.services.candle_series import hold_series
from apps.market.services.candles import store_candles

START = datetime(2026, 3, 2, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def candle(place, price="100", symbol="BTC/USD"):
    values = [Decimal(price)] * 4
    return CandleRow(symbol, "venue", "1h", START + place * HOUR, *values, Decimal(5))


def store(*rows):
    return store_candles(rows, now=NOW)


@pytest.fixture
def looked_at(db):
    """A series of ten candles that was checked and computed to its end."""
    store(*(candle(place) for place in range(10)))
    CandleSeries.objects.update(checked_until=START + 10 * HOUR)
    version = FeatureVersion.objects.create(version="9.0", origin="computed")
    FeatureSeries.objects.create(
        symbol="BTC/USD",
        source="venue",
        granularity="1h",
        feature_version=version,
        last_timestamp=START + 9 * HOUR,
    )


def noted():
    """What is to be looked at once more: by the check, and by the features."""
    series, features = CandleSeries.objects.get(), FeatureSeries.objects.get()
    return series.recheck_from, features.changed_from


class TestBounds:
    def test_are_those_of_what_is_stored(self, db):
        store(candle(5), candle(3))
        series = CandleSeries.objects.get()
        assert (series.first_timestamp, series.last_timestamp) == (
            START + 3 * HOUR,
            START + 5 * HOUR,
        )

    def test_widen_to_both_sides_and_never_narrow(self, db):
        store(candle(5))
        store(candle(9))
        store(candle(1))
        store(candle(4))
        series = CandleSeries.objects.get()
        assert (series.first_timestamp, series.last_timestamp) == (
            START + HOUR,
            START + 9 * HOUR,
        )

    def test_belong_to_each_series_of_a_batch(self, db):
        store(candle(0), candle(1, symbol="ETH/USD"), candle(2, symbol="ETH/USD"))
        found = CandleSeries.objects.values_list("symbol", "first_timestamp", "last_timestamp")
        assert list(found) == [
            ("BTC/USD", START, START),
            ("ETH/USD", START + HOUR, START + 2 * HOUR),
        ]

    def test_know_nothing_of_refused_candles(self, db):
        store(candle(0), candle(3, price="-1"))
        assert CandleSeries.objects.get().last_timestamp == START

    def test_are_not_made_when_nothing_is_stored(self, db):
        store(candle(3, price="-1"))
        assert not CandleSeries.objects.exists()


class TestThePast:
    def test_is_left_alone_by_new_candles(self, looked_at):
        store(candle(10), candle(11))
        assert noted() == (None, None)

    def test_changes_with_a_candle_that_comes_late(self, looked_at):
        Candle.objects.filter(timestamp=START + 4 * HOUR).delete()
        store(candle(4), candle(10))
        assert noted() == (START + 4 * HOUR, START + 4 * HOUR)

    def test_changes_with_a_candle_that_is_replaced(self, looked_at):
        store(candle(7, price="101"), candle(10))
        assert noted() == (START + 7 * HOUR, START + 7 * HOUR)

    def test_does_not_change_with_a_candle_that_is_told_again(self, looked_at):
        store(candle(7), candle(9), candle(10))
        assert noted() == (None, None)

    def test_keeps_the_earliest_of_several_changes(self, looked_at):
        store(candle(5, price="101"))
        store(candle(3, price="101"))
        store(candle(8, price="101"))
        assert noted() == (START + 3 * HOUR, START + 3 * HOUR)

    def test_of_other_series_is_left_alone(self, looked_at):
        store(candle(3, symbol="ETH/USD"))
        assert CandleSeries.objects.get(symbol="BTC/USD").recheck_from is None

    def test_of_reported_features_is_nobodys_business_here(self, looked_at):
        FeatureVersion.objects.update(origin="reported")
        store(candle(3, price="101"))
        assert noted() == (START + 3 * HOUR, None)


class TestTheLock:
    @pytest.mark.django_db(transaction=True)
    def test_keeps_candles_out_while_somebody_computes(self):
        store(candle(0))
        stored = threading.Event()

        def late():
            try:
                store(candle(1))
                stored.set()
            finally:
                connection.close()

        with transaction.atomic():
            hold_series([candle(0)])
            thread = threading.Thread(target=late)
            thread.start()
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            with connection.cursor() as cursor:
                for _ in range(1000):
                    cursor.execute(f"{waiting} AND datname = current_database()")
                    if cursor.fetchone()[0]:
                        break
                    thread.join(0.01)
            assert not stored.is_set()
        thread.join(20)
        assert stored.is_set()
        assert Candle.objects.count() == 2
