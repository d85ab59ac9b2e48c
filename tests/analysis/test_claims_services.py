"""Taking in predictions and signals."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.db.models import ProtectedError
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from apps.analysis.domain import outcomes
from apps.analysis.models import MLModel, ModelOutcome, ModelSignal, Prediction
from apps.analysis.services.claims import store_predictions, store_signals
from tests.analysis.claims import (
    LATER,
    MODEL,
    NOON,
    outcome_of,
    predicted,
    prediction,
    register,
    signal,
    signaled,
)

WHOLE = {"technical_weight": 0.4, "onchain_weight": 0.35}
WEIGHTS = WHOLE | {"sentiment_weight": 0.15, "macro_weight": Decimal("0.1")}


@pytest.fixture(autouse=True)
def _model(db):
    register()


class TestStorePredictions:
    def test_opens_an_outcome_for_each(self):
        name = predicted(confidence="0.7", horizon_hours=6)

        found = outcome_of(name)
        assert (found.status, found.direction, found.note) == ("open", "long", "")
        assert (found.symbol, found.moment, found.due_at) == ("BTC/USD", NOON, NOON)
        assert (found.model_version, found.confidence) == (MODEL, Decimal("0.7"))
        assert found.horizon_hours == 6

    @override_settings(CLAIM_HORIZON_HOURS=12)
    def test_takes_the_usual_horizon_where_none_is_named(self):
        name = predicted()

        assert outcome_of(name).horizon_hours == 12
        assert Prediction.objects.get().horizon_hours is None

    @pytest.mark.parametrize(
        ("kind", "value", "direction"),
        [
            ("price_direction", "1", "long"),
            ("price_direction", "-1", "short"),
            ("return_24h", "-0.02", "short"),
            ("probability_up", "0.7", "long"),
            ("probability_up", "0.3", "short"),
        ],
    )
    def test_tells_the_direction_from_type_and_value(self, kind, value, direction):
        name = predicted(prediction_type=kind, prediction_value=value)

        assert outcome_of(name).direction == direction

    def test_takes_a_direction_that_is_named(self):
        name = predicted(prediction_type="volatility", direction="short")

        assert outcome_of(name).direction == "short"

    def test_leaves_the_direction_of_a_price_open(self):
        name = predicted(prediction_type="target_price", prediction_value="105.5")

        found = outcome_of(name)
        assert (found.status, found.direction) == ("open", "")
        assert found.claimed_price == Decimal("105.5")

    @pytest.mark.parametrize(
        ("kind", "value"),
        [("volatility", "0.2"), ("return", "0"), ("probability_up", "0.5"), ("price", "-3")],
    )
    def test_says_why_there_is_nothing_to_judge(self, kind, value):
        name = predicted(prediction_type=kind, prediction_value=value)

        found = outcome_of(name)
        assert (found.status, found.direction, found.due_at) == ("no_claim", "", None)
        assert found.note.endswith(".")

    def test_stores_the_good_and_names_the_bad(self):
        rows = [
            prediction(),
            prediction(model_id="nobody"),
            prediction(timestamp=LATER + timedelta(hours=1)),
            prediction(confidence="0.5", confidence_pct="50"),
            prediction(confidence_pct="101"),
            prediction(confidence_pct="50.1234567"),
            prediction(horizon_hours=9000),
            prediction(timestamp=NOON.replace(year=1900)),
        ]

        outcome = store_predictions(rows, now=LATER)

        assert (outcome.created, outcome.failed) == (1, 7)
        assert [(each.index, each.errors[0].pointer) for each in outcome.results] == [
            (1, "/model_id"),
            (2, "/timestamp"),
            (3, "/confidence_pct"),
            (4, "/confidence_pct"),
            (5, "/confidence_pct"),
            (6, "/horizon_hours"),
            (7, "/timestamp"),
        ]
        assert outcome.results[0].errors[0].message == 'There is no model "nobody".'
        assert Prediction.objects.count() == ModelOutcome.objects.count() == 1

    def test_turns_percent_into_a_probability(self):
        name = predicted(confidence_pct="62.5")

        assert outcome_of(name).confidence == Decimal("0.625")

    def test_sent_again_changes_nothing(self):
        row = prediction(features={"rsi": Decimal("30.50"), "note": "ü\t\\n"})
        store_predictions([row], now=LATER)
        ModelOutcome.objects.update(status="settled", settled_at=LATER)

        outcome = store_predictions([row, prediction()], now=LATER)

        assert (outcome.created, outcome.unchanged) == (1, 1)
        assert outcome_of(row.prediction_id).status == "settled"
        assert ModelOutcome.objects.count() == 2

    def test_with_other_content_is_refused_and_says_where(self):
        row = prediction()
        store_predictions([row], now=LATER)

        outcome = store_predictions([replace(row, prediction_value=Decimal(2))], now=LATER)

        assert [each.pointer for each in outcome.results[0].errors] == ["/prediction_value"]
        assert Prediction.objects.get().prediction_value == 1

    def test_twice_in_one_batch_is_stored_once(self):
        row = prediction()

        outcome = store_predictions([row, row], now=LATER)

        assert (outcome.created, outcome.unchanged) == (1, 1)
        assert ModelOutcome.objects.count() == 1

    def test_takes_a_model_with_a_strange_name(self):
        register("a\\tb")

        predicted(model_id="a\\tb")

        assert Prediction.objects.get().model_id == "a\\tb"

    def test_keeps_its_model_from_being_deleted(self):
        predicted()

        with pytest.raises(ProtectedError):
            MLModel.objects.all().delete()

    def test_costs_the_same_queries_for_one_and_for_many(self):
        with CaptureQueriesContext(connection) as for_one:
            store_predictions([prediction()], now=LATER)
        with CaptureQueriesContext(connection) as for_many:
            store_predictions([prediction() for _ in range(50)], now=LATER)

        assert len(for_many) == len(for_one)


class TestStoreSignals:
    @pytest.mark.parametrize(
        ("word", "direction"), [("buy", "long"), ("SELL", "short"), ("strong_buy", "long")]
    )
    def test_opens_an_outcome_for_each(self, word, direction):
        name = signaled(signal=word, confidence_pct="60")

        found = outcome_of(name)
        assert (found.status, found.direction, found.model_version) == ("open", direction, "v1.0")
        assert found.confidence == Decimal("0.6")

    @pytest.mark.parametrize("word", ["hold", "backtest_complete"])
    def test_has_nothing_to_judge_of_other_words(self, word):
        found = outcome_of(signaled(signal=word))

        assert (found.status, found.note) == ("no_claim", outcomes.NO_SIDE)

    def test_takes_weights_that_are_whole(self):
        signaled(signal_weights=WEIGHTS)

        assert ModelSignal.objects.get().signal_weights["macro_weight"] == 0.1

    @pytest.mark.parametrize(
        ("weights", "pointers"),
        [
            ({**WEIGHTS, "macro_weight": 0.9}, ["/signal_weights"]),
            ({**WEIGHTS, "macro_weight": -0.1}, ["/signal_weights/macro_weight"]),
            (WHOLE, ["/signal_weights/sentiment_weight", "/signal_weights/macro_weight"]),
            ({"luck": 1}, ["/signal_weights/luck"]),
        ],
    )
    def test_refuses_weights_that_are_not(self, weights, pointers):
        outcome = store_signals([signal(signal_weights=weights)], now=LATER)

        assert [each.pointer for each in outcome.results[0].errors] == pointers
        assert not ModelSignal.objects.exists()

    def test_sent_again_changes_nothing(self):
        row = signal(signal_weights=WEIGHTS, price_prediction="101.5")
        store_signals([row], now=LATER)

        outcome = store_signals([row], now=LATER)

        assert (outcome.created, outcome.unchanged) == (0, 1)
