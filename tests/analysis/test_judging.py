"""What became of each prediction and signal."""

import random
import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.analysis.domain import outcomes as rules
from apps.analysis.models import ModelOutcome, Prediction
from apps.analysis.services.claims import store_predictions, store_signals
from apps.analysis.services.judging import settle_claims
from apps.analysis.tasks import settle_claims as task
from apps.market.models import Instrument
from apps.shared.quant import outcomes
from tests.analysis.claims import (
    FIVE,
    HOUR,
    LATER,
    NOON,
    bars_of,
    candle,
    closing_at,
    outcome_of,
    predicted,
    prediction,
    register,
    signal,
    signaled,
    store,
)

DAY = 24 * HOUR


def prices(entry, end, **values):
    """Store the price at noon and a day later."""
    store(closing_at(NOON, entry, **values), closing_at(NOON + DAY, end, **values))


@pytest.mark.django_db
class TestSettleClaims:
    @pytest.fixture(autouse=True)
    def _model(self):
        register()

    @pytest.mark.parametrize(
        ("value", "end", "change", "hit"),
        [
            ("1", "106", 6, True),
            ("1", "94", -6, False),
            ("-1", "94", 6, True),
            ("-1", "106", -6, False),
            ("1", "100", 0, False),
            ("-1", "100", 0, False),
            ("1", "100.00000001", Decimal("0.00000001"), True),
        ],
    )
    def test_a_hit_is_a_move_in_favor(self, value, end, change, hit):
        name = predicted(prediction_value=value)
        prices(100, end)

        assert settle_claims(now=LATER) == 1

        found = outcome_of(name)
        assert (found.status, found.is_hit, found.note) == ("settled", hit, "")
        assert found.percentage_change == change
        assert (found.entry_price, found.price) == (100, Decimal(end))
        assert (found.source, found.granularity) == ("test", "5m")
        assert (found.settled_at, found.due_at) == (LATER, None)

    def test_signals_are_judged_alike(self):
        buy, sell, hold = signaled(), signaled(signal="sell"), signaled(signal="hold")
        prices(100, 101)

        assert settle_claims(now=LATER) == 2

        assert outcome_of(buy).is_hit is True
        assert outcome_of(sell).is_hit is False
        assert (outcome_of(hold).status, outcome_of(hold).is_hit) == ("no_claim", None)

    @pytest.mark.parametrize(
        ("forecast", "direction", "hit"), [("105", "long", True), ("95", "short", False)]
    )
    def test_a_price_forecast_gets_its_direction_from_the_entry(self, forecast, direction, hit):
        name = predicted(prediction_type="target_price", prediction_value=forecast)
        prices(100, 101)

        settle_claims(now=NOON)
        early = outcome_of(name)
        settle_claims(now=LATER)

        assert (early.status, early.direction, early.entry_price) == ("open", direction, 100)
        assert early.due_at == NOON + DAY
        assert outcome_of(name).is_hit is hit

    def test_a_forecast_of_the_very_price_claims_nothing(self):
        name = predicted(prediction_type="target_price", prediction_value="100.000")
        prices(100, 101)

        assert settle_claims(now=LATER) == 0

        found = outcome_of(name)
        assert (found.status, found.direction, found.due_at) == ("no_claim", "", None)
        assert found.note == rules.SAME_PRICE

    def test_a_price_forecast_without_an_entry_is_undecided(self):
        name = predicted(prediction_type="target_price", prediction_value="105")
        store(closing_at(NOON + DAY, 101))

        assert settle_claims(now=LATER) == 1

        found = outcome_of(name)
        assert (found.status, found.direction, found.is_hit) == ("settled", "", None)
        assert found.note == f"{rules.NO_ENTRY}"

    def test_measures_the_way_there(self):
        long, short = predicted(), predicted(prediction_value="-1")
        prices(100, 101)
        store(candle(NOON + 5 * HOUR, 100, high=112, low=93))
        store(candle(NOON + DAY, 100, high=500, low=1))
        store(candle(NOON - HOUR, 100, high=500, low=1))

        settle_claims(now=LATER)

        assert (outcome_of(long).max_gain, outcome_of(long).max_loss) == (12, -7)
        assert (outcome_of(short).max_gain, outcome_of(short).max_loss) == (7, -12)

    def test_a_hole_at_the_horizon_leaves_it_undecided(self):
        name = predicted()
        store(closing_at(NOON, 100), closing_at(NOON + 2 * DAY, 200))

        settle_claims(now=LATER)

        found = outcome_of(name)
        assert (found.status, found.price, found.is_hit) == ("settled", None, None)
        assert found.note == f"{rules.NO_PRICE} {rules.EMPTY_WINDOW}"

    def test_a_change_too_large_to_keep_is_undecided(self):
        name = predicted()
        prices("1e-18", 10**10)

        settle_claims(now=LATER)

        found = outcome_of(name)
        assert (found.status, found.is_hit, found.percentage_change) == ("settled", None, None)
        assert found.note == rules.TOO_LARGE

    def test_waits_while_candles_may_still_come(self):
        name = predicted()
        store(closing_at(NOON, 100))

        assert settle_claims(now=LATER) == 0
        assert outcome_of(name).status == "open"
        store(closing_at(NOON + DAY, 101))
        assert settle_claims(now=LATER) == 1

    def test_waits_without_any_candle(self):
        name = predicted(symbol="NOTHING")

        assert settle_claims(now=LATER) == 0
        assert (outcome_of(name).status, outcome_of(name).source) == ("open", "")

    def test_settles_nothing_before_the_horizon(self):
        predicted(horizon_hours=3)
        store(*(closing_at(NOON + h * HOUR, 100 + h) for h in range(10)))

        assert settle_claims(now=NOON + 3 * HOUR - timedelta(seconds=1)) == 0
        assert settle_claims(now=NOON + 3 * HOUR) == 1

    def test_a_judgement_is_final(self):
        name = predicted()
        prices(100, 101)
        settle_claims(now=LATER)
        store(candle(NOON + 5 * HOUR, 100, high=500))

        assert settle_claims(now=LATER + HOUR) == 0
        assert outcome_of(name).max_gain == 1

    def test_does_not_touch_rows_that_cannot_have_moved(self):
        predicted(symbol="NOTHING")
        predicted()
        store(closing_at(NOON, 100))
        settle_claims(now=NOON + HOUR)
        before = list(ModelOutcome.objects.order_by("id").values_list("updated_at", flat=True))

        settle_claims(now=NOON + 2 * HOUR)

        after = ModelOutcome.objects.order_by("id").values_list("updated_at", flat=True)
        assert list(after) == before

    def test_a_series_stays_once_it_is_chosen(self):
        name = predicted()
        store(closing_at(NOON, 100, source="b"))
        settle_claims(now=NOON)
        store(
            closing_at(NOON, 1, source="a"),
            closing_at(NOON + DAY, 1, source="a"),
            closing_at(NOON + DAY, 101, source="b"),
        )

        settle_claims(now=LATER)

        assert (outcome_of(name).source, outcome_of(name).price) == ("b", 101)

    def test_the_primary_source_comes_first(self):
        Instrument.objects.create(symbol="BTC/USD", primary_source="slow")
        prices(100, 101, source="fast")
        prices(100, 99, source="slow", granularity="1h")
        name = predicted()

        settle_claims(now=LATER)

        assert (outcome_of(name).source, outcome_of(name).granularity) == ("slow", "1h")
        assert outcome_of(name).is_hit is False

    def test_goes_over_many_in_batches(self, monkeypatch):
        monkeypatch.setattr("apps.market.services.outcomes.BATCH", 3)
        store_signals([signal() for _ in range(10)], now=LATER)
        prices(100, 101)

        assert settle_claims(now=LATER) == 10

    def test_costs_the_same_queries_for_one_and_for_many(self):
        prices(100, 101)
        signaled()
        with CaptureQueriesContext(connection) as for_one:
            settle_claims(now=LATER)
        store_signals([signal() for _ in range(50)], now=LATER)
        with CaptureQueriesContext(connection) as for_many:
            settle_claims(now=LATER)

        assert len(for_many) == len(for_one)

    def test_is_a_tick_of_the_worker(self):
        name = predicted()
        prices(100, 101)

        assert task() == 1
        assert outcome_of(name).is_hit is True


# --- Against the pure rules ---------------------------------------------------------------


def noisy_candles(seed, length=1100):
    """Five-minute candles of a random walk with holes, from an hour before noon."""
    chance = random.Random(seed)
    price, candles = 100.0, []
    for index in range(length):
        price *= 1 + chance.gauss(0, 0.004)
        if chance.random() < 0.05 or 300 < index % 400 < 310 or index < 4:
            continue
        spread = abs(chance.gauss(0, 0.003))
        close, high, low = (
            Decimal(f"{price * factor:.6f}") for factor in (1, 1 + spread, 1 - spread)
        )
        candles.append(candle(NOON - HOUR + index * FIVE, close, high=high, low=low))
    return candles


def random_predictions(seed, number):
    chance = random.Random(seed)
    return [
        prediction(
            timestamp=NOON + timedelta(seconds=chance.randrange(-7200, 86400 * 3)),
            prediction_type=(kind := chance.choice(["price_direction", "target_price"])),
            prediction_value=(
                Decimal(f"{chance.uniform(90, 110):.4f}")
                if kind == "target_price"
                else Decimal(chance.choice([1, -1]))
            ),
            horizon_hours=chance.choice([None, 1, 2, 7, 24]),
        )
        for _ in range(number)
    ]


def pure(row, candles, now):
    """Judge a stored outcome by the pure rules; return what its row should hold."""
    bars, hours = bars_of(candles), row.horizon_hours
    entry = outcomes.quote_at(bars, row.moment, width=FIVE, now=now)
    way = row.prediction.prediction_value
    if row.claimed_price is not None:
        way = 0 if entry.price is None else row.claimed_price - entry.price
    direction = {1: "long", -1: "short", 0: ""}[(way > 0) - (way < 0)]
    claim = outcomes.Claim(row.moment, -1 if direction == "short" else 1)
    judged = outcomes.judge(claim, bars, width=FIVE, hours=[hours], thresholds={}, now=now)
    base = {"direction": direction, "entry_price": judged.entry, "due_at": None}
    if not judged.settled:
        return base | {"status": "open", "due_at": rules.due(row.moment, hours)}
    verdict = rules.verdict(judged, hours=hours)._asdict()
    return base | {"status": "settled", "price": judged.quotes[hours].price} | verdict


@pytest.mark.django_db
class TestAgainstThePureRules:
    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("hours_later", [20, 60, 400])
    def test_random_claims_are_judged_the_same(self, seed, hours_later):
        register()
        candles, now = noisy_candles(seed), NOON + hours_later * HOUR
        store(*candles)
        store_predictions(random_predictions(seed, 150), now=LATER)

        settle_claims(now=now)

        rows = ModelOutcome.objects.select_related("prediction")
        placed = [row for row in rows if row.source]
        assert len(placed) > 20
        for row in placed:
            expected = pure(row, candles, now)
            assert {name: getattr(row, name) for name in expected} == expected
        if hours_later == 400:
            assert {row.note for row in placed} >= {"", rules.NO_PRICE, rules.NO_ENTRY}

    @pytest.mark.parametrize("seed", range(3))
    def test_a_worker_that_comes_late_says_the_same(self, seed):
        register()
        rows, final = random_predictions(seed, 60), NOON + 400 * HOUR
        store_predictions(rows, now=LATER)
        waiting = noisy_candles(seed)
        for hours in sorted(random.Random(seed).uniform(-2, 100) for _ in range(15)):
            now = NOON + timedelta(hours=hours)
            store(*(each for each in waiting if each.timestamp + FIVE <= now))
            waiting = [each for each in waiting if each.timestamp + FIVE > now]
            settle_claims(now=now)
        store(*waiting)
        settle_claims(now=final)
        in_time = self.everything()

        Prediction.objects.all().delete()
        store_predictions(rows, now=LATER)
        settle_claims(now=final)

        assert in_time == self.everything()

    def everything(self):
        noise = {"id", "created_at", "updated_at", "settled_at"}
        rows = ModelOutcome.objects.order_by("prediction_id").values()
        return [{k: v for k, v in row.items() if k not in noise} for row in rows]


# --- Many, and several at once ------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
class TestTwoWorkersAtOnce:
    def test_share_the_work_and_double_nothing(self):
        store_signals([signal() for _ in range(300)], now=LATER)
        prices(100, 101)
        failures, settled, start = [], [], threading.Barrier(4)

        def work():
            try:
                start.wait()
                settled.extend(settle_claims(now=LATER) for _ in range(3))
            except Exception as error:  # noqa: BLE001 - carried over to the test's own thread
                failures.append(error)
            finally:
                connection.close()

        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        settled.append(settle_claims(now=LATER))

        assert failures == []
        assert sum(settled) == 300
        assert ModelOutcome.objects.filter(status="settled", is_hit=True).count() == 300


@pytest.mark.django_db
def test_ten_thousand_claims_are_judged_in_one_go():
    store(*(closing_at(NOON + index * FIVE, 100 + index % 7) for index in range(2000)))
    rows = [signal(timestamp=NOON + index * timedelta(seconds=40)) for index in range(10_000)]
    store_signals(rows, now=LATER)

    with CaptureQueriesContext(connection) as queries:
        assert settle_claims(now=LATER) == 10_000

    # One statement and its savepoint for placing them, and the same for judging them.
    assert len(queries) == 6
