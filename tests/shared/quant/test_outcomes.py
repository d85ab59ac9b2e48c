"""The pure rules of judging a claim."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.shared.quant import outcomes
from apps.shared.quant.outcomes import LONG, SHORT, Bar, Claim, Quote, QuoteState, TouchKind

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
FIVE = timedelta(minutes=5)
HOUR = timedelta(hours=1)
HOURS = [1, 3, 24, 72]
THRESHOLDS = {24: Decimal(5), 72: Decimal(10)}

prices = st.decimals(min_value="0.00000100", max_value="1000", places=8)


def minutes(count):
    return timedelta(minutes=count)


def bar(start, close, high=None, low=None):
    close = Decimal(close)
    return Bar(start, Decimal(high or close), Decimal(low or close), close)


def closing_at(end, close, width=FIVE):
    return bar(end - width, close)


def quote(bars, moment, now=None, width=FIVE):
    return outcomes.quote_at(bars, moment, width=width, now=now or moment)


class TestChange:
    @pytest.mark.parametrize(
        ("direction", "price", "expected"),
        [(LONG, 106, 6), (SHORT, 106, -6), (LONG, 94, -6), (SHORT, 94, 6), (SHORT, 100, 0)],
    )
    def test_counts_in_favor_of_the_direction(self, direction, price, expected):
        assert outcomes.change_pct(direction, Decimal(price), Decimal(100)) == expected

    @given(prices, prices)
    def test_is_the_exact_fraction_rounded_half_to_even(self, price, entry):
        exact = (Fraction(price) - Fraction(entry)) / Fraction(entry) * 100

        found = outcomes.change_pct(LONG, price, entry)

        # round() of a Fraction is exact, and half to even.
        assert found == Decimal(round(exact * 10**8)).scaleb(-8)

    @pytest.mark.parametrize(
        ("price", "expected"),
        [
            ("100.000000005", "0"),
            ("100.000000015", "0.00000002"),
            ("100.000000025", "0.00000002"),
            ("99.999999985", "-0.00000002"),
        ],
    )
    def test_takes_a_tie_to_the_even_neighbor(self, price, expected):
        assert outcomes.change_pct(LONG, Decimal(price), Decimal(100)) == Decimal(expected)

    @given(prices, prices)
    def test_of_a_short_mirrors_that_of_a_long(self, price, entry):
        long = outcomes.change_pct(LONG, price, entry)

        assert outcomes.change_pct(SHORT, price, entry) == -long

    def test_is_undefined_where_no_column_could_hold_it(self):
        assert outcomes.change_pct(LONG, Decimal(10) ** 19, Decimal("1e-18")) is None

    def test_needs_an_entry_above_zero(self):
        with pytest.raises(ValueError, match="above zero"):
            outcomes.change_pct(LONG, Decimal(1), Decimal(0))


class TestQuote:
    def test_is_the_close_of_the_last_candle_known_by_then(self):
        bars = [closing_at(NOON - FIVE, 1), closing_at(NOON, 2), closing_at(NOON + FIVE, 3)]

        assert quote(bars, NOON + minutes(4), now=NOON + HOUR) == Quote(
            QuoteState.KNOWN, Decimal(2), NOON - FIVE
        )

    def test_never_uses_a_candle_that_ends_a_moment_later(self):
        bars = [closing_at(NOON - FIVE, 1), closing_at(NOON, 2)]
        moment = NOON - timedelta(microseconds=1)

        assert quote(bars, moment, now=NOON).price == 1

    def test_may_be_as_old_as_the_tolerance_and_no_older(self):
        bars = [closing_at(NOON, 1), closing_at(NOON + HOUR, 2)]
        later = NOON + 2 * HOUR

        assert quote(bars, NOON + minutes(10), now=later).state == QuoteState.KNOWN
        assert quote(bars, NOON + minutes(10.001), now=later).state == QuoteState.MISSING

    @pytest.mark.parametrize(("width", "tolerated"), [(1, 10), (5, 10), (15, 30), (1440, 2880)])
    def test_tolerates_two_candles_or_ten_minutes(self, width, tolerated):
        assert outcomes.tolerance(minutes(width)) == minutes(tolerated)

    def test_waits_while_no_newer_candle_is_known(self):
        bars = [closing_at(NOON, 1)]

        assert quote(bars, NOON + HOUR, now=NOON + 24 * HOUR).state == QuoteState.WAITS

    def test_waits_without_any_candle(self):
        assert quote([], NOON, now=NOON + 24 * HOUR).state == QuoteState.WAITS

    def test_is_missing_once_a_newer_candle_is_known(self):
        bars = [closing_at(NOON, 1), closing_at(NOON + 2 * HOUR, 2)]

        assert quote(bars, NOON + HOUR, now=NOON + minutes(119)).state == QuoteState.WAITS
        assert quote(bars, NOON + HOUR, now=NOON + 2 * HOUR).state == QuoteState.MISSING

    def test_before_its_moment_waits(self):
        assert quote([closing_at(NOON, 1)], NOON + FIVE, now=NOON).state == QuoteState.WAITS

    def test_waits_for_a_candle_that_may_still_be_on_its_way(self):
        bars, moment = [closing_at(NOON, 1)], NOON + minutes(7)

        assert quote(bars, moment).state == QuoteState.WAITS
        assert quote([*bars, closing_at(NOON + FIVE, 2)], moment).price == 2

    def test_waits_for_such_a_candle_no_longer_than_the_tolerance(self):
        bars, moment = [closing_at(NOON, 1)], NOON + minutes(7)

        assert quote(bars, moment, now=moment + minutes(10)).price == 1

    @given(st.permutations(range(12)), st.integers(0, 70))
    def test_does_not_depend_on_the_order_of_the_candles(self, order, offset):
        bars = [closing_at(NOON + index * FIVE, index + 1) for index in range(12)]
        moment = NOON + minutes(offset)

        assert quote([bars[index] for index in order], moment) == quote(bars, moment)

    @given(
        st.sets(st.integers(0, 60), max_size=30),
        st.integers(0, 300),
        st.lists(st.integers(0, 400), max_size=5),
    )
    def test_once_decided_stays_as_it_is(self, ends, offset, looks):
        """With candles that are stored as they close, looking early changes nothing."""
        bars = [closing_at(NOON + end * FIVE, end + 1) for end in ends]
        moment = NOON + minutes(offset)
        final = quote(bars, moment, now=NOON + 48 * HOUR)

        for look in looks:
            early = quote(bars, moment, now=NOON + minutes(look))
            assert early.state == QuoteState.WAITS or early == final


class TestExcursions:
    BARS = (bar(NOON, 100, 103, 98), bar(NOON + FIVE, 101, 104, 100))

    def test_of_a_long_reach_from_the_lowest_low_to_the_highest_high(self):
        assert outcomes.excursions(LONG, Decimal(100), self.BARS) == (4, -2)

    def test_of_a_short_are_mirrored(self):
        assert outcomes.excursions(SHORT, Decimal(100), self.BARS) == (2, -4)

    def test_may_both_lie_on_one_side(self):
        assert outcomes.excursions(LONG, Decimal(90), [bar(NOON, 99, 99, 99)]) == (10, 10)
        assert outcomes.excursions(LONG, Decimal(110), [bar(NOON, 99, 99, 99)]) == (-10, -10)

    def test_are_undefined_without_candles_or_entry(self):
        assert outcomes.excursions(LONG, Decimal(100), []) == (None, None)
        assert outcomes.excursions(LONG, None, self.BARS) == (None, None)


class TestWindow:
    def test_holds_whole_candles_only(self):
        bars = [bar(NOON + index * FIVE, 1) for index in range(-1, 13)]

        inside = outcomes.window(bars, NOON + minutes(1), NOON + HOUR, width=FIVE)

        assert inside[0].start == NOON + FIVE
        assert inside[-1].start == NOON + minutes(55)

    def test_holds_the_candle_that_starts_with_it(self):
        assert outcomes.window([bar(NOON, 1)], NOON, NOON + FIVE, width=FIVE)


class TestFirstTouch:
    TARGET, STOP = Decimal(110), Decimal(95)

    def touch(self, *bars, direction=LONG, target=TARGET, stop=STOP):
        return outcomes.first_touch(direction, target, stop, bars)

    def test_is_the_first_candle_that_reaches_the_target(self):
        found = self.touch(bar(NOON, 100), bar(NOON + FIVE, 100, 110, 99))

        assert found == (TouchKind.TARGET, NOON + FIVE)

    def test_is_the_stop_when_that_comes_first(self):
        found = self.touch(bar(NOON, 100, 101, 95), bar(NOON + FIVE, 100, 120, 99))

        assert found == (TouchKind.STOP, NOON)

    def test_of_both_in_one_candle_is_ambiguous(self):
        assert self.touch(bar(NOON, 100, 110, 95)) == (TouchKind.AMBIGUOUS, NOON)

    def test_is_none_where_neither_is_reached(self):
        assert self.touch(bar(NOON, 100, "109.99", "95.01")) == (TouchKind.NONE, None)

    def test_is_empty_without_target_and_stop(self):
        assert self.touch(bar(NOON, 100), target=None, stop=None) is None

    def test_of_a_short_looks_down_for_the_target(self):
        short = {"direction": SHORT, "target": Decimal(90), "stop": Decimal(105)}

        assert self.touch(bar(NOON, 100, 104, 90), **short).kind == TouchKind.TARGET
        assert self.touch(bar(NOON, 100, 105, 91), **short).kind == TouchKind.STOP
        assert self.touch(bar(NOON, 100, 105, 90), **short).kind == TouchKind.AMBIGUOUS

    @given(st.lists(st.tuples(st.integers(80, 120), st.integers(0, 20)), max_size=20))
    def test_of_a_long_is_that_of_a_short_in_a_mirror(self, moves):
        bars = [bar(NOON + i * FIVE, m, m + d, m - d) for i, (m, d) in enumerate(moves)]
        mirrored = [
            Bar(b.start, Decimal(200) - b.low, Decimal(200) - b.high, Decimal(200) - b.close)
            for b in bars
        ]

        long = outcomes.first_touch(LONG, Decimal(110), Decimal(92), bars)
        short = outcomes.first_touch(SHORT, Decimal(90), Decimal(108), mirrored)

        assert long == short


class TestSuccess:
    def success(self, after_24, after_72):
        quotes, changes = {}, {}
        for hours, change in ((24, after_24), (72, after_72)):
            if isinstance(change, QuoteState):
                quotes[hours] = Quote(change)
            else:
                quotes[hours] = Quote(QuoteState.KNOWN, Decimal(1), NOON)
                changes[hours] = Decimal(change)
        return outcomes.succeeded(quotes, changes, THRESHOLDS)

    @pytest.mark.parametrize(
        ("after_24", "after_72", "expected"),
        [
            ("6", "4", True),
            ("5", "-1", True),
            ("4.99999999", "10", True),
            ("4.99", "9.99", False),
            ("-6", "-6", False),
            (QuoteState.MISSING, "10", True),
            (QuoteState.MISSING, "9.99", False),
            ("4.99", QuoteState.MISSING, False),
            (QuoteState.MISSING, QuoteState.MISSING, None),
            ("4.99", QuoteState.WAITS, None),
            ("5", QuoteState.WAITS, True),
            (QuoteState.WAITS, QuoteState.WAITS, None),
            (QuoteState.MISSING, QuoteState.WAITS, None),
        ],
    )
    def test_is_known_as_soon_as_it_can_be_and_no_sooner(self, after_24, after_72, expected):
        assert self.success(after_24, after_72) is expected

    def test_is_undecided_when_no_checkpoint_decides_it(self):
        quotes = {1: Quote(QuoteState.KNOWN, Decimal(1), NOON)}

        assert outcomes.succeeded(quotes, {1: Decimal(50)}, THRESHOLDS) is None


class TestJudge:
    def judged(self, closes, direction=LONG, now=NOON + 100 * HOUR, **claim):
        bars = [closing_at(NOON + h * HOUR, close) for h, close in zip(HOURS, closes, strict=True)]
        return outcomes.judge(
            Claim(NOON, direction, Decimal(100), **claim),
            bars,
            width=FIVE,
            hours=HOURS,
            thresholds=THRESHOLDS,
            now=now,
        )

    def test_knows_the_answers_of_the_source(self):
        outcome = self.judged([101, 102, 106, 104])

        assert list(outcome.changes.values()) == [1, 2, 6, 4]
        assert outcome.at_checkpoints == (6, 1)
        assert outcome.success is True
        assert outcome.settled

    @pytest.mark.parametrize(
        ("closes", "direction", "expected"),
        [
            ([101, 102, "104.99", "109.99"], LONG, False),
            ([101, 102, "105.0", 100], LONG, True),
            ([101, 102, 100, "110.0"], LONG, True),
            ([101, 102, 106, 106], SHORT, False),
            ([99, 98, 95, 94], SHORT, True),
        ],
    )
    def test_decides_success_exactly_at_the_boundary(self, closes, direction, expected):
        assert self.judged(closes, direction).success is expected

    def test_stays_open_until_the_last_checkpoint(self):
        outcome = self.judged([101, 102, 106, 104], now=NOON + 71 * HOUR, target=Decimal(200))

        assert not outcome.settled
        assert outcome.touch is None
        assert outcome.success is True

    def test_takes_the_entry_from_the_candles_when_none_is_given(self):
        bars = [closing_at(NOON, 50), closing_at(NOON + HOUR, 55)]

        outcome = outcomes.judge(
            Claim(NOON, LONG), bars, width=FIVE, hours=[1], thresholds={}, now=NOON + 2 * HOUR
        )

        assert outcome.entry == 50
        assert outcome.changes == {1: 10}

    def test_is_undecided_without_any_entry(self):
        bars = [closing_at(NOON + HOUR, 55)]

        outcome = outcomes.judge(
            Claim(NOON, LONG),
            bars,
            width=FIVE,
            hours=[1],
            thresholds={1: Decimal(5)},
            now=NOON + 2 * HOUR,
        )

        assert outcome.entry_state == QuoteState.MISSING
        assert outcome.settled
        assert outcome.success is None


class TestChoosingTheSeries:
    def choose(self, *series):
        found = outcomes.choose_series(
            [
                outcomes.Series(source, minutes(width), [NOON + minutes(end) for end in ends])
                for source, width, ends in series
            ],
            NOON,
        )
        return found and (found.source, found.width // minutes(1))

    def test_takes_the_source_with_the_most_recent_candle(self):
        assert self.choose(("a", 5, [-5]), ("b", 60, [0])) == ("b", 60)

    def test_takes_the_finest_granularity_with_a_price(self):
        assert self.choose(("a", 60, [0]), ("a", 5, [-3]), ("a", 1, [-50])) == ("a", 5)

    def test_does_not_look_ahead(self):
        assert self.choose(("a", 5, [-5, 5]), ("b", 5, [-4])) == ("b", 5)

    def test_in_a_gap_takes_the_granularity_that_goes_on_first(self):
        assert self.choose(("a", 60, [-500, 120]), ("a", 5, [-300, 90])) == ("a", 5)

    def test_before_all_candles_takes_the_source_that_begins_first(self):
        assert self.choose(("a", 5, [60]), ("b", 5, [30])) == ("b", 5)

    def test_waits_behind_the_last_candle(self):
        assert self.choose(("a", 5, [-60])) is None
        assert self.choose() is None
