"""Models, predictions, signals and features over HTTP."""

import json

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.analysis.models import ModelOutcome, ModelStatusChange, Prediction
from apps.analysis.services.judging import settle_claims
from apps.shared.quant.intervals import wilson
from apps.shared.quant.samples import rounded
from tests.analysis.claims import (
    HOUR,
    LATER,
    NOON,
    closing_at,
    predicted,
    register,
    signaled,
    store,
)
from tests.factories import make_key

pytestmark = pytest.mark.django_db

ROOT = "/api/v1/analysis/"
MODELS = f"{ROOT}models/"
PREDICTIONS = f"{ROOT}predictions/"
SIGNALS = f"{ROOT}model-signals/"
FEATURES = f"{ROOT}feature-importance/"
SCORECARD = f"{ROOT}model-scorecard/"
DAY = 24 * HOUR


def model(**values):
    return {"model_id": "lstm_v1", "name": "lstm", "version": "1.0"} | values


def prediction(**values):
    usual = {
        "prediction_id": "p1",
        "model_id": "lstm_v1",
        "symbol": "BTC/USD",
        "timestamp": "2026-03-02T12:00:00Z",
        "prediction_type": "price_direction",
        "prediction_value": "1",
    }
    return usual | values


def signal(**values):
    usual = {
        "signal_id": "s1",
        "symbol": "BTC/USD",
        "signal": "buy",
        "timestamp": "2026-03-02T12:00:00Z",
        "model_version": "v1.0",
    }
    return usual | values


def pointers(answer):
    return [each["pointer"] for each in answer.json()["errors"]]


class TestModels:
    def test_live_through_their_statuses(self, api):
        created = api.post(MODELS, model(metrics={"accuracy": 0.71}))
        api.patch(f"{MODELS}lstm_v1/", {"status": "active"})
        put = api.put(f"{MODELS}lstm_v1/", model(status="active", file_path="/models/a.pt"))

        assert (created.status_code, put.status_code) == (201, 200)
        assert created.json()["status"] == "candidate"
        assert put.json()["file_path"] == "/models/a.pt"
        [second, first] = api.get(f"{ROOT}model-status-changes/").json()["results"]
        assert (first["status"], second["status"]) == ("candidate", "active")
        assert first["changed_by"] == second["changed_by"] != ""
        assert first["model_id"] == "lstm_v1"

    def test_are_created_by_a_put_too(self, api):
        answer = api.put(f"{MODELS}org/lstm-v2/", {"name": "lstm", "version": "2.0"})

        assert answer.status_code == 201
        assert api.get(f"{MODELS}org/lstm-v2/").json()["model_id"] == "org/lstm-v2"
        assert ModelStatusChange.objects.get().status == "candidate"

    def test_sent_again_with_other_content_conflict(self, api):
        api.post(MODELS, model())

        answer = api.post(MODELS, model(status="active"))

        assert (answer.status_code, pointers(answer)) == (409, ["/status"])
        assert ModelStatusChange.objects.count() == 1

    @pytest.mark.parametrize(
        ("values", "pointer"),
        [
            ({"status": "best"}, "/status"),
            ({"name": ""}, "/name"),
            ({"version": "x" * 51}, "/version"),
            ({"metrics": []}, "/metrics"),
        ],
    )
    def test_refuse_what_they_are_not(self, api, values, pointer):
        answer = api.post(MODELS, model(**values))

        assert (answer.status_code, pointers(answer)) == (400, [pointer])

    def test_are_not_deleted(self, api):
        api.post(MODELS, model())

        assert api.send("DELETE", f"{MODELS}lstm_v1/").status_code == 405


class TestActiveModels:
    def test_are_told_for_now_and_for_a_moment(self, api):
        api.post(MODELS, model(status="active"))
        api.post(MODELS, model(model_id="gru_v1", name="gru", status="active"))

        now = api.get(f"{ROOT}active-models/?name=lstm").json()["results"]
        before = api.get(f"{ROOT}active-models/?at=2026-03-02T12:00:00Z").json()

        assert [(each["model_id"], each["version"]) for each in now] == [("lstm_v1", "1.0")]
        assert set(now[0]) == {"model_id", "name", "version", "model_type", "since"}
        assert before == {"at": "2026-03-02T12:00:00Z", "results": []}

    @pytest.mark.parametrize("query", ["at=yesterday", "model=lstm", "at=2026-03-02T12:00:00"])
    def test_refuse_what_they_do_not_know(self, api, query):
        assert api.get(f"{ROOT}active-models/?{query}").status_code == 400


class TestPredictions:
    @pytest.fixture(autouse=True)
    def _model(self):
        register()

    def test_are_stored_with_their_outcome(self, api):
        answer = api.post(PREDICTIONS, prediction(confidence_pct=62.5, features={"rsi": 30.25}))

        body = answer.json()
        assert answer.status_code == 201
        assert (body["confidence"], body["features"]) == ("0.625", {"rsi": 30.25})
        assert body["outcome"] == {
            "status": "open",
            "direction": "long",
            "entry_price": None,
            "price": None,
            "percentage_change": None,
            "max_gain": None,
            "max_loss": None,
            "is_hit": None,
            "note": "",
        }

    def test_wake_whoever_judges_them(self, api, monkeypatch):
        asked = []
        monkeypatch.setattr("apps.analysis.api.ml.wake", asked.append)

        api.post(PREDICTIONS, prediction())
        api.post(PREDICTIONS, prediction())
        api.post(SIGNALS, signal())

        assert asked == ["apps.analysis.tasks.settle_claims"] * 2

    def test_of_an_unknown_model_name_it(self, api):
        answer = api.post(PREDICTIONS, prediction(model_id="nobody"))

        [error] = answer.json()["errors"]
        assert answer.status_code == 400
        assert (error["pointer"], error["code"]) == ("/model_id", "unknown_model")
        assert "nobody" in error["message"]

    @pytest.mark.parametrize(
        ("values", "pointer"),
        [
            ({"confidence": "1.5"}, "/confidence"),
            ({"confidence": "NaN"}, "/confidence"),
            ({"prediction_value": "Infinity"}, "/prediction_value"),
            ({"prediction_type": ""}, "/prediction_type"),
            ({"direction": "up"}, "/direction"),
            ({"horizon_hours": 0}, "/horizon_hours"),
            ({"horizon_hours": 100000}, "/horizon_hours"),
            ({"timestamp": "2026-03-02T12:00:00"}, "/timestamp"),
            ({"timestamp": "2999-01-01T00:00:00Z"}, "/timestamp"),
        ],
    )
    def test_refuse_what_they_are_not(self, api, values, pointer):
        answer = api.post(PREDICTIONS, prediction(**values))

        assert (answer.status_code, pointers(answer)) == (400, [pointer])
        assert not Prediction.objects.exists()

    def test_come_in_lists(self, api):
        rows = [prediction(prediction_id=f"p{number}") for number in range(3)]
        rows.insert(1, prediction(prediction_id="bad", model_id="nobody"))
        rows.insert(0, prediction(prediction_id="worse", confidence=2))

        body = api.post(PREDICTIONS, rows).json()

        assert (body["created"], body["failed"]) == (3, 2)
        assert [each["index"] for each in body["results"]] == [0, 2]
        assert ModelOutcome.objects.count() == 3

    def test_cost_the_same_queries_in_a_list_of_any_length(self, api):
        api.post(PREDICTIONS, [prediction()])
        with CaptureQueriesContext(connection) as for_one:
            api.post(PREDICTIONS, [prediction(prediction_id="q")])
        rows = [prediction(prediction_id=f"p-{number}") for number in range(100)]
        with CaptureQueriesContext(connection) as for_many:
            api.post(PREDICTIONS, rows)

        assert len(for_many) == len(for_one)

    def test_are_found_by_what_became_of_them(self, api):
        predicted(prediction_id="up")
        predicted(prediction_id="down", prediction_value="-1")
        store(closing_at(NOON, 100), closing_at(NOON + DAY, 101))
        settle_claims(now=LATER)

        body = api.get(f"{PREDICTIONS}?outcome.is_hit=true").json()

        assert [row["prediction_id"] for row in body["results"]] == ["up"]
        assert body["results"][0]["outcome"]["percentage_change"] == "1"


class TestModelSignals:
    def test_are_stored_with_their_outcome(self, api):
        answer = api.post(SIGNALS, signal(signal="hold", confidence="0.5"))

        assert answer.status_code == 201
        assert answer.json()["outcome"]["status"] == "no_claim"
        assert answer.json()["outcome"]["note"]

    def test_with_weights_that_sum_to_two_are_refused(self, api):
        weights = dict.fromkeys(
            ["technical_weight", "onchain_weight", "sentiment_weight", "macro_weight"], 0.5
        )

        answer = api.post(SIGNALS, signal(signal_weights=weights))

        assert (answer.status_code, pointers(answer)) == (400, ["/signal_weights"])

    def test_with_a_negative_weight_are_refused_by_its_name(self, api):
        answer = api.post(SIGNALS, signal(signal_weights={"macro_weight": -1.0572}))

        assert answer.status_code == 400
        assert "/signal_weights/macro_weight" in pointers(answer)


class TestModelOutcomes:
    def test_show_what_they_were_judged_by(self, api):
        register()
        predicted(prediction_id="p1", prediction_type="target_price", prediction_value="105")
        store(closing_at(NOON, 100), closing_at(NOON + DAY, 101))
        settle_claims(now=LATER)

        [row] = api.get(f"{ROOT}model-outcomes/?prediction_id=p1&status=settled").json()["results"]

        assert (row["claimed_price"], row["direction"], row["entry_price"]) == (
            "105",
            "long",
            "100",
        )
        assert (row["is_hit"], row["source"], row["signal_id"]) == (True, "test", None)

    def test_cannot_be_sent(self, api):
        assert api.post(f"{ROOT}model-outcomes/", {}).status_code == 405
        assert api.post(f"{ROOT}model-status-changes/", {}).status_code == 405


class TestFeatureImportance:
    def feature(self, **values):
        usual = {"feature_name": "onchain_hodl", "importance_score": 0.25}
        return usual | {"timestamp": "2026-03-02T12:00:00Z", "model_version": "v1"} | values

    def test_gets_its_category(self, api):
        answer = api.post(FEATURES, self.feature())

        assert (answer.status_code, answer.json()["category"]) == (201, "on_chain")
        assert answer.json()["importance_score"] == 0.25

    def test_has_a_history(self, api):
        rows = [self.feature(timestamp=f"2026-03-0{day}T12:00:00Z") for day in (1, 2)]
        api.post(FEATURES, [*rows, self.feature(feature_name="rsi")])

        body = api.get(f"{FEATURES}?feature_name=onchain_hodl&ordering=timestamp").json()

        assert [row["timestamp"][:10] for row in body["results"]] == ["2026-03-01", "2026-03-02"]

    @pytest.mark.parametrize("score", ["NaN", "Infinity", "1e999", True, "much"])
    def test_is_a_finite_number(self, api, score):
        answer = api.post(FEATURES, self.feature(importance_score=score))

        assert (answer.status_code, pointers(answer)) == (400, ["/importance_score"])

    def test_takes_no_bare_nan(self, api):
        body = json.dumps(self.feature(importance_score=float("nan"))).encode()

        assert api.post_bytes(FEATURES, body).status_code == 400

    def test_is_of_a_known_category(self, api):
        answer = api.post(FEATURES, self.feature(category="luck"))

        assert (answer.status_code, pointers(answer)) == (400, ["/category"])


class TestModelScorecard:
    @pytest.fixture(autouse=True)
    def _claims(self):
        store(closing_at(NOON, 100), closing_at(NOON + DAY, "100.5"))
        signaled(confidence="0.75")
        signaled(signal="sell", model_version="v2")
        settle_claims(now=LATER)

    def test_answers_figures_in_plain_notation(self, api):
        body = api.get(f"{SCORECARD}?model_version=v1.0").json()

        [row] = body["results"]
        assert body["by"] == "model_version"
        assert (row["key"], row["n"], row["hits"], row["hit_rate"]) == ("v1.0", 1, 1, "1")
        assert row["hit_rate_low"] == str(rounded(wilson(1, 1).low))
        assert (row["mean_change"], row["median_change"], row["brier"]) == ("0.5", "0.5", "0.0625")
        assert (row["reliability"][7]["n"], row["few"]) == (1, True)
        assert row["undecided_reasons"] == {}

    @pytest.mark.parametrize(
        ("query", "keys"),
        [
            ("by=direction", ["long", "short"]),
            ("by=all&claim=prediction", []),
            ("by=model_version&direction=short", ["v2"]),
            ("by=horizon_hours&horizon_hours=24,48", ["24"]),
            ("by=symbol&moment_after=2026-03-03T00:00:00Z", []),
        ],
    )
    def test_takes_a_grouping_and_filters(self, api, query, keys):
        body = api.get(f"{SCORECARD}?{query}").json()

        assert sorted(row["key"] for row in body["results"]) == keys

    @pytest.mark.parametrize(
        "query",
        [
            "by=color",
            "claim=bet",
            "unknown=1",
            "direction=up",
            "moment_after=soon",
            "by=all&by=all",
        ],
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


class TestPatchOfAModel:
    def test_leaves_the_numbers_of_its_documents_exact(self, api):
        text = '{"model_id": "m", "name": "m", "version": "1", "metrics": {"loss": %s}}'
        exact = "0.12345678901234567890123"
        assert (
            api.send("POST", "/api/v1/analysis/models/", (text % exact).encode()).status_code == 201
        )

        answer = api.patch("/api/v1/analysis/models/m/", {"status": "active"})

        assert answer.status_code == 200
        assert exact in answer.content.decode()
