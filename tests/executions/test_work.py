"""Runs of ours: each step done by one worker at a time, stage after stage."""

from datetime import timedelta
from itertools import chain

import pytest

from apps.executions.choices import ExecutionStatus, StepStatus
from apps.executions.domain.states import IllegalTransition
from apps.executions.models import Execution, ExecutionStep
from apps.executions.services.runs import (
    ExecutionEnded,
    ProgressReport,
    UnknownExecution,
    finish,
    request_cancel,
)
from apps.executions.services.work import (
    MOST_ATTEMPTS,
    PlannedStep,
    add_steps,
    claim_step,
    close_runs,
    finish_step,
    give_back_steps,
    keep_step,
    note_use,
    plan_run,
    release_step,
    skip_steps,
)
from apps.shared.errors import Conflict
from tests.executions.rows import HOUR, MINUTE, NOON, SECOND, every_bit, step_of, stored
from tests.threads import at_once

pytestmark = pytest.mark.django_db

S = ExecutionStatus
LEASE = timedelta(minutes=2)
STEPS = [
    PlannedStep("fetch"),
    PlannedStep("test 1", 1, {"pair": 0.5}),
    PlannedStep("test 2", 1),
    PlannedStep("save", 2),
]


def planned(steps=STEPS, now=NOON, **values):
    usual = {"execution_type": "SYMBOL_ADDITION", "runner": "tests.run"}
    return plan_run(steps=steps, now=now, **usual | values).pk


def claim(now=NOON, runner="tests.run"):
    return claim_step(runner=runner, now=now, lease=LEASE)


def done(step, status=StepStatus.SUCCESS, now=NOON + MINUTE, **values):
    return finish_step(step=step, status=status, now=now, **values)


def names(*steps):
    return [step and step.step_name for step in steps]


class TestPlan:
    def test_stores_a_waiting_run_and_its_steps(self):
        run = stored(planned(symbol="ETH/BTC", metadata={"days": 14}, triggered_by="ada"))

        assert (run.status, run.runner, run.total_tasks) == (S.PENDING, "tests.run", 4)
        assert (run.symbol, run.metadata, run.triggered_by) == ("ETH/BTC", {"days": 14}, "ada")
        assert {step.status for step in run.steps.all()} == {StepStatus.PENDING}

    def test_takes_no_id_twice(self):
        planned(execution_id="this one")

        with pytest.raises(Conflict):
            planned(execution_id="this one")

    @pytest.mark.parametrize("steps", [[], [PlannedStep("a"), PlannedStep("a", 1)]])
    def test_needs_steps_each_of_another_name(self, steps):
        with pytest.raises(ValueError, match="needs steps"):
            planned(steps=steps)


class TestClaim:
    def test_goes_stage_after_stage(self):
        planned()

        fetch = claim()
        assert names(fetch, claim()) == ["fetch", None]
        done(fetch)
        first, second = claim(), claim()
        assert names(first, second, claim()) == ["test 1", "test 2", None]
        done(first)
        assert claim() is None
        done(second)
        assert names(claim(), claim()) == ["save", None]

    def test_lets_the_run_begin(self):
        run = planned()

        step = claim(now=NOON + MINUTE)

        found = stored(run)
        assert (found.status, found.timestamp_start) == (S.RUNNING, NOON + MINUTE)
        assert (found.heartbeat_at, found.current_operation) == (NOON + MINUTE, "fetch")
        assert (step.attempt, step.leased_until) == (1, NOON + MINUTE + LEASE)
        assert step.execution.pk == run

    def test_gives_a_step_with_its_parameters(self):
        planned()
        done(claim())

        assert claim().parameters == {"pair": 0.5}

    def test_knows_only_its_own_runner(self):
        planned()

        assert claim(runner="tests.other") is None
        assert claim(runner="") is None

    def test_goes_on_where_another_step_has_failed(self):
        planned()
        done(claim(), StepStatus.FAILED)

        assert names(claim()) == ["test 1"]

    def test_leaves_alone_what_is_to_be_cancelled_or_has_ended(self):
        wished, ended = planned(), planned()
        claim()
        claim()
        done_steps = ExecutionStep.objects.filter(status=StepStatus.RUNNING)
        for step in done_steps:
            done(step)
        request_cancel(Execution.objects.filter(pk=wished), by="ada", now=NOON)
        finish(execution_id=ended, status=S.FAILED, now=NOON + MINUTE)

        assert claim() is None

    def test_spreads_over_the_runs_the_oldest_first(self):
        steps = [PlannedStep("a"), PlannedStep("b"), PlannedStep("c")]
        older, newer = planned(steps), planned(steps)

        claimed = [claim().execution_id for _ in range(4)]

        assert sorted(claimed[:2]) == sorted([older, newer])
        assert sorted(claimed[2:]) == sorted([older, newer])
        assert claimed[0] == Execution.objects.order_by("created_at", "pk")[0].pk


class TestKeep:
    def test_keeps_the_step_and_is_a_sign_of_life(self):
        run = planned()
        step = claim()

        assert keep_step(step=step, now=NOON + MINUTE, lease=LEASE)
        assert step_of(run, "fetch").leased_until == NOON + MINUTE + LEASE
        assert stored(run).heartbeat_at == NOON + MINUTE
        assert stored(run).progressed_at == NOON

    def test_says_when_it_was_given_to_another(self):
        planned()
        first = claim()
        give_back_steps(now=NOON + HOUR)
        second = claim(now=NOON + HOUR)
        before = every_bit()

        assert not keep_step(step=first, now=NOON + HOUR, lease=LEASE)
        assert every_bit() == before
        assert keep_step(step=second, now=NOON + HOUR, lease=LEASE)

    def test_says_when_the_run_is_to_be_cancelled_or_has_ended(self):
        run = planned()
        step = claim()

        request_cancel(Execution.objects.all(), by="ada", now=NOON)
        assert not keep_step(step=step, now=NOON + SECOND, lease=LEASE)
        assert done(step, StepStatus.CANCELLED)
        finish(execution_id=run, status=S.CANCELLED, now=NOON + MINUTE)
        assert not keep_step(step=step, now=NOON + MINUTE, lease=LEASE)


class TestFinish:
    def test_stores_what_came_of_it_and_counts_it(self):
        run = planned()

        assert done(claim(), result_data={"bars": 2151, "ratio": float("inf")})

        step = step_of(run, "fetch")
        assert (step.status, step.leased_until) == (StepStatus.SUCCESS, None)
        assert step.result_data == {"bars": 2151, "ratio": "inf"}
        assert step.duration_seconds == 60
        assert stored(run).progress_percentage == 25

    def test_an_error_joins_those_of_the_run(self):
        run = planned()

        done(
            claim(),
            StepStatus.FAILED_INSUFFICIENT_DATA,
            reason="insufficient_historical_data",
            error_type="TooShort",
            error_message="14 days, token=abcdef0123456789abcdef",
            error_traceback="Traceback\0",
        )

        (error,) = stored(run).errors
        assert (error["step"], error["error_type"]) == ("fetch", "TooShort")
        assert "abcdef0123456789" not in error["error_message"]
        assert "\0" not in error["traceback"]
        assert step_of(run, "fetch").reason == "insufficient_historical_data"

    def test_once(self):
        planned()
        step = claim()
        done(step)
        before = every_bit()

        assert not done(step)
        assert not done(step, StepStatus.FAILED)
        assert every_bit() == before

    def test_changes_nothing_when_the_step_is_anothers(self):
        planned()
        first = claim()
        assert give_back_steps(now=NOON + LEASE + SECOND) == 1
        second = claim(now=NOON + HOUR)
        before = every_bit()

        assert second.pk == first.pk
        assert not done(first, now=NOON + HOUR)
        assert every_bit() == before
        assert done(second, now=NOON + HOUR)

    def test_is_welcome_a_little_late_while_nobody_has_it(self):
        planned()

        assert done(claim(), now=NOON + HOUR)

    def test_changes_nothing_when_the_run_has_ended(self):
        run = planned()
        step = claim()
        finish(execution_id=run, status=S.CANCELLED, now=NOON + MINUTE)
        before = every_bit()

        assert not done(step)
        assert every_bit() == before

    def test_only_as_something_final(self):
        planned()

        with pytest.raises(IllegalTransition):
            done(claim(), StepStatus.RUNNING)

    def test_knows_a_run_that_is_deleted(self):
        planned()
        step = claim()
        Execution.objects.all().delete()

        assert not done(step)
        assert not keep_step(step=step, now=NOON, lease=LEASE)


class TestGiveBack:
    def test_leaves_a_step_whose_lease_lasts(self):
        planned()
        claim()
        before = every_bit()

        assert give_back_steps(now=NOON + LEASE) == 0
        assert every_bit() == before

    def test_gives_up_after_some_attempts(self):
        run = planned()
        now = NOON
        for _ in range(MOST_ATTEMPTS):
            assert claim(now=now) is not None
            now += HOUR
            assert give_back_steps(now=now) == 1

        step = step_of(run, "fetch")
        assert (step.status, step.error_type) == (StepStatus.FAILED, "WorkerLost")
        assert stored(run).errors[0]["error_type"] == "WorkerLost"
        assert stored(run).progressed_at == now

    def test_the_same_step_over_and_over_is_no_progress(self):
        run = planned()
        claim()
        give_back_steps(now=NOON + HOUR)
        claim(now=NOON + HOUR)

        assert stored(run).progressed_at == NOON

    def test_ends_a_step_that_is_to_be_cancelled(self):
        run = planned()
        claim()
        request_cancel(Execution.objects.all(), by="ada", now=NOON)
        give_back_steps(now=NOON + HOUR)

        assert step_of(run, "fetch").status == StepStatus.CANCELLED


class TestRelease:
    def test_lets_the_step_wait_for_its_next_turn_and_does_not_count(self):
        run = planned()
        step = claim()

        assert release_step(step=step, now=NOON + SECOND)

        found = step_of(run, "fetch")
        assert (found.status, found.attempt, found.leased_until) == ("PENDING", 0, None)
        assert claim(now=NOON + MINUTE).attempt == 1

    def test_makes_it_the_next_workers_alone(self):
        planned()
        first = claim()
        release_step(step=first, now=NOON + SECOND)
        second = claim(now=NOON + MINUTE)
        before = every_bit()

        assert first.attempt == second.attempt
        assert not done(first)
        assert not keep_step(step=first, now=NOON + MINUTE, lease=LEASE)
        assert not release_step(step=first, now=NOON + MINUTE)
        assert every_bit() == before
        assert done(second)

    def test_of_a_run_that_has_ended_changes_nothing(self):
        run = planned()
        step = claim()
        finish(execution_id=run, status=S.CANCELLED, now=NOON + MINUTE)
        before = every_bit()

        assert not release_step(step=step, now=NOON + MINUTE)
        assert every_bit() == before


class TestUse:
    def use(self, step, cpu, memory, disk):
        report = ProgressReport(cpu_usage_avg=cpu, memory_peak_mb=memory, disk_io_mb=disk)
        return note_use(step=step, report=report, now=NOON + MINUTE)

    def test_is_the_mean_of_the_cores_the_highest_peak_and_the_sum_of_the_disk(self):
        run = planned()
        for cpu, memory, disk in ((40, 100, 1), (70, 300, 2), (10, 200, 4)):
            step = claim()
            done(step)
            assert self.use(step, cpu, memory, disk)

        row = stored(run)
        assert (row.cpu_usage_avg, row.memory_peak_mb, row.disk_io_mb) == (40, 300, 7)

    def test_of_what_is_not_measured_nothing_is_said(self):
        run = planned()
        step = claim()
        self.use(step, None, 100, None)

        row = stored(run)
        assert (row.cpu_usage_avg, row.memory_peak_mb, row.disk_io_mb) == (None, 100, None)

    def test_comes_too_late_for_a_run_that_has_ended(self):
        run = planned(STEPS[:1])
        step = claim()
        done(step)
        close_runs(now=NOON + MINUTE)

        assert not self.use(step, 40, 100, 1)
        assert stored(run).cpu_usage_avg is None


class TestMoreAndFewerSteps:
    def test_steps_come_to_a_run_under_way(self):
        run = planned([PlannedStep("fetch")])
        step = claim()

        assert add_steps(execution_id=run, steps=STEPS, now=NOON) == 3
        assert add_steps(execution_id=run, steps=STEPS, now=NOON) == 0
        assert stored(run).total_tasks == 4
        done(step)
        assert names(claim()) == ["test 1"]

    def test_waiting_steps_are_skipped_with_a_reason(self):
        run = planned()
        step = claim()

        assert skip_steps(execution_id=run, now=NOON, reason="symbol_not_found") == 3
        assert step_of(run, "save").status == StepStatus.SKIPPED
        assert step_of(run, "save").reason == "symbol_not_found"
        assert step_of(run, "fetch").status == StepStatus.RUNNING
        assert done(step, StepStatus.FAILED)
        assert stored(run).progress_percentage == 99

    def test_not_once_it_has_ended(self):
        run = planned()
        request_cancel(Execution.objects.all(), by="ada", now=NOON)

        with pytest.raises(ExecutionEnded):
            add_steps(execution_id=run, steps=[PlannedStep("more")], now=NOON)
        with pytest.raises(ExecutionEnded):
            skip_steps(execution_id=run, now=NOON, reason="late")
        with pytest.raises(UnknownExecution):
            skip_steps(execution_id="nobody", now=NOON, reason="late")


class TestClose:
    def outcome(self, *ends):
        run = planned([PlannedStep(f"step {number}") for number in range(len(ends))])
        for end in ends:
            done(claim(), StepStatus(end))
        assert close_runs(now=NOON + HOUR) == 1
        assert close_runs(now=NOON + HOUR) == 0
        return stored(run)

    def test_what_succeeded_is_completed(self):
        run = self.outcome("SUCCESS", "SUCCESS")

        assert (run.status, run.progress_percentage) == (S.COMPLETED, 100)
        assert run.timestamp_end == NOON + HOUR

    def test_what_was_rightly_skipped_does_not_spoil_it(self):
        assert self.outcome("SUCCESS", "SKIPPED").status == S.COMPLETED

    def test_what_failed_in_part_is_a_partial_success(self):
        assert self.outcome("SUCCESS", "FAILED").status == S.PARTIAL_SUCCESS

    def test_what_failed_has_failed(self):
        assert self.outcome("FAILED_INSUFFICIENT_DATA", "SKIPPED").status == S.FAILED

    def test_what_was_broken_off_is_cancelled(self):
        assert self.outcome("SUCCESS", "CANCELLED").status == S.CANCELLED

    def test_waits_for_what_is_being_worked_on(self):
        run = planned()
        step = claim()
        request_cancel(Execution.objects.all(), by="ada", now=NOON)

        assert close_runs(now=NOON) == 0
        done(step)
        assert close_runs(now=NOON + MINUTE) == 1
        assert stored(run).status == S.CANCELLED
        assert step_of(run, "save").status == StepStatus.SKIPPED

    def test_a_wish_that_comes_when_all_is_done_changes_nothing(self):
        run = planned([PlannedStep("only")])
        done(claim())
        request_cancel(Execution.objects.all(), by="ada", now=NOON)

        close_runs(now=NOON + MINUTE)

        assert stored(run).status == S.COMPLETED

    def test_a_run_that_never_began_and_has_nothing_to_do_is_cancelled(self):
        run = planned()
        skip_steps(execution_id=run, now=NOON, reason="symbol_not_found")

        close_runs(now=NOON)

        assert stored(run).status == S.CANCELLED

    def test_only_those_of_a_runner_when_it_asks(self):
        planned([PlannedStep("only")], runner="tests.other")
        done(claim(runner="tests.other"))

        assert close_runs(now=NOON + MINUTE, runner="tests.run") == 0
        assert close_runs(now=NOON + MINUTE, runner="tests.other") == 1


@pytest.mark.django_db(transaction=True)
class TestManyWorkers:
    def test_never_get_the_same_step(self):
        for _ in range(3):
            planned([PlannedStep(f"step {number}", number % 2) for number in range(20)])

        def work():
            taken = []
            while step := claim():
                taken.append((step.pk, step.attempt))
                assert done(step)
            return taken

        # A worker may find nothing while another is at the last step of a stage.
        taken = list(chain.from_iterable(at_once([work] * 8)))
        taken += work()

        assert len(taken) == 60
        assert len(set(taken)) == 60
        assert {attempt for _, attempt in taken} == {1}
        assert close_runs(now=NOON + HOUR) == 3
        assert set(Execution.objects.values_list("status", flat=True)) == {S.COMPLETED}

    def test_one_last_step_goes_to_one(self):
        planned([PlannedStep("only")])

        found = at_once([claim] * 8)

        assert sorted(map(str, names(*found))) == ["None"] * 7 + ["only"]

    def test_of_the_old_and_the_new_worker_only_the_new_one_may_finish(self):
        run = planned([PlannedStep("only")])
        old = claim()
        give_back_steps(now=NOON + HOUR)
        new = claim(now=NOON + HOUR)

        found = at_once(
            [
                lambda: done(old, StepStatus.FAILED, now=NOON + HOUR),
                lambda: done(new, now=NOON + HOUR),
            ]
        )

        assert found == [False, True]
        assert step_of(run, "only").status == StepStatus.SUCCESS
        assert stored(run).error_count == 0

    def test_a_lost_step_is_given_back_once(self):
        planned([PlannedStep("only")])
        claim()

        found = at_once([lambda: give_back_steps(now=NOON + HOUR)] * 6)

        assert sum(found) == 1

    def test_claiming_and_cancelling_do_not_wait_for_each_other_in_a_circle(self):
        for _ in range(10):
            planned([PlannedStep(f"step {number}") for number in range(4)])

        def work():
            while step := claim():
                done(step)

        def cancel():
            return request_cancel(Execution.objects.all(), by="ada", now=NOON)

        found = at_once([work, work, cancel, work, cancel, lambda: close_runs(now=NOON + HOUR)])

        assert not [one for one in found if isinstance(one, Exception)]
        close_runs(now=NOON + HOUR)
        assert not Execution.objects.unfinished().exists()
