"""Whole months leave: nobody waits, nothing is lost, and whatever is in no archive comes back."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.db.models import Q
from django.test import override_settings

from apps.logs.models import SystemLog
from apps.logs.services.partitions import make_partitions
from apps.shared import partitions
from apps.shared.retention import months, snapshots
from apps.shared.retention.archives import write_part
from apps.shared.retention.datasets import Exemption, Rule, dataset
from apps.shared.retention.deleting import Left, delete_block
from apps.shared.retention.manifests import Manifest, resolve
from apps.shared.retention.months import leave_month, months_to_leave
from apps.shared.retention.selecting import plan

pytestmark = pytest.mark.django_db(transaction=True)

TABLE = "system_logs"
MONTH = date(2019, 12, 1)
INSIDE = datetime(2019, 12, 24, 18, 30, tzinfo=UTC)
NOW = datetime(2020, 6, 15, tzinfo=UTC)
# At its real size: MONTH_ROWS=850000 MONTH_READING_SECONDS=60, with pytest's --timeout=900 -s.
ROWS = int(os.environ.get("MONTH_ROWS", "3000"))
READING = float(os.environ.get("MONTH_READING_SECONDS", "1.5"))
LONGEST_WAIT = 0.1
INSERT = (
    "INSERT INTO system_logs (timestamp, correlation_id, metadata, level, logger_name, message,"
    " module, function_name, thread_name) VALUES (now(), '', '{}', 'INFO', 'bench', 'goes on', '',"
    " '', '')"
)


@pytest.fixture(autouse=True)
def archive_root(tmp_path: Path) -> Iterator[None]:
    with override_settings(ARCHIVE_ROOT=tmp_path, ARCHIVE_RESERVE=0):
        yield


@pytest.fixture(autouse=True)
def the_month() -> Iterator[None]:
    """Have a partition of the month, and leave the table as it was."""
    partitions.make_months(TABLE, [MONTH])
    yield
    with connection.cursor() as cursor:
        for month in partitions.existing_months(TABLE):
            if month.year < 2021:
                cursor.execute(f"DROP TABLE {partitions.partition_name(TABLE, month)}")
        for month in partitions.detached_months(TABLE):
            cursor.execute(f"DROP TABLE {partitions.detached_name(TABLE, month)}")


def rule_of(**changes: Any) -> Rule:
    return Rule(replace(dataset(TABLE), **changes), "timestamp", timedelta(days=90), frozenset())


def line(moment: datetime = INSIDE, message: str = "said") -> SystemLog:
    return SystemLog.objects.create(timestamp=moment, logger_name="app", message=message)


def lines(count: int) -> None:
    """Have so many lines in the month, one a second."""
    line()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO system_logs (timestamp, correlation_id, metadata, level, logger_name,"
            " message, module, function_name, thread_name)"
            " SELECT %s + n * interval '1 second', 'cause-' || n, '{\"a\": 1}', level, logger_name,"
            " message || n, module, function_name, thread_name"
            " FROM system_logs, generate_series(2, %s) AS n",
            [datetime(2019, 12, 2, tzinfo=UTC), count],
        )


def archived(path: str = "logs/1", **options: Any) -> tuple[Path, Manifest]:
    written = write_part(
        rule=rule_of(), now=NOW, path=path, **{"after": None, "month": MONTH} | options
    )
    assert written is not None
    return resolve(Path(settings.ARCHIVE_ROOT), path), written.manifest


def leave(archives: Any, **options: Any) -> Left:
    return leave_month(rule=rule_of(), month=MONTH, archives=archives, **options)


@contextmanager
def another() -> Iterator[psycopg.Connection]:
    """Yield a connection of somebody else."""
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None}) as other:
        yield other


class TestLeaving:
    def test_a_month_goes_with_its_rows_and_nothing_else(self) -> None:
        line()
        kept = line(NOW)
        assert leave([archived()]) == Left(1, [])
        assert SystemLog.objects.get() == kept
        assert MONTH not in partitions.existing_months(TABLE)
        assert partitions.detached_months(TABLE) == []

    def test_a_month_in_several_archives_and_blocks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(snapshots, "BLOCK_ROWS", 3)
        lines(10)
        first = archived(rows=7)
        last = first[1]
        mark = snapshots.Mark(last.last_time, last.last_key)
        told: list[list[Left]] = []
        second = archived("logs/2", after=mark)
        assert leave([first, second], noted=told.append) == Left(10, [])
        assert told == [[Left(7, []), Left(3, [])]]
        assert not SystemLog.objects.exists()

    def test_rows_that_came_meanwhile_come_back(self) -> None:
        line()
        archives = [archived()]
        late = line(message="late")
        assert leave(archives) == Left(1, [])
        assert SystemLog.objects.get() == late
        assert SystemLog.objects.get().message == "late"

    def test_rows_that_differ_come_back_and_are_named(self) -> None:
        same, other = line(), line()
        archives = [archived()]
        SystemLog.objects.filter(pk=other.pk).update(message="changed")
        told: list[list[Left]] = []
        assert leave(archives, noted=told.append) == Left(1, [str(other.pk)])
        assert told == [[Left(1, [str(other.pk)])]]
        assert [each.message for each in SystemLog.objects.all()] == ["changed"]
        assert not SystemLog.objects.filter(pk=same.pk).exists()

    def test_rows_that_are_gone_are_named(self) -> None:
        line()
        gone = line()
        archives, key = [archived()], str(gone.pk)
        gone.delete()
        assert leave(archives) == Left(1, [key])

    def test_a_month_with_more_columns_than_were_archived_comes_back_whole(self) -> None:
        kept = line()
        archives = [archived()]
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE system_logs ADD COLUMN added int DEFAULT 7")
        try:
            assert leave(archives) == Left(0, [str(kept.pk)])
            assert SystemLog.objects.get() == kept
        finally:
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE system_logs DROP COLUMN added")

    def test_an_empty_month_goes_without_an_archive(self) -> None:
        assert leave([]) == Left(0, [])
        assert MONTH not in partitions.existing_months(TABLE)

    def test_without_an_archive_every_row_comes_back(self) -> None:
        kept = line()
        assert leave([]) == Left(0, [])
        assert SystemLog.objects.get() == kept

    def test_a_policy_that_archives_nothing_drops_it_whole(self) -> None:
        line()
        assert leave(None) == Left(1, [])
        assert not SystemLog.objects.exists()

    def test_old_rows_of_the_catch_all_leave_in_blocks(self) -> None:
        line(datetime(2018, 5, 5, tzinfo=UTC))
        inside = line()
        folder, manifest = archived(month=None)
        assert manifest.roots == 1
        left = delete_block(rule=rule_of(), now=NOW, folder=folder, manifest=manifest, block=0)
        assert left == Left(1, [])
        assert SystemLog.objects.get() == inside


class TestKilled:
    def test_behind_the_detaching_it_goes_on(self) -> None:
        line()
        archives = [archived()]
        partitions.detach_month(TABLE, MONTH)
        assert leave(archives) == Left(1, [])
        assert partitions.detached_months(TABLE) == []

    def test_before_the_end_nothing_of_it_has_happened(self) -> None:
        line()
        archives = [archived()]
        late = line(message="late")

        def die(lefts: list[Left]) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            leave(archives, noted=die)
        assert partitions.detached_months(TABLE) == [MONTH]
        assert not SystemLog.objects.exists()
        assert leave(archives) == Left(1, [])
        assert SystemLog.objects.get() == late

    def test_when_all_is_over_it_says_so_again(self) -> None:
        line()
        archives = [archived()]
        leave(archives)
        told: list[list[Left]] = []
        assert leave(archives, noted=told.append) == Left(1, [])
        assert told == []

    def test_a_month_made_anew_meanwhile_takes_what_comes_back(self) -> None:
        line()
        archives = [archived()]
        first = line(message="before")
        partitions.detach_month(TABLE, MONTH)
        second = line(message="behind")
        partitions.make_months(TABLE, [MONTH])
        assert leave(archives) == Left(1, [])
        assert set(SystemLog.objects.all()) == {first, second}
        assert partitions.existing_months(TABLE)[0] == MONTH


class TestWhichMonths:
    def test_those_that_end_before_the_cutoff(self) -> None:
        partitions.make_months(TABLE, partitions.months_from(date(2020, 1, 1), 4))
        # 90 days before is the 17th of March.
        assert months_to_leave(rule_of(), NOW) == partitions.months_from(MONTH, 3)
        assert plan(rule_of(), NOW).months == partitions.months_from(MONTH, 3)

    def test_not_one_of_which_every_row_is_exempt(self) -> None:
        line(message="mine")
        mine = Exemption("mine", "somebody wants it", Q(message="mine"))
        assert months_to_leave(rule_of(never=(mine,)), NOW) == []
        line()
        assert months_to_leave(rule_of(never=(mine,)), NOW) == [MONTH]

    def test_late_lines_do_not_make_it_anew_each_night(self) -> None:
        """A late line makes the month once more, leaves with it, and that is the end of it."""
        line()
        archives = [archived()]
        line(message="late")
        leave(archives)
        assert make_partitions(now=NOW) > 0
        assert months_to_leave(rule_of(), NOW) == [MONTH]
        assert leave([archived("logs/2")]) == Left(1, [])
        make_partitions(now=NOW)
        assert months_to_leave(rule_of(), NOW) == []
        assert not SystemLog.objects.exists()


class Inserts:
    """Somebody who stores one row after the other, and from when to when each of them took."""

    def __init__(self, statement: str) -> None:
        self.statement, self.over = statement, False
        self.times: list[tuple[float, float]] = []

    def __enter__(self) -> "Inserts":
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def run(self) -> None:
        with another() as other:
            other.autocommit = True
            other.execute(self.statement)
            while not self.over:
                begun = time.perf_counter()
                other.execute(self.statement)
                self.times.append((begun, time.perf_counter()))
                time.sleep(0.001)

    def __exit__(self, *failure: object) -> None:
        self.over = True
        self.thread.join()

    def longest_wait(self, beside: "Inserts | None" = None) -> float:
        """Return the longest wait in seconds, but for what others waited at the same time."""
        return max(
            end - begun - sum(max(0, min(end, e) - max(begun, b)) for b, e in slow(beside))
            for begun, end in self.times
        )


def slow(inserts: Inserts | None) -> list[tuple[float, float]]:
    """Return when the machine itself stumbled: rows of a table of its own took long as well."""
    times = [] if inserts is None else inserts.times
    return [(begun, end) for begun, end in times if end - begun > LONGEST_WAIT / 5]


@contextmanager
def reader(seconds: float) -> Iterator[None]:
    """Have somebody read the table in a transaction that stays open for a while."""
    with another() as other:
        other.execute("SELECT count(*) FROM (SELECT FROM system_logs LIMIT 1000) AS first")
        timer = threading.Timer(seconds, other.commit)
        timer.start()
        try:
            yield
        finally:
            timer.join()


class TestWaiting:
    def test_nobody_who_inserts_waits_while_a_month_leaves_behind_an_open_reader(
        self,
    ) -> None:
        lines(ROWS)
        archives = [archived(rows=ROWS)]
        while (last := archives[-1][1]) and sum(each.roots for _, each in archives) < ROWS:
            mark = snapshots.Mark(last.last_time, last.last_key)
            archives.append(archived(f"logs/{len(archives) + 1}", after=mark, rows=ROWS))
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE beside (message text)")
        try:
            with (
                Inserts("INSERT INTO beside VALUES ('goes on')") as beside,
                Inserts(INSERT) as writer,
                reader(READING),
            ):
                left = leave(archives, patience=timedelta(seconds=READING + 20))
        finally:
            with connection.cursor() as cursor:
                cursor.execute("DROP TABLE beside")
        longest = writer.longest_wait(beside)
        figures = {
            "rows": ROWS,
            "inserts": len(writer.times),
            "longest wait": round(longest, 3),
            "with stumbles of the machine": round(writer.longest_wait(), 3),
            "longest wait beside": round(beside.longest_wait(), 3),
        }
        sys.stdout.write(f"{figures}\n")
        assert left == Left(ROWS, [])
        assert SystemLog.objects.filter(timestamp__lt=NOW).count() == 0
        assert longest < LONGEST_WAIT

    def test_behind_a_reader_who_outlasts_the_patience_it_gives_up_and_nothing_is_lost(
        self,
    ) -> None:
        line()
        archives = [archived()]
        with reader(0.5), pytest.raises(OperationalError):
            leave(archives, patience=timedelta(0))
        assert SystemLog.objects.count() == 1
        assert leave(archives) == Left(1, [])

    def test_so_it_does_behind_one_who_reads_the_month_that_was_taken_out(self) -> None:
        line()
        archives = [archived()]
        partitions.detach_month(TABLE, MONTH)
        with another() as other:
            other.execute(f"SELECT FROM {partitions.detached_name(TABLE, MONTH)}")
            with pytest.raises(OperationalError):
                leave(archives, patience=timedelta(0))
            other.commit()
        assert months.is_detached(TABLE, MONTH)
        assert leave(archives) == Left(1, [])
