"""Fetching a stretch of the past."""

from datetime import timedelta

import pytest

from apps.market.choices import Granularity
from apps.market.models import Candle, Feed
from apps.market.providers.base import ProviderRubbish
from apps.market.services import feeds
from apps.market.services.history import fetch_history
from tests.factories import NOON, make_candle

pytestmark = pytest.mark.django_db
STEP = Granularity.M5.width


@pytest.fixture(autouse=True)
def pages_of_ten(monkeypatch):
    monkeypatch.setattr(feeds, "PAGE", 10)


def tape(bars):
    """Store a series that can be replayed: it ended at noon, and follows upon itself."""
    for number in range(bars):
        make_candle(source="tape", timestamp=NOON - (bars - number) * STEP, price=100 + number)


def fetch(bars, go_on=lambda so_far: True, **values):
    defaults = {"options": {"source": "tape"}, "source": "fetched", "symbol": "BTC/USD"}
    feed = Feed(provider="replay", granularity=Granularity.M5, **defaults | values)
    return fetch_history(feed=feed, start=NOON - bars * STEP, clock=lambda: NOON, go_on=go_on)


def fetched():
    return Candle.objects.filter(source="fetched").order_by("timestamp")


class TestFetchHistory:
    def test_fetches_page_by_page_until_now(self):
        tape(35)

        assert fetch(35) == 35
        assert [each.close for each in fetched()] == list(range(100, 135))

    def test_tells_how_many_came_and_stops_when_told_to(self):
        tape(35)
        told = []

        def enough(so_far):
            told.append(so_far)
            return so_far < 15

        assert fetch(35, enough) == told[-1]
        assert told[0] == 10
        assert 15 <= fetched().count() == told[-1] < 35

    def test_goes_on_where_it_was_stopped(self):
        tape(35)
        fetch(35, lambda so_far: False)
        last = fetched().last().timestamp

        fetch((NOON - last) // STEP)

        assert fetched().count() == 35

    def test_an_answer_that_may_not_be_believed_stores_nothing_of_its_page(self):
        for number in range(12):
            # The noise of binary fractions, on the second page.
            price = "0.30000000000000004" if number == 11 else "0.3"
            make_candle(source="dust", timestamp=NOON - (12 - number) * STEP, price=price)

        with pytest.raises(ProviderRubbish, match="noise"):
            fetch(12, options={"source": "dust"})
        assert fetched().count() == 10

    def test_is_at_its_end_where_the_venue_has_nothing_newer(self):
        tape(10)

        assert fetch(10) == 10
        assert fetched().last().timestamp == NOON - timedelta(minutes=5)
