"""What round trips come to, to the last digit, as pure rules."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.shared.quant.money import (
    EXACT,
    TooLarge,
    fee_of,
    kept,
    mean_price,
    percentage,
    settle,
    share,
    total,
    value_of,
)

QUANTUM = Decimal("1e-18")
LARGEST = Decimal("99999999999999999999.999999999999999999")

prices = st.decimals("0.000000000000000001", "9999999", places=18)
sizes = st.decimals("0.000000000000000001", "99999", places=18)
fees = st.decimals("-1000", "1000", places=18)
directions = st.sampled_from(["long", "short"])


def settled(**values):
    usual = {
        "direction": "long",
        "size": Decimal("0.1"),
        "entry_price": Decimal(50_000),
        "exit_price": Decimal(51_000),
        "entry_fee": Decimal(5),
        "exit_fee": Decimal("5.1"),
    }
    return settle(**usual | values)


class TestTheKnownTrade:
    """50,000 → 51,000 × 0.1 at a rate of 0.001."""

    def test_costs_five_and_five_point_one(self):
        rate, size = Decimal("0.001"), Decimal("0.1")

        legs = [
            fee_of(amount=None, rate=rate, price=Decimal(price), size=size)
            for price in (50_000, 51_000)
        ]

        assert legs == [Decimal(5), Decimal("5.1")]

    def test_comes_to_ninety_less_a_dime(self):
        found = settled()

        assert (found.gross, found.fees, found.net) == (100, Decimal("10.1"), Decimal("89.9"))
        assert found.percentage == Decimal("1.798")
        assert (found.entry_value, found.exit_value) == (5000, 5100)

    def test_loses_when_it_was_short(self):
        found = settled(direction="short")

        assert (found.gross, found.net) == (-100, Decimal("-110.1"))
        assert found.percentage == Decimal("-2.202")


class TestSettling:
    @given(directions, sizes, prices, prices, fees, fees)
    def test_leaves_net_as_gross_less_fees(self, direction, size, entry, exit_price, one, other):
        found = settle(
            direction=direction,
            size=size,
            entry_price=entry,
            exit_price=exit_price,
            entry_fee=one,
            exit_fee=other,
        )

        assert Fraction(found.net) == Fraction(found.gross) - Fraction(found.fees)
        assert Fraction(found.fees) == Fraction(one) + Fraction(other)

    @given(sizes, prices, prices)
    def test_is_mirrored_by_the_other_direction(self, size, entry, exit_price):
        values = {
            "size": size,
            "entry_price": entry,
            "exit_price": exit_price,
            "entry_fee": None,
            "exit_fee": None,
        }

        long, short = (settle(direction=each, **values) for each in ("long", "short"))
        back = settle(direction="long", **values | {"entry_price": exit_price, "exit_price": entry})

        assert Fraction(long.gross) == -Fraction(short.gross) == -Fraction(back.gross)

    @given(directions, sizes, prices, prices)
    def test_is_off_by_at_most_half_a_digit(self, direction, size, entry, exit_price):
        found = settle(
            direction=direction,
            size=size,
            entry_price=entry,
            exit_price=exit_price,
            entry_fee=None,
            exit_fee=None,
        )
        sign = 1 if direction == "long" else -1

        exact = (Fraction(exit_price) - Fraction(entry)) * Fraction(size) * sign

        assert abs(Fraction(found.gross) - exact) <= Fraction(QUANTUM) / 2

    def test_counts_a_fee_that_is_not_told_as_nothing(self):
        found = settled(entry_fee=None, exit_fee=None)

        assert (found.fees, found.net) == (0, 100)
        assert (found.entry_fee, found.exit_fee) == (None, None)

    def test_takes_a_total_of_fees_whose_legs_are_not_known(self):
        found = settled(entry_fee=None, exit_fee=None, fees=Decimal(7))

        assert (found.fees, found.net) == (7, 93)

    def test_takes_what_the_venue_pays_back(self):
        assert settled(entry_fee=Decimal(-1), exit_fee=Decimal(-2)).net == 103

    def test_names_the_figure_that_no_column_holds(self):
        with pytest.raises(TooLarge) as refused:
            settled(size=LARGEST, entry_price=Decimal(1), exit_price=Decimal(3))

        assert refused.value.errors[0].pointer == "/gross_pnl"

    def test_holds_the_largest_that_columns_do(self):
        found = settled(
            size=LARGEST,
            entry_price=QUANTUM,
            exit_price=Decimal(1),
            entry_fee=None,
            exit_fee=None,
        )

        assert found.exit_value == LARGEST


class TestRounding:
    @pytest.mark.parametrize(
        ("value", "rounded"),
        [
            ("0.0000000000000000005", "0"),
            ("0.0000000000000000015", "0.000000000000000002"),
            ("0.0000000000000000025", "0.000000000000000002"),
            ("-0.0000000000000000035", "-0.000000000000000004"),
        ],
    )
    def test_goes_to_the_even_neighbor_at_half(self, value, rounded):
        assert kept(Decimal(value), "x") == Decimal(rounded)

    def test_leaves_zero_without_a_sign(self):
        assert str(kept(Decimal("-1e-30"), "x")) == "0"

    def test_loses_no_digit_before_it(self):
        rate, price, size = Decimal("0.99999999"), LARGEST, Decimal("0.999999999999999999")

        found = fee_of(amount=None, rate=rate, price=price, size=size)

        exact = Fraction(rate) * Fraction(price) * Fraction(size)
        assert abs(Fraction(found) - exact) <= Fraction(QUANTUM) / 2


class TestAFee:
    def test_is_the_amount_that_is_told(self):
        found = fee_of(amount=Decimal(3), rate=Decimal("0.5"), price=Decimal(1), size=Decimal(1))

        assert found == 3

    def test_is_unknown_where_nothing_is_told(self):
        assert fee_of(amount=None, rate=None, price=Decimal(1), size=Decimal(1)) is None

    def test_of_zero_is_known(self):
        assert fee_of(amount=None, rate=Decimal(0), price=Decimal(1), size=Decimal(1)) == 0

    def test_total_is_unknown_where_no_leg_is(self):
        assert total(None, None) is None
        assert total(None, Decimal(2)) == 2


class TestTheShareOfAPart:
    @given(fees, st.lists(sizes, min_size=1, max_size=12))
    def test_adds_up_to_the_whole(self, amount, parts):
        left, size_left, taken = amount, sum(parts, Decimal(0)), []

        for part in parts:
            taken.append(share(left, part, size_left))
            left -= taken[-1]
            size_left -= part

        assert sum(map(Fraction, taken)) == Fraction(amount)
        assert (left, size_left) == (0, 0)

    @given(st.decimals("0", "1000", places=18), sizes, sizes)
    def test_is_never_more_than_is_left(self, amount, part, more):
        assert 0 <= share(amount, part, part + more) <= amount

    @given(
        directions, prices, fees, st.lists(st.tuples(sizes, prices, fees), min_size=1, max_size=5)
    )
    def test_leaves_a_net_that_is_that_of_the_whole(self, direction, entry, entry_fee, exits):
        size_left, fee_left = sum((size for size, _, _ in exits), Decimal(0)), entry_fee
        nets, expected = Fraction(0), -Fraction(entry_fee)

        for size, exit_price, exit_fee in exits:
            part_fee = share(fee_left, size, size_left)
            found = settle(
                direction=direction,
                size=size,
                entry_price=entry,
                exit_price=exit_price,
                entry_fee=part_fee,
                exit_fee=exit_fee,
            )
            fee_left, size_left = fee_left - part_fee, EXACT.subtract(size_left, size)
            nets += Fraction(found.net)
            expected += Fraction(found.gross) - Fraction(exit_fee)

        assert nets == expected

    def test_is_in_proportion(self):
        assert share(Decimal(10), Decimal(1), Decimal(4)) == Decimal("2.5")


class TestThePercentage:
    def test_is_unknown_where_nothing_was_put_in(self):
        assert percentage(Decimal(1), Decimal(0)) is None

    def test_is_unknown_where_its_column_cannot_hold_it(self):
        assert percentage(Decimal(10) ** 15, Decimal(1)) is None

    def test_has_eight_places(self):
        assert percentage(Decimal(1), Decimal(3)) == Decimal("33.33333333")


class TestTheMeanPrice:
    def test_is_the_value_by_the_size(self):
        value = value_of(Decimal(100), Decimal(1)) + value_of(Decimal(110), Decimal(2))

        assert mean_price(value, Decimal(3)) == Decimal("106.666666666666666667")
