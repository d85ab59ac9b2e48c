"""The price of one series at many moments at once."""

from datetime import UTC, datetime, timedelta

import pytest

from apps.market.services.closes import closes_at
from tests.factories import make_candle

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def closes(*moments, source="test"):
    found = closes_at("BTC/USD", source, "1h", moments)
    return [((moment - NOON) / HOUR, int(close)) for moment, close in found]


class TestClosesAt:
    def test_knows_a_candle_from_its_end_on(self):
        make_candle(granularity="1h", timestamp=NOON, price=100)

        just_before = NOON + HOUR - timedelta(microseconds=1)
        assert closes(just_before) == []
        assert closes(NOON + HOUR) == [(1, 100)]

    def test_takes_the_last_that_was_known_however_old(self):
        for hours, price in ((0, 100), (1, 110), (5, 150)):
            make_candle(granularity="1h", timestamp=NOON + hours * HOUR, price=price)

        assert closes(NOON + 4 * HOUR, NOON + 90 * HOUR, NOON) == [(4, 110), (90, 150)]

    def test_keeps_to_its_series(self):
        make_candle(granularity="1h", timestamp=NOON, price=100, source="other")

        assert closes(NOON + 2 * HOUR) == []
        assert closes(NOON + 2 * HOUR, source="other") == [(2, 100)]

    def test_of_no_moments_is_nothing(self):
        assert closes() == []
