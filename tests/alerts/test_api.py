"""Alerts over HTTP."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.alerts.models import Alert, AlertPerformance
from tests.alerts.rows import HOUR, NOON, closing_at, raised, store, tick
from tests.factories import make_key

pytestmark = pytest.mark.django_db

ALERTS = "/api/v1/alerts/alerts/"
SCORECARD = "/api/v1/alerts/scorecard/"


@pytest.fixture
def api():
    key = make_key(scopes=["alerts:read", "alerts:write"])
    return Client(headers={"Authorization": f"Bearer {key.text}"})


def post(api, body):
    return api.post(ALERTS, json.dumps(body), content_type="application/json")


def alert(**values):
    usual = {
        "alert_id": "trade_BTC_1",
        "symbol": "BTC/USD",
        "timestamp": "2026-03-02T12:00:00Z",
        "entry_price": "100",
    }
    return usual | values


class TestPosting:
    def test_stores_an_alert_and_answers_it(self, api):
        answer = post(
            api, alert(target_price=110.5, stop_loss="95", confidence_pct=72.5, leverage=10)
        )

        assert answer.status_code == 201
        body = answer.json()
        assert body["target_price"] == "110.5"
        assert body["confidence"] == "0.725"
        assert (body["direction"], body["priority"]) == ("long", "medium")
        assert body["performance"]["status"] == "open"

    def test_again_answers_the_same(self, api):
        post(api, alert())

        assert post(api, alert()).status_code == 200
        assert post(api, alert(entry_price="100.00")).status_code == 200
        assert Alert.objects.count() == 1

    def test_with_other_content_is_a_conflict(self, api):
        post(api, alert())

        answer = post(api, alert(entry_price="101"))

        assert answer.status_code == 409
        assert answer.json()["errors"][0]["pointer"] == "/entry_price"

    def test_of_many_names_the_bad_ones(self, api):
        rows = [
            alert(alert_id="a"),
            alert(alert_id="b", target_price="99"),
            alert(alert_id="c", direction="up"),
        ]

        answer = post(api, rows)

        body = answer.json()
        assert (body["created"], body["failed"]) == (1, 2)
        assert [each["index"] for each in body["results"]] == [1, 2]
        assert body["results"][0]["errors"][0]["pointer"] == "/target_price"
        assert AlertPerformance.objects.count() == 1

    @pytest.mark.parametrize(
        ("values", "pointer"),
        [
            ({"target_price": "99"}, "/target_price"),
            ({"stop_loss": "101"}, "/stop_loss"),
            ({"entry_price": 0}, "/entry_price"),
            ({"entry_price": -1}, "/entry_price"),
            ({"confidence": 1.5}, "/confidence"),
            ({"confidence_pct": 101}, "/confidence_pct"),
            ({"timestamp": "2999-01-01T00:00:00Z"}, "/timestamp"),
            ({"timestamp": "2026-03-02T12:00:00"}, "/timestamp"),
            ({"leverage": 0}, "/leverage"),
            ({"priority": "urgent"}, "/priority"),
            ({"timeframe": "fortnightly"}, "/timeframe"),
            ({"extra_data": {"sl": 200}}, "/stop_loss"),
            ({"symbol": ""}, "/symbol"),
            ({"colour": "red"}, "/colour"),
        ],
    )
    def test_refuses_with_the_field_named(self, api, values, pointer):
        answer = post(api, alert(**values))

        assert 400 <= answer.status_code < 500
        assert answer["Content-Type"] == "application/problem+json"
        assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]
        assert not Alert.objects.exists()


class TestReading:
    def test_shows_an_alert_with_its_outcome(self, api):
        name = raised(target_price=120)
        store(*(closing_at(NOON + h * HOUR, 100 + h) for h in range(80)))
        tick()

        body = api.get(f"{ALERTS}{name}/").json()

        assert body["performance"]["is_success"] is True
        assert body["performance"]["max_gain"] == "72"
        assert body["performance"]["first_touch"] == "target"

    @pytest.mark.parametrize(
        ("query", "count"),
        [
            ("symbol=BTC/USD,ETH/USD", 2),
            ("symbol=ETH/USD", 1),
            ("direction=short", 1),
            ("performance.status=settled", 0),
            ("timestamp_after=2026-03-02T12:00:00Z", 2),
            ("timestamp_before=2026-03-02T12:00:00Z", 0),
            ("confidence_min=0.5", 1),
        ],
    )
    def test_filters_the_list(self, api, query, count):
        raised(confidence="0.7")
        raised(symbol="ETH/USD", direction="short")

        assert len(api.get(f"{ALERTS}?{query}").json()["results"]) == count

    def test_shows_tracked_prices_and_performance(self, api):
        name = raised()
        store(*(closing_at(NOON + h * HOUR, 100 + h) for h in range(80)))
        tick()

        prices = api.get(f"/api/v1/alerts/tracked-prices/?alert_id={name}").json()["results"]
        found = api.get(f"/api/v1/alerts/performance/{name}/").json()

        assert {each["time_elapsed_hours"]: each["price"] for each in prices} == {
            1: "101",
            3: "103",
            24: "124",
            72: "172",
        }
        assert (found["status"], found["source"], found["granularity"]) == (
            "settled",
            "test",
            "5m",
        )

    @pytest.mark.parametrize("name", ["tracked-prices", "performance"])
    def test_computed_things_cannot_be_sent(self, api, name):
        answer = api.post(f"/api/v1/alerts/{name}/", "{}", content_type="application/json")

        assert answer.status_code == 405


class TestScorecard:
    def test_answers_figures_in_plain_notation(self, api):
        raised(confidence="0.7")
        store(*(closing_at(NOON + h * HOUR, 100) for h in range(80)))
        tick()

        body = api.get(SCORECARD).json()

        assert body["by"] == "strategy"
        [row] = body["results"]
        assert (row["key"], row["n"], row["hits"], row["hit_rate"]) == ("breakout", 1, 0, "0")
        assert row["horizons"][0] == {
            "hours": 1,
            "n": 1,
            "missing": 0,
            "mean": "0",
            "median": "0",
        }
        assert row["brier"] == "0.49"
        assert row["reliability"][7]["n"] == 1
        assert "seconds_to_target" in row["reasons"]

    def test_takes_a_grouping_and_filters(self, api):
        raised(symbol="A")
        raised(symbol="B", direction="short")

        body = api.get(f"{SCORECARD}?by=symbol&direction=short").json()

        assert [row["key"] for row in body["results"]] == ["B"]

    @pytest.mark.parametrize(
        "query",
        ["by=color", "unknown=1", "direction=up", "timestamp_after=soon", "by=symbol&by=strategy"],
    )
    def test_refuses_what_it_does_not_know(self, api, query):
        answer = api.get(f"{SCORECARD}?{query}")

        assert answer.status_code == 400
        assert answer["Content-Type"] == "application/problem+json"

    def test_needs_the_scope(self):
        key = make_key(scopes=["market:read"])
        stranger = Client(headers={"Authorization": f"Bearer {key.text}"})

        assert stranger.get(SCORECARD).status_code == 403
        assert Client().get(SCORECARD).status_code == 401

    def test_costs_the_same_queries_for_any_number(self, api):
        raised()
        api.get(SCORECARD)
        with CaptureQueriesContext(connection) as for_one:
            api.get(SCORECARD)
        for number in range(5):
            raised(strategy=f"s{number}")
        with CaptureQueriesContext(connection) as for_many:
            api.get(SCORECARD)

        assert len(for_many) == len(for_one)


def test_an_alert_of_just_now_is_taken(api):
    moment = (timezone.now() + timedelta(minutes=4)).isoformat()

    assert post(api, alert(timestamp=moment)).status_code == 201
