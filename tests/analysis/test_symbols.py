"""What a symbol needs before a run is worth its time."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.analysis.domain import bars
from apps.analysis.domain.symbols import (
    MINIMUM_BARS,
    FailReason,
    SymbolRefused,
    check_bars,
    check_history,
    check_symbol,
)

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
FIVE_MINUTES = timedelta(minutes=5)
PER_DAY = 288
ENOUGH = Decimal("0.95")


def history(days, *, missing=0, **changed):
    """Check so many days of 5-minute bars, of which some are missing."""
    bars_of_days = int(days * PER_DAY)
    given = {
        "first": FIRST,
        "last": FIRST + (bars_of_days - 1) * FIVE_MINUTES,
        "bars": bars_of_days - missing,
        "expected": bars_of_days,
        "width": FIVE_MINUTES,
        "required_days": 90,
        "required_completeness": ENOUGH,
    }
    return check_history(**{**given, **changed})


def refusal_of(call, *args, **kwargs):
    with pytest.raises(SymbolRefused) as refusal:
        call(*args, **kwargs)
    assert [each.code for each in refusal.value.errors] == [refusal.value.reason]
    return refusal.value


class TestHistory:
    def test_is_as_long_and_as_complete_as_it_is(self):
        assert history(90) == (90, 1)
        assert history(100, missing=288) == (100, Decimal("0.99"))

    def test_of_exactly_what_is_required_is_enough(self):
        assert history(90, missing=90 * PER_DAY // 20) == (90, ENOUGH)

    def test_that_is_too_short_is_refused_with_how_long_it_is(self):
        refusal = refusal_of(history, 15)

        assert refusal.reason == FailReason.INSUFFICIENT_HISTORICAL_DATA
        assert refusal.message == "15.0 days of 90 are there, 2026-01-01 to 2026-01-16."

    def test_of_fifteen_days_is_enough_where_fourteen_are_required(self):
        assert history(15, required_days=14).days == 15

    def test_that_is_short_by_one_bar_never_reads_as_enough(self):
        refusal = refusal_of(history, 90 - 1 / PER_DAY)

        assert refusal.message.startswith("89.9 days of 90 are there")

    def test_with_holes_is_refused_with_how_many_bars_are_there(self):
        refusal = refusal_of(history, 90, missing=1297)

        assert refusal.reason == FailReason.INSUFFICIENT_DATA_QUALITY
        assert refusal.message == (
            "94.9 % of the bars are there (24,623 of 25,920); 95 % are required."
        )

    def test_is_looked_at_for_its_length_first(self):
        refusal = refusal_of(history, 15, missing=2000)

        assert refusal.reason == FailReason.INSUFFICIENT_HISTORICAL_DATA

    @pytest.mark.parametrize(
        "nothing", [{"first": None}, {"last": None}, {"bars": 0}, {"last": FIRST - FIVE_MINUTES}]
    )
    def test_that_is_not_there_is_refused(self, nothing):
        refusal = refusal_of(history, 90, **nothing)

        assert refusal.reason == FailReason.INSUFFICIENT_HISTORICAL_DATA
        assert refusal.message == "No history is there; 90 days are required."

    def test_that_is_not_there_is_never_enough(self):
        refusal_of(history, 0, required_days=0, required_completeness=Decimal(0), first=None)

    def test_is_at_most_complete(self):
        assert history(90, expected=10).completeness == 1

    @pytest.mark.parametrize(
        "wrong",
        [{"required_days": -1}, {"required_completeness": 95}, {"required_completeness": -1}],
    )
    def test_cannot_be_asked_for_in_percent_or_below_nothing(self, wrong):
        with pytest.raises(ValueError, match="completeness lies between"):
            history(90, **wrong)

    @given(st.integers(1, 40_000), st.integers(0, 40_000), st.integers(0, 120))
    def test_is_refused_or_fulfills_what_is_required(self, count, missing, days):
        there = {
            "last": FIRST + (count - 1) * FIVE_MINUTES,
            "bars": max(count - missing, 0),
            "expected": count,
            "required_days": days,
        }
        enough = count >= days * PER_DAY and there["bars"] >= max(count * ENOUGH, 1)

        if enough:
            found = history(0, **there)
            assert (found.days >= days, found.completeness >= ENOUGH) == (True, True)
        else:
            refusal_of(history, 0, **there)


class TestBars:
    def test_are_enough_from_the_number_on_that_the_indicators_need(self):
        assert MINIMUM_BARS is bars.MINIMUM_BARS

        check_bars("1w", MINIMUM_BARS)

    def test_too_few_of_them_are_refused_by_timeframe(self):
        refusal = refusal_of(check_bars, "1w", 59)

        assert refusal.reason == FailReason.INSUFFICIENT_HISTORICAL_DATA
        assert refusal.message == "59 whole bars of 1w are there; 60 are required."


class TestASymbol:
    @pytest.mark.parametrize(
        "symbol",
        ["F", "BTC", "kPEPE", "BRK.B", "BTC/USDT", "1000FLOKI/USDT:USDT", "BTC/USD:BTC-261225"],
    )
    def test_is_taken_as_providers_write_it(self, symbol):
        check_symbol(symbol)

    @pytest.mark.parametrize(
        "symbol",
        [
            "",
            " BTC",
            "BTC\n",
            "BTC USDT",
            "-BTC",
            "BTC/",
            "/USDT",
            "BTC//USDT",
            "BTC/USDT:",
            "../etc",
            "B\x00",
            "B" * 51,
        ],
    )
    def test_that_no_provider_can_know_is_refused(self, symbol):
        refusal = refusal_of(check_symbol, symbol)

        assert refusal.reason == FailReason.CUSTOM_RULE_VIOLATION
        assert "is no symbol" in refusal.message

    def test_is_shown_short(self):
        assert len(refusal_of(check_symbol, "B" * 10_000).message) < 250


class TestReasons:
    def test_are_the_words_of_the_predecessor(self):
        assert len(FailReason) == 12
        assert FailReason("api_timeout") is FailReason.API_TIMEOUT
