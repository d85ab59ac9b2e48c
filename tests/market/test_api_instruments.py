"""Things with a life through the API: created, replaced, changed in part; keys with slashes."""

from typing import Any
from urllib.parse import quote

import pytest

from apps.market.models import Feed, Instrument
from tests.factories import make_instrument

pytestmark = pytest.mark.django_db

INSTRUMENTS = "/api/v1/market/instruments/"
FEEDS = "/api/v1/market/feeds/"
PAIR = f"{INSTRUMENTS}ETH%2FBTC/"


class TestPost:
    def test_creates(self, api):
        answer = api.post(INSTRUMENTS, {"symbol": "ETH/BTC", "asset_class": "crypto"})

        assert answer.status_code == 201
        assert answer.json()["company_name"] == ""
        assert answer.json() == api.get(PAIR).json()

    def test_of_the_same_is_answered_with_what_is_stored(self, api):
        api.post(INSTRUMENTS, {"symbol": "ETH/BTC"})

        assert api.post(INSTRUMENTS, {"symbol": "ETH/BTC"}).status_code == 200

    def test_of_other_content_names_what_differs(self, api):
        api.post(INSTRUMENTS, {"symbol": "ETH/BTC"})

        answer = api.post(INSTRUMENTS, {"symbol": "ETH/BTC", "sector": "x", "active": False})

        assert answer.status_code == 409
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/sector", "/active"]
        assert Instrument.objects.get().active


class TestPut:
    def test_creates_what_is_not_there(self, api):
        answer = api.put(PAIR, {"exchange": "kraken"})

        assert answer.status_code == 201
        assert answer.json()["symbol"] == "ETH/BTC"

    def test_replaces_the_whole_row(self, api):
        make_instrument(symbol="ETH/BTC", sector="x", exchange="y")

        answer = api.put(PAIR, {"symbol": "ETH/BTC", "exchange": "kraken"})

        assert answer.status_code == 200
        assert (answer.json()["sector"], answer.json()["exchange"]) == ("", "kraken")

    def test_does_not_rename(self, api):
        answer = api.put(PAIR, {"symbol": "BTC/ETH"})

        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"] == "/symbol"
        assert not Instrument.objects.exists()

    def test_of_a_key_that_cannot_be_is_refused(self, api):
        assert api.put(f"{INSTRUMENTS}{'A' * 51}/", {}).status_code == 400
        assert api.put(f"{INSTRUMENTS}A%00/", {}).status_code == 400


class TestPatch:
    def test_changes_only_what_is_sent(self, api):
        make_instrument(symbol="ETH/BTC", sector="x", market_cap=7)

        answer = api.patch(PAIR, {"exchange": "kraken", "market_cap": None})

        assert answer.status_code == 200
        found = answer.json()
        assert (found["sector"], found["exchange"], found["market_cap"]) == ("x", "kraken", None)

    def test_touches_the_time_of_change(self, api):
        instrument = make_instrument(symbol="ETH/BTC")

        api.patch(PAIR, {"exchange": "kraken"})

        assert Instrument.objects.get().updated_at > instrument.updated_at

    def test_of_nothing_is_not_found(self, api):
        assert api.patch(PAIR, {"sector": "x"}).status_code == 404

    @pytest.mark.parametrize(
        ("changes", "pointer"),
        [
            ({"symbol": "A"}, "/symbol"),
            ({"sector": None}, "/sector"),
            ({"sector": "x" * 101}, "/sector"),
            ({"asset_class": "stone"}, "/asset_class"),
            ({"price_precision": 19}, "/price_precision"),
            ({"price_precision": 1.5}, "/price_precision"),
            ({"price_precision": True}, "/price_precision"),
            ({"market_cap": 2**63}, "/market_cap"),
            ({"active": 1}, "/active"),
            ({"created_at": "2026-01-01T00:00:00Z"}, "/created_at"),
        ],
    )
    def test_names_what_is_wrong(self, api, changes: dict[str, Any], pointer):
        make_instrument(symbol="ETH/BTC")

        answer = api.patch(PAIR, changes)

        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"] == pointer

    @pytest.mark.parametrize("body", [b"", b"[]", b"1", b"{", b'{"sector": "a", "sector": "b"}'])
    def test_refuses_what_is_no_object(self, api, body):
        make_instrument(symbol="ETH/BTC")

        assert api.send("PATCH", PAIR, body).status_code == 400


class TestAddress:
    @pytest.mark.parametrize("symbol", ["ETH/BTC", "BTC/USDT:USDT", "^GSPC", "BRK.B", "A B", "ä%"])
    def test_holds_any_symbol(self, api, symbol):
        api.post(INSTRUMENTS, {"symbol": symbol})

        assert api.get(f"{INSTRUMENTS}{quote(symbol, safe='')}/").json()["symbol"] == symbol

    def test_may_hold_a_plain_slash(self, api):
        make_instrument(symbol="ETH/BTC")

        assert api.get(f"{INSTRUMENTS}ETH/BTC/").status_code == 200


class TestFeeds:
    FEED = {"provider": "replay", "symbol": "ETH/BTC", "source": "demo", "granularity": "5m"}

    def test_are_known_by_their_series(self, api):
        first = api.post(FEEDS, self.FEED)

        assert first.status_code == 201
        assert api.post(FEEDS, self.FEED).json() == first.json()
        assert api.post(FEEDS, self.FEED | {"enabled": False}).status_code == 409

    def test_keep_their_health_when_they_are_replaced(self, api):
        number = api.post(FEEDS, self.FEED).json()["id"]
        Feed.objects.update(last_error="broken", consecutive_failures=3)

        answer = api.put(f"{FEEDS}{number}/", {"provider": "replay", "options": {"rate": 1.50}})

        assert answer.status_code == 200
        assert answer.json()["last_error"] == "broken"
        assert answer.json()["options"] == {"rate": 1.5}

    def test_are_not_made_under_a_number(self, api):
        assert api.put(f"{FEEDS}77/", self.FEED).status_code == 404

    def test_are_not_moved_to_another_series(self, api):
        number = api.post(FEEDS, self.FEED).json()["id"]

        assert api.patch(f"{FEEDS}{number}/", {"symbol": "A"}).status_code == 400


class TestTimeZone:
    def test_is_kept_with_the_instrument(self, api):
        answer = api.put(
            "/api/v1/market/instruments/SAP/", {"symbol": "SAP", "timezone": "Europe/Berlin"}
        )
        assert answer.status_code == 201
        assert answer.json()["timezone"] == "Europe/Berlin"

    def test_must_be_one(self, api):
        answer = api.put(
            "/api/v1/market/instruments/SAP/", {"symbol": "SAP", "timezone": "Mars/Base"}
        )
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"] == "/timezone"
        assert not Instrument.objects.exists()

    def test_that_is_unknown_stops_no_other_instrument(self, api):
        rows = [{"symbol": "A", "timezone": "Mars/Base"}, {"symbol": "B", "timezone": "Asia/Tokyo"}]
        answer = api.post("/api/v1/market/instruments/", rows)
        assert (answer.json()["created"], answer.json()["failed"]) == (1, 1)
        assert answer.json()["results"][0]["index"] == 0

    def test_follows_from_the_class_where_none_is_named(self):
        assert Instrument(asset_class="equity").zone == "America/New_York"
        assert Instrument(asset_class="crypto").zone == "UTC"
        assert Instrument(asset_class="equity", timezone="Asia/Tokyo").zone == "Asia/Tokyo"
