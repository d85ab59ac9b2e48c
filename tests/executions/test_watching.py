"""The watch: lost runs end, stuck ones are marked, and our own down time is nobody's fault."""

import json
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.executions.choices import ExecutionStatus, Health, StepStatus
from apps.executions.domain import liveness
from apps.executions.models import Execution, Watch
from apps.executions.services.runs import (
    ExecutionEnded,
    IllegalTransition,
    ProgressReport,
    finish,
    report_progress,
    request_cancel,
)
from apps.executions.services.watching import mark_stuck, watch_executions
from apps.executions.services.work import PlannedStep, claim_step, finish_step, plan_run
from apps.logs.models import Notification
from tests.executions.rows import HOUR, MINUTE, NOON, SECOND, every_bit, stored
from tests.factories import make_execution, make_step, make_watch
from tests.threads import at_once

pytestmark = pytest.mark.django_db

S = ExecutionStatus
TICK = 15 * SECOND
# An idle look: the watch's own row, the door, lost, stuck, leases, runs to be closed, runners.
QUERIES_OF_A_LOOK = 7


@pytest.fixture
def awake():
    """The watch has looked for a day without a break, last just before noon."""
    return make_watch(name="executions", looked_at=NOON - TICK, awake_since=NOON - 24 * HOUR)


def running(heard=NOON, progressed=None, **values):
    return make_execution(
        timestamp_start=NOON - 10 * HOUR,
        heartbeat_at=heard,
        progressed_at=progressed or heard,
        **values,
    ).pk


def statements(queries):
    """Return how many statements there were, besides those that frame a transaction."""
    return len([q for q in queries if q["sql"] not in ("BEGIN", "COMMIT")])


def read_whole(plan):
    """Return the tables that a plan reads from end to end."""
    found = {plan["Relation Name"]} if plan["Node Type"] == "Seq Scan" else set()
    return found.union(*map(read_whole, plan.get("Plans", [])))


def look(start, end):
    """Look every fifteen seconds."""
    now = start
    while now <= end:
        watch_executions(now=now)
        now += TICK


def ended_well(*pauses, kind="NIGHTLY", status=S.COMPLETED):
    for number, seconds in enumerate(pauses):
        make_execution(
            execution_type=kind,
            status=status,
            timestamp_start=NOON - 20 * HOUR,
            timestamp_end=NOON - (len(pauses) - number) * MINUTE,
            longest_pause_seconds=Decimal(seconds),
        )


@pytest.mark.usefixtures("awake")
class TestLost:
    def test_a_run_that_is_not_heard_of_ends_as_failed_and_is_told(self):
        run = running(heard=NOON - 301 * SECOND, symbol="BTC/USD")
        make_step(execution=stored(run), step_name="read", status=StepStatus.RUNNING)
        make_step(execution=stored(run), step_name="save", status=StepStatus.PENDING)

        watch_executions(now=NOON)

        found = stored(run)
        assert (found.status, found.health) == (S.FAILED, Health.LOST)
        assert (found.timestamp_end, found.error_count) == (NOON, 1)
        (error,) = found.errors
        assert (error["error_type"], error["step"]) == ("Lost", "read")
        assert error["timestamp"] == NOON.isoformat()
        assert set(found.steps.values_list("step_name", "status", "error_type")) == {
            ("read", "FAILED", "Lost"),
            ("save", "SKIPPED", ""),
        }
        told = Notification.objects.get()
        assert (told.what, told.subject) == ("execution_lost", "Lost: NIGHTLY of BTC/USD")

    def test_a_run_is_given_its_whole_lease(self):
        run = running(heard=NOON - 300 * SECOND)

        watch_executions(now=NOON)

        assert stored(run).status == S.RUNNING

    def test_each_run_has_its_own_lease(self):
        patient, hasty = (running(NOON - MINUTE, lease_seconds=n) for n in (90, 30))

        watch_executions(now=NOON)

        assert (stored(patient).status, stored(hasty).status) == (S.RUNNING, S.FAILED)

    def test_a_lost_run_is_told_once(self):
        running(heard=NOON - HOUR)

        look(NOON, NOON + 2 * MINUTE)

        assert Notification.objects.count() == 1

    def test_a_lost_run_takes_no_late_report(self):
        run = running(heard=NOON - HOUR)
        watch_executions(now=NOON)
        before = every_bit()

        with pytest.raises(ExecutionEnded):
            report_progress(execution_id=run, now=NOON, report=ProgressReport())

        assert every_bit() == before

    def test_the_list_of_errors_stays_short(self):
        many = [{"error_message": f"no {n}"} for n in range(200)]
        run = running(heard=NOON - HOUR, errors=many, error_count=900)

        watch_executions(now=NOON)

        found = stored(run)
        assert (len(found.errors), found.error_count) == (200, 901)
        assert found.errors[:100] == many[:100]
        assert found.errors[100:199] == many[101:]
        assert found.errors[199]["error_type"] == "Lost"

    def test_the_link_and_the_key_bear_any_id(self):
        for name in ("a/b_c d?", "x" * 255):
            running(heard=NOON - HOUR, execution_id=name)

        watch_executions(now=NOON)

        links = set(Notification.objects.values_list("link", flat=True))
        assert "/admin/executions/execution/a_2Fb_5Fc d_3F/change/" in links
        assert len(links) == 2

    def test_waiting_and_final_ones_are_left_alone(self):
        make_execution(status=S.PENDING)
        make_execution(status=S.COMPLETED, timestamp_start=NOON, heartbeat_at=NOON)
        before = every_bit()

        watch_executions(now=NOON + 100 * HOUR)

        assert every_bit() == before


class TestDownTimeOfOurs:
    def test_makes_nobody_lost(self):
        run = running(heard=NOON - 2 * HOUR)
        make_watch(name="executions", looked_at=NOON - 2 * HOUR, awake_since=NOON - 9 * HOUR)

        watch_executions(now=NOON)

        assert stored(run).status == S.RUNNING
        assert Watch.objects.get(name="executions").awake_since == NOON

    def test_does_not_save_the_dead(self):
        run = running(heard=NOON - 2 * HOUR)

        look(NOON, NOON + 300 * SECOND)
        assert stored(run).status == S.RUNNING
        watch_executions(now=NOON + 315 * SECOND)
        assert stored(run).status == S.FAILED

    def test_of_a_minute_is_none(self):
        make_watch(name="executions", looked_at=NOON - MINUTE, awake_since=NOON - 9 * HOUR)

        watch_executions(now=NOON)

        assert Watch.objects.get(name="executions").awake_since == NOON - 9 * HOUR

    def test_makes_nobody_stuck(self):
        run = running(heard=NOON, progressed=NOON - 2 * HOUR)

        watch_executions(now=NOON)
        assert stored(run).health == Health.OK

    def test_tells_no_spell_twice(self):
        run = running(heard=NOON + 9 * HOUR, progressed=NOON - 2 * HOUR)
        make_watch(name="executions", looked_at=NOON - TICK, awake_since=NOON - 9 * HOUR)
        watch_executions(now=NOON)
        watch_executions(now=NOON + HOUR)
        assert stored(run).health == Health.OK

        mark_stuck(awake=NOON + HOUR, now=NOON + 3 * HOUR)

        assert stored(run).health == Health.STUCK
        assert Notification.objects.count() == 1


@pytest.mark.usefixtures("awake")
class TestAClosedDoor:
    """While no web server is up, programs outside cannot report."""

    def door(self, noted, opened):
        make_watch(name="door", looked_at=noted, awake_since=opened)

    def test_makes_nobody_lost_or_stuck(self):
        run = running(heard=NOON - 2 * HOUR)
        self.door(noted=NOON - 21 * SECOND, opened=NOON - 9 * HOUR)

        look(NOON, NOON + HOUR)

        assert (stored(run).status, stored(run).health) == (S.RUNNING, Health.OK)

    def test_that_has_opened_extends_the_deadlines(self):
        run = running(heard=NOON - 2 * HOUR)
        self.door(noted=NOON + 300 * SECOND, opened=NOON)

        look(NOON, NOON + 300 * SECOND)
        assert stored(run).status == S.RUNNING
        watch_executions(now=NOON + 301 * SECOND)
        assert stored(run).status == S.FAILED

    def test_that_was_open_all_along_changes_nothing(self):
        run = running(heard=NOON - 2 * HOUR)
        self.door(noted=NOON - SECOND, opened=NOON - 9 * HOUR)

        watch_executions(now=NOON)

        assert stored(run).status == S.FAILED


@pytest.mark.usefixtures("awake")
class TestStuck:
    def test_a_run_without_progress_for_three_times_the_usual_is_told(self):
        ended_well(100, 200, 300)
        early = running(progressed=NOON - 600 * SECOND)
        late = running(progressed=NOON - 601 * SECOND, symbol="ETH/USD")

        watch_executions(now=NOON)

        assert (stored(early).health, stored(late).health) == (Health.OK, Health.STUCK)
        assert stored(late).stuck_since == NOON
        assert stored(late).status == S.RUNNING
        told = Notification.objects.get()
        assert (told.what, told.subject) == ("execution_stuck", "Stuck: NIGHTLY of ETH/USD")

    def test_progress_ends_the_spell_and_the_next_one_is_told_anew(self):
        run = running(progressed=NOON - 2 * HOUR)
        look(NOON, NOON + MINUTE)
        assert Notification.objects.count() == 1

        report = ProgressReport(completed_tasks=["a"])
        report_progress(execution_id=run, now=NOON + MINUTE, report=report)
        assert (stored(run).health, stored(run).stuck_since) == (Health.OK, None)
        Execution.objects.update(heartbeat_at=NOON + 3 * HOUR)
        mark_stuck(awake=NOON - HOUR, now=NOON + 3 * HOUR)

        assert stored(run).health == Health.STUCK
        assert Notification.objects.count() == 2

    def test_is_not_cleared_by_mere_signs_of_life(self):
        run = running(progressed=NOON - 2 * HOUR)
        watch_executions(now=NOON)

        report_progress(execution_id=run, now=NOON + SECOND, report=ProgressReport())
        watch_executions(now=NOON + TICK)

        assert stored(run).health == Health.STUCK

    def test_ends_with_the_run(self):
        run = running(progressed=NOON - 2 * HOUR)
        watch_executions(now=NOON)

        finish(execution_id=run, status=S.COMPLETED, now=NOON + SECOND)

        assert (stored(run).health, stored(run).stuck_since) == (Health.OK, None)

    @pytest.mark.parametrize(
        "pauses",
        [
            [],
            [5, 5],
            [5, 7, 9],
            [100, 200, 5000],
            [100, 200, 300, 400],
            [9999] * 30 + [100] * 20,
            [100] * 30 + [900] * 11,
        ],
    )
    def test_has_the_patience_that_the_rule_says(self, pauses):
        ended_well(*pauses)
        ended_well(7777, 7777, 7777, kind="OTHER")
        ended_well(7777, 7777, 7777, status=S.FAILED)
        last = pauses[-liveness.LAST_RUNS :]
        long = liveness.patience(list(map(Decimal, last)), times=3, otherwise=HOUR)
        run = running(heard=NOON + 24 * HOUR, progressed=NOON)

        mark_stuck(awake=NOON - HOUR, now=NOON + long)
        assert stored(run).health == Health.OK
        mark_stuck(awake=NOON - HOUR, now=NOON + long + timedelta(microseconds=1))
        assert stored(run).health == Health.STUCK

    def test_a_partial_success_is_a_good_end(self):
        ended_well(100, 100, 100, status=S.PARTIAL_SUCCESS)
        run = running(progressed=NOON - 301 * SECOND)

        watch_executions(now=NOON)

        assert stored(run).health == Health.STUCK


@pytest.mark.usefixtures("awake")
class TestOurOwnRuns:
    def planned(self, *names):
        steps = [PlannedStep(name) for name in names or ("a", "b")]
        return plan_run(execution_type="OURS", runner="tests.run", steps=steps, now=NOON).pk

    def claim(self, now=NOON):
        return claim_step(runner="tests.run", now=now, lease=2 * MINUTE)

    def test_runners_with_work_are_named_once(self):
        self.planned()
        self.planned()
        plan_run(execution_type="X", runner="tests.other", steps=[PlannedStep("a")], now=NOON)
        wished = plan_run(execution_type="X", runner="tests.no", steps=[PlannedStep("a")], now=NOON)
        request_cancel(Execution.objects.filter(pk=wished.pk), by="ada", now=NOON)

        assert watch_executions(now=NOON) == ["tests.other", "tests.run"]

    def test_a_step_whose_worker_is_gone_is_done_by_another(self):
        run = self.planned("only")
        self.claim()
        assert watch_executions(now=NOON + MINUTE) == []

        assert watch_executions(now=NOON + 3 * MINUTE) == ["tests.run"]
        step = self.claim(now=NOON + 3 * MINUTE)
        finish_step(step=step, status=StepStatus.SUCCESS, now=NOON + 4 * MINUTE)
        watch_executions(now=NOON + 4 * MINUTE)

        assert (step.attempt, stored(run).status) == (2, S.COMPLETED)

    def test_a_run_whose_step_kills_its_workers_ends(self):
        run = self.planned("only")
        now = NOON
        while self.claim(now=now):
            look(now, now + 3 * MINUTE)
            now += 3 * MINUTE

        assert stored(run).status == S.FAILED
        assert stored(run).errors[0]["error_type"] == "WorkerLost"

    def test_one_that_waits_for_a_worker_is_not_lost(self):
        run = self.planned()
        finish_step(step=self.claim(), status=StepStatus.SUCCESS, now=NOON)

        look(NOON, NOON + 10 * MINUTE)

        assert stored(run).status == S.RUNNING

    def test_one_that_shall_end_ends(self):
        run = self.planned()
        finish_step(step=self.claim(), status=StepStatus.SUCCESS, now=NOON)
        request_cancel(Execution.objects.all(), by="ada", now=NOON)

        assert watch_executions(now=NOON + SECOND) == []
        assert stored(run).status == S.CANCELLED


@pytest.mark.django_db(transaction=True)
class TestCosts:
    def test_a_look_costs_the_same_for_any_number_of_runs(self):
        for number in range(30):
            running(execution_type=f"KIND_{number}")
        watch_executions(now=NOON)

        with CaptureQueriesContext(connection) as queries:
            watch_executions(now=NOON + TICK)

        assert statements(queries) == QUERIES_OF_A_LOOK

    def test_a_tale_costs_one_query_each(self):
        for _ in range(10):
            running(heard=NOON - HOUR)
        make_watch(name="executions", looked_at=NOON, awake_since=NOON - HOUR)

        with CaptureQueriesContext(connection) as queries:
            watch_executions(now=NOON + SECOND)

        # And one for the steps of those that are lost.
        assert statements(queries) == QUERIES_OF_A_LOOK + 1 + 10

    def test_one_statement_judges_ten_thousand_without_reading_the_past(self):
        with connection.cursor() as cursor:
            cursor.execute(
                """INSERT INTO execution_logs (execution_id, execution_type, symbol, symbols,
                    status, timestamp_start, timestamp_end, triggered_by, server_id, version,
                    errors, completed_tasks, metadata, heartbeat_at, progressed_at, lease_seconds)
                SELECT 'run-' || n, 'KIND_' || n %% 20, '', '[]', CASE WHEN n <= 10000
                    THEN 'RUNNING' ELSE 'FAILED' END, %(now)s,
                    CASE WHEN n > 10000 THEN %(now)s END, '', '', '', '[]', '[]', '{}',
                    %(now)s, %(now)s, 300
                FROM generate_series(1, 30000) n""",
                {"now": NOON},
            )
            cursor.execute("ANALYZE execution_logs")
        plans = []

        def explained(execute, sql, params, many, context):
            if "WITH gone" in sql or "WITH kinds" in sql:
                with connection.cursor().cursor as raw:
                    raw.execute("EXPLAIN (FORMAT JSON) " + sql, params)
                    plans.append(json.dumps(raw.fetchone()[0]))
            return execute(sql, params, many, context)

        with connection.execute_wrapper(explained):
            watch_executions(now=NOON + SECOND)

        assert len(plans) == 2
        # Of small tables, such as the steps here, nothing is said.
        assert "execution_logs" not in read_whole(json.loads(plans[0])[0]["Plan"])


@pytest.mark.django_db(transaction=True)
class TestTwoWatchesAtOnce:
    def test_end_each_lost_run_once_and_tell_it_once(self):
        runs = [running(heard=NOON - HOUR) for _ in range(40)]
        make_watch(name="executions", looked_at=NOON, awake_since=NOON - HOUR)

        found = at_once([lambda: watch_executions(now=NOON + SECOND)] * 6)

        assert found == [[]] * 6
        assert {stored(run).error_count for run in runs} == {1}
        assert Notification.objects.count() == 40

    def test_mark_each_stuck_run_once_and_tell_it_once(self):
        runs = [running(progressed=NOON - 2 * HOUR) for _ in range(40)]
        make_watch(name="executions", looked_at=NOON, awake_since=NOON - 9 * HOUR)

        at_once([lambda: watch_executions(now=NOON + SECOND)] * 6)

        assert {stored(run).health for run in runs} == {Health.STUCK}
        assert Notification.objects.count() == 40

    def test_a_run_that_ends_by_itself_meanwhile_is_lost_or_ended_and_never_both(self):
        runs = [running(heard=NOON - HOUR) for _ in range(30)]
        make_watch(name="executions", looked_at=NOON, awake_since=NOON - HOUR)

        def end_all():
            for run in runs:
                with suppress(IllegalTransition):
                    finish(execution_id=run, status=S.COMPLETED, now=NOON + SECOND)

        found = at_once([end_all, lambda: watch_executions(now=NOON + SECOND)])
        watch_executions(now=NOON + 2 * SECOND)

        assert found == [None, []]
        ends = {(stored(run).status, stored(run).health, stored(run).error_count) for run in runs}
        assert ends <= {(S.COMPLETED, Health.OK, 0), (S.FAILED, Health.LOST, 1)}
        lost = Execution.objects.filter(health=Health.LOST).count()
        assert Notification.objects.count() == lost
