"""The pure rules of lots: nothing is sold that is not there, and nothing is lost."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.bots.domain.lots import (
    Candidate,
    InsufficientLot,
    Lot,
    LotClosed,
    LotTooLarge,
    OverReserved,
    Share,
    age,
    bought,
    first_in_first_out,
    reserved,
    sold,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PLACES = 10**18


def buy(lot, size, price, fee="0"):
    return bought(lot, size=Decimal(size), price=Decimal(price), fee=Decimal(fee), name="lot 1")


def sell(lot, size, price, fee="0"):
    return sold(lot, size=Decimal(size), price=Decimal(price), fee=Decimal(fee), name="lot 1")


def lot_of(size, price="100"):
    return buy(Lot(), size, price)


class TestBuying:
    def test_makes_a_lot_at_its_price(self):
        lot = buy(Lot(), "2", "100", "0.2")

        assert (lot.total, lot.available, lot.average) == (2, 2, 100)
        assert (lot.fees, lot.realized) == (Decimal("0.2"), 0)

    def test_weighs_the_cost_by_size(self):
        assert buy(lot_of("1", "100"), "3", "104").average == 103

    def test_rounds_the_cost_half_to_even(self):
        assert buy(lot_of("1", "1"), "2", "2").average == Decimal("1.666666666666666667")
        tiny = lot_of("1", "0.000000000000000002")
        assert buy(tiny, "1", "0.000000000000000003").average == Decimal("0.000000000000000002")

    def test_leaves_what_is_reserved_reserved(self):
        lot = buy(reserved(lot_of("2"), size=Decimal("0.5")), "1", "100")

        assert (lot.total, lot.available, lot.reserved) == (3, Decimal("2.5"), Decimal("0.5"))

    def test_is_refused_where_all_was_sold(self):
        lot, _ = sell(lot_of("1"), "1", "100")

        with pytest.raises(LotClosed, match="lot 1") as refusal:
            buy(lot, "1", "100")
        assert [(e.pointer, e.code) for e in refusal.value.errors] == [("/lot_id", "lot_closed")]

    def test_is_refused_where_no_column_could_hold_the_lot(self):
        almost = lot_of("99999999999999999999", "1")

        with pytest.raises(LotTooLarge):
            buy(almost, "1", "1")


class TestSelling:
    def test_realizes_the_difference_before_fees(self):
        lot, realized = sell(lot_of("2", "100"), "0.5", "110", "0.1")

        assert realized == lot.realized == 5
        assert (lot.total, lot.available, lot.average) == (Decimal("1.5"), Decimal("1.5"), 100)
        assert lot.fees == Decimal("0.1")

    def test_of_all_closes_the_lot(self):
        lot, realized = sell(lot_of("2", "100"), "2", "90")

        assert (lot.total, lot.is_closed, realized) == (0, True, -20)

    def test_of_more_than_is_there_says_what_is(self):
        with pytest.raises(
            InsufficientLot, match=r"0\.6 is more than the 0\.5 .* lot 1"
        ) as refusal:
            sell(lot_of("0.500"), "0.6", "100")

        assert [(e.pointer, e.code) for e in refusal.value.errors] == [
            ("/size", "insufficient_lot")
        ]

    def test_takes_nothing_that_is_reserved(self):
        lot = reserved(lot_of("2"), size=Decimal("1.5"))

        with pytest.raises(InsufficientLot, match=r"the 0\.5 available"):
            sell(lot, "0.6", "100")
        assert sell(lot, "0.5", "100")[0].reserved == Decimal("1.5")

    def test_of_nothing_ever_bought_is_refused(self):
        with pytest.raises(InsufficientLot):
            sell(Lot(), "1", "100")

    def test_is_refused_where_no_column_could_hold_the_gain(self):
        with pytest.raises(LotTooLarge):
            sell(lot_of("1000", "1"), "1000", "99999999999999999999")


class TestReserving:
    def test_sets_what_is_reserved_in_all(self):
        lot = reserved(reserved(lot_of("2"), size=Decimal("1.5")), size=Decimal("0.5"))

        assert (lot.total, lot.available) == (2, Decimal("1.5"))

    def test_of_more_than_is_there_is_refused(self):
        with pytest.raises(OverReserved, match="3 is more than the 2 in the lot"):
            reserved(lot_of("2"), size=Decimal(3))


class TestFirstInFirstOut:
    def test_takes_the_oldest_first(self):
        lots = [Candidate("a", Decimal(1)), Candidate("b", Decimal(2))]

        assert first_in_first_out(lots, size=Decimal(2), fee=Decimal("0.3")) == [
            Share("a", Decimal(1), Decimal("0.15")),
            Share("b", Decimal(1), Decimal("0.15")),
        ]

    def test_passes_over_what_is_reserved(self):
        lots = [Candidate("a", Decimal(0)), Candidate("b", Decimal(2))]

        assert [each.lot_id for each in first_in_first_out(lots, size=Decimal(2))] == ["b"]

    def test_of_more_than_all_have_is_refused(self):
        lots = [Candidate("a", Decimal(1)), Candidate("b", Decimal(2))]

        with pytest.raises(InsufficientLot, match="4 is more than the 3 available"):
            first_in_first_out(lots, size=Decimal(4))

    def test_looks_no_further_than_it_must(self):
        def lots():
            yield Candidate("a", Decimal(1))
            pytest.fail("The first lot was enough.")

        assert len(first_in_first_out(lots(), size=Decimal(1))) == 1

    def test_goes_by_time_and_then_by_name(self):
        later = NOON + timedelta(seconds=1)
        ages = [age(later, "a"), age(NOON, "c"), age(NOON, "b"), age(None, "z")]

        assert [name for *_, name in sorted(ages)] == ["z", "b", "c", "a"]


sizes = st.decimals(min_value="0.000000000000000001", max_value="100000", places=18)
fees = st.decimals(min_value="-5", max_value="5", places=18)


class TestAnySplit:
    @given(st.lists(sizes, min_size=1, max_size=12), st.fractions(0, 1), fees)
    def test_leaves_nothing_over(self, available, share, fee):
        whole = sum(Fraction(size) for size in available)
        size = Decimal(max(1, int(whole * share * PLACES))).scaleb(-18)
        lots = [Candidate(f"lot {n}", size) for n, size in enumerate(available)]

        shares = first_in_first_out(lots, size=size, fee=fee)

        assert sum(Fraction(each.size) for each in shares) == Fraction(size)
        assert sum(Fraction(each.fee) for each in shares) == Fraction(fee)
        assert all(each.size > 0 for each in shares)
        assert all(each.fee * fee >= 0 for each in shares)
        # Every lot but the last is emptied.
        assert [each.size for each in shares[:-1]] == available[: len(shares) - 1]


steps = st.lists(
    st.tuples(st.sampled_from(["buy", "sell", "reserve"]), sizes, sizes, fees), max_size=30
)


class TestAnyLife:
    @given(steps)
    def test_conserves_what_went_in(self, life):
        """The same life in fractions, which know nothing of rounding but where it is said."""
        lot = Lot()
        total = available = average = realized = paid = Fraction(0)
        for what, size, price, fee in life:
            before = replace(lot)
            exact = Fraction(size)
            if what == "buy":
                if lot.is_closed:
                    with pytest.raises(LotClosed):
                        bought(lot, size=size, price=price)
                    continue
                lot = bought(lot, size=size, price=price, fee=fee)
                cost = total * average + exact * Fraction(price)
                total, available, paid = total + exact, available + exact, paid + Fraction(fee)
                average = Fraction(round(cost / total * PLACES), PLACES)
            elif what == "sell" and available >= exact and total:
                lot, gain = sold(lot, size=size, price=price, fee=fee)
                plain = Fraction(round((Fraction(price) - average) * exact * PLACES), PLACES)
                assert Fraction(gain) == plain
                total, available, paid = total - exact, available - exact, paid + Fraction(fee)
                realized += plain
            elif what == "sell":
                with pytest.raises(InsufficientLot):
                    sold(lot, size=size, price=price)
            elif total >= exact:
                lot = reserved(lot, size=size)
                available = total - exact
            else:
                with pytest.raises(OverReserved):
                    reserved(lot, size=size)
                assert lot == before
            assert 0 <= lot.available <= lot.total
            assert (Fraction(lot.total), Fraction(lot.available)) == (total, available)
            assert Fraction(lot.realized) == realized
            assert Fraction(lot.fees) == paid
            assert Fraction(lot.average or 0) == average
