"""Whatever is sent, the answer is a problem that says why; and every list still answers."""

import json
from typing import Any

import pytest
from django.db import OperationalError

from apps.market.models import Candle
from tests.client import ApiClient
from tests.market.test_api_candles import CANDLES, sent

pytestmark = pytest.mark.django_db

LISTS = [CANDLES, "/api/v1/market/instruments/", "/api/v1/market/feeds/", "/api/v1/market/"]
GOOD = json.dumps(sent())


def with_value(name: str, raw: str) -> str:
    values = {key: json.dumps(value) for key, value in sent().items()} | {name: raw}
    return "{" + ",".join(f'"{key}": {value}' for key, value in values.items()) + "}"


BAD_VALUES = {
    "zero": ("open", "0"),
    "negative": ("low", '"-1"'),
    "negative zero": ("close", "-0"),
    "not a number": ("open", '"NaN"'),
    "infinity": ("open", '"Infinity"'),
    "too fine": ("open", "1e-30"),
    "too fine by one": ("open", '"5.0000000000000000001"'),
    "too large": ("high", "1e20"),
    "far too large": ("high", "1e999999"),
    "twenty-one digits": ("high", "100000000000000000000"),
    "thousands of digits": ("high", "9" * 5000),
    "underscore": ("open", '"1_0"'),
    "space": ("open", '"5 0"'),
    "comma": ("open", '"5,1"'),
    "word": ("open", '"five"'),
    "empty": ("open", '""'),
    "null": ("open", "null"),
    "true": ("open", "true"),
    "list": ("open", "[5]"),
    "object": ("open", '{"a": 5}'),
    "naive time": ("timestamp", '"2026-01-01T00:00:00"'),
    "no time": ("timestamp", '"soon"'),
    "number for a time": ("timestamp", "1767225600"),
    "year one": ("timestamp", '"0001-01-01T00:00:00+23:59"'),
    "year 9999": ("timestamp", '"9999-12-31T23:59:59-23:59"'),
    "future": ("timestamp", '"2999-01-01T00:00:00Z"'),
    "between two candles": ("timestamp", '"2026-01-01T00:01:00Z"'),
    "fraction of a second": ("timestamp", '"2026-01-01T00:00:00.000001Z"'),
    "no symbol": ("symbol", '""'),
    "long symbol": ("symbol", json.dumps("A" * 51)),
    "null byte": ("symbol", '"A\\u0000B"'),
    "half a pair": ("symbol", '"A\\ud83d"'),
    "control character": ("symbol", '"A\\n"'),
    "space before": ("source", '" a"'),
    "number for text": ("symbol", "7"),
    "unknown granularity": ("granularity", '"7m"'),
    "unknown field": ("colour", '"red"'),
}
BAD_BODIES = {
    "empty": (b"", "empty"),
    "blank": (b"  \n", "empty"),
    "cut off": (GOOD[:-5].encode(), "malformed"),
    "not utf-8": (b'{"symbol": "\xff"}', "not_utf8"),
    "surrogate bytes": (b'{"symbol": "\xed\xa0\x80"}', "not_utf8"),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD.encode(), "byte_order_mark"),
    "nan": (with_value("open", "NaN").encode(), "malformed"),
    "infinity": (with_value("open", "-Infinity").encode(), "malformed"),
    "name twice": ((GOOD[:-1] + ', "open": "5"}').encode(), "duplicate_name"),
    "deep list": (b"[" * 100_000, "nested_too_deep"),
    "deep object": (b'{"a":' * 100_000, "nested_too_deep"),
    "raw null": (b'{"symbol": "A\x00"}', "malformed"),
    "two values": (GOOD.encode() * 2, "malformed"),
    "list that breaks off": (b"[" + GOOD.encode(), "malformed"),
    "exponent beyond bounds": (with_value("open", "1e" + "9" * 30).encode(), "number_too_large"),
}


def assert_problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.content[:300]
    assert answer["Content-Type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert set(found) >= {"type", "title", "status", "detail", "code", "request_id", "errors"}
    assert found["status"] == status
    assert found["request_id"] == answer["X-Request-ID"]
    return found


@pytest.fixture(autouse=True)
def lists_still_answer(api):
    """After each test every list answers as if nothing had been."""
    yield
    for path in LISTS:
        assert api.get(path).status_code == 200


class TestValues:
    @pytest.mark.parametrize(("name", "raw"), BAD_VALUES.values(), ids=BAD_VALUES)
    def test_are_refused_by_name(self, api, name, raw):
        found = assert_problem(api.post_bytes(CANDLES, with_value(name, raw).encode()), 400)

        assert found["errors"][0]["pointer"] == f"/{name}"
        assert not Candle.objects.exists()

    @pytest.mark.parametrize(("name", "raw"), BAD_VALUES.values(), ids=BAD_VALUES)
    def test_spoil_only_their_row_of_a_list(self, api, name, raw):
        good = json.dumps(sent(source="other"))
        body = f"[{good},{with_value(name, raw)}]"
        answer = api.post_bytes(CANDLES, body.encode())

        assert answer.status_code == 200
        [failed] = answer.json()["results"]
        assert failed["index"] == 1
        assert failed["errors"][0]["pointer"] == f"/{name}"
        assert Candle.objects.get().source == "other"


class TestBodies:
    @pytest.mark.parametrize(("body", "code"), BAD_BODIES.values(), ids=BAD_BODIES)
    def test_that_are_no_strict_json_are_refused(self, api, body, code):
        found = assert_problem(api.post_bytes(CANDLES, body), 400)

        assert found["code"] == code
        assert not Candle.objects.exists()

    @pytest.mark.parametrize("kind", ["text/plain", "application/xml", "", "multipart/form-data"])
    def test_of_another_kind_are_refused(self, api, kind):
        assert_problem(api.post_bytes(CANDLES, GOOD.encode(), kind), 415)

    def test_as_a_table_are_only_taken_where_there_are_many(self, api):
        assert_problem(api.post_bytes("/api/v1/market/instruments/", b"symbol\nA", "text/csv"), 415)

    def test_beyond_the_limit_are_refused(self, api):
        path = "/api/v1/market/instruments/"

        assert_problem(api.post_bytes(path, b" " * (16 * 1024 * 1024 + 1)), 413)


class TestAnswers:
    @pytest.mark.parametrize(
        "path", ["/api/", "/api/v2/", "/api/v1/nothing/", "/api/v1/market/x/", f"{CANDLES}a/b/"]
    )
    @pytest.mark.parametrize("debug", [True, False])
    def test_unknown_addresses_are_problems(self, api, settings, path, debug):
        settings.DEBUG = debug

        assert_problem(api.get(path), 404)

    def test_a_post_without_the_slash_is_not_redirected(self, api):
        assert_problem(api.post(CANDLES[:-1], sent()), 404)

    def test_without_a_key_they_say_how_to_come_in(self):
        answer = ApiClient().get(CANDLES)

        assert_problem(answer, 401)
        assert answer["WWW-Authenticate"].startswith("Bearer")

    @pytest.mark.parametrize("debug", [True, False])
    def test_crashes_show_nothing_from_inside(self, api, settings, monkeypatch, caplog, debug):
        settings.DEBUG = debug
        monkeypatch.setattr(
            "apps.market.api.views.store_checked", lambda checked: 1 / (len(checked.kept) - 1)
        )

        found = assert_problem(api.post(CANDLES, sent()), 500)

        assert "ZeroDivision" not in json.dumps(found)
        assert "ZeroDivisionError" in caplog.text

    def test_a_database_that_is_away_is_said_so(self, api, monkeypatch):
        def away(checked: Any) -> None:
            raise OperationalError("connection refused")

        with monkeypatch.context() as patch:
            patch.setattr("apps.market.api.views.store_checked", away)
            answer = api.post(CANDLES, sent())

        assert_problem(answer, 503)
        assert int(answer["Retry-After"]) > 0

    def test_a_foreign_host_is_a_problem(self, api, settings):
        settings.ALLOWED_HOSTS = ["blotter.example", "testserver"]

        assert_problem(api.send("GET", CANDLES, SERVER_NAME="evil.example"), 400)

    def test_the_request_id_comes_back(self, api):
        api.headers["X-Request-ID"] = "attempt-7"

        assert assert_problem(api.get(f"{CANDLES}?x=1"), 400)["request_id"] == "attempt-7"

    def test_a_method_that_is_not_there_says_which_are(self, api):
        answer = api.send("DELETE", CANDLES)

        assert_problem(answer, 405)
        assert "POST" in answer["Allow"]

    @pytest.mark.parametrize("accept", ["text/html", "application/xml", "image/png"])
    def test_are_json_whatever_is_accepted(self, api, accept):
        api.headers["Accept"] = accept

        assert api.get(CANDLES)["Content-Type"] == "application/json"
