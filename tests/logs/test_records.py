"""What the standard HTTPHandler posts is read as the sender's own log shows it."""

import enum
import logging
import pathlib
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.logs.domain.formatting import formatted
from apps.logs.domain.levels import severity_of
from apps.logs.domain.records import RecordRow, from_form

RECEIVED = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Color(enum.Enum):
    RED = 1


class Side(str, enum.Enum):  # noqa: UP042  # StrEnum shows itself otherwise
    BUY = "buy"


class Bot:
    """An object whose text and whose repr are the same, as object's own are."""

    def __repr__(self) -> str:
        return "<Bot 3, of bob's at 0x7f00>"


class RefusedError(Exception):
    pass


def record(message, *arguments, level=logging.INFO, extra=None, exc_info=None) -> logging.LogRecord:
    return logging.getLogger("bots.momentum").makeRecord(
        "bots.momentum",
        level,
        "/srv/bots/apps/momentum.py",
        17,
        message,
        arguments,
        exc_info,
        "close",
        extra,
    )


def posted(made: logging.LogRecord) -> dict[str, str]:
    """Send a record as logging.handlers.HTTPHandler does, and read it as a server does."""
    return dict(parse_qsl(urlencode(made.__dict__), keep_blank_values=True))


def read(made: logging.LogRecord) -> RecordRow:
    return from_form(posted(made), received=RECEIVED)


MESSAGES = [
    ("no arguments, 100 % sure",),
    ("100 %d",),
    ("%s filled", "BTC/USDT"),
    ("%s %s %s", "it's", 'a "quote"', "both ' and \""),
    ("%d of %i", 3, 4),
    ("%.2f and %8.3f and %e", 1.005, 2.0, 12345.678),
    ("%x %X %o %#x", 255, 255, 8, 255),
    ("[%5s] [%-10s] [%05d]", "ab", "cd", 42),
    ("%d%% done", 50),
    ("%(symbol)s at %(price).2f", {"symbol": "BTC", "price": 64000.125}),
    ("%s", {"a": 1}),
    ("got %s", [1, 2, "x"]),
    ("got %s and %s", {"a": [1, (2,)]}, {1, 2}),
    ("%s", ()),
    ("%s", None),
    ("%r and %s", "text", True),
    ("%s %r", Decimal("1.50"), Decimal("1.50")),
    ("%.1f %d", Decimal("2.25"), Decimal("7.9")),
    ("%s %r", UUID(int=5), UUID(int=6)),
    ("%s", datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)),
    ("%s", datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=2)))),
    ("%s / %s", date(2026, 1, 2), timedelta(days=1, seconds=3)),
    ("%s %r", pathlib.PurePosixPath("/srv/x"), pathlib.PurePosixPath("/srv/x")),
    ("%s", pathlib.PureWindowsPath("C:/x/y")),
    ("%s and %s", Color.RED, Side.BUY),
    ("%s", Bot()),
    ("%s after %d ms, %r", Bot(), 35, Bot()),
    ("%(bot)s is %(n)d", {"bot": Bot(), "n": 3}),
    ("failed: %s", ValueError("bad price")),
    ("failed: %s / %r", KeyError("symbol"), KeyError("symbol")),
    ("failed: %s", OSError(2, "No such file")),
    ("failed: %s", RefusedError("no", 3)),
    ("failed: %s", RefusedError()),
    ("%s %s", float("nan"), float("-inf")),
    ("%s", b"bytes \x00"),
    ("%s", Fraction(1, 3)),
    ("%s %s", [Decimal("1.5"), UUID(int=1)], {"at": date(2026, 1, 1)}),
    ("%*d|%-*s|%.*f", 5, 3, 6, "a", 2, 1.5),
    ("%c%c", "x", 65),
    ("Übertrag %s 😀\nsecond line", "ß\n\t\\"),
    (ValueError("an object as the message"),),
    ("%s", type),
    ("%s %s", "a,b", "(c,"),
]


class TestMessages:
    @pytest.mark.parametrize("parts", MESSAGES, ids=range(len(MESSAGES)))
    def test_read_as_the_sender_reads_them(self, parts):
        made = record(*parts)
        try:
            expected = made.getMessage()
        except (TypeError, ValueError):
            pytest.fail("the case itself is wrong")
        assert read(made).message == expected

    @pytest.mark.parametrize(
        ("message", "arguments"),
        [
            ("%d", "('x',)"),
            ("%s %s", "(1,)"),
            ("%s", "(1, 2)"),
            ("%(a)s", "{'b': 1}"),
            ("%(a)s", "(1, 2)"),
            ("100%", "(1,)"),
            ("%", "(1,)"),
            ("%999999999d", "(1,)"),
            ("%.999999999f", "(1.5,)"),
            ("%*d", "(999999999, 1)"),
            ("%(a)s" * 30_000, "{'a': '" + "x" * 50_000 + "'}"),
            ("%d", "(Decimal('1e999999999'),)"),
            ("%s", "(" * 30_000),
            ("%s", "(__import__('os').system('false'), 1)"),
            ("%s", "(1, " + "2, " * 50_000 + ")"),
        ],
        ids=range(15),
    )
    def test_that_cannot_be_formatted_keep_their_arguments_behind_them(self, message, arguments):
        assert formatted(message, arguments) == f"{message} {arguments}"
        row = from_form({"msg": message, "args": arguments}, received=RECEIVED)
        assert (row.metadata["msg"], row.metadata["args"]) == (message, arguments)

    @pytest.mark.parametrize("arguments", ["", "None", "()", "{}"])
    def test_without_arguments_are_not_formatted(self, arguments):
        assert formatted("100 % sure %s", arguments) == "100 % sure %s"

    def test_never_run_what_they_name(self):
        text = "(__import__('os').getcwd(),)"
        assert formatted("%s", text) == "__import__('os').getcwd()"

    def test_already_finished_by_a_formatter_are_taken_as_they_are(self):
        made = record("%s and %s", Bot(), object())
        text = logging.Formatter().format(made)
        assert read(made).message == text

    @given(
        st.lists(
            st.one_of(
                st.none(),
                st.booleans(),
                st.integers(),
                st.floats(),
                st.decimals(allow_nan=False),
                st.text(),
                st.uuids(),
                st.datetimes(timezones=st.just(UTC)),
                st.dates(),
                st.timedeltas(),
                st.binary(max_size=20),
                st.lists(st.integers(), max_size=3),
                st.dictionaries(st.text(max_size=3), st.integers(), max_size=3),
            ),
            min_size=1,
            max_size=5,
        )
    )
    def test_of_any_known_values_come_out_the_same(self, values):
        made = record(" ".join(["%s"] * len(values)), *values)
        try:
            expected = made.getMessage()
            fields = posted(made)
        except (TypeError, UnicodeEncodeError):
            # A single dict is the arguments, not one of them; text halves cannot be sent.
            return
        assert from_form(fields, received=RECEIVED).message == expected


class TestRows:
    def test_have_their_place_their_process_and_what_was_added(self):
        made = record(
            "filled", level=logging.WARNING, extra={"correlation_id": "abc", "order": 7, "x": None}
        )
        row = read(made)
        assert row.level == "WARNING"
        assert row.logger_name == "bots.momentum"
        assert row.module == "momentum"
        assert row.function_name == "close"
        assert row.line_number == 17
        assert row.thread_name == "MainThread"
        assert row.process_id == made.process
        assert row.correlation_id == "abc"
        assert row.timestamp == datetime.fromtimestamp(made.created, UTC)
        assert row.metadata == {
            "order": "7",
            "x": "None",
            "pathname": "/srv/bots/apps/momentum.py",
        }
        assert (row.error_type, row.error_message, row.stack_trace) == ("", "", "")

    @pytest.mark.parametrize("created", ["", "nan", "inf", "-1", "0", "soon", "1e300", "9" * 400])
    def test_with_a_senseless_time_are_filed_when_received(self, created):
        row = from_form({"msg": "x", "created": created}, received=RECEIVED)
        assert row.timestamp == RECEIVED
        assert row.metadata == {"sent_timestamp": created}

    def test_with_senseless_numbers_leave_them_unknown(self):
        fields = {"lineno": "99999999999", "process": "-", "funcName": "None", "levelno": "x"}
        row = from_form(fields, received=RECEIVED)
        assert (row.line_number, row.process_id, row.function_name) == (None, None, "")
        assert row.level == "INFO"

    @given(
        st.dictionaries(
            st.one_of(
                st.sampled_from(
                    ["msg", "args", "created", "levelno", "lineno", "exc_info", "exc_text", "name"]
                ),
                st.text(max_size=5),
            ),
            st.one_of(
                st.text(),
                st.text("%()sd*.0123456789{}[]'\", <>Dec", max_size=30),
            ),
        )
    )
    def test_come_of_any_texts(self, fields):
        row = from_form(fields, received=RECEIVED)
        assert row.level
        assert isinstance(row.message, str)


class TestErrors:
    def caught(self):
        try:
            try:
                {}["symbol"]
            except KeyError as error:
                raise RefusedError("two\nlines") from error
        except RefusedError:
            return sys.exc_info()

    def test_are_read_from_the_trace_when_it_came_along(self):
        made = record("failed", level=logging.ERROR, exc_info=self.caught())
        text = logging.Formatter().format(made)
        row = read(made)
        assert row.error_type == f"{__name__}.RefusedError"
        assert row.error_message == "two\nlines"
        assert row.stack_trace
        assert row.stack_trace in text
        assert row.message == "failed"

    def test_are_read_from_the_text_of_the_exception_otherwise(self):
        try:
            raise ValueError("x")
        except ValueError:
            made = record("failed", exc_info=sys.exc_info())
        row = read(made)
        assert (row.error_type, row.error_message, row.stack_trace) == ("ValueError", "x", "")

    def test_keep_the_full_name_of_a_dotted_class(self):
        row = read(record("failed", exc_info=self.caught()))
        assert (row.error_type, row.error_message) == (f"{__name__}.RefusedError", "two\nlines")

    def test_of_groups_are_those_of_the_group(self):
        try:
            raise ExceptionGroup("many", [ValueError("a"), TypeError("b")])
        except ExceptionGroup:
            made = record("failed", exc_info=sys.exc_info())
        logging.Formatter().format(made)
        row = read(made)
        assert row.error_type == "ExceptionGroup"
        assert row.error_message == "many (2 sub-exceptions)"


class TestSeverity:
    @pytest.mark.parametrize(
        ("level", "expected"),
        [
            (10, "DEBUG"),
            ("5", "DEBUG"),
            (20, "INFO"),
            ("25", "INFO"),
            ("Level 35", "WARNING"),
            (40, "ERROR"),
            (50, "CRITICAL"),
            (99, "CRITICAL"),
            ("warn", "WARNING"),
            (" Error ", "ERROR"),
            ("fatal", "CRITICAL"),
            ("trace", "DEBUG"),
            ("notice", "INFO"),
            ("loud", "INFO"),
            ("", "INFO"),
        ],
    )
    def test_is_one_of_five_for_any_word_and_number(self, level, expected):
        assert severity_of(level) == expected
