"""Tables cut into months: no row is refused, none is lost, and nobody waits for long."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest
from django.db import IntegrityError, OperationalError, connection, connections, transaction

from apps.logs.models import PerformanceLog, SystemLog
from apps.shared import partitions

pytestmark = pytest.mark.django_db(transaction=True)

TABLE = "system_logs"
MONTH = date(2019, 12, 1)
INSIDE = datetime(2019, 12, 24, 18, 30, tzinfo=UTC)
AFTER = datetime(2020, 1, 1, tzinfo=UTC)
SOON = timedelta(milliseconds=100)


@pytest.fixture(autouse=True)
def no_partitions_left() -> Iterator[None]:
    """Leave the tables as they were: partitions outlive the emptying of tables."""
    yield
    with connection.cursor() as cursor:
        for table in (TABLE, "performance_logs"):
            for month in partitions.existing_months(table):
                if month.year < 2021:
                    cursor.execute(f"DROP TABLE {partitions.partition_name(table, month)}")
            for month in partitions.detached_months(table):
                cursor.execute(f"DROP TABLE {partitions.detached_name(table, month)}")


def line(moment: datetime, message: str = "said") -> SystemLog:
    return SystemLog.objects.create(timestamp=moment, logger_name="app", message=message)


def home_of(entry: SystemLog | PerformanceLog) -> str:
    """Return the name of the partition that holds an entry."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT tableoid::regclass::text FROM {entry._meta.db_table} WHERE id = %s",
            [entry.pk],
        )
        (name,) = cursor.fetchone()
    return str(name)


@contextmanager
def another() -> Iterator[psycopg.Connection]:
    """Yield a connection of somebody else."""
    with psycopg.connect(
        host=connection.settings_dict["HOST"],
        port=connection.settings_dict["PORT"] or None,
        user=connection.settings_dict["USER"] or None,
        password=connection.settings_dict["PASSWORD"] or None,
        dbname=connection.settings_dict["NAME"],
    ) as other:
        yield other


@contextmanager
def reader() -> Iterator[psycopg.Connection]:
    """Have somebody read the table in a transaction that stays open."""
    with another() as other:
        other.execute(f"SELECT count(*) FROM {TABLE}")
        yield other


class TestMonths:
    def test_a_month_is_that_of_the_day_in_utc(self) -> None:
        eastern = datetime.fromisoformat("2020-01-01T01:00:00+02:00")
        assert partitions.month_of(eastern) == MONTH

    def test_months_go_on_after_december(self) -> None:
        assert partitions.months_from(date(2019, 11, 30), 4) == [
            date(2019, 11, 1), MONTH, date(2020, 1, 1), date(2020, 2, 1),
        ]  # fmt: skip

    def test_the_month_after_january_is_february_also_from_its_last_day(self) -> None:
        assert partitions.next_month(date(2021, 1, 31)) == date(2021, 2, 1)


class TestTables:
    @pytest.mark.parametrize("table", ["system_logs", "user_action_logs"])
    def test_this_month_and_the_next_two_are_there_from_the_beginning(self, table: str) -> None:
        coming = partitions.months_from(partitions.month_of(datetime.now(UTC)), 3)
        # The database was made a moment ago; a month may have begun since.
        assert len(set(coming) & set(partitions.existing_months(table))) >= 2

    def test_a_line_of_now_goes_into_its_month(self) -> None:
        now = datetime.now(UTC)
        assert home_of(line(now)) == partitions.partition_name(TABLE, now.date())

    def test_a_line_of_a_missing_month_is_kept(self) -> None:
        assert home_of(line(INSIDE)) == "system_logs_other"

    def test_the_key_is_the_id_with_the_time(self) -> None:
        first = line(INSIDE)
        with pytest.raises(IntegrityError):
            SystemLog.objects.create(pk=first.pk, timestamp=INSIDE, logger_name="", message="")


class TestMaking:
    def test_late_lines_move_when_their_month_is_made(self) -> None:
        early, late, next_one = (
            line(datetime(2019, 12, 1, tzinfo=UTC)),
            line(AFTER - timedelta(microseconds=1)),
            line(AFTER),
        )
        assert partitions.make_months(TABLE, [MONTH]) == [MONTH]
        assert [home_of(each) for each in (early, late, next_one)] == [
            "system_logs_2019_12", "system_logs_2019_12", "system_logs_other",
        ]  # fmt: skip
        assert SystemLog.objects.count() == 3

    def test_moved_lines_are_the_same_as_before(self) -> None:
        stored = line(INSIDE, "ünchanged \x1b[31m")
        before = SystemLog.objects.values().get(pk=stored.pk)
        partitions.make_months(TABLE, [MONTH])
        assert SystemLog.objects.values().get(pk=stored.pk) == before

    def test_rows_with_a_computed_column_move_too(self) -> None:
        stored = PerformanceLog.objects.create(
            timestamp=INSIDE, operation_name="load", duration_ms=Decimal("1.5"), status="timeout"
        )
        partitions.make_months("performance_logs", [MONTH])
        assert home_of(stored) == "performance_logs_2019_12"
        assert PerformanceLog.objects.get(pk=stored.pk).severity == "WARNING"

    def test_the_months_of_waiting_lines_are_known(self) -> None:
        line(INSIDE)
        line(AFTER)
        line(datetime(2018, 5, 5, tzinfo=UTC))
        found = partitions.months_without_partition(TABLE, since=date(2019, 1, 1))
        assert found == [MONTH, date(2020, 1, 1)]

    def test_a_month_that_is_there_is_left_alone(self) -> None:
        partitions.make_months(TABLE, [MONTH])
        assert partitions.make_months(TABLE, [MONTH]) == []

    def test_two_may_make_the_same_month_at_once(self) -> None:
        line(INSIDE)
        begin = threading.Barrier(4)

        def make() -> list[date]:
            begin.wait()
            try:
                return partitions.make_months(TABLE, [MONTH])
            finally:
                connections.close_all()

        with ThreadPoolExecutor(4) as pool:
            made = [task.result() for task in [pool.submit(make) for _ in range(4)]]
        assert sorted(made) == [[], [], [], [MONTH]]
        assert SystemLog.objects.count() == 1

    def test_a_new_month_has_key_indexes_and_checks_of_its_table(self) -> None:
        partitions.make_months(TABLE, [MONTH])
        question = """
            SELECT count(*), count(*) FILTER (WHERE indisprimary) FROM pg_index
            WHERE indrelid = %s::regclass AND indisvalid
        """
        checks = (
            "SELECT count(*) FROM pg_constraint WHERE contype = 'c' AND conrelid = %s::regclass"
        )
        found = []
        for name in (TABLE, "system_logs_2019_12", "system_logs_other"):
            with connection.cursor() as cursor:
                cursor.execute(question, [name])
                indexes = cursor.fetchone()
                cursor.execute(checks, [name])
                found.append((indexes, cursor.fetchone()))
        assert found[0] == found[1] == found[2]
        assert found[0][0][1] == 1
        # A check that the attaching needs must not stay behind as well.
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_inherits JOIN pg_index ON indexrelid = inhrelid "
                "WHERE indrelid = 'system_logs_2019_12'::regclass"
            )
            assert cursor.fetchone() == (found[0][0][0],)

    def test_it_gives_up_where_somebody_keeps_adding_to_these_months(self) -> None:
        with another() as other:
            other.execute(
                "INSERT INTO system_logs (timestamp, correlation_id, metadata, level, logger_name,"
                " message, module, function_name, thread_name)"
                " VALUES (%s, '', '{}', 'INFO', '', 'open', '', '', '')",
                [INSIDE],
            )
            with pytest.raises(OperationalError):
                partitions.make_months(TABLE, [MONTH], patience=SOON)
            other.commit()
        assert partitions.existing_months(TABLE)[0] != MONTH
        assert partitions.make_months(TABLE, [MONTH]) == [MONTH]
        assert SystemLog.objects.get().message == "open"


class TestDetaching:
    def test_a_month_goes_with_its_lines_and_nothing_else(self) -> None:
        partitions.make_months(TABLE, [MONTH])
        line(INSIDE)
        kept = line(AFTER)
        assert partitions.detach_month(TABLE, MONTH)
        assert list(SystemLog.objects.values_list("pk", flat=True)) == [kept.pk]
        assert MONTH not in partitions.existing_months(TABLE)

    def test_it_stands_beside_its_table_until_it_is_dropped(self) -> None:
        partitions.make_months(TABLE, [MONTH])
        line(INSIDE)
        partitions.detach_month(TABLE, MONTH)
        assert partitions.detached_months(TABLE) == [MONTH]
        assert partitions.detached_months("performance_logs") == []
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {partitions.detached_name(TABLE, MONTH)}")
            assert cursor.fetchone() == (1,)
        assert partitions.drop_detached(TABLE, MONTH)
        assert partitions.detached_months(TABLE) == []
        assert not partitions.drop_detached(TABLE, MONTH)

    def test_a_month_that_is_not_there_is_no_error(self) -> None:
        assert not partitions.detach_month(TABLE, MONTH)

    def test_a_line_for_a_month_that_is_out_is_kept(self) -> None:
        partitions.make_months(TABLE, [MONTH])
        partitions.detach_month(TABLE, MONTH)
        late = line(INSIDE)
        assert home_of(late) == "system_logs_other"
        # The month may even be made anew meanwhile.
        assert partitions.make_months(TABLE, [MONTH]) == [MONTH]
        assert home_of(late) == "system_logs_2019_12"
        assert partitions.drop_detached(TABLE, MONTH)
        assert SystemLog.objects.get() == late

    def test_behind_an_open_reader_it_gives_up_and_nothing_has_changed(self) -> None:
        partitions.make_months(TABLE, [MONTH])
        line(INSIDE)
        with reader(), pytest.raises(OperationalError):
            partitions.detach_month(TABLE, MONTH, patience=SOON)
        assert SystemLog.objects.count() == 1
        assert partitions.detach_month(TABLE, MONTH)

    def test_it_waits_for_a_reader_who_comes_to_an_end(self) -> None:
        partitions.make_months(TABLE, [MONTH])
        with reader() as other:
            end = threading.Timer(1, other.commit)
            end.start()
            assert partitions.detach_month(TABLE, MONTH)
            end.join()

    def test_others_go_on_adding_lines_behind_an_open_reader(self) -> None:
        partitions.make_months(TABLE, [MONTH])
        over = threading.Event()

        def add() -> int:
            added = 0
            try:
                while not over.is_set():
                    line(datetime.now(UTC))
                    added += 1
            finally:
                connections.close_all()
            return added

        with ThreadPoolExecutor(1) as pool, reader():
            adding = pool.submit(add)
            try:
                for _ in range(3):
                    with pytest.raises(OperationalError):
                        partitions.detach_month(TABLE, MONTH, patience=timedelta(0))
            finally:
                over.set()
            added = adding.result()
        assert added > 0
        assert SystemLog.objects.count() == added

    def test_a_transaction_around_it_keeps_its_own_settings(self) -> None:
        partitions.make_months(TABLE, [MONTH])
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            before = cursor.fetchone()
            partitions.detach_month(TABLE, MONTH)
            cursor.execute("SHOW lock_timeout")
            assert cursor.fetchone() == before
