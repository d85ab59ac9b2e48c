"""The life of a run: started once, reported as it goes, ended once."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.executions.choices import ExecutionStatus, Health, StepStatus
from apps.executions.domain.states import FINAL
from apps.executions.models import Execution, ExecutionStep
from apps.executions.services import watching, work
from apps.executions.services.runs import (
    ExecutionEnded,
    IllegalTransition,
    ProgressReport,
    RefusedReport,
    StepReport,
    UnknownExecution,
    begin,
    describe_execution,
    finish,
    new_execution_id,
    report_progress,
    report_step,
    request_cancel,
    retry,
    retry_execution,
    start_executions,
)
from apps.shared.errors import Conflict, DomainError
from tests.executions.rows import HOUR, MINUTE, NOON, SECOND, Sent, every_bit, step_of, stored
from tests.factories import make_execution, make_step
from tests.threads import at_once

pytestmark = pytest.mark.django_db

S = ExecutionStatus


def started(now=NOON, **values):
    """Start a run and return its id."""
    row = Sent(**values)
    assert start_executions([row], now=now).created == 1
    return row.execution_id


def progress(execution_id, now=NOON, **values):
    report_progress(execution_id=execution_id, now=now, report=ProgressReport(**values))
    return stored(execution_id)


def step(execution_id, name, status, now=NOON, **values):
    report = StepReport(step_name=name, status=StepStatus(status), **values)
    return report_step(execution_id=execution_id, now=now, report=report)


def end(execution_id, status, now=NOON + HOUR, **values):
    return finish(execution_id=execution_id, status=S(status), now=now, **values)


def fields_of(outcome):
    return [error.pointer for result in outcome.results for error in result.errors]


class TestStart:
    def test_a_run_begins_at_once_or_waits(self):
        running, waiting = started(), started(status="PENDING")

        assert (stored(running).timestamp_start, stored(running).heartbeat_at) == (NOON, NOON)
        assert (stored(waiting).timestamp_start, stored(waiting).heartbeat_at) == (None, None)

    def test_the_same_again_is_unchanged_whatever_the_run_has_done_since(self):
        row = Sent(total_tasks=4, metadata={"pair": 1.5, "list": [1, None]})
        start_executions([row], now=NOON)
        progress(row.execution_id, total_tasks=9, completed_tasks=["a"])
        end(row.execution_id, "FAILED")
        before = every_bit()

        again = start_executions([row], now=NOON + HOUR)

        assert (again.unchanged, again.failed, again.created) == (1, 0, 0)
        assert every_bit() == before

    def test_other_content_is_refused_by_name(self):
        row = Sent(symbol="BTC/USD")
        start_executions([row], now=NOON)
        row.symbol, row.version = "ETH/USD", "2"

        again = start_executions([row, Sent()], now=NOON)

        assert (again.failed, again.created) == (1, 1)
        assert sorted(fields_of(again)) == ["/symbol", "/version"]
        assert stored(row.execution_id).symbol == "BTC/USD"

    def test_another_start_time_is_refused_but_none_is_not(self):
        row = Sent(timestamp_start=NOON - HOUR)
        start_executions([row], now=NOON)
        row.timestamp_start = NOON - MINUTE
        assert fields_of(start_executions([row], now=NOON)) == ["/timestamp_start"]

        row.timestamp_start = None
        assert start_executions([row], now=NOON).unchanged == 1

    def test_a_state_is_never_moved_by_it(self):
        row = Sent(status="PENDING")
        start_executions([row], now=NOON)
        row.status = "RUNNING"

        assert start_executions([row], now=NOON).unchanged == 1
        assert stored(row.execution_id).status == S.PENDING

    def test_one_key_twice_in_a_batch_is_stored_once(self):
        row = Sent()

        outcome = start_executions([row, row], now=NOON)

        assert (outcome.created, outcome.unchanged) == (1, 1)

    @pytest.mark.parametrize(
        ("values", "field"),
        [
            ({"status": "COMPLETED"}, "/status"),
            ({"status": "PENDING", "timestamp_start": NOON}, "/timestamp_start"),
            ({"timestamp_start": NOON + HOUR}, "/timestamp_start"),
            ({"execution_type": ""}, "/execution_type"),
            ({"lease_seconds": 0}, "/lease_seconds"),
        ],
    )
    def test_what_cannot_be_is_refused_and_holds_up_nobody(self, values, field):
        outcome = start_executions([Sent(**values), Sent()], now=NOON)

        assert (outcome.failed, outcome.created) == (1, 1)
        assert fields_of(outcome) == [field]

    def test_secrets_do_not_come_in_with_the_metadata(self):
        run = started(metadata={"password": "hunter2", "depth": 3})

        assert stored(run).metadata == {"password": "[redacted]", "depth": 3}


class TestDescribe:
    def test_creates_what_is_unknown(self):
        row = Sent()

        assert describe_execution(row, now=NOON).created == 1
        assert stored(row.execution_id).status == S.RUNNING

    def test_replaces_what_describes_a_run_and_nothing_else(self):
        run = started(total_tasks=2)
        row = Sent(execution_id=run, symbol="", symbols=["A", "B"], total_tasks=5, status="PENDING")

        assert describe_execution(row, now=NOON).replaced == 1
        assert describe_execution(row, now=NOON).unchanged == 1
        found = stored(run)
        assert (found.symbols, found.total_tasks, found.status) == (["A", "B"], 5, S.RUNNING)

    def test_leaves_the_tasks_of_an_ended_run(self):
        run = started(total_tasks=2)
        end(run, "FAILED")

        describe_execution(Sent(execution_id=run, total_tasks=5, version="9"), now=NOON)

        assert (stored(run).total_tasks, stored(run).version) == (2, "9")

    def test_refuses_another_type(self):
        run = started()

        outcome = describe_execution(Sent(execution_id=run, execution_type="OTHER"), now=NOON)

        assert fields_of(outcome) == ["/execution_type"]


class TestBegin:
    def test_lets_a_waiting_run_begin(self):
        run = started(status="PENDING")

        begin(execution_id=run, now=NOON + MINUTE)

        found = stored(run)
        assert (found.status, found.timestamp_start) == (S.RUNNING, NOON + MINUTE)

    def test_leaves_a_running_one_as_it_is(self):
        run = started()
        before = every_bit()

        begin(execution_id=run, now=NOON + MINUTE)

        assert every_bit() == before

    def test_a_report_of_a_waiting_run_lets_it_begin(self):
        first, second = started(status="PENDING"), started(status="PENDING")

        progress(first, now=NOON + MINUTE)
        step(second, "read", "RUNNING", now=NOON + MINUTE)

        assert {stored(first).status, stored(second).status} == {S.RUNNING}
        assert stored(first).timestamp_start == NOON + MINUTE

    @pytest.mark.parametrize("name", ["nobody", "with\0nul", "half \ud800"])
    def test_knows_only_what_it_knows(self, name):
        with pytest.raises(UnknownExecution):
            begin(execution_id=name, now=NOON)


class TestProgress:
    def test_counts_completed_tasks_and_finished_steps(self):
        run = started(total_tasks=4)
        progress(run, completed_tasks=["a"])
        step(run, "b", "SUCCESS")

        assert stored(run).progress_percentage == 50
        assert progress(run, completed_tasks=["b", "c"]).progress_percentage == 75
        assert stored(run).completed_tasks == ["a", "b", "c"]

    def test_never_falls_while_running(self):
        run = started(total_tasks=2)
        progress(run, completed_tasks=["a"])

        assert progress(run, total_tasks=10).progress_percentage == 50
        assert progress(run, completed_tasks=list("bcdef")).progress_percentage == 60

    def test_is_whole_only_at_the_end(self):
        run = started(total_tasks=1)

        assert progress(run, completed_tasks=["a"]).progress_percentage == 99
        assert end(run, "COMPLETED").progress_percentage == 100

    def test_an_empty_report_is_a_sign_of_life_and_none_of_progress(self):
        run = started()

        found = progress(run, now=NOON + MINUTE)

        assert (found.heartbeat_at, found.progressed_at) == (NOON + MINUTE, NOON)

    def test_other_words_for_what_it_does_are_a_sign_of_progress(self):
        run = started()
        progress(run, now=NOON + 10 * SECOND, current_operation="row 1,000")
        progress(run, now=NOON + 40 * SECOND, current_operation="row 1,000")
        found = progress(run, now=NOON + 90 * SECOND, current_operation="row 2,000")

        assert found.progressed_at == NOON + 90 * SECOND
        assert found.longest_pause_seconds == 80

    def test_clears_a_stuck_run(self):
        run = make_execution(health=Health.STUCK, stuck_since=NOON).pk

        progress(run)
        assert stored(run).health == Health.STUCK
        progress(run, current_operation="goes on")
        assert (stored(run).health, stored(run).stuck_since) == (Health.OK, None)

    def test_a_late_report_sets_no_clock_back(self):
        run = started()
        progress(run, now=NOON + HOUR, completed_tasks=["a"])

        found = progress(run, now=NOON + MINUTE, completed_tasks=["b"])

        assert (found.heartbeat_at, found.progressed_at) == (NOON + HOUR, NOON + HOUR)

    def test_keeps_the_peak_of_memory_and_the_last_word_on_the_rest(self):
        run = started()
        progress(run, cpu_usage_avg=80.5, memory_peak_mb=Decimal(900), disk_io_mb=1.25)
        found = progress(run, cpu_usage_avg=20, memory_peak_mb=300.0, disk_io_mb=7)

        assert (found.cpu_usage_avg, found.memory_peak_mb, found.disk_io_mb) == (20, 900, 7)

    @pytest.mark.parametrize(
        "values",
        [
            {"cpu_usage_avg": float("nan")},
            {"memory_peak_mb": Decimal("NaN")},
            {"disk_io_mb": float("inf")},
            {"cpu_usage_avg": -1},
            {"memory_peak_mb": 10**12},
            {"total_tasks": -1},
            {"total_tasks": 2**31},
            {"completed_tasks": [f"task {n}" for n in range(10_001)]},
        ],
    )
    def test_refuses_what_is_no_measure(self, values):
        run = started()
        before = every_bit()

        with pytest.raises(RefusedReport) as refusal:
            progress(run, **values)

        assert [error.pointer for error in refusal.value.errors] == [f"/{next(iter(values))}"]
        assert every_bit() == before

    def test_refuses_more_tasks_than_it_keeps_also_when_they_come_in_parts(self):
        run = started()
        progress(run, completed_tasks=[f"task {n}" for n in range(9_000)])

        with pytest.raises(RefusedReport):
            progress(run, completed_tasks=[f"more {n}" for n in range(2_000)])

    def test_keeps_texts_that_a_database_cannot_hold_or_should_not(self):
        run = started()

        found = progress(
            run,
            current_operation="read\0 https://me:hunter2@venue.example " + "x" * 600,
            completed_tasks=["a\0b"],
        )

        assert "hunter2" not in found.current_operation
        assert len(found.current_operation) == 500
        assert found.completed_tasks == ["a\N{REPLACEMENT CHARACTER}b"]

    def test_costs_a_handful_of_queries_however_many_steps_there_are(self):
        run = started(total_tasks=200)
        for number in range(50):
            make_step(execution=stored(run), step_name=f"s{number}", status="SUCCESS")

        with CaptureQueriesContext(
            connection,
        ) as queries:
            progress(run, completed_tasks=["a", "b"])

        statements = [q["sql"] for q in queries if "SAVEPOINT" not in q["sql"]]
        assert len(statements) <= 4


class TestSteps:
    def test_begin_and_end(self):
        run = started(total_tasks=1)

        first, created = step(run, "read", "RUNNING", now=NOON + SECOND)
        second, again = step(run, "read", "SUCCESS", now=NOON + MINUTE, result_data={"rows": 3})

        assert (created, again) == (True, False)
        assert first.pk == second.pk
        found = step_of(run, "read")
        assert (found.status, found.result_data) == (StepStatus.SUCCESS, {"rows": 3})
        assert found.duration_seconds == 59

    def test_may_come_already_ended(self):
        run = started()

        step(run, "read", "SUCCESS", timestamp_start=NOON - MINUTE, timestamp_end=NOON - SECOND)

        assert step_of(run, "read").duration_seconds == 59

    def test_the_same_report_again_has_no_effect(self):
        run = started()
        report = {"result_data": {"x": 0.1}, "error_message": "", "timestamp_end": NOON}
        step(run, "read", "SUCCESS", **report)
        before = every_bit()

        _, created = step(run, "read", "SUCCESS", now=NOON + HOUR, **report)

        assert not created
        assert every_bit() == before

    def test_the_same_report_again_is_heard_even_when_the_run_has_ended(self):
        run = started()
        step(run, "read", "SUCCESS")
        end(run, "COMPLETED")
        before = every_bit()

        step(run, "read", "SUCCESS")

        assert every_bit() == before

    @pytest.mark.parametrize("status", ["PENDING", "RUNNING", "FAILED", "SKIPPED"])
    def test_a_final_one_never_turns_into_another(self, status):
        run = started()
        step(run, "read", "SUCCESS")
        before = every_bit()

        with pytest.raises(IllegalTransition):
            step(run, "read", status)

        assert every_bit() == before

    def test_a_final_one_never_gets_other_content(self):
        run = started()
        step(run, "read", "SUCCESS", result_data={"rows": 3})

        with pytest.raises(Conflict) as conflict:
            step(run, "read", "SUCCESS", result_data={"rows": 4})

        assert [error.pointer for error in conflict.value.errors] == ["/result_data"]

    def test_an_error_joins_those_of_the_run(self):
        run = started()

        step(
            run,
            "read",
            "FAILED_INSUFFICIENT_DATA",
            error_type="TooShort",
            error_message="14 of 90 days",
            error_traceback="Traceback …",
            reason="insufficient_historical_data",
        )

        found = stored(run)
        assert found.error_count == 1
        assert found.errors == [
            {
                "step": "read",
                "error_type": "TooShort",
                "error_message": "14 of 90 days",
                "traceback": "Traceback …",
                "timestamp": NOON.isoformat(),
            }
        ]
        assert step_of(run, "read").reason == "insufficient_historical_data"

    def test_keep_neither_secrets_nor_floods(self):
        run = started()

        step(
            run,
            "read",
            "FAILED",
            error_type="Refused\0",
            error_message="https://me:hunter2@venue.example " + "x" * 50_000,
            error_traceback="begin" + "y" * 200_000 + "the end",
            result_data={"api_key": "abc", "ratio": float("nan")},
        )

        found = step_of(run, "read")
        assert "hunter2" not in found.error_message
        assert (len(found.error_message), len(found.error_traceback)) == (10_000, 50_000)
        assert found.error_traceback.endswith("the end")
        assert found.result_data == {"api_key": "[redacted]", "ratio": "nan"}
        (listed,) = stored(run).errors
        assert (len(listed["error_message"]), len(listed["traceback"])) == (2_000, 8_000)

    def test_errors_are_counted_beyond_those_that_are_listed(self):
        run = started()
        many = [{"error_type": "Odd", "error_message": f"no {n}"} for n in range(500)]

        end(run, "FAILED", errors=many)

        found = stored(run)
        assert found.error_count == 500
        assert len(found.errors) == 200
        assert found.errors[-1]["error_message"] == "no 499"

    def test_those_of_our_own_runs_are_not_for_others(self):
        run = work.plan_run(
            execution_type="OURS", runner="r", steps=[work.PlannedStep("a")], now=NOON
        )
        before = every_bit()

        with pytest.raises(IllegalTransition):
            step(run.pk, "a", "RUNNING")

        assert every_bit() == before

    def test_do_not_end_before_they_start(self):
        run = started()

        with pytest.raises(RefusedReport):
            step(run, "a", "SUCCESS", timestamp_start=NOON, timestamp_end=NOON - SECOND)
        with pytest.raises(RefusedReport):
            step(run, "a", "SUCCESS", timestamp_end=NOON + HOUR)
        assert not ExecutionStep.objects.exists()


class TestFinish:
    def test_ends_a_run_and_keeps_its_word(self):
        run = started()

        found = end(run, "COMPLETED", now=NOON + MINUTE)

        assert (found.status, found.reported_status) == (S.COMPLETED, S.COMPLETED)
        assert (found.timestamp_end, found.duration_seconds) == (NOON + MINUTE, 60)

    def test_a_run_in_which_17_of_18_tasks_failed_is_not_completed(self):
        run = started(total_tasks=18)
        for number in range(18):
            step(run, f"task {number}", "FAILED" if number else "SUCCESS")

        found = end(run, "COMPLETED")

        assert (found.status, found.reported_status) == (S.PARTIAL_SUCCESS, S.COMPLETED)
        assert found.progress_percentage == 100

    def test_a_run_in_which_all_tasks_failed_has_failed(self):
        run = started()
        step(run, "only", "FAILED")

        assert end(run, "COMPLETED").status == S.FAILED

    def test_a_run_that_left_tasks_out_is_not_completed(self):
        run = started(total_tasks=4)
        progress(run, completed_tasks=["a"])

        found = end(run, "COMPLETED")

        assert (found.status, found.progress_percentage) == (S.PARTIAL_SUCCESS, 25)

    def test_its_last_report_counts(self):
        run = started(total_tasks=2)
        progress(run, completed_tasks=["a"])

        found = end(run, "COMPLETED", report=ProgressReport(completed_tasks=["b"]))

        assert (found.status, found.progress_percentage) == (S.COMPLETED, 100)

    def test_ends_the_steps_that_are_open(self):
        run = started()
        step(run, "begun", "RUNNING")
        step(run, "planned", "PENDING")

        end(run, "CANCELLED")

        assert step_of(run, "begun").status == StepStatus.CANCELLED
        assert step_of(run, "planned").status == StepStatus.SKIPPED
        assert step_of(run, "planned").timestamp_end == NOON + HOUR

    def test_the_same_word_again_has_no_effect(self):
        run = started(total_tasks=2)
        end(run, "COMPLETED")
        assert stored(run).status == S.FAILED
        before = every_bit()

        end(run, "COMPLETED", now=NOON + 2 * HOUR)

        assert every_bit() == before

    @pytest.mark.parametrize("status", ["PENDING", "RUNNING"])
    def test_ends_only_as_something_final(self, status):
        with pytest.raises(IllegalTransition):
            end(started(), status)

    @pytest.mark.parametrize("status", ["COMPLETED", "PARTIAL_SUCCESS"])
    def test_a_run_that_never_began_has_not_succeeded(self, status):
        run = started(status="PENDING")

        with pytest.raises(IllegalTransition):
            end(run, status)
        assert end(run, "FAILED").status == S.FAILED

    def test_refuses_an_end_that_cannot_be(self):
        run = started()

        for moment in (NOON - SECOND, NOON + 10 * HOUR):
            with pytest.raises(RefusedReport):
                end(run, "COMPLETED", timestamp_end=moment)
        assert stored(run).status == S.RUNNING

    def test_counts_the_pause_before_its_end(self):
        run = started()

        assert end(run, "COMPLETED", now=NOON + MINUTE).longest_pause_seconds == 60


class TestCancel:
    def test_a_waiting_run_ends_at_once(self):
        run = started(status="PENDING")

        assert request_cancel(Execution.objects.all(), by="ada", now=NOON + MINUTE) == 1

        found = stored(run)
        assert (found.status, found.cancel_requested_by) == (S.CANCELLED, "ada")
        assert found.timestamp_end == NOON + MINUTE

    def test_a_running_one_is_asked_and_acknowledges(self):
        run = started()

        assert request_cancel(Execution.objects.all(), by="ada", now=NOON) == 1
        assert request_cancel(Execution.objects.all(), by="bob", now=NOON + HOUR) == 0

        found = stored(run)
        assert (found.status, found.cancel_requested_by) == (S.RUNNING, "ada")
        assert end(run, "CANCELLED").status == S.CANCELLED

    def test_a_wish_that_comes_too_late_changes_nothing(self):
        for status in sorted(FINAL):
            make_execution(status=status)
        before = every_bit()

        assert request_cancel(Execution.objects.all(), by="ada", now=NOON) == 0
        assert every_bit() == before


class TestRetry:
    def test_makes_a_new_run_that_points_to_the_old(self):
        old = started(metadata={"depth": 3}, symbols=["A", "B"], lease_seconds=77, total_tasks=5)
        end(old, "FAILED")

        new = retry_execution(execution_id=old, by="ada", now=NOON)

        new.refresh_from_db()
        assert (new.status, new.retry_of_id, new.triggered_by) == (S.PENDING, old, "ada")
        assert (new.metadata, new.symbols, new.lease_seconds) == ({"depth": 3}, ["A", "B"], 77)
        assert new.total_tasks == 5
        assert stored(old).status == S.FAILED

    def test_of_one_of_ours_plans_its_steps_anew(self):
        steps = [work.PlannedStep("a"), work.PlannedStep("b", 1, {"pair": 0.5})]
        old = work.plan_run(execution_type="OURS", runner="r", steps=steps, now=NOON)
        request_cancel(Execution.objects.all(), by="ada", now=NOON)

        new = retry_execution(execution_id=old.pk, by="ada", now=NOON)

        found = new.steps.order_by("pk").values_list("step_name", "stage", "status", "parameters")
        assert list(found) == [("a", 0, "PENDING", {}), ("b", 1, "PENDING", {"pair": 0.5})]
        assert (new.runner, new.total_tasks) == ("r", 2)

    @pytest.mark.parametrize("status", ["PENDING", "RUNNING"])
    def test_waits_until_the_old_one_is_over(self, status):
        run = started(status=status)

        with pytest.raises(IllegalTransition):
            retry_execution(execution_id=run, by="ada", now=NOON)
        assert retry(Execution.objects.all(), by="ada", now=NOON) == 0
        assert Execution.objects.count() == 1

    def test_of_many_takes_those_that_are_over(self):
        started()
        for _ in range(3):
            end(started(), "FAILED")

        assert retry(Execution.objects.all(), by="ada", now=NOON) == 3
        assert Execution.objects.filter(retry_of__isnull=False).count() == 3

    def test_under_the_same_new_id_is_made_once(self):
        old, other = started(), started()
        end(old, "FAILED")

        first = retry_execution(execution_id=old, by="ada", now=NOON, new_id="again")
        second = retry_execution(execution_id=old, by="ada", now=NOON, new_id="again")

        assert first.pk == second.pk
        with pytest.raises(Conflict):
            retry_execution(execution_id=old, by="ada", now=NOON, new_id=other)

    def test_ids_tell_what_and_when(self):
        name = new_execution_id("SYMBOL_ADDITION", NOON)

        assert name.startswith("symbol_addition_20260302_120000_")
        assert name != new_execution_id("SYMBOL_ADDITION", NOON)


def attempts(run, now):
    """Return one call of every verb that would move a final run, each beside its name."""
    stale = ExecutionStep(
        pk=run.steps.get(step_name="claimed").pk, execution=run, attempt=1, step_name="claimed"
    )
    others = sorted(FINAL - {S(run.status)})
    rows = Execution.objects.filter(pk=run.pk)
    lease = timedelta(minutes=1)
    return [
        lambda: begin(execution_id=run.pk, now=now),
        lambda: progress(run.pk, now=now, completed_tasks=["late"], cpu_usage_avg=5),
        lambda: progress(run.pk, now=now),
        lambda: step(run.pk, "new", "RUNNING", now=now),
        lambda: step(run.pk, "done", "FAILED", now=now),
        lambda: step(run.pk, "done", "SUCCESS", now=now, result_data={"other": 1}),
        *[lambda to=to: end(run.pk, to, now=now, errors=[{"step": "late"}]) for to in others],
        lambda: work.add_steps(execution_id=run.pk, steps=[work.PlannedStep("x")], now=now),
        lambda: work.skip_steps(execution_id=run.pk, now=now, reason="late"),
        lambda: work.finish_step(step=stale, status=StepStatus.SUCCESS, now=now),
        lambda: work.keep_step(step=stale, now=now, lease=lease),
        lambda: request_cancel(rows, by="ada", now=now),
        lambda: work.claim_step(runner=run.runner or "r", now=now, lease=lease),
        lambda: (work.give_back_steps(now=now), work.close_runs(now=now)),
    ]


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_64_illegal_transitions_from_8_threads_change_nothing(self):
        calls = []
        for place, status in enumerate(sorted(FINAL)):
            run = make_execution(
                status=status, runner="r" if place % 2 else "", timestamp_start=NOON
            )
            make_step(execution=run, step_name="done", status=StepStatus.SUCCESS)
            make_step(execution=run, step_name="claimed", status=StepStatus.CANCELLED, attempt=1)
            calls += attempts(run, NOON + 1000 * HOUR)
        assert len(calls) == 64
        before = every_bit()

        def thread(number):
            outcomes = []
            for call in calls[number::8]:
                try:
                    outcomes.append(call())
                except DomainError as error:
                    outcomes.append(error.status)
            return outcomes

        found = at_once([lambda number=number: thread(number) for number in range(8)])

        outcomes = [outcome for each in found for outcome in each]
        assert len(outcomes) == 64
        assert all(one in (409, False, None, 0, (0, 0)) for one in outcomes)
        assert outcomes.count(409) == 44
        assert every_bit() == before

    def test_the_sweep_leaves_final_runs_alone(self):
        for status in sorted(FINAL):
            run = make_execution(status=status, timestamp_start=NOON, heartbeat_at=NOON)
            make_step(execution=run, status=StepStatus.SUCCESS)
        before = every_bit()

        at_once([lambda: watching.watch_executions(now=NOON + 1000 * HOUR)] * 8)
        at_once([lambda: watching.watch_executions(now=NOON + 1000 * HOUR + MINUTE)] * 8)

        assert every_bit() == before

    @pytest.mark.parametrize("_", range(5))
    def test_of_two_ends_exactly_one_wins(self, _):
        run = started()

        found = at_once([lambda: end(run, "COMPLETED"), lambda: end(run, "FAILED")])

        lost = [one for one in found if isinstance(one, IllegalTransition)]
        (won,) = [one for one in found if isinstance(one, Execution)]
        assert len(lost) == 1
        assert stored(run).status == won.status

    def test_a_heartbeat_never_wakes_the_dead(self):
        runs = [started() for _ in range(8)]
        beats = [
            lambda run=run: [progress(run, now=NOON + n * SECOND) for n in range(20)]
            for run in runs
        ]
        ends = [lambda run=run: end(run, "FAILED", now=NOON + MINUTE) for run in runs]

        found = at_once(beats[:4] + ends[:4])

        assert all(isinstance(one, list | ExecutionEnded | Execution) for one in found)
        ended = [stored(run) for run in runs[:4]]
        assert {run.status for run in ended} == {S.FAILED}
        assert {run.timestamp_end for run in ended} == {NOON + MINUTE}

    def test_one_start_sent_eight_times_is_stored_once(self):
        row = Sent()

        found = at_once([lambda: start_executions([row], now=NOON)] * 8)

        assert sorted(one.created for one in found) == [0] * 7 + [1]
        assert sum(one.unchanged for one in found) == 7

    def test_one_step_reported_eight_times_is_stored_once(self):
        run = started()

        found = at_once([lambda: step(run, "read", "FAILED", error_message="no")] * 8)

        assert sorted(created for _, created in found) == [False] * 7 + [True]
        assert stored(run).error_count == 1

    def test_wishes_for_all_runs_do_not_wait_for_each_other_in_a_circle(self):
        for _ in range(40):
            started(status="PENDING")
        forward, backward = (Execution.objects.order_by(name) for name in ("pk", "-pk"))

        found = at_once(
            [
                lambda rows=rows: request_cancel(rows, by="ada", now=NOON)
                for rows in (forward, backward)
            ]
        )

        assert sum(found) == 40
