"""Python's own HTTPHandler posts to us as it is; every program may use HTTP Basic."""

import logging
import logging.handlers
from base64 import b64encode
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from apps.logs.models import ErrorGroup, ErrorLog, SystemLog
from tests.factories import make_key

RECORDS = "/api/v1/logs/records/"
FORM = "application/x-www-form-urlencoded"


def basic(password: str, name: str = "any") -> str:
    return "Basic " + b64encode(f"{name}:{password}".encode()).decode()


def client(authorization: str) -> Client:
    return Client(headers={"Authorization": authorization}, raise_request_exception=False)


@pytest.mark.django_db(transaction=True)
# The handler leaves its connections to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
class TestStandardHandler:
    @pytest.fixture
    def log(self, live_server) -> logging.Logger:
        """Return a logger of a program that has nothing but the standard library."""
        address = live_server.url.removeprefix("http://")
        key = make_key(scopes=["logs:write"]).text
        handler = logging.handlers.HTTPHandler(
            address, RECORDS, method="POST", credentials=("any", key)
        )
        log = logging.Logger("bots.grid")
        log.addHandler(handler)
        return log

    def test_lines_arrive_formatted(self, log):
        log.warning("Order %d of %s filled at %.2f, %s", 5, "BTC/USDT", 1.239, {"a": [1, None]})
        log.info("%(symbol)s is 100%% fine", {"symbol": "größer & <b>"})
        log.debug("no arguments: 5% of %s")

        first, second, third = SystemLog.objects.order_by("id")
        assert first.message == "Order 5 of BTC/USDT filled at 1.24, {'a': [1, None]}"
        assert second.message == "größer & <b> is 100% fine"
        assert third.message == "no arguments: 5% of %s"
        assert [first.level, second.level, third.level] == ["WARNING", "INFO", "DEBUG"]
        assert first.logger_name == "bots.grid"
        assert first.module == "test_api_records"
        assert first.function_name == "test_lines_arrive_formatted"
        assert first.line_number
        assert first.process_id

    def test_what_the_program_added_becomes_metadata(self, log):
        log.info("started", extra={"strategy": "grid", "correlation_id": "cause-1"})

        stored = SystemLog.objects.get()
        assert stored.metadata["strategy"] == "grid"
        assert stored.correlation_id == "cause-1"

    def test_an_exception_is_an_error_too(self, log):
        try:
            raise LookupError("no price for ADA")
        except LookupError:
            log.exception("Tick %d failed", 7)

        line, error = SystemLog.objects.get(), ErrorLog.objects.get()
        assert (line.level, line.message) == ("ERROR", "Tick 7 failed")
        assert (error.error_type, error.error_message) == ("LookupError", "no price for ADA")
        assert (error.component, error.timestamp) == ("bots.grid", line.timestamp)
        assert ErrorGroup.objects.get().count == 1

    def test_odd_texts_arrive(self, log, capsys):
        log.info("NUL \x00, \x1b[31mred\x1b[0m, \U0001f680, %s", "a&b=c+d%41")
        log.info("x" * 200_000)

        odd, long = SystemLog.objects.order_by("id")
        assert odd.message == "NUL \ufffd, \x1b[31mred\x1b[0m, \U0001f680, a&b=c+d%41"
        assert len(long.message) == 200_000
        assert capsys.readouterr().err == ""


@pytest.mark.django_db
class TestRecords:
    def post(self, fields: dict[str, Any] | bytes, authorization: str = "") -> Any:
        body = fields if isinstance(fields, bytes) else urlencode(fields).encode()
        authorization = authorization or basic(make_key(scopes=["logs:write"]).text)
        return client(authorization).generic("POST", RECORDS, body, FORM)

    def test_are_answered_without_a_word(self):
        answer = self.post({"name": "a", "msg": "b", "levelname": "INFO"})

        assert (answer.status_code, answer.content) == (204, b"")

    @pytest.mark.parametrize(
        "body",
        [
            b"nonsense",
            b"msg=%FF%FE%00",
            b"msg=\xff\xfe",
            b"msg=a&msg=b",
            b"name=" + b"x" * 300 + b"&msg=b&levelname=LOUD&created=never&lineno=-5&process=x",
            b"msg=%25d&args=%28%27x%27%2C%29&lineno=99999999999999999999",
            b"exc_text=Traceback&msg=b",
            urlencode({f"field {place}": "x" for place in range(2_000)}).encode(),
        ],
    )
    def test_are_taken_whatever_they_hold(self, body):
        assert self.post(body).status_code == 204
        assert SystemLog.objects.count() == 1

    def test_hold_no_secret_once_they_are_stored(self):
        self.post({"name": "a", "msg": "login %s", "args": "('password=hunter2',)"})

        assert "hunter2" not in str(SystemLog.objects.values().get())

    @pytest.mark.parametrize(
        ("authorization", "status", "code"),
        [
            (None, 401, "not_authenticated"),
            (basic("wrong"), 401, "key_unknown"),
            ("Basic %%%", 401, "key_unknown"),
            ("Basic", 401, "key_unknown"),
            ("Bearer wrong", 401, "key_unknown"),
        ],
    )
    def test_need_a_key(self, authorization, status, code):
        headers = {"Authorization": authorization} if authorization else {}
        answer = Client(headers=headers).generic("POST", RECORDS, b"msg=b", FORM)

        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert not SystemLog.objects.exists()

    def test_need_a_key_that_may_write(self):
        answer = self.post({"msg": "b"}, basic(make_key(scopes=["logs:read"]).text))

        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")

    def test_may_not_be_endless(self):
        answer = self.post(b"msg=" + b"x" * (16 * 1024 * 1024))

        assert answer.status_code == 413

    def test_are_forms(self):
        answer = client(basic(make_key().text)).post(RECORDS, "{}", content_type="application/json")

        assert answer.status_code == 415

    def test_have_a_bucket_of_their_own(self, settings):
        settings.API_RATES = settings.API_RATES | {"default": "1/hour", "logs": "3/hour"}
        authorization = basic(make_key().text)

        statuses = [self.post({"msg": "b"}, authorization).status_code for _ in range(4)]

        assert statuses == [204, 204, 204, 429]


@pytest.mark.django_db
class TestBasic:
    def test_opens_what_a_bearer_opens(self):
        key = make_key(scopes=["logs:read"]).text

        for authorization in (f"Bearer {key}", basic(key), basic(key, name="")):
            assert client(authorization).get("/api/v1/logs/system-logs/").status_code == 200

    def test_is_known_to_idempotency_keys(self):
        key = make_key().text
        body = b'{"logger_name": "a", "message": "b"}'

        def post(authorization: str) -> Any:
            return client(authorization).generic(
                "POST",
                "/api/v1/logs/system-logs/",
                body,
                "application/json",
                headers={"Authorization": authorization, "Idempotency-Key": "1"},
            )

        first, again = post(basic(key)), post(f"Bearer {key}")

        assert first.status_code == 201
        assert again["Idempotent-Replay"] == "true"
        assert SystemLog.objects.count() == 1
