"""Our own code as runs that one can watch: ended as it went, kept alive meanwhile."""

import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from apps.executions import tracking
from apps.executions.choices import ExecutionStatus, StepStatus
from apps.executions.models import Execution
from apps.executions.services.runs import finish, request_cancel
from apps.executions.services.watching import watch_executions
from apps.executions.tracking import ExecutionCancelled, tracked_execution
from apps.shared.errors import Conflict
from tests.executions.rows import every_bit, stored

pytestmark = pytest.mark.django_db

S = ExecutionStatus


def cancel():
    request_cancel(Execution.objects.all(), by="ada", now=timezone.now())


def waited_for(condition, seconds=10.0):
    """Wait until something is so; a hang of the other thread is the only way to fail."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if condition():
            return True
        pause.wait(0.01)
    return False


class TestTheWhole:
    def test_runs_at_once_and_is_completed_at_its_end(self):
        with tracked_execution("IMPORT", symbol="ETH/BTC", triggered_by="ada") as run:
            found = stored(run.execution_id)
            assert (found.status, found.symbol) == (S.RUNNING, "ETH/BTC")
            assert (found.triggered_by, found.execution_type) == ("ada", "IMPORT")
            assert found.server_id

        found = stored(run.execution_id)
        assert (found.status, found.progress_percentage) == (S.COMPLETED, 100)
        assert found.memory_peak_mb > 1

    def test_that_raises_has_failed_and_raises_still(self):
        with pytest.raises(ZeroDivisionError), tracked_execution("IMPORT") as run:
            1 / 0  # noqa: B018

        found = stored(run.execution_id)
        (error,) = found.errors
        assert found.status == S.FAILED
        assert (error["error_type"], error["step"]) == ("ZeroDivisionError", "")
        assert "1 / 0" in error["traceback"]

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
    def test_that_is_broken_off_has_failed(self, kind):
        with pytest.raises(kind), tracked_execution("IMPORT") as run:
            raise kind

        assert stored(run.execution_id).status == S.FAILED

    def test_that_is_cancelled_ends_so_and_raises_nothing(self):
        reached = []
        with tracked_execution("IMPORT") as run:
            run.check_cancelled()
            cancel()
            run.check_cancelled()
            reached.append("never")

        assert stored(run.execution_id).status == S.CANCELLED
        assert stored(run.execution_id).error_count == 0
        assert reached == []

    def test_that_swallows_the_cancellation_hears_it_again(self):
        with tracked_execution("IMPORT") as run:
            cancel()
            for _ in range(2):
                with pytest.raises(ExecutionCancelled):
                    run.check_cancelled()

        assert stored(run.execution_id).status == S.COMPLETED

    def test_needs_an_id_of_its_own(self):
        with tracked_execution("IMPORT", execution_id="this one"):
            pass
        before = every_bit()

        with pytest.raises(Conflict), tracked_execution("IMPORT", execution_id="this one"):
            pytest.fail("It must not run.")
        assert every_bit() == before

    def test_that_was_ended_by_others_stays_so_and_goes_on(self):
        reached = []
        with tracked_execution("IMPORT") as run:
            finish(execution_id=run.execution_id, status=S.FAILED, now=timezone.now())
            before = every_bit()
            run.progress("later", completed=["a"])
            with run.step("late"):
                reached.append("work")
            with pytest.raises(ExecutionCancelled):
                run.check_cancelled()

        assert reached == ["work"]
        assert every_bit() == before

    def test_whose_text_cannot_be_had_has_failed_all_the_same(self):
        class Odd(Exception):
            def __str__(self):
                raise RuntimeError

        with pytest.raises(Odd), tracked_execution("IMPORT") as run:
            raise Odd

        assert stored(run.execution_id).errors[0]["error_type"] == "Odd"


class TestSteps:
    def test_are_recorded_with_what_they_leave(self):
        with tracked_execution("IMPORT", total_tasks=2) as run:
            with run.step("read") as result:
                result["rows"] = 3
            assert stored(run.execution_id).progress_percentage == 50
            with run.step("store"):
                pass

        found = stored(run.execution_id)
        assert found.status == S.COMPLETED
        assert list(
            found.steps.order_by("pk").values_list("step_name", "status", "result_data")
        ) == [
            ("read", "SUCCESS", {"rows": 3}),
            ("store", "SUCCESS", {}),
        ]

    def test_tell_a_failure_once(self):
        with pytest.raises(ZeroDivisionError), tracked_execution("IMPORT") as run, run.step("read"):
            1 / 0  # noqa: B018

        found = stored(run.execution_id)
        step = found.steps.get()
        assert (found.status, found.error_count) == (S.FAILED, 1)
        assert (step.status, step.error_type) == (StepStatus.FAILED, "ZeroDivisionError")
        assert "1 / 0" in step.error_traceback

    def test_that_failed_and_were_caught_make_it_a_partial_success(self):
        with tracked_execution("IMPORT") as run:
            with run.step("good"):
                pass
            with pytest.raises(ZeroDivisionError), run.step("bad"):
                1 / 0  # noqa: B018

        assert stored(run.execution_id).status == S.PARTIAL_SUCCESS

    def test_may_stand_inside_one_another(self):
        with tracked_execution("IMPORT") as run, run.step("outer"), run.step("inner"):
            pass

        steps = dict(stored(run.execution_id).steps.values_list("step_name", "status"))
        assert steps == {"outer": "SUCCESS", "inner": "SUCCESS"}

    def test_of_one_name_are_numbered(self):
        with tracked_execution("IMPORT") as run:
            for _ in range(3):
                with run.step("read"):
                    pass

        names = set(stored(run.execution_id).steps.values_list("step_name", flat=True))
        assert names == {"read", "read (2)", "read (3)"}

    def test_are_cancelled_with_their_run(self):
        with tracked_execution("IMPORT") as run, run.step("read"):
            cancel()
            run.check_cancelled()

        found = stored(run.execution_id)
        assert (found.status, found.steps.get().status) == (S.CANCELLED, StepStatus.CANCELLED)
        assert found.error_count == 0

    def test_progress_is_told(self):
        with tracked_execution("IMPORT", total_tasks=4) as run:
            run.progress("row 1,000 of 5,000", completed=["a", "b"])
            found = stored(run.execution_id)
            assert found.current_operation == "row 1,000 of 5,000"
            assert found.progress_percentage == Decimal(50)

        assert stored(run.execution_id).status == S.PARTIAL_SUCCESS


@pytest.mark.django_db(transaction=True)
class TestTransactions:
    def test_a_run_needs_to_be_seen_by_others(self):
        with pytest.raises(RuntimeError), transaction.atomic(), tracked_execution("IMPORT"):
            pytest.fail("It must not run.")

    def test_a_failed_transaction_inside_does_not_hide_the_failure(self):
        with pytest.raises(ZeroDivisionError), tracked_execution("IMPORT") as run:  # noqa: SIM117
            with transaction.atomic():
                1 / 0  # noqa: B018

        assert stored(run.execution_id).status == S.FAILED

    def test_a_connection_that_died_under_the_work_does_not_hide_the_failure(self):
        with pytest.raises(OperationalError), tracked_execution("IMPORT") as run:  # noqa: SIM117
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

        assert stored(run.execution_id).status == S.FAILED


@pytest.mark.django_db(transaction=True)
class TestPulse:
    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch):
        """Beat a hundred times within a second of lease."""
        monkeypatch.setattr(tracking, "BEATS_PER_LEASE", 100)

    def beating(self, run):
        first = stored(run.execution_id).heartbeat_at
        return waited_for(lambda: stored(run.execution_id).heartbeat_at > first)

    def taken(self):
        """Return how many connections are in use in this process."""
        connection.ensure_connection()
        stats = connection.pool.get_stats()
        return stats["pool_size"] - stats["pool_available"]

    def test_keeps_the_lease_while_the_work_is_silent(self):
        with tracked_execution("IMPORT", lease_seconds=1) as run:
            assert self.beating(run)
            found = stored(run.execution_id)
            assert found.progressed_at < found.heartbeat_at
            assert found.cpu_usage_avg is not None

    def test_keeps_it_while_the_work_has_a_transaction_open(self):
        with tracked_execution("IMPORT", lease_seconds=1) as run, transaction.atomic():
            assert self.beating(run)

    def test_ends_with_the_work_and_leaves_no_connection(self):
        before = self.taken()
        with tracked_execution("IMPORT", lease_seconds=1) as run:
            assert self.beating(run)
            assert self.taken() == before + 1

        assert not [each for each in threading.enumerate() if each.name == "execution-pulse"]
        assert waited_for(lambda: self.taken() == before)
        after = stored(run.execution_id)
        assert after.status == S.COMPLETED

    def test_of_a_short_run_never_connects(self):
        before = self.taken()
        with tracked_execution("IMPORT", lease_seconds=3000):
            assert self.taken() == before

    def test_that_fails_does_not_fail_the_work(self, monkeypatch):
        failed = threading.Event()

        def broken(**values):
            failed.set()
            raise RuntimeError("no database")

        monkeypatch.setattr(tracking, "report_progress", broken)
        with tracked_execution("IMPORT", lease_seconds=1) as run:
            assert failed.wait(10)

        assert stored(run.execution_id).status == S.COMPLETED

    def test_does_not_wake_a_run_that_others_have_ended(self):
        with tracked_execution("IMPORT", lease_seconds=1) as run:
            finish(execution_id=run.execution_id, status=S.CANCELLED, now=timezone.now())
            before = every_bit()
            assert waited_for(
                lambda: not [t for t in threading.enumerate() if t.name == "execution-pulse"]
            )

        assert every_bit() == before

    def test_of_a_process_that_is_gone_is_missed_by_the_watch(self, monkeypatch):
        monkeypatch.setattr(tracking.Pulse, "start", lambda self: None)
        monkeypatch.setattr(tracking.Pulse, "stop", lambda self: None)
        now = timezone.now()
        with tracked_execution("IMPORT", lease_seconds=30) as run:
            for seconds in (0, 15, 30, 45):
                watch_executions(now=now + timedelta(seconds=seconds))

        found = stored(run.execution_id)
        assert (found.status, found.health) == (S.FAILED, "lost")
