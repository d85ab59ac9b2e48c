"""Our own jobs as executions."""

import pytest
from celery import shared_task
from django.core.cache import cache

from apps.executions.choices import ExecutionStatus
from apps.executions.models import Execution
from config import jobs, runs
from config.celery import SCHEDULE

pytestmark = pytest.mark.django_db


@shared_task
def tidy_up() -> int:
    return 3


@shared_task
def trip() -> None:
    raise LookupError("no such shelf")


@pytest.fixture(autouse=True)
def nothing_known():
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def watched(monkeypatch):
    """Have both tasks run as seldom as a job that is watched."""
    names = {tidy_up.name, trip.name}
    monkeypatch.setattr(runs, "WATCHED", names)
    monkeypatch.setattr(runs, "INTERVALS", dict.fromkeys(names, runs.SELDOM))


@pytest.fixture
def frequent(monkeypatch):
    """Have both tasks run all the time."""
    names = {tidy_up.name, trip.name}
    monkeypatch.setattr(runs, "INTERVALS", dict.fromkeys(names, runs.SELDOM / 60))
    monkeypatch.setattr(jobs, "SCHEDULED", names)


class TestWhatIsWatched:
    def test_is_what_runs_by_the_hour_or_more_seldom(self):
        assert "apps.logs.tasks.make_partitions" in runs.WATCHED
        assert "apps.alerts.tasks.track_prices" not in runs.WATCHED
        assert {entry["task"] for entry in SCHEDULE.values()} >= runs.WATCHED

    def test_has_the_name_of_its_task_for_a_type(self):
        assert runs.type_of("apps.logs.tasks.make_partitions") == "MAKE_PARTITIONS"


@pytest.mark.usefixtures("watched")
class TestWatchedJobs:
    def test_one_that_ends_well_is_a_completed_run(self):
        tidy_up.apply()

        run = Execution.objects.get()
        assert run.execution_type == "TIDY_UP"
        assert run.status == ExecutionStatus.COMPLETED
        assert run.triggered_by == "SCHEDULE"

    def test_one_that_raises_is_a_failed_run_with_its_traceback(self):
        trip.apply()

        run = Execution.objects.get()
        assert run.status == ExecutionStatus.FAILED
        (error,) = run.errors
        assert error["error_type"] == "LookupError"
        assert "no such shelf" in error["error_message"]
        assert "in trip" in error["traceback"]

    def test_each_run_is_one_of_its_own(self):
        tidy_up.apply()
        tidy_up.apply()

        assert Execution.objects.count() == 2

    def test_a_run_that_cannot_be_kept_stops_no_job(self, monkeypatch):
        def broken(*args, **kwargs):
            raise RuntimeError("no database")

        monkeypatch.setattr(runs, "tracked_execution", broken)

        assert tidy_up.apply().get() == 3
        assert not Execution.objects.exists()


@pytest.mark.usefixtures("frequent")
class TestFrequentJobs:
    def test_leave_no_run_when_they_end_well(self):
        tidy_up.apply()

        assert not Execution.objects.exists()

    def test_leave_one_for_the_first_failure_of_a_row(self):
        for _ in range(3):
            trip.apply()

        run = Execution.objects.get()
        assert run.status == ExecutionStatus.FAILED
        assert run.execution_type == "TRIP"
        assert run.errors[0]["error_type"] == "LookupError"
        assert run.timestamp_start <= run.timestamp_end

    def test_leave_another_one_when_they_fail_again_after_a_success(self):
        trip.apply()
        jobs.note_success(sender=trip)
        trip.apply()

        assert Execution.objects.count() == 2

    def test_of_a_job_outside_the_schedule_nothing_is_kept(self, monkeypatch):
        monkeypatch.setattr(runs, "INTERVALS", {})

        trip.apply()

        assert not Execution.objects.exists()
