"""What a candle must be, which candles answer for a moment, how they are put together."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.market.choices import Granularity
from apps.market.domain import candles
from apps.market.domain.candles import CandleValues, Gap, PricePoint

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Row:
    symbol: str = "BTC/USD"
    source: str = "test"
    granularity: str = "5m"
    timestamp: datetime = NOON
    open: Decimal = Decimal(10)
    high: Decimal = Decimal(12)
    low: Decimal = Decimal(9)
    close: Decimal = Decimal(11)
    volume: Decimal = Decimal(1)


def codes(now=NOON + HOUR, clock_tolerance=timedelta(0), **values):
    found = candles.problems(replace(Row(), **values), now, clock_tolerance)
    return [(error.pointer, error.code) for error in found]


class TestProblems:
    def test_finds_nothing_in_a_good_row(self):
        assert codes() == []

    @pytest.mark.parametrize("name", ["open", "high", "low", "close"])
    @pytest.mark.parametrize("value", ["0", "-1"])
    def test_refuses_a_price_that_is_not_positive(self, name, value):
        assert (f"/{name}", "out_of_range") in codes(**{name: Decimal(value)})

    @pytest.mark.parametrize("name", ["open", "high", "low", "close", "volume"])
    @pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-Infinity"])
    def test_refuses_what_is_no_number(self, name, value):
        assert codes(**{name: Decimal(value)}) == [(f"/{name}", "not_finite")]

    def test_accepts_no_volume_and_refuses_less(self):
        assert codes(volume=Decimal(0)) == []
        assert codes(volume=Decimal(-1)) == [("/volume", "out_of_range")]

    def test_refuses_a_high_below_the_low(self):
        assert codes(high=Decimal(8)) == [("/high", "below_low")]

    @pytest.mark.parametrize("name", ["open", "close"])
    @pytest.mark.parametrize("value", ["8.999", "12.001"])
    def test_refuses_a_price_outside_high_and_low(self, name, value):
        assert codes(**{name: Decimal(value)}) == [(f"/{name}", "outside_range")]

    def test_counts_the_digits_that_the_column_holds(self):
        smallest = Decimal("0.000000000000000001")
        assert codes(volume=smallest) == []
        assert codes(volume=smallest / 10) == [("/volume", "too_many_digits")]
        assert codes(volume=Decimal("1.1000000000000000000000")) == []
        assert codes(volume=Decimal("99999999999999999999.999999999999999999")) == []
        assert codes(volume=Decimal(10) ** 20) == [("/volume", "too_many_digits")]

    @pytest.mark.parametrize("text", ["", " ", " BTC", "BTC ", "x" * 51, "B\0C", "B\nC"])
    @pytest.mark.parametrize("name", ["symbol", "source"])
    def test_refuses_a_name_that_is_none(self, name, text):
        assert [pointer for pointer, _ in codes(**{name: text})] == [f"/{name}"]

    def test_refuses_an_unknown_granularity(self):
        assert codes(granularity="7m") == [("/granularity", "unknown")]

    def test_refuses_a_time_without_offset(self):
        assert codes(timestamp=NOON.replace(tzinfo=None)) == [("/timestamp", "naive")]

    def test_refuses_a_start_that_no_interval_has(self):
        assert codes(timestamp=NOON + MINUTE) == [("/timestamp", "unaligned")]
        assert codes(timestamp=NOON + timedelta(microseconds=1)) == [("/timestamp", "unaligned")]

    def test_refuses_the_future_beyond_the_tolerance(self):
        later = NOON + 10 * MINUTE
        assert codes(now=NOON, timestamp=later) == [("/timestamp", "future")]
        assert codes(now=NOON, timestamp=later, clock_tolerance=15 * MINUTE) == []

    def test_refuses_a_candle_that_is_still_running(self):
        assert codes(now=NOON + 5 * MINUTE) == []
        assert codes(now=NOON + 4 * MINUTE) == [("/timestamp", "unfinished")]

    @pytest.mark.parametrize(
        "moment",
        [
            datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
            datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-14))),
        ],
    )
    def test_refuses_the_ends_of_the_calendar(self, moment):
        assert len(codes(timestamp=moment)) == 1


class TestAlignment:
    @pytest.mark.parametrize("granularity", Granularity)
    def test_counts_from_a_monday_at_midnight(self, granularity):
        monday = datetime(2026, 3, 2, tzinfo=UTC)
        assert candles.is_aligned(monday, granularity)
        assert candles.is_aligned(monday - granularity.width, granularity)
        assert not candles.is_aligned(monday + timedelta(seconds=1), granularity)

    def test_weeks_begin_on_monday(self):
        starts = [
            day for day in range(2, 9) if candles.is_aligned(NOON.replace(day=day, hour=0), "1w")
        ]
        assert starts == [2]

    @given(st.datetimes(timezones=st.just(UTC)), st.sampled_from(Granularity))
    def test_intraday_intervals_are_multiples_since_the_epoch(self, moment, granularity):
        start = candles.aligned_start(moment, granularity)
        assert start <= moment < start + granularity.width
        if granularity != Granularity.W1:
            assert (start - datetime(1970, 1, 1, tzinfo=UTC)) % granularity.width == timedelta(0)


def head(source="a", granularity="5m", age=timedelta(0), price=100):
    """Return the last candle of a series; it closed ``age`` before noon."""
    start = NOON - age - candles.width(granularity)
    return PricePoint(Decimal(price), source, granularity, start)


class TestChoosePrice:
    def test_is_unknown_without_candles(self):
        assert candles.choose_price([], NOON) is None

    def test_takes_the_freshest_source(self):
        fresh = head("b", age=MINUTE)
        assert candles.choose_price([head("a", age=2 * MINUTE), fresh], NOON) == fresh

    def test_takes_the_first_by_name_of_equally_fresh_ones(self):
        first = head("a")
        assert candles.choose_price([head("b"), first], NOON) == first

    def test_a_source_is_as_fresh_as_the_end_of_its_candle(self):
        # The hour began earlier, but it ended later.
        hour = head("b", "1h")
        assert candles.choose_price([head("a", "5m", age=MINUTE), hour], NOON) == hour

    def test_takes_the_primary_source_whatever_is_fresher(self):
        primary = head("b", age=9 * MINUTE)
        assert candles.choose_price([head("a"), primary], NOON, "b") == primary

    def test_asks_no_other_source_when_the_primary_one_has_nothing(self):
        assert candles.choose_price([head("a")], NOON, "b") is None
        assert candles.choose_price([head("a"), head("b", age=HOUR)], NOON, "b") is None

    def test_takes_the_finest_granularity(self):
        fine = head(granularity="1m")
        assert candles.choose_price([head(granularity="1h"), fine], NOON) == fine

    def test_takes_a_coarser_one_when_the_finer_has_nothing_around_the_moment(self):
        coarse = head(granularity="1h", age=30 * MINUTE)
        stale = head(granularity="5m", age=11 * MINUTE)
        assert candles.choose_price([stale, coarse], NOON) == coarse

    @pytest.mark.parametrize(
        ("granularity", "tolerance"),
        [("1m", 10 * MINUTE), ("5m", 10 * MINUTE), ("15m", 30 * MINUTE), ("1d", 2 * DAY)],
    )
    def test_tolerates_two_intervals_or_ten_minutes(self, granularity, tolerance):
        just = head(granularity=granularity, age=tolerance)
        late = head(granularity=granularity, age=tolerance + timedelta(microseconds=1))
        assert candles.choose_price([just], NOON) == just
        assert candles.choose_price([late], NOON) is None


@st.composite
def series(draw, granularity="5m"):
    steps = draw(st.lists(st.integers(0, 2000), min_size=1, max_size=40, unique=True).map(sorted))
    rows = []
    for step in steps:
        low, opened, closed, high = sorted(
            draw(st.lists(st.decimals("0.01", 1000, places=8), min_size=4, max_size=4))
        )
        volume = draw(st.decimals(0, 10**19, places=18))
        start = NOON + step * candles.width(granularity)
        rows.append(CandleValues(start, opened, high, low, closed, volume))
    return rows


class TestResample:
    def test_takes_open_of_the_first_and_close_of_the_last(self):
        first = CandleValues(NOON, *map(Decimal, (10, 12, 9, 11, 1)))
        second = CandleValues(NOON + 5 * MINUTE, *map(Decimal, (11, 15, 8, 14, 2)))

        assert candles.resample([first, second], "15m") == [
            CandleValues(NOON, *map(Decimal, (10, 15, 8, 14, 3)))
        ]

    def test_leaves_empty_intervals_empty(self):
        rows = [
            CandleValues(NOON + hours * HOUR, *map(Decimal, (1, 1, 1, 1, 1))) for hours in (0, 3)
        ]

        assert [row.timestamp for row in candles.resample(rows, "1h")] == [NOON, NOON + 3 * HOUR]

    def test_refuses_what_does_not_add_up(self):
        with pytest.raises(ValueError, match="3m do not add up to 5m"):
            candles.resample([], "5m", granularity="3m")

    @given(series())
    def test_is_the_same_by_way_of_a_granularity_between(self, rows):
        by_way = candles.resample(candles.resample(rows, "1h"), "1d")

        assert by_way == candles.resample(rows, "1d")

    @given(series())
    def test_to_its_own_granularity_changes_nothing(self, rows):
        assert candles.resample(rows, "5m") == rows

    @given(series(), st.sampled_from(["15m", "1h", "4h", "1d", "1w"]))
    def test_keeps_extremes_and_every_bit_of_volume(self, rows, to):
        merged = candles.resample(rows, to)

        assert max(row.high for row in merged) == max(row.high for row in rows)
        assert min(row.low for row in merged) == min(row.low for row in rows)
        assert sum(map(fraction, merged)) == sum(map(fraction, rows))
        assert all(candles.is_aligned(row.timestamp, to) for row in merged)


def fraction(row):
    return Fraction(row.volume)


class TestFindGaps:
    def test_names_the_first_missing_and_the_first_present(self):
        starts = [NOON, NOON + 5 * MINUTE, NOON + 20 * MINUTE]

        assert candles.find_gaps(starts, "5m") == [
            Gap(NOON + 10 * MINUTE, NOON + 20 * MINUTE, missing=2)
        ]

    @given(st.sets(st.integers(0, 60), min_size=1))
    def test_counts_exactly_what_is_missing_between_the_ends(self, present):
        starts = [NOON + step * MINUTE for step in sorted(present)]
        missing = {
            NOON + step * MINUTE
            for step in range(min(present), max(present))
            if step not in present
        }

        gaps = candles.find_gaps(starts, "1m")

        named = [gap.start + step * MINUTE for gap in gaps for step in range(gap.missing)]
        assert len(named) == len(missing)
        assert set(named) == missing
        assert all(gap.end - gap.start == gap.missing * MINUTE for gap in gaps)
