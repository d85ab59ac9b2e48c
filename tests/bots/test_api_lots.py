"""Lots and their bookings over HTTP."""

from decimal import Decimal
from typing import Any

import pytest

from apps.bots.models import LotTrade, Position
from tests.bots.orders import MINUTE, NOON, book, buy, every_bit, new_bot, sell
from tests.client import ApiClient
from tests.factories import make_key

pytestmark = pytest.mark.django_db

LOTS = "/api/v1/bots/positions/"
BOOKINGS = "/api/v1/bots/lot-trades/"


def row(**values: Any) -> dict[str, Any]:
    usual = {"id": "b1", "symbol": "BTC/USD", "trade_type": "buy", "price": "100", "size": "1"}
    return usual | {"timestamp": NOON.isoformat()} | values


def sale(**values: Any) -> dict[str, Any]:
    return row(**{"id": "s1", "trade_type": "sell"} | values)


def pointers(answer: Any) -> list[str]:
    return [error["pointer"] for error in answer.json()["errors"]]


def client_of(bot: Any) -> ApiClient:
    return ApiClient(make_key(bot=bot.pk).text)


class TestBooking:
    def test_a_buy_answers_the_row_and_makes_a_lot(self, api):
        answer = api.post(BOOKINGS, row(fee="0.1"))

        body = answer.json()
        assert answer.status_code == 201
        assert (body["id"], body["booking"], body["lot_id"]) == ("b1", "b1", "b1")
        assert (body["type"], body["pnl"], body["status"]) == ("live", None, "executed")
        found = api.get(f"{LOTS}b1/").json()
        assert (found["total_size"], found["available_size"]) == ("1", "1")
        assert (found["avg_buy_price"], found["fees"], found["closed_at"]) == ("100", "0.1", None)

    def test_a_sale_from_several_lots_is_answered_whole(self, api):
        book(buy("1", "90", id="a"), buy("1", "95", id="b", timestamp=NOON + MINUTE))

        first = api.post(BOOKINGS, sale(size="1.5", fee="0.3", price="110"))
        again = api.post(BOOKINGS, sale(size="1.5", fee="0.3", price="110"))

        body = first.json()
        assert (first.status_code, again.status_code) == (201, 200)
        assert body == again.json()
        assert (body["id"], body["lot_id"], body["avg_buy_price"]) == ("s1", None, None)
        assert (body["size"], body["fee"], body["pnl"]) == ("1.5", "0.3", "27.5")
        assert [(each["id"], each["lot_id"], each["pnl"]) for each in body["parts"]] == [
            ("s1/1", "a", "20"),
            ("s1/2", "b", "7.5"),
        ]
        assert api.get(f"{BOOKINGS}s1/2/").json() == body["parts"][1]

    def test_again_is_harmless_and_otherwise_a_conflict(self, api):
        api.post(BOOKINGS, row())

        other = api.post(BOOKINGS, row(size="2", price="7"))

        assert api.post(BOOKINGS, row()).status_code == 200
        assert (other.status_code, pointers(other)) == (409, ["/price", "/size"])

    def test_of_more_than_is_there_says_what_is(self, api):
        api.post(BOOKINGS, row())
        before = every_bit("positions", "lot_trades")

        for values in ({}, {"lot_id": "b1"}):
            answer = api.post(BOOKINGS, sale(size="1.5", **values))
            assert (answer.status_code, answer.json()["code"]) == (422, "insufficient_lot")
            assert "1.5 is more than the 1 available" in answer.json()["detail"]
            assert pointers(answer) == ["/size"]
        assert every_bit("positions", "lot_trades") == before

    def test_into_a_closed_lot_is_refused_by_that_name(self, api):
        book(buy("1", lot_id="core"), sell("1", lot_id="core"))

        answer = api.post(BOOKINGS, row(lot_id="core"))

        assert (answer.status_code, answer.json()["code"]) == (422, "lot_closed")

    def test_of_many_stores_the_good_and_names_the_bad(self, api):
        rows = [row(), sale(size="2"), sale(id="s2", size="0.5"), row(id="b2", trade_type="hold")]

        body = api.post(BOOKINGS, rows).json()

        assert (body["created"], body["failed"]) == (2, 2)
        assert [(each["index"], each["errors"][0]["code"]) for each in body["results"]] == [
            (1, "insufficient_lot"),
            (3, "not_booked"),
        ]

    def test_of_many_may_be_all_or_none(self, api):
        answer = api.post(f"{BOOKINGS}?atomic=1", [row(), sale(size="2")])

        assert answer.status_code == 400
        assert not Position.objects.exists()
        assert not LotTrade.objects.exists()

    @pytest.mark.parametrize(
        ("values", "pointer"),
        [
            ({"id": "a/1"}, "/id"),
            ({"id": ""}, "/id"),
            ({"trade_type": "hold"}, "/trade_type"),
            ({"trade_type": "short"}, "/trade_type"),
            ({"price": "0"}, "/price"),
            ({"size": "0"}, "/size"),
            ({"size": "-1"}, "/size"),
            ({"fee": "NaN"}, "/fee"),
            ({"lot_id": "a/b"}, "/lot_id"),
            ({"bot_id": "nobody"}, "/bot_id"),
            ({"type": "pretended"}, "/type"),
            ({"timestamp": "2999-01-01T00:00:00Z"}, "/timestamp"),
            ({"timestamp": "2026-01-01T00:00:00"}, "/timestamp"),
            ({"pnl": "1"}, "/pnl"),
        ],
    )
    def test_refuses_with_the_field_named(self, api, values, pointer):
        answer = api.post(BOOKINGS, row(**values))

        assert (answer.status_code, pointers(answer)) == (400, [pointer])
        assert not Position.objects.exists()


class TestReserving:
    def test_sets_what_is_reserved_in_all(self, api):
        api.post(BOOKINGS, row(size="2"))

        first = api.post(f"{LOTS}b1/reservation/", {"size": "1.5"})
        again = api.post(f"{LOTS}b1/reservation/", {"size": "1.5"})

        assert first.status_code == again.status_code == 200
        assert first.json() == again.json()
        assert (first.json()["total_size"], first.json()["available_size"]) == ("2", "0.5")
        assert api.post(f"{LOTS}b1/reservation/", {"size": 0}).json()["available_size"] == "2"

    def test_of_more_than_there_is_is_refused(self, api):
        api.post(BOOKINGS, row(size="2"))

        answer = api.post(f"{LOTS}b1/reservation/", {"size": "3"})

        assert (answer.status_code, answer.json()["code"]) == (422, "over_reserved")
        assert pointers(answer) == ["/size"]

    @pytest.mark.parametrize("body", [{}, {"size": "-1"}, {"size": "1", "more": 1}, []])
    def test_of_what_is_no_size_is_bad_input(self, api, body):
        api.post(BOOKINGS, row())

        assert api.post(f"{LOTS}b1/reservation/", body).status_code == 400

    def test_of_no_lot_is_not_found(self, api):
        answer = api.post(f"{LOTS}none/reservation/", {"size": "1"})

        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_lot")


class TestLists:
    def test_are_narrowed_by_what_they_show(self, api):
        bot = new_bot()
        book(buy("1", id="a", bot_id=bot.pk), buy("1", id="b"), sell("1", id="s", lot_id="b"))

        def found(path, name):
            return [each[name] for each in api.get(path).json()["results"]]

        assert found(f"{LOTS}?open=true", "lot_id") == ["a"]
        assert found(f"{LOTS}?open=false", "lot_id") == ["b"]
        assert found(f"{LOTS}?bot_id={bot.pk}&type=paper", "lot_id") == ["a"]
        assert found(f"{BOOKINGS}?lot_id=b&trade_type=sell", "id") == ["s"]

    def test_lots_are_moved_by_bookings_alone(self, api):
        assert api.post(LOTS, {"lot_id": "a"}).status_code == 405
        assert api.put(f"{LOTS}a/", {"total_size": "1"}).status_code == 405


class TestKeyOfOneBot:
    def test_reads_nothing_of_others(self):
        mine, other = new_bot(), new_bot()
        book(buy("1", id="m", bot_id=mine.pk), buy("1", id="o", bot_id=other.pk), buy("1", id="n"))
        api = client_of(mine)

        assert [each["lot_id"] for each in api.get(LOTS).json()["results"]] == ["m"]
        assert [each["id"] for each in api.get(BOOKINGS).json()["results"]] == ["m"]
        assert api.get(f"{LOTS}o/").status_code == 404
        assert api.get(f"{BOOKINGS}o/").status_code == 404

    def test_writes_nothing_of_others(self):
        mine, other = new_bot(), new_bot()
        book(buy("1", id="o", bot_id=other.pk), buy("1", id="n"))
        api = client_of(mine)
        before = every_bit("positions", "lot_trades")

        assert api.post(BOOKINGS, row(bot_id=other.pk)).status_code == 403
        assert api.post(BOOKINGS, row()).status_code == 403
        for lot_id in ("o", "n"):
            answer = api.post(BOOKINGS, sale(bot_id=mine.pk, lot_id=lot_id))
            assert (answer.status_code, pointers(answer)) == (400, ["/lot_id"])
        assert api.post(BOOKINGS, sale(bot_id=mine.pk)).status_code == 422
        assert pointers(api.post(BOOKINGS, row(id="o", bot_id=mine.pk))) == ["/bot_id"]
        assert api.post(f"{LOTS}o/reservation/", {"size": "1"}).status_code == 404
        assert every_bit("positions", "lot_trades") == before

    def test_books_its_own(self):
        mine = new_bot()
        api = client_of(mine)

        assert api.post(BOOKINGS, row(bot_id=mine.pk)).status_code == 201
        assert api.post(BOOKINGS, sale(bot_id=mine.pk, size="0.4")).status_code == 201
        assert api.post(f"{LOTS}b1/reservation/", {"size": "0.6"}).status_code == 200
        assert Position.objects.get().available_size == Decimal(0)
