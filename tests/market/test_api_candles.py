"""Candles through the API: one, many, twice, wrong; and read back page by page."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from apps.market.models import Candle, Instrument
from tests.factories import make_candle

pytestmark = pytest.mark.django_db

CANDLES = "/api/v1/market/candles/"
START = datetime(2026, 1, 1, tzinfo=UTC)
LINES = "application/x-ndjson"


def sent(place: int = 0, **values: Any) -> dict[str, Any]:
    moment = START + place * timedelta(minutes=5)
    return {
        "symbol": "BTC/USD",
        "source": "test",
        "granularity": "5m",
        "timestamp": moment.isoformat(),
        "open": "5",
        "high": "10.10",
        "low": 1,
        "close": 5.25,
        "volume": "0.00006123",
    } | values


class TestOne:
    def test_is_stored_and_answered_as_stored(self, api):
        answer = api.post(CANDLES, sent())

        assert answer.status_code == 201
        assert answer.json() | {"id": 0, "created_at": ""} == {
            "id": 0,
            "symbol": "BTC/USD",
            "source": "test",
            "granularity": "5m",
            "timestamp": "2026-01-01T00:00:00Z",
            "open": "5",
            "high": "10.1",
            "low": "1",
            "close": "5.25",
            "volume": "0.00006123",
            "created_at": "",
        }

    def test_again_is_answered_with_the_stored_row(self, api):
        first = api.post(CANDLES, sent())

        again = api.post(CANDLES, sent(open="5.000"))

        assert again.status_code == 200
        assert again.json() == first.json()

    def test_with_other_content_takes_its_place(self, api):
        api.post(CANDLES, sent())

        assert api.post(CANDLES, sent(close="6")).json()["close"] == "6"
        assert Candle.objects.count() == 1

    def test_makes_its_instrument_known(self, api):
        api.post(CANDLES, sent(symbol="ETH/BTC"))

        assert Instrument.objects.filter(symbol="ETH/BTC").exists()

    def test_keeps_eighteen_places_and_twenty_digits(self, api):
        highest = "99999999999999999999.999999999999999999"
        answer = api.post(CANDLES, sent(high=highest, low="0.000000000000000001"))

        assert answer.json()["high"] == highest
        assert answer.json()["low"] == "0.000000000000000001"
        assert api.get(CANDLES).json()["results"][0] == answer.json()

    def test_that_breaks_the_rules_names_the_field(self, api):
        answer = api.post(CANDLES, sent(high="2"))

        assert answer.status_code == 400
        assert {error["pointer"] for error in answer.json()["errors"]} == {"/open", "/close"}
        assert not Candle.objects.exists()


class TestMany:
    def test_are_all_stored(self, api):
        answer = api.post(CANDLES, [sent(place) for place in range(3)])

        assert answer.status_code == 201
        assert answer.json() == {
            "created": 3,
            "unchanged": 0,
            "replaced": 0,
            "failed": 0,
            "results": [],
        }

    def test_list_what_was_not_plainly_created(self, api):
        api.post(CANDLES, [sent(0), sent(1)])

        answer = api.post(
            CANDLES, [sent(2), sent(0), sent(1, close="6"), sent(3, high="-1"), sent(4, low="6")]
        )

        assert answer.status_code == 200
        found = answer.json()
        assert [found[name] for name in ("created", "unchanged", "replaced", "failed")] == [
            1, 1, 1, 2,
        ]  # fmt: skip
        assert [(each["index"], each["status"]) for each in found["results"]] == [
            (1, "unchanged"),
            (2, "replaced"),
            (3, "failed"),
            (4, "failed"),
        ]
        assert found["results"][2]["errors"][0]["pointer"] == "/high"
        assert Candle.objects.count() == 3

    def test_list_everything_when_asked(self, api):
        answer = api.post(f"{CANDLES}?verbose=1", [sent(0), {}, sent(1)])

        assert [each["status"] for each in answer.json()["results"]] == [
            "created",
            "failed",
            "created",
        ]

    @pytest.mark.parametrize("bad", [{"high": "-1"}, {"low": "6"}])
    def test_are_stored_all_or_none(self, api, bad):
        answer = api.post(f"{CANDLES}?atomic=1", [sent(0), sent(1, **bad)])

        assert answer.status_code == 400
        assert answer["Content-Type"] == "application/problem+json"
        assert (answer.json()["created"], answer.json()["failed"]) == (0, 1)
        assert not Candle.objects.exists()

    def test_of_which_none_is_good_are_a_refusal(self, api):
        answer = api.post(CANDLES, [{}, sent(high="0")])

        assert answer.status_code == 400
        assert answer.json()["code"] == "batch_refused"
        assert [each["index"] for each in answer.json()["results"]] == [0, 1]

    def test_may_be_none(self, api):
        assert api.post(CANDLES, []).status_code == 200

    def test_beyond_the_limit_are_refused(self, api):
        body = b"[" + b",".join([b"{}"] * 100_001) + b"]"

        answer = api.post_bytes(CANDLES, body)

        assert (answer.status_code, answer.json()["code"]) == (413, "too_many_rows")

    def test_come_as_lines(self, api):
        body = "\n".join(json.dumps(sent(place)) for place in range(3)).encode()

        assert api.post_bytes(CANDLES, body, LINES).json()["created"] == 3

    def test_come_as_a_table(self, api):
        rows = [sent(place) for place in range(3)]
        lines = [",".join(rows[0])] + [",".join(map(str, row.values())) for row in rows]

        answer = api.post_bytes(CANDLES, "\n".join(lines).encode(), "text/csv")

        assert answer.json()["created"] == 3
        assert Candle.objects.first().high == Decimal("10.1")

    @pytest.mark.parametrize("flag", ["atomic=2", "verbose=yes", "force=1", "atomic=1&atomic=0"])
    def test_know_their_flags(self, api, flag):
        assert api.post(f"{CANDLES}?{flag}", []).status_code == 400


class TestList:
    def test_runs_newest_first_through_all_pages_and_back(self, api):
        for place in range(7):
            make_candle(symbol="A", timestamp=START + place * timedelta(minutes=5))
        make_candle(symbol="B", timestamp=START)
        expected = [each["id"] for each in api.get(f"{CANDLES}?limit=100").json()["results"]]

        seen, page = [], api.get(f"{CANDLES}?limit=3").json()
        seen.append([each["id"] for each in page["results"]])
        assert page["previous"] is None
        while page["next"]:
            page = api.get(page["next"]).json()
            seen.append([each["id"] for each in page["results"]])
        back = [seen[-1]]
        while page["previous"]:
            page = api.get(page["previous"]).json()
            back.append([each["id"] for each in page["results"]])

        assert [len(each) for each in seen] == [3, 3, 2]
        assert [each for ids in seen for each in ids] == expected
        assert back == seen[::-1]

    def test_can_run_oldest_first(self, api):
        for place in (2, 0, 1):
            make_candle(timestamp=START + place * timedelta(minutes=5))

        page = api.get(f"{CANDLES}?ordering=timestamp&limit=2").json()
        rest = api.get(page["next"]).json()

        moments = [each["timestamp"] for each in page["results"] + rest["results"]]
        assert moments == sorted(moments)
        assert rest["next"] is None

    def test_rows_that_arrive_between_pages_shift_nothing(self, api):
        for place in range(4):
            make_candle(timestamp=START + place * timedelta(minutes=5))
        first = api.get(f"{CANDLES}?limit=2").json()
        make_candle(timestamp=START + timedelta(hours=1))

        second = api.get(first["next"]).json()

        assert [each["timestamp"][14:16] for each in second["results"]] == ["05", "00"]

    def test_is_filtered(self, api):
        make_candle(symbol="A", timestamp=START)
        make_candle(symbol="B", timestamp=START + timedelta(minutes=5))
        make_candle(symbol="C", timestamp=START + timedelta(minutes=10))

        def symbols(query: str) -> str:
            results = api.get(f"{CANDLES}?ordering=timestamp&{query}").json()["results"]
            return "".join(each["symbol"] for each in results)

        assert symbols("symbol=A,C") == "AC"
        assert symbols("symbol=A&symbol=B") == "AB"
        assert symbols("timestamp_after=2026-01-01T00:05:00Z") == "BC"
        assert symbols("timestamp_before=2026-01-01T00:05:00Z") == "A"
        assert symbols("timestamp_before=2026-01-01T02:05:00+02:00") == "A"
        assert symbols("timestamp_before=2026-01-01T02:05:00%2B02:00") == "A"
        assert symbols("granularity=5m&source=test&symbol=B") == "B"

    def test_is_thinned(self, api):
        make_candle(symbol="A", timestamp=START)

        results = api.get(f"{CANDLES}?fields=close,symbol").json()["results"]

        assert results == [{"symbol": "A", "close": "100"}]

    @pytest.mark.parametrize(
        "query",
        [
            "limit=0",
            "limit=1001",
            "limit=x",
            "cursor=x",
            "cursor=%00",
            "ordering=close",
            "ordering=-",
            "fields=secret",
            "fields=,",
            "colour=red",
            "format=json",
            "page=1",
            "symbol=%00",
            "granularity=7m",
            "timestamp_after=2026-01-01T00:00:00",
            "timestamp_after=yesterday",
            "timestamp_after=",
            "timestamp_before=0001-01-01T00:00:00%2B23:59",
            "timestamp_after=2026-01-01T00:00:00Z&timestamp_after=2026-01-02T00:00:00Z",
            "timestamp=2026-01-01T00:00:00Z",
            "%FF=1",
            "symbol=" + ",".join("A" * 300),
        ],
    )
    def test_refuses_what_it_does_not_know(self, api, query):
        answer = api.get(f"{CANDLES}?{query}")

        assert answer.status_code == 400
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["errors"][0]["pointer"].startswith("?")

    def test_costs_a_fixed_number_of_queries(self, api, django_assert_num_queries):
        for _ in range(5):
            make_candle()
        api.get(CANDLES)

        with django_assert_num_queries(2):
            api.get(CANDLES)


class TestDetail:
    def test_equals_the_row_in_the_list(self, api):
        candle = make_candle()

        assert api.get(f"{CANDLES}{candle.pk}/").json() == api.get(CANDLES).json()["results"][0]

    def test_is_thinned(self, api):
        candle = make_candle(symbol="A")

        assert api.get(f"{CANDLES}{candle.pk}/?fields=symbol").json() == {"symbol": "A"}

    @pytest.mark.parametrize("key", ["0", "99999999999999999999999", "x", "%00", "-1", "1.5"])
    def test_of_nothing_is_not_found(self, api, key):
        answer = api.get(f"{CANDLES}{key}/")

        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    @pytest.mark.parametrize("method", ["put", "patch", "delete", "options"])
    def test_of_a_fact_is_not_changed(self, api, method):
        answer = api.send(method.upper(), f"{CANDLES}{make_candle().pk}/")

        assert answer.status_code == 405
        assert answer["Content-Type"] == "application/problem+json"


class TestNamedReads:
    def test_close_at_is_the_price_that_was_known(self, api):
        make_candle(symbol="A", timestamp=START, price="7.50")

        answer = api.get(f"{CANDLES}close-at/?symbol=A&moment=2026-01-01T00:05:00Z").json()

        assert answer["price"] == "7.5"
        assert answer["known_at"] == "2026-01-01T00:05:00Z"

    def test_close_at_says_why_there_is_none(self, api):
        answer = api.get(f"{CANDLES}close-at/?symbol=A&moment=2026-01-01T00:05:00Z").json()

        assert answer["price"] is None
        assert answer["reason"]

    @pytest.mark.parametrize(
        ("query", "pointer"),
        [
            ("symbol=A", "?moment"),
            ("symbol=A&moment=now", "?moment"),
            ("symbol=A&moment=2026-01-01T00:05:00", "?moment"),
            ("symbol=%00&moment=2026-01-01T00:05:00Z", "?symbol"),
            ("symbol=A&moment=2026-01-01T00:05:00Z&x=1", "?x"),
        ],
    )
    def test_close_at_refuses_a_bad_question(self, api, query, pointer):
        answer = api.get(f"{CANDLES}close-at/?{query}")

        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"] == pointer

    WINDOW = (
        "symbol=A&source=test&granularity=5m&start=2026-01-01T00:00:00Z&end=2026-01-01T01:00:00Z"
    )

    def test_gaps_are_what_is_missing(self, api):
        for place in (0, 1, 4):
            make_candle(symbol="A", timestamp=START + place * timedelta(minutes=5))

        answer = api.get(f"{CANDLES}gaps/?{self.WINDOW}").json()

        assert answer["results"] == [
            {"start": "2026-01-01T00:10:00Z", "end": "2026-01-01T00:20:00Z", "missing": 2}
        ]

    def test_resampled_puts_candles_together(self, api):
        for place in range(3):
            make_candle(symbol="A", timestamp=START + place * timedelta(minutes=5), price=place + 1)

        [candle] = api.get(f"{CANDLES}resampled/?{self.WINDOW}&to=1h").json()["results"]

        assert candle == {
            "timestamp": "2026-01-01T00:00:00Z",
            "open": "1",
            "high": "3",
            "low": "1",
            "close": "3",
            "volume": "3",
        }

    @pytest.mark.parametrize(
        "query",
        [
            WINDOW + "&to=3m",
            WINDOW + "&to=7m",
            WINDOW.replace("2026-01-01T01", "2025-01-01T01") + "&to=1h",
            WINDOW.replace("end=2026", "end=2126") + "&to=5m",
        ],
    )
    def test_resampled_refuses_a_bad_question(self, api, query):
        assert api.get(f"{CANDLES}resampled/?{query}").status_code == 400
