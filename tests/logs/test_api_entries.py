"""What happened, sent through the API: one, many, as CSV and lines, wrong, and read back."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.logs.models import (
    ErrorGroup,
    ErrorLog,
    PerformanceLog,
    SystemLog,
    TradingEvent,
    UserActionLog,
)
from tests.factories import make_error_log, make_performance_log, make_system_log

pytestmark = pytest.mark.django_db

LOGS = "/api/v1/logs/"
LINES = LOGS + "system-logs/"
EVENTS = LOGS + "trading-events/"
OPERATIONS = LOGS + "performance-logs/"
ERRORS = LOGS + "error-logs/"
ACTIONS = LOGS + "user-action-logs/"


def line(**values: Any) -> dict[str, Any]:
    return {"logger_name": "bots.grid", "message": "Order 5 filled"} | values


class TestOne:
    def test_line_is_stored_and_answered_as_stored(self, api):
        sent = line(
            timestamp="2026-11-01T12:00:00.5+01:00",
            level="ERROR",
            module="grid",
            function_name="run",
            line_number=12,
            thread_name="MainThread",
            process_id=4711,
            correlation_id="cause-1",
            metadata={"price": 1.10, "nested": {"legs": [1, None, True]}},
        )

        answer = api.post(LINES, sent)

        assert answer.status_code == 201
        stored = answer.json()
        assert stored | {"id": 0, "created_at": ""} == sent | {
            "id": 0,
            "timestamp": "2026-11-01T11:00:00.5Z",
            "created_at": "",
        }
        assert api.get(f"{LINES}{stored['id']}/").json() == stored

    def test_line_needs_but_a_logger_and_a_message(self, api):
        before = timezone.now()

        stored = api.post(LINES, line()).json()

        assert stored["level"] == "INFO"
        assert stored["line_number"] is None
        assert stored["metadata"] == {}
        assert before <= datetime.fromisoformat(stored["timestamp"]) <= timezone.now()

    def test_what_comes_twice_stands_twice(self, api):
        ids = {api.post(LINES, line()).json()["id"] for _ in range(2)}

        assert len(ids) == SystemLog.objects.count() == 2

    def test_what_comes_twice_under_one_idempotency_key_stands_once(self, api):
        api.headers["Idempotency-Key"] = "attempt-1"

        first, again = api.post(LINES, line()), api.post(LINES, line())

        assert again.json() == first.json()
        assert again["Idempotent-Replay"] == "true"
        assert SystemLog.objects.count() == 1

    def test_belongs_to_the_request_unless_it_names_its_cause(self, api):
        answer = api.post(LINES, line())
        named = api.post(LINES, line(correlation_id="cause-1"))

        assert answer.json()["correlation_id"] == answer["X-Request-ID"]
        assert named.json()["correlation_id"] == "cause-1"

    def test_from_the_future_is_filed_under_now(self, api):
        tomorrow = timezone.now() + timedelta(days=1)

        stored = api.post(LINES, line(timestamp=tomorrow.isoformat())).json()

        assert datetime.fromisoformat(stored["timestamp"]) <= timezone.now()
        assert stored["metadata"] == {"sent_timestamp": tomorrow.isoformat()}

    def test_event_keeps_its_numbers_exactly(self, api):
        sent = {
            "event_type": "order_filled",
            "symbol": "BTC/USDT",
            "side": "buy",
            "quantity": "0.000000000000000001",
            "price": "64000.10",
            "order_id": "o-1",
            "strategy": "grid",
        }

        stored = api.post(EVENTS, sent).json()

        assert stored["quantity"] == "0.000000000000000001"
        assert stored["price"] == "64000.1"
        assert TradingEvent.objects.get().order_id == "o-1"

    def test_operation_is_as_severe_as_it_ended(self, api):
        severities = [
            api.post(
                OPERATIONS, {"operation_name": "get", "duration_ms": 1.5, "status": status}
            ).json()["severity"]
            for status in ("success", "error", "timeout")
        ]

        assert severities == ["INFO", "ERROR", "WARNING"]

    def test_error_joins_those_of_its_type_and_place(self, api):
        trace = 'Traceback (most recent call last):\n  File "/srv/bot/grid.py", line %d, in run\n'
        for number in (10, 11):
            answer = api.post(
                ERRORS,
                {
                    "error_type": "ValueError",
                    "error_message": f"no price {number}",
                    "stack_trace": trace % number + "    go()\nValueError: no price",
                },
            )

        assert answer.status_code == 201
        assert ErrorGroup.objects.get().count == 2
        assert ErrorGroup.objects.get().fingerprint == answer.json()["fingerprint"]

    def test_request_keeps_its_address(self, api):
        sent = {"action_type": "api_call", "ip_address": "2001:db8::7", "response_status": 503}

        stored = api.post(ACTIONS, sent).json()

        assert (stored["ip_address"], stored["severity"]) == ("2001:db8::7", "ERROR")


class TestLevels:
    @pytest.mark.parametrize(
        ("level", "stored"),
        [
            ("debug", "DEBUG"),
            ("Info", "INFO"),
            ("notice", "INFO"),
            ("WARN", "WARNING"),
            ("Fatal", "CRITICAL"),
            ("TRACE", "DEBUG"),
            ("NOTSET", "DEBUG"),
            (30, "WARNING"),
            (35, "WARNING"),
            ("40", "ERROR"),
            (0, "DEBUG"),
        ],
    )
    def test_have_many_names(self, api, level, stored):
        assert api.post(LINES, line(level=level)).json()["level"] == stored
        assert api.post(LINES, [line(level=level)] * 2).json()["created"] == 2
        assert set(SystemLog.objects.values_list("level", flat=True)) == {stored}

    @pytest.mark.parametrize("level", ["LOUD", "", "1e3", True, 1.5, None, ["INFO"]])
    def test_that_nobody_knows_are_refused_with_those_that_are(self, api, level):
        answer = api.post(LINES, line(level=level))

        assert answer.status_code == 400
        [error] = answer.json()["errors"]
        assert error["pointer"] == "/level"
        assert level is None or "DEBUG, INFO, WARNING, ERROR or CRITICAL" in error["message"]


class TestEvidence:
    @pytest.mark.parametrize(
        ("message", "stored", "altered"),
        [
            ("half \ud800 pair", "half \ufffd pair", "1 character that cannot be kept"),
            ("NUL \x00 and \x00", "NUL \ufffd and \ufffd", "2 characters that cannot be kept"),
            ("\x1b[31mred\x1b[0m \x07\x7f\t\r\n", "\x1b[31mred\x1b[0m \x07\x7f\t\r\n", None),
            ("  edges  ", "  edges  ", None),
            ("<script>alert(1)</script>", "<script>alert(1)</script>", None),
            ("\U0001f680 größer", "\U0001f680 größer", None),
            ('a \\ "quoted" : text', 'a \\ "quoted" : text', None),
            ("x" * 200_000, "x" * 200_000, None),
            ("", "", None),
        ],
        ids=["surrogate", "nul", "control", "edges", "html", "wide", "quotes", "long", "empty"],
    )
    @pytest.mark.parametrize("many", [False, True])
    def test_is_kept_whatever_it_holds(self, api, many, message, stored, altered):
        sent = line(message=message)

        answer = api.post(LINES, [line(), sent] if many else sent)

        assert answer.status_code == 201
        kept = SystemLog.objects.order_by("id").last()
        assert kept.message == stored
        assert kept.metadata == ({"_altered": {"message": altered}} if altered else {})

    def test_in_metadata_is_kept_too(self, api):
        answer = api.post(LINES, line(metadata={"a\x00": ["\ud800", 0.1]}))

        assert answer.status_code == 201
        assert answer.json()["metadata"]["a\ufffd"] == ["\ufffd", 0.1]

    def test_numbers_in_metadata_stay_exact(self, api):
        body = b'{"logger_name":"a","message":"b","metadata":{"x":0.12345678901234567890123}}'
        for sent in (body, b"[%b]" % body):
            assert api.post_bytes(LINES, sent).status_code == 201

        listed = api.get(LINES).content
        assert listed.count(b"0.12345678901234567890123") == 2

    def test_longer_than_a_million_characters_is_refused(self, api):
        answer = api.post(LINES, line(message="x" * 1_000_001))

        assert answer.status_code == 400
        assert answer.json()["errors"][0]["code"] == "too_long"

    def test_holds_no_secret_once_it_is_stored(self, api):
        api.post(LINES, line(message="password=hunter2", metadata={"api_key": "hunter2"}))
        api.post(ERRORS, {"error_type": "E", "stack_trace": "Authorization: Bearer hunter2hunter2"})

        stored = SystemLog.objects.get()
        assert "hunter2" not in stored.message + str(stored.metadata)
        assert "hunter2" not in ErrorLog.objects.get().stack_trace

    @pytest.mark.parametrize(
        ("name", "value", "code"),
        [
            ("logger_name", "a\x00", "unstorable"),
            ("logger_name", "\ud800", "unstorable"),
            ("logger_name", " edge", "invisible_edge"),
            ("logger_name", "", "empty"),
            ("logger_name", "x" * 101, "too_long"),
            ("correlation_id", "\n", "invisible_edge"),
            ("line_number", -1, "invalid"),
            ("line_number", 2**31, "invalid"),
            ("line_number", "12", "type"),
            ("line_number", 1.0, "type"),
            ("metadata", [], "type"),
            ("metadata", {"x": {"__": 10**400}}, "out_of_range"),
            ("timestamp", "2026-01-01T00:00:00", "naive"),
            ("message", 5, "type"),
            ("colour", "red", "unknown"),
        ],
    )
    def test_is_no_excuse_for_a_wrong_name_or_number(self, api, name, value, code):
        single = api.post(LINES, line(**{name: value}))
        many = api.post(LINES, [line(), line(**{name: value}), line()])

        assert single.status_code == 400 or code == "out_of_range"
        errors = many.json()["results"][0]["errors"] if many.json()["results"] else []
        if single.status_code == 400:
            assert single.json()["errors"][0]["code"] == code
            assert errors == single.json()["errors"]


class TestMany:
    def test_store_the_good_and_name_the_bad(self, api):
        answer = api.post(LINES, [line(), line(level="LOUD"), line(), 7])

        assert answer.status_code == 200
        found = answer.json()
        assert (found["created"], found["failed"]) == (2, 2)
        assert [each["index"] for each in found["results"]] == [1, 3]
        assert SystemLog.objects.count() == 2

    def test_store_none_when_all_must_be_right(self, api):
        answer = api.post(f"{LINES}?atomic=1", [line(), line(level="LOUD")])

        assert answer.status_code == 400
        assert not SystemLog.objects.exists()

    def test_have_one_order_and_one_cause(self, api):
        sent = [line(message=f"line {place}") for place in range(12_000)]

        answer = api.post(LINES, sent)

        assert answer.json()["created"] == 12_000
        stored = SystemLog.objects.order_by("id")
        assert [each.message for each in stored] == [each["message"] for each in sent]
        assert {each.correlation_id for each in stored} == {answer["X-Request-ID"]}

    def test_of_no_table_can_share_an_id(self, api):
        for path, sent in {
            LINES: line(),
            EVENTS: {"event_type": "x"},
            OPERATIONS: {"operation_name": "x", "duration_ms": 1},
            ERRORS: {"error_type": "x"},
            ACTIONS: {"action_type": "x"},
        }.items():
            assert api.post(path, [sent] * 3).json()["created"] == 3

        models = (SystemLog, TradingEvent, PerformanceLog, ErrorLog, UserActionLog)
        ids = [pk for model in models for pk in model.objects.values_list("id", flat=True)]
        assert len(set(ids)) == len(ids) == 15

    def test_may_come_as_lines_of_json(self, api):
        body = "\n".join(json.dumps(line(message=f"\u2028 {place}")) for place in range(3))

        answer = api.post_bytes(LINES, body.encode(), "application/x-ndjson")

        assert answer.json()["created"] == 3

    def test_may_come_as_a_table(self, api):
        body = (
            "timestamp,level,logger_name,message,line_number,metadata\n"
            "2026-11-01T12:00:00Z,warn,a,plain,12,\n"
            ',,a,"two\nlines, NUL \0",,"{""x"": [0.10]}"\n'
            ",LOUD,a,b,x,{\n"
        )

        answer = api.post_bytes(LINES, body.encode(), "text/csv")

        assert answer.json()["created"] == 2
        [failed] = answer.json()["results"]
        assert {error["pointer"] for error in failed["errors"]} == {
            "/level", "/line_number", "/metadata",
        }  # fmt: skip
        first, second = SystemLog.objects.order_by("id")
        assert (first.level, first.line_number, first.message) == ("WARNING", 12, "plain")
        assert second.message == "two\nlines, NUL \ufffd"
        assert second.metadata["x"] == [0.1]

    def test_wrong_addresses_and_statuses_are_named(self, api):
        rows = [
            {"action_type": "x", "ip_address": address, "response_status": status}
            for address, status in (("192.0.2.300", 200), ("fe80::1%eth0", 200), ("::1", 99))
        ]

        results = api.post(ACTIONS, rows).json()["results"]

        assert [each["errors"][0]["pointer"] for each in results] == [
            "/ip_address", "/ip_address", "/response_status",
        ]  # fmt: skip

    def test_numbers_beyond_their_columns_are_refused(self, api):
        sent = {"operation_name": "x", "duration_ms": "0.123456789"}

        assert api.post(OPERATIONS, sent).json()["errors"][0]["code"] == "too_precise"
        assert api.post(OPERATIONS, sent | {"duration_ms": -1}).status_code == 400


class TestLists:
    def test_are_filtered(self, api):
        make_system_log(logger_name="a", level="ERROR", correlation_id="1")
        make_system_log(logger_name="b", level="INFO", correlation_id="2")

        def loggers(query: str) -> str:
            rows = api.get(f"{LINES}?{query}").json()["results"]
            return "".join(sorted(each["logger_name"] for each in rows))

        assert loggers("") == "ab"
        assert loggers("level=ERROR,CRITICAL") == "a"
        assert loggers("logger_name=b") == "b"
        assert loggers("correlation_id=1") == "a"
        assert loggers("timestamp_before=2020-01-01T00:00:00Z") == ""
        assert loggers("timestamp_after=2020-01-01T00:00:00Z") == "ab"

    def test_are_searched_by_words(self, api):
        make_system_log(message="Order BTC/USDT filled at 5", logger_name="a")
        make_system_log(message="Order ETH/USDT rejected", logger_name="b")
        old = timezone.now() - timedelta(days=100)
        make_system_log(message="order btc/usdt from long ago", logger_name="c", timestamp=old)

        def loggers(words: str) -> str:
            rows = api.get(f"{LINES}?words={words}").json()["results"]
            return "".join(each["logger_name"] for each in rows)

        assert loggers("btc") == "ac"
        assert loggers("USDT%20order") == "bac"
        assert loggers("rej") == "b"
        assert loggers("btc%20rejected") == ""
        assert loggers("%27%20%26%20%21") == ""
        assert api.get(f"{LINES}?words=%00").status_code == 400

    def test_found_by_words_come_page_by_page(self, api):
        now = datetime.now(UTC)
        for days in (0, 0.02, 3, 40):
            make_system_log(message=f"late {days}", timestamp=now - timedelta(days=days))
            make_system_log(message="in time")

        page = api.get(f"{LINES}?words=late&limit=1").json()
        seen = [page["results"][0]["message"]]
        while page["next"]:
            page = api.get(page["next"]).json()
            seen.append(page["results"][0]["message"])

        assert seen == ["late 0", "late 0.02", "late 3", "late 40"]
        assert api.get(page["previous"]).json()["results"][0]["message"] == "late 3"

    def test_of_errors_are_searched_too(self, api):
        make_error_log(error_message="no price for ADA")

        assert len(api.get(f"{ERRORS}?words=ada").json()["results"]) == 1

    def test_of_operations_are_filtered_by_what_the_database_computes(self, api):
        make_performance_log(status="timeout", duration_ms=100)
        make_performance_log(duration_ms=5)

        def durations(query: str) -> list[str]:
            rows = api.get(f"{OPERATIONS}?{query}").json()["results"]
            return [each["duration_ms"] for each in rows]

        assert durations("severity=WARNING") == ["100"]
        assert durations("duration_ms_max=99.5") == ["5"]
        assert durations("status=success") == ["5"]

    def test_reach_back_as_far_as_there_are_rows(self, api):
        now = datetime.now(UTC)
        ages = [0, 0.5, 2, 20, 40, 400]
        for days in ages:
            make_system_log(timestamp=now - timedelta(days=days), message=f"{days}")

        for limit in (1, 2, 3, 4, 100):
            page = api.get(f"{LINES}?limit={limit}&fields=message").json()
            seen = [each["message"] for each in page["results"]]
            while page["next"]:
                page = api.get(page["next"]).json()
                seen += [each["message"] for each in page["results"]]
            assert seen == [f"{days}" for days in ages]

    def test_can_run_oldest_first_and_back(self, api):
        now = datetime.now(UTC)
        for days in (0, 40, 3):
            make_system_log(timestamp=now - timedelta(days=days), message=f"{days}")

        first = api.get(f"{LINES}?ordering=timestamp&limit=2").json()
        second = api.get(first["next"]).json()
        back = api.get(second["previous"]).json()

        def messages(page: Any) -> list[str]:
            return [each["message"] for each in page["results"]]

        assert messages(first) == messages(back) == ["40", "3"]
        assert messages(second) == ["0"]
