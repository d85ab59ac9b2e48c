"""Orders and their fills over HTTP."""

from typing import Any

import pytest

from apps.bots.models import Fill, Order
from tests.bots.orders import NOON, every_bit, fill, new_bot, order, placed
from tests.client import ApiClient
from tests.factories import make_key

pytestmark = pytest.mark.django_db

ORDERS = "/api/v1/bots/orders/"
FILLS = "/api/v1/bots/fills/"
AT = NOON.isoformat()


def order_row(**values: Any) -> dict[str, Any]:
    return {"order_id": "o1", "symbol": "BTC/USD", "side": "buy", "quantity": "1"} | values


def fill_row(**values: Any) -> dict[str, Any]:
    usual = {"order_id": "o1", "fill_id": "f1", "quantity": "0.5", "price": "100"}
    return usual | {"timestamp": AT} | values


def pointers(answer: Any) -> list[str]:
    return [error["pointer"] for error in answer.json()["errors"]]


def client_of(bot: Any) -> ApiClient:
    return ApiClient(make_key(bot=bot.pk).text)


class TestPlacing:
    def test_answers_the_order_as_it_is_stored(self, api):
        bot = new_bot()

        answer = api.post(ORDERS, order_row(bot_id=bot.pk, quantity=0.25, status="new"))

        body = answer.json()
        assert answer.status_code == 201
        assert (body["order_id"], body["bot_id"], body["trade_type"]) == ("o1", bot.pk, "paper")
        assert (body["status"], body["quantity"], body["filled_quantity"]) == (
            "accepted",
            "0.25",
            "0",
        )
        assert body["average_price"] is None
        assert body["late_events"] == 0

    def test_again_is_harmless_and_otherwise_a_conflict(self, api):
        api.post(ORDERS, order_row())
        fill("o1", "1")

        again = api.post(ORDERS, order_row())
        other = api.post(ORDERS, order_row(quantity="2"))

        assert (again.status_code, again.json()["status"]) == (200, "filled")
        assert (other.status_code, pointers(other)) == (409, ["/quantity"])

    @pytest.mark.parametrize(
        ("values", "pointer"),
        [
            ({"order_id": "a/b"}, "/order_id"),
            ({"order_id": "x" * 101}, "/order_id"),
            ({"symbol": ""}, "/symbol"),
            ({"side": "hold"}, "/side"),
            ({"quantity": "0"}, "/quantity"),
            ({"quantity": "-1"}, "/quantity"),
            ({"quantity": "NaN"}, "/quantity"),
            ({"quantity": "0.1234567890123456789"}, "/quantity"),
            ({"order_type": "magic"}, "/order_type"),
            ({"price": "0"}, "/price"),
            ({"status": "filled"}, "/status"),
            ({"status": "done_for_day"}, "/status"),
            ({"trade_type": "pretended"}, "/trade_type"),
            ({"bot_id": "nobody"}, "/bot_id"),
            ({"trade_id": "1"}, "/trade_id"),
            ({"trade_id": "00000000-0000-4000-8000-000000000000"}, "/trade_id"),
            ({"model_id": "none"}, "/model_id"),
            ({"prediction_id": "none"}, "/prediction_id"),
            ({"submitted_at": "2026-01-01T00:00:00"}, "/submitted_at"),
            ({"submitted_at": "2999-01-01T00:00:00Z"}, "/submitted_at"),
            ({"filled_quantity": "1"}, "/filled_quantity"),
        ],
    )
    def test_refuses_with_the_field_named(self, api, values, pointer):
        answer = api.post(ORDERS, order_row(**values))

        assert answer.status_code == 400
        assert answer["Content-Type"] == "application/problem+json"
        assert pointers(answer) == [pointer]
        assert not Order.objects.exists()


class TestDescribing:
    def test_changes_what_is_noted_and_nothing_else(self, api):
        api.post(ORDERS, order_row(extra_metadata={"grid": 0.1}))
        fill("o1", "0.5")

        patched = api.patch(f"{ORDERS}o1/", {"strategy": "grid"})
        moved = api.patch(f"{ORDERS}o1/", {"quantity": "2"})
        put = api.put(f"{ORDERS}o1/", order_row(strategy="dca"))

        assert patched.status_code == 200
        body = patched.json()
        assert (body["strategy"], body["status"]) == ("grid", "partially_filled")
        assert body["extra_metadata"] == {"grid": 0.1}
        assert (moved.status_code, pointers(moved)) == (409, ["/quantity"])
        assert (put.json()["strategy"], put.json()["extra_metadata"]) == ("dca", {})

    def test_moves_no_state(self, api):
        placed(order_id="o1")

        for answer in (
            api.patch(f"{ORDERS}o1/", {"status": "filled"}),
            api.put(f"{ORDERS}o1/", order_row(status="cancelled")),
        ):
            assert (answer.status_code, pointers(answer)) == (400, ["/status"])

    def test_places_by_put(self, api):
        assert api.put(f"{ORDERS}o1/", order_row()).status_code == 201


class TestEvents:
    def test_move_the_order(self, api):
        placed(order_id="o1")
        body = {"event": "canceled", "timestamp": AT, "reason": "by hand"}

        first = api.post(f"{ORDERS}o1/events/", body)
        before = every_bit("orders")
        again = api.post(f"{ORDERS}o1/events/", body)

        assert first.status_code == again.status_code == 200
        assert first.json() == again.json()
        assert (first.json()["status"], first.json()["reason"]) == ("cancelled", "by hand")
        assert every_bit("orders") == before

    def test_happen_now_unless_told(self, api):
        placed(order_id="o1")

        body = api.post(f"{ORDERS}o1/events/", {"event": "accepted"}).json()

        assert body["status"] == "accepted"
        assert body["accepted_at"] > AT

    @pytest.mark.parametrize(
        ("values", "pointer"),
        [
            ({"event": "filled"}, "/event"),
            ({"event": "pending"}, "/event"),
            ({"timestamp": "2999-01-01T00:00:00Z"}, "/timestamp"),
            ({"timestamp": "2026-01-01T00:00:00"}, "/timestamp"),
            ({"reason": "x" * 501}, "/reason"),
            ({"quantity": "1"}, "/quantity"),
        ],
    )
    def test_are_refused_with_the_field_named(self, api, values, pointer):
        placed(order_id="o1")
        before = every_bit("orders")

        answer = api.post(f"{ORDERS}o1/events/", {"event": "cancelled"} | values)

        assert answer.status_code in (400, 422)
        assert pointers(answer) == [pointer]
        assert every_bit("orders") == before

    def test_of_no_order_are_not_found(self, api):
        answer = api.post(f"{ORDERS}none/events/", {"event": "cancelled"})

        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_order")


class TestFilling:
    def test_answers_the_fill_and_moves_the_order(self, api):
        placed(order_id="o1")

        answer = api.post(FILLS, fill_row(commission="0.01", commission_currency="BNB"))

        body = answer.json()
        assert answer.status_code == 201
        assert (body["symbol"], body["commission_currency"]) == ("BTC/USD", "BNB")
        shown = api.get(f"{ORDERS}o1/").json()
        assert (shown["status"], shown["filled_quantity"]) == ("partially_filled", "0.5")
        assert shown["average_price"] == "100"

    def test_again_is_harmless_and_otherwise_a_conflict(self, api):
        placed(order_id="o1")
        api.post(FILLS, fill_row())

        assert api.post(FILLS, fill_row()).status_code == 200
        other = api.post(FILLS, fill_row(price="7"))
        assert (other.status_code, pointers(other)) == (409, ["/price"])

    def test_of_too_much_is_refused_by_that_name(self, api):
        placed(order_id="o1")
        before = every_bit("orders", "fills")

        answer = api.post(FILLS, fill_row(quantity="1.1"))

        assert (answer.status_code, answer.json()["code"]) == (422, "over_fill")
        assert pointers(answer) == ["/quantity"]
        assert every_bit("orders", "fills") == before

    def test_of_an_unknown_order_says_so(self, api):
        answer = api.post(FILLS, fill_row())

        assert (answer.status_code, pointers(answer)) == (400, ["/order_id"])
        assert not Fill.objects.exists()

    def test_of_many_stores_the_good_and_names_the_bad(self, api):
        placed(order_id="o1")
        placed(order_id="o2")
        rows = [
            fill_row(quantity="0.9"),
            fill_row(fill_id="f2"),
            fill_row(order_id="o2", quantity="1"),
            fill_row(order_id="o3"),
            fill_row(fill_id="f3", quantity="x"),
        ]

        answer = api.post(FILLS, rows)

        body = answer.json()
        assert answer.status_code == 200
        assert (body["created"], body["failed"]) == (2, 3)
        assert [(each["index"], each["errors"][0]["code"]) for each in body["results"]] == [
            (1, "over_fill"),
            (3, "unknown_order"),
            (4, "not_a_number"),
        ]
        assert order("o2").status == "filled"

    def test_of_many_may_be_all_or_none(self, api):
        placed(order_id="o1")
        rows = [fill_row(), fill_row(fill_id="f2", quantity="0.6")]

        answer = api.post(f"{FILLS}?atomic=1", rows)

        assert answer.status_code == 400
        assert not Fill.objects.exists()
        assert order("o1").filled_quantity == 0

    @pytest.mark.parametrize(
        ("values", "pointer"),
        [
            ({"quantity": "0"}, "/quantity"),
            ({"price": "-1"}, "/price"),
            ({"symbol": "ETH/USD"}, "/symbol"),
            ({"side": "sell"}, "/side"),
            ({"liquidity": "both"}, "/liquidity"),
            ({"fill_id": ""}, "/fill_id"),
            ({"timestamp": "2999-01-01T00:00:00Z"}, "/timestamp"),
            ({"commission": "NaN"}, "/commission"),
        ],
    )
    def test_refuses_with_the_field_named(self, api, values, pointer):
        placed(order_id="o1")

        answer = api.post(FILLS, fill_row(**values))

        assert (answer.status_code, pointers(answer)) == (400, [pointer])
        assert not Fill.objects.exists()


class TestLists:
    def test_are_narrowed_by_what_they_show(self, api):
        bot = new_bot()
        placed(order_id="o1", bot_id=bot.pk)
        placed(order_id="o2", side="sell")
        fill("o1", "1", fill_id="f1")
        fill("o2", "0.5", fill_id="f2", liquidity="maker")

        def found(path, name):
            return [row[name] for row in api.get(path).json()["results"]]

        assert found(f"{ORDERS}?status=filled", "order_id") == ["o1"]
        assert found(f"{ORDERS}?bot_id={bot.pk}&side=buy", "order_id") == ["o1"]
        assert found(f"{ORDERS}?side=sell,buy", "order_id") == ["o2", "o1"]
        assert found(f"{FILLS}?order.bot_id={bot.pk}", "fill_id") == ["f1"]
        assert found(f"{FILLS}?liquidity=maker", "fill_id") == ["f2"]
        assert found(f"{FILLS}?order_id=o1,o2&timestamp_after=2999-01-01T00:00:00Z", "id") == []


class TestKeyOfOneBot:
    def test_reads_nothing_of_others(self):
        mine, other = new_bot(), new_bot()
        placed(order_id="mine", bot_id=mine.pk)
        placed(order_id="other", bot_id=other.pk)
        placed(order_id="nobody's")
        fill("mine", "1", fill_id="m")
        fill("other", "1", fill_id="o")
        api = client_of(mine)

        assert [row["order_id"] for row in api.get(ORDERS).json()["results"]] == ["mine"]
        assert [row["fill_id"] for row in api.get(FILLS).json()["results"]] == ["m"]
        assert api.get(f"{ORDERS}other/").status_code == 404
        assert api.get(f"{ORDERS}?bot_id={other.pk}").status_code == 403

    def test_writes_nothing_of_others(self):
        mine, other = new_bot(), new_bot()
        placed(order_id="o1", bot_id=other.pk)
        api = client_of(mine)
        before = every_bit("orders", "fills")

        assert api.post(ORDERS, order_row(order_id="o2", bot_id=other.pk)).status_code == 403
        assert api.post(ORDERS, [order_row(order_id="o2")]).status_code == 403
        assert api.put(f"{ORDERS}o1/", order_row(bot_id=mine.pk)).status_code == 404
        assert api.patch(f"{ORDERS}o1/", {"strategy": "mine"}).status_code == 404
        assert api.post(f"{ORDERS}o1/events/", {"event": "cancelled"}).status_code == 404
        answer = api.post(FILLS, fill_row())
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "unknown_order")
        assert pointers(api.post(ORDERS, order_row(bot_id=mine.pk, quantity="7"))) == ["/bot_id"]
        assert every_bit("orders", "fills") == before

    def test_places_and_fills_its_own(self):
        mine = new_bot()
        api = client_of(mine)

        assert api.post(ORDERS, order_row(bot_id=mine.pk)).status_code == 201
        assert api.post(FILLS, fill_row()).status_code == 201
        assert api.post(f"{ORDERS}o1/events/", {"event": "cancelled"}).status_code == 200
        assert api.patch(f"{ORDERS}o1/", {"strategy": "mine"}).status_code == 200


def test_the_documentation_knows_the_words_of_outside_systems(api_document):
    event = api_document["components"]["schemas"]["OrderEventRow"]["properties"]["event"]

    assert {"accepted", "cancelled", "rejected", "expired", "canceled"} <= set(event["enum"])
    assert "filled" not in event["enum"]
