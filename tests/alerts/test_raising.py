"""Taking alerts in."""

from dataclasses import replace
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.alerts.models import Alert, AlertPerformance
from apps.alerts.services import raise_alerts
from tests.alerts.rows import LATER, NOON, raised, sent

pytestmark = pytest.mark.django_db


class TestRaiseAlerts:
    def test_opens_a_performance_for_each(self):
        rows = [sent(), sent(symbol="ETH/BTC", direction="short")]

        outcome = raise_alerts(rows, now=LATER)

        assert (outcome.created, outcome.results) == (2, [])
        performances = AlertPerformance.objects.order_by("alert_id").values_list(
            "alert_id", "symbol", "status", "next_checkpoint_at"
        )
        assert list(performances) == sorted(
            (row.alert_id, row.symbol, "open", NOON) for row in rows
        )

    def test_stores_the_good_and_names_the_bad(self):
        rows = [sent(), sent(target_price=1), sent(), sent(priority="urgent")]

        outcome = raise_alerts(rows, now=LATER)

        assert (outcome.created, outcome.failed) == (2, 2)
        assert [(each.index, each.errors[0].pointer) for each in outcome.results] == [
            (1, "/target_price"),
            (3, "/priority"),
        ]
        assert Alert.objects.count() == AlertPerformance.objects.count() == 2

    def test_sent_again_changes_nothing(self):
        row = sent(extra_data={"price": Decimal("1.50"), "note": "ü"})
        raise_alerts([row], now=LATER)

        outcome = raise_alerts([row, sent()], now=LATER)

        assert (outcome.created, outcome.unchanged) == (1, 1)
        assert AlertPerformance.objects.count() == 2

    def test_with_other_content_is_refused_and_says_where(self):
        row = sent()
        raise_alerts([row], now=LATER)

        outcome = raise_alerts([replace(row, strategy="other")], now=LATER)

        assert outcome.failed == 1
        assert [each.pointer for each in outcome.results[0].errors] == ["/strategy"]
        assert Alert.objects.get().strategy == "breakout"

    def test_twice_in_one_batch_is_stored_once(self):
        row = sent()

        outcome = raise_alerts([row, row], now=LATER)

        assert (outcome.created, outcome.unchanged) == (1, 1)
        assert AlertPerformance.objects.count() == 1

    def test_costs_the_same_queries_for_one_and_for_many(self):
        with CaptureQueriesContext(connection) as for_one:
            raise_alerts([sent()], now=LATER)
        with CaptureQueriesContext(connection) as for_many:
            raise_alerts([sent() for _ in range(50)], now=LATER)

        assert len(for_many) == len(for_one)


class TestTheDatabase:
    @pytest.mark.parametrize(
        "values",
        [
            {"target_price": 99},
            {"stop_loss": 101},
            {"direction": "short", "target_price": 101},
            {"direction": "short", "stop_loss": 99},
            {"entry_price": None, "target_price": 95, "stop_loss": 99},
            {"entry_price": 0},
            {"confidence": Decimal("1.5")},
            {"leverage": 0},
            {"leverage": 1001},
            {"direction": "up"},
            {"priority": "urgent"},
            {"alert_id": ""},
        ],
    )
    def test_holds_the_rules_too(self, values):
        usual = {"alert_id": "x", "symbol": "BTC/USD", "timestamp": NOON, "entry_price": 100}

        with pytest.raises(IntegrityError), transaction.atomic():
            Alert.objects.create(**usual | values)

    @pytest.mark.parametrize("column", ["entry_price", "leverage", "confidence"])
    def test_holds_nan_out(self, column):
        raised()

        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE alerts SET {column} = 'NaN'")

    def test_gives_an_alert_one_performance(self):
        alert_id = raised()

        with pytest.raises(IntegrityError), transaction.atomic():
            AlertPerformance.objects.create(alert_id=alert_id, symbol="BTC/USD")
