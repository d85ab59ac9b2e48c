"""When a run counts as lost or as stuck."""

from datetime import timedelta
from decimal import Decimal

import pytest

from apps.executions.domain.liveness import (
    awake_since,
    lost_after,
    patience,
    pause,
    stuck_after,
)
from tests.executions.rows import HOUR, MINUTE, NOON, SECOND

EARLIER = NOON - HOUR


class TestAwakeSince:
    def test_begins_with_the_first_look(self):
        assert awake_since(None, None, now=NOON) == NOON

    @pytest.mark.parametrize("gap", [timedelta(0), 15 * SECOND, 60 * SECOND])
    def test_lasts_while_the_looks_follow_each_other(self, gap):
        assert awake_since(NOON - gap, EARLIER, now=NOON) == EARLIER

    def test_begins_anew_after_a_gap(self):
        assert awake_since(NOON - 61 * SECOND, EARLIER, now=NOON) == NOON

    def test_is_not_moved_by_a_clock_that_goes_back(self):
        assert awake_since(NOON + MINUTE, EARLIER, now=NOON) == EARLIER


class TestDeadlines:
    def test_count_from_the_last_sign(self):
        assert lost_after(NOON, awake=EARLIER, lease=MINUTE) == NOON + MINUTE
        assert stuck_after(NOON, awake=EARLIER, patience=HOUR) == NOON + HOUR

    def test_count_from_when_somebody_was_there_to_hear_it(self):
        assert lost_after(EARLIER, awake=NOON, lease=MINUTE) == NOON + MINUTE
        assert stuck_after(EARLIER, awake=NOON, patience=HOUR) == NOON + HOUR


class TestPatience:
    def found(self, *pauses):
        return patience(list(map(Decimal, pauses)), times=3, otherwise=HOUR)

    def test_is_three_times_the_usual_pause(self):
        assert self.found(100, 200, 5000) == 600 * SECOND

    def test_takes_the_middle_of_an_even_number(self):
        assert self.found(100, 200, 300, 400) == 750 * SECOND

    def test_is_never_shorter_than_three_minutes(self):
        assert self.found(0, "0.5", 2) == 180 * SECOND

    def test_is_the_setting_where_too_little_is_known(self):
        assert self.found() == HOUR
        assert self.found(5, 5) == HOUR


class TestPause:
    def test_is_exact_to_the_microsecond(self):
        assert pause(NOON, now=NOON + timedelta(seconds=1, microseconds=1)) == Decimal("1.000001")

    def test_is_nothing_before_the_first_sign_or_for_a_late_one(self):
        assert pause(None, now=NOON) == 0
        assert pause(NOON + SECOND, now=NOON) == 0
