"""What happens in trading is recorded when it has really happened."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import connection, transaction

from apps.logs.models import TradingEvent
from apps.logs.services import events
from apps.logs.services.events import record_trading_event, record_trading_events
from apps.logs.writer import Writer
from apps.shared.correlation import correlation_id

pytestmark = pytest.mark.django_db(transaction=True)
MOMENT = datetime(2026, 11, 3, 12, tzinfo=UTC)


@pytest.fixture
def writer(monkeypatch):
    writer = Writer(enabled=True)
    monkeypatch.setattr(events, "writer", writer)
    yield writer
    assert writer.close(30)


class TestRecordTradingEvent:
    def test_stores_the_event(self, writer):
        token = correlation_id.set("cause-1")
        try:
            record_trading_event(
                event_type="order_filled",
                symbol="BTC/USD",
                side="buy",
                quantity=Decimal("0.123456789012345678"),
                price="64000.5",
                order_id="o-1",
                strategy="grid",
                timestamp=MOMENT,
                venue="kraken",
            )
        finally:
            correlation_id.reset(token)

        assert writer.flush(30)
        event = TradingEvent.objects.get()
        assert (event.event_type, event.symbol, event.side) == ("order_filled", "BTC/USD", "buy")
        assert event.quantity == Decimal("0.123456789012345678")
        assert (event.price, event.order_id) == (Decimal("64000.5"), "o-1")
        assert (event.strategy, event.timestamp) == ("grid", MOMENT)
        assert (event.correlation_id, event.metadata) == ("cause-1", {"venue": "kraken"})

    def test_waits_for_the_commit(self, writer):
        with transaction.atomic():
            record_trading_event(event_type="order_filled")
            assert writer.flush(30)
            assert not TradingEvent.objects.exists()

        assert writer.flush(30)
        assert TradingEvent.objects.count() == 1

    def test_is_taken_back_with_the_transaction(self, writer):
        with transaction.atomic():
            record_trading_event(event_type="order_filled")
            transaction.set_rollback(True)

        assert writer.flush(30)
        assert not TradingEvent.objects.exists()

    def test_does_not_touch_the_database_itself(self, writer, django_db_blocker):
        connection.close()
        with django_db_blocker.block():
            record_trading_event(event_type="order_filled")

        assert connection.connection is None
        assert writer.flush(30)
        assert TradingEvent.objects.count() == 1

    @pytest.mark.parametrize(
        "price", ["much", "NaN", "Infinity", "1e30", "0.1234567890123456789", [], object]
    )
    def test_keeps_a_price_that_is_none_as_it_was_given(self, writer, price):
        record_trading_event(event_type="order_filled", price=price)

        assert writer.flush(30)
        event = TradingEvent.objects.get()
        assert (event.price, event.metadata) == (None, {"price": str(price)})

    def test_keeps_a_time_without_a_zone_as_it_was_given(self, writer):
        record_trading_event(event_type="x", timestamp=MOMENT.replace(tzinfo=None))

        assert writer.flush(30)
        event = TradingEvent.objects.get()
        assert event.metadata == {"timestamp": "2026-11-03 12:00:00"}
        assert event.timestamp.year >= 2026

    def test_never_raises(self, writer):
        record_trading_events([None])

        assert writer.flush(30)
        assert not TradingEvent.objects.exists()


class TestRecordTradingEvents:
    def test_hands_all_over_at_once(self, writer, monkeypatch):
        calls = []
        monkeypatch.setattr(writer, "put", lambda *given: calls.append(given))

        record_trading_events([{"event_type": "signal", "symbol": name} for name in ("A", "B")])

        ((model, rows),) = calls
        assert model is TradingEvent
        assert [row["symbol"] for row in rows] == ["A", "B"]
