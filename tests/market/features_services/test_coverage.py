"""The summary of features by symbol."""

from datetime import timedelta
from types import SimpleNamespace

import pglock
import pytest
from django.db import connection, transaction
from django.utils import timezone

from apps.executions.choices import ExecutionStatus, StepStatus
from apps.market import tasks
from apps.market.domain.features.columns import NUMERIC
from apps.market.models import FeatureCoverage, FeatureVector, FeatureVersion
from apps.market.services import coverage
from apps.market.services.coverage import refresh_coverage, request_refresh
from apps.market.services.features.reported import store_reported
from tests.threads import at_once

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def now():
    return timezone.now().replace(minute=0, second=0, microsecond=0)


@pytest.fixture(autouse=True)
def versions(db):
    for version in ("2.0", "9.0", "10.0"):
        FeatureVersion.objects.create(version=version)


def store(*rows, now):
    """Store rows (symbol, hours ago, version, RSI, average), of whichever granularity is added."""
    sent = []
    for symbol, age, version, rsi, average, *granularity in rows:
        values = dict.fromkeys([*NUMERIC, "date"]) | {"rsi_1d": rsi, "price_ma_short": average}
        sent.append(
            SimpleNamespace(
                symbol=symbol,
                source="test",
                granularity=granularity[0] if granularity else "1h",
                feature_version=version,
                timestamp=now - age * HOUR,
                **values,
            )
        )
    assert store_reported(sent, now=now).created == len(rows)


def of(symbol):
    return FeatureCoverage.objects.get(symbol=symbol)


class TestRefreshCoverage:
    def test_is_what_a_plain_count_says(self, now):
        rows = [
            ("AAA", age, "9.0", 50.0 + age if age % 3 else None, 7.0 if age % 5 else None)
            for age in range(1, 30)
        ]
        store(*rows, ("BBB", 4, "9.0", None, 1.0), now=now)

        found = refresh_coverage(now=now)

        assert (found.done, found.symbols) == (True, 2)
        one = of("AAA")
        stored = FeatureVector.objects.filter(symbol="AAA")
        assert one.total_records == stored.count()
        assert one.rsi_coverage == stored.filter(rsi_1d__isnull=False).count() / stored.count()
        assert one.ma_coverage == stored.exclude(price_ma_short=None).count() / stored.count()
        assert (one.latest_timestamp, one.latest_rsi, one.latest_ma) == (now - HOUR, 51.0, 7.0)
        assert (of("BBB").rsi_coverage, of("BBB").ma_coverage) == (0.0, 1.0)

    def test_compares_versions_as_versions(self, now):
        store(("AAA", 2, "9.0", 1.0, 1.0), ("AAA", 5, "10.0", 2.0, 2.0), now=now)

        refresh_coverage(now=now)

        assert of("AAA").latest_version == "10.0"
        # The newest row is that of the other one.
        assert of("AAA").latest_rsi == 1.0

    def test_takes_the_highest_version_and_the_finest_width_of_the_newest_rows(self, now):
        store(
            ("AAA", 2, "9.0", 1.0, 1.0),
            ("AAA", 2, "10.0", 2.0, 2.0, "1d"),
            ("AAA", 2, "10.0", 3.0, 3.0, "1h"),
            now=now,
        )

        refresh_coverage(now=now)

        assert of("AAA").latest_rsi == 3.0

    def test_leaves_out_what_is_older_than_ninety_days(self, now):
        store(
            ("AAA", 90 * 24 + 2, "10.0", 1.0, 1.0),
            ("AAA", 1, "9.0", None, 1.0),
            ("OLD", 100 * 24, "9.0", 1.0, 1.0),
            now=now,
        )

        refresh_coverage(now=now)

        one = of("AAA")
        assert (one.total_records, one.latest_version, one.rsi_coverage) == (1, "9.0", 0.0)
        assert not FeatureCoverage.objects.filter(symbol="OLD").exists()

    def test_says_when_it_was_made(self, now):
        store(("AAA", 1, "9.0", 1.0, 1.0), now=now)
        refresh_coverage(now=now)
        before = of("AAA").refreshed_at

        refresh_coverage(now=now)

        assert of("AAA").refreshed_at > before

    def test_fills_a_view_that_was_never_filled(self, now):
        with connection.cursor() as cursor:
            cursor.execute(f"REFRESH MATERIALIZED VIEW {coverage.VIEW} WITH NO DATA")
        store(("AAA", 1, "9.0", 1.0, 1.0), now=now)

        assert refresh_coverage(now=now).symbols == 1


@pytest.mark.django_db(transaction=True)
class TestManyAtOnce:
    def test_one_refreshes_and_the_others_leave_it(self, now):
        with transaction.atomic():
            pglock.advisory("market.coverage", xact=True).acquire()

            [found] = at_once([lambda: refresh_coverage(now=now)])

        assert not found.done


class TestRequestRefresh:
    def test_is_a_run_that_says_how_long_it_took(self, now):
        store(("AAA", 1, "9.0", 1.0, 1.0), now=now)
        run = request_refresh(by="ada", now=now)

        assert tasks.run_coverage_refreshes() == 1

        run.refresh_from_db()
        [step] = run.steps.all()
        assert (run.status, run.triggered_by) == (ExecutionStatus.COMPLETED, "ada")
        assert step.status == StepStatus.SUCCESS
        assert step.result_data["symbols"] == 1
        assert step.result_data["seconds"] > 0

    def test_asked_for_twice_it_is_done_once(self, now):
        assert request_refresh(by="ada", now=now) == request_refresh(by="bob", now=now)
