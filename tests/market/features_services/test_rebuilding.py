"""Features of whole series: computed, kept right when candles change, whoever stops in between."""

import pytest

from apps.market.models import Candle, FeatureSeries, FeatureVector, FeatureVersion, Instrument
from apps.market.services.features import rebuilding
from apps.market.services.features.lineage import due_series, ensure_series
from apps.market.services.features.rebuilding import rebuild_series
from apps.market.services.features.stepping import advance_series
from apps.market.services.features.verifying import verify_series
from apps.market.services.features.versions import ensure_versions
from tests.market.features_services.series import (
    HOUR,
    NOW,
    START,
    assert_as_computed,
    series_of,
    store,
    stored,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def versions():
    ensure_versions()


@pytest.fixture
def forty(versions):
    """Forty candles, built."""
    store(*range(40))
    ensure_series(now=NOW)
    assert build().rows == 40


def build(**options):
    return rebuild_series(due(), now=NOW, **options)


def due():
    return [one.id for one in due_series(now=NOW)]


class TestEnsureVersions:
    def test_makes_the_original_and_the_one_that_is_kept_up_to_date(self, versions):
        found = dict(FeatureVersion.objects.values_list("version", "built"))

        assert found == {"3.0": False, "3.1": True}
        assert FeatureVersion.objects.get(version="3.1").is_causal
        assert not FeatureVersion.objects.get(version="3.0").is_causal

    def test_leaves_what_staff_have_changed(self, versions):
        FeatureVersion.objects.filter(version="3.1").update(granularities=["5m"], built=False)

        ensure_versions()

        kept = FeatureVersion.objects.get(version="3.1")
        assert (kept.granularities, kept.built) == (["5m"], False)

    def test_brings_a_changed_definition_up_to_date_so_that_its_series_are_due(self, forty):
        FeatureVersion.objects.filter(version="3.1").update(definition_hash="0" * 64)
        FeatureSeries.objects.update(definition_hash="0" * 64)
        assert due() == []

        ensure_versions()

        assert due() == [series_of().pk]


class TestEnsureSeries:
    def test_makes_a_row_for_each_series_of_the_granularities_of_a_built_version(self, versions):
        store(0)
        store(0, symbol="BBB", granularity="1d")
        FeatureVersion.objects.filter(version="3.1").update(granularities=["1h"])

        assert ensure_series(now=NOW) == 1
        assert ensure_series(now=NOW) == 0
        assert series_of("AAA").rows == 0

    def test_makes_those_of_a_version_that_is_named(self, versions):
        store(0)

        assert ensure_series(now=NOW, version="3.0") == 1


class TestRebuildSeries:
    def test_writes_what_a_computation_gives(self, forty):
        assert_as_computed()

    def test_finds_nothing_to_do_where_nothing_changed(self, forty):
        assert due() == []
        assert rebuild_series([series_of().pk], now=NOW).rows == 0

    def test_knows_days_and_hours_of_the_instruments_zone(self, forty):
        Instrument.objects.filter(symbol="AAA").update(timezone="Asia/Tokyo")

        assert build().rows == 40

        assert_as_computed(zone="Asia/Tokyo")
        first, last = (
            FeatureVector.objects.order_by("timestamp")[0],
            FeatureVector.objects.latest("timestamp"),
        )
        assert (first.hour, first.date, last.date) == (9, "2026-01-05", "2026-01-07")

    def test_takes_new_york_for_equities(self, forty):
        Instrument.objects.filter(symbol="AAA").update(asset_class="equity")

        build()

        assert_as_computed(zone="America/New_York")
        assert series_of().timezone == "America/New_York"

    def test_takes_utc_for_days_whose_date_is_that_of_their_start(self, versions):
        store(*range(5), granularity="1d")
        Instrument.objects.filter(symbol="AAA").update(asset_class="equity")
        ensure_series(now=NOW)

        build()

        assert_as_computed(zone="UTC")
        assert FeatureVector.objects.earliest("timestamp").date == "2026-01-05"

    def test_goes_on_from_a_candle_that_came_late(self, versions):
        store(*range(20), *range(22, 50))
        ensure_series(now=NOW)
        build()
        before = dict(FeatureVector.objects.values_list("timestamp", "id"))
        store(20, 21)
        assert series_of().changed_from == START + 20 * HOUR

        assert build().rows == 30

        assert_as_computed()
        after = dict(FeatureVector.objects.values_list("timestamp", "id"))
        kept = {moment for moment in before if before[moment] == after[moment]}
        assert kept == {START + number * HOUR for number in range(20)}

    def test_goes_on_from_a_candle_that_was_replaced(self, forty):
        store(10, seed=1)

        assert build().rows == 30

        assert_as_computed()

    def test_writes_all_where_a_candle_came_before_the_first(self, versions):
        store(*range(5, 30))
        ensure_series(now=NOW)
        build()
        store(2)

        assert build().rows == 26

        assert_as_computed()

    def test_does_nothing_anew_when_the_same_candle_comes_again(self, forty):
        store(10)

        assert due() == []

    def test_writes_all_anew_when_that_is_wanted(self, forty):
        FeatureVector.objects.update(macd=-1)

        assert rebuild_series([series_of().pk], now=NOW, anew=True).rows == 40

        assert_as_computed()

    def test_takes_rows_away_whose_candles_are_gone(self, forty):
        Candle.objects.filter(timestamp__gte=START + 30 * HOUR).delete()
        FeatureSeries.objects.update(changed_from=START + 25 * HOUR)

        build()

        assert_as_computed()
        assert series_of().rows == 30

    def test_is_left_with_nothing_where_all_candles_are_gone(self, forty):
        Candle.objects.all().delete()
        FeatureSeries.objects.update(changed_from=START)

        build()

        left = series_of()
        assert (left.rows, left.rsi_rows, left.last_timestamp) == (0, 0, None)
        assert not FeatureVector.objects.exists()
        assert due() == []

    def test_computes_the_original_definition_as_a_whole(self, versions):
        store(*range(30))
        ensure_series(now=NOW, version="3.0")
        ids = [one.id for one in due_series(now=NOW, version="3.0")]

        assert rebuild_series(ids, now=NOW).rows == 30

        assert_as_computed(version="3.0")
        assert series_of(version="3.0").state is None

    def test_computes_many_series_in_one_transaction(self, versions):
        for symbol in ("AAA", "BBB", "CCC"):
            store(*range(15), symbol=symbol)
        ensure_series(now=NOW)

        outcome = build()

        assert (outcome.series, outcome.rows) == (3, 45)
        for symbol in ("AAA", "BBB", "CCC"):
            assert_as_computed(symbol)


class TestLongSeries:
    @pytest.fixture(autouse=True)
    def short_blocks(self, monkeypatch):
        monkeypatch.setattr(rebuilding, "BLOCK_ROWS", 10)

    def test_are_computed_block_by_block(self, forty):
        assert_as_computed()

    def test_write_only_what_follows_a_changed_candle(self, forty):
        store(25, seed=1)

        assert build().rows == 15

        assert_as_computed()

    def test_go_on_where_they_were_killed(self, versions):
        store(*range(35))
        ensure_series(now=NOW)

        with pytest.raises(KeyboardInterrupt):
            build(told=killed_after(2))

        assert series_of().rows == 20
        assert build().rows == 15
        assert_as_computed()

    def test_go_on_where_they_were_killed_while_old_rows_stand(self, forty):
        store(3, seed=1)

        # The first block is written from the changed candle on.
        with pytest.raises(KeyboardInterrupt):
            build(told=killed_after(2))

        half = series_of()
        assert (half.rows, half.last_timestamp) == (40, START + 39 * HOUR)
        assert half.changed_from > START + 19 * HOUR
        assert build().rows == 20
        assert_as_computed()

    def test_begin_again_when_a_candle_comes_behind_them_meanwhile(self, forty):
        FeatureSeries.objects.update(changed_from=START)
        seen = []

        def told(outcome):
            seen.append(outcome.rows)
            if len(seen) == 3:
                store(12, seed=1)

        build(told=told)

        # Blocks 1 to 3, then from the candle that came: its block and the two behind it.
        assert seen[:3] == [10, 20, 30]
        assert seen[-1] > 40
        assert_as_computed()

    def test_take_up_another_definition_block_by_block(self, forty):
        FeatureSeries.objects.update(definition_hash="0" * 64)
        FeatureVector.objects.update(macd=-1)

        with pytest.raises(KeyboardInterrupt):
            build(told=killed_after(1))
        assert build().rows == 30

        assert_as_computed()


def killed_after(turns):
    """Return what is told of progress and kills after so many transactions."""
    seen = []

    def told(outcome):
        seen.append(outcome)
        if len(seen) == turns:
            raise KeyboardInterrupt

    return told


class TestFailures:
    def test_one_series_that_fails_does_not_stop_the_others(self, versions, monkeypatch):
        for symbol in ("AAA", "BBB", "CCC"):
            store(*range(15), symbol=symbol)
        ensure_series(now=NOW)
        Instrument.objects.filter(symbol="BBB").update(timezone="Nowhere/Land")

        outcome = build()

        assert (outcome.series, outcome.rows) == (2, 30)
        assert list(outcome.failed) == ["BBB test 1h 3.1"]
        assert_as_computed("AAA")
        assert_as_computed("CCC")
        failed = series_of("BBB")
        assert "Nowhere/Land" in failed.error
        assert failed.rows == 0

    def test_is_tried_again_later_and_later(self, versions):
        store(*range(15))
        ensure_series(now=NOW)
        Instrument.objects.filter(symbol="AAA").update(timezone="Nowhere/Land")
        waits = []
        for _ in range(3):
            rebuild_series([series_of().pk], now=NOW)
            waits.append(series_of().retry_at - NOW)
        assert due() == []

        Instrument.objects.filter(symbol="AAA").update(timezone="")
        [one] = due_series(now=NOW + waits[-1])
        rebuild_series([one.id], now=NOW)

        assert waits == sorted(set(waits))
        well = series_of()
        assert (well.error, well.failures, well.retry_at) == ("", 0, None)

    def test_what_follows_is_refused_alone(self, forty):
        """A candle that no rule of ours would let in fails its own series only."""
        store(*range(40), symbol="BBB")
        ensure_series(now=NOW)
        build()
        store(40)
        store(40, symbol="BBB")
        Candle.objects.filter(symbol="AAA", timestamp=START + 40 * HOUR).update(volume="1e19")
        FeatureSeries.objects.filter(symbol="AAA").update(state=b"damaged")

        outcome = advance_series(due(), now=NOW)

        assert outcome.rows == 2
        assert_as_computed("AAA")
        assert_as_computed("BBB")


class TestVerifySeries:
    def test_finds_nothing_where_all_is_well(self, forty):
        assert verify_series(now=NOW) == 0

    def test_heals_what_did_not_come_through_the_door(self, forty):
        Candle.objects.filter(timestamp=START + 7 * HOUR).delete()

        assert verify_series(now=NOW) == 1
        assert series_of().changed_from == START + 7 * HOUR

        build()
        assert_as_computed()
        assert verify_series(now=NOW) == 0

    def test_heals_rows_that_were_lost(self, forty):
        FeatureVector.objects.filter(timestamp__lt=START + 3 * HOUR).delete()

        assert verify_series(now=NOW) == 1
        build()

        assert_as_computed()

    def test_puts_counts_right(self, forty):
        FeatureSeries.objects.update(rsi_rows=1)

        assert verify_series(now=NOW) == 1

        assert due() == []
        assert_as_computed()


class TestAdvanceSeries:
    def test_gives_what_a_computation_over_all_gives(self, forty):
        store(40)

        outcome = advance_series(due(), now=NOW)

        assert (outcome.series, outcome.rows) == (1, 1)
        assert_as_computed()
        assert due() == []

    def test_goes_on_and_on(self, forty):
        for number in range(40, 80):
            store(number)
            assert advance_series(due(), now=NOW).rows == 1

        assert_as_computed()
        assert series_of().tail_until is not None

    def test_takes_several_candles_of_several_series(self, versions):
        symbols = {"AAA": 1, "BBB": 3, "CCC": 3, "DDD": 0}
        for symbol in symbols:
            store(*range(30), symbol=symbol)
        ensure_series(now=NOW)
        build()
        Instrument.objects.filter(symbol="CCC").update(timezone="Asia/Tokyo")
        build()
        for symbol, count in symbols.items():
            store(*range(30, 30 + count), symbol=symbol)

        outcome = advance_series(due(), now=NOW)

        assert (outcome.series, outcome.rows) == (3, 7)
        for symbol in symbols:
            assert_as_computed(symbol, zone="Asia/Tokyo" if symbol == "CCC" else "UTC")

    def test_takes_many_new_candles_by_the_whole(self, forty):
        store(*range(40, 120))

        assert advance_series(due(), now=NOW).rows == 80

        assert_as_computed()

    def test_leaves_what_must_be_rebuilt(self, forty):
        store(3, seed=1)

        assert advance_series(due(), now=NOW).rows == 0
        assert series_of().changed_from == START + 3 * HOUR

    def test_replaces_rows_that_the_lineage_does_not_know(self, forty):
        store(40)
        FeatureVector.objects.create(
            symbol="AAA", source="test", granularity="1h", feature_version="3.1",
            timestamp=START + 40 * HOUR, rsi_1d=-1,
        )  # fmt: skip

        assert advance_series(due(), now=NOW).rows == 1

        assert_as_computed()

    def test_may_run_twice(self, forty):
        store(40)
        ids = due()

        rows = [advance_series(ids, now=NOW).rows for _ in range(2)]

        assert rows == [1, 0]
        assert stored()[0].shape == (97, 41)
