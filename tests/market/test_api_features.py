"""Features through the API: versions, rows of a hundred columns, the newest, where they stand."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.market.api.rows_features import COLUMN_NAMES, FeatureRow, WholeCheck
from apps.market.choices import FeatureOrigin
from apps.market.domain.features.columns import INTEGERS, NUMERIC
from apps.market.models import FeatureSeries, FeatureVector, FeatureVersion
from apps.market.services.features.versions import ensure_versions
from apps.shared.api import structs
from tests.client import ApiClient
from tests.factories import (
    make_feature_coverage,
    make_feature_series,
    make_feature_vector,
    make_feature_version,
    make_key,
)

pytestmark = pytest.mark.django_db

MARKET = "/api/v1/market/"
FEATURES = f"{MARKET}features/"
VERSIONS = f"{MARKET}feature-versions/"
SERIES = f"{MARKET}feature-series/"
COVERAGE = f"{MARKET}feature-coverage/"
CSV, LINES = "text/csv", "application/x-ndjson"
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def computed_versions(db: None) -> None:
    """Begin with the versions that are computed here."""
    ensure_versions()


@pytest.fixture
def version(db: None) -> str:
    """Return a version that a pipeline registered."""
    return make_feature_version(version="9.10").version


def sent(place: int = 0, **values: Any) -> dict[str, Any]:
    return {
        "symbol": "BTC/USD",
        "source": "test",
        "granularity": "1h",
        "feature_version": "9.10",
        "timestamp": (START + place * timedelta(hours=1)).isoformat(),
        "close": 100.5,
        "rsi_1d": 0.1 + 0.2,
        "hour": place % 24,
        "date": "2026-01-01",
    } | values


def whole(place: int = 0) -> dict[str, Any]:
    """Return a row with all hundred columns."""
    values: dict[str, Any] = {
        name: 1 if name in INTEGERS else (place + 1) / (number + 3)
        for number, name in enumerate(NUMERIC)
    }
    return sent(place, **values)


def as_table(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


class TestRow:
    def test_has_the_hundred_columns_of_the_definition(self):
        assert set(COLUMN_NAMES) == {*NUMERIC, "date"}
        plan = structs.plan_of(FeatureRow)
        assert {field.name for field in plan.fields if isinstance(field.check, WholeCheck)} == set(
            INTEGERS
        )

    def test_is_answered_as_it_was_sent(self, api, version):
        answer = api.post(FEATURES, whole())

        assert answer.status_code == 201
        found = answer.json()
        assert {name: found[name] for name in whole()} == whole() | {
            "timestamp": "2026-01-01T00:00:00Z"
        }
        assert api.get(FEATURES).json()["results"] == [found]
        assert api.get(f"{FEATURES}{found['id']}/").json() == found

    def test_leaves_null_what_is_not_known(self, api, version):
        found = api.post(FEATURES, sent(rsi_1d=None)).json()

        assert found["rsi_1d"] is None
        assert found["williams_r"] is None
        assert found["close"] == 100.5

    def test_again_is_answered_with_the_stored_row(self, api, version):
        first = api.post(FEATURES, sent())

        again = api.post(FEATURES, sent())

        assert (again.status_code, again.json()) == (200, first.json())

    def test_sent_anew_takes_the_place_of_the_one_before(self, api, version):
        api.post(FEATURES, sent())

        assert api.post(FEATURES, sent(close=7)).json()["close"] == 7
        assert FeatureVector.objects.count() == 1

    def test_is_kept_to_the_last_digit(self, api, version):
        for number in (5e-324, 1.7976931348623157e308, 0.1 + 0.2, -1 / 3):
            assert api.post(FEATURES, sent(macd=number)).json()["macd"] == number

    @pytest.mark.parametrize("hour", [9, 9.0, "9", "9.0"])
    def test_takes_whole_numbers_as_tables_write_them(self, api, version, hour):
        assert api.post(FEATURES, sent(hour=hour)).json()["hour"] == 9
        table = as_table([sent(1, hour=hour)])
        assert api.post_bytes(FEATURES, table, CSV).json()["created"] == 1
        assert set(FeatureVector.objects.values_list("hour", flat=True)) == {9}


class TestMany:
    def test_come_as_a_table_and_are_read_back_the_same(self, api, version):
        rows = [whole(place) for place in range(30)]

        answer = api.post_bytes(FEATURES, as_table(rows), CSV)

        assert answer.status_code == 201, answer.json()
        assert answer.json()["created"] == 30
        results = api.get(f"{FEATURES}?ordering=timestamp").json()["results"]
        names = [name for name in rows[0] if name != "timestamp"]
        assert [[found[name] for name in names] for found in results] == [
            [row[name] for name in names] for row in rows
        ]
        again = api.post_bytes(FEATURES, as_table(rows), CSV).json()
        assert (again["created"], again["unchanged"]) == (0, 30)

    def test_come_as_lines(self, api, version):
        body = "\n".join(json.dumps(whole(place)) for place in range(3)).encode()

        assert api.post_bytes(FEATURES, body, LINES).json()["created"] == 3

    def test_are_stored_but_for_the_bad_ones(self, api, version):
        answer = api.post(FEATURES, [sent(0), sent(1, hour=24), sent(2)])

        assert answer.status_code == 200
        assert (answer.json()["created"], answer.json()["failed"]) == (2, 1)
        [bad] = answer.json()["results"]
        assert (bad["index"], bad["errors"][0]["pointer"]) == (1, "/hour")

    def test_are_stored_all_or_none(self, api, version):
        answer = api.post(f"{FEATURES}?atomic=1", [sent(0), sent(1, feature_version="9.11")])

        assert answer.status_code == 400
        assert not FeatureVector.objects.exists()

    def test_beyond_the_limit_are_refused(self, api):
        body = b"[" + b",".join([b"{}"] * 100_001) + b"]"

        answer = api.post_bytes(FEATURES, body)

        assert (answer.status_code, answer.json()["code"]) == (413, "too_many_rows")

    def test_leave_a_trace_of_where_they_stand(self, api, version):
        api.post(FEATURES, [sent(place) for place in range(3)])

        [series] = api.get(f"{SERIES}?symbol=BTC/USD").json()["results"]

        assert (series["rows"], series["feature_version"]) == (3, "9.10")
        assert series["last_timestamp"] == "2026-01-01T02:00:00Z"


BAD = {
    "beyond a double": ("macd", "1e999", "not_finite"),
    "below a double": ("macd", "-1e999", "not_finite"),
    "not a number, as text": ("macd", '"NaN"', "not_finite"),
    "infinity, as text": ("macd", '"-Infinity"', "not_finite"),
    "a word": ("macd", '"high"', "not_a_number"),
    "true": ("macd", "true", "type"),
    "a list": ("macd", "[1]", "type"),
    "a digit grouped": ("macd", '"1_0"', "not_a_number"),
    "a fraction of an hour": ("hour", "9.5", "not_whole"),
    "an hour too late": ("hour", "24", "not_whole"),
    "an eighth day": ("day_of_week", "7", "not_whole"),
    "neither yes nor no": ("is_morning", "2", "not_whole"),
    "a yes in words": ("is_morning", "true", "type"),
    "a long date": ("date", '"2026-01-01 and some more"', "too_long"),
    "a number for a date": ("date", "20260101", "type"),
    "an unknown column": ("returns_lag_3", "1", "unknown"),
    "a version in words": ("feature_version", '"latest"', "not_a_version"),
    "a version with leading zeros": ("feature_version", '"9.01"', "not_a_version"),
    "a version as a number": ("feature_version", "9.1", "type"),
    "an unknown version": ("feature_version", '"9.11"', "unknown_version"),
    "a version that is computed here": ("feature_version", '"3.1"', "computed_here"),
    "an unknown granularity": ("granularity", '"7m"', "not_a_choice"),
    "no symbol": ("symbol", '""', "empty"),
    "a null byte": ("symbol", '"A\\u0000"', "unstorable"),
    "a naive time": ("timestamp", '"2026-01-01T00:00:00"', "naive"),
}


class TestBadRow:
    @pytest.mark.parametrize(("name", "raw", "code"), BAD.values(), ids=BAD)
    def test_is_refused_by_its_column(self, api, version, name, raw, code):
        values = {key: json.dumps(value) for key, value in sent().items()} | {name: raw}
        body = "{" + ",".join(f'"{key}": {value}' for key, value in values.items()) + "}"

        for shape in (body, f"[{body}]", f"[{','.join([body] * 10)}]"):
            answer = api.post_bytes(FEATURES, shape.encode())
            assert answer.status_code == 400, shape
            told = answer.json()
            errors = told["results"][0]["errors"] if "results" in told else told["errors"]
            assert [(e["pointer"], e["code"]) for e in errors] == [(f"/{name}", code)]
            assert errors[0]["message"]
        assert not FeatureVector.objects.exists()

    @pytest.mark.parametrize("cell", ["nan", "NaN", "inf", "-Infinity", "1e999", "-1e400"])
    def test_of_a_table_is_refused_by_its_column_and_line(self, api, version, cell):
        rows = [sent(0), sent(1, macd=cell), sent(2)]
        rows[0]["macd"] = rows[2]["macd"] = 0.5

        answer = api.post_bytes(FEATURES, as_table(rows), CSV)

        assert (answer.json()["created"], answer.json()["failed"]) == (2, 1)
        [bad] = answer.json()["results"]
        assert bad["index"] == 1
        [error] = bad["errors"]
        assert (error["pointer"], error["code"]) == ("/macd", "not_finite")
        assert error["message"].startswith("Line 3: ")

    @pytest.mark.parametrize(
        ("cell", "column"), [("high", "macd"), ("0x10", "macd"), ("1_0", "macd"), ("9.5", "hour")]
    )
    def test_of_a_table_that_holds_no_number_is_refused(self, api, version, cell, column):
        answer = api.post_bytes(FEATURES, as_table([sent(**{column: cell})]), CSV)

        assert answer.status_code == 400
        assert answer.json()["results"][0]["errors"][0]["pointer"] == f"/{column}"

    def test_table_with_an_unknown_column_names_it(self, api, version):
        answer = api.post_bytes(FEATURES, as_table([sent(returns_lag_3=1)]), CSV)

        assert (answer.status_code, answer.json()["code"]) == (400, "header")
        assert [e["pointer"] for e in answer.json()["errors"]] == ["/returns_lag_3"]


class TestList:
    def test_is_thinned_and_filtered(self, api):
        make_feature_vector(symbol="A", timestamp=START, close=1)
        make_feature_vector(symbol="B", timestamp=START + timedelta(hours=1), close=2)
        make_feature_vector(symbol="A", timestamp=START + timedelta(hours=2), feature_version="3.1")

        def closes(query: str) -> list[dict[str, Any]]:
            address = f"{FEATURES}?fields=close,symbol&ordering=timestamp&{query}"
            return api.get(address).json()["results"]

        one, two = {"symbol": "A", "close": 1}, {"symbol": "B", "close": 2}
        assert closes("feature_version=9") == [one, two]
        assert closes("symbol=B&source=test&granularity=1h") == [two]
        assert closes("symbol=A&timestamp_before=2026-01-01T01:00:00Z") == [one]
        assert closes("timestamp_after=2026-01-01T01:00:00Z&feature_version=9,10") == [two]

    def test_runs_through_all_pages(self, api):
        for place in range(5):
            make_feature_vector(
                timestamp=START + place // 2 * timedelta(hours=1), symbol=f"{place}"
            )

        page, seen = api.get(f"{FEATURES}?limit=2&fields=symbol").json(), []
        seen += page["results"]
        while page["next"]:
            page = api.get(page["next"]).json()
            seen += page["results"]

        assert [each["symbol"] for each in seen] == ["4", "3", "2", "1", "0"]

    @pytest.mark.parametrize("query", ["fields=rsi_9", "rsi_1d_min=1", "granularity=7m", "limit=0"])
    def test_refuses_what_it_does_not_know(self, api, query):
        assert api.get(f"{FEATURES}?{query}").status_code == 400

    def test_costs_a_fixed_number_of_queries(self, api, django_assert_num_queries):
        for _ in range(3):
            make_feature_vector()
        api.get(FEATURES)

        with django_assert_num_queries(2):
            api.get(FEATURES)


class TestLatest:
    def store(self, version: str, moment: datetime, **values: Any) -> None:
        place = {"symbol": "A", "source": "test", "granularity": "1h"} | {
            name: values.pop(name) for name in ("source", "granularity") if name in values
        }
        make_feature_series(
            **place, feature_version=version, first_timestamp=START, last_timestamp=moment
        )
        for timestamp in {START, moment}:
            make_feature_vector(
                **place, feature_version=version, timestamp=timestamp, close=moment.hour, **values
            )

    def test_is_the_newest_row_of_the_highest_version(self, api):
        self.store("9.9", START + timedelta(hours=5))
        self.store("9.10", START + timedelta(hours=2))

        found = api.get(f"{FEATURES}latest/?symbol=A").json()

        assert (found["feature_version"], found["timestamp"]) == ("9.10", "2026-01-01T02:00:00Z")

    def test_is_that_of_the_version_asked_for(self, api):
        self.store("9.9", START + timedelta(hours=5))
        self.store("9.10", START + timedelta(hours=2))

        answer = api.get(f"{FEATURES}latest/?symbol=A&version=9.9&fields=close,feature_version")

        assert answer.json() == {"feature_version": "9.9", "close": 5}

    def test_is_of_the_source_and_granularity_asked_for(self, api):
        self.store("9", START + timedelta(hours=5), source="one")
        self.store("9", START + timedelta(hours=3), source="two")
        self.store("9", START + timedelta(hours=1), source="two", granularity="1d")

        def close(query: str) -> float:
            return api.get(f"{FEATURES}latest/?symbol=A&{query}").json()["close"]

        assert close("source=one") == 5
        assert close("source=two") == 3
        assert close("granularity=1d") == 1

    def test_of_nothing_is_not_found(self, api):
        answer = api.get(f"{FEATURES}latest/?symbol=A")

        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert "A" in answer.json()["detail"]

    @pytest.mark.parametrize(
        ("query", "pointer"),
        [
            ("", "?symbol"),
            ("symbol=", "?symbol"),
            ("symbol=A&version=newest", "?version"),
            ("symbol=A&version=9.11", "?version"),
            ("symbol=A&granularity=7m", "?granularity"),
            ("symbol=A&fields=rsi_9", "?fields"),
            ("symbol=A&feature_version=9", "?feature_version"),
        ],
    )
    def test_refuses_a_bad_question(self, api, query, pointer):
        answer = api.get(f"{FEATURES}latest/?{query}")

        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"] == pointer


class TestVersion:
    def test_is_registered_and_described_anew(self, api):
        first = api.put(f"{VERSIONS}4.2/", {"columns": ["returns", "macd"], "is_causal": False})
        again = api.put(
            f"{VERSIONS}4.2/", {"description": "With volumes.", "granularities": ["1h"]}
        )

        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json()["origin"] == FeatureOrigin.REPORTED
        assert (first.json()["columns"], first.json()["built"]) == (["returns", "macd"], False)
        found = again.json()
        assert (found["description"], found["columns"]) == ("With volumes.", [])
        assert api.patch(f"{VERSIONS}4.2/", {"is_causal": True}).json()["granularities"] == ["1h"]

    def test_that_is_computed_here_is_changed_by_no_program(self, api):
        before = api.get(f"{VERSIONS}3.1/").json()
        assert before["origin"] == FeatureOrigin.COMPUTED

        for answer in (
            api.put(f"{VERSIONS}3.1/", {"description": "Ours now."}),
            api.patch(f"{VERSIONS}3.1/", {"is_causal": False}),
            api.post(VERSIONS, {"version": "3.1"}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (409, "computed_here")
            assert "computed here" in answer.json()["detail"]
        answer = api.post(VERSIONS, [{"version": "4.4"}, {"version": "3.1"}])
        assert (answer.json()["created"], answer.json()["failed"]) == (1, 1)
        assert answer.json()["results"][0]["errors"][0]["code"] == "computed_here"
        assert api.get(f"{VERSIONS}3.1/").json() == before

    @pytest.mark.parametrize("name", ["v1", "01.2", "1.", ".1", "1..2", "9" * 10, "1,2"])
    def test_is_numbers_between_points(self, api, name):
        assert api.put(f"{VERSIONS}{name}/", {}).status_code == 400
        assert not FeatureVersion.objects.filter(version=name).exists()

    @pytest.mark.parametrize(
        ("values", "pointer"),
        [
            ({"columns": ["returns", "rsi_9"]}, "/columns/1"),
            ({"columns": ["macd", "macd"]}, "/columns/1"),
            ({"columns": "macd"}, "/columns"),
            ({"columns": [1]}, "/columns/0"),
            ({"granularities": ["7m"]}, "/granularities/0"),
            ({"definition_hash": "abc"}, "/definition_hash"),
            ({"is_causal": "yes"}, "/is_causal"),
            ({"origin": "computed"}, "/origin"),
            ({"built": True}, "/built"),
            ({"version": "4.3"}, "/version"),
        ],
    )
    def test_is_refused_by_what_is_wrong(self, api, values, pointer):
        answer = api.put(f"{VERSIONS}4.2/", values)

        assert answer.status_code == 400
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]

    def test_is_filtered(self, api):
        make_feature_version(version="4.2", is_causal=False)

        def versions(query: str) -> set[str]:
            results = api.get(f"{VERSIONS}?{query}").json()["results"]
            return {each["version"] for each in results}

        assert versions("origin=computed") == {"3.0", "3.1"}
        assert versions("is_causal=false&origin=reported") == {"4.2"}
        assert versions("built=true") == {"3.1"}


class TestSeries:
    def test_tells_lineage_and_no_bytes(self, api):
        make_feature_series(symbol="A", state=b"state", tail=b"tail", definition_hash="f" * 64)

        [found] = api.get(SERIES).json()["results"]

        assert (found["symbol"], found["definition_hash"]) == ("A", "f" * 64)
        assert not {"state", "tail"} & set(found)
        assert api.get(f"{SERIES}?fields=state").status_code == 400

    def test_is_filtered(self, api):
        make_feature_series(symbol="A", error="Candles end.")
        make_feature_series(symbol="B")

        def symbols(query: str) -> str:
            results = api.get(f"{SERIES}?{query}").json()["results"]
            return "".join(each["symbol"] for each in results)

        assert symbols("") == "BA"[::-1]
        assert symbols("failing=true") == "A"
        assert symbols("failing=false&feature_version=9") == "B"

    def test_is_only_read(self, api):
        key = make_feature_series().pk

        assert api.post(SERIES, {}).status_code == 405
        assert api.put(f"{SERIES}{key}/", {}).status_code == 405
        assert FeatureSeries.objects.get().pk == key


class TestCoverage:
    def test_says_as_of_when(self, api):
        coverage = make_feature_coverage(symbol="ETH/BTC")

        found = api.get(f"{COVERAGE}ETH/BTC/").json()

        assert found == api.get(COVERAGE).json()["results"][0]
        assert (found["total_records"], found["rsi_coverage"]) == (1, 1)
        assert datetime.fromisoformat(found["refreshed_at"]) == coverage.refreshed_at

    def test_is_refreshed_by_a_worker(self, api):
        answer = api.post(f"{COVERAGE}refresh/", {})

        assert answer.status_code == 202
        run = api.get(f"/api/v1/executions/executions/{answer.json()['execution_id']}/").json()
        assert run["status"] == answer.json()["status"] == "PENDING"

    def test_is_not_refreshed_twice_at_once(self, api):
        first = api.post_bytes(f"{COVERAGE}refresh/", b"")
        again = api.post(f"{COVERAGE}refresh/", {})

        assert (first.status_code, again.status_code) == (202, 202)
        assert again.json()["execution_id"] == first.json()["execution_id"]

    def test_is_refreshed_for_writers_alone(self):
        reader = ApiClient(make_key(scopes=["market:read"]).text)

        assert reader.post(f"{COVERAGE}refresh/", {}).status_code == 403

    @pytest.mark.parametrize("body", [b'{"now": true}', b"[]", b"{"])
    def test_refresh_takes_nothing(self, api, body):
        assert api.post_bytes(f"{COVERAGE}refresh/", body).status_code == 400
