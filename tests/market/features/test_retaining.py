"""Features that leave for an archive and come back: the lineage follows, nothing is built again."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from django.db import connection, transaction

from apps.market.choices import FeatureOrigin
from apps.market.domain.features.columns import NUMERIC
from apps.market.models import FeatureSeries, FeatureVector, FeatureVersion
from apps.market.services.features.lineage import due_series
from apps.market.services.features.planning import plan_build
from apps.market.services.features.rebuilding import rebuild_series
from apps.market.services.features.reported import store_reported
from apps.market.services.features.retaining import MissingVersion, retained
from apps.market.services.features.stepping import advance_series
from apps.market.services.features.verifying import verify_series
from apps.market.services.features.versions import ensure_versions
from tests.market.features_services.series import (
    HOUR,
    NOW,
    START,
    expected,
    series_of,
    store,
    stored,
)

pytestmark = pytest.mark.django_db
# But for the one that Django sets itself.
FIELDS = [
    field.attname for field in FeatureVector._meta.concrete_fields if field.name != "updated_at"
]


def leave(rows):
    """Have rows leave as a run of retention does; return them as an archive holds them."""
    kept = list(rows.order_by("timestamp", "pk").values(*FIELDS))
    keys = [row["id"] for row in kept]
    with transaction.atomic(), retained(keys), connection.cursor() as cursor:
        cursor.execute("DELETE FROM feature_engineered_data WHERE id = ANY(%s)", [keys])
    return kept


def come_back(kept):
    """Have rows come back as a restore does: what stands there is left alone."""
    with transaction.atomic(), retained([row["id"] for row in kept]):
        FeatureVector.objects.bulk_create(
            [FeatureVector(**row) for row in kept], ignore_conflicts=True
        )


def before(number, symbol="AAA"):
    return FeatureVector.objects.filter(symbol=symbol, timestamp__lt=START + number * HOUR)


def standing(symbol="AAA"):
    one = FeatureSeries.objects.get(symbol=symbol)
    return (one.rows, one.rsi_rows, one.ma_rows, one.first_timestamp, one.last_timestamp)


def told_by_rows(symbol="AAA"):
    """What the rows themselves say, counted by hand."""
    rows = list(
        FeatureVector.objects.filter(symbol=symbol)
        .order_by("timestamp")
        .values_list("timestamp", "rsi_1d", "price_ma_short")
    )
    return (
        len(rows),
        sum(rsi is not None for _, rsi, _ in rows),
        sum(average is not None for _, _, average in rows),
        rows[0][0],
        rows[-1][0],
    )


@pytest.fixture
def built():
    """Two symbols with sixty candles and their features."""
    ensure_versions()
    for symbol in ("AAA", "BBB"):
        store(*range(60), symbol=symbol)
    plan_build(now=NOW)
    rebuild_series(list(FeatureSeries.objects.values_list("pk", flat=True)), now=NOW)
    # What was planned is done: only what comes from here on is planned.
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM execution_steps")
        cursor.execute("DELETE FROM execution_logs")


class TestComputedFeatures:
    def test_leave_their_series_with_the_counts_of_its_rows(self, built):
        leave(before(40))

        assert standing() == told_by_rows()
        assert standing()[3] == START + 40 * HOUR
        assert standing("BBB") == told_by_rows("BBB")

    def test_of_two_symbols_may_leave_together(self, built):
        leave(FeatureVector.objects.filter(timestamp__lt=START + 10 * HOUR))

        assert standing() == told_by_rows()
        assert standing("BBB") == told_by_rows("BBB")

    def test_are_found_sound_without_those_that_left(self, built):
        leave(before(40))

        assert verify_series(now=NOW) == 0

    def test_are_not_built_again(self, built):
        leave(before(40))

        assert due_series(now=NOW) == []
        assert plan_build(now=NOW) is None

    def test_are_not_built_again_when_all_have_left(self, built):
        leave(before(100))

        one = series_of()
        assert (one.rows, one.rsi_rows, one.ma_rows, one.first_timestamp) == (0, 0, 0, None)
        assert one.last_timestamp == START + 59 * HOUR
        assert verify_series(now=NOW) == 0
        assert plan_build(now=NOW) is None

    @pytest.mark.parametrize("left", [40, 60])
    def test_go_on_with_the_next_candle(self, built, left):
        leave(before(left))
        store(60)

        [due] = due_series(now=NOW)
        assert not due.broken
        advance_series([due.id], now=NOW)

        values, times = stored()
        assert times == [START + number * HOUR for number in range(left, 61)]
        np.testing.assert_allclose(values, expected()[:, left:], rtol=1e-9, atol=1e-12)
        assert standing() == told_by_rows()
        assert verify_series(now=NOW) == 0

    def test_come_back_as_they_were(self, built):
        stood, rows = standing(), list(before(100).order_by("pk").values(*FIELDS))

        come_back(leave(before(100)))

        assert standing() == stood
        assert list(before(100).order_by("pk").values(*FIELDS)) == rows
        assert verify_series(now=NOW) == 0
        assert plan_build(now=NOW) is None

    def test_come_back_once_however_often_they_are_told_to(self, built):
        stood = standing()
        kept = leave(before(40))

        come_back(kept)
        come_back(kept)

        assert standing() == stood

    def test_that_were_built_again_meanwhile_are_counted_once(self, built):
        kept = leave(before(40))
        rebuild_series([series_of().pk], now=NOW, anew=True)

        come_back(kept)

        assert standing() == told_by_rows()
        assert verify_series(now=NOW) == 0

    def test_whose_lineage_was_lost_are_built_when_they_come_back(self, built):
        kept = leave(before(40))
        FeatureVector.objects.filter(symbol="AAA").delete()
        series_of().delete()

        come_back(kept)
        assert standing()[:4] == told_by_rows()[:4]
        [due] = due_series(now=NOW)
        rebuild_series([due.id], now=NOW)

        assert standing() == told_by_rows()
        assert standing()[0] == 60

    def test_stand_where_they_stood_when_the_transaction_fails(self, built):
        stood = standing()
        keys = list(before(40).values_list("pk", flat=True))

        def fail():
            with transaction.atomic(), retained(keys):
                before(40).delete()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()

        assert standing() == stood


def report(*numbers, **values):
    rows = []
    for number in numbers:
        known = dict.fromkeys(NUMERIC) | {
            "symbol": "AAA",
            "source": "pipeline",
            "granularity": "1h",
            "feature_version": "10.0",
            "timestamp": START + number * HOUR,
            "date": None,
            "rsi_1d": float(number),
            "price_ma_short": None if number < 3 else 100.0,
        }
        rows.append(SimpleNamespace(**known | values))
    assert not store_reported(rows, now=NOW).failed


@pytest.fixture
def reported(db):
    FeatureVersion.objects.create(version="10.0", origin=FeatureOrigin.REPORTED)
    report(*range(10))


class TestReportedFeatures:
    def test_leave_their_series_with_the_counts_of_its_rows(self, reported):
        leave(before(5))

        assert standing() == told_by_rows()
        one = FeatureSeries.objects.get()
        assert (one.latest_rsi, one.latest_ma) == (9.0, 100.0)

    def test_take_their_lineage_along_when_all_have_left(self, reported):
        leave(before(100))

        assert not FeatureSeries.objects.exists()

    def test_bring_it_back(self, reported):
        stood = standing()

        come_back(leave(before(100)))

        assert standing() == stood
        one = FeatureSeries.objects.get()
        assert (one.latest_rsi, one.latest_ma) == (9.0, 100.0)
        assert one.computed_at is not None

    def test_come_back_part_by_part(self, reported):
        stood = standing()
        older, newer = leave(before(5)), leave(before(100))

        come_back(older)
        assert standing() == told_by_rows()
        come_back(newer)

        assert standing() == stood

    def test_are_taken_in_behind_those_that_left(self, reported):
        leave(before(100))
        report(10, 11)
        assert standing() == told_by_rows()

        leave(before(11))
        report(12)
        assert standing() == told_by_rows()

    def test_do_not_come_back_without_their_version(self, reported):
        kept = leave(before(100))
        FeatureVersion.objects.all().delete()

        with pytest.raises(MissingVersion, match=r"10\.0"):
            come_back(kept)


class TestTheLock:
    @pytest.mark.django_db(transaction=True)
    def test_lets_features_that_are_reported_meanwhile_find_their_lineage_anew(self, reported):
        """Its last rows leave, and it with them, while somebody waits to report the next."""
        keys = list(FeatureVector.objects.values_list("pk", flat=True))
        told = []

        def late():
            try:
                report(20)
                told.append(standing())
            finally:
                connection.close()

        with transaction.atomic(), retained(keys):
            thread = threading.Thread(target=late)
            thread.start()
            wait_for_somebody_who_waits(thread)
            assert not told
            FeatureVector.objects.all().delete()
        thread.join(20)

        assert told == [told_by_rows()]
        assert FeatureVector.objects.count() == 1

    @pytest.mark.django_db(transaction=True)
    def test_keeps_candles_out_until_the_rows_have_left(self, built):
        stored_candles = threading.Event()

        def late():
            try:
                store(60)
                stored_candles.set()
            finally:
                connection.close()

        with transaction.atomic(), retained(list(before(40).values_list("pk", flat=True))):
            thread = threading.Thread(target=late)
            thread.start()
            wait_for_somebody_who_waits(thread)
            assert not stored_candles.is_set()
            before(40).delete()
        thread.join(20)

        assert stored_candles.is_set()
        assert standing() == told_by_rows()


def wait_for_somebody_who_waits(thread):
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with connection.cursor() as cursor:
        for _ in range(1000):
            # Else what was seen first is seen to the end of the transaction.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(f"{waiting} AND datname = current_database()")
            if cursor.fetchone()[0]:
                return
            thread.join(0.01)
    pytest.fail("Nobody waits.")


class TestRetained:
    def test_costs_the_same_number_of_statements_for_many_series(
        self, built, django_assert_num_queries
    ):
        keys = list(FeatureVector.objects.values_list("pk", flat=True))

        # Counted twice, for somebody may write while it waits for two locks; then once more.
        with transaction.atomic(), django_assert_num_queries(6), retained(keys):
            pass

    def test_takes_keys_as_an_archive_names_them(self, built):
        keys = [str(key) for key in before(10).values_list("pk", flat=True)]

        with transaction.atomic(), retained(keys):
            before(10).delete()

        assert standing() == told_by_rows()

    def test_has_nothing_to_do_without_rows(self, db):
        with transaction.atomic(), retained([]):
            pass
