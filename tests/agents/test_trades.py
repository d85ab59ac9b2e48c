"""What trades of agents come to and what they must hold, as pure rules."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from apps.agents.choices import TradeStatus
from apps.agents.domain.trades import (
    FINAL,
    WAYS,
    crossed,
    distance_to_liquidation,
    faults,
    fees_of,
    liquidation_price,
    pnl,
    size_for,
    unrealized,
)
from apps.shared.quant.money import TooLarge

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
QUANTUM = Decimal("1e-18")
LARGEST = Decimal("99999999999999999999.999999999999999999")

prices = st.decimals("0.000000000000000001", "9999999", places=18)
sizes = st.decimals("0.000000000000000001", "99999", places=18)
fees = st.none() | st.decimals("-1000", "1000", places=18)
sides = st.sampled_from(["long", "short"])
leverages = st.decimals("1", "1000", places=8)


def came(**values):
    usual = {
        "side": "long",
        "size": Decimal(2),
        "entry_price": Decimal(100),
        "price": Decimal(110),
        "fees": Decimal("0.5"),
    }
    return pnl(**usual | values)


class TestProfitAndLoss:
    def test_of_a_long_is_what_the_price_rose(self):
        found = came()

        assert (found.gross, found.fees, found.net) == (20, Decimal("0.5"), Decimal("19.5"))

    def test_of_a_short_is_what_the_price_fell(self):
        assert came(side="short").net == Decimal("-20.5")
        assert came(side="short", price=Decimal(90)).net == Decimal("19.5")

    def test_without_fees_told_nets_the_gross(self):
        assert came(fees=None).net == came(fees=None).gross == 20

    def test_keeps_what_the_venue_pays_back(self):
        assert came(fees=Decimal(-1)).net == 21

    @pytest.mark.parametrize(
        ("size", "gross"),
        # Half a quantum goes to the even one, up as well as down.
        [("0.5", 0), ("1.5", 2), ("2.5", 2), ("3.5", 4)],
    )
    def test_is_rounded_half_to_even(self, size, gross):
        found = came(size=Decimal(size), entry_price=QUANTUM, price=2 * QUANTUM, fees=None)
        lost = came(
            size=Decimal(size), entry_price=QUANTUM, price=2 * QUANTUM, fees=None, side="short"
        )

        assert found.gross == gross * QUANTUM
        assert lost.gross == -gross * QUANTUM

    @given(sides, sizes, prices, prices, fees)
    def test_equals_the_fractions_of_a_book_keeper(self, side, size, entry, price, paid):
        found = came(side=side, size=size, entry_price=entry, price=price, fees=paid)

        sign = 1 if side == "long" else -1
        exact = (Fraction(price) - Fraction(entry)) * Fraction(size) * sign
        assert abs(Fraction(found.gross) - exact) <= Fraction(1, 2 * 10**18)
        assert Fraction(found.net) == Fraction(found.gross) - Fraction(found.fees)
        assert (Fraction(found.gross) * 10**18).denominator == 1

    @given(sizes, prices, prices)
    def test_of_a_long_and_a_short_cancel_out(self, size, entry, price):
        of = {"size": size, "entry_price": entry, "price": price, "fees": None}

        assert Fraction(came(side="long", **of).net) == -Fraction(came(side="short", **of).net)

    def test_refuses_what_no_column_holds(self):
        with pytest.raises(TooLarge):
            came(size=LARGEST, price=LARGEST)


class TestWhatIsUnrealized:
    @given(sides, sizes, prices, prices, fees)
    def test_is_what_the_trade_would_realize_at_this_price(self, side, size, entry, price, paid):
        of = {"side": side, "size": size, "entry_price": entry, "price": price, "fees": paid}

        assert unrealized(**of) == pnl(**of).net

    @pytest.mark.parametrize("name", ["entry_price", "price"])
    def test_is_not_known_without_both_prices(self, name):
        of = {
            "side": "long",
            "size": Decimal(1),
            "entry_price": Decimal(1),
            "price": Decimal(2),
            "fees": Decimal(1),
        }

        assert unrealized(**of | {name: None}) is None

    def test_is_not_known_where_no_column_holds_it(self):
        of = {"side": "long", "entry_price": Decimal(1), "price": LARGEST, "fees": None}

        assert unrealized(size=LARGEST, **of) is None


class TestFees:
    def test_are_the_total_that_is_told(self):
        assert fees_of(Decimal(1), None, Decimal(5)) == 5

    def test_are_else_the_sum_of_the_legs(self):
        assert fees_of(Decimal(1), Decimal("0.25")) == Decimal("1.25")
        assert fees_of(None, Decimal("0.25")) == Decimal("0.25")

    def test_are_not_known_where_nothing_is_told(self):
        assert fees_of(None, None) is None


class TestTheSizeThatAValueBuys:
    def test_is_the_value_by_the_price(self):
        assert size_for(Decimal(2_000), Decimal(50_000)) == Decimal("0.04")

    def test_is_rounded_half_to_even(self):
        assert size_for(Decimal(1), Decimal(3)) == Decimal("0.333333333333333333")


class TestLiquidation:
    @pytest.mark.parametrize(
        ("side", "leverage", "price"),
        [("long", "5", 80), ("short", "5", 120), ("long", "10", 90), ("short", "1", 200)],
    )
    def test_is_where_the_margin_is_eaten(self, side, leverage, price):
        of = {"side": side, "leverage": Decimal(leverage)}

        assert liquidation_price(entry_price=Decimal(100), **of) == price

    def test_of_a_long_without_leverage_does_not_happen(self):
        of = {"side": "long", "entry_price": Decimal(100)}

        assert liquidation_price(leverage=Decimal(1), **of) is None

    @pytest.mark.parametrize("name", ["entry_price", "leverage"])
    def test_is_not_known_without_entry_and_leverage(self, name):
        of = {"side": "long", "entry_price": Decimal(100), "leverage": Decimal(5)}

        assert liquidation_price(**of | {name: None}) is None

    def test_is_not_known_where_no_column_holds_it(self):
        of = {"side": "short", "leverage": Decimal(1)}

        assert liquidation_price(entry_price=LARGEST, **of) is None

    @given(sides, prices, leverages, sizes)
    def test_loses_what_the_trade_ties_up(self, side, entry, leverage, size):
        price = liquidation_price(side=side, entry_price=entry, leverage=leverage)
        assume(price is not None)

        lost = (Fraction(price) - Fraction(entry)) * (1 if side == "long" else -1)
        margin = Fraction(entry) / Fraction(leverage)
        assert abs(-lost - margin) <= Fraction(1, 2 * 10**18)


class TestDistanceToLiquidation:
    @pytest.mark.parametrize(
        ("side", "mark", "liquidation", "distance"),
        [
            ("long", "100", "80", "0.2"),
            ("short", "100", "120", "0.2"),
            ("long", "80", "80", "0"),
            ("long", "64", "80", "-0.25"),
            ("short", "150", "120", "-0.2"),
            ("long", "3", "2", "0.33333333"),
        ],
    )
    def test_is_a_share_of_the_market_price(self, side, mark, liquidation, distance):
        of = {"mark": Decimal(mark), "liquidation": Decimal(liquidation)}

        assert distance_to_liquidation(side=side, **of) == Decimal(distance)

    @pytest.mark.parametrize("name", ["mark", "liquidation"])
    def test_is_not_known_without_both_prices(self, name):
        of = {"side": "long", "mark": Decimal(100), "liquidation": Decimal(80)}

        assert distance_to_liquidation(**of | {name: None}) is None

    @given(
        sides,
        st.decimals("0.01", "9999999", places=8),
        st.decimals("1.01", "1000", places=8),
    )
    def test_at_the_entry_is_one_by_the_leverage(self, side, entry, leverage):
        price = liquidation_price(side=side, entry_price=entry, leverage=leverage)

        away = distance_to_liquidation(side=side, mark=entry, liquidation=price)

        assert abs(Fraction(away) - 1 / Fraction(leverage)) <= Fraction(1, 10**8)

    @pytest.mark.parametrize(
        ("before", "after", "level"),
        [
            (None, "0.25", None),
            (None, "0.2", None),
            (None, "0.15", "0.2"),
            (None, "0.05", "0.1"),
            ("0.25", "0.15", "0.2"),
            ("0.2", "0.15", "0.2"),
            ("0.25", "0.05", "0.1"),
            ("0.15", "0.12", None),
            ("0.15", "0.1", None),
            ("0.15", "0.09", "0.1"),
            ("0.09", "0.05", None),
            ("0.05", "0.15", None),
            ("0.05", None, None),
        ],
    )
    def test_falls_below_a_level_once(self, before, after, level):
        told = [None if each is None else Decimal(each) for each in (before, after, level)]

        assert crossed(told[0], told[1]) == told[2]


class TestTheWaysOfATrade:
    def test_lead_on_from_open_alone(self):
        assert {(before, after) for before, ways in WAYS.items() for after in ways} == {
            ("open", "closed"),
            ("open", "liquidated"),
            ("open", "cancelled"),
        }

    def test_know_every_state(self):
        assert set(WAYS) == set(TradeStatus)
        assert set(FINAL) == {"closed", "liquidated", "cancelled"}


@dataclass
class Told:
    status: str = "open"
    coin: str | None = "BTC"
    side: str | None = "long"
    size: Decimal | None = Decimal(1)
    leverage: Decimal | None = Decimal(5)
    entry_time: datetime | None = NOON - HOUR
    exit_time: datetime | None = None
    entry_price: Decimal | None = Decimal(100)
    exit_price: Decimal | None = None
    entry_fees: Decimal | None = None
    exit_fees: Decimal | None = None
    fees: Decimal | None = None
    realized_pnl: Decimal | None = None
    exit_reason: str = ""


def wrong(**values):
    """Return (pointer, code) of all that is wrong with a trade told at noon."""
    found = faults(Told(**values), now=NOON, ahead=timedelta(minutes=5))
    return [(error.pointer, error.code) for error in found]


OVER = {"status": "closed", "exit_price": Decimal(110), "exit_time": NOON}


class TestATradeAsItIsTold:
    def test_may_be_open(self):
        assert wrong() == []

    @pytest.mark.parametrize("status", ["closed", "liquidated"])
    def test_may_be_over(self, status):
        told = OVER | {"status": status, "fees": Decimal(1), "realized_pnl": Decimal(9)}

        assert wrong(**told, exit_reason="signal") == []

    @pytest.mark.parametrize("status", ["closed", "liquidated"])
    def test_may_be_over_at_a_price_that_nobody_knows(self, status):
        assert wrong(status=status, exit_time=NOON) == []
        assert wrong(status=status, exit_time=NOON, entry_price=None, entry_time=None) == []

    def test_may_be_open_at_a_price_that_is_not_known_yet(self):
        assert wrong(entry_price=None, leverage=None, entry_time=None) == []

    def test_may_be_cancelled_before_it_was_entered(self):
        assert wrong(status="cancelled", entry_price=None, entry_time=None) == []

    def test_has_a_time_when_it_is_over(self):
        assert wrong(**OVER | {"exit_time": None}) == [("/exit_time", "required")]

    def test_has_an_entry_where_it_has_an_exit(self):
        assert wrong(**OVER, entry_price=None) == [("/entry_price", "no_entry")]

    @pytest.mark.parametrize("name", ["coin", "side", "size"])
    def test_says_what_which_way_and_how_much(self, name):
        assert wrong(**{name: None}) == [(f"/{name}", "required")]

    @pytest.mark.parametrize("name", ["exit_price", "exit_fees", "fees", "realized_pnl"])
    @pytest.mark.parametrize("status", ["open", "cancelled"])
    def test_has_no_exit_unless_it_is_over(self, name, status):
        assert wrong(status=status, **{name: Decimal(1)}) == [(f"/{name}", "not_closed")]

    def test_has_no_reason_to_end_while_it_is_open(self):
        assert wrong(exit_reason="signal") == [("/exit_reason", "not_closed")]

    def test_does_not_end_before_it_began(self):
        assert wrong(**OVER | {"exit_time": NOON - 2 * HOUR}) == [("/exit_time", "before_entry")]

    def test_may_end_at_the_moment_it_began(self):
        assert wrong(**OVER | {"exit_time": NOON - HOUR}) == []

    def test_does_not_lie_in_the_future(self):
        assert wrong(entry_time=NOON + HOUR) == [("/entry_time", "in_future")]
        assert wrong(**OVER | {"exit_time": NOON + HOUR}) == [("/exit_time", "in_future")]

    def test_may_be_a_little_ahead_of_our_clock(self):
        assert wrong(entry_time=NOON + timedelta(minutes=5)) == []

    def test_has_legs_that_add_up_to_its_fees(self):
        legs = {"entry_fees": Decimal(2), "exit_fees": Decimal(3)}

        assert wrong(**OVER, **legs, fees=Decimal(5)) == []
        assert wrong(**OVER, **legs, fees=Decimal(6)) == [("/fees", "not_the_sum")]

    @pytest.mark.parametrize(
        ("name", "value", "code"),
        [
            ("side", "up", "not_a_choice"),
            ("coin", "ẞ" * 11 + "SSSSSSSSSS", "too_long"),
            ("status", "lost", "not_a_choice"),
        ],
    )
    def test_knows_its_words(self, name, value, code):
        assert wrong(**{name: value}) == [(f"/{name}", code)]

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
            ("entry_fees", "NaN", "not_finite"),
            ("entry_fees", "-100000000000000000000", "too_large"),
            ("leverage", "0.5", "out_of_range"),
            ("leverage", "1000.1", "out_of_range"),
            ("leverage", "NaN", "not_finite"),
            ("leverage", "sNaN", "not_finite"),
            ("leverage", "5.000000001", "too_precise"),
        ],
    )
    def test_holds_numbers_that_columns_can_keep(self, name, value, code):
        assert wrong(**{name: Decimal(value)}) == [(f"/{name}", code)]
