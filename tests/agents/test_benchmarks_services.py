"""What holding would have brought, by the prices of the market."""

from datetime import timedelta
from decimal import Decimal

import pytest

from apps.agents.services.benchmarks import NO_COINS, Asked, returns_of
from tests.agents.league_rows import DAY, NOW, statements_of
from tests.factories import make_candle

pytestmark = pytest.mark.django_db

START = NOW - 5 * DAY
COINS = {"BTC": "BTC/USD", "ETH": "ETH/USD"}


def priced(symbol, moment, price):
    """Have a symbol cost so much at a moment."""
    values = dict.fromkeys(("open", "high", "low", "close"), Decimal(price))
    start = moment - timedelta(minutes=5)
    make_candle(symbol=symbol, granularity="5m", timestamp=start, **values)


def found(coins=COINS, held="", since=START):
    return returns_of({"asked": Asked(coins, held, since)}, now=NOW)["asked"]


@pytest.fixture
def bitcoin():
    priced("BTC/USD", START, 30_000)
    priced("BTC/USD", NOW, 40_000)


@pytest.fixture
def ether(bitcoin):
    priced("ETH/USD", START, 2_000)
    priced("ETH/USD", NOW, 1_000)


def test_holding_is_that_of_the_coin_named_or_of_the_first(ether):
    assert found().hold == Decimal("33.33333333")
    assert found(held="ETH").hold == -50
    assert found(held="SOL").hold == Decimal("33.33333333")


def test_equal_parts_bring_the_mean_of_what_each_coin_does(ether):
    assert found().equal == Decimal("-8.33333333")


def test_a_coin_without_a_price_at_the_start_leaves_a_reason(bitcoin):
    priced("ETH/USD", NOW, 1_000)

    asked = found()

    assert (asked.hold, asked.equal) == (Decimal("33.33333333"), None)
    assert asked.equal_reason == f"There is no price of ETH/USD at {START:%Y-%m-%d} 12:00 UTC."
    assert found(held="ETH").hold_reason == asked.equal_reason


def test_a_coin_without_a_price_since_leaves_a_reason(bitcoin):
    priced("ETH/USD", START, 2_000)

    assert found().equal_reason == ("There is no price of ETH/USD since then that is still good.")


def test_a_price_from_before_is_no_price_since(bitcoin):
    asked = found(since=NOW + timedelta(minutes=1))

    assert (asked.hold, asked.equal) == (None, None)


def test_without_coins_or_a_beginning_there_is_nothing(bitcoin):
    assert found(coins={}).hold_reason == NO_COINS
    assert found(since=None).equal_reason == "Nothing has begun."


def test_a_change_that_no_column_holds_leaves_a_reason():
    priced("BTC/USD", START, "0.000000000000000001")
    priced("BTC/USD", NOW, 40_000)

    assert found(coins={"BTC": "BTC/USD"}).hold_reason == (
        "The change has more digits than are kept."
    )


def test_many_are_answered_at_once(ether):
    asked = {number: Asked(COINS, "", START + number * timedelta(0)) for number in range(9)}

    assert statements_of(lambda: returns_of(asked, now=NOW)) == 2
