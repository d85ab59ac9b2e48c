"""Providers speak their venue's own format, and are not led astray by what else comes."""

import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from apps.market.choices import ProviderName
from apps.market.domain.candles import CandleRow, CandleValues
from apps.market.models import Candle, Feed
from apps.market.providers import base, connect
from apps.market.providers.base import (
    Connection,
    ProviderNotReady,
    ProviderRubbish,
    ProviderUnreachable,
)
from apps.market.providers.replay import ReplayProvider
from apps.market.services.candles import store_candles
from tests.market.venue import NOON, running_venue, soon

# Alpaca's package loads an old part of another one.
pytestmark = pytest.mark.filterwarnings("ignore:websockets.legacy:DeprecationWarning")

MISSING = "an optional extra: pip install -r requirements-providers.txt"
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
STEP = 5 * MINUTE


@pytest.fixture
def venue():
    with running_venue() as venue:
        venue.candles(NOON - 3 * STEP, 3, STEP)
        yield venue


@pytest.fixture
def patient_for_a_second(monkeypatch):
    for name in ("ccxt", "alpaca"):
        try:
            monkeypatch.setattr(f"apps.market.providers.{name}.FETCH_SECONDS", 1.0)
        except ImportError:
            continue


class Ccxt:
    SYMBOL = "ETH/BTC"

    @staticmethod
    def provider(url):
        pytest.importorskip("ccxt", reason=MISSING)
        from apps.market.providers.ccxt import CcxtProvider

        return CcxtProvider("kraken", Connection(url=url), {})


class Alpaca:
    SYMBOL = "AAPL"

    @staticmethod
    def provider(url):
        pytest.importorskip("alpaca", reason=MISSING)
        from apps.market.providers.alpaca import AlpacaProvider

        return AlpacaProvider("", Connection("key", "secret", url), {})


@pytest.fixture(params=[Ccxt, Alpaca], ids=["ccxt", "alpaca"])
def kind(request):
    return request.param


def fetched(kind, url, granularity="5m", since=None, now=NOON):
    provider = kind.provider(url)
    return provider.fetch(kind.SYMBOL, granularity, since=since, limit=100, now=now)


class TestBoth:
    def test_bring_candles_exactly_as_sent_oldest_first(self, kind, venue):
        exact = "0.09840000123456789"
        venue.candles(NOON - 2 * STEP, 2, STEP, price=exact)

        first, second = fetched(kind, venue.url)

        assert first == CandleValues(NOON - 2 * STEP, *[Decimal(exact)] * 4, Decimal("0.5"))
        assert second.timestamp == NOON - STEP
        assert str(first.open) == exact

    def test_ask_from_where_they_are_told(self, kind, venue):
        rows = fetched(kind, venue.url, since=NOON - STEP)

        assert [row.timestamp for row in rows] == [NOON - STEP]

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"<html><body>503 but we say 200</body></html>",
            b'{"error": [], "result": {"XETHXXBT": [[17',
            b"\xff\xfe\x00\x01",
            b'{"error": [], "result": {"XETHXXBT": [7]}, "bars": {"AAPL": [7]}}',
            b'{"error": [], "result": {"XETHXXBT": [[15]]}, "bars": {"AAPL": [{"t": 1}]}}',
        ],
    )
    def test_call_rubbish_what_is_not_their_format(self, kind, venue, answer):
        venue.answer = answer

        with pytest.raises(ProviderRubbish):
            fetched(kind, venue.url)

    @pytest.mark.parametrize(
        "answer",
        [
            b"null",
            b"[]",
            b"7",
            b'"candles"',
            b'{"error": [], "result": {"XETHXXBT": "none"}, "bars": "none"}',
        ],
    )
    def test_make_no_candle_of_json_that_holds_none(self, kind, venue, answer):
        venue.answer = answer

        try:
            rows = fetched(kind, venue.url)
        except ProviderRubbish:
            rows = []
        assert rows == []

    @pytest.mark.parametrize("word", ["NaN", "Infinity", '"x"', "null", "[1]", "true"])
    def test_call_rubbish_what_is_no_number(self, kind, venue, word):
        start = NOON - STEP
        venue.answer = (
            f'{{"error": [], "result": {{"last": 1, "XETHXXBT": [[{start.timestamp():.0f}, '
            f'{word}, "1", "1", "1", "1", "1", 1]]}}, "bars": {{"AAPL": '
            f'[{{"t": "{start:%FT%TZ}", "o": {word}, "h": 1, "l": 1, "c": 1, "v": 1}}]}}}}'
        ).encode()
        try:
            rows = fetched(kind, venue.url)
        except ProviderRubbish:
            return
        # Not a number by name, but one that Decimal can hold: the rules refuse it.
        assert not rows[0].open.is_finite()

    @pytest.mark.parametrize("status", [429, 500, 502, 503])
    def test_are_unreachable_when_the_venue_is_busy(self, kind, venue, status):
        venue.status, venue.answer, venue.content_type = status, b"<html>busy</html>", "text/html"

        with pytest.raises(base.ProviderError) as told:
            fetched(kind, venue.url)
        assert "<" not in str(told.value)

    def test_are_unreachable_when_nobody_listens(self, kind):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
            with pytest.raises(ProviderUnreachable):
                fetched(kind, url)

    @pytest.mark.parametrize("headers", [True, False], ids=["headers", "body"])
    def test_wait_no_longer_than_their_time_for_a_dripping_venue(
        self, kind, venue, headers, patient_for_a_second
    ):
        venue.drip, venue.drip_headers = 0.1, headers
        provider = kind.provider(venue.url)
        started = time.monotonic()

        with pytest.raises(ProviderUnreachable, match="No whole answer within 1 seconds"):
            provider.fetch(kind.SYMBOL, "5m", since=None, limit=100, now=NOON)

        assert time.monotonic() - started < 3
        assert soon(lambda: not any(each.name == "fetch" for each in threading.enumerate()))

    def test_wait_no_longer_for_one_that_accepts_and_says_nothing(self, kind, patient_for_a_second):
        silent = socket.create_server(("127.0.0.1", 0))
        with silent, pytest.raises(ProviderUnreachable):
            fetched(kind, f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert soon(lambda: not any(each.name == "fetch" for each in threading.enumerate()))


class TestCcxt:
    def test_asks_for_the_markets_once(self, venue):
        first, again = fetched(Ccxt, venue.url), fetched(Ccxt, venue.url)

        assert first == again
        assert [path.rsplit("/")[-1] for path, _, _ in venue.asked].count("AssetPairs") == 1

    def test_knows_what_an_exchange_does_not_have(self, venue):
        provider = Ccxt.provider(venue.url)
        with pytest.raises(ProviderNotReady, match="no candles of 6h"):
            provider.fetch("ETH/BTC", "6h", since=None, limit=10, now=NOON)
        with pytest.raises(ProviderNotReady, match="does not trade X/Y"):
            provider.fetch("X/Y", "5m", since=None, limit=10, now=NOON)

    def test_refuses_an_unknown_exchange(self):
        pytest.importorskip("ccxt", reason=MISSING)
        from apps.market.providers.ccxt import CcxtProvider

        with pytest.raises(ProviderNotReady, match="no exchange 'nowhere'"):
            CcxtProvider("nowhere", Connection(), {})


class TestAlpaca:
    @pytest.mark.parametrize("hour", [4, 5])
    def test_brings_days_to_midnight_utc(self, venue, hour):
        venue.candles(datetime(2026, 2, 26, hour, tzinfo=UTC), 2, DAY)

        rows = fetched(Alpaca, venue.url, "1d")

        assert [row.timestamp for row in rows] == [
            datetime(2026, 2, 26, tzinfo=UTC),
            datetime(2026, 2, 27, tzinfo=UTC),
        ]

    def test_leaves_a_day_at_another_hour_as_it_is(self, venue):
        odd = datetime(2026, 2, 26, 6, tzinfo=UTC)
        venue.candles(odd, 1, DAY)

        assert fetched(Alpaca, venue.url, "1d")[0].timestamp == odd

    def test_sends_its_credentials(self, venue):
        fetched(Alpaca, venue.url)

        _, query, headers = venue.asked[-1]
        assert headers["APCA-API-KEY-ID"] == "key"
        assert headers["APCA-API-SECRET-KEY"] == "secret"
        assert query["timeframe"] == "5Min"

    def test_says_when_they_are_not_accepted(self, venue):
        venue.status, venue.answer = 403, b'{"message": "forbidden."}'

        with pytest.raises(ProviderNotReady, match="credentials"):
            fetched(Alpaca, venue.url)

    def test_needs_credentials(self):
        pytest.importorskip("alpaca", reason=MISSING)
        from apps.market.providers.alpaca import AlpacaProvider

        with pytest.raises(ProviderNotReady, match="key and a secret"):
            AlpacaProvider("", Connection(), {})


@pytest.mark.django_db
class TestReplay:
    @staticmethod
    def recorded(steps):
        rows = [
            CandleRow("BTC/USD", "old", "5m", NOON + step * STEP, *[Decimal(100 + step)] * 5)
            for step in steps
        ]
        store_candles(rows, now=NOON + 30 * DAY)
        return ReplayProvider("", Connection(), {"source": "old"})

    def closes(self, provider, now, **asked):
        asked = {"since": None, "limit": 100} | asked
        rows = provider.fetch("BTC/USD", "5m", now=now, **asked)
        assert rows == sorted(rows)
        return [(row.timestamp, int(row.close)) for row in rows]

    def test_plays_the_record_again_and_again(self):
        provider = self.recorded([0, 1, 2])
        much_later = NOON + 30 * STEP

        assert self.closes(provider, much_later + 2 * STEP, limit=4) == [
            (much_later - 2 * STEP, 101),
            (much_later - STEP, 102),
            (much_later, 100),
            (much_later + STEP, 101),
        ]

    def test_says_the_same_whenever_it_is_asked(self):
        provider = self.recorded([0, 1, 3, 7])
        now = NOON + 1000 * STEP + MINUTE

        earlier = dict(self.closes(provider, now, limit=50))
        later = dict(self.closes(provider, now + 20 * STEP, limit=50))

        assert {moment: later[moment] for moment in later if moment in earlier} == {
            moment: earlier[moment] for moment in earlier if moment in later
        }

    def test_keeps_gaps(self):
        provider = self.recorded([0, 3])

        found = self.closes(provider, NOON + 40 * STEP, limit=8)

        assert [close for _, close in found] == [100, 103, 100, 103]

    def test_brings_no_candle_that_has_not_ended(self):
        provider = self.recorded([0, 1, 2])
        now = NOON + 90 * STEP + 4 * MINUTE

        assert self.closes(provider, now)[-1][0] == NOON + 89 * STEP

    def test_goes_on_from_where_it_was(self):
        provider = self.recorded([0, 1, 2])
        now = NOON + 90 * STEP

        assert len(self.closes(provider, now, since=now - 2 * STEP)) == 2

    def test_needs_something_to_play(self):
        with pytest.raises(ProviderNotReady, match="source"):
            ReplayProvider("", Connection(), {})
        with pytest.raises(ProviderNotReady, match="Nothing is stored"):
            self.closes(ReplayProvider("", Connection(), {"source": "old"}), NOON)
        assert not Candle.objects.exists()


class TestConnect:
    def test_reads_credentials_from_the_settings(self, settings):
        settings.FEED_CONNECTIONS = {"DESK": {"key": "k", "secret": "s"}}
        pytest.importorskip("alpaca", reason=MISSING)

        provider = connect(Feed(provider=ProviderName.ALPACA, connection="DESK"))

        assert provider.client._api_key == "k"

    def test_says_which_variables_are_missing(self):
        with pytest.raises(ProviderNotReady, match="FEED_NONE_KEY"):
            connect(Feed(provider=ProviderName.REPLAY, connection="NONE"))

    def test_says_which_package_is_missing(self, monkeypatch):
        def absent(name):
            raise ModuleNotFoundError(f"No module named {name}", name="ccxt")

        monkeypatch.setattr("apps.market.providers.import_module", absent)

        with pytest.raises(ProviderNotReady, match="ccxt is not installed: pip install"):
            connect(Feed(provider=ProviderName.CCXT))

    def test_shows_no_secret(self):
        assert "hidden" not in repr(Connection("key", "hidden"))


class TestNoise:
    @pytest.mark.parametrize(
        "text", ["0.30000000000000004", "4.999999999999999", "1.1000000000000001"]
    )
    def test_is_seen(self, text):
        assert base.looks_like_noise(Decimal(text))

    @pytest.mark.parametrize(
        "text",
        ["0.3", "0.00006123", "67321.5", "0.1234567890123456", "100000", "0.000000000000000001"],
    )
    def test_is_not_seen_in_prices(self, text):
        assert not base.looks_like_noise(Decimal(text))
