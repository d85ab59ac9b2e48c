"""Providers ask by way of the cache; what is old never passes for news, nor a venue for healthy."""

import json
from datetime import timedelta
from decimal import Decimal
from time import monotonic

import pytest

from apps.logs.models import Notification
from apps.market.choices import FeedState
from apps.market.domain.candles import CandleValues
from apps.market.models import ApiCacheEntry, CacheDailyStats, Candle, Feed
from apps.market.providers import ask_venue, kept
from apps.market.providers.base import Connection, ProviderRubbish, ProviderUnreachable
from apps.market.services.cache import Recall, forget_rules
from apps.market.services.feeds import fetch_due_feeds
from tests.market.cache.asked import DAY, MINUTE, NOON, SECOND
from tests.market.venue import running_venue

pytestmark = [
    pytest.mark.django_db,
    # Alpaca's package loads an old part of another one.
    pytest.mark.filterwarnings("ignore:websockets.legacy:DeprecationWarning"),
]
MISSING = "an optional extra: pip install -r requirements-providers.txt"
STEP = 5 * MINUTE
BUSY = b"<html>busy</html>"


@pytest.fixture
def venue(settings):
    with running_venue() as venue:
        venue.candles(NOON - 3 * STEP, 3, STEP)
        settings.FEED_CONNECTIONS = {"HERE": {"url": venue.url, "key": "k", "secret": "s"}}
        yield venue


class Ccxt:
    SYMBOL, FEED = "ETH/BTC", {"provider": "ccxt", "exchange": "kraken", "source": "kraken"}

    @staticmethod
    def provider(url, ask, **options):
        ccxt = pytest.importorskip("apps.market.providers.ccxt", reason=MISSING)
        return ccxt.CcxtProvider("kraken", Connection("public", "hidden", url), options, ask)


class Alpaca:
    SYMBOL, FEED = "AAPL", {"provider": "alpaca", "source": "alpaca"}

    @staticmethod
    def provider(url, ask, **options):
        alpaca = pytest.importorskip("apps.market.providers.alpaca", reason=MISSING)
        return alpaca.AlpacaProvider("", Connection("public", "hidden", url), options, ask)


@pytest.fixture(params=[Ccxt, Alpaca], ids=["ccxt", "alpaca"])
def kind(request):
    return request.param


def fetched(kind, venue, now=NOON, ask=None, since=None, limit=100, granularity="5m"):
    provider = kind.provider(venue.url, ask or Recall())
    return provider.fetch(kind.SYMBOL, granularity, since=since, limit=limit, now=now)


def calls(venue, what=("/OHLC", "/stocks/bars")):
    return sum(path.endswith(what) for path, _, _ in venue.asked)


def goes_down(venue):
    venue.status, venue.answer, venue.content_type = 503, BUSY, "text/html"


def comes_back(venue):
    venue.status, venue.answer, venue.content_type = 200, None, "application/json"


def make_feed(kind, **values):
    defaults = {"symbol": kind.SYMBOL, "granularity": "5m", "connection": "HERE"}
    return Feed.objects.create(**defaults | kind.FEED | {"next_fetch_at": NOON} | values)


class TestCandles:
    def test_are_asked_for_once(self, kind, venue):
        first, again = fetched(kind, venue), fetched(kind, venue, NOON + 50 * SECOND)

        assert first == again
        assert calls(venue) == 1

    def test_come_back_exactly_as_sent(self, kind, venue):
        price = "0.09840000123456789"
        venue.candles(NOON - STEP, 1, STEP, price=price)

        for _ in range(2):
            (one,) = fetched(kind, venue)
            assert one == CandleValues(NOON - STEP, *[Decimal(price)] * 4, Decimal("0.5"))
            assert str(one.open) == price

    def test_are_kept_under_all_that_changes_them_and_no_secret(self, kind, venue):
        fetched(kind, venue)
        fetched(kind, venue, limit=99)
        fetched(kind, venue, since=NOON - STEP)
        with running_venue() as other:
            other.candles(NOON - STEP, 1, STEP)
            assert len(fetched(kind, other)) == 1

        entries = list(ApiCacheEntry.objects.filter(data_type="ohlcv_5m"))
        assert len(entries) == 4
        for entry in ApiCacheEntry.objects.all():
            stored = f"{entry.cache_key} {entry.metadata} {entry.response_data}"
            for secret in ("hidden", "public", "127.0.0.1"):
                assert secret not in stored
        assert any(f":{kind.SYMBOL}:5m:newest:99:" in entry.cache_key for entry in entries)

    def test_options_are_part_of_the_question(self, venue):
        for provider in (
            Ccxt.provider(venue.url, Recall(), params={"price": "mark", "token": "hidden"}),
            Ccxt.provider(venue.url, Recall()),
        ):
            provider.fetch("ETH/BTC", "5m", since=None, limit=9, now=NOON)
        keys = ApiCacheEntry.objects.filter(data_type="ohlcv_5m").values_list(
            "cache_key", flat=True
        )
        assert len(keys) == 2
        assert "hidden" not in str(list(keys))

    def test_one_that_runs_is_never_given_out_as_finished(self, kind, venue):
        running = NOON - SECOND
        early = fetched(kind, venue, running)
        assert [one.timestamp for one in early] == [NOON - 3 * STEP, NOON - 2 * STEP]
        goes_down(venue)

        # It has ended by now; what the venue said of it half way is not what it became.
        late = fetched(kind, venue, NOON + MINUTE)

        assert late == early

    def test_are_asked_for_anew_as_soon_as_the_next_one_has_ended(self, kind, venue):
        fetched(kind, venue, NOON - 20 * SECOND)
        again = fetched(kind, venue, NOON)
        assert calls(venue) == 2
        assert again[-1].timestamp == NOON - STEP

    def test_are_asked_for_soon_when_the_last_one_is_late(self, kind, venue):
        venue.candles(NOON - 4 * STEP, 3, STEP)
        fetched(kind, venue)
        venue.candles(NOON - 4 * STEP, 4, STEP)

        assert fetched(kind, venue, NOON + 31 * SECOND)[-1].timestamp == NOON - STEP

    def test_an_answer_that_nobody_would_believe_is_not_kept(self, kind, venue):
        venue.rows = [(NOON - STEP, "0", "0", "0", "0", "1")]
        fetched(kind, venue)
        assert not ApiCacheEntry.objects.filter(data_type="ohlcv_5m").exists()

    def test_history_stays_as_it_is(self, kind, venue):
        fetched(kind, venue, NOON + DAY, since=NOON - 3 * STEP, limit=3)
        fetched(kind, venue, NOON + DAY + 59 * SECOND, since=NOON - 3 * STEP, limit=3)
        assert calls(venue) == 1

    def test_what_another_put_in_their_place_is_rubbish(self, kind, venue):
        fetched(kind, venue)
        ApiCacheEntry.objects.filter(data_type="ohlcv_5m").update(response_data='{"a": [1]}')
        with pytest.raises(ProviderRubbish, match="no candles"):
            fetched(kind, venue)

    def test_old_ones_stand_in_and_then_no_more(self, kind, venue):
        first = fetched(kind, venue)
        goes_down(venue)
        recall = Recall()

        assert fetched(kind, venue, NOON + DAY, ask=recall) == first
        assert [each.data_type for each in recall.stale] == ["ohlcv_5m"]
        assert "503" in recall.stale[0].error
        with pytest.raises(ProviderUnreachable):
            fetched(kind, venue, NOON + DAY + MINUTE)

    def test_need_no_cache(self, kind, venue):
        fetched(kind, venue, ask=ask_venue)
        fetched(kind, venue, ask=ask_venue)
        assert calls(venue) == 2
        assert not ApiCacheEntry.objects.exists()


class TestOutdated:
    def candles(self, *steps):
        return [CandleValues(NOON + step * STEP, *[Decimal(1)] * 5) for step in steps]

    def outdated(self, steps, since=None, limit=500, now=NOON + MINUTE):
        words = {"since": since, "limit": limit, "quiet": timedelta(hours=1), "now": now}
        return kept.outdated(self.candles(*steps), "5m", **words)

    def test_at_the_end_of_the_running_interval(self):
        assert self.outdated([-2, -1]) == NOON + STEP

    def test_soon_when_the_last_one_is_missing(self):
        assert self.outdated([-3, -2]) == NOON + MINUTE + 30 * SECOND

    def test_never_when_it_is_a_full_page_of_history(self):
        assert self.outdated([-9000, -8999], since=NOON - 9000 * STEP, limit=2) == kept.FOR_EVER

    @pytest.mark.parametrize("steps", [(), (-1, -2), (3,), (-9000,)])
    def test_at_once_when_nobody_would_believe_it(self, steps):
        assert self.outdated(steps) == NOON + MINUTE


class TestMarkets:
    @pytest.fixture(autouse=True)
    def forget(self):
        ccxt = pytest.importorskip("apps.market.providers.ccxt", reason=MISSING)
        self.forget = ccxt.MARKETS.clear
        self.forget()
        yield
        self.forget()

    def asked(self, venue):
        return calls(venue, ("/AssetPairs",))

    def test_a_client_is_built_of_what_is_kept(self, venue):
        first = fetched(Ccxt, venue)
        self.forget()

        again = fetched(Ccxt, venue, limit=99)

        assert first == again
        assert self.asked(venue) == 1
        assert calls(venue) == 2

    def test_a_client_of_what_is_kept_knows_the_same_of_them(self, venue):
        recall = Recall()
        asking, reading = (Ccxt.provider(venue.url, recall) for _ in range(2))
        for provider in (asking, reading):
            self.forget()
            provider.load_markets(NOON, monotonic() + 20)
        plain = Ccxt.provider(venue.url, ask_venue).exchange
        plain.load_markets()

        for provider in (asking, reading):
            market, original = provider.exchange.markets["ETH/BTC"], plain.markets["ETH/BTC"]
            assert {**market, "info": None} == {**original, "info": None}
        assert self.asked(venue) == 2

    def test_are_remembered_by_the_process_too(self, venue):
        fetched(Ccxt, venue)
        fetched(Ccxt, venue, limit=99)
        assert ApiCacheEntry.objects.get(data_type="markets").hit_count == 0
        assert self.asked(venue) == 1

    def test_old_ones_do_for_days_while_candles_come(self, venue, monkeypatch):
        fetched(Ccxt, venue, NOON - 5 * DAY)
        self.forget()
        feed = make_feed(Ccxt)
        body = venue.body
        broken = {"error": ["EService:Unavailable"]}
        monkeypatch.setattr(
            venue, "body", lambda path, query: broken if "Asset" in path else body(path, query)
        )

        assert fetch_due_feeds(now=NOON) == 1

        feed.refresh_from_db()
        assert (feed.state, feed.last_success_at) == (FeedState.OK, NOON)
        assert feed.last_error.startswith("Old list of markets: ")
        assert "Kept since 2026-02-25 12:00:00" in feed.last_error
        assert Candle.objects.count() == 3

    def test_rubbish_in_their_place_is_told(self, venue):
        fetched(Ccxt, venue)
        self.forget()
        ApiCacheEntry.objects.filter(data_type="markets").update(response_data='{"x": {"a": 1}}')
        with pytest.raises(ProviderRubbish, match="no markets"):
            fetched(Ccxt, venue, limit=99)


class TestFeeds:
    def test_a_venue_that_is_down_never_looks_healthy(self, kind, venue):
        fetched(kind, venue, limit=500)
        feed = make_feed(kind)
        goes_down(venue)
        before = NOON

        for minutes, failures in [(2, 1), (3, 2), (5, 3)]:
            now = NOON + minutes * MINUTE
            assert fetch_due_feeds(now=now) == 0
            feed.refresh_from_db()
            assert (feed.state, feed.consecutive_failures) == (FeedState.UNHEALTHY, failures)
            assert feed.last_success_at is None
            assert feed.last_error.startswith("Old candles from the cache: ")
            assert "503" in feed.last_error
            assert "Kept since 2026-03-02 12:00:00" in feed.last_error
        # What is old is true all the same, and nothing newer was made up.
        assert Candle.objects.latest("timestamp").timestamp == before - STEP
        assert Notification.objects.get().what == "feed_failing"

        comes_back(venue)
        venue.candles(NOON - 3 * STEP, 4, STEP)
        assert fetch_due_feeds(now=NOON + 10 * MINUTE) == 1
        feed.refresh_from_db()
        assert (feed.state, feed.last_error) == (FeedState.OK, "")
        assert feed.last_candle_at == NOON

    def test_two_of_one_venue_make_one_call(self, kind, venue):
        make_feed(kind)
        make_feed(kind, source="again")

        assert fetch_due_feeds(now=NOON) == 2

        assert calls(venue) == 1
        today = CacheDailyStats.objects.get()
        assert today.total_hits == 1
        assert today.total_writes == ApiCacheEntry.objects.count()

    def test_tell_when_the_venue_itself_was_asked(self, kind, venue):
        fetched(kind, venue, limit=500)
        feed = make_feed(kind)

        assert fetch_due_feeds(now=NOON + 50 * SECOND) == 1

        feed.refresh_from_db()
        assert calls(venue) == 1
        assert feed.last_success_at == NOON

    def test_rules_decide_for_how_long(self, kind, venue):
        forget_rules()
        fetched(kind, venue, granularity="5m")
        entry = ApiCacheEntry.objects.get(data_type="ohlcv_5m")
        assert entry.expires_at == NOON + MINUTE
        assert json.loads(entry.response_data)[0][0] == kept.milliseconds(NOON - 3 * STEP)
