"""Limits over HTTP."""

from typing import Any

import pytest

from apps.bots.models import TradingLimit
from apps.bots.services.firing import evaluate_limits
from tests.bots.limit_rows import MINUTE, NOON, bar, limit
from tests.client import ApiClient
from tests.factories import make_bot, make_key, make_position

pytestmark = pytest.mark.django_db

LIMITS = "/api/v1/bots/limits/"


def stop(**values: Any) -> dict[str, Any]:
    usual = {"id": "stop", "limit_type": "stop_loss", "type": "live", "symbol": "BTC/USD"}
    return usual | {"price": "45000"} | values


def loss(**values: Any) -> dict[str, Any]:
    usual = {"id": "loss", "limit_type": "max_daily_loss", "type": "live", "threshold": "100"}
    return usual | {"currency": "USD"} | values


def pointers(answer: Any) -> list[str]:
    return [error["pointer"] for error in answer.json()["errors"]]


def fired(api: ApiClient, **values: Any) -> None:
    limit(id="stop", **values)
    bar(NOON, 44_000)
    assert evaluate_limits(now=NOON + 10 * MINUTE) == 1


class TestSetting:
    def test_answers_the_limit_as_it_is_stored(self, api):
        bar(NOON, 50_000)

        answer = api.post(LIMITS, stop(action="stop"))

        assert answer.status_code == 201
        body = answer.json()
        assert (body["status"], body["price"], body["currency"]) == ("active", "45000", "USD")
        assert (body["reference_price"], body["direction"]) == ("50000", "long")

    def test_again_is_harmless_and_other_content_a_conflict(self, api):
        api.post(LIMITS, stop())

        assert api.post(LIMITS, stop()).status_code == 200
        answer = api.post(LIMITS, stop(price="1", notes="other"))
        assert answer.status_code == 409
        assert pointers(answer) == ["/price", "/notes"]

    def test_again_is_harmless_after_it_fired(self, api):
        api.post(LIMITS, stop())
        TradingLimit.objects.update(status="triggered", triggered_at=NOON)

        answer = api.post(LIMITS, stop())

        assert (answer.status_code, answer.json()["status"]) == (200, "triggered")

    def test_takes_from_bot_and_lot_what_is_left_out(self, api):
        bot = make_bot(type="paper", quote_currency="EUR")
        lot = make_position(lot_id="lot", bot=bot, type="paper", symbol="ETH/EUR")
        rows = [
            stop(type="", symbol="", lot_id=lot.pk),
            loss(type="", currency="", bot_id=bot.pk),
            loss(id="all", currency="", symbol="BTC/USDT"),
        ]

        assert api.post(LIMITS, rows).json()["created"] == 3

        found = TradingLimit.objects.in_bulk()
        of_lot = found["stop"]
        assert (of_lot.type, of_lot.symbol, of_lot.bot_id) == ("paper", "ETH/EUR", bot.pk)
        assert (of_lot.reference_price, of_lot.currency) == (40_000, "EUR")
        assert (found["loss"].type, found["loss"].currency) == ("paper", "EUR")
        assert found["all"].currency == "USDT"

    @pytest.mark.parametrize(
        ("row", "pointer"),
        [
            (stop(price=None), "/price"),
            (stop(price="0"), "/price"),
            (stop(threshold="5"), "/threshold"),
            (stop(symbol=""), "/symbol"),
            (stop(type=""), "/type"),
            (stop(type="demo"), "/type"),
            (stop(bot_id="nobody"), "/bot_id"),
            (stop(lot_id="none"), "/lot_id"),
            (stop(lot_id="lot", symbol="ETH/USD"), "/symbol"),
            (stop(lot_id="lot", type="paper"), "/type"),
            (stop(lot_id="lot", bot_id="bot"), "/bot_id"),
            (stop(lot_id="lot", direction="short"), "/direction"),
            (stop(id="a/b"), "/id"),
            (stop(id=""), "/id"),
            (loss(threshold=None), "/threshold"),
            (loss(threshold="-1"), "/threshold"),
            (loss(price="5"), "/price"),
            (loss(lot_id="lot"), "/lot_id"),
            (loss(currency=""), "/currency"),
            (loss(limit_type="max_loss"), "/limit_type"),
            (loss(limit_type="max_drawdown", threshold="101"), "/threshold"),
            (loss(limit_type="max_trades_per_hour", threshold="1.5"), "/threshold"),
            (loss(status="triggered"), "/status"),
        ],
    )
    def test_names_what_is_wrong_and_stores_nothing(self, api, row, pointer):
        make_position(lot_id="lot")
        make_bot(id="bot")

        answer = api.post(LIMITS, row)

        assert answer.status_code == 400
        assert pointer in pointers(answer)
        assert not TradingLimit.objects.exists()

    def test_of_many_keeps_the_good_ones(self, api, django_assert_max_num_queries):
        make_bot(id="bot")
        rows = [loss(id=f"limit {number}", bot_id="bot") for number in range(50)]
        rows[7]["bot_id"] = "nobody"

        with django_assert_max_num_queries(16):
            body = api.post(LIMITS, rows).json()

        assert (body["created"], body["failed"]) == (49, 1)
        assert body["results"][0]["index"] == 7


class TestChanging:
    def test_moves_an_active_one(self, api):
        api.post(LIMITS, stop())
        before = TradingLimit.objects.get().updated_at

        answer = api.patch(f"{LIMITS}stop/", {"price": "46000", "notes": "tighter"})

        assert (answer.status_code, answer.json()["price"]) == (200, "46000")
        assert TradingLimit.objects.get().updated_at > before
        assert api.put(f"{LIMITS}stop/", stop(price="47000")).json()["price"] == "47000"

    def test_sets_one_by_put(self, api):
        assert api.put(f"{LIMITS}stop/", stop()).status_code == 201
        assert api.put(f"{LIMITS}stop/", stop()).status_code == 200

    def test_leaves_what_it_is_about(self, api):
        api.post(LIMITS, stop())

        answer = api.put(f"{LIMITS}stop/", stop(symbol="ETH/USD", type="paper"))

        assert answer.status_code == 400
        assert pointers(answer) == ["/type", "/symbol"]

    def test_refuses_what_does_not_go_together(self, api):
        api.post(LIMITS, stop())

        assert pointers(api.patch(f"{LIMITS}stop/", {"threshold": "5"})) == ["/threshold"]

    @pytest.mark.parametrize("end", ["triggered", "cancelled"])
    def test_refuses_a_final_one(self, api, end):
        api.post(LIMITS, stop())
        moment = {"triggered_at": NOON} if end == "triggered" else {"cancelled_at": NOON}
        TradingLimit.objects.update(status=end, **moment)

        answer = api.patch(f"{LIMITS}stop/", {"price": "46000"})

        assert (answer.status_code, answer.json()["code"]) == (409, "limit_final")
        assert api.put(f"{LIMITS}stop/", stop()).status_code == 200


class TestCancelling:
    def test_ends_it_once(self, api):
        api.post(LIMITS, stop())

        first = api.post(f"{LIMITS}stop/cancel/", {})
        again = api.post_bytes(f"{LIMITS}stop/cancel/", b"")

        assert (first.status_code, again.status_code) == (200, 200)
        assert first.json() == again.json()
        assert first.json()["status"] == "cancelled"
        assert first.json()["cancelled_by"]

    def test_comes_too_late_for_one_that_fired(self, api):
        fired(api)

        answer = api.post(f"{LIMITS}stop/cancel/", {})

        assert (answer.status_code, answer.json()["code"]) == (409, "limit_final")

    def test_of_an_unknown_one_is_a_404(self, api):
        assert api.post(f"{LIMITS}none/cancel/", {}).status_code == 404


class TestArmingAgain:
    def test_answers_the_new_limit(self, api):
        fired(api)

        first = api.post(f"{LIMITS}stop/rearm/", {})
        again = api.post(f"{LIMITS}stop/rearm/", {})

        assert (first.status_code, again.status_code) == (201, 200)
        assert (first.json()["id"], first.json()["status"]) == ("stop~2", "active")
        assert again.json() == first.json()

    def test_is_refused_for_an_active_one(self, api):
        api.post(LIMITS, stop())

        assert api.post(f"{LIMITS}stop/rearm/", {}).json()["code"] == "limit_final"


class TestReading:
    def test_filters(self, api):
        fired(api)
        api.post(LIMITS, loss())

        def ids(query):
            return [row["id"] for row in api.get(f"{LIMITS}?{query}").json()["results"]]

        assert ids("status=triggered") == ["stop"]
        assert ids("limit_type=max_daily_loss,max_drawdown") == ["loss"]
        assert ids("usage_min=0.8") == ["stop"]
        body = api.get(f"{LIMITS}stop/").json()
        assert (body["trigger_price"], body["triggered_at"]) == ("44000", "2026-03-02T12:00:00Z")


class TestKeyOfOneBot:
    @pytest.fixture
    def own(self):
        make_bot(id="mine")
        make_bot(id="other")
        return ApiClient(make_key(bot="mine").text)

    def test_sets_limits_of_its_own_bot_alone(self, own):
        assert own.post(LIMITS, loss(bot_id="mine")).status_code == 201
        assert own.post(LIMITS, loss(id="x", bot_id="other")).status_code == 403
        assert own.post(LIMITS, loss(id="x")).status_code == 403
        lot = make_position(bot_id="other")
        answer = own.post(LIMITS, stop(bot_id="mine", lot_id=lot.pk))
        assert (answer.status_code, pointers(answer)) == (400, ["/bot_id"])

    def test_neither_sees_nor_touches_those_of_others(self, own):
        limit(id="stop", bot_id="other")

        assert own.get(LIMITS).json()["results"] == []
        for call in (
            own.get(f"{LIMITS}stop/"),
            own.post(f"{LIMITS}stop/cancel/", {}),
            own.post(f"{LIMITS}stop/rearm/", {}),
            own.patch(f"{LIMITS}stop/", {"price": "1"}),
        ):
            assert call.status_code == 404
        assert own.put(f"{LIMITS}stop/", stop(bot_id="mine")).status_code == 400
        held = TradingLimit.objects.get()
        assert (held.bot_id, held.status, held.price) == ("other", "active", 45_000)
