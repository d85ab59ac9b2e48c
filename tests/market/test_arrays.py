"""Candles as arrays."""

from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest

from apps.market.choices import Granularity
from apps.market.services.arrays import load_arrays
from tests.factories import NOON, make_candle

pytestmark = pytest.mark.django_db
SERIES = {"symbol": "BTC/USD", "source": "test", "granularity": Granularity.M5}


def arrays(**bounds):
    return load_arrays(**SERIES, **{"start": NOON, "end": NOON + timedelta(hours=1)} | bounds)


def minute(number):
    return NOON + timedelta(minutes=number)


class TestLoadArrays:
    def test_gives_every_column_oldest_first(self):
        make_candle(timestamp=minute(5), open=Decimal("2.5"), high=3, low=2, close="2.25", volume=7)
        make_candle(timestamp=minute(0), price="0.00006123", volume="0.5")

        found = arrays()

        assert found.start.tolist() == [int(minute(0).timestamp()), int(minute(5).timestamp())]
        assert found.open.tolist() == [0.00006123, 2.5]
        assert found.high.tolist() == [0.00006123, 3.0]
        assert found.low.tolist() == [0.00006123, 2.0]
        assert found.close.tolist() == [0.00006123, 2.25]
        assert found.volume.tolist() == [0.5, 7.0]

    def test_takes_the_start_and_leaves_out_the_end(self):
        for number in (0, 5, 10):
            make_candle(timestamp=minute(number))

        found = arrays(start=minute(0), end=minute(10))

        assert len(found.start) == 2

    def test_knows_one_series_only(self):
        make_candle(timestamp=minute(0))
        for other in ({"symbol": "ETH/USD"}, {"source": "other"}, {"granularity": Granularity.H1}):
            make_candle(**{"timestamp": NOON} | other)

        assert len(arrays().start) == 1

    def test_is_empty_where_there_is_nothing(self):
        found = arrays()

        assert [column.size for column in found] == [0] * 6
        assert found.start.dtype == np.int64

    def test_gives_back_prices_of_fifteen_digits_exactly(self):
        price = Decimal("123456789.012345")
        make_candle(timestamp=minute(0), price=price)

        assert Decimal(repr(float(arrays().close[0]))) == price

    def test_may_be_written_to(self):
        make_candle(timestamp=minute(0))

        found = arrays()
        found.close[0] = 1.0

        assert found.close.dtype.isnative
