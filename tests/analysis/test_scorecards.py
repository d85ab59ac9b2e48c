"""Counting up what became of predictions and signals."""

import random
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.analysis.domain import outcomes
from apps.analysis.models import ModelOutcome
from apps.analysis.services.claims import store_signals
from apps.analysis.services.judging import settle_claims
from apps.analysis.services.scorecards import Filters, model_scorecard
from apps.shared.quant import calibration, intervals, samples
from apps.shared.quant import scorecards as rules
from tests.analysis.claims import (
    FIVE,
    HOUR,
    LATER,
    NOON,
    candle,
    closing_at,
    predicted,
    register,
    signal,
    signaled,
    store,
)

pytestmark = pytest.mark.django_db

DAY = 24 * HOUR


def price_path(symbol, end, high=None, low=None):
    store(closing_at(NOON, 100, symbol=symbol))
    store(candle(NOON + 10 * HOUR, 100, high=high, low=low, symbol=symbol))
    if end is not None:
        store(closing_at(NOON + DAY, end, symbol=symbol))


@pytest.fixture
def claims():
    """Three decided of one version (two hits), a hole, one that waits, a hold, one of a model."""
    register()
    price_path("WIN", 106, high=110)
    price_path("LOSE", 97, low=90)
    price_path("HOLE", None)
    store(closing_at(NOON + 2 * DAY, 100, symbol="HOLE"))
    signaled(symbol="WIN", confidence="0.9")
    signaled(symbol="LOSE", confidence="0.8")
    signaled(symbol="LOSE", signal="sell")
    signaled(symbol="HOLE")
    signaled(symbol="NOTHING")
    signaled(symbol="WIN", signal="hold")
    predicted(symbol="WIN", horizon_hours=6)
    settle_claims(now=LATER)


def rows(**asked):
    return {row.key: row for row in model_scorecard(**asked)}


class TestModelScorecard:
    def test_counts_the_settled_and_decided(self, claims):
        row = rows()["v1.0"]

        assert (row.total, row.open, row.no_claim, row.settled) == (6, 1, 1, 4)
        assert (row.n, row.hits, row.undecided, row.missing) == (3, 2, 1, 1)

    def test_gives_the_hit_rate_with_its_interval(self, claims):
        row = rows()["v1.0"]

        low, high = intervals.wilson(2, 3)
        assert row.hit_rate == Decimal("0.66666667")
        assert (row.hit_rate_low, row.hit_rate_high) == (
            samples.rounded(low),
            samples.rounded(high),
        )
        assert row.few

    def test_gives_mean_and_median_change(self, claims):
        row = rows()["v1.0"]

        # Long 6, long −3, short 3.
        assert (row.mean_change, row.median_change) == (2, 3)

    def test_gives_quantiles_that_occurred(self, claims):
        row = rows(by="all")[""]

        assert row.max_gain == rules.Quantiles(Decimal(0), Decimal(0), Decimal(10))

    def test_gives_the_calibration_of_claims_with_a_confidence(self, claims):
        row = rows()["v1.0"]

        assert row.confident == 2
        assert row.brier == calibration.brier([(Decimal("0.9"), True), (Decimal("0.8"), False)])
        assert [(band.n, band.hits) for band in row.reliability] == [(0, 0)] * 8 + [(1, 0), (1, 1)]

    def test_says_why_claims_are_undecided(self, claims):
        assert rows()["v1.0"].undecided_reasons == {outcomes.NO_PRICE: 1}

    @pytest.mark.parametrize(
        ("by", "keys"),
        [
            ("model_version", {"v1.0", "lstm_v1"}),
            ("symbol", {"WIN", "LOSE", "HOLE", "NOTHING"}),
            ("direction", {"long", "short", ""}),
            ("confidence_band", {"", "0.8–0.9", "0.9–1.0"}),
            ("horizon_hours", {"6", "24"}),
            ("all", {""}),
        ],
    )
    def test_is_counted_up_by(self, claims, by, keys):
        found = rows(by=by)

        assert set(found) == keys
        assert sum(row.total for row in found.values()) == 7

    def test_refuses_another_grouping_and_another_claim(self):
        with pytest.raises(ValueError, match="counted up by"):
            model_scorecard(by="color")
        with pytest.raises(ValueError, match="one of prediction, signal"):
            model_scorecard(filters=Filters(claim="bet"))

    @pytest.mark.parametrize(
        ("filters", "total"),
        [
            ({"symbol": ["WIN", "HOLE"]}, 4),
            ({"model_version": ["lstm_v1"]}, 1),
            ({"direction": ["short"], "symbol": ["LOSE"]}, 1),
            ({"horizon_hours": [6]}, 1),
            ({"moment_after": NOON}, 7),
            ({"moment_before": NOON}, 0),
            ({"claim": "prediction"}, 1),
            ({"claim": "signal"}, 6),
        ],
    )
    def test_takes_filters(self, claims, filters, total):
        assert sum(row.total for row in model_scorecard(filters=Filters(**filters))) == total

    def test_says_why_a_figure_is_empty(self, claims):
        row = rows(by="symbol")["NOTHING"]

        assert (row.hit_rate, row.hit_rate_low, row.brier) == (None, None, None)
        assert (row.mean_change, row.median_change) == (None, None)
        assert row.reasons == {
            "hit_rate": rules.NONE_DECIDED,
            "mean_change": rules.NONE_DECIDED,
            "median_change": rules.NONE_DECIDED,
            "max_gain": rules.NONE_MEASURED,
            "max_loss": rules.NONE_MEASURED,
            "brier": rules.NO_CONFIDENCE,
        }

    def test_is_one_statement_for_any_number_of_groups(self, claims):
        with CaptureQueriesContext(connection) as queries:
            model_scorecard(by="symbol")

        assert len(queries) == 1

    def test_of_nothing_is_empty(self):
        assert model_scorecard() == []

    def test_equals_the_pure_figures_of_a_random_sample(self):
        chance = random.Random(7)
        store_signals(
            [
                signal(
                    model_version=chance.choice("abc"),
                    signal=chance.choice(["buy", "sell"]),
                    confidence=Decimal(chance.randrange(101)) / 100,
                    timestamp=NOON + timedelta(minutes=chance.randrange(3000)),
                )
                for _ in range(90)
            ],
            now=LATER,
        )
        store(*(closing_at(NOON + i * FIVE, f"{chance.uniform(80, 130):.3f}") for i in range(1000)))
        settle_claims(now=LATER)

        for key, row in rows().items():
            settled = ModelOutcome.objects.filter(model_version=key, status="settled")
            changes = list(settled.values_list("percentage_change", flat=True))
            gains = list(settled.values_list("max_gain", flat=True))
            claims = list(settled.values_list("confidence", "is_hit"))
            assert row.n == len(changes) > 0
            assert row.mean_change == samples.mean(changes)
            assert row.median_change == samples.median(changes)
            assert row.max_gain == rules.Quantiles(
                *(samples.nearest_rank(gains, Decimal(share)) for share in ("0.1", "0.5", "0.9"))
            )
            assert row.brier == calibration.brier(claims)
            assert row.reliability == calibration.reliability(claims)
