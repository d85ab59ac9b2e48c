"""What an alert must be to be taken in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from apps.alerts.domain.validation import checked
from tests.alerts.rows import NOON, Sent, sent

AHEAD = timedelta(minutes=5)


def errors_of(row):
    return [(each.pointer, each.code) for each in checked(row, now=NOON, ahead=AHEAD)[1]]


def facts_of(row):
    facts, errors = checked(row, now=NOON, ahead=AHEAD)
    assert errors == []
    return facts


class TestAnAlert:
    def test_is_taken_as_it_is(self):
        row = sent(target_price=110, stop_loss=95, confidence="0.7", leverage=Decimal(10))

        facts = facts_of(row)

        assert facts.entry_price == 100
        assert facts.confidence == Decimal("0.7")
        assert (facts.direction, facts.priority) == ("long", "medium")

    @pytest.mark.parametrize(
        ("values", "pointer", "code"),
        [
            ({"target_price": 99}, "/target_price", "wrong_side"),
            ({"target_price": 100}, "/target_price", "wrong_side"),
            ({"stop_loss": 101}, "/stop_loss", "wrong_side"),
            ({"direction": "short", "target_price": 101}, "/target_price", "wrong_side"),
            ({"direction": "short", "stop_loss": 99}, "/stop_loss", "wrong_side"),
            (
                {"entry_price": None, "target_price": 95, "stop_loss": 99},
                "/stop_loss",
                "wrong_side",
            ),
            ({"entry_price": 0}, "/entry_price", "not_positive"),
            ({"target_price": -5}, "/target_price", "not_positive"),
            ({"stop_loss": "NaN"}, "/stop_loss", "not_a_number"),
            ({"entry_price": "1e20"}, "/entry_price", "too_large"),
            ({"entry_price": "0.1234567890123456789"}, "/entry_price", "too_many_digits"),
            ({"confidence": "1.01"}, "/confidence", "out_of_range"),
            ({"confidence": "-0.1"}, "/confidence", "out_of_range"),
            ({"confidence_pct": "100.1"}, "/confidence_pct", "out_of_range"),
            ({"confidence_pct": "70.1234567"}, "/confidence_pct", "too_many_digits"),
            ({"confidence": "0.7", "confidence_pct": 70}, "/confidence_pct", "conflicting"),
            ({"leverage": Decimal(0)}, "/leverage", "out_of_range"),
            ({"leverage": Decimal(1001)}, "/leverage", "out_of_range"),
            ({"leverage": Decimal("NaN")}, "/leverage", "not_a_number"),
            ({"timestamp": NOON + timedelta(minutes=6)}, "/timestamp", "in_future"),
            ({"timestamp": datetime(1989, 12, 31, tzinfo=UTC)}, "/timestamp", "too_early"),
            ({"symbol": ""}, "/symbol", "invalid"),
            ({"symbol": " BTC"}, "/symbol", "invalid"),
            ({"symbol": "B" * 51}, "/symbol", "too_long"),
            ({"alert_id": ""}, "/alert_id", "required"),
            ({"alert_type": " "}, "/alert_type", "required"),
            ({"timeframe": "eleven char"}, "/timeframe", "too_long"),
            ({"strategy": "a\x00b"}, "/strategy", "invalid"),
            ({"priority": "urgent"}, "/priority", "unknown_choice"),
            ({"direction": "up"}, "/direction", "unknown_choice"),
        ],
    )
    def test_is_refused_with_the_field_named(self, values, pointer, code):
        assert errors_of(sent(**values)) == [(pointer, code)]

    def test_names_everything_that_is_wrong(self):
        row = sent(target_price=99, stop_loss=101, confidence=2)

        assert {pointer for pointer, _ in errors_of(row)} == {
            "/target_price",
            "/stop_loss",
            "/confidence",
        }

    def test_may_stand_a_little_ahead_of_the_clock(self):
        assert errors_of(sent(timestamp=NOON + AHEAD)) == []

    def test_turns_a_percent_confidence_into_a_probability(self):
        assert facts_of(sent(confidence_pct="72.5")).confidence == Decimal("0.725")
        assert facts_of(sent(confidence_pct=100)).confidence == 1

    def test_may_have_a_target_and_stop_without_an_entry(self):
        row = sent(entry_price=None, target_price=110, stop_loss=95)

        assert facts_of(row).entry_price is None


class TestPricesInTheFreeData:
    @pytest.mark.parametrize("name", ["entry_price", "current_price", "price", "entry"])
    def test_give_the_entry(self, name):
        row = sent(entry_price=None, extra_data={name: Decimal("101.5")})

        assert facts_of(row).entry_price == Decimal("101.5")

    @pytest.mark.parametrize("name", ["target_price", "target", "take_profit"])
    def test_give_the_target(self, name):
        assert facts_of(sent(extra_data={name: "110"})).target_price == 110

    @pytest.mark.parametrize("name", ["stop_loss", "sl", "stop"])
    def test_give_the_stop(self, name):
        assert facts_of(sent(extra_data={name: 95})).stop_loss == 95

    def test_yield_to_the_field_itself(self):
        assert facts_of(sent(extra_data={"price": 50})).entry_price == 100

    def test_are_taken_in_the_order_of_exactness(self):
        row = sent(entry_price=None, extra_data={"entry": 3, "price": 2, "current_price": 1})

        assert facts_of(row).entry_price == 1

    @pytest.mark.parametrize("value", [None, True, "soon", [1], {}, "NaN", "Infinity"])
    def test_are_only_numbers(self, value):
        row = replace(Sent(), entry_price=None, extra_data={"price": value})

        assert facts_of(row).entry_price is None

    def test_are_refused_where_they_stand(self):
        assert errors_of(sent(entry_price=None, extra_data={"price": -1})) == [
            ("/extra_data/price", "not_positive")
        ]
        assert errors_of(sent(extra_data={"sl": 105})) == [("/stop_loss", "wrong_side")]
