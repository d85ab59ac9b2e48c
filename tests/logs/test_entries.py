"""Entries reach their tables complete, clean, and under ids of their own."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from psycopg.errors import UniqueViolation

from apps.logs.models import (
    ENTRIES,
    ErrorGroup,
    ErrorLog,
    PerformanceLog,
    RecentActivity,
    SystemLog,
    TradingEvent,
    UserActionLog,
)
from apps.logs.services.entries import complete, store_entries, take_ids, write
from tests.factories import (
    make_performance_log,
    make_system_log,
    make_trading_event,
    make_user_action_log,
)

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
LINE = {"level": "INFO", "logger_name": "bots.grid", "message": "started"}

pytestmark = pytest.mark.django_db


class TestStoreEntries:
    def test_gives_each_row_an_id_in_its_order(self):
        rows = [LINE | {"message": f"line {number}"} for number in range(2_500)]
        ids = store_entries(model=SystemLog, rows=rows, now=NOW)

        stored = SystemLog.objects.in_bulk(ids)
        assert [stored[pk].message for pk in ids] == [row["message"] for row in rows]

    def test_takes_what_every_table_has(self):
        rows = {
            SystemLog: LINE | {"line_number": 7, "process_id": 2**40},
            TradingEvent: {"event_type": "order_filled", "quantity": Decimal("0.5")},
            PerformanceLog: {"operation_name": "get_features", "duration_ms": Decimal("1.25")},
            ErrorLog: {"error_type": "ValueError"},
            UserActionLog: {"action_type": "login", "ip_address": "2001:db8::7"},
        }
        for model in ENTRIES:
            [pk] = store_entries(model=model, rows=[rows[model]], now=NOW)
            row = model.objects.get(pk=pk)

            assert row.timestamp == NOW
            assert {name: getattr(row, name) for name in rows[model]} == rows[model]

    def test_gives_ids_that_are_unique_over_all_tables(self):
        ids = [*store_entries(model=SystemLog, rows=[LINE] * 3, now=NOW)]
        ids += store_entries(model=TradingEvent, rows=[{"event_type": "x"}] * 3, now=NOW)

        assert len(set(ids)) == 6
        assert RecentActivity.objects.filter(pk__in=ids).count() == 6

    def test_files_a_line_from_the_future_under_now(self):
        ahead = NOW + timedelta(days=400)
        [pk] = store_entries(model=SystemLog, rows=[LINE | {"timestamp": ahead}], now=NOW)

        row = SystemLog.objects.get(pk=pk)
        assert row.timestamp == NOW
        assert row.metadata["sent_timestamp"] == ahead.isoformat()

    def test_leaves_a_clock_that_is_a_little_ahead_alone(self):
        ahead = NOW + timedelta(seconds=30)
        [pk] = store_entries(model=SystemLog, rows=[LINE | {"timestamp": ahead}], now=NOW)

        assert SystemLog.objects.get(pk=pk).timestamp == ahead

    def test_keeps_a_line_of_a_month_without_partition(self):
        old = datetime(1999, 12, 31, 23, 59, tzinfo=UTC)
        [pk] = store_entries(model=SystemLog, rows=[LINE | {"timestamp": old}], now=NOW)

        assert SystemLog.objects.get(pk=pk).timestamp == old

    def test_stores_no_secret_and_nothing_unstorable(self):
        row = {
            "message": "login with password=hunter2 \0 refused",
            "metadata": {"api_key": "sk-live-abcdefghijklmnop", "text": "half \ud800 pair"},
        }
        [pk] = store_entries(model=SystemLog, rows=[LINE | row], now=NOW)

        stored = SystemLog.objects.get(pk=pk)
        assert "hunter2" not in stored.message
        assert "\ufffd" in stored.message
        assert "sk-live" not in str(stored.metadata)
        assert stored.metadata["_altered"]

    def test_stores_nothing_when_it_is_rolled_back(self):
        with transaction.atomic():
            store_entries(model=SystemLog, rows=[LINE], now=NOW)
            transaction.set_rollback(True)

        assert not SystemLog.objects.exists()

    def test_groups_the_errors_among_them(self):
        rows = [{"error_type": "ValueError", "component": "grid"}] * 3
        store_entries(model=ErrorLog, rows=rows, now=NOW)

        [group] = ErrorGroup.objects.all()
        assert group.count == 3
        assert set(ErrorLog.objects.values_list("fingerprint", flat=True)) == {group.fingerprint}


class TestNumbers:
    @pytest.mark.parametrize("value", ["NaN", "-1"])
    @pytest.mark.parametrize(
        ("make", "name"),
        [
            (make_performance_log, "duration_ms"),
            (make_performance_log, "memory_usage_mb"),
            (make_performance_log, "cpu_usage_percent"),
            (make_user_action_log, "duration_ms"),
        ],
    )
    def test_are_never_below_zero_and_never_nan(self, make, name, value):
        row = make()
        with pytest.raises(IntegrityError), transaction.atomic():
            set_raw(row, name, value)

    @pytest.mark.parametrize("name", ["quantity", "price"])
    def test_of_trading_are_never_nan(self, name):
        row = make_trading_event()
        with pytest.raises(IntegrityError), transaction.atomic():
            set_raw(row, name, "NaN")


def set_raw(row, name, value):
    """Write past Django, which knows no NaN."""
    with connection.cursor() as cursor:
        table = row._meta.db_table
        cursor.execute(f"UPDATE {table} SET {name} = %s::numeric WHERE id = %s", [value, row.pk])


class Interrupted:
    """A cursor between whose ids others take theirs."""

    def __init__(self, cursor):
        self.cursor = cursor

    def execute(self, statement, values):
        taken = "(SELECT nextval('log_entries_id_seq') AS id FROM"
        assert taken in statement
        gaps = "nextval('log_entries_id_seq') * 0 + nextval('log_entries_id_seq')"
        self.cursor.execute(statement.replace("nextval('log_entries_id_seq')", gaps), values)

    def fetchone(self):
        return self.cursor.fetchone()


class TestTakeIds:
    def test_gives_ids_that_follow_one_another(self):
        with connection.cursor() as cursor:
            ids = take_ids(cursor, 1_000)
            later = take_ids(cursor, 1)

        assert list(ids) == list(range(ids[0], ids[0] + 1_000))
        assert later[0] > ids[-1]

    def test_gives_those_between_which_others_took_theirs(self):
        with connection.cursor() as cursor:
            ids = take_ids(Interrupted(cursor), 10)

        assert list(ids) == list(range(ids[0], ids[0] + 20, 2))

    def test_takes_none_for_nothing(self):
        with connection.cursor() as cursor:
            assert list(take_ids(cursor, 0)) == []


class TestWrite:
    def test_refuses_ids_that_were_written_already(self):
        with connection.cursor() as cursor:
            ids = take_ids(cursor, 2)
            rows = list(complete(SystemLog, [LINE] * 2, now=NOW))
            write(cursor, SystemLog, ids, rows, now=NOW)
            with pytest.raises(UniqueViolation), transaction.atomic():
                write(cursor, SystemLog, ids, rows, now=NOW)

        assert SystemLog.objects.count() == 2


class TestWords:
    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            ("order", True),
            ("ORDER late", True),
            ("BTC/USD", True),
            ("btc-usd", True),
            ("lat", True),
            ("ate", False),
            ("order missing", False),
            ("'", False),
            ("!! ??", False),
            ("late' | 'x", False),
        ],
    )
    def test_finds_all_words_each_at_least_as_a_beginning(self, asked, found):
        make_system_log(message="Order BTC/USD is late")

        assert SystemLog.objects.with_words(asked).exists() == found

    def test_finds_everything_without_a_word(self):
        make_system_log()

        assert SystemLog.objects.with_words(" ").count() == 1

    def test_finds_words_of_other_scripts(self):
        make_system_log(message="Verkäufe über Börse 市场 закрыт")

        for word in ("verkäu", "市场", "закрыт"):
            assert SystemLog.objects.with_words(word).exists(), word

    def test_finds_the_beginning_of_a_message_longer_than_any_index_takes(self):
        make_system_log(message="needle " + "x" * 5_000_000)

        assert SystemLog.objects.with_words("needle").exists()
