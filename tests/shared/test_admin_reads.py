"""Reads over large tables: estimates that say so, values by index."""

from datetime import UTC, datetime, timedelta

import pytest

from apps.market.models import Candle
from apps.shared.admin.reads import (
    About,
    counts_in_slots,
    estimate,
    leads_an_index,
    rounded,
    values_by_index,
)
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


@pytest.mark.django_db
class TestCountsInSlots:
    NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)

    def counts(self, **asked):
        starts = [self.NOON, self.NOON + timedelta(hours=1)]
        given = {"starts": starts, "step": timedelta(hours=1), "most": 10} | asked
        return counts_in_slots(Candle.objects.filter(symbol="A"), "timestamp", **given)

    def test_counts_from_included_until_excluded_in_one_query(self, django_assert_num_queries):
        for minutes in (-5, 0, 55, 60, 115, 120):
            make_candle(symbol="A", timestamp=self.NOON + timedelta(minutes=minutes))
        make_candle(symbol="B", timestamp=self.NOON)

        with django_assert_num_queries(1):
            assert self.counts() == [2, 2]

    def test_stops_where_it_is_told_to(self):
        for minutes in range(0, 40, 5):
            make_candle(symbol="A", timestamp=self.NOON + timedelta(minutes=minutes))

        assert self.counts(most=3) == [3, 0]
