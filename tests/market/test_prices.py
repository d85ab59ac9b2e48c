"""What symbols cost now."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from apps.market.choices import Granularity
from apps.market.services.prices import newest_prices
from tests.factories import make_candle, make_instrument

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
FINE = NOON + 5 * MINUTE


def bar(start, price, **values):
    figures = dict.fromkeys(["open", "high", "low", "close"], Decimal(price))
    return make_candle(**{"granularity": Granularity.M1, "timestamp": start} | figures | values)


class TestNewestPrice:
    def test_is_the_close_that_became_known_last(self):
        bar(NOON, 1, source="b")
        bar(NOON - HOUR, 2, granularity="1h", source="b")
        bar(NOON - HOUR, 3, source="a")

        found = newest_prices(["BTC/USD", "ETH/USD", ""], now=FINE)

        assert found == {"BTC/USD": (1, NOON + MINUTE)}
        assert newest_prices(["BTC/USD"], now=NOON)["BTC/USD"] == (2, NOON)

    def test_is_of_the_finest_series_and_the_primary_source(self):
        bar(NOON - HOUR, 2, granularity="1h", source="a")
        bar(NOON - MINUTE, 1, source="b")
        bar(NOON - 2 * MINUTE, 7, source="c")

        assert newest_prices(["BTC/USD"], now=NOON)["BTC/USD"].price == 1
        make_instrument(symbol="BTC/USD", primary_source="c")
        assert newest_prices(["BTC/USD"], now=NOON)["BTC/USD"].price == 7

    def test_costs_one_statement(self, django_assert_num_queries):
        with django_assert_num_queries(1):
            newest_prices([f"C{number}/USD" for number in range(50)], now=NOON)
