"""On-chain and sentiment series through the API: points in, last values and gaps out."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from apps.market.models import OnchainMetric, SentimentScore
from tests.factories import make_onchain_metric, make_sentiment_score

pytestmark = pytest.mark.django_db

ONCHAIN = "/api/v1/market/onchain-metrics/"
SENTIMENT = "/api/v1/market/sentiment-scores/"
START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def point(place: float = 0, **values):
    return {
        "symbol": "BTC",
        "source": "glassnode",
        "timestamp": (START + place * HOUR).isoformat(),
        "metric_name": "hash_rate",
        "metric_value": 6.25e20,
    } | values


def score(place: float = 0, **values):
    return {
        "symbol": "BTC",
        "source": "fear_greed",
        "timestamp": (START + place * HOUR).isoformat(),
        "sentiment_score": -0.5,
    } | values


class TestIntake:
    @pytest.mark.parametrize(
        ("address", "row", "value"),
        [(ONCHAIN, point, "metric_value"), (SENTIMENT, score, "sentiment_score")],
        ids=["onchain", "sentiment"],
    )
    class TestOfBothKinds:
        def test_stores_one_and_answers_it(self, api, address, row, value):
            answer = api.post(address, row())

            assert answer.status_code == 201
            assert answer.json()[value] == row()[value]
            assert answer.json()["timestamp"] == "2026-01-01T00:00:00Z"

        def test_again_is_unchanged_and_another_value_a_conflict(self, api, address, row, value):
            first = api.post(address, row())

            again = api.post(address, row())
            other = api.post(address, row(**{value: 7}))

            assert (again.status_code, again.json()) == (200, first.json())
            assert (other.status_code, other.json()["errors"][0]["pointer"]) == (409, f"/{value}")

        def test_takes_many_and_says_what_became_of_each(self, api, address, row, value):
            api.post(address, row())
            rows = [row(), row(**{value: 9}), row(1), row(timestamp="2999-01-01T00:00:00Z")]

            found = api.post(address, rows).json()

            assert (found["created"], found["unchanged"], found["failed"]) == (1, 1, 2)
            codes = [each["code"] for result in found["results"] for each in result["errors"]]
            assert codes == ["differs", "future"]

        @pytest.mark.parametrize(
            "number", ['"NaN"', '"Infinity"', "1e400", '"-inf"', "null", "true", '"high"', "[1]"]
        )
        def test_refuses_what_is_no_finite_number_by_name(self, api, address, row, value, number):
            body = json.dumps(row(**{value: "HERE"})).replace('"HERE"', number)

            answer = api.post_bytes(address, body.encode())

            assert answer.status_code == 400
            assert answer.json()["errors"][0]["pointer"] == f"/{value}"

        @pytest.mark.parametrize("number", ["NaN", "-Infinity"])
        def test_refuses_what_is_no_json(self, api, address, row, value, number):
            body = json.dumps(row(**{value: "HERE"})).replace('"HERE"', number)

            assert api.post_bytes(address, body.encode()).json()["code"] == "malformed"

        @pytest.mark.parametrize("number", [5e-324, -1.7976931348623157e308, 0.1 + 0.2, 0, 2**53])
        def test_keeps_every_bit(self, api, address, row, value, number):
            assert api.post(address, row(**{value: number})).json()[value] == number

    def test_takes_lines_and_csv(self, api):
        lines = "\n".join(json.dumps(point(place)) for place in range(500))
        csv = "symbol,source,timestamp,sentiment_score\nBTC,x,2026-01-01T00:00:00Z,0.25\n"

        assert api.post_bytes(ONCHAIN, lines.encode(), "application/x-ndjson").status_code == 201
        assert api.post_bytes(SENTIMENT, csv.encode(), "text/csv").status_code == 201
        assert OnchainMetric.objects.count() == 500
        assert SentimentScore.objects.get().sentiment_score == 0.25

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("metric_name", ""), ("metric_name", "a" * 101), ("metric_name", " a"),
            ("symbol", None), ("source", "a\u0000"), ("timestamp", "yesterday"),
            ("timestamp", "1899-12-31T23:59:59Z"), ("colour", "red"),
        ],
    )  # fmt: skip
    def test_refuses_what_is_wrong_by_its_name(self, api, name, value):
        answer = api.post(ONCHAIN, point(**{name: value}))

        assert answer.status_code == 400
        assert [each["pointer"] for each in answer.json()["errors"]] == [f"/{name}"]


class TestLists:
    def test_are_narrowed_by_what_names_a_series(self, api):
        make_onchain_metric(metric_name="nvt", timestamp=START)
        make_onchain_metric(source="chain watch")
        make_sentiment_score(symbol="ETH")

        def found(query: str) -> int:
            return len(api.get(f"{ONCHAIN}?{query}").json()["results"])

        assert (found(""), found("metric_name=nvt"), found("source=chain watch")) == (2, 1, 1)
        assert found("timestamp_before=2026-01-02T00:00:00Z") == 1
        assert len(api.get(f"{SENTIMENT}?symbol=ETH").json()["results"]) == 1
        assert api.get(f"{SENTIMENT}?metric_name=nvt").status_code == 400


class TestLatest:
    def get(self, api, query="", address=ONCHAIN):
        answer = api.get(f"{address}latest/{query}")
        assert answer.status_code == 200
        return answer.json()

    def test_is_the_last_point_of_each_series_with_its_age(self, api):
        now = timezone.now()
        for hours in (3, 2, 1):
            make_onchain_metric(metric_name="nvt", metric_value=hours, timestamp=now - hours * HOUR)
        make_onchain_metric(metric_name="hash_rate", timestamp=now - 9 * HOUR)

        first, second = self.get(api)["results"]

        assert (first["metric_name"], second["metric_name"]) == ("hash_rate", "nvt")
        assert second["metric_value"] == 1
        assert second["age_seconds"] == pytest.approx(3600, abs=60)

    def test_goes_on_where_a_page_ends(self, api):
        for symbol in ("A", "B"):
            for metric in ("x", "y"):
                make_onchain_metric(symbol=symbol, metric_name=metric)

        page, seen = self.get(api, "?limit=3"), []
        seen += page["results"]
        asked = "&".join(f"{name}={text}" for name, text in page["next"].items())
        page = self.get(api, f"?limit=3&{asked}")
        seen += page["results"]

        assert [each["symbol"] + each["metric_name"] for each in seen] == ["Ax", "Ay", "Bx", "By"]
        assert page["next"] is None

    def test_is_narrowed_by_each_part_of_the_name(self, api):
        make_onchain_metric(symbol="A", source="one", metric_name="x")
        make_onchain_metric(symbol="A", source="two", metric_name="y")
        make_onchain_metric(symbol="B", source="one", metric_name="y")

        def found(query: str) -> list[str]:
            lines = self.get(api, query)["results"]
            return [each["symbol"] + each["source"] + each["metric_name"] for each in lines]

        assert found("?symbol=A") == ["Aonex", "Atwoy"]
        assert found("?source=one") == ["Aonex", "Boney"]
        assert found("?metric_name=y") == ["Atwoy", "Boney"]
        assert found("?symbol=A&metric_name=y&source=two") == ["Atwoy"]
        assert found("?symbol=C") == []
        assert found("?symbol=A&limit=1&after_symbol=A&after_source=one&after_metric_name=x") == [
            "Atwoy"
        ]
        assert found("?symbol=B&after_symbol=A&after_source=z&after_metric_name=z") == ["Boney"]
        assert found("?symbol=A&after_symbol=B&after_source=z&after_metric_name=z") == [
            "Aonex",
            "Atwoy",
        ]

    def test_knows_sentiment_too(self, api):
        make_sentiment_score(symbol="A", sentiment_score=5, timestamp=START)
        make_sentiment_score(symbol="A", sentiment_score=6, timestamp=START + HOUR)

        (line,) = self.get(api, address=SENTIMENT)["results"]

        assert (line["sentiment_score"], line["timestamp"]) == (6, "2026-01-01T01:00:00Z")

    @pytest.mark.parametrize("query", ["?limit=0", "?after_symbol=A", "?symbol=", "?x=1"])
    def test_refuses_nonsense(self, api, query):
        assert api.get(f"{ONCHAIN}latest/{query}").status_code == 400


class TestGaps:
    SERIES = "?symbol=BTC/USD&source=glassnode&metric_name=nvt"

    def make(self, *hours):
        for each in hours:
            make_onchain_metric(metric_name="nvt", timestamp=START + each * HOUR)

    def get(self, api, more=""):
        answer = api.get(f"{ONCHAIN}gaps/{self.SERIES}{more}")
        assert answer.status_code == 200
        return answer.json()

    def test_tell_what_is_usual_and_where_it_was_not_so(self, api):
        self.make(0, 1, 2, 5, 6, 7)

        found = self.get(api)

        assert found["cadence_seconds"] == 3600
        assert found["gaps"] == [
            {"start": "2026-01-01T02:00:00Z", "end": "2026-01-01T05:00:00Z", "missing": 2}
        ]
        assert (found["points"], found["missing"], found["cut"]) == (6, 2, False)
        assert found["silent_seconds"] > 86_400

    def test_look_at_the_window_that_is_named(self, api):
        self.make(0, 1, 2, 5, 6, 7, 20)

        found = self.get(api, "&start=2026-01-01T05:00:00Z&end=2026-01-01T20:00:00Z")

        assert (found["first"], found["last"]) == ("2026-01-01T05:00:00Z", "2026-01-01T07:00:00Z")
        assert found["gaps"] == []

    def test_are_none_where_nothing_is_usual_yet(self, api):
        self.make(0, 9)

        found = self.get(api)

        assert (found["cadence_seconds"], found["gaps"], found["silent_seconds"]) == (
            None,
            [],
            None,
        )
        assert "4 points" in found["cadence_reason"]

    def test_of_a_series_that_is_fed_say_nothing_of_silence(self, api):
        now = timezone.now()
        for hours in range(5):
            make_onchain_metric(metric_name="nvt", timestamp=now - hours * HOUR)

        assert self.get(api)["silent_seconds"] is None

    def test_of_nothing_are_nothing(self, api):
        found = self.get(api)

        assert (found["points"], found["first"], found["gaps"]) == (0, None, [])

    def test_are_known_of_sentiment_too(self, api):
        for hours in (0, 1, 2, 3, 9):
            make_sentiment_score(timestamp=START + hours * HOUR)

        found = api.get(f"{SENTIMENT}gaps/?symbol=BTC/USD&source=fear_greed").json()

        assert found["missing"] == 5

    def test_need_a_whole_name_and_a_window_that_runs_forward(self, api):
        assert api.get(f"{ONCHAIN}gaps/?symbol=A&source=b").status_code == 400
        window = "&start=2026-01-02T00:00:00Z&end=2026-01-01T00:00:00Z"
        assert api.get(f"{ONCHAIN}gaps/{self.SERIES}{window}").status_code == 400
