"""Reads over large tables: estimates that say so, values by index."""

import pytest

from apps.market.models import Candle
from apps.shared.admin.reads import About, estimate, leads_an_index, rounded, values_by_index
from tests.factories import make_candle


class TestAbout:
    def test_says_that_it_is_a_guess_and_does_not_look_exact(self):
        assert str(About(9_987_213)) == "about 10,000,000"
        assert f"{About(1_234):,}" == "about 1,200"

    @pytest.mark.parametrize(("count", "shown"), [(0, 0), (7, 7), (99, 99), (1_250, 1_200)])
    def test_keeps_two_digits(self, count, shown):
        assert rounded(count) == shown


class TestLeadsAnIndex:
    @pytest.mark.parametrize(
        ("column", "leads"),
        [("symbol", True), ("timestamp", True), ("source", False), ("close", False)],
    )
    def test_knows_what_an_index_begins_with(self, column, leads):
        assert leads_an_index(Candle, column) is leads


@pytest.mark.django_db
class TestOnTables:
    def test_estimate_reads_no_rows(self, django_assert_num_queries):
        make_candle()
        with django_assert_num_queries(1) as captured:
            estimate(Candle.objects.all())

        assert captured[0]["sql"].startswith("EXPLAIN")

    def test_values_come_in_order_each_once_up_to_a_limit(self):
        for symbol in ("C", "A", "B", "A"):
            make_candle(symbol=symbol)

        assert values_by_index(Candle, "symbol", limit=2) == ["A", "B"]
        assert values_by_index(Candle, "symbol", limit=9) == ["A", "B", "C"]

    def test_values_of_an_empty_table_are_none(self):
        assert values_by_index(Candle, "symbol", limit=9) == []
