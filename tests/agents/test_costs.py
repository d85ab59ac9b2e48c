"""What a call costs, by which price, and how a day's spend stands to its budget."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.agents.domain.costs import (
    NO_PRICE,
    TOKENS_UNTOLD,
    TOO_LARGE,
    BudgetState,
    Price,
    budget_state,
    cost,
    cost_of,
    day_of,
    price_at,
    share_of_budget,
)

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DEEPSEEK = Price(BEGIN, Decimal("0.27"), Decimal("1.10"))
DOLLARS = st.decimals(0, 1_000_000, places=18)


def price(dollars_in, dollars_out, moment=BEGIN):
    return Price(moment, Decimal(dollars_in), Decimal(dollars_out))


class TestCost:
    def test_is_tokens_times_their_prices(self):
        assert cost_of(4_000, 500, DEEPSEEK) == Decimal("0.00163")
        assert cost_of(1_000_000, 1_000_000, DEEPSEEK) == Decimal("1.37")

    def test_of_a_day_of_cycles_is_what_the_source_says(self):
        # 480 cycles, $0.27 and $1.10 a million, about half a dollar.
        day = 480 * cost_of(3_000, 300, DEEPSEEK)

        assert Decimal("0.4") < day < Decimal("0.6")

    def test_of_no_tokens_is_nothing(self):
        assert cost(0, 0, DEEPSEEK) == (Decimal(0), "")

    def test_of_a_model_that_is_free_is_nothing(self):
        assert cost_of(5_000, 5_000, price(0, 0)) == 0

    @pytest.mark.parametrize(("told_in", "told_out"), [(None, 5), (5, None), (None, None)])
    def test_is_undefined_where_tokens_are_not_told(self, told_in, told_out):
        assert cost(told_in, told_out, DEEPSEEK) == (None, TOKENS_UNTOLD)
        assert cost_of(told_in, told_out, DEEPSEEK) is None

    def test_is_undefined_without_a_price(self):
        assert cost(5, 5, None) == (None, NO_PRICE)

    def test_is_undefined_where_its_column_cannot_hold_it(self):
        assert cost(10**19, 0, price(10**19, 0)) == (None, TOO_LARGE)

    @pytest.mark.parametrize(
        ("tokens", "dollars", "rounded"),
        [
            # Half of the last place goes to the even neighbor; a bit more goes up.
            (500_000, "0.000000000000000001", "0"),
            (1_500_000, "0.000000000000000001", "0.000000000000000002"),
            (2_500_000, "0.000000000000000001", "0.000000000000000002"),
            (500_001, "0.000000000000000001", "0.000000000000000001"),
        ],
    )
    def test_is_rounded_half_to_even_at_18_places(self, tokens, dollars, rounded):
        assert cost_of(tokens, 0, price(dollars, 0)) == Decimal(rounded)

    @given(st.integers(0, 2**53), st.integers(0, 2**53), DOLLARS, DOLLARS)
    def test_is_exact_and_rounded_once(self, tokens_in, tokens_out, dollars_in, dollars_out):
        found = cost_of(tokens_in, tokens_out, price(dollars_in, dollars_out))
        exact = (tokens_in * Fraction(dollars_in) + tokens_out * Fraction(dollars_out)) / 10**6
        with localcontext(prec=200, rounding=ROUND_HALF_EVEN):
            whole = Decimal(exact.numerator) / Decimal(exact.denominator)
            assert found == whole.quantize(Decimal("1e-18"))


class TestPrice:
    PRICES = [
        price(1, 1, BEGIN),
        price(2, 2, BEGIN + timedelta(days=1)),
        price(3, 3, BEGIN + timedelta(days=2)),
    ]

    @pytest.mark.parametrize(
        ("after", "dollars"),
        [
            (timedelta(0), 1),
            (timedelta(days=1) - timedelta.resolution, 1),
            (timedelta(days=1), 2),
            (timedelta(days=1, hours=5), 2),
            (timedelta(days=900), 3),
        ],
    )
    def test_is_the_newest_one_valid_by_then(self, after, dollars):
        assert price_at(self.PRICES, BEGIN + after).input_per_million == dollars

    def test_before_the_first_one_is_not_known(self):
        assert price_at(self.PRICES, BEGIN - timedelta.resolution) is None
        assert price_at([], BEGIN) is None

    def test_of_several_with_one_moment_is_the_last(self):
        twice = [price(1, 1), price(5, 5)]

        assert price_at(twice, BEGIN).input_per_million == 5


class TestBudget:
    @pytest.mark.parametrize(
        ("spent", "state"),
        [
            ("0", BudgetState.OK),
            ("3.999999999999999999", BudgetState.OK),
            ("4", BudgetState.WARNING),
            ("5", BudgetState.WARNING),
            ("5.000000000000000001", BudgetState.OVER),
            ("500", BudgetState.OVER),
        ],
    )
    def test_warns_from_80_percent_on_and_is_over_above_100(self, spent, state):
        assert budget_state(Decimal(spent), Decimal(5)) is state

    def test_of_a_third_of_a_cent_is_judged_exactly(self):
        budget = Decimal("0.000000000000000003")

        assert budget_state(Decimal("0.000000000000000002"), budget) is BudgetState.OK
        assert budget_state(budget, budget) is BudgetState.WARNING

    def test_of_nothing_allows_nothing(self):
        assert budget_state(Decimal(0), Decimal(0)) is BudgetState.OK
        assert budget_state(Decimal("1e-18"), Decimal(0)) is BudgetState.OVER

    def test_that_there_is_none_limits_nothing(self):
        assert budget_state(Decimal(10**19), None) is BudgetState.UNLIMITED

    def test_has_a_share_that_is_spent(self):
        assert share_of_budget(Decimal(1), Decimal(3)) == Decimal("0.33333333")
        assert share_of_budget(Decimal(9), Decimal(3)) == 3
        assert share_of_budget(Decimal(1), None) is None
        assert share_of_budget(Decimal(1), Decimal(0)) is None
        assert share_of_budget(Decimal(10**19), Decimal("1e-18")) is None


class TestDay:
    def test_is_that_of_utc(self):
        late = datetime(2026, 3, 2, 1, 30, tzinfo=timezone(timedelta(hours=2)))

        assert day_of(late) == (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))

    def test_begins_with_its_first_moment(self):
        begin, end = day_of(BEGIN)

        assert begin == BEGIN
        assert day_of(end - timedelta.resolution) == (begin, end)
        assert day_of(end)[0] == end
