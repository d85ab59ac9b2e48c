"""Any sequence of reports over HTTP ends as plain fractions say, in whatever order it comes.

``BOTS_SEQUENCES`` sets how many sequences of thirty steps are tried.
"""

import os
import uuid
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    multiple,
    rule,
    run_state_machine_as_test,
)

from tests.bots.plain_model import PlainOrder, PlainTrade, text_of
from tests.client import ApiClient
from tests.factories import make_bot, make_key

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(1800)]

SEQUENCES = int(os.environ.get("BOTS_SEQUENCES", "5"))
STEPS = 30
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
BOTS = "/api/v1/bots/"

sizes = st.integers(1, 5000).map(lambda n: Fraction(n, 1000))
prices = st.integers(1, 9_000_000).map(lambda n: Fraction(n, 100))
rates = st.sampled_from([Fraction(0), Fraction(1, 1000), Fraction(7, 100_000)])
moments = st.integers(0, 600)
shares = st.sampled_from([Fraction(n, 4) for n in (1, 2, 3, 4, 5)])


def at(seconds: int) -> str:
    return (NOON + timedelta(seconds=seconds)).isoformat()


class Reports(RuleBasedStateMachine):
    """Bots report of trades and orders; some say things twice, late, or wrongly."""

    api: ApiClient
    bot: str

    trades = Bundle("trades")
    orders = Bundle("orders")

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, PlainTrade | PlainOrder] = {}

    # --- Trades ---------------------------------------------------------------------------

    @rule(
        target=trades,
        direction=st.sampled_from(["long", "short"]),
        size=sizes,
        price=prices,
        rate=rates,
    )
    def open_trade(self, direction: str, size: Fraction, price: Fraction, rate: Fraction) -> str:
        name = str(uuid.uuid4())
        row = {
            "id": name,
            "bot_id": self.bot,
            "symbol": "BTC/USD",
            "direction": direction,
            "size": text_of(size),
            "entry_price": text_of(price),
            "entry_time": at(0),
            "commission_rate": text_of(rate),
        }
        self.expect(self.api.post(f"{BOTS}trades/", row), 201)
        self.expect(self.api.post(f"{BOTS}trades/", row), 200)
        self.model[name] = PlainTrade(direction, size, price, rate)
        return name

    @rule(name=trades, share=shares, price=prices, moment=moments, twice=st.booleans())
    def exit_part(
        self, name: str, share: Fraction, price: Fraction, moment: int, twice: bool
    ) -> None:
        trade = self.model[name]
        assert isinstance(trade, PlainTrade)
        size = max(rounded_to_thousandths(trade.remaining * share), Fraction(1, 1000))
        part = str(uuid.uuid4())
        body = {
            "id": part,
            "size": text_of(size),
            "exit_price": text_of(price),
            "exit_time": at(moment),
        }
        answer = self.api.post(f"{BOTS}trades/{name}/exits/", body)
        if trade.status != "open":
            self.expect(answer, 409)
        elif size > trade.remaining:
            self.expect(answer, 422)
        else:
            self.expect(answer, 201)
            trade.book(size, price)
            trade.parts[part] = body
        if twice and part in trade.parts:
            self.expect(self.api.post(f"{BOTS}trades/{name}/exits/", body), 200)
        self.compare_trade(name)

    @rule(name=trades, other=st.booleans())
    def tell_a_part_again(self, name: str, other: bool) -> None:
        trade = self.model[name]
        assert isinstance(trade, PlainTrade)
        for part in list(trade.parts.values())[:1]:
            body = {**part, "exit_price": "123456.5"} if other else part
            same = body["exit_price"] == part["exit_price"]
            path = f"{BOTS}trades/{name}/exits/"
            self.expect(self.api.post(path, body), 200 if same else 409)
        self.compare_trade(name)

    @rule(name=trades, price=prices, moment=moments)
    def close_trade(self, name: str, price: Fraction, moment: int) -> None:
        trade = self.model[name]
        assert isinstance(trade, PlainTrade)
        body = {"exit_price": text_of(price), "exit_time": at(moment)}
        answer = self.api.post(f"{BOTS}trades/{name}/close/", body)
        if trade.status == "open":
            self.expect(answer, 200)
            trade.book(trade.remaining, price)
            trade.close = body
        elif trade.status == "cancelled":
            self.expect(answer, 409)
        else:
            last = trade.close or list(trade.parts.values())[-1]
            same = all(last[key] == body[key] for key in body)
            self.expect(answer, 200 if same else 409)
        if trade.close:
            self.expect(self.api.post(f"{BOTS}trades/{name}/close/", trade.close), 200)
        self.compare_trade(name)

    @rule(name=trades)
    def cancel_trade(self, name: str) -> None:
        trade = self.model[name]
        assert isinstance(trade, PlainTrade)
        answer = self.api.post(f"{BOTS}trades/{name}/cancel/", {"reason": "changed its mind"})
        if trade.status == "closed" or trade.parts:
            self.expect(answer, 409)
        else:
            self.expect(answer, 200)
            trade.status = "cancelled"
        self.compare_trade(name)

    @rule(name=trades)
    def exit_before_entry(self, name: str) -> None:
        body = {"exit_price": "1", "exit_time": at(-1)}
        answer = self.api.post(f"{BOTS}trades/{name}/close/", body)
        assert 400 <= answer.status_code < 500
        self.compare_trade(name)

    # --- Orders ---------------------------------------------------------------------------

    @rule(target=orders, quantity=sizes)
    def place_order(self, quantity: Fraction) -> str:
        name = f"order-{uuid.uuid4()}"
        row = {
            "order_id": name,
            "bot_id": self.bot,
            "symbol": "BTC/USD",
            "side": "buy",
            "quantity": text_of(quantity),
        }
        self.expect(self.api.post(f"{BOTS}orders/", row), 201)
        self.model[name] = PlainOrder(quantity)
        return name

    @rule(
        name=orders,
        share=shares,
        price=prices,
        moment=moments,
        again=st.sampled_from(["", "same", "other"]),
    )
    def fill(self, name: str, share: Fraction, price: Fraction, moment: int, again: str) -> None:
        order = self.model[name]
        assert isinstance(order, PlainOrder)
        left = order.quantity - order.filled
        quantity = max(rounded_to_thousandths(left * share), Fraction(1, 1000))
        row = {
            "order_id": name,
            "fill_id": f"fill-{uuid.uuid4()}",
            "quantity": text_of(quantity),
            "price": text_of(price),
            "timestamp": at(moment),
        }
        answer = self.api.post(f"{BOTS}fills/", row)
        if quantity > left:
            assert answer.status_code in (409, 422), answer.content
        else:
            self.expect(answer, 201)
            order.fills[row["fill_id"]] = (quantity, price, moment)
            if again == "same":
                self.expect(self.api.post(f"{BOTS}fills/", row), 200)
            elif again == "other":
                self.expect(self.api.post(f"{BOTS}fills/", {**row, "price": "0.007"}), 409)
        self.compare_order(name)

    @rule(
        name=orders,
        event=st.sampled_from(["accepted", "cancelled", "rejected", "expired"]),
        moment=moments,
        again=st.booleans(),
    )
    def report(self, name: str, event: str, moment: int, again: bool) -> None:
        order = self.model[name]
        assert isinstance(order, PlainOrder)
        body = {"event": event, "timestamp": at(moment)}
        for _ in range(1 + again):
            self.expect(self.api.post(f"{BOTS}orders/{name}/events/", body), 200)
        order.report(event, moment)
        self.compare_order(name)

    @rule(target=orders, name=consumes(orders))
    def forget_none(self, name: str) -> Any:
        """Say the order once more, as it was placed: nothing of it changes."""
        order = self.model[name]
        assert isinstance(order, PlainOrder)
        row = {
            "order_id": name,
            "bot_id": self.bot,
            "symbol": "BTC/USD",
            "side": "buy",
            "quantity": text_of(order.quantity),
        }
        self.expect(self.api.post(f"{BOTS}orders/", row), 200)
        self.compare_order(name)
        return multiple(name)

    # --- Comparison -----------------------------------------------------------------------

    def compare_trade(self, name: str) -> None:
        self.compare(f"{BOTS}trades/{name}/", self.model[name].shown())

    def compare_order(self, name: str) -> None:
        self.compare(f"{BOTS}orders/{name}/", self.model[name].shown())

    def compare(self, path: str, expected: dict[str, Any]) -> None:
        body = self.api.get(path).json()
        assert {key: body[key] for key in expected} == expected

    @staticmethod
    def expect(answer: Any, status: int) -> None:
        assert answer.status_code == status, answer.content


def rounded_to_thousandths(value: Fraction) -> Fraction:
    return Fraction(round(value * 1000), 1000)


def test_any_sequence_of_reports_ends_as_plain_fractions_say(settings):
    settings.API_RATES = dict.fromkeys(settings.API_RATES, "1000000/minute")
    Reports.bot = make_bot().id
    Reports.api = ApiClient(make_key(scopes=["bots:read", "bots:write"]).text)
    run_state_machine_as_test(
        Reports,
        settings=hypothesis.settings(
            max_examples=SEQUENCES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
