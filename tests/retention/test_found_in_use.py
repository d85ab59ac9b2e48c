"""What was found by using retention wrongly."""

from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from django.db import connection

from apps.bots.models import Trade
from apps.executions.choices import ExecutionStatus
from apps.executions.models import Execution
from apps.executions.services.runs import finish
from apps.executions.services.wishes import request_cancel
from apps.executions.services.work import give_back_steps
from apps.logs.models import SystemLog
from apps.retention.choices import ArchiveStatus
from apps.retention.models import Archive, RetentionPolicy
from apps.retention.services import emptying, runs, stepping
from apps.retention.services.policies import change_policy, ensure_policies, policy_of
from apps.retention.services.restoring import restore_archive
from apps.retention.services.runs import plan_retention
from apps.shared import partitions
from apps.shared.retention import deleting, months
from tests.factories import make_system_log
from tests.retention.trades import NOW, everything, make_trees

pytestmark = pytest.mark.django_db(transaction=True)

LOGS = ("system_logs",)
LATER = NOW + timedelta(hours=1)
OLD_MONTH = date(2019, 12, 1)
LINES = 5


class Killed(BaseException):
    pass


@pytest.fixture(autouse=True)
def lines(tmp_path, settings):
    """Five lines of a month that is old."""
    settings.ARCHIVE_ROOT, settings.ARCHIVE_RESERVE = tmp_path / "archives", 0
    ensure_policies(now=NOW)
    partitions.make_months("system_logs", [OLD_MONTH])
    for day in range(1, LINES + 1):
        make_system_log(timestamp=datetime(2019, 12, day, tzinfo=UTC))
    yield everything(LOGS)
    partitions.drop_detached("system_logs", OLD_MONTH)


@pytest.fixture
def killed(monkeypatch):
    """Return a run whose worker was killed once it had taken a month out."""
    run = plan_retention(dataset="system_logs", by="ada", now=NOW)

    def detach(*args, **values):
        partitions.detach_month(*args, **values)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(months, "detach_month", detach)
        with pytest.raises(Killed):
            work(NOW)
    assert partitions.detached_months("system_logs") == [OLD_MONTH]
    return run


def work(now):
    give_back_steps(now=now)
    return stepping.work(clock=lambda: now, joined=lambda: None)


def change(**changes):
    policy = RetentionPolicy.objects.get(dataset="system_logs")
    change_policy(policy=policy, changes=changes, by="ada", now=NOW)


class TestMonthOfADeadRun:
    def test_comes_back_when_the_policy_is_switched_off(self, killed, lines):
        change(enabled=False, age_days=4000)
        work(LATER)
        killed.refresh_from_db()
        assert killed.status == ExecutionStatus.FAILED
        assert everything(LOGS) == lines
        assert not partitions.detached_months("system_logs")

    def test_comes_back_when_the_run_is_called_off(self, killed, lines):
        request_cancel(Execution.objects.filter(pk=killed.pk), by="ada", now=NOW)
        work(LATER)
        killed.refresh_from_db()
        assert killed.status == ExecutionStatus.CANCELLED
        assert everything(LOGS) == lines

    def test_is_left_alone_while_its_run_goes_on(self, killed, lines):
        work(LATER)
        killed.refresh_from_db()
        assert killed.status == ExecutionStatus.COMPLETED
        assert not SystemLog.objects.exists()
        assert Archive.objects.get().left_rows == LINES

    def test_does_not_stand_there_twice_after_a_restore(self, killed, lines):
        finish(execution_id=killed.pk, status=ExecutionStatus.FAILED, now=NOW)
        (restored,) = restore_archive(archive=Archive.objects.get(), by="ada", now=LATER)
        assert (restored.inserted, restored.same) == (0, LINES)
        assert everything(LOGS) == lines
        RetentionPolicy.objects.update(held_until=None)
        run = plan_retention(dataset="system_logs", by="ada", now=LATER)
        work(LATER)
        run.refresh_from_db()
        assert run.status == ExecutionStatus.COMPLETED
        assert not SystemLog.objects.exists()

    def test_may_be_brought_back_twice(self, killed, lines):
        assert months.rejoin_month("system_logs", OLD_MONTH)
        assert not months.rejoin_month("system_logs", OLD_MONTH)
        assert everything(LOGS) == lines


class TestPolicyChangedWhileAMonthIsTakenOut:
    def test_keeps_the_month(self, monkeypatch, lines):
        def detach(*args, **values):
            change(age_days=4000)
            return partitions.detach_month(*args, **values)

        monkeypatch.setattr(months, "detach_month", detach)
        run = plan_retention(dataset="system_logs", by="ada", now=NOW)
        work(NOW)
        run.refresh_from_db()
        assert run.status == ExecutionStatus.FAILED
        assert everything(LOGS) == lines
        assert Archive.objects.get().status == ArchiveStatus.WRITTEN


class TestTradeThatAWriterHoldsForLong:
    @pytest.fixture
    def writer(self, monkeypatch):
        """Return the session of a writer that has locked the only trade that is to leave."""
        monkeypatch.setattr(deleting, "LOCK_MILLISECONDS", 10)
        monkeypatch.setattr(deleting, "PAUSE_SECONDS", 0)
        make_trees(1)
        with psycopg.connect(**connection.get_connection_params()) as session:
            session.execute("SELECT FROM trades FOR UPDATE")
            yield session

    @pytest.mark.parametrize("archive", [True, False])
    def test_leaves_when_it_is_let_go(self, writer, archive):
        RetentionPolicy.objects.filter(dataset="trades").update(archive=archive)
        run = plan_retention(dataset="trades", by="ada", now=NOW)
        work(NOW)
        run.refresh_from_db()
        assert run.status == ExecutionStatus.RUNNING

        writer.rollback()
        work(NOW)
        run.refresh_from_db()
        assert run.status == ExecutionStatus.COMPLETED
        assert not Trade.objects.exists()

    def test_makes_the_run_give_up_when_it_is_not(self, writer, monkeypatch):
        monkeypatch.setattr(emptying, "MOST_WAITS", 2)
        run = plan_retention(dataset="trades", by="ada", now=NOW)
        work(NOW)
        work(NOW)
        run.refresh_from_db()
        assert run.status == ExecutionStatus.FAILED
        error = RetentionPolicy.objects.get(dataset="trades").last_error
        assert error == f"Rows of {Archive.objects.get().path} could not leave: somebody uses it."
        assert Trade.objects.exists()


class TestPlanningBehindARestore:
    def test_sees_that_the_policy_is_held_by_now(self):
        policy = policy_of("system_logs")
        RetentionPolicy.objects.update(held_until=LATER)
        with pytest.raises(runs.HeldPolicy):
            runs.plan(policy, by="ada", now=NOW)
        assert not runs.runs_of("system_logs").exists()
