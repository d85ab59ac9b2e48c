"""Instruments in the admin: the chart, its switches, and how the series stand."""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.market.admin.charts import SeriesView, offers, series_table
from apps.market.choices import AssetClass, Freshness, Granularity
from apps.market.domain.candles import CandleRow, Series, aligned_start
from apps.market.domain.freshness import freshness
from apps.market.models import Candle, CandleSeries
from apps.market.services.candles import store_candles
from apps.market.services.health import check_series
from tests.factories import make_candle, make_instrument

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def series(granularity="5m", *, last=NOON, first=NOON - timedelta(days=30), source="binance"):
    return Series(source, granularity, first, last)


class TestFreshness:
    def state(self, silent, **values):
        facts = {"asset_class": AssetClass.CRYPTO, "fetched": False} | values
        return freshness(series(), now=NOON + timedelta(minutes=5) + silent, **facts)

    def test_lasts_as_long_as_a_close_stands_for_a_moment(self):
        assert self.state(timedelta(minutes=10)) == Freshness.FRESH
        assert self.state(timedelta(minutes=10, seconds=1)) == Freshness.STALE

    def test_gives_a_market_that_closes_its_weekend(self):
        assert self.state(timedelta(days=4), asset_class=AssetClass.EQUITY) == Freshness.FRESH

    def test_takes_long_silence_for_history_unless_it_is_fetched(self):
        assert self.state(timedelta(days=31)) == Freshness.ENDED
        assert self.state(timedelta(days=31), fetched=True) == Freshness.STALE


class TestOffers:
    def test_name_stored_granularities_and_the_coarser_ones_they_make(self):
        found = offers([series("5m"), series("1h")])

        assert list(found)[:4] == ["5m", "15m", "30m", "1h"]
        assert found["15m"].granularity == "5m"
        assert found["4h"].granularity == "1h"
        assert "1m" not in found

    def test_leave_out_what_would_be_a_handful_of_candles(self):
        short = series("5m", first=NOON - timedelta(hours=2))

        assert list(offers([short])) == ["5m", "15m", "30m"]


@pytest.mark.django_db
class TestSeriesView:
    def view(self, instrument, **asked):
        stored = Candle.objects.series(instrument.symbol)
        asked = {"source": "", "granularity": "", "until": None} | asked
        return SeriesView.chosen(instrument, stored, **asked)

    def test_puts_coarser_candles_together(self):
        instrument = make_instrument(symbol="BTC/USD")
        for step in range(36):
            make_candle(price=100 + step, timestamp=NOON + step * timedelta(minutes=5))

        view = self.view(instrument, granularity="1h")

        assert [bar.close for bar in view.bars] == [111, 123, 135]
        assert view.stored_as == "5m"

    def test_falls_back_to_the_best_that_exists(self):
        instrument = make_instrument(symbol="BTC/USD", primary_source="second")
        make_candle(source="first", timestamp=NOON)
        make_candle(source="second", timestamp=NOON - timedelta(days=1))

        assert self.view(instrument, source="nobody", granularity="7m").source == "second"
        assert self.view(instrument, source="first").source == "first"

    def test_is_empty_without_candles(self):
        assert self.view(make_instrument()).bars == ()


def chart_of(html):
    found = re.search(r'<candle-chart.*?<script[^>]*json">(.*?)</script>', html, re.DOTALL)
    return json.loads(found[1])


@pytest.mark.django_db
class TestInstrumentPage:
    def page(self, client, instrument, **query):
        url = reverse("admin:market_instrument_change", args=[instrument.pk])
        answer = client.get(url, query)
        assert answer.status_code == 200
        return answer.content.decode()

    def test_draws_exact_prices_without_padding_zeros(self, admin_client):
        instrument = make_instrument(symbol="BTC/USD")
        make_candle(price="0.00006123", timestamp=NOON)

        chart = chart_of(self.page(admin_client, instrument))

        assert chart["precision"] == 8
        assert chart["candles"] == [[int(NOON.timestamp()), *["0.00006123"] * 4, "1"]]

    def test_says_what_would_fill_it(self, admin_client):
        assert "import_candles" in self.page(admin_client, make_instrument())

    @pytest.mark.parametrize(
        "query",
        [{"until": "garbage"}, {"until": "2026-03-02"}, {"source": "<b>"}, {"granularity": "9z"}],
    )
    def test_survives_nonsense_in_its_address(self, admin_client, query):
        instrument = make_instrument(symbol="BTC/USD")
        make_candle(timestamp=NOON)

        assert "<candle-chart" in self.page(admin_client, instrument, **query)

    def test_costs_the_same_for_many_candles_as_for_few(
        self, admin_client, django_assert_num_queries
    ):
        instrument = make_instrument(symbol="BTC/USD")
        make_candle()
        # session, user, instrument, series, feeds, candles, health, regimes, features
        expected = 9
        self.page(admin_client, instrument)
        with django_assert_num_queries(expected):
            self.page(admin_client, instrument)
        for _ in range(30):
            make_candle()
        with django_assert_num_queries(expected):
            self.page(admin_client, instrument)

    def test_names_staleness(self):
        instrument = make_instrument(symbol="BTC/USD", asset_class=AssetClass.CRYPTO)
        make_candle(timestamp=aligned_start(timezone.now() - timedelta(days=1), Granularity.M5))

        (line,) = series_table(
            instrument, Candle.objects.series("BTC/USD"), set(), now=timezone.now()
        )

        assert ">Stale<" in line["state"]

    def test_names_gaps_as_health_knows_them(self, admin_client):
        instrument = make_instrument(symbol="AAA", asset_class=AssetClass.EQUITY)
        friday = datetime(2026, 3, 6, tzinfo=UTC)
        days = [friday + timedelta(days=day) for day in (-4, -3, -2, 0, 3, 4, 10)]
        price = (Decimal(100),) * 4 + (Decimal(1),)
        rows = [CandleRow("AAA", "test", "1d", day, *price) for day in days]
        now = days[-1] + timedelta(days=2)
        assert not store_candles(rows, now=now).failed
        assert "Not looked at yet" in self.page(admin_client, instrument)

        (series,) = CandleSeries.objects.all()
        check_series(series_ids=[series.pk], now=now)

        words = re.sub(r"<[^>]*>", "", self.page(admin_client, instrument))
        # No weekend is missing; after a silence of a week its weekdays are.
        assert "3 candles missing in 1 gap\n" in words


@pytest.mark.django_db
def test_all_series_reads_one_line_per_series():
    make_candle(symbol="B", source="x", granularity="1h", timestamp=NOON)
    make_candle(symbol="A", source="y", timestamp=NOON)
    make_candle(symbol="A", source="y", timestamp=NOON + timedelta(minutes=5))

    found = Candle.objects.all_series(limit=10)

    assert [(symbol, each.source, each.granularity) for symbol, each in found] == [
        ("A", "y", "5m"),
        ("B", "x", "1h"),
    ]
    assert found[0][1].last == NOON + timedelta(minutes=5)
    assert len(Candle.objects.all_series(limit=1)) == 1


def test_change_is_exact():
    view = SeriesView(bars=[Bar("100", "110"), Bar("110", "125")])

    assert view.change == Decimal(25)


class Bar:
    def __init__(self, opened, closed):
        self.open, self.close = Decimal(opened), Decimal(closed)
