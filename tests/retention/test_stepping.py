"""Runs of retention: planned, archived, deleted, counted; and what stops them half-way."""

from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import pglock
import psycopg
import pytest
from django.conf import settings
from django.contrib.admin.utils import quote
from django.db import OperationalError, connection

from apps.bots.models import Fill, Order, Trade
from apps.executions.choices import ExecutionStatus, StepStatus
from apps.executions.models import Execution
from apps.executions.services.wishes import request_cancel, retry_execution
from apps.logs.models import Notification, SystemLog
from apps.market.models import CacheInvalidation
from apps.retention.choices import ArchiveStatus
from apps.retention.models import Archive, RetentionPolicy
from apps.retention.services import archiving, emptying, stepping, turns
from apps.retention.services.policies import change_policy, ensure_policies
from apps.retention.services.runs import plan_nightly, plan_retention
from apps.shared import partitions
from apps.shared.retention import archives, months, snapshots
from tests.factories import make_cache_invalidation, make_system_log, make_trade
from tests.retention.trades import NOW, everything, make_trees

pytestmark = pytest.mark.django_db(transaction=True)
OLD_MONTH = date(2019, 12, 1)


@pytest.fixture(autouse=True)
def small(tmp_path, settings, monkeypatch):
    """Archives in a folder of the test, of four roots in blocks of two."""
    settings.ARCHIVE_ROOT = tmp_path / "archives"
    settings.ARCHIVE_RESERVE = 0
    monkeypatch.setattr(archiving, "PART_ROWS", 4)
    monkeypatch.setattr(snapshots, "BLOCK_ROWS", 2)
    ensure_policies(now=NOW)


def plan(dataset="trades"):
    return plan_retention(dataset=dataset, by="ada", now=NOW)


def work(now=NOW):
    return stepping.work(clock=lambda: now, joined=lambda: None)


def run(dataset="trades", now=NOW):
    execution = plan(dataset)
    work(now)
    execution.refresh_from_db()
    return execution


def steps_of(execution):
    return {step.step_name: step for step in execution.steps.all()}


def states_of(execution):
    return {name: step.status for name, step in steps_of(execution).items()}


def policy(name="trades"):
    return RetentionPolicy.objects.get(dataset=name)


@contextmanager
def at_call(monkeypatch, module, name, number, do):
    """Have ``do`` happen before the call of this number of a function."""
    calls, original = [], getattr(module, name)

    def called(*args, **kwargs):
        calls.append(name)
        if len(calls) == number:
            do()
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(module, name, called)
        yield


@pytest.fixture
def month():
    """A month of two lines that is old."""
    partitions.make_months("system_logs", [OLD_MONTH])
    for day in (1, 2):
        make_system_log(timestamp=datetime(2019, 12, day, tzinfo=UTC))
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS system_logs_2019_12, system_logs_2019_12_leaving")


class TestARun:
    def test_frees_exactly_what_was_planned(self):
        make_trees(5)
        kept = [make_trade(), make_trade(closed=True), make_trees(1, exit_time=NOW)[0]]
        stays = everything()

        execution = run()

        assert execution.status == ExecutionStatus.COMPLETED, execution.errors
        assert list(Trade.objects.filter(parent_trade=None).order_by("pk")) == sorted(
            kept, key=lambda each: str(each.pk)
        )
        assert (Order.objects.count(), Fill.objects.count()) == (1, 1)
        assert all(row in stays[table] for table, rows in everything().items() for row in rows)
        counted = steps_of(execution)["count"].result_data
        assert (counted["freed"], counted["planned"], counted["remaining"]) == (25, 5, 0)
        assert counted["kept"]["live"] == 2

    def test_writes_archives_before_anything_leaves(self):
        make_trees(5)
        run()

        first, second = Archive.objects.order_by("part")
        assert [(each.roots, each.rows, each.left_rows) for each in (first, second)] == [
            (4, 20, 20),
            (1, 5, 5),
        ]
        assert {first.status, second.status} == {ArchiveStatus.KEPT}
        assert first.emptied_at == NOW
        assert first.tables[0]["table"] == "trades"
        assert (settings.ARCHIVE_ROOT / first.path / "manifest.json").exists()

    def test_tells_its_policy_what_it_freed(self):
        make_trees(5)
        execution = run()

        told = policy()
        assert (told.last_run, told.last_run_at, told.last_rows) == (execution, NOW, 25)
        assert told.last_bytes == steps_of(execution)["plan"].result_data["bytes"] > 0
        assert told.last_error == ""

    def test_says_how_far_it_is(self, monkeypatch):
        make_trees(5)
        said = []
        say = turns.Turn.say
        monkeypatch.setattr(
            turns.Turn, "say", lambda self, words: (said.append(words), say(self, words))
        )
        run()

        assert said == [
            "5 rows are to leave",
            "archived 20 of 25 rows",
            "archived 25 of 25 rows",
            "deleted 10 of 25 rows",
            "deleted 20 of 25 rows",
            "deleted 25 of 25 rows",
        ]

    def test_ends_at_once_where_nothing_is_old(self):
        make_trees(1, exit_time=NOW)
        execution = run()

        assert execution.status == ExecutionStatus.COMPLETED
        assert states_of(execution) == {
            "plan": StepStatus.SUCCESS,
            "archive": StepStatus.SKIPPED,
            "delete": StepStatus.SKIPPED,
            "count": StepStatus.SKIPPED,
        }
        assert (policy().last_rows, policy().last_bytes) == (0, 0)
        assert not Archive.objects.exists()

    def test_deletes_in_batches_what_need_not_be_archived(self):
        change_policy(
            policy=policy("cache_invalidations"), changes={"archive": False}, by="ada", now=NOW
        )
        for _ in range(3):
            make_cache_invalidation(invalidated_at=NOW - timedelta(days=91))
        young = make_cache_invalidation(invalidated_at=NOW)

        execution = run("cache_invalidations")

        assert set(steps_of(execution)) == {"plan", "delete", "count"}
        assert list(CacheInvalidation.objects.all()) == [young]
        assert policy("cache_invalidations").last_rows == 3
        assert not Archive.objects.exists()

    def test_deletes_tomorrow_what_was_old_when_it_was_planned(self):
        make_trees(2)
        late = make_trees(1, exit_time=NOW - timedelta(days=89))[0]
        plan()
        work(NOW + timedelta(days=7))

        assert list(Trade.objects.filter(parent_trade=None)) == [late]


class TestMessages:
    def test_go_on_where_the_one_before_ran_out_of_time(self, monkeypatch):
        make_trees(5)
        execution = plan()
        monkeypatch.setattr(turns, "STEP_FOR", timedelta(0))
        monkeypatch.setattr(stepping, "WORK_FOR", timedelta(microseconds=1500))
        ticks = iter(NOW + timedelta(milliseconds=n) for n in range(100_000))
        messages = 0
        while execution.status in ("PENDING", "RUNNING"):
            assert stepping.work(clock=lambda: next(ticks), joined=lambda: None)
            execution.refresh_from_db()
            messages += 1

        assert execution.status == ExecutionStatus.COMPLETED
        assert messages > 6
        assert {step.attempt for step in execution.steps.all()} == {1}
        assert Trade.objects.count() == 0

    def test_do_nothing_while_another_worker_is_at_it(self, other_session):
        plan()
        with other_session("retention.work"):
            assert work() == 0

        assert work() > 0


class TestOtherRuns:
    def test_of_the_same_dataset_end_where_one_is_under_way(self):
        make_trees(5)
        first = run()
        retried = retry_execution(execution_id=first.pk, by="ada", now=NOW)
        Execution.objects.filter(pk=first.pk).update(
            status=ExecutionStatus.RUNNING, timestamp_end=None
        )
        work()
        retried.refresh_from_db()

        assert retried.status == ExecutionStatus.FAILED
        assert first.pk in retried.errors[0]["error_message"]


class TestWhatDied:
    def test_is_emptied_by_the_next_run_before_it_archives_anew(self, monkeypatch):
        make_trees(6)
        dead = plan()
        with at_call(monkeypatch, emptying, "delete_block", 2, lambda: 1 / 0):
            work()
        dead.refresh_from_db()
        assert dead.status == ExecutionStatus.FAILED
        assert policy().last_rows == 10
        assert sorted(Archive.objects.values_list("status", flat=True)) == ["emptying", "written"]
        more = make_trees(1)

        execution = run()

        assert execution.status == ExecutionStatus.COMPLETED
        assert set(Archive.objects.values_list("status", flat=True)) == {"kept"}
        assert list(Archive.objects.filter(execution=execution).values_list("roots", "part")) == [
            (len(more), 1)
        ]
        assert steps_of(execution)["count"].result_data["earlier"] == 20
        assert policy().last_rows == 25
        assert not Trade.objects.exists()

    def test_is_emptied_also_where_nothing_is_archived_any_more(self, monkeypatch):
        make_trees(3)
        plan()
        with at_call(monkeypatch, emptying, "delete_block", 1, lambda: 1 / 0):
            work()
        change_policy(policy=policy(), changes={"archive": False}, by="ada", now=NOW)

        execution = run()

        assert execution.status == ExecutionStatus.COMPLETED
        (kept,) = Archive.objects.all()
        assert (kept.status, kept.left_rows) == (ArchiveStatus.KEPT, 15)

    def test_leaves_no_folder_that_nobody_knows(self, monkeypatch):
        make_trees(3)
        plan()

        def die(*args, **values):
            raise SystemExit

        with monkeypatch.context() as patch:
            patch.setattr(archiving, "store", die)
            with pytest.raises(SystemExit):
                work()
        (folder,) = (settings.ARCHIVE_ROOT / "trades").glob("*/*")
        Execution.objects.update(cancel_requested_at=NOW)
        Execution.objects.get().steps.filter(status="RUNNING").update(leased_until=NOW)
        stepping.work(clock=lambda: NOW + timedelta(hours=1), joined=lambda: None)
        Execution.objects.update(status="FAILED", timestamp_end=NOW)
        run()

        assert not folder.exists()
        assert Archive.objects.get().rows == 15


class TestAWishToStop:
    def test_is_heard_between_blocks(self, monkeypatch):
        make_trees(4)
        execution = plan()

        def wish():
            request_cancel(Execution.objects.all(), by="ada", now=NOW)

        with at_call(monkeypatch, emptying, "delete_block", 1, wish):
            work()
        execution.refresh_from_db()

        assert execution.status == ExecutionStatus.CANCELLED
        assert policy().last_error == "Called off by ada."
        (archive,) = Archive.objects.all()
        assert (archive.status, archive.blocks_done, archive.left_rows) == ("emptying", 1, 10)
        assert Trade.objects.filter(parent_trade=None).count() == 2

        run()
        archive.refresh_from_db()
        assert (archive.status, archive.left_rows) == ("kept", 20)


class TestAPolicyThatTurnsMeanwhile:
    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"age_days": 365}, "was changed after the run was planned"),
            ({"held_until": NOW + timedelta(days=1)}, "rows were restored"),
            ({"exemptions": []}, "was changed after the run was planned"),
        ],
    )
    def test_stops_the_run_before_anything_leaves(self, changes, words, monkeypatch):
        make_trees(3)
        before = everything()
        execution = plan()

        def turn():
            RetentionPolicy.objects.filter(dataset="trades").update(**changes)

        with at_call(monkeypatch, stepping, "empty_own", 1, turn):
            work()
        execution.refresh_from_db()

        assert execution.status == ExecutionStatus.FAILED
        assert words in policy().last_error
        assert everything() == before

    def test_forbidden_at_night_fails_its_run_alone(self):
        make_trees(1)
        old = make_cache_invalidation(invalidated_at=NOW - timedelta(days=91))
        RetentionPolicy.objects.filter(dataset="trades").update(exemptions=[])
        runs = {each.metadata["dataset"]: each for each in plan_nightly(now=NOW)}
        while work():
            pass
        for each in runs.values():
            each.refresh_from_db()

        assert runs["trades"].status == ExecutionStatus.FAILED
        assert "Live trades are never deleted" in runs["trades"].errors[0]["error_message"]
        assert Trade.objects.count() == 3
        ended = {each.status for name, each in runs.items() if name != "trades"}
        assert ended == {ExecutionStatus.COMPLETED}
        assert not CacheInvalidation.objects.filter(pk=old.pk).exists()
        (told,) = Notification.objects.filter(what="retention_failed")
        assert told.link == f"/admin/executions/execution/{quote(runs['trades'].pk)}/change/"


def flip(name="0_trades.parquet"):
    """Turn a bit in the middle of a file."""
    (file,) = settings.ARCHIVE_ROOT.glob(f"*/*/*/{name}")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


class TestDamage:
    def test_of_a_file_stops_the_deletion(self, monkeypatch):
        make_trees(3)
        before = everything()
        execution = plan()
        with at_call(monkeypatch, stepping, "empty_own", 1, flip):
            work()
        execution.refresh_from_db()

        assert execution.status == ExecutionStatus.FAILED
        assert states_of(execution)["count"] == StepStatus.SKIPPED
        assert everything() == before
        archive = Archive.objects.get()
        assert archive.status == ArchiveStatus.DAMAGED
        assert "0_trades.parquet" in archive.note
        told = Notification.objects.get(what="archive_damaged")
        assert told.level == "critical"
        assert told.link == f"/admin/retention/archive/{archive.pk}/change/"

    def test_is_followed_by_a_run_that_archives_anew(self, monkeypatch):
        make_trees(3)
        plan()
        with at_call(monkeypatch, stepping, "empty_own", 1, flip):
            work()
        execution = run()

        assert execution.status == ExecutionStatus.COMPLETED
        assert not Trade.objects.exists()
        assert sorted(Archive.objects.values_list("status", "left_rows")) == [
            ("damaged", 0),
            ("kept", 15),
        ]


class TestAMonth:
    def test_leaves_whole(self, month):
        execution = run("system_logs")

        assert execution.status == ExecutionStatus.COMPLETED
        assert OLD_MONTH not in partitions.existing_months("system_logs")
        archive = Archive.objects.get()
        assert (archive.month, archive.status, archive.left_rows) == (OLD_MONTH, "kept", 2)

    def test_that_was_taken_out_goes_back_where_its_archive_is_damaged(self, month, monkeypatch):
        plan("system_logs")
        with at_call(monkeypatch, months, "drop_compared", 1, lambda: 1 / 0):
            work()
        assert not partitions.detached_months("system_logs")
        assert SystemLog.objects.count() == 2
        flip("0_system_logs.parquet")

        assert run("system_logs").status == ExecutionStatus.FAILED
        assert SystemLog.objects.count() == 2
        assert run("system_logs").status == ExecutionStatus.COMPLETED
        assert not partitions.detached_months("system_logs")
        assert not SystemLog.objects.exists()
        assert list(Archive.objects.order_by("pk").values_list("status", "left_rows")) == [
            ("damaged", 0),
            ("kept", 2),
        ]


class TestReaders:
    def test_hold_a_month_up_for_a_while(self, month, monkeypatch):
        execution = plan("system_logs")

        def read(**values):
            raise OperationalError("canceling statement due to lock timeout")

        with monkeypatch.context() as patch:
            patch.setattr(emptying, "leave_month", read)
            assert work() == 2
            assert work() == 0
        execution.refresh_from_db()
        assert execution.status == ExecutionStatus.RUNNING

        work()
        execution.refresh_from_db()
        assert execution.status == ExecutionStatus.COMPLETED
        assert OLD_MONTH not in partitions.existing_months("system_logs")
        assert policy("system_logs").last_rows == 2

    def test_make_the_run_give_up_when_they_stay(self, month, monkeypatch):
        execution = plan("system_logs")

        def read(**values):
            raise OperationalError("canceling statement due to lock timeout")

        monkeypatch.setattr(emptying, "leave_month", read)
        monkeypatch.setattr(emptying, "MOST_WAITS", 2)
        work()
        work()
        execution.refresh_from_db()

        assert execution.status == ExecutionStatus.FAILED
        assert policy("system_logs").last_error == (
            "December 2019 could not leave: somebody uses it."
        )
        assert SystemLog.objects.count() == 2


class TestAFullDisk:
    def test_stops_the_run_before_anything_leaves(self, settings):
        make_trees(3)
        before = everything()
        settings.ARCHIVE_RESERVE = 1 << 62

        execution = run()

        assert execution.status == ExecutionStatus.FAILED
        assert steps_of(execution)["archive"].reason == "no_room"
        assert "free" in policy().last_error
        assert everything() == before
        assert not list(settings.ARCHIVE_ROOT.glob("*/*/*"))

    def test_found_while_writing_is_told_as_such(self, monkeypatch):
        make_trees(1)

        def full(*args, **values):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(archives, "write_manifest", full)
        execution = run()

        assert steps_of(execution)["archive"].reason == "no_room"
        assert Trade.objects.count() == 3
        assert not list(settings.ARCHIVE_ROOT.glob("*/*/*"))

    def test_that_cannot_be_written_to_is_told_in_words(self, settings):
        make_trees(1)
        settings.ARCHIVE_ROOT.parent.mkdir(parents=True, exist_ok=True)
        settings.ARCHIVE_ROOT.write_text("no folder")

        run()

        assert policy().last_error == "The archives cannot be written or read: not a directory."
        assert Trade.objects.count() == 3


class TestALostWorker:
    def test_leads_to_no_deletion_and_is_taken_up_by_the_next_run(self, monkeypatch):
        make_trees(3)
        execution = plan()
        steps = execution.steps
        steps.filter(step_name="plan").update(
            status="SUCCESS", timestamp_end=NOW, result_data={"months": [], "rows": 3}
        )
        steps.filter(step_name="archive").update(
            status="FAILED", timestamp_end=NOW, error_message="Its worker was lost 3 times."
        )
        work()
        execution.refresh_from_db()

        assert execution.status == ExecutionStatus.FAILED
        assert "lost 3 times" in policy().last_error
        assert Trade.objects.count() == 9
        assert run().status == ExecutionStatus.COMPLETED
        assert not Trade.objects.exists()


@pytest.fixture
def other_session():
    """Hold an advisory lock from another session, as another worker does."""

    @contextmanager
    def held(name):
        number = pglock.advisory(name).int_lock_id
        with psycopg.connect(**connection.get_connection_params()) as session:
            session.execute("SELECT pg_advisory_lock(%s)", [number])
            yield
            session.execute("SELECT pg_advisory_unlock(%s)", [number])

    return held
