"""Whatever code of ours logs becomes a row, and logging it cannot go wrong."""

import logging
import threading
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from apps.logs import handler as module
from apps.logs.handler import DatabaseHandler
from apps.logs.middleware import current_request
from apps.shared.correlation import correlation_id


class Kept:
    """Stands for the writer: keeps what it is handed."""

    def __init__(self):
        self.rows = []
        self.dropped = 0
        self.own = False

    def put(self, table, values):
        self.rows.append((table, values))

    def drop(self, rows, why="", reason=""):
        self.dropped += rows

    def is_own_thread(self):
        return self.own

    def of(self, table):
        return [values for name, values in self.rows if name == table]


class Broken:
    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


class Unknown(Exception):
    """An exception of a module of ours."""


@pytest.fixture
def kept(monkeypatch):
    kept = Kept()
    monkeypatch.setattr(module, "writer", kept)
    return kept


@pytest.fixture
def logger(kept):
    # Known to nobody else: pytest's own handlers raise for a mistake in a call.
    logger = logging.Logger("bots.grid", level=1)
    logger.addHandler(DatabaseHandler())
    return logger


class TestLine:
    def test_says_who_where_and_when(self, logger, kept):
        before = datetime.now(UTC)
        logger.warning("order %s is late by %.1f s", "BTC/USD", 2.25)

        (row,) = kept.of("SystemLog")
        assert row["message"] == "order BTC/USD is late by 2.2 s"
        assert (row["level"], row["logger_name"]) == ("WARNING", "bots.grid")
        assert (row["module"], row["function_name"]) == (
            "test_handler",
            "test_says_who_where_and_when",
        )
        assert row["thread_name"] == threading.current_thread().name
        assert row["line_number"] > 0
        assert abs(row["timestamp"] - before).total_seconds() < 5
        assert kept.of("ErrorLog") == []

    @pytest.mark.parametrize(
        ("number", "level"),
        [
            (5, "DEBUG"),
            (10, "DEBUG"),
            (25, "INFO"),
            (30, "WARNING"),
            (45, "ERROR"),
            (70, "CRITICAL"),
        ],
    )
    def test_has_a_level_that_is_known(self, logger, kept, number, level):
        logger.log(number, "any")

        assert kept.of("SystemLog")[0]["level"] == level

    def test_carries_the_correlation_id_of_its_cause(self, logger, kept):
        token = correlation_id.set("cause-1")
        try:
            logger.info("any")
        finally:
            correlation_id.reset(token)

        assert kept.of("SystemLog")[0]["correlation_id"] == "cause-1"

    def test_holds_its_arguments_as_they_were(self, logger, kept):
        orders = ["one"]
        logger.info("open: %s", orders, extra={"orders": orders})
        orders.append("two")

        (row,) = kept.of("SystemLog")
        assert row["message"] == "open: ['one']"
        assert row["metadata"] == {"orders": ["one"]}

    def test_holds_what_was_added_as_json_can_have_it(self, logger, kept):
        extra = {"price": Decimal("1.5"), "sides": {"buy"}, "of": {1: Broken()}, "none": None}
        logger.info("any", extra=extra)

        (row,) = kept.of("SystemLog")
        assert row["metadata"] == {
            "price": "1.5",
            "sides": ["buy"],
            "of": {"1": "(cannot be shown)"},
            "none": None,
        }

    def test_holds_something_that_contains_itself(self, logger, kept):
        endless: dict = {}
        endless["again"] = endless
        logger.info("any", extra={"endless": endless})

        assert kept.of("SystemLog")[0]["metadata"]["endless"]
        assert kept.dropped == 0

    def test_shows_the_stack_where_asked_for(self, logger, kept):
        logger.info("any", stack_info=True)

        stack = kept.of("SystemLog")[0]["metadata"]["stack_info"]
        assert "test_shows_the_stack_where_asked_for" in stack


class TestMistakes:
    @pytest.mark.parametrize(
        ("message", "arguments", "shown"),
        [
            ("%d orders", ("many",), "%d orders ('many',)"),
            ("%s and %s", ("one",), "%s and %s ('one',)"),
            ("%s", (Broken(),), "%s (cannot be shown)"),
            (Broken(), (), "(cannot be shown) ()"),
        ],
    )
    def test_in_a_call_leave_message_and_arguments_as_they_are(
        self, logger, kept, message, arguments, shown
    ):
        logger.info(message, *arguments)

        assert [row["message"] for row in kept.of("SystemLog")] == [shown]

    def test_of_the_writer_reach_nobody(self, logger, kept, monkeypatch):
        monkeypatch.setattr(kept, "put", None)

        logger.info("any")

        assert kept.dropped == 1


class TestError:
    def test_becomes_a_row_of_its_own_with_the_whole_chain(self, logger, kept):
        token = correlation_id.set("cause-2")
        try:
            try:
                {}["price"]
            except KeyError as missing:
                raise Unknown("no price for BTC/USD") from missing
        except Unknown:
            logger.exception("tick failed")
        finally:
            correlation_id.reset(token)

        (line,), (error,) = kept.of("SystemLog"), kept.of("ErrorLog")
        assert line["message"] == "tick failed"
        assert error["error_type"] == f"{__name__}.Unknown"
        assert error["error_message"] == "no price for BTC/USD"
        assert (error["component"], error["correlation_id"]) == ("bots.grid", "cause-2")
        assert "KeyError: 'price'" in error["stack_trace"]
        assert "direct cause of the following exception" in error["stack_trace"]
        assert error["stack_trace"].endswith("Unknown: no price for BTC/USD")

    def test_of_python_has_its_bare_name(self, logger, kept):
        logger.error("any", exc_info=ValueError("no"))

        (error,) = kept.of("ErrorLog")
        assert (error["error_type"], error["error_message"]) == ("ValueError", "no")
        assert error["stack_trace"] == "ValueError: no"

    def test_without_a_text_of_its_own_is_kept(self, logger, kept):
        class Silent(Exception):
            __str__ = Broken.__str__

        logger.error("any", exc_info=Silent())

        assert kept.of("ErrorLog")[0]["error_message"] == "(cannot be shown)"

    def test_where_there_is_none_makes_no_row(self, logger, kept):
        logger.error("any", exc_info=True)

        assert len(kept.of("SystemLog")) == 1
        assert kept.of("ErrorLog") == []

    def test_knows_the_request_it_happened_in(self, logger, kept, rf):
        request = rf.get("/admin/?page=2")
        token = current_request.set(request)
        try:
            logger.error("any", exc_info=ValueError())
        finally:
            current_request.reset(token)

        assert kept.of("ErrorLog")[0]["request_path"] == "/admin/?page=2"

    def test_after_a_request_knows_the_one_that_the_record_names(self, logger, kept, rf):
        request = rf.get("/x/")
        request.correlation_id = "cause-3"
        logger.error("any", exc_info=ValueError(), extra={"request": request, "status_code": 500})

        (error,) = kept.of("ErrorLog")
        assert (error["request_path"], error["correlation_id"]) == ("/x/", "cause-3")
        assert error["metadata"] == {"status_code": 500}


class TestRecursion:
    def test_the_writers_own_lines_are_left_out(self, logger, kept):
        kept.own = True

        logger.warning("any")

        assert kept.rows == []

    @pytest.mark.parametrize("name", ["psycopg", "psycopg.pool"])
    def test_the_drivers_lines_are_left_out(self, kept, name):
        DatabaseHandler().handle(logging.LogRecord(name, 30, __file__, 1, "any", (), None))

        assert kept.rows == []

    def test_a_line_of_an_argument_comes_before_its_own(self, logger, kept):
        class Chatty:
            def __str__(self):
                logger.info("inner")
                return "outer"

        logger.info("%s", Chatty())

        assert [row["message"] for row in kept.of("SystemLog")] == ["inner", "outer"]


class TestSettings:
    def test_send_the_lines_of_all_loggers_to_the_database_unless_told_otherwise(self, settings):
        assert settings.LOG_TO_DATABASE is False  # of a test run
        wanted = settings.LOGGING["handlers"]["database"]["class"]
        assert wanted == f"{DatabaseHandler.__module__}.{DatabaseHandler.__name__}"
        assert settings.LOGGING["root"]["handlers"] == ["stdout"]
