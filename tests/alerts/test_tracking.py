"""Prices at the checkpoints after each alert."""

import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import override_settings

from apps.alerts.domain.tracking import checkpoint_hours, due_checkpoints
from apps.alerts.models import AlertPerformance, TrackedPrice
from apps.alerts.services import raise_alerts, track_due_prices
from apps.market.models import Instrument
from tests.alerts.rows import (
    FIVE,
    HOUR,
    LATER,
    NOON,
    changes,
    closing_at,
    performance,
    prices,
    raised,
    sent,
    store,
    tick,
)


class TestCheckpoints:
    def test_come_earliest_first_and_each_once(self):
        assert checkpoint_hours([72, 1, 24, 1]) == [1, 24, 72]

    @pytest.mark.parametrize("hours", [[], [0], [-1], [1.5], [True], [10**6]])
    def test_are_whole_hours(self, hours):
        with pytest.raises(ValueError, match="checkpoint"):
            checkpoint_hours(hours)

    def test_are_due_once_they_have_passed(self):
        due = due_checkpoints(NOON, hours=[1, 3, 24], taken=[1], now=NOON + 3 * HOUR)

        assert due == [(3, NOON + 3 * HOUR)]


@pytest.mark.django_db
class TestTrackDuePrices:
    def test_takes_the_price_of_the_checkpoints_own_moment(self):
        alert = raised()
        store(*(closing_at(NOON + h * HOUR, 100 + h) for h in range(80)))

        assert track_due_prices(now=LATER) == 4
        assert prices(alert) == {1: 101, 3: 103, 24: 124, 72: 172}
        assert changes(alert) == [1, 3, 24, 72]

    def test_takes_no_price_before_its_time(self):
        alert = raised()
        store(*(closing_at(NOON + h * HOUR, 100 + h) for h in range(80)))

        assert track_due_prices(now=NOON + 3 * HOUR - timedelta(seconds=1)) == 1
        assert prices(alert) == {1: 101}

    def test_counts_in_favor_of_a_short(self):
        alert = raised(direction="short")
        store(closing_at(NOON, 100), closing_at(NOON + HOUR, 106))

        track_due_prices(now=NOON + HOUR)

        assert changes(alert) == [-6]

    def test_records_nothing_twice(self):
        alert = raised()
        store(*(closing_at(NOON + h * HOUR, 100 + h) for h in range(80)))
        track_due_prices(now=LATER)

        assert track_due_prices(now=LATER) == 0
        assert track_due_prices(now=LATER + HOUR) == 0
        assert len(prices(alert)) == 4

    def test_marks_a_hole_as_missing(self):
        alert = raised()
        store(closing_at(NOON, 100), closing_at(NOON + 2 * HOUR, 102))

        track_due_prices(now=NOON + 2 * HOUR)

        assert prices(alert) == {1: "missing"}

    def test_waits_while_the_candles_may_still_come(self):
        alert = raised()
        store(closing_at(NOON, 100))

        assert track_due_prices(now=LATER) == 0
        assert prices(alert) == {}
        store(closing_at(NOON + HOUR, 101))
        assert track_due_prices(now=LATER) == 1

    def test_waits_without_any_candle(self):
        raised(symbol="NOTHING")

        assert track_due_prices(now=LATER) == 0
        assert AlertPerformance.objects.get().source == ""

    def test_takes_the_entry_from_the_alerts_own_moment(self):
        alert = raised(entry_price=None)
        store(closing_at(NOON, 50), closing_at(NOON + FIVE, 60), closing_at(NOON + HOUR, 55))

        track_due_prices(now=NOON + HOUR)

        assert performance(alert).entry_price == 50
        assert changes(alert) == [10]

    def test_without_an_entry_knows_the_price_but_no_change(self):
        alert = raised(entry_price=None)
        store(closing_at(NOON + HOUR, 55))

        track_due_prices(now=NOON + HOUR)

        assert prices(alert) == {1: 55}
        assert changes(alert) == [None]

    def test_a_change_too_large_to_keep_holds_up_nothing(self):
        huge = raised(entry_price=Decimal("1e-18"))
        alert = raised()
        store(closing_at(NOON, 100), closing_at(NOON + HOUR, 10**10))

        assert track_due_prices(now=NOON + HOUR) == 2
        assert changes(huge) == [None]
        assert changes(alert) == [Decimal(10) ** 10 - 100]

    def test_goes_over_many_in_batches(self, monkeypatch):
        monkeypatch.setattr("apps.market.services.outcomes.BATCH", 3)
        raise_alerts([sent() for _ in range(10)], now=LATER)
        store(*(closing_at(NOON + h * HOUR, 100 + h) for h in range(80)))

        assert track_due_prices(now=LATER) == 40

    @pytest.mark.parametrize("hours", [[2], [5, 1], [24], [1, 2, 3, 4, 5, 6, 7, 8]])
    def test_follows_any_list_of_checkpoints(self, hours):
        alert = raised()
        store(*(closing_at(NOON + h * HOUR, 100 + h) for h in range(80)))

        with override_settings(ALERT_CHECKPOINT_HOURS=hours):
            track_due_prices(now=LATER)

        assert prices(alert) == {h: 100 + h for h in sorted(hours)}

    def test_takes_checkpoints_that_the_setting_gained_meanwhile(self):
        alert = raised()
        store(*(closing_at(NOON + h * HOUR, 100 + h) for h in range(80)))
        tick(NOON + 4 * HOUR)

        with override_settings(ALERT_CHECKPOINT_HOURS=[1, 2, 3, 72]):
            tick(NOON + 73 * HOUR)

        assert prices(alert) == {1: 101, 2: 102, 3: 103, 72: 172}


@pytest.mark.django_db
class TestTheSeriesOfAnAlert:
    def series(self, alert):
        found = performance(alert)
        return found.source, found.granularity

    def test_is_the_primary_source_where_one_is_named(self):
        Instrument.objects.create(symbol="BTC/USD", primary_source="slow")
        store(
            closing_at(NOON, 100, source="fast"),
            closing_at(NOON - HOUR, 90, source="slow", granularity="1h"),
        )
        alert = raised()

        track_due_prices(now=LATER)

        assert self.series(alert) == ("slow", "1h")

    def test_is_else_the_source_with_the_most_recent_candle_then(self):
        store(
            closing_at(NOON - FIVE, 100, source="a"),
            closing_at(NOON, 100, source="b"),
            closing_at(NOON + FIVE, 100, source="a"),
        )
        alert = raised()

        track_due_prices(now=LATER)

        assert self.series(alert) == ("b", "5m")

    def test_is_the_finest_with_a_price(self):
        store(
            closing_at(NOON, 100, granularity="1h"),
            closing_at(NOON - FIVE, 100, granularity="5m"),
            closing_at(NOON - 2 * HOUR, 100, granularity="1m"),
            closing_at(NOON + FIVE, 100, granularity="5m"),
        )
        alert = raised()

        track_due_prices(now=LATER)

        assert self.series(alert) == ("test", "5m")

    def test_stays_once_it_is_chosen(self):
        alert = raised()
        store(closing_at(NOON, 100, source="b"))
        track_due_prices(now=NOON)
        store(
            closing_at(NOON, 1, source="a"),
            closing_at(NOON + HOUR, 1, source="a"),
            closing_at(NOON + HOUR, 101, source="b"),
        )

        track_due_prices(now=NOON + HOUR)

        assert self.series(alert) == ("b", "5m")
        assert prices(alert) == {1: 101}

    def test_is_not_chosen_while_it_may_change(self):
        alert = raised(timestamp=NOON + timedelta(minutes=7))
        store(closing_at(NOON, 100))

        track_due_prices(now=NOON + timedelta(minutes=8))
        assert self.series(alert) == ("", "")
        store(closing_at(NOON + FIVE, 100, granularity="1m"))
        track_due_prices(now=NOON + timedelta(minutes=18))
        assert self.series(alert) == ("test", "1m")


@pytest.mark.django_db(transaction=True)
class TestTwoWorkersAtOnce:
    def test_share_the_work_and_double_nothing(self):
        raise_alerts([sent() for _ in range(300)], now=LATER)
        store(*(closing_at(NOON + h * HOUR, 100 + h) for h in range(80)))
        failures, start = [], threading.Barrier(4)

        def work():
            try:
                start.wait()
                for _ in range(3):
                    tick()
            except Exception as error:  # noqa: BLE001 - carried over to the test's own thread
                failures.append(error)
            finally:
                connection.close()

        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        tick()

        assert failures == []
        assert TrackedPrice.objects.count() == 1200
        assert AlertPerformance.objects.filter(status="settled").count() == 300
