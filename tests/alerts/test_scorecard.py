"""Counting up what became of alerts."""

import random
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.alerts.domain.scorecard import NO_TARGET_REACHED
from apps.alerts.models import AlertPerformance, TrackedPrice
from apps.alerts.services import Filters, raise_alerts, scorecard
from apps.shared.quant import calibration, intervals, samples
from apps.shared.quant import scorecards as rules
from tests.alerts.rows import HOUR, LATER, NOON, candle, closing_at, raised, sent, store, tick

pytestmark = pytest.mark.django_db


def price_path(symbol, after_24, after_72="100", high=None, low=None):
    closes = {0: 100, 1: 101, 3: 102, 24: after_24, 72: after_72}
    store(
        *(closing_at(NOON + h * HOUR, c, symbol=symbol) for h, c in closes.items() if c),
        candle(NOON + 10 * HOUR, 100, high=high, low=low, symbol=symbol),
    )


@pytest.fixture
def alerts():
    """Three settled and decided of one strategy (one hit), one undecided, one open, one other."""
    price_path("WIN", 106, high=110)
    price_path("LOSE", 97, low=90)
    price_path("HOLE", None, None)
    store(closing_at(NOON + 80 * HOUR, 100, symbol="HOLE"))
    common = {"target_price": 108, "stop_loss": 92}
    raised(symbol="WIN", confidence="0.9", **common)
    raised(symbol="LOSE", confidence="0.8", **common)
    raised(symbol="LOSE", direction="short", target_price=92, stop_loss=108)
    raised(symbol="HOLE")
    raised(symbol="NOTHING")
    raised(symbol="WIN", strategy="other")
    tick()


def rows(**asked):
    return {row.key: row for row in scorecard(**asked)}


class TestScorecard:
    def test_counts_the_settled_and_decided(self, alerts):
        row = rows()["breakout"]

        assert (row.total, row.open, row.n, row.hits) == (5, 1, 3, 1)
        assert (row.undecided, row.missing) == (1, 1)
        assert (row.touched_target, row.touched_stop, row.ambiguous, row.untouched) == (2, 1, 0, 0)

    def test_gives_the_hit_rate_with_its_interval(self, alerts):
        row = rows()["breakout"]

        low, high = intervals.wilson(1, 3)
        assert row.hit_rate == Decimal("0.33333333")
        assert (row.hit_rate_low, row.hit_rate_high) == (
            samples.rounded(low),
            samples.rounded(high),
        )
        assert row.few

    def test_gives_mean_and_median_at_each_checkpoint(self, alerts):
        one, _, day, three_days = rows()["breakout"].horizons

        # Long win, long loss, short win, and the one with the hole, at 1 h.
        assert (one.hours, one.n, one.missing) == (1, 4, 0)
        assert (one.mean, one.median) == (Decimal("0.5"), 1)
        assert (day.n, day.missing) == (3, 1)
        assert (day.mean, day.median) == (2, 3)
        assert three_days.mean == 0

    def test_gives_quantiles_that_occurred(self, alerts):
        row = rows()["breakout"]

        assert row.max_gain == rules.Quantiles(Decimal(2), Decimal(2), Decimal(10))
        assert row.max_loss.p10 == -10

    def test_gives_the_time_to_the_target(self, alerts):
        assert rows()["breakout"].seconds_to_target == 10 * 3600

    def test_gives_the_calibration_of_claims_with_a_confidence(self, alerts):
        row = rows()["breakout"]

        assert row.brier == calibration.brier([(Decimal("0.9"), True), (Decimal("0.8"), False)])
        assert [(band.n, band.hits) for band in row.reliability] == [(0, 0)] * 8 + [(1, 0), (1, 1)]

    @pytest.mark.parametrize(
        ("by", "keys"),
        [
            ("strategy", {"breakout", "other"}),
            ("symbol", {"WIN", "LOSE", "HOLE", "NOTHING"}),
            ("timeframe", {"1h"}),
            ("direction", {"long", "short"}),
            ("confidence_band", {"", "0.8–0.9", "0.9–1.0"}),
            ("all", {""}),
        ],
    )
    def test_is_counted_up_by(self, alerts, by, keys):
        assert set(rows(by=by)) == keys

    def test_refuses_another_grouping(self):
        with pytest.raises(ValueError, match="counted up by"):
            scorecard(by="color")

    @pytest.mark.parametrize(
        ("filters", "total"),
        [
            ({"symbol": ["WIN", "HOLE"]}, 3),
            ({"strategy": ["other"]}, 1),
            ({"direction": ["short"], "symbol": ["LOSE"]}, 1),
            ({"timestamp_after": NOON}, 6),
            ({"timestamp_before": NOON}, 0),
        ],
    )
    def test_takes_filters(self, alerts, filters, total):
        assert sum(row.total for row in scorecard(filters=Filters(**filters))) == total

    def test_says_why_a_figure_is_empty(self, alerts):
        row = rows(by="symbol")["NOTHING"]

        assert (row.hit_rate, row.hit_rate_low, row.brier) == (None, None, None)
        assert row.reasons["hit_rate"] == rules.NONE_DECIDED
        assert row.reasons["max_gain"] == rules.NONE_MEASURED
        assert row.reasons["horizons/24"] == rules.NONE_PRICED
        assert row.reasons["seconds_to_target"] == NO_TARGET_REACHED
        assert row.reasons["brier"] == rules.NO_CONFIDENCE

    def test_counts_an_ambiguous_candle_apart(self):
        price_path("BOTH", 102, high=120, low=80)
        raised(symbol="BOTH", target_price=110, stop_loss=90)
        tick()

        row = rows()["breakout"]
        assert (row.ambiguous, row.touched_target, row.hits) == (1, 0, 0)

    def test_is_one_statement_for_any_number_of_groups(self, alerts):
        with CaptureQueriesContext(connection) as queries:
            scorecard(by="symbol")

        assert len(queries) == 1

    def test_of_nothing_is_empty(self):
        assert scorecard() == []

    def test_equals_the_pure_figures_of_a_random_sample(self):
        chance = random.Random(7)
        raise_alerts(
            [
                sent(
                    strategy=chance.choice("abc"),
                    confidence=Decimal(chance.randrange(101)) / 100,
                    timestamp=NOON + timedelta(minutes=chance.randrange(3000)),
                )
                for _ in range(60)
            ],
            now=LATER,
        )
        store(
            *(
                closing_at(NOON + timedelta(minutes=5 * i), f"{chance.uniform(80, 130):.3f}")
                for i in range(1600)
            )
        )
        tick()

        for key, row in rows().items():
            settled = AlertPerformance.objects.filter(alert__strategy=key, status="settled")
            gains = list(settled.values_list("max_gain", flat=True))
            assert row.n == len(gains)
            assert row.max_gain == rules.Quantiles(
                *(samples.nearest_rank(gains, Decimal(share)) for share in ("0.1", "0.5", "0.9"))
            )
            claims = list(settled.values_list("alert__confidence", "is_success"))
            assert row.brier == calibration.brier(claims)
            assert row.reliability == calibration.reliability(claims)
            for horizon in row.horizons:
                moves = list(
                    TrackedPrice.objects.filter(
                        alert__strategy=key, time_elapsed_hours=horizon.hours
                    ).values_list("percentage_change", flat=True)
                )
                assert horizon.mean == samples.mean(moves)
                assert horizon.median == samples.median(moves)
