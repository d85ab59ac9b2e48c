"""What trades come to and what they must hold, as pure rules."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from apps.bots.choices import TradeStatus
from apps.bots.domain import trades
from apps.bots.domain.trades import (
    FINAL,
    WAYS,
    MoreThanRemaining,
    faults,
    remaining_after,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class TestWhatIsLeft:
    def test_is_less_by_what_was_closed(self):
        assert remaining_after(Decimal(3), Decimal("0.5")) == Decimal("2.5")

    def test_may_be_nothing(self):
        assert remaining_after(Decimal(3), Decimal(3)) == 0

    def test_is_never_below_nothing(self):
        with pytest.raises(MoreThanRemaining) as refused:
            remaining_after(Decimal(3), Decimal("3.000000000000000001"))

        assert refused.value.errors[0].pointer == "/size"


class TestTheWaysOfATrade:
    def test_lead_on_from_open_alone(self):
        assert {(before, after) for before, ways in WAYS.items() for after in ways} == {
            ("open", "closed"),
            ("open", "cancelled"),
        }

    def test_know_every_state(self):
        assert set(WAYS) == set(TradeStatus)
        assert set(FINAL) == {"closed", "cancelled"}


@dataclass
class Told:
    status: str = "open"
    direction: str = "long"
    size: Decimal = Decimal(1)
    entry_time: datetime | None = NOON - HOUR
    exit_time: datetime | None = None
    entry_price: Decimal | None = Decimal(100)
    exit_price: Decimal | None = None
    entry_commission: Decimal | None = None
    exit_commission: Decimal | None = None
    commission: Decimal | None = None
    commission_rate: Decimal | None = None
    net_pnl: Decimal | None = None
    exit_reason: str = ""


def wrong(**values):
    """Return (pointer, code) of all that is wrong with a trade told at noon."""
    found = faults(Told(**values), now=NOON, ahead=timedelta(minutes=5))
    return [(error.pointer, error.code) for error in found]


OVER = {"status": "closed", "exit_price": Decimal(110), "exit_time": NOON}


class TestATradeAsItIsTold:
    def test_may_be_open(self):
        assert wrong() == []

    def test_may_be_over(self):
        assert wrong(**OVER, commission=Decimal(1), net_pnl=Decimal(9), exit_reason="signal") == []

    def test_may_be_cancelled_before_it_was_entered(self):
        assert wrong(status="cancelled", entry_price=None, entry_time=None) == []

    @pytest.mark.parametrize("name", ["entry_price", "entry_time", "exit_price", "exit_time"])
    def test_has_an_entry_and_an_exit_when_it_is_over(self, name):
        assert wrong(**OVER | {name: None}) == [(f"/{name}", "required")]

    def test_has_a_price_when_it_is_open(self):
        assert wrong(entry_price=None) == [("/entry_price", "required")]

    @pytest.mark.parametrize("name", ["exit_price", "exit_commission", "commission", "net_pnl"])
    @pytest.mark.parametrize("status", ["open", "cancelled"])
    def test_has_no_exit_unless_it_is_closed(self, name, status):
        assert wrong(status=status, **{name: Decimal(1)}) == [(f"/{name}", "not_closed")]

    def test_has_no_reason_to_end_while_it_is_open(self):
        assert wrong(exit_reason="signal") == [("/exit_reason", "not_closed")]

    def test_does_not_end_before_it_began(self):
        assert wrong(**OVER | {"exit_time": NOON - 2 * HOUR}) == [("/exit_time", "before_entry")]

    def test_may_end_at_the_moment_it_began(self):
        assert wrong(**OVER | {"exit_time": NOON - HOUR}) == []

    def test_does_not_lie_in_the_future(self):
        assert wrong(entry_time=NOON + HOUR) == [("/entry_time", "in_future")]

    @pytest.mark.parametrize(
        ("name", "value", "code"),
        [
            ("size", "0", "too_small"),
            ("size", "-1", "too_small"),
            ("size", "NaN", "not_finite"),
            ("size", "sNaN", "not_finite"),
            ("size", "0.0000000000000000001", "too_precise"),
            ("entry_price", "Infinity", "not_finite"),
            ("entry_price", "100000000000000000000", "too_large"),
            ("entry_commission", "NaN", "not_finite"),
            ("entry_commission", "-100000000000000000000", "too_large"),
            ("commission_rate", "1", "out_of_range"),
            ("commission_rate", "NaN", "not_finite"),
            ("commission_rate", "0.000000001", "too_precise"),
        ],
    )
    def test_holds_numbers_that_columns_can_keep(self, name, value, code):
        assert wrong(**{name: Decimal(value)}) == [(f"/{name}", code)]

    def test_may_have_padding_zeros(self):
        assert wrong(size=Decimal("1.000000000000000000000000")) == []

    def test_knows_its_words(self):
        assert wrong(status="pending", direction="up") == [
            ("/status", "not_a_choice"),
            ("/direction", "not_a_choice"),
        ]


def test_the_table_of_signs_knows_every_direction():
    assert trades.SIGNS == {"long": 1, "short": -1}
