"""Models, predictions and signals in the admin, and what became of them."""

import json
import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.analysis.choices import FeatureCategory, ModelStatus, OutcomeStatus
from apps.analysis.models import ModelOutcome
from tests.analysis.pages import MARKUP, page, staff
from tests.factories import (
    NOON,
    make_candle,
    make_feature_importance,
    make_ml_model,
    make_model_signal,
    make_model_status_change,
    make_prediction,
)

pytestmark = pytest.mark.django_db

MODEL = "admin:analysis_mlmodel_change"
SCORECARD = "admin:analysis_scorecard"


def decided(claim, hit, **values):
    """Settle the outcome of a prediction or signal."""
    change = Decimal("2.5") if hit else Decimal("-1.25")
    settled = {
        "status": OutcomeStatus.SETTLED, "settled_at": timezone.now(), "is_hit": hit,
        "percentage_change": change, "price": Decimal(101), "entry_price": Decimal(100),
        "max_gain": Decimal(3), "max_loss": Decimal(-2), "due_at": None,
    }  # fmt: skip
    ModelOutcome.objects.filter(pk=claim.outcome.pk).update(**settled | values)
    return claim


def words(html):
    """Return a page without its markup."""
    return re.sub(r"<[^>]*>", "", html)


def chart(html, element):
    found = re.search(rf"<{element}.*?<script[^>]*>(.*?)</script>", html, re.DOTALL)
    return json.loads(found[1])


class TestModel:
    def test_shows_what_its_predictions_came_to(self, admin_client):
        model = make_ml_model()
        for hit in (True, True, True, False):
            decided(make_prediction(model=model, confidence=Decimal("0.75")), hit)

        shown = page(admin_client, MODEL, model.pk)

        assert ">75.0 %<" in shown
        assert "n = 4, too few to say much" in words(shown)
        claimed, true = chart(shown, "bar-chart")["datasets"]
        assert (claimed["values"][7], true["values"][7]) == (75.0, 75.0)
        assert [value for value in true["values"] if value is not None] == [75.0]

    def test_lists_its_newest_predictions_with_their_outcomes(self, admin_client):
        model = make_ml_model()
        for number in range(25):
            decided(make_prediction(model=model, symbol=f"S{number}/USD"), number % 2 == 0)

        shown = page(admin_client, MODEL, model.pk)

        assert "S24/USD" in shown
        assert "S4/USD" not in shown
        assert 'b-badge b-success" title="The price moved as it said.">Hit<' in shown
        assert 'b-badge b-danger" title="The price did not move as it said.">Miss<' in shown

    def test_lists_the_versions_of_its_name_and_its_history(self, admin_client):
        model = make_ml_model(name="lstm", version="1.0", status=ModelStatus.RETIRED)
        other = make_ml_model(name="lstm", version="2.0")
        make_ml_model(name="forest", version="9.9")
        make_model_status_change(model=model, status=ModelStatus.RETIRED, changed_by="trainer")

        shown = page(admin_client, MODEL, model.pk)

        assert reverse(MODEL, args=[other.pk]) in shown
        assert "9.9" not in shown
        assert ">trainer<" in shown

    def test_notes_a_change_of_status_with_who_made_it(self, admin_client):
        model = make_ml_model(status=ModelStatus.CANDIDATE)
        given = {"name": model.name, "model_type": "LSTM"}

        admin_client.post(
            reverse("admin:analysis_mlmodel_edit", args=[model.pk]), given | {"status": "active"}
        )

        model.refresh_from_db()
        change = model.status_changes.get()
        assert model.status == ModelStatus.ACTIVE
        assert (change.status, change.changed_by) == (ModelStatus.ACTIVE, "admin")

    def test_has_no_form_for_what_the_trainer_tells(self, admin_client):
        shown = page(admin_client, "admin:analysis_mlmodel_edit", make_ml_model().pk)

        assert 'name="status"' in shown
        for name in ("model_id", "version", "metrics", "parameters"):
            assert f'name="{name}"' not in shown

    def test_costs_the_same_for_many_predictions(self, admin_client):
        counts = []
        model = make_ml_model()
        for _ in range(2):
            for _ in range(3):
                decided(make_prediction(model=model), hit=True)
                make_ml_model()
                make_model_status_change(model=model)
            with CaptureQueriesContext(connection) as asked:
                page(admin_client, MODEL, model.pk)
            counts.append(len(asked))

        # session, user, model, scorecard, predictions, versions, history
        assert counts == [7, 7]

    def test_says_what_would_fill_it(self, admin_client):
        shown = page(admin_client, MODEL, make_ml_model().pk)

        assert "It has predicted nothing yet." in shown

    def test_shows_foreign_text_as_text(self, admin_client):
        model = make_ml_model(model_id=MARKUP, name=MARKUP, model_type=MARKUP, metrics={MARKUP: 1})
        make_prediction(model=model, symbol=MARKUP[:45], prediction_type=MARKUP)
        make_model_status_change(model=model, changed_by=MARKUP)

        assert "<img src=x" not in page(admin_client, MODEL, model.pk)

    def test_keeps_the_colors_of_the_theme(self, admin_client):
        """What a page tells the template must not take the names that the theme uses."""
        own = page(admin_client, MODEL, make_ml_model().pk)
        other = page(admin_client, SCORECARD)

        root = re.compile(r"--color-primary-600:[^;]*;")
        assert root.findall(own) == root.findall(other)


class TestClaimPage:
    def test_draws_the_candles_to_the_end_of_its_horizon(self, admin_client):
        for hours in range(-12, 30):
            make_candle(granularity="1h", timestamp=NOON + timedelta(hours=hours), price=100)
        prediction = decided(make_prediction(timestamp=NOON, horizon_hours=24), hit=True)

        shown = page(admin_client, "admin:analysis_prediction_change", prediction.pk)

        drawn = chart(shown, "candle-chart")
        first, last = drawn["candles"][0][0], drawn["candles"][-1][0]
        assert first == int((NOON - timedelta(hours=6)).timestamp())
        assert last == int((NOON + timedelta(hours=24)).timestamp())
        made, ended = drawn["markers"]
        assert (made["time"], made["text"]) == (int(NOON.timestamp()), "Long")
        assert ended["text"] == "Hit +2.50 %"

    def test_says_when_there_are_no_candles(self, admin_client):
        prediction = make_prediction(symbol="NONE/USD")

        shown = page(admin_client, "admin:analysis_prediction_change", prediction.pk)

        assert "No candles of NONE/USD around this moment." in shown

    def test_of_a_signal_shows_its_weights_in_their_groups(self, admin_client):
        signal = make_model_signal(
            signal_weights={
                "technical_weight": 0.4, "onchain_weight": 0.3, "sentiment_weight": 0.2,
                "macro_weight": 0.1, MARKUP: "x",
            }
        )  # fmt: skip

        shown = page(admin_client, "admin:analysis_modelsignal_change", signal.pk)

        assert 'width="40.00%"' in shown
        assert ">40.0 %<" in shown
        assert "<img src=x" not in shown

    @pytest.mark.parametrize("weights", [[], [1], "x", 5, {"technical_weight": None}, {"a": {}}])
    def test_survives_weights_of_any_shape(self, admin_client, weights):
        signal = make_model_signal(signal_weights=weights)

        assert page(admin_client, "admin:analysis_modelsignal_change", signal.pk)

    def test_says_why_nothing_is_judged(self, admin_client):
        signal = make_model_signal(signal="hold")
        ModelOutcome.objects.filter(pk=signal.outcome.pk).update(
            status=OutcomeStatus.NO_CLAIM, note="The signal advises neither to buy nor to sell."
        )

        shown = page(admin_client, "admin:analysis_modelsignal_change", signal.pk)

        assert "The signal advises neither to buy nor to sell." in shown

    def test_costs_the_same_for_many_candles(self, admin_client):
        counts = []
        prediction = decided(make_prediction(timestamp=NOON), hit=True)
        for start in (0, 10):
            for hours in range(start, start + 10):
                make_candle(granularity="1h", timestamp=NOON + timedelta(hours=hours))
            with CaptureQueriesContext(connection) as asked:
                page(admin_client, "admin:analysis_prediction_change", prediction.pk)
            counts.append(len(asked))

        assert counts[0] == counts[1]


class TestOutcomes:
    LIST = "admin:analysis_modeloutcome_changelist"

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"status__exact": "settled"}, "HIT/USD"),
            ({"is_hit__exact": "1"}, "HIT/USD"),
            ({"model_version": "other"}, "OPEN/USD"),
            ({"symbol": "HIT/USD"}, "HIT/USD"),
            ({"confidence_min": "0.8"}, "OPEN/USD"),
        ],
    )
    def test_are_narrowed_by(self, admin_client, query, found):
        decided(make_prediction(symbol="HIT/USD", confidence=Decimal("0.6")), hit=True)
        make_model_signal(symbol="OPEN/USD", model_version="other", confidence=Decimal("0.9"))

        shown = page(admin_client, self.LIST, **query)

        assert [name for name in ("HIT/USD", "OPEN/USD") if f">{name}<" in shown] == [found]

    def test_lead_to_what_they_are_of(self, admin_client):
        prediction = make_prediction(prediction_id="a prediction")

        shown = page(admin_client, self.LIST)

        address = reverse("admin:analysis_prediction_changelist") + "?q=a+prediction"
        assert address in shown
        answer = admin_client.get(address).content.decode()
        assert reverse("admin:analysis_prediction_change", args=[prediction.pk]) in answer


class TestScorecard:
    def test_counts_by_what_is_asked_for(self, admin_client):
        for symbol, hit in (("A/USD", True), ("A/USD", False), ("B/USD", True)):
            decided(make_prediction(symbol=symbol), hit)

        shown = page(admin_client, SCORECARD, by="symbol")

        assert "3 decided of 3" in words(shown)
        assert ">50.0 %<" in shown
        assert "?symbol=A%2FUSD" in shown

    def test_tells_predictions_from_signals(self, admin_client):
        decided(make_prediction(), hit=True)
        decided(make_model_signal(model_version="v7"), hit=True)

        shown = page(admin_client, SCORECARD, claim="signal")

        assert "v7" in shown
        assert "lstm_v" not in shown

    @pytest.mark.parametrize("by", ["model_version", "direction", "confidence_band", "x", "\0"])
    def test_survives_what_is_not_offered(self, admin_client, by):
        decided(make_prediction(), hit=True)

        assert "Hit rate" in page(admin_client, SCORECARD, by=by, span="x", claim="y")

    def test_says_what_would_fill_it(self, admin_client):
        assert "No prediction or signal has come yet." in page(admin_client, SCORECARD)

    def test_costs_four_queries(self, admin_client, django_assert_num_queries):
        for _ in range(3):
            decided(make_prediction(), hit=True)

        with django_assert_num_queries(4):  # session, user, groups, all
            page(admin_client, SCORECARD)

    def test_is_for_those_who_may_see_outcomes(self):
        assert staff("analysis.view_mlmodel").get(reverse(SCORECARD)).status_code == 403


class TestFeature:
    PAGE = "admin:analysis_featureimportance_change"

    def test_draws_its_history_in_the_same_version(self, admin_client):
        for day in range(3):
            row = make_feature_importance(
                feature_name="rsi_14", importance_score=day / 10, timestamp=NOON + timedelta(day)
            )
        make_feature_importance(feature_name="rsi_14", model_version="v9", timestamp=NOON)

        shown = page(admin_client, self.PAGE, row.pk)

        (line,) = chart(shown, "line-chart")["series"]
        assert [value for _, value in line["points"]] == [0, 0.1, 0.2]

    def test_stands_among_what_was_measured_with_it(self, admin_client):
        for name, score in (("rsi_14", 0.5), ("fear", 0.25), ("nvt", -0.1)):
            row = make_feature_importance(
                feature_name=name, importance_score=score, timestamp=NOON,
                category=FeatureCategory.ON_CHAIN,
            )  # fmt: skip

        shown = page(admin_client, self.PAGE, row.pk)

        assert shown.index("rsi_14") < shown.index(">fear<")
        assert 'class="b-less" width="20.00%"' in shown
        assert "Measured once so far" in shown

    def test_survives_measures_of_nothing(self, admin_client):
        row = make_feature_importance(importance_score=0.0)

        assert page(admin_client, self.PAGE, row.pk)
