"""Filters of admin lists: UTC to the letter, nonsense said beside its field."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from apps.alerts.models import Alert, TrackedPrice
from apps.market.models import Candle, Instrument
from apps.shared.admin import filters
from apps.shared.admin.periods import parse_utc


class TestParseUtc:
    @pytest.mark.parametrize(
        ("text", "moment"),
        [
            ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
            ("2026-01-31 14:05", datetime(2026, 1, 31, 14, 5, tzinfo=UTC)),
            ("2026-01-31 14:05 UTC", datetime(2026, 1, 31, 14, 5, tzinfo=UTC)),
            ("2026-01-31T14:05:00Z", datetime(2026, 1, 31, 14, 5, tzinfo=UTC)),
            ("2026-01-31T14:05:00+02:00", datetime(2026, 1, 31, 12, 5, tzinfo=UTC)),
        ],
    )
    def test_takes_a_time_without_an_offset_for_utc(self, text, moment):
        assert parse_utc(text) == moment

    def test_means_the_whole_of_a_day_that_ends_a_span(self):
        assert parse_utc("2026-01-31", end_of_day=True) == datetime(2026, 2, 1, tzinfo=UTC)

    @pytest.mark.parametrize(
        "text", ["", "soon", "2026-02-31", "2026-01-31 25:00", "0001-01-01", "9999-12-31T23:59Z"]
    )
    def test_knows_what_is_no_time(self, text):
        assert parse_utc(text) is None


class TestNumber:
    @pytest.mark.parametrize("text", ["NaN", "Infinity", "1e99", "many", "--1"])
    def test_knows_what_no_column_holds(self, text):
        assert filters.NumberRangeFilter.parse(text) is None

    def test_reads_exact_decimals(self):
        assert filters.NumberRangeFilter.parse("1,000.10") == Decimal("1000.10")


class TestFilterFor:
    @pytest.mark.parametrize(
        ("model", "path", "chosen"),
        [
            (Alert, "timestamp", filters.PeriodFilter),
            (Alert, "direction", filters.ChoiceFilter),
            (Alert, "leverage", filters.NumberRangeFilter),
            (Alert, "symbol", filters.IndexedTextFilter),
            (Alert, "timeframe", filters.TextFilter),
            (Alert, "performance__status", filters.ChoiceFilter),
            (Alert, "performance__is_success", filters.FlagFilter),
            (TrackedPrice, "alert", filters.RelatedFilter),
            (Candle, "symbol", filters.IndexedTextFilter),
            (Candle, "source", filters.TextFilter),
            (Instrument, "active", filters.FlagFilter),
        ],
    )
    def test_fits_the_column(self, model, path, chosen):
        assert filters.filter_for(model, path) is chosen
