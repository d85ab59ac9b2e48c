"""Alerts in the admin: the list, the page of one, the scorecard."""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from apps.alerts.admin.pages import AlertStory
from apps.alerts.choices import CheckpointStatus, FirstTouch, PerformanceStatus
from tests.factories import make_alert, make_candle, make_performance, make_tracked_price

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SCORECARD = "admin:alerts_scorecard"


def page(client, name, *args, **query):
    answer = client.get(reverse(name, args=args), query)
    assert answer.status_code == 200
    return answer.content.decode()


def chart_of(html):
    found = re.search(r'<candle-chart.*?<script[^>]*json">(.*?)</script>', html, re.DOTALL)
    return json.loads(found[1])


def judged_alert(**values):
    """Make a long alert at noon with candles around it, judged on them."""
    alert = make_alert(timestamp=NOON, target_price=Decimal(110), stop_loss=Decimal(95), **values)
    for step in range(-14, 20):
        make_candle(timestamp=NOON + step * timedelta(minutes=5), price=100)
    performance = alert.performance
    performance.source, performance.granularity = "test", "5m"
    performance.entry_price = Decimal(100)
    performance.save()
    return alert


class TestList:
    def test_asks_as_often_for_many_alerts_as_for_few(
        self, admin_client, django_assert_num_queries
    ):
        make_alert()
        page(admin_client, "admin:alerts_alert_changelist")
        with django_assert_num_queries(3):
            page(admin_client, "admin:alerts_alert_changelist")
        for _ in range(10):
            make_alert()
        with django_assert_num_queries(3):
            page(admin_client, "admin:alerts_alert_changelist")

    def test_tells_the_outcomes_apart(self, admin_client):
        for success in (True, False, None):
            make_performance(status=PerformanceStatus.SETTLED, settled_at=NOON, is_success=success)
        make_alert()

        shown = page(admin_client, "admin:alerts_alert_changelist")

        for words in (">Success<", ">No success<", ">Undecided<", ">Open<"):
            assert words in shown

    @pytest.mark.parametrize(
        ("query", "kept"),
        [
            ({"strategy": "news"}, "NEWS/USD"),
            ({"symbol": "NEWS/USD"}, "NEWS/USD"),
            ({"direction__exact": "short"}, "NEWS/USD"),
            ({"priority__exact": "critical"}, "NEWS/USD"),
            ({"performance__status__exact": "settled"}, "NEWS/USD"),
            ({"performance__is_success__exact": "1"}, "NEWS/USD"),
            ({"performance__final_return_24h_min": "5"}, "NEWS/USD"),
            ({"timestamp_after": "2026-03-03"}, "NEWS/USD"),
            ({"q": "wanted"}, "NEWS/USD"),
        ],
    )
    def test_filters_by_what_one_scans_for(self, admin_client, query, kept):
        make_alert(symbol="OTHER/USD", timestamp=NOON)
        alert = make_alert(
            alert_id="wanted",
            symbol="NEWS/USD",
            strategy="news",
            direction="short",
            priority="critical",
            timestamp=NOON + timedelta(days=2),
        )
        performance = alert.performance
        performance.status, performance.settled_at = PerformanceStatus.SETTLED, NOON
        performance.is_success, performance.final_return_24h = True, Decimal(6)
        performance.save()

        shown = page(admin_client, "admin:alerts_alert_changelist", **query)

        assert f">{kept}</a>" in shown
        assert ">OTHER/USD</a>" not in shown

    def test_exports_the_outcome_beside_the_alert(self, admin_client):
        make_alert(alert_id="=cmd()")

        answer = admin_client.get(reverse("admin:alerts_alert_changelist") + "export/csv/")

        lines = b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()
        assert "performance__status" in lines[0]
        assert lines[1].startswith("'=cmd()")
        assert ",open," in lines[1]


class TestPage:
    def test_draws_the_path_with_entry_target_and_stop(self, admin_client):
        alert = judged_alert()

        chart = chart_of(page(admin_client, "admin:alerts_alert_change", alert.pk))

        assert [line["title"] for line in chart["lines"]] == ["Entry", "Target", "Stop"]
        assert chart["candles"][0][0] == int((NOON - timedelta(hours=1)).timestamp())

    def test_marks_each_checkpoint_and_the_first_touch(self, admin_client):
        alert = judged_alert()
        make_tracked_price(alert=alert, time_elapsed_hours=1)
        make_tracked_price(
            alert=alert,
            time_elapsed_hours=3,
            status=CheckpointStatus.MISSING,
            price=None,
            percentage_change=None,
            candle_timestamp=None,
        )
        alert.performance.first_touch = FirstTouch.TARGET
        alert.performance.first_touch_at = NOON + timedelta(minutes=30)
        alert.performance.save()

        chart = chart_of(page(admin_client, "admin:alerts_alert_change", alert.pk))

        texts = {marker["text"] for marker in chart["markers"]}
        assert texts == {"Raised", "1 h +1.00 %", "3 h missing", "Target"}
        bars = {bar[0] for bar in chart["candles"]}
        assert {marker["time"] for marker in chart["markers"]} <= bars

    def test_tells_what_is_still_to_come_from_what_waits(self):
        story = AlertStory(make_alert(timestamp=NOON), now=NOON + timedelta(hours=2))

        states = {each["hours"]: str(each["status"]) for each in story.checkpoints}

        assert "Waiting" in states[1]
        assert "To come" in states[3]

    def test_says_why_a_figure_is_empty(self, admin_client):
        alert = make_alert()

        shown = page(admin_client, "admin:alerts_alert_change", alert.pk)

        assert "Not known yet: the alert is open." in shown
        assert "No candles of BTC/USD around this alert." in shown

    def test_shows_what_was_sent_along_as_text(self, admin_client):
        alert = make_alert(extra_data={"note": "<img src=x onerror=alert(1)>"})

        shown = page(admin_client, "admin:alerts_alert_change", alert.pk)

        assert "<img src=x" not in shown
        assert "&lt;img src=x" in shown

    def test_draws_few_bars_of_fine_candles(self):
        alert = make_alert(timestamp=NOON)
        performance = alert.performance
        performance.source, performance.granularity = "test", "1m"
        make_candle(granularity="1m", timestamp=NOON)

        story = AlertStory(alert, now=NOON)

        assert [bar.timestamp for bar in story.bars] == [NOON]

    def test_costs_the_same_with_all_its_prices(self, admin_client, django_assert_num_queries):
        alert = judged_alert()
        page(admin_client, "admin:alerts_alert_change", alert.pk)
        with django_assert_num_queries(6):  # session, user, alert, scorecard, candles, prices
            page(admin_client, "admin:alerts_alert_change", alert.pk)
        for hours in (1, 3, 24, 72):
            make_tracked_price(alert=alert, time_elapsed_hours=hours)
        with django_assert_num_queries(6):
            page(admin_client, "admin:alerts_alert_change", alert.pk)


class TestScorecard:
    def settled(self, **values):
        performance = make_performance(
            status=PerformanceStatus.SETTLED, settled_at=NOON, is_success=True
        )
        for name, value in values.items():
            setattr(performance.alert, name, value)
        performance.alert.save()

    @pytest.mark.parametrize(
        ("by", "shown"),
        [
            ("strategy", "news"),
            ("symbol", "NEWS/USD"),
            ("timeframe", "4h"),
            ("direction", "short"),
            ("confidence_band", "0.7–0.8"),
        ],
    )
    def test_counts_up_by_what_is_asked_for(self, admin_client, by, shown):
        self.settled(
            strategy="news",
            symbol="NEWS/USD",
            timeframe="4h",
            direction="short",
            confidence=Decimal("0.75"),
        )

        assert f">{shown}<" in page(admin_client, SCORECARD, by=by)

    def test_shows_small_samples_in_grey_with_their_interval(self, admin_client):
        self.settled()

        shown = page(admin_client, SCORECARD)

        assert 'class="b-few"' in shown
        assert "100.0 %" in shown
        assert "21–100 %" in shown

    def test_leaves_the_undefined_empty_with_its_reason(self, admin_client):
        make_alert()

        shown = page(admin_client, SCORECARD)

        assert 'title="Nothing is settled and decided yet."' in shown

    def test_leads_to_the_rows_that_were_counted(self, admin_client):
        self.settled(strategy="a&b=c")

        shown = page(admin_client, SCORECARD)

        assert "?strategy=a%26b%3Dc" in shown

    def test_says_what_would_fill_it(self, admin_client):
        assert "/api/v1/alerts/alerts/" in page(admin_client, SCORECARD)

    @pytest.mark.parametrize("query", [{"by": "password"}, {"span": "ever"}])
    def test_takes_nonsense_for_its_defaults(self, admin_client, query):
        page(admin_client, SCORECARD, **query)

    def test_needs_the_right_to_look(self):
        client = Client()
        client.force_login(User.objects.create_user("nobody", is_staff=True))

        assert client.get(reverse(SCORECARD)).status_code == 403
