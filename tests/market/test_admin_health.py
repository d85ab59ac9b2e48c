"""The health of candles in the admin: the map of days, the page of a series, what staff do."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.executions.admin.shown import run_url
from apps.executions.models import Execution
from apps.market.admin.health_map import cell, step_of
from apps.market.admin.shown import share_words
from apps.market.choices import DefectKind
from apps.market.models import CandleDefect, CandleSeries, Feed
from tests.factories import (
    make_candle,
    make_candle_day,
    make_candle_defect,
    make_candle_series,
    make_feed,
    make_instrument,
)
from tests.logs.pages import MARKUP, page

pytestmark = pytest.mark.django_db

HEALTH = "admin:market_health"
SERIES = "admin:market_candleseries_change"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def staff(*permissions):
    """Return the client of somebody on the staff who may do just that in the market."""
    user = User.objects.create_user("someone", is_staff=True)
    for name in permissions:
        user.user_permissions.add(
            Permission.objects.get(codename=name, content_type__app_label="market")
        )
    client = Client()
    client.force_login(user)
    return client


def post(client, series, step, **values):
    url = reverse(f"admin:market_candleseries_{step}", args=[series.pk])
    return client.post(url, values, follow=True)


def queries(client, name, **query):
    with CaptureQueriesContext(connection) as captured:
        page(client, name, **query)
    return len(captured)


class TestCells:
    @pytest.mark.parametrize(
        ("share", "step"), [(1.0, 5), (0.995, 4), (0.95, 3), (0.6, 2), (0.01, 1), (0.0, 0)]
    )
    def test_have_a_step_of_color_for_each_share(self, share, step):
        assert step_of(share) == step

    def test_say_their_numbers(self):
        series = CandleSeries(first_timestamp=NOON, last_timestamp=NOON, checked_until=NOON)

        shown = cell(series, NOON.date(), (1432, 1440, 3, 2))

        assert shown.words == (
            "2026-03-02: 1,432 of 1,440 candles, 99.4 %, 3 without volume, 2 defects"
        )
        assert (shown.tone, shown.marked) == ("4", True)

    @pytest.mark.parametrize(
        ("days", "why"),
        [(-1, "before its first candle"), (0, "nothing expected"), (9, "not checked yet")],
    )
    def test_say_why_they_are_empty(self, days, why):
        series = CandleSeries(
            first_timestamp=NOON,
            last_timestamp=NOON + timedelta(days=1),
            checked_until=NOON + timedelta(days=2),
        )

        assert cell(series, NOON.date() + timedelta(days=days), None).words.endswith(why)

    def test_do_not_call_nearly_all_all(self):
        assert share_words(0.99999) == "99.9 %"


class TestHeatMap:
    def test_shows_each_series_with_its_days(self, admin_client):
        series = make_candle_series(symbol="BTC/USD")
        today = timezone.now().date()
        make_candle_day(series=series, day=today, candles=144, expected=288, defects=1)

        html = page(admin_client, HEALTH)

        assert reverse(SERIES, args=[series.pk]) in html
        assert f'class="b-c2 b-mark" title="{today}: 144 of 288 candles, 50 %, 1 defect"' in html
        assert "99.3 %" in html

    def test_is_narrowed_by_symbol_source_granularity_and_asset_class(self, admin_client):
        make_candle_series(symbol="AAPL", source="alpaca", granularity="1d")
        make_candle_series(symbol="BTC/USD", source="kraken")
        make_instrument(symbol="AAPL", asset_class="equity")

        for query in (
            {"symbol": "aap"}, {"source": "alpaca"}, {"granularity": "1d"},
            {"asset_class": "equity"},
        ):  # fmt: skip
            html = page(admin_client, HEALTH, **query)
            assert "AAPL" in html
            assert "BTC/USD" not in html

    def test_costs_the_same_for_many_series_as_for_few(self, admin_client):
        make_candle_day(series=make_candle_series(), day=timezone.now().date())
        queries(admin_client, HEALTH)
        few = queries(admin_client, HEALTH)
        for _ in range(5):
            make_candle_day(series=make_candle_series(), day=timezone.now().date())

        # Session, user, the series, their days, the names of sources.
        assert queries(admin_client, HEALTH, days="90") == few <= 6

    def test_goes_through_the_series_by_fifties(self, admin_client):
        for number in range(51):
            make_candle_series(symbol=f"S{number:02}")

        assert "S50" not in page(admin_client, HEALTH)
        assert "S50" in page(admin_client, HEALTH, p="2")

    def test_puts_what_misses_most_first(self, admin_client):
        make_candle_series(symbol="AAA", missing=1)
        make_candle_series(symbol="ZZZ", missing=99)

        html = page(admin_client, HEALTH, order="worst")

        assert html.index("ZZZ") < html.index("AAA")

    @pytest.mark.parametrize(
        "query", [{"days": "garbage"}, {"p": "-1"}, {"granularity": "9z"}, {"symbol": "\0%"}]
    )
    def test_survives_nonsense_in_its_address(self, admin_client, query):
        make_candle_series()

        assert "Data health" in page(admin_client, HEALTH, **query)

    def test_shows_names_from_outside_as_text(self, admin_client):
        make_candle_series(symbol=MARKUP, source=MARKUP)

        assert MARKUP not in page(admin_client, HEALTH)

    def test_says_what_would_fill_it(self, admin_client):
        assert "import_candles" in page(admin_client, HEALTH)

    def test_is_closed_to_those_who_may_not_look(self):
        assert staff("view_instrument").get(reverse(HEALTH)).status_code == 403


class TestSeriesPage:
    def test_tells_of_staleness_defects_and_other_sources(self, admin_client):
        start = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(days=2)
        series = make_candle_series(
            symbol="BTC/USD", source="one", first_timestamp=start, last_timestamp=start
        )
        make_candle_series(
            symbol="BTC/USD", source="two", first_timestamp=start, last_timestamp=start
        )
        make_candle(symbol="BTC/USD", source="one", price=100, timestamp=start)
        make_candle(symbol="BTC/USD", source="two", price=101, timestamp=start)
        make_candle_defect(series=series, kind=DefectKind.OUTLIER, detail=MARKUP)
        make_candle_defect(series=series, accepted_at=NOON, accepted_by="Ann")

        html = page(admin_client, SERIES, series.pk)

        assert "the next was expected within" in html
        assert ">Outlier</span>" in html
        assert MARKUP not in html
        assert "+1.00 %" in html
        assert 'class="b-few"' in html
        assert "by Ann" in html
        assert "No enabled feed fetches it" in html

    def test_offers_no_steps_to_those_who_may_only_look(self):
        series = make_candle_series()

        html = page(staff("view_candleseries"), SERIES, series.pk)

        assert "Check now" not in html
        assert "Backfill gaps" not in html


class TestSteps:
    @pytest.fixture
    def series(self):
        series = make_candle_series(symbol="BTC/USD", source="one")
        make_candle_defect(series=series, start=NOON)
        return series

    @pytest.mark.parametrize("step", ["check", "backfill", "accept-all"])
    def test_are_refused_to_those_who_may_only_look(self, series, step):
        answer = post(staff("view_candleseries"), series, step, confirmed="yes")

        assert answer.status_code == 403

    def test_are_taken_by_post_alone(self, admin_client, series):
        url = reverse("admin:market_candleseries_check", args=[series.pk])

        assert admin_client.get(url).status_code == 405

    def test_check_looks_at_the_series_now(self, admin_client, series):
        CandleSeries.objects.update(checked_at=None)
        make_candle(symbol="BTC/USD", source="one", timestamp=NOON)

        answer = post(admin_client, series, "check")

        assert "checked." in answer.content.decode()
        series.refresh_from_db()
        assert series.checked_at is not None

    def test_backfill_says_how_many_gaps_and_from_where_before_it_begins(
        self, admin_client, series
    ):
        make_feed(
            symbol="BTC/USD", source="one", granularity="5m", provider="ccxt", exchange="kraken"
        )

        html = post(admin_client, series, "backfill").content.decode()

        assert "1 gap of BTC/USD 5m from one by its feed from kraken" in html
        assert not Execution.objects.exists()

    def test_backfill_is_a_run_that_can_be_followed(self, admin_client, series):
        make_feed(
            symbol="BTC/USD", source="one", granularity="5m", provider="ccxt", exchange="kraken"
        )

        html = post(admin_client, series, "backfill", confirmed="yes").content.decode()

        run = Execution.objects.get()
        assert run.triggered_by == "admin"
        assert "Follow its run" in html
        assert run_url(run.pk) in html

    def test_backfill_without_a_feed_says_what_to_do(self, admin_client, series):
        asked = post(admin_client, series, "backfill").content.decode()
        html = post(admin_client, series, "backfill", confirmed="yes").content.decode()

        assert "add one under Feeds first" in asked
        assert "No enabled feed fetches BTC/USD 5m from one" in html
        assert not Feed.objects.exists()
        assert not Execution.objects.exists()

    def test_accepting_asks_first_and_says_how_many(self, admin_client, series):
        asked = post(admin_client, series, "accept-all").content.decode()

        assert "1 open defect will be marked as known" in asked
        assert CandleDefect.objects.open().exists()

        post(admin_client, series, "accept-all", confirmed="yes")

        assert CandleDefect.objects.get().accepted_by == "admin"

    def test_one_defect_is_accepted_on_its_page(self, admin_client, series):
        defect = CandleDefect.objects.get()
        url = reverse("admin:market_candledefect_accept", args=[defect.pk])

        admin_client.post(url, {"confirmed": "yes"})

        defect.refresh_from_db()
        assert defect.accepted_at is not None

    def test_check_refuses_more_than_somebody_can_wait_for(self, admin_client, series):
        CandleSeries.objects.update(candles=900_000)
        make_candle_series(candles=900_000)
        keys = list(CandleSeries.objects.values_list("pk", flat=True))

        html = admin_client.post(
            reverse("admin:market_candleseries_changelist"),
            {"action": "check", "_selected_action": keys, "index": 0},
            follow=True,
        ).content.decode()

        assert "choose fewer series" in html
