"""The pure rules of orders: whatever comes, in whatever order, ends the same."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.bots.choices import OrderEvent, OrderStatus
from apps.bots.domain.orders import (
    TERMINAL,
    Events,
    FillFacts,
    OrderState,
    average_of,
    derived,
    state_of,
    status_named,
    tally_of,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ACCEPTED, CANCELLED = OrderEvent.ACCEPTED, OrderEvent.CANCELLED
REJECTED, EXPIRED = OrderEvent.REJECTED, OrderEvent.EXPIRED
ORDERINGS = 500


def at(seconds):
    return NOON + timedelta(seconds=seconds)


def fill(quantity, price="100", seconds=0):
    return FillFacts(Decimal(quantity), Decimal(price), at(seconds))


def known(*reports):
    events = Events()
    for report in reports:
        events = events.joined(*report)
    return events


def status(quantity, fills=(), **seconds):
    events = known(*((OrderEvent(name), at(when)) for name, when in seconds.items()))
    return state_of(Decimal(quantity), fills, events).status


class TestStatus:
    def test_is_pending_until_something_is_known(self):
        assert status("1") == OrderStatus.PENDING

    def test_is_accepted_once_it_was(self):
        assert status("1", accepted=5) == OrderStatus.ACCEPTED

    def test_is_partially_filled_by_a_part(self):
        assert status("1", [fill("0.4")], accepted=5) == OrderStatus.PARTIALLY_FILLED

    def test_is_filled_by_the_last_digit(self):
        almost = fill("0.999999999999999999")

        assert status("1", [almost]) == OrderStatus.PARTIALLY_FILLED
        assert status("1", [almost, fill("0.000000000000000001")]) == OrderStatus.FILLED

    @pytest.mark.parametrize("end", TERMINAL)
    def test_is_what_ended_it(self, end):
        assert status("1", accepted=1, **{end.value: 2}) == end.value

    def test_is_the_earlier_of_two_ends(self):
        assert status("1", cancelled=9, expired=8) == OrderStatus.EXPIRED
        assert status("1", cancelled=7, expired=8) == OrderStatus.CANCELLED

    def test_of_two_ends_at_one_moment_has_a_rule(self):
        assert status("1", cancelled=5, expired=5, rejected=5) == OrderStatus.CANCELLED
        assert status("1", expired=5, rejected=5) == OrderStatus.EXPIRED

    def test_stays_filled_whatever_is_said_later(self):
        assert status("1", [fill("1")], cancelled=-60, rejected=60) == OrderStatus.FILLED

    def test_is_cancelled_with_what_was_filled_before(self):
        assert status("1", [fill("0.4")], cancelled=9) == OrderStatus.CANCELLED

    def test_of_a_rejected_order_goes_by_its_fills(self):
        assert status("1", rejected=1) == OrderStatus.REJECTED
        assert status("1", [fill("0.4")], rejected=1) == OrderStatus.PARTIALLY_FILLED
        assert status("1", [fill("0.4")], rejected=1, expired=9) == OrderStatus.EXPIRED


class TestAveragePrice:
    def test_is_none_without_fills(self):
        assert state_of(Decimal(1), [], Events()).average_price is None

    def test_is_weighted_by_quantity(self):
        fills = [fill("1", "100"), fill("3", "104")]

        assert state_of(Decimal(4), fills, Events()).average_price == 103

    @pytest.mark.parametrize(
        ("value", "quantity", "average"),
        [
            ("1", "3", "0.333333333333333333"),
            ("2", "3", "0.666666666666666667"),
            ("0.000000000000000005", "2", "0.000000000000000002"),
            ("0.000000000000000007", "2", "0.000000000000000004"),
        ],
    )
    def test_is_rounded_half_to_even(self, value, quantity, average):
        assert average_of(Decimal(quantity), Decimal(value)) == Decimal(average)

    def test_loses_no_digit_of_long_numbers(self):
        long = "12345678901234567890.123456789012345678"

        value = tally_of([fill(long, long)], ended_at=None).value

        assert Fraction(value) == Fraction(long) ** 2


class TestLateEvents:
    def test_counts_fills_after_the_end(self):
        fills = [fill("0.1", seconds=1), fill("0.1", seconds=5), fill("0.1", seconds=6)]

        found = state_of(Decimal(1), fills, known((CANCELLED, at(5))))

        assert found.late_events == 1

    def test_counts_a_cancel_after_the_order_was_filled(self):
        fills = [fill("1", seconds=5)]

        assert state_of(Decimal(1), fills, known((CANCELLED, at(6)))).late_events == 1
        assert state_of(Decimal(1), fills, known((CANCELLED, at(5)))).late_events == 0

    def test_does_not_count_an_end_of_what_is_filled_in_part(self):
        assert state_of(Decimal(1), [fill("0.5")], known((EXPIRED, at(60)))).late_events == 0


class TestWhyItEnded:
    def test_is_the_reason_of_the_earliest_end(self):
        events = known((CANCELLED, at(9), "by hand"), (EXPIRED, at(5), "end of day"))

        assert events.reason == "end of day"

    def test_is_not_told_by_an_acceptance(self):
        assert known((ACCEPTED, at(1), "fine")).reason == ""

    def test_of_two_at_one_moment_is_any_before_none(self):
        assert known((CANCELLED, at(5), "by hand"), (CANCELLED, at(5), "")).reason == "by hand"


class TestOtherWords:
    @pytest.mark.parametrize(
        ("word", "own"),
        [
            ("canceled", "cancelled"),
            ("new", "accepted"),
            ("pending_new", "pending"),
            ("expired", "expired"),
            ("odd", "odd"),
        ],
    )
    def test_are_read_as_our_own(self, word, own):
        assert status_named(word) == own


class TestOrderings:
    """One history, told in any order and any number of times."""

    history = (
        *(("fill", f"f{n}", fill("0.1", str(100 + n), seconds=n)) for n in range(9)),
        ("event", ACCEPTED, at(-5), ""),
        ("event", ACCEPTED, at(-7), ""),
        ("event", CANCELLED, at(6), "by hand"),
        ("event", CANCELLED, at(4), "by the venue"),
        ("event", EXPIRED, at(4), "end of day"),
        ("event", REJECTED, at(20), "too late"),
    )

    def told(self, reports):
        fills, events = {}, Events()
        for kind, *report in reports:
            if kind == "fill":
                fills[report[0]] = report[1]
            else:
                events = events.joined(*report)
        return state_of(Decimal(1), fills.values(), events), events

    def test_all_end_the_same(self):
        chance = random.Random(5)
        ends = set()
        for _ in range(ORDERINGS):
            reports = [*self.history, *chance.choices(self.history, k=chance.randrange(12))]
            chance.shuffle(reports)
            state, events = self.told(reports)
            ends.add((state, events.reason, tuple(sorted(events.times.items()))))

        times = ((ACCEPTED, at(-7)), (CANCELLED, at(4)), (EXPIRED, at(4)), (REJECTED, at(20)))
        state = OrderState(OrderStatus.CANCELLED, Decimal("0.9"), Decimal(104), 4)
        assert ends == {(state, "by the venue", times)}


quantities = st.decimals(min_value="0.000000000000000001", max_value="1000000", places=18)
moments = st.integers(-100, 100).map(at)
facts = st.builds(FillFacts, quantities, quantities, moments)
reports = st.tuples(st.sampled_from(list(OrderEvent)), moments, st.sampled_from(["", "a", "b"]))


class TestAnyHistory:
    @given(st.lists(facts, max_size=8), st.lists(reports, max_size=6), st.randoms())
    def test_does_not_depend_on_its_order(self, fills, told, chance):
        quantity = sum((each.quantity for each in fills), Decimal(1))
        mixed, said = list(fills), [*told, *told[:2]]
        chance.shuffle(mixed)
        chance.shuffle(said)

        assert known(*told) == known(*said)
        assert state_of(quantity, fills, known(*told)) == state_of(quantity, mixed, known(*said))

    @given(st.lists(facts, min_size=1, max_size=8), st.lists(reports, max_size=6))
    def test_adds_up_as_fractions_do(self, fills, told):
        total = sum(Fraction(each.quantity) for each in fills)
        value = sum(Fraction(each.quantity) * Fraction(each.price) for each in fills)

        events = known(*told)
        tally = tally_of(fills, ended_at=events.ended_at())
        found = derived(tally.quantity, tally, events.times)

        assert Fraction(found.filled_quantity) == total
        assert found.average_price is not None
        assert Fraction(found.average_price) == Fraction(round(value / total * 10**18), 10**18)
        assert found.status == OrderStatus.FILLED
        assert min(e.price for e in fills) <= found.average_price <= max(e.price for e in fills)
