"""Building features as executions: planned once, done by any worker, seen by staff."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from apps.executions.choices import ExecutionStatus, StepStatus
from apps.executions.models import Execution
from apps.executions.services.work import claim_step
from apps.market import tasks
from apps.market.models import FeatureSeries, FeatureVector, FeatureVersion, Instrument
from apps.market.services.features import building, planning, rebuilding
from apps.market.services.features.building import (
    NotComputedHere,
    NothingToBuild,
    plan_build,
    request_build,
)
from apps.market.services.features.lineage import due_series, ensure_series
from apps.market.services.features.rebuilding import rebuild_series
from apps.market.services.features.stepping import advance_series
from apps.market.services.features.versions import ensure_versions
from apps.shared.errors import Conflict
from tests.market.features_services.series import (
    HOUR,
    NOW,
    START,
    assert_as_computed,
    series_of,
    store,
)
from tests.threads import at_once

pytestmark = pytest.mark.django_db
SYMBOLS = ("AAA", "BBB", "CCC")


@pytest.fixture
def three():
    """Three symbols with thirty candles each, nothing built."""
    ensure_versions()
    for symbol in SYMBOLS:
        store(*range(30), symbol=symbol)


def work():
    return building.work(clock=lambda: NOW, joined=lambda: None)


class TestPlanBuild:
    def test_plans_what_has_no_features_yet(self, three):
        run = plan_build(now=NOW)

        assert run is not None
        assert (run.execution_type, run.status) == ("FEATURE_BUILD", ExecutionStatus.PENDING)
        assert run.metadata == {"series": 3, "symbols": 3}
        assert [step.step_name for step in run.steps.all()] == ["rebuild 1: AAA to CCC"]

    def test_plans_nothing_that_is_under_way(self, three):
        plan_build(now=NOW)

        assert plan_build(now=NOW) is None

        store(*range(5), symbol="DDD")
        second = plan_build(now=NOW)
        assert second is not None
        assert [step.step_name for step in second.steps.all()] == ["rebuild 1: DDD"]

    def test_plans_nothing_where_nothing_is_due(self, three):
        plan_build(now=NOW)
        work()

        assert plan_build(now=NOW) is None

    def test_continues_those_with_new_candles_and_rebuilds_the_others(self, three):
        plan_build(now=NOW)
        work()
        store(30, symbol="AAA")
        store(3, symbol="BBB", seed=1)

        run = plan_build(now=NOW)

        assert run is not None
        names = [step.step_name for step in run.steps.order_by("pk")]
        assert names == ["new candles 1: AAA", "rebuild 1: BBB"]

    def test_splits_by_symbols_and_rows(self, three, monkeypatch):
        monkeypatch.setattr(planning, "BLOCK_ROWS", 70)

        run = plan_build(now=NOW)

        assert run is not None
        names = [step.step_name for step in run.steps.order_by("pk")]
        assert names == ["rebuild 1: AAA to BBB", "rebuild 2: CCC"]

    def test_takes_only_what_is_asked_for(self, three):
        run = plan_build(now=NOW, symbols=["BBB"], granularity="1h", version="3.1")

        assert run is not None
        assert run.symbol == "BBB"
        assert plan_build(now=NOW, symbols=["AAA"], granularity="1d") is None


class TestWork:
    def test_builds_and_says_how_far_it_came(self, three):
        run = plan_build(now=NOW)
        assert run is not None

        assert work() == 1

        run.refresh_from_db()
        assert run.status == ExecutionStatus.COMPLETED
        assert run.current_operation == "3 of 3 series, 90 rows"
        [step] = run.steps.all()
        assert (step.result_data["series"], step.result_data["rows"]) == (3, 90)
        assert series_of().execution_id == run.pk
        for symbol in SYMBOLS:
            assert_as_computed(symbol)

    def test_says_which_series_failed_and_builds_the_others(self, three):
        Instrument.objects.filter(symbol="BBB").update(timezone="Nowhere/Land")
        run = plan_build(now=NOW)
        assert run is not None

        work()

        run.refresh_from_db()
        [step] = run.steps.all()
        assert (step.status, step.reason) == (StepStatus.FAILED, "series_failed")
        assert "BBB" in step.error_message
        assert step.result_data["series"] == 2
        assert plan_build(now=NOW) is None
        again = plan_build(now=NOW + timedelta(minutes=1))
        assert again is not None
        assert again.symbol == "BBB"

    def test_a_step_whose_worker_was_killed_goes_on_with_what_is_left(self, three, monkeypatch):
        monkeypatch.setattr(rebuilding, "BLOCK_ROWS", 10)
        run = plan_build(now=NOW)
        step = claim_step(runner=building.RUNNER, now=NOW, lease=timedelta(minutes=1))
        assert run is not None
        assert step is not None
        monkeypatch.setattr(building, "tell", killed)

        with pytest.raises(KeyboardInterrupt):
            building.built(step, lambda: NOW)

        assert FeatureVector.objects.count() == 30
        assert rebuild_series(step.parameters["series"], now=NOW).rows == 60
        for symbol in SYMBOLS:
            assert_as_computed(symbol)

    def test_a_step_that_takes_long_makes_way_for_others(self, three, monkeypatch):
        monkeypatch.setattr(rebuilding, "BLOCK_ROWS", 10)
        monkeypatch.setattr(building, "STEP_FOR", timedelta(seconds=-1))
        run = plan_build(now=NOW)
        assert run is not None
        step = claim_step(runner=building.RUNNER, now=NOW, lease=timedelta(minutes=1))
        assert step is not None

        building.perform(step, lambda: NOW)

        assert [each.status for each in run.steps.all()] == [StepStatus.PENDING]
        assert FeatureVector.objects.count() == 30

    def test_a_cancelled_run_stops_between_transactions(self, three, monkeypatch):
        monkeypatch.setattr(rebuilding, "BLOCK_ROWS", 10)
        run = plan_build(now=NOW)
        assert run is not None
        step = claim_step(runner=building.RUNNER, now=NOW, lease=timedelta(minutes=1))
        assert step is not None
        Execution.objects.filter(pk=run.pk).update(cancel_requested_at=NOW)

        building.perform(step, lambda: NOW)

        assert [each.status for each in run.steps.all()] == [StepStatus.CANCELLED]
        assert FeatureVector.objects.count() == 30


def killed(*args):
    raise KeyboardInterrupt


class TestRequestBuild:
    def test_writes_all_rows_anew(self, three):
        plan_build(now=NOW)
        work()
        FeatureVector.objects.filter(symbol="AAA").update(macd=-1)

        run = request_build(feature_version="3.1", symbols=["AAA"], by="ada", now=NOW)
        work()

        run.refresh_from_db()
        assert (run.status, run.triggered_by) == (ExecutionStatus.COMPLETED, "ada")
        assert run.current_operation == "1 of 1 series, 30 rows"
        assert_as_computed("AAA")

    def test_builds_a_version_that_is_not_kept_up_to_date(self, three):
        request_build(feature_version="3.0", symbols=["AAA"], by="ada", now=NOW)
        work()

        assert_as_computed("AAA", version="3.0")
        assert not FeatureSeries.objects.filter(symbol="BBB", feature_version="3.0").exists()

    def test_takes_series_by_their_ids(self, three):
        ensure_series(now=NOW)

        run = request_build(feature_version="3.1", series=[series_of().pk], by="ada", now=NOW)

        assert run.symbol == "AAA"

    def test_is_not_planned_twice(self, three):
        request_build(feature_version="3.1", symbols=["AAA"], by="ada", now=NOW)

        with pytest.raises(Conflict):
            request_build(feature_version="3.1", symbols=["AAA"], by="bob", now=NOW)

    def test_refuses_what_cannot_be_built(self, three):
        FeatureVersion.objects.create(version="10.0")

        for version in ("10.0", "4.0"):
            with pytest.raises(NotComputedHere):
                request_build(feature_version=version, by="ada", now=NOW)
        with pytest.raises(NothingToBuild):
            request_build(feature_version="3.1", symbols=["ZZZ"], by="ada", now=NOW)


class TestBuildFeatures:
    def test_the_tick_plans_and_builds(self, three):
        assert tasks.build_features() == 1
        assert tasks.build_features() == 0

        assert FeatureVector.objects.count() == 90

    def test_the_check_finds_nothing_after_it(self, three):
        tasks.build_features()

        assert tasks.verify_features() == 0


class TestCommand:
    def run(self, *arguments):
        out = StringIO()
        call_command("build_features", *arguments, stdout=out, stderr=out)
        return out.getvalue()

    def test_builds_what_is_due(self, three):
        assert "Completed, 1 of 1 series, 30 rows" in self.run("--symbol", "AAA")
        assert "2 of 2 series" in self.run()
        assert self.run() == "Nothing is due.\n"

    def test_writes_a_version_anew(self, three):
        self.run()

        assert "3 of 3 series, 90 rows" in self.run("--version", "3.1", "--anew")

    def test_fails_where_a_series_did(self, three):
        Instrument.objects.filter(symbol="BBB").update(timezone="Nowhere/Land")

        with pytest.raises(CommandError, match="Not everything"):
            self.run()

    def test_wants_a_version_to_write_anew(self, three):
        with pytest.raises(CommandError, match="takes --version"):
            self.run("--anew")

    def test_names_the_versions_there_are(self, three):
        with pytest.raises(CommandError, match=r"known are 3\.0, 3\.1"):
            self.run("--version", "4.0")


@pytest.mark.django_db(transaction=True)
class TestManyAtOnce:
    def test_two_workers_never_write_a_row_twice(self):
        ensure_versions()
        for symbol in SYMBOLS:
            store(*range(30), symbol=symbol)
        ensure_series(now=NOW)
        ids = [one.id for one in due_series(now=NOW)]

        outcomes = at_once([lambda: rebuild_series(ids, now=NOW)] * 2)

        assert sum(each.rows for each in outcomes) == 90
        for symbol in SYMBOLS:
            assert_as_computed(symbol)
            store(30, symbol=symbol)

        outcomes = at_once([lambda: advance_series(ids, now=NOW)] * 2)

        assert sum(each.rows for each in outcomes) == 3
        for symbol in SYMBOLS:
            assert_as_computed(symbol)

    def test_a_series_that_is_being_stored_is_left_for_the_next_look(self):
        ensure_versions()
        store(*range(30))
        store(*range(30), symbol="BBB")
        ensure_series(now=NOW)
        ids = [one.id for one in due_series(now=NOW)]

        with transaction.atomic():
            store(30)
            [found] = at_once([lambda: rebuild_series(ids, now=NOW)])

        assert (found.busy, found.series, found.rows) == (1, 1, 30)
        assert rebuild_series(ids, now=NOW).rows == 31
        assert_as_computed("AAA")
        assert_as_computed("BBB")

    def test_a_candle_that_comes_meanwhile_is_in_or_due(self):
        ensure_versions()
        store(*range(30))
        ensure_series(now=NOW)
        rebuild_series([series_of().pk], now=NOW)
        store(32)
        ids = [series_of().pk]

        found = at_once([lambda: advance_series(ids, now=NOW), lambda: store(31)])

        assert not any(isinstance(each, Exception) for each in found)
        for one in due_series(now=NOW):
            rebuild_series([one.id], now=NOW)
        assert_as_computed()
        assert series_of().last_timestamp == START + 32 * HOUR
