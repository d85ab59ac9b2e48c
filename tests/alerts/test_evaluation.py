"""What became of each alert."""

import random
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from apps.alerts.domain import evaluation
from apps.alerts.models import Alert, AlertPerformance, TrackedPrice
from apps.alerts.services import raise_alerts, settle_alerts, track_due_prices
from apps.market.models import Candle
from apps.shared.quant import outcomes
from tests.alerts.rows import (
    FIVE,
    HOUR,
    LATER,
    NOON,
    bars_of,
    candle,
    closing_at,
    performance,
    raised,
    sent,
    store,
    tick,
)

HOURS = [1, 3, 24, 72]
THRESHOLDS = evaluation.success_thresholds({24: "5", 72: "10"})


def at_checkpoints(*closes):
    store(closing_at(NOON, 100))
    pairs = zip(HOURS, closes, strict=True)
    store(*(closing_at(NOON + h * HOUR, close) for h, close in pairs if close is not None))


def pure(alert, candles, now):
    """Judge a stored alert by the pure rules; return what its row should hold."""
    sign = outcomes.LONG if alert.direction == "long" else outcomes.SHORT
    claim = outcomes.Claim(
        alert.timestamp, sign, alert.entry_price, alert.target_price, alert.stop_loss
    )
    outcome = outcomes.judge(
        claim,
        bars_of(candles),
        width=FIVE,
        hours=HOURS,
        thresholds=THRESHOLDS,
        now=now,
    )
    touch = outcome.touch
    return {
        "status": "settled" if outcome.settled else "open",
        "entry_price": outcome.entry,
        "is_success": outcome.success,
        "max_gain": outcome.excursions.max_gain,
        "max_loss": outcome.excursions.max_loss,
        "checkpoint_max_gain": outcome.at_checkpoints.max_gain,
        "checkpoint_max_loss": outcome.at_checkpoints.max_loss,
        "final_return_24h": outcome.changes.get(24),
        "final_return_72h": outcome.changes.get(72),
        "first_touch": touch.kind if touch else "",
        "first_touch_at": touch.start if touch else None,
        "evaluation_note": evaluation.evaluation_note(outcome, success_hours=THRESHOLDS),
    }


def stored(alert_id, names):
    row = performance(alert_id)
    return {name: getattr(row, name) for name in names}


@pytest.mark.django_db
class TestSettleAlerts:
    @pytest.mark.parametrize(
        ("closes", "direction", "success"),
        [
            ([101, 102, 106, 104], "long", True),
            ([101, 102, "104.99", "109.99"], "long", False),
            ([101, 102, "105", 100], "long", True),
            ([101, 102, 100, "110"], "long", True),
            ([101, 102, "104.9999999999", "109.9999999999"], "long", True),
            ([101, 102, 106, 104], "short", False),
            ([99, 98, 95, 96], "short", True),
            ([101, 102, None, "110"], "long", True),
            ([101, 102, None, 109], "long", False),
            ([101, 102, 104, 109], "long", False),
        ],
    )
    def test_knows_the_answers_of_the_source(self, closes, direction, success):
        alert = raised(direction=direction)
        at_checkpoints(*closes)

        tick()

        found = performance(alert)
        assert found.status == "settled"
        assert found.is_success is success

    def test_fills_every_figure(self):
        alert = raised(target_price=110, stop_loss=90)
        at_checkpoints(101, 102, 106, 104)

        tick()

        found = performance(alert)
        assert (found.checkpoint_max_gain, found.checkpoint_max_loss) == (6, 1)
        assert (found.final_return_24h, found.final_return_72h) == (6, 4)
        assert (found.max_gain, found.max_loss) == (6, 1)
        assert (found.first_touch, found.first_touch_at) == ("none", None)
        assert (found.source, found.granularity, found.entry_price) == ("test", "5m", 100)
        assert found.evaluation_note == ""
        assert found.settled_at == LATER
        assert found.next_checkpoint_at is None

    def test_is_undecided_when_both_checkpoints_are_missing(self):
        alert = raised()
        at_checkpoints(101, 102, None, None)
        store(closing_at(NOON + 80 * HOUR, 200))

        tick()

        found = performance(alert)
        assert (found.status, found.is_success) == ("settled", None)
        assert found.evaluation_note == evaluation.SUCCESS_MISSING
        assert found.final_return_24h is None

    def test_measures_excursions_by_highs_and_lows(self):
        alert = raised()
        at_checkpoints(101, 102, 103, 104)
        store(candle(NOON + 5 * HOUR, 100, high=112, low=93))

        tick()

        found = performance(alert)
        assert (found.max_gain, found.max_loss) == (12, -7)
        assert (found.checkpoint_max_gain, found.checkpoint_max_loss) == (4, 1)

    def test_measures_a_short_the_other_way_round(self):
        alert = raised(direction="short")
        at_checkpoints(101, 102, 103, 104)
        store(candle(NOON + 5 * HOUR, 100, high=112, low=93))

        tick()

        found = performance(alert)
        assert (found.max_gain, found.max_loss) == (7, -12)

    def test_leaves_out_candles_across_the_edges_of_the_window(self):
        alert = raised(timestamp=NOON + timedelta(minutes=1))
        at_checkpoints(101, 102, 103, 104)
        store(candle(NOON, 100, high=500, low=1))
        store(candle(NOON + 72 * HOUR, 100, high=500, low=1))

        tick()

        found = performance(alert)
        assert (found.max_gain, found.max_loss) == (4, 1)

    @pytest.mark.parametrize(
        ("moves", "touch", "at"),
        [
            ([(111, 99), (101, 94)], "target", 0),
            ([(109, 94), (111, 99)], "stop", 0),
            ([(109, 96), (110, 95)], "ambiguous", 1),
            ([(109, 96), (109, 96)], "none", None),
        ],
    )
    @pytest.mark.parametrize("direction", ["long", "short"])
    def test_tells_which_of_target_and_stop_was_touched_first(self, direction, moves, touch, at):
        if direction == "short":
            moves = [(200 - low, 200 - high) for high, low in moves]
            alert = raised(direction=direction, target_price=90, stop_loss=105)
        else:
            alert = raised(target_price=110, stop_loss=95)
        at_checkpoints(100, 100, 100, 100)
        starts = [NOON + (5 + index) * HOUR for index in range(2)]
        store(
            *(
                candle(start, 100, high=high, low=low)
                for start, (high, low) in zip(starts, moves, strict=True)
            )
        )

        tick()

        found = performance(alert)
        assert found.first_touch == touch
        assert found.first_touch_at == (None if at is None else starts[at])

    def test_shows_provisional_values_and_stays_open(self):
        alert = raised(target_price=105)
        at_checkpoints(101, 102, 106, None)

        tick(NOON + 2 * HOUR)
        early = performance(alert)
        tick(NOON + 25 * HOUR)
        later = performance(alert)

        assert (early.status, early.max_gain, early.is_success) == ("open", 1, None)
        assert (early.first_touch, early.settled_at) == ("", None)
        assert (later.status, later.max_gain, later.is_success) == ("open", 6, True)
        assert later.first_touch == "target"
        assert later.next_checkpoint_at == NOON + 72 * HOUR

    def test_without_an_entry_is_undecided_and_says_why(self):
        alert = raised(entry_price=None, target_price=110)
        pairs = zip(HOURS, [101, 102, 115, 104], strict=True)
        store(*(closing_at(NOON + h * HOUR, close) for h, close in pairs))

        tick()

        found = performance(alert)
        assert (found.status, found.is_success, found.max_gain) == ("settled", None, None)
        assert found.evaluation_note == evaluation.NO_ENTRY
        assert found.first_touch == "target"

    def test_says_when_a_change_is_too_large(self):
        alert = raised(entry_price=Decimal("1e-18"))
        at_checkpoints(10**10, 10**10, 10**10, 10**10)

        tick()

        assert performance(alert).evaluation_note == evaluation.TOO_LARGE

    @override_settings(ALERT_CHECKPOINT_HOURS=[1, 3])
    def test_says_when_no_checkpoint_decides(self):
        alert = raised()
        at_checkpoints(101, 150, None, None)

        tick()

        found = performance(alert)
        assert (found.status, found.is_success) == ("settled", None)
        assert (found.final_return_24h, found.max_gain) == (None, 50)
        assert found.evaluation_note == evaluation.NO_SUCCESS_CHECKPOINT

    @override_settings(ALERT_CHECKPOINT_HOURS=[2], ALERT_SUCCESS={2: "-1.5"})
    def test_follows_the_settings(self):
        alert = raised()
        store(closing_at(NOON, 100), closing_at(NOON + 2 * HOUR, "98.5"))

        tick()

        assert performance(alert).is_success is True

    def test_a_final_judgement_is_final(self):
        alert = raised()
        at_checkpoints(101, 102, 106, 104)
        tick()
        store(candle(NOON + 5 * HOUR, 100, high=500))

        tick(LATER + HOUR)

        assert performance(alert).max_gain == 6

    def test_does_not_touch_alerts_that_cannot_have_moved(self):
        raised(symbol="NOTHING")
        alert = raised()
        at_checkpoints(101, 102, None, None)
        tick(NOON + 5 * HOUR)
        before = performance(alert).updated_at

        tick(NOON + 6 * HOUR)

        assert performance(alert).updated_at == before

    def test_costs_the_same_queries_for_one_and_for_many(self):
        at_checkpoints(101, 102, 106, 104)
        raised()
        with CaptureQueriesContext(connection) as for_one:
            tick()
        raise_alerts([sent() for _ in range(50)], now=LATER)
        with CaptureQueriesContext(connection) as for_many:
            tick()

        assert len(for_many) == len(for_one)


def noisy_candles(seed, length=900):
    """Five-minute candles of a random walk with holes, from an hour before noon."""
    random_ = random.Random(seed)
    price, candles = 100.0, []
    for index in range(length):
        price *= 1 + random_.gauss(0, 0.004)
        if random_.random() < 0.05 or 300 < index % 400 < 310:
            continue
        spread = abs(random_.gauss(0, 0.003))
        close, high, low = (
            Decimal(f"{price * factor:.6f}") for factor in (1, 1 + spread, 1 - spread)
        )
        candles.append(candle(NOON - HOUR + index * FIVE, close, high=high, low=low))
    return candles


def random_alerts(seed, number, symbol="BTC/USD"):
    random_ = random.Random(seed)
    rows = []
    for _ in range(number):
        long = random_.random() < 0.5
        sign = 1 if long else -1
        entry = Decimal(f"{random_.uniform(90, 110):.4f}")
        row = sent(
            symbol=symbol,
            direction="long" if long else "short",
            timestamp=NOON + timedelta(seconds=random_.randrange(-7200, 86400 * 3)),
            entry_price=entry,
        )
        if random_.random() < 0.8:
            row.target_price = entry * (1 + sign * Decimal(random_.randrange(5, 80)) / 1000)
        if random_.random() < 0.8:
            row.stop_loss = entry * (1 - sign * Decimal(random_.randrange(5, 80)) / 1000)
        if random_.random() < 0.3:
            row = replace(row, entry_price=None)
        rows.append(row)
    return rows


@pytest.mark.django_db
class TestAgainstThePureRules:
    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("hours_later", [20, 80, 400])
    def test_random_alerts_are_judged_the_same(self, seed, hours_later):
        candles, now = noisy_candles(seed), NOON + hours_later * HOUR
        store(*candles)
        raise_alerts(random_alerts(seed, 60), now=LATER)

        track_due_prices(now=now)
        settle_alerts(now=now)

        placed = AlertPerformance.objects.exclude(source="").values_list("alert_id", flat=True)
        assert placed
        for alert in Alert.objects.filter(alert_id__in=placed):
            expected = pure(alert, candles, now)
            assert stored(alert.alert_id, expected) == expected


class TestLateWorkers(TestCase):
    """A worker that ran all the time and one that came back days later say the same."""

    @settings(max_examples=12, deadline=None)
    @given(
        st.integers(0, 1000),
        st.lists(st.tuples(st.floats(0, 200), st.integers(0, 3)), max_size=12),
    )
    def test_agree(self, seed, ticks):
        candles = noisy_candles(seed, length=1600)
        rows = random_alerts(seed, 8)
        ends = sorted(ticks)
        final = NOON + 500 * HOUR

        self.clear()
        raise_alerts(rows, now=LATER)
        waiting = sorted(candles, key=lambda each: each.timestamp)
        for hours, what in ends:
            now = NOON + timedelta(hours=hours)
            arrived = [each for each in waiting if each.timestamp + FIVE <= now]
            waiting = [each for each in waiting if each.timestamp + FIVE > now]
            store(*arrived)
            # A worker may die between the two, do one of them only, or both twice.
            if what in (0, 2):
                track_due_prices(now=now)
            if what in (1, 2):
                settle_alerts(now=now)
            if what == 3:
                tick(now)
                tick(now)
        store(*waiting)
        tick(final)
        in_time = self.everything()

        self.clear()
        store(*noisy_candles(seed, length=1600))
        raise_alerts(rows, now=LATER)
        tick(final)

        assert in_time == self.everything()

    def clear(self):
        Alert.objects.all().delete()
        Candle.objects.all().delete()

    def everything(self) -> tuple[list[dict], list[dict]]:
        noise = {"id", "created_at", "updated_at", "settled_at"}

        def rows(model, order) -> list[dict[str, datetime]]:
            found = model.objects.order_by("alert_id", *order).values()
            return [
                {name: value for name, value in row.items() if name not in noise} for row in found
            ]

        return rows(AlertPerformance, []), rows(TrackedPrice, ["time_elapsed_hours"])
