"""The writer against a real PostgreSQL: nothing twice, nothing lost unseen, nobody held up."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from apps.logs import writer as module
from apps.logs.models import ENTRIES, ErrorGroup, ErrorLog, SystemLog, TradingEvent
from apps.logs.services import batches
from apps.logs.writer import LARGE, LARGE_CAPACITY, NAME, Writer
from apps.shared.copying import BLOCK_ROWS

pytestmark = pytest.mark.django_db(transaction=True)
CHECKOUT = Path(__file__).resolve().parents[2]
LIMIT = 30


def line(message: str = "a line", **values: Any) -> dict[str, Any]:
    usual = {"timestamp": datetime.now(UTC), "level": "INFO", "logger_name": "tests"}
    return {**usual, "message": message, **values}


def stored(**conditions: Any) -> list[str]:
    rows = SystemLog.objects.filter(logger_name="tests", **conditions)
    return list(rows.order_by("id").values_list("message", flat=True))


def told_dropped() -> int:
    """Return how many dropped lines the log itself admits."""
    reports = SystemLog.objects.filter(logger_name=NAME)
    return sum(metadata["dropped"] for metadata in reports.values_list("metadata", flat=True))


def eventually(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def backends() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity "
            "WHERE application_name = %s AND datname = current_database()",
            [batches.APPLICATION_NAME],
        )
        return [pid for (pid,) in cursor.fetchall()]


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a server process for as long as this lasts: it neither works nor says no."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture
def make_writer() -> Iterator[Callable[..., Writer]]:
    made: list[Writer] = []

    def make(**options: Any) -> Writer:
        made.append(Writer(enabled=True, **options))
        return made[-1]

    yield make
    for each in made:
        assert each.close(LIMIT)


@pytest.fixture
def writer(make_writer: Callable[..., Writer]) -> Writer:
    return make_writer()


class TestPut:
    def test_stores_rows_of_several_tables(self, writer):
        writer.put(SystemLog, line("one"))
        writer.put("SystemLog", [line("two"), line("three")])
        writer.put(TradingEvent, {"event_type": "order_filled", "symbol": "BTC/USD"})

        assert writer.flush(LIMIT)
        assert stored() == ["one", "two", "three"]
        assert TradingEvent.objects.get().symbol == "BTC/USD"
        assert (writer.written, writer.dropped) == (4, 0)

    def test_gives_each_row_an_id_of_its_own_over_all_tables(self, writer):
        for model in ENTRIES:
            required = {"duration_ms": 1} if model.__name__ == "PerformanceLog" else {}
            writer.put(model, [required, required])
        assert writer.flush(LIMIT)

        ids = [pk for model in ENTRIES for pk in model.objects.values_list("id", flat=True)]
        assert len(set(ids)) == 10

    def test_takes_rows_of_many_threads(self, writer):
        def work(number: int) -> None:
            for count in range(500):
                writer.put(SystemLog, line(f"{number} {count}"))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

        assert writer.flush(LIMIT)
        assert len(set(stored())) == len(stored()) == 4000

    def test_needs_no_transaction_of_ours(self, writer, django_db_blocker):
        with django_db_blocker.block():
            writer.put(SystemLog, line())
            assert writer.flush(LIMIT)

        assert stored() == ["a line"]

    def test_never_raises(self, writer):
        writer.put(SystemLog, [None])
        writer.put(None, {})

        assert writer.dropped == 2

    def test_does_nothing_where_the_settings_say_so(self, settings):
        settings.LOG_TO_DATABASE = False
        writer = Writer()

        writer.put(SystemLog, line())

        assert writer.flush(LIMIT)
        assert stored() == []

    @pytest.mark.parametrize(
        "text",
        [
            "Grüße 🚀 \u202e",
            "tab\tline\nreturn\rback\\slash \\N",
            "\x1b[31mred\x1b[0m \x07",
            "z" * 200_000,
        ],
        ids=["unicode", "copy", "control", "long"],
    )
    def test_keeps_texts_as_they_are(self, writer, text):
        writer.put(SystemLog, line(text))

        assert writer.flush(LIMIT)
        assert stored() == [text]

    @pytest.mark.parametrize("text", ["a\0b", "a\ud800b"], ids=["nul", "surrogate"])
    def test_keeps_a_line_that_no_column_can_hold(self, writer, text):
        writer.put(SystemLog, [line("before"), line(text), line("after")])

        assert writer.flush(LIMIT)
        before, altered, after = stored()
        assert (before, after) == ("before", "after")
        assert altered[0] + altered[-1] == "ab"
        assert len(altered) == 3

    def test_counts_errors_in_their_groups(self, writer):
        error = {"error_type": "ValueError", "error_message": "no price", "component": "tests"}
        writer.put(ErrorLog, [error, error])

        assert writer.flush(LIMIT)
        assert ErrorLog.objects.count() == ErrorGroup.objects.get().count == 2

    def test_starts_again_after_it_was_closed(self, writer):
        writer.put(SystemLog, line("one"))
        assert writer.close()
        eventually(lambda: backends() == [])

        writer.put(SystemLog, line("two"))

        assert writer.flush(LIMIT)
        assert stored() == ["one", "two"]


class TestFullQueue:
    def test_drops_and_counts_while_the_server_process_stands_still(self, make_writer):
        writer = make_writer(capacity=1000)
        writer.put(SystemLog, line("before"))
        assert writer.flush(LIMIT)
        (pid,) = backends()

        with stopped(pid):
            for count in range(2500):
                writer.put(SystemLog, line(str(count)))
            assert not writer.flush(0.5)

        assert writer.flush(LIMIT)
        eventually(lambda: told_dropped() == writer.dropped)
        missing = 2501 - len(stored())
        assert missing == writer.dropped == told_dropped()
        # Who puts while the thread takes may find room for one more.
        assert 1490 <= missing <= 1500

    def test_is_said_in_the_log(self, make_writer):
        writer = make_writer(capacity=10)

        writer.put(SystemLog, [line(str(count)) for count in range(15)])

        assert writer.flush(LIMIT)
        report = SystemLog.objects.get(logger_name=NAME)
        assert report.message == "5 log lines were dropped: the queue was full"
        assert (report.level, report.metadata) == ("WARNING", {"dropped": 5})

    def test_is_full_of_long_texts_before_it_fills_the_memory(self, make_writer, monkeypatch):
        monkeypatch.setattr(module, "LARGE_CAPACITY", 10 * LARGE)
        writer = make_writer()

        writer.put(SystemLog, [line("x" * 2 * LARGE) for _ in range(10)])
        assert writer.flush(LIMIT)
        kept = len(stored())
        writer.put(SystemLog, [line("y" * 2 * LARGE) for _ in range(4)])

        assert writer.flush(LIMIT)
        assert kept == 4
        assert len(stored()) == 8
        assert LARGE_CAPACITY > 200_000 * 100


class TestFlush:
    def test_leaves_no_haste_behind(self, writer):
        for number in range(300):
            writer.put(SystemLog, line(str(number)))
            assert writer.flush(LIMIT)

        assert not writer._hurry.is_set()


class TestPoisonRow:
    # More than a block are written by a thread of their own, which has to hand the error over.
    @pytest.mark.parametrize("size", [300, 3 * BLOCK_ROWS + 7])
    @pytest.mark.parametrize("wrong", [{"level": "LOUD"}, {"timestamp": "yesterday"}])
    def test_is_dropped_alone(self, writer, size, wrong):
        rows = [line(str(count)) for count in range(size)]
        rows[123] = line("poison", **wrong)

        writer.put(SystemLog, rows)

        assert writer.flush(LIMIT)
        assert stored() == [str(count) for count in range(size) if count != 123]
        assert (writer.written, writer.dropped) == (size, 1)  # the report is a line too

    def test_is_said_with_its_reason(self, writer):
        writer.put(SystemLog, line("poison", level="LOUD"))

        assert writer.flush(LIMIT)
        report = SystemLog.objects.get(logger_name=NAME)
        assert report.message == "1 log line was dropped: refused by the database"
        assert "system_logs_level_known" in report.metadata["reason"]

    def test_may_also_be_one_that_python_cannot_write(self, writer):
        writer.put(SystemLog, [line("one"), line("two", timestamp="yesterday"), line("three")])

        assert writer.flush(LIMIT)
        assert stored() == ["one", "three"]
        assert told_dropped() == 1


class TestLostConnection:
    def test_costs_no_row(self, writer):
        for number in range(5):
            writer.put(SystemLog, line(str(number)))
            assert writer.flush(LIMIT)
            with connection.cursor() as cursor:
                for pid in backends():
                    cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

        assert stored() == list("01234")

    def test_in_the_middle_of_batches_doubles_no_row(self, writer):
        lines = [str(number) for number in range(20_000)]
        done = threading.Event()

        def feed() -> None:
            for start in range(0, len(lines), 100):
                writer.put(SystemLog, [line(text) for text in lines[start : start + 100]])
                time.sleep(0.01)
            done.set()

        feeder = threading.Thread(target=feed)
        feeder.start()
        killed = 0
        while not done.is_set():
            with connection.cursor() as cursor:
                for pid in backends():
                    cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
                    killed += 1
            time.sleep(0.05)
        feeder.join()

        assert writer.flush(LIMIT)
        assert killed > 3
        assert sorted(stored(), key=int) == lines
        assert writer.dropped == 0

    def test_after_a_commit_that_nobody_heard_of_doubles_no_row(self, writer, monkeypatch):
        heard = []

        def store_and_lose(link: Any, batch: batches.Batch) -> None:
            real(link, batch)
            if not heard:
                heard.append("only the server")
                link.close()
                raise psycopg.OperationalError("the connection is lost")

        real = batches.store
        monkeypatch.setattr(batches, "store", store_and_lose)
        error = {"error_type": "ValueError", "component": "tests"}

        writer.put(SystemLog, [line("one"), line("two")])
        writer.put(ErrorLog, error)

        assert writer.flush(LIMIT)
        assert stored() == ["one", "two"]
        assert ErrorGroup.objects.get().count == 1
        assert heard

    def test_while_the_database_is_away_rows_wait(self, writer, monkeypatch):
        def refuse() -> None:
            raise psycopg.OperationalError("nobody is there")

        with monkeypatch.context() as patched:
            patched.setattr(batches, "connect", refuse)
            writer.put(SystemLog, line("one"))
            assert not writer.flush(LIMIT, patient=False)
            writer.put(SystemLog, line("two"))

        assert writer.flush(LIMIT)
        assert stored() == ["one", "two"]

    def test_is_said_on_stderr_and_not_in_the_log(self, writer, monkeypatch, capfd):
        def refuse() -> None:
            raise psycopg.OperationalError("nobody is there")

        with monkeypatch.context() as patched:
            patched.setattr(batches, "connect", refuse)
            writer.put(SystemLog, line())
            eventually(lambda: writer._failures > 1)

        assert writer.flush(LIMIT)
        assert capfd.readouterr().err.count("nobody is there") == 1
        assert SystemLog.objects.count() == 1


class TestMistakeInsideTheThread:
    def test_costs_the_rows_at_hand_and_not_the_thread(self, writer, monkeypatch, capfd):
        with monkeypatch.context() as patched:
            patched.setattr(module, "BATCHES", "apps.logs.nowhere")
            writer.put(SystemLog, [line("one"), line("two")])
            eventually(lambda: writer.dropped == 2)
        writer.put(SystemLog, line("three"))

        assert writer.flush(LIMIT)
        assert stored() == ["three"]
        assert told_dropped() == 2
        assert "No module named" in capfd.readouterr().err


class TestRecursion:
    def test_what_the_writer_itself_logs_goes_nowhere(self, writer, monkeypatch):
        from apps.logs import handler

        monkeypatch.setattr(handler, "writer", writer)
        logger = logging.getLogger("tests")
        logger.addHandler(target := handler.DatabaseHandler())
        real = batches.store

        def chatty(link: Any, batch: batches.Batch) -> None:
            logger.warning("about to store %d rows", len(batch.entries))
            real(link, batch)

        monkeypatch.setattr(batches, "store", chatty)
        try:
            logger.warning("one line")
            assert writer.flush(LIMIT)
            assert writer.flush(LIMIT)
        finally:
            logger.removeHandler(target)

        assert stored() == ["one line"]


class TestFork:
    def test_leaves_the_rows_to_the_parent_and_begins_anew(self, writer):
        writer.put(SystemLog, line("before"))
        assert writer.flush(LIMIT)
        (pid,) = backends()
        with stopped(pid):
            writer.put(SystemLog, line("in the queue"))
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    writer.put(SystemLog, line("of the child"))
                    writer.close(LIMIT)
                    code = 0 if writer.written == 1 else 2
                finally:
                    os._exit(code)
            _, status = os.waitpid(child, 0)

        assert os.waitstatus_to_exitcode(status) == 0
        assert writer.flush(LIMIT)
        assert sorted(stored()) == ["before", "in the queue", "of the child"]


PROGRAM = """
import os, sys
import django
django.setup()
from django.conf import settings
settings.DATABASES["default"]["NAME"] = {name!r}
settings.LOG_TO_DATABASE = True
from apps.logs.writer import writer
row = {{"level": "INFO", "logger_name": "tests", "message": "{message}"}}
writer.put("SystemLog", row)
{more}
"""


def run(message: str, more: str = "") -> subprocess.Popen[str]:
    name = connection.settings_dict["NAME"]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(name=name, message=message, more=more)],
        cwd=CHECKOUT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )


class TestEndOfTheProcess:
    def test_stores_the_last_lines_first(self):
        program = run("last words")
        _, said = program.communicate(timeout=LIMIT)

        assert program.returncode == 0
        assert said == ""
        assert stored() == ["last words"]

    def test_is_not_held_up_by_a_server_process_that_stands_still(self):
        more = (
            "assert writer.flush(30)\n"
            "print('stored', flush=True)\n"
            "input()\n"
            "writer.put('SystemLog', row)\n"
        )
        program = run("first", more)
        assert program.stdout is not None
        assert program.stdout.readline() == "stored\n"
        (pid,) = backends()
        with stopped(pid):
            began = time.monotonic()
            _, said = program.communicate("go on\n", timeout=LIMIT)
            took = time.monotonic() - began

        assert program.returncode == 0
        assert took < 10
        assert "1 log lines were not stored" in said
        assert stored() == ["first"]

    def test_is_quiet_where_there_are_no_tables(self):
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE system_logs RENAME TO elsewhere")
        try:
            began = time.monotonic()
            program = run("too early")
            _, said = program.communicate(timeout=LIMIT)
            took = time.monotonic() - began
        finally:
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE elsewhere RENAME TO system_logs")

        assert (program.returncode, said) == (0, "")
        assert took < 10
