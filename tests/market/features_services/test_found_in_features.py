"""What was found by using features wrongly: candles that go, prices at the edge, busy series."""

from datetime import timedelta
from decimal import Decimal

import pglock
import pytest
from django.db import transaction
from django.db.models import Count

from apps.executions.choices import ExecutionStatus, StepStatus
from apps.executions.models import Execution
from apps.market import tasks
from apps.market.domain.candles import CandleRow
from apps.market.models import Candle, FeatureSeries, FeatureVector, FeatureVersion
from apps.market.services.candles import store_candles
from apps.market.services.coverage import request_refresh
from apps.market.services.features import building
from apps.market.services.features.building import plan_build
from apps.market.services.features.lineage import due_series, ensure_series
from apps.market.services.features.rebuilding import rebuild_series
from apps.market.services.features.stepping import advance_series
from apps.market.services.features.verifying import verify_series
from apps.market.services.features.versions import ensure_versions
from config.market_readings import MarketReadings
from tests.market.features_services.series import (
    HOUR,
    NOW,
    START,
    assert_as_computed,
    series_of,
    store,
    stored,
)
from tests.threads import at_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def forty():
    """Forty candles, built."""
    ensure_versions()
    store(*range(40))
    ensure_series(now=NOW)
    build()


def build():
    return rebuild_series(due(), now=NOW)


def due():
    return [one.id for one in due_series(now=NOW)]


def behind():
    """Return how many series the desk would call behind, long after their last candle."""
    readings = MarketReadings()
    readings.at = NOW + timedelta(days=3_650)
    return readings.features.behind


class TestCandlesThatWereDeleted:
    """The bounds of their series stay as they were; what is due is what is there."""

    def test_at_the_end_leave_nothing_due_for_ever(self, forty):
        Candle.objects.filter(timestamp__gte=START + 38 * HOUR).delete()

        assert verify_series(now=NOW) == 1
        build()

        assert series_of().last_timestamp == START + 37 * HOUR
        assert due() == []
        assert plan_build(now=NOW) is None
        assert behind() == 0
        assert_as_computed()

    def test_before_they_were_built_are_not_waited_for(self, forty):
        store(40)
        assert behind() == 1
        Candle.objects.filter(timestamp=START + 40 * HOUR).delete()

        assert due() == []
        assert behind() == 0
        store(41)
        assert advance_series(due(), now=NOW).rows == 1
        assert_as_computed()

    def test_all_of_them_leave_a_series_that_begins_again(self, forty):
        Candle.objects.all().delete()
        verify_series(now=NOW)
        build()
        assert (due(), behind()) == ([], 0)

        store(3)

        assert build().rows == 1
        assert due() == []
        assert_as_computed()


class TestRowsThatWereKeptLongEnough:
    """Old rows may go while their candles stay, if the lineage says where the rest begins."""

    def forget(self, moment):
        """Delete the rows before a moment, as whoever keeps them so long is to do it."""
        FeatureVector.objects.filter(timestamp__lt=moment).delete()
        left = FeatureVector.objects.aggregate(
            rows=Count("*"), rsi_rows=Count("rsi_1d"), ma_rows=Count("price_ma_short")
        )
        first = FeatureVector.objects.order_by("timestamp").values_list("timestamp", flat=True)
        FeatureSeries.objects.update(first_timestamp=first.first(), **left)

    def test_are_not_built_again(self, forty):
        self.forget(START + 30 * HOUR)

        assert verify_series(now=NOW) == 0
        store(40)
        assert advance_series(due(), now=NOW).rows == 1
        assert verify_series(now=NOW) == 0
        assert series_of().rows == 11

    def test_do_not_hide_those_that_were_lost_behind_them(self, forty):
        self.forget(START + 30 * HOUR)
        FeatureVector.objects.filter(timestamp=START + 33 * HOUR).delete()

        assert verify_series(now=NOW) == 1
        build()

        assert stored()[1] == [START + number * HOUR for number in range(30, 40)]
        assert verify_series(now=NOW) == 0

    def test_all_of_them_go_on_with_the_next_candle(self, forty):
        self.forget(NOW)
        assert verify_series(now=NOW) == 0
        assert due() == []

        store(40)

        assert advance_series(due(), now=NOW).rows == 1
        assert series_of().first_timestamp == START + 40 * HOUR
        assert verify_series(now=NOW) == 0


class TestGranularityThatIsNoLongerBuilt:
    def test_leaves_its_rows_as_they_are_and_nobody_calls_them_behind(self, forty):
        FeatureVersion.objects.filter(version="3.1").update(granularities=["1d"])
        store(40)
        FeatureVector.objects.filter(timestamp=START).delete()

        assert (due(), behind(), verify_series(now=NOW)) == ([], 0, 0)
        assert series_of().rows == 40

        FeatureVersion.objects.filter(version="3.1").update(granularities=["1d", "1h"])

        assert verify_series(now=NOW) == 1
        build()
        assert_as_computed()


class TestPricesAtTheEdge:
    LOW, HIGH = Decimal("0.000000000000000001"), Decimal("99999999999999999999")

    def edge(self, number, *, falls):
        first, last = (self.HIGH, self.LOW) if falls else (self.LOW, self.HIGH)
        prices = (first, self.HIGH, self.LOW, last, self.HIGH if falls else Decimal(0))
        return CandleRow("EDGE", "test", "1h", START + number * HOUR, *prices)

    def test_that_lose_more_than_a_float_can_tell_have_features(self):
        ensure_versions()
        rows = [self.edge(number, falls=number % 2) for number in range(60)]
        assert not store_candles(rows, now=NOW).failed
        ensure_series(now=NOW)

        assert not build().failed
        assert_as_computed("EDGE")

        for number in (60, 61):
            store_candles([self.edge(number, falls=number % 2)], now=NOW)
            assert advance_series(due(), now=NOW).rows == 1
        assert_as_computed("EDGE")
        fallen = FeatureVector.objects.get(timestamp=START + 61 * HOUR)
        assert (fallen.returns, fallen.log_returns) == (-1, None)


@pytest.mark.django_db(transaction=True)
class TestBusy:
    def test_series_are_looked_at_again_by_the_clock_and_not_at_once(self, monkeypatch):
        ensure_versions()
        store(*range(30))
        woken = []
        monkeypatch.setattr(tasks, "wake", woken.append)

        with transaction.atomic():
            store(30)
            [done] = at_once([tasks.build_features])

        assert done == 0
        # For the step alone, and not for another look.
        assert woken == [building.RUNNER]
        assert tasks.build_features() == 1
        assert Execution.objects.count() == 2
        assert_as_computed()

    def test_refresh_asked_for_takes_its_turn_behind_the_one_under_way(self):
        run = request_refresh(by="ada", now=NOW)

        with transaction.atomic():
            pglock.advisory("market.coverage", xact=True).acquire()
            [done] = at_once([tasks.run_coverage_refreshes])

        assert done == 0
        assert [step.status for step in run.steps.all()] == [StepStatus.PENDING]
        assert tasks.run_coverage_refreshes() == 1
        run.refresh_from_db()
        assert run.status == ExecutionStatus.COMPLETED
