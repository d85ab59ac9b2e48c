"""Features that pipelines report under versions of their own."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from apps.market.choices import FeatureOrigin
from apps.market.domain.features.columns import INTEGERS, NUMERIC
from apps.market.models import FeatureSeries, FeatureVector, FeatureVersion
from apps.market.services.features import reported
from apps.market.services.features.reported import store_reported
from tests.market.features_services.series import HOUR, NOW, START

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def versions(db):
    FeatureVersion.objects.create(version="10.0")
    FeatureVersion.objects.create(version="3.1", origin=FeatureOrigin.COMPUTED)


def row(number=0, **values):
    numbers = {name: 1 if name in INTEGERS else number + 0.5 for name in NUMERIC}
    known = {
        "symbol": "AAA",
        "source": "pipeline",
        "granularity": "1h",
        "feature_version": "10.0",
        "timestamp": START + number * HOUR,
        "date": "2026-01-05",
    }
    return SimpleNamespace(**known | numbers | values)


def send(*rows):
    return store_reported(rows, now=NOW)


def lineage(symbol="AAA"):
    one = FeatureSeries.objects.get(symbol=symbol)
    return (one.rows, one.rsi_rows, one.ma_rows)


class TestStoreReported:
    def test_stores_every_column(self):
        assert send(row(0), row(1, rsi_1d=None, hour=None, date=None)).created == 2

        first, second = FeatureVector.objects.order_by("timestamp")
        assert all(getattr(first, name) == getattr(row(0), name) for name in NUMERIC)
        assert (first.timestamp, first.date) == (START, "2026-01-05")
        assert (second.rsi_1d, second.hour, second.date) == (None, None, None)

    def test_keeps_the_moment_to_the_microsecond(self):
        moment = START + timedelta(microseconds=123_457)

        send(row(timestamp=moment))

        assert FeatureVector.objects.get().timestamp == moment

    def test_lets_a_row_take_the_place_of_the_one_before(self):
        send(row(0), row(1))

        outcome = send(row(0), row(1, macd=7.0), row(2))

        assert (outcome.created, outcome.unchanged, outcome.replaced) == (1, 1, 1)
        assert FeatureVector.objects.get(timestamp=START + HOUR).macd == 7.0

    def test_takes_the_last_of_a_key_that_comes_twice(self):
        outcome = send(row(0), row(0, macd=7.0))

        assert (outcome.created, outcome.replaced) == (1, 1)
        assert FeatureVector.objects.get().macd == 7.0

    def test_stores_large_batches_in_slices(self, monkeypatch):
        monkeypatch.setattr(reported, "SLICE_ROWS", 2)
        send(row(3), row(4, macd=7.0))

        # Out of order, one slice of rows that are new, one of rows that are not.
        outcome = send(row(4), row(3), row(2), row(1), row(5))

        assert (outcome.created, outcome.unchanged, outcome.replaced) == (3, 1, 1)
        found = {result.index: result.status.value for result in outcome.results}
        assert found == {0: "replaced", 1: "unchanged"}
        stored = FeatureVector.objects.order_by("timestamp").values_list("macd", flat=True)
        assert list(stored) == [1.5, 2.5, 3.5, 4.5, 5.5]
        assert lineage() == (5, 5, 5)

    def test_names_rows_of_a_version_that_nobody_registered(self):
        outcome = send(row(0), row(1, feature_version="4.0"))

        assert (outcome.created, outcome.failed) == (1, 1)
        [result] = outcome.results
        [error] = result.errors
        assert (result.index, error.pointer, error.code) == (
            1,
            "/feature_version",
            "unknown_version",
        )

    def test_takes_no_rows_of_a_version_that_is_computed_here(self):
        [result] = send(row(0, feature_version="3.1")).results

        assert result.errors[0].code == "computed_here"
        assert not FeatureVector.objects.exists()

    @pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
    def test_names_what_is_not_finite(self, value):
        outcome = send(row(0), row(1, macd=value, rsi_1d=None), row(2, rsi_1d=None))

        assert (outcome.created, outcome.failed) == (2, 1)
        [error] = outcome.results[0].errors
        assert (error.pointer, error.code) == ("/macd", "not_finite")

    def test_names_what_should_be_whole(self):
        [result] = send(row(0, hour=1.5)).results

        assert (result.errors[0].pointer, result.errors[0].code) == ("/hour", "not_an_integer")

    def test_names_a_time_in_the_future(self):
        [result] = send(row(0, timestamp=NOW + HOUR)).results

        assert result.errors[0].code == "in_future"

    def test_takes_nothing(self):
        assert send().created == 0


class TestLineage:
    def test_counts_what_is_stored(self):
        send(row(0), row(1, rsi_1d=None), row(2, price_ma_short=None), row(0, symbol="BBB"))

        assert lineage("AAA") == (3, 2, 2)
        assert lineage("BBB") == (1, 1, 1)
        one = FeatureSeries.objects.get(symbol="AAA")
        assert (one.first_timestamp, one.last_timestamp) == (START, START + 2 * HOUR)
        assert (one.latest_rsi, one.latest_ma) == (2.5, None)

    def test_counts_what_was_replaced_once(self):
        send(row(0), row(1))

        send(row(1, rsi_1d=None), row(2), row(-1))

        assert lineage() == (4, 3, 4)
        one = FeatureSeries.objects.get()
        assert (one.first_timestamp, one.latest_rsi) == (START - HOUR, 2.5)

    def test_keeps_the_newest_where_older_rows_come_late(self):
        send(row(5))

        send(row(1))

        assert FeatureSeries.objects.get().latest_rsi == 5.5
        assert lineage() == (2, 2, 2)

    def test_is_not_made_for_rows_that_failed(self):
        send(row(0, feature_version="4.0"))

        assert not FeatureSeries.objects.exists()
