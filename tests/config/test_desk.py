"""The desk: bounded, shared, honest about what it does not know, and only what one may see."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from redis import RedisError

from apps.alerts.choices import CheckpointStatus, PerformanceStatus
from apps.market.choices import FeedState, Granularity
from apps.market.domain.candles import aligned_start
from config import desk, figures
from config import needs as attention
from config.celery import SCHEDULE
from config.readings import Readings
from tests.factories import (
    make_alert,
    make_candle,
    make_feed,
    make_instrument,
    make_performance,
    make_tracked_price,
)

pytestmark = pytest.mark.django_db

# Readings of the desk itself, cold: see the properties of Readings.
MOST_QUERIES = 14
SEARCH = "/admin/search/"


def recent_candle(age, **values):
    start = aligned_start(timezone.now() - age, Granularity.M5)
    return make_candle(timestamp=start, **values)


def needs(at=None):
    return [need.what for _, need in desk.needs(Readings(at or timezone.now()))]


def figure(read):
    return read(Readings(timezone.now()))


class TestCost:
    def test_is_bounded_however_much_there_is(self, django_assert_max_num_queries):
        for number in range(4):
            make_instrument(symbol=f"S{number}")
            recent_candle(timedelta(hours=9), symbol=f"S{number}")
            make_performance(status=PerformanceStatus.OPEN)
            make_feed(source="live", state=FeedState.UNHEALTHY)

        with django_assert_max_num_queries(MOST_QUERIES):
            desk.read_panels(timezone.now())

    def test_is_paid_once_for_all_who_look(self, admin_client, django_assert_num_queries):
        admin_client.get(reverse("desk"))

        with django_assert_num_queries(2):  # the session and its user
            assert admin_client.get(reverse("desk")).status_code == 200

    def test_survives_a_cache_that_is_away(self, admin_client, monkeypatch):
        def away(*args, **kwargs):
            raise RedisError("away")

        monkeypatch.setattr(cache, "get", away)

        assert "figures" in desk.shared_panels(timezone.now())


class TestFigures:
    def test_name_the_sample_of_the_hit_rate(self):
        raised = timezone.now() - timedelta(days=4)
        for success in (True, True, False):
            performance = make_performance(
                status=PerformanceStatus.SETTLED, settled_at=timezone.now(), is_success=success
            )
            performance.alert.timestamp = raised
            performance.alert.save()

        shown = figure(figures.hit_rate)

        assert (shown.value, shown.under, shown.tone) == ("66.7 %", "of 3 decided", "b-quiet")
        assert "Wilson" in shown.title

    def test_leave_the_hit_rate_empty_while_nothing_is_decided(self):
        assert figure(figures.hit_rate).value == "—"

    def test_guess_no_candles_where_there_are_none(self):
        assert figure(figures.candles).value == "0"

    def test_say_that_candles_are_estimated(self):
        make_candle()

        assert figure(figures.candles).value.startswith("about")

    def test_count_instruments_once_however_many_of_their_series_are_stale(self):
        make_instrument(symbol="BTC/USD")
        recent_candle(timedelta(hours=9), source="one")
        recent_candle(timedelta(hours=9), source="two")

        assert figure(figures.stale).value == "1"

    def test_leave_late_jobs_empty_while_none_has_run(self):
        shown = figure(figures.jobs)

        assert (shown.value, shown.under) == ("—", "none has run yet")
        assert "do worker and beat run?" in shown.title

    def test_lead_to_the_rows_behind_them(self, admin_client):
        for _, read in figures.FIGURES:
            assert admin_client.get(figure(read).url).status_code == 200


class TestNeeds:
    def test_are_silent_when_all_is_well(self, monkeypatch):
        monkeypatch.setattr(Readings, "jobs_ran", True)
        make_instrument(symbol="BTC/USD")
        recent_candle(timedelta(minutes=5))

        assert needs() == []

    def test_name_a_series_that_stopped(self):
        make_instrument(symbol="BTC/USD")
        recent_candle(timedelta(hours=9))

        assert "BTC/USD 5m from test is stale" in needs()

    def test_leave_a_history_and_an_inactive_instrument_in_peace(self):
        make_instrument(symbol="OLD/USD")
        make_instrument(symbol="OFF/USD", active=False)
        recent_candle(timedelta(days=90), symbol="OLD/USD")
        recent_candle(timedelta(hours=9), symbol="OFF/USD")

        assert not [need for need in needs() if "stale" in need]

    def test_never_take_a_fetched_series_for_history(self):
        make_instrument(symbol="OLD/USD")
        recent_candle(timedelta(days=90), symbol="OLD/USD")
        make_feed(symbol="OLD/USD", source="test", granularity=Granularity.M5)

        assert "OLD/USD 5m from test is stale" in needs()

    def test_name_a_feed_that_fails_with_what_it_said(self):
        make_feed(symbol="ETH/BTC", source="x", state=FeedState.UNHEALTHY, last_error="<b>418</b>")

        (need,) = attention.unhealthy_feeds(Readings(timezone.now()))
        assert need.what == "Feed of ETH/BTC 5m from x fails"
        assert "<b>418</b>" in need.why

    def test_name_checkpoints_that_wait_and_that_are_missing(self):
        alert = make_alert(timestamp=timezone.now() - timedelta(hours=2))
        make_tracked_price(
            alert=alert,
            status=CheckpointStatus.MISSING,
            price=None,
            percentage_change=None,
            candle_timestamp=None,
        )

        found = needs()
        assert "1 alert waits for candles" in found
        assert "1 checkpoint price is missing" in found

    def test_say_that_nobody_works(self):
        assert needs()[0] == "Worker and beat have not been seen"

    def test_give_the_first_ticks_their_time(self):
        every = IntervalSchedule.objects.create(every=60, period="seconds")
        for name, entry in SCHEDULE.items():
            PeriodicTask.objects.create(name=name, task=entry["task"], interval=every)

        assert "Worker and beat have not been seen" not in needs()

    def test_come_worst_first_and_only_so_many(self):
        for number in range(desk.MOST_NEEDS + 3):
            make_instrument(symbol=f"S{number}")
            recent_candle(timedelta(hours=9), symbol=f"S{number}")
        make_feed(source="x", state=FeedState.UNHEALTHY)
        found = [need for _, need in desk.needs(Readings(timezone.now()))]

        shown = desk.shortened(found)

        assert [need.weight for need in found] == sorted([n.weight for n in found], reverse=True)
        assert (len(shown["worst"]), shown["more"]) == (desk.MOST_NEEDS, len(found) - 12)


class TestPage:
    def test_says_what_would_fill_it_when_it_is_empty(self, admin_client):
        shown = admin_client.get(reverse("admin:index")).content.decode()

        assert "No alert has been raised yet." in shown
        assert "No alert of the last 30 days is settled yet." in shown
        assert "Nothing happened in the last 24 hours." in shown

    def test_shows_foreign_text_as_text(self, admin_client):
        make_alert(strategy="<script>x</script>", timestamp=timezone.now())

        shown = admin_client.get(reverse("admin:index")).content.decode()

        assert "<script>x" not in shown
        assert "&lt;script&gt;x" in shown

    def test_draws_outcomes_and_activity(self, admin_client):
        performance = make_performance(
            status=PerformanceStatus.SETTLED, settled_at=timezone.now(), is_success=True
        )
        performance.alert.timestamp = timezone.now() - timedelta(hours=3)
        performance.alert.confidence = Decimal("0.5")
        performance.alert.save()

        shown = admin_client.get(reverse("desk")).content.decode()

        assert shown.count("<bar-chart") == 2
        assert "breakout: 1 of 1" in shown

    def test_shows_only_what_the_viewer_may_see(self):
        make_alert(symbol="SECRET/USD", timestamp=timezone.now())
        user = User.objects.create_user("market", is_staff=True)
        user.user_permissions.add(Permission.objects.get(codename="view_instrument"))
        client = Client()
        client.force_login(user)

        shown = client.get(reverse("desk")).content.decode()

        assert "Instruments stale" in shown
        assert "SECRET/USD" not in shown
        assert "Hit rate" not in shown

    def test_is_for_staff_alone(self):
        assert Client().get(reverse("desk")).status_code == 302


class TestSearch:
    def test_finds_instruments_and_alerts_by_their_names(self, admin_client):
        alert = make_performance().alert

        found = admin_client.get(SEARCH, {"s": alert.alert_id, "extended": "1"})

        assert alert.alert_id in found.content.decode()

    def test_says_so_while_the_cache_is_away(self, admin_client, monkeypatch):
        def away(*args, **kwargs):
            raise RedisError("away")

        monkeypatch.setattr(cache, "get", away)

        answer = admin_client.get(SEARCH, {"s": "eth"})

        assert answer.status_code == 200
        assert "the cache is away" in answer.content.decode()

    @pytest.mark.parametrize("page", ["x", "0", "99"])
    def test_takes_a_page_that_is_none_for_what_it_is(self, admin_client, page):
        answer = admin_client.get(SEARCH, {"s": "alert", "page": page})

        assert "no such page" in answer.content.decode()
