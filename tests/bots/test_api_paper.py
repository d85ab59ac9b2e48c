"""Paper trading over HTTP."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.bots.models import PaperPerformance, PaperPortfolio, PaperTrade
from tests.bots.limit_rows import bar
from tests.client import ApiClient
from tests.factories import make_bot, make_key, make_paper_portfolio

pytestmark = pytest.mark.django_db

PORTFOLIOS = "/api/v1/bots/paper-portfolios/"
TRADES = "/api/v1/bots/paper-trades/"
PERFORMANCE = "/api/v1/bots/paper-performance/"
NOON = "2026-03-02T12:00:00Z"


def minutes_ago(minutes: int) -> datetime:
    return timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=minutes)


def opened(api: ApiClient, **values: Any) -> str:
    answer = api.post(PORTFOLIOS, {"name": "mine"} | values)
    assert answer.status_code == 201
    return f"{PORTFOLIOS}{answer.json()['id']}/"


def buy(**values: Any) -> dict[str, Any]:
    return {"id": "one", "side": "buy"} | (values or {"amount": "0.1"})


def pointers(answer: Any) -> list[str]:
    return [error["pointer"] for error in answer.json()["errors"]]


@pytest.fixture
def price() -> None:
    bar(minutes_ago(5), 50_000)


class TestPortfolios:
    def test_have_the_usual_shape(self, api):
        body = api.get(opened(api)).json()

        assert (body["symbol"], body["quote_balance"], body["asset_balance"]) == (
            "BTC/USD",
            "10000",
            "0",
        )
        assert (body["fee_rate"], body["slippage"], body["generation"]) == ("0", "0", 1)

    def test_again_answer_the_same(self, api):
        opened(api)

        assert api.post(PORTFOLIOS, {"name": "mine"}).status_code == 200
        answer = api.post(PORTFOLIOS, {"name": "mine", "fee_rate": "0.001"})
        assert (answer.status_code, pointers(answer)) == (409, ["/fee_rate"])

    @pytest.mark.parametrize(
        ("values", "pointer"),
        [
            ({"name": ""}, "/name"),
            ({"initial_balance": "0"}, "/initial_balance"),
            ({"initial_balance": "0.0000000000000000001"}, "/initial_balance"),
            ({"fee_rate": "1"}, "/fee_rate"),
            ({"slippage": "-0.1"}, "/slippage"),
            ({"bot_id": "nobody"}, "/bot_id"),
            ({"asset_balance": "5"}, "/asset_balance"),
        ],
    )
    def test_name_what_is_wrong(self, api, values, pointer):
        answer = api.post(PORTFOLIOS, {"name": "mine"} | values)

        assert (answer.status_code, pointers(answer)) == (400, [pointer])
        assert not PaperPortfolio.objects.exists()

    def test_change_their_costs_alone(self, api):
        at = opened(api)

        assert api.patch(at, {"fee_rate": "0.001"}).json()["fee_rate"] == "0.001"
        assert api.put(at, {"slippage": "0.01"}).json()["fee_rate"] == "0"
        assert pointers(api.patch(at, {"symbol": "ETH/USD"})) == ["/symbol"]
        assert api.put(f"{PORTFOLIOS}999999999/", {}).status_code == 404

    def test_are_reset(self, api, price):
        at = opened(api)
        api.post(f"{at}trades/", buy())

        answer = api.post(f"{at}reset/", {})

        body = answer.json()
        assert (answer.status_code, body["generation"], body["quote_balance"]) == (201, 2, "10000")
        assert f"{PORTFOLIOS}{body['predecessor_id']}/" == at
        assert api.get(at).json()["is_active"] is False
        assert api.post(f"{at}reset/", {}).json()["code"] == "portfolio_closed"
        assert api.post(f"{at}trades/", buy(id="two", amount="1")).status_code == 409
        assert api.patch(at, {"fee_rate": "0.1"}).status_code == 409
        found = api.post(PORTFOLIOS, {"name": "mine"})
        assert (found.status_code, found.json()["id"]) == (200, body["id"])

    def test_are_reset_once_under_one_key(self, api):
        at = opened(api)
        api.headers["Idempotency-Key"] = "the reset"

        first, again = (api.post(f"{at}reset/", {}) for _ in range(2))

        assert (first.status_code, again.status_code) == (201, 201)
        assert first.json() == again.json()
        assert PaperPortfolio.objects.count() == 2


class TestTrading:
    def test_answers_the_trade(self, api, price):
        at = opened(api, fee_rate="0.001")

        answer = api.post(f"{at}trades/", buy())

        assert answer.status_code == 201
        body = answer.json()
        assert (body["trade_type"], body["price"], body["market_price"]) == (
            "buy",
            "50000",
            "50000",
        )
        assert (body["amount"], body["value"], body["fee"], body["pnl"]) == (
            "0.1",
            "5000",
            "5",
            None,
        )
        assert api.get(at).json()["quote_balance"] == "4995"

    def test_again_answers_the_same_and_another_order_is_a_conflict(self, api, price):
        at = f"{opened(api)}trades/"
        first = api.post(at, buy())

        again, other = api.post(at, buy()), api.post(at, buy(amount="0.2"))

        assert (again.status_code, again.json()) == (200, first.json())
        assert (other.status_code, pointers(other)) == (409, ["/amount"])
        assert PaperTrade.objects.count() == 1

    @pytest.mark.parametrize(
        ("values", "status", "code"),
        [
            ({"amount": "1"}, 422, "insufficient_funds"),
            ({"side": "sell", "amount": "1"}, 422, "insufficient_asset"),
            ({"amount": "1", "value": "1"}, 400, "invalid"),
            ({"id": "one", "price": "1"}, 400, "invalid"),
            ({"amount": "0"}, 400, "invalid"),
            ({"amount": "-1"}, 400, "invalid"),
            ({"side": "hold", "amount": "1"}, 400, "invalid"),
        ],
    )
    def test_refuses_and_changes_nothing(self, api, price, values, status, code):
        at = opened(api)

        answer = api.post(f"{at}trades/", buy(**values))

        assert answer.status_code == status
        assert status == 400 or answer.json()["code"] == code
        assert api.get(at).json()["quote_balance"] == "10000"
        assert not PaperTrade.objects.exists()

    def test_needs_a_price(self, api):
        at = f"{opened(api)}trades/"

        assert api.post(at, buy()).json()["code"] == "no_price"
        bar(minutes_ago(2 * 24 * 60), 50_000)
        answer = api.post(at, buy())
        assert (answer.status_code, answer.json()["code"]) == (422, "stale_price")
        own = api.post(at, buy(amount="0.1", price="40000"))
        assert (own.status_code, own.json()["market_price"]) == (201, None)

    def test_of_no_portfolio_is_a_404(self, api):
        assert api.post(f"{PORTFOLIOS}999999999/trades/", buy()).status_code == 404
        assert api.post(TRADES, buy() | {"portfolio_id": 999999999}).status_code == 404

    def test_takes_many_and_names_the_bad_ones(self, api, price):
        number = int(opened(api).rstrip("/").rpartition("/")[2])
        rows = [
            buy(id="a", amount="0.1"),
            buy(id="b", amount="5"),
            buy(id="c"),
            buy(id="a", amount="0.1"),
            buy(id="d", side="sell", value="5000"),
        ]

        body = api.post(TRADES, [row | {"portfolio_id": number} for row in rows]).json()

        assert (body["created"], body["unchanged"], body["failed"]) == (2, 1, 2)
        codes = [
            (each["index"], each["errors"][0]["code"]) for each in body["results"] if each["errors"]
        ]
        assert codes == [(1, "insufficient_funds"), (2, "one_of_two")]
        assert PaperPortfolio.objects.get().asset_balance == 0

    def test_lists_by_portfolio(self, api, price):
        at = opened(api)
        api.post(f"{at}trades/", buy())
        opened(api, name="other")

        number = at.rstrip("/").rpartition("/")[2]
        [row] = api.get(f"{TRADES}?portfolio_id={number}&trade_type=buy").json()["results"]
        assert row == api.get(f"{TRADES}one/").json()
        assert api.get(f"{TRADES}?trade_type=sell").json()["results"] == []


class TestPerformance:
    def test_is_taken_in_beside_ours(self, api):
        portfolio = make_paper_portfolio()
        row = {"portfolio_id": portfolio.pk, "timestamp": NOON, "total_value": "10500"}

        first, again = api.post(PERFORMANCE, row), api.post(PERFORMANCE, row)

        assert (first.status_code, again.status_code) == (201, 200)
        assert (first.json()["origin"], first.json()["total_value"]) == ("reported", "10500")
        other = api.post(PERFORMANCE, row | {"total_value": "1"})
        assert (other.status_code, pointers(other)) == (409, ["/total_value"])

    def test_may_be_about_no_portfolio_of_ours(self, api):
        row = {"timestamp": NOON, "total_value": "10500"}

        assert [api.post(PERFORMANCE, row).status_code for _ in range(2)] == [201, 200]
        assert PaperPerformance.objects.get().portfolio is None

    @pytest.mark.parametrize(
        ("values", "pointer"),
        [
            ({"portfolio_id": 999999999}, "/portfolio_id"),
            ({"win_rate": "101"}, "/win_rate"),
            ({"sharpe_ratio": "NaN"}, "/sharpe_ratio"),
            ({"origin": "computed"}, "/origin"),
        ],
    )
    def test_names_what_is_wrong(self, api, values, pointer):
        answer = api.post(PERFORMANCE, {"timestamp": NOON, "total_value": "1"} | values)

        assert (answer.status_code, pointers(answer)) == (400, [pointer])

    def test_filters(self, api):
        portfolio = make_paper_portfolio()
        row = {"portfolio_id": portfolio.pk, "timestamp": NOON, "total_value": "10500"}
        api.post(PERFORMANCE, row)

        query = f"portfolio_id={portfolio.pk}&origin=reported&timestamp_after={NOON}"
        assert len(api.get(f"{PERFORMANCE}?{query}").json()["results"]) == 1
        assert api.get(f"{PERFORMANCE}?origin=computed").json()["results"] == []


class TestKeyOfOneBot:
    @pytest.fixture
    def own(self):
        make_bot(id="mine")
        make_bot(id="other")
        return ApiClient(make_key(bot="mine").text)

    def test_trades_its_own_portfolio(self, own, price):
        at = opened(own, bot_id="mine")

        assert own.post(f"{at}trades/", buy()).status_code == 201
        assert len(own.get(TRADES).json()["results"]) == 1

    def test_neither_sees_nor_touches_those_of_others(self, own, price):
        for values in ({"bot_id": "other"}, {}):
            theirs = make_paper_portfolio(**values)
            at = f"{PORTFOLIOS}{theirs.pk}/"
            report = {"portfolio_id": theirs.pk, "timestamp": NOON, "total_value": "1"}
            assert own.get(at).status_code == 404
            assert own.post(f"{at}trades/", buy()).status_code == 404
            assert own.post(f"{at}reset/", {}).status_code == 404
            assert own.patch(at, {"fee_rate": "0.1"}).status_code == 404
            order = buy() | {"portfolio_id": theirs.pk}
            assert own.post(TRADES, order).status_code == 404
            assert own.post(TRADES, [order]).json()["results"][0]["errors"][0]["code"] == (
                "unknown_portfolio"
            )
            assert own.post(PERFORMANCE, report).status_code == 400
        assert own.post(PERFORMANCE, {"timestamp": NOON, "total_value": "1"}).status_code == 403
        assert own.post(PORTFOLIOS, {"name": "x", "bot_id": "other"}).status_code == 403
        assert own.post(PORTFOLIOS, {"name": "x"}).status_code == 403
        assert own.get(PORTFOLIOS).json()["results"] == []
        assert not PaperTrade.objects.exists()
