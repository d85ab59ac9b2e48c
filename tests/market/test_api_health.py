"""The soundness of candles through the API: series, their states, defects, days, backfills."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from apps.executions.models import Execution
from apps.market.choices import AssetClass, DefectKind
from tests.client import ApiClient
from tests.factories import (
    make_candle_day,
    make_candle_defect,
    make_candle_series,
    make_feed,
    make_instrument,
    make_key,
)

pytestmark = pytest.mark.django_db

SERIES = "/api/v1/market/candle-series/"
DEFECTS = "/api/v1/market/candle-defects/"
DAYS = "/api/v1/market/candle-days/"
START = datetime(2026, 1, 1, tzinfo=UTC)


class TestSeries:
    def test_tells_its_bounds_and_counts(self, api):
        series = make_candle_series(symbol="A")

        [found] = api.get(SERIES).json()["results"]

        assert found == api.get(f"{SERIES}{series.pk}/").json()
        assert found["first_timestamp"] == "2026-03-02T12:00:00Z"
        assert (found["candles"], found["expected"], found["missing"]) == (286, 288, 2)
        assert (found["gaps"], found["outliers"]) == (1, 0)

    def test_is_filtered(self, api):
        make_candle_series(symbol="A", gaps=3)
        make_candle_series(symbol="B", gaps=0, source="other")
        make_candle_series(symbol="C", gaps=0, granularity="1h", missing=None, expected=None)

        def symbols(query: str) -> str:
            results = api.get(f"{SERIES}?{query}").json()["results"]
            return "".join(each["symbol"] for each in results)

        assert symbols("") == "ABC"
        assert symbols("gaps_min=1") == "A"
        assert symbols("source=other") == "B"
        assert symbols("granularity=1h,1d") == "C"
        assert symbols("missing_min=1&symbol=A,C") == "A"

    def test_is_only_read(self, api):
        assert api.post(SERIES, {}).status_code == 405


class TestStates:
    def make(self, symbol: str, age: timedelta, **values: Any) -> None:
        last = datetime.now(UTC) - age
        make_candle_series(symbol=symbol, first_timestamp=START, last_timestamp=last, **values)

    def states(self, api: ApiClient, query: str = "") -> dict[str, str]:
        results = api.get(f"{SERIES}states/?{query}").json()["results"]
        return {each["symbol"]: each["state"] for each in results}

    def test_are_judged_by_what_was_to_be_expected(self, api):
        make_instrument(symbol="SHARE", asset_class=AssetClass.EQUITY)
        self.make("FRESH", timedelta(minutes=6))
        self.make("SHARE", timedelta(days=2))
        self.make("STALE", timedelta(days=2))
        self.make("ENDED", timedelta(days=60))
        self.make("FETCHED", timedelta(days=60))
        make_feed(symbol="FETCHED")

        assert self.states(api) == {
            "FRESH": "fresh",
            "SHARE": "fresh",
            "STALE": "stale",
            "ENDED": "ended",
            "FETCHED": "stale",
        }
        assert self.states(api, "state=ended") == {"ENDED": "ended"}
        assert self.states(api, "symbol=STALE&granularity=5m") == {"STALE": "stale"}

    def test_say_when_the_next_candle_was_expected(self, api):
        make_candle_series(symbol="A", last_timestamp=datetime(2026, 3, 2, 12, tzinfo=UTC))

        [found] = api.get(f"{SERIES}states/").json()["results"]

        assert found["last_timestamp"] == "2026-03-02T12:00:00Z"
        assert found["expected_by"] > "2026-03-02T12:05:00Z"

    def test_cost_a_fixed_number_of_queries(self, api, django_assert_num_queries):
        for number in range(4):
            self.make(f"{number}", timedelta(minutes=6))
        self.states(api)

        with django_assert_num_queries(4):
            self.states(api)

    @pytest.mark.parametrize("query", ["state=late", "symbol=", "granularity=7m", "limit=1"])
    def test_refuse_a_bad_question(self, api, query):
        assert api.get(f"{SERIES}states/?{query}").status_code == 400


class TestDefects:
    def test_name_their_series(self, api):
        defect = make_candle_defect(value=12.5, kind=DefectKind.OUTLIER)

        [found] = api.get(DEFECTS).json()["results"]

        assert found["series"] == {
            "symbol": defect.series.symbol,
            "source": "test",
            "granularity": "5m",
        }
        assert (found["kind"], found["value"], found["candles"]) == ("outlier", 12.5, 2)
        assert found["accepted_at"] is None

    def test_are_filtered(self, api):
        one, two = make_candle_series(symbol="A"), make_candle_series(symbol="B", granularity="1h")
        gap = make_candle_defect(series=one, start=START)
        flat = make_candle_defect(series=one, kind="zero_volume", accepted_at=START, start=START)
        late = make_candle_defect(series=two, start=START + timedelta(days=1))

        def ids(query: str) -> list[int]:
            return sorted(each["id"] for each in api.get(f"{DEFECTS}?{query}").json()["results"])

        assert ids("symbol=A") == [gap.pk, flat.pk]
        assert ids("symbol=A,B&kind=gap") == [gap.pk, late.pk]
        assert ids("granularity=1h&source=test") == [late.pk]
        assert ids("accepted=true") == [flat.pk]
        assert ids("accepted=false&start_before=2026-01-02T00:00:00Z") == [gap.pk]
        assert ids(f"series_id={two.pk}") == [late.pk]

    @pytest.mark.parametrize(
        "query", ["granularity=7m", "kind=odd", "accepted=1", "start_after=soon", "series=1"]
    )
    def test_refuse_a_filter_that_is_none(self, api, query):
        answer = api.get(f"{DEFECTS}?{query}")

        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"].startswith("?")

    def test_cost_a_fixed_number_of_queries(self, api, django_assert_num_queries):
        for _ in range(3):
            make_candle_defect()
        api.get(DEFECTS)

        with django_assert_num_queries(2):
            assert len(api.get(f"{DEFECTS}?symbol=A,B&limit=2").json()["results"]) == 0


class TestDays:
    def test_are_read_for_a_heat_map(self, api):
        series = make_candle_series(symbol="A")
        for number in range(3):
            make_candle_day(series=series, day=date(2026, 1, 1 + number), candles=number)
        make_candle_day()

        address = f"{DAYS}?symbol=A&ordering=day&fields=day,candles,expected&limit=2"
        page = api.get(address).json()
        rest = api.get(page["next"]).json()

        assert page["results"] + rest["results"] == [
            {"day": f"2026-01-0{1 + number}", "candles": number, "expected": 288}
            for number in range(3)
        ]
        within = api.get(f"{DAYS}?series_id={series.pk}&day_after=2026-01-02&day_before=2026-01-03")
        assert [each["day"] for each in within.json()["results"]] == ["2026-01-02"]


class TestBackfill:
    def test_is_planned_for_the_series_named(self, api):
        series = make_candle_series(symbol="A")
        make_feed(symbol="A")
        make_candle_defect(series=series)

        answer = api.post(f"{SERIES}backfill/", {"series_ids": [series.pk]})

        assert answer.status_code == 202, answer.json()
        run = Execution.objects.get(pk=answer.json()["execution_id"])
        assert (answer.json()["status"], run.status) == ("PENDING", "PENDING")
        assert answer.json()["total_tasks"] == run.total_tasks

    def test_may_name_one_series_by_its_names(self, api):
        series = make_candle_series(symbol="A")
        make_feed(symbol="A")
        make_candle_defect(series=series)

        answer = api.post(
            f"{SERIES}backfill/", {"symbol": "A", "source": "test", "granularity": "5m"}
        )

        assert answer.status_code == 202, answer.json()

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({}, "/series_ids"),
            ({"series_ids": []}, "/series_ids"),
            ({"series_ids": ["1"]}, "/series_ids/0"),
            ({"series_ids": [0]}, "/series_ids/0"),
            ({"series_ids": [1.5]}, "/series_ids/0"),
            ({"series_ids": [2**63]}, "/series_ids/0"),
            ({"series_ids": [2**62]}, "/series_ids/0"),
            ({"series_ids": [1], "symbol": "A"}, "/series_ids"),
            ({"symbol": "A"}, "/source"),
            ({"symbol": "A", "source": "test", "granularity": "7m"}, "/granularity"),
            ({"symbol": "A", "source": "test", "granularity": "1h"}, "/symbol"),
            ({"series": [1]}, "/series"),
        ],
    )
    def test_is_refused_by_what_is_wrong(self, api, body, pointer):
        answer = api.post(f"{SERIES}backfill/", body)

        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"] == pointer
        assert not Execution.objects.exists()

    def test_is_asked_for_by_writers_alone(self):
        reader = ApiClient(make_key(scopes=["market:read"]).text)

        assert reader.post(f"{SERIES}backfill/", {"series_ids": [1]}).status_code == 403
