"""How often points usually come, and what is called a gap."""

from datetime import UTC, datetime, timedelta

import pytest

from apps.market.domain.series import SeriesGap, find_gaps, overdue, usual_distance

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def at(*hours: float) -> list[datetime]:
    return [START + each * HOUR for each in hours]


class TestUsualDistance:
    def test_is_the_distance_that_most_points_keep(self):
        assert usual_distance(at(0, 1, 2, 3)) == HOUR

    def test_is_moved_by_neither_holes_nor_bursts(self):
        holes = at(0, 1, 2, 50, 51, 52, 300, 301, 302, 303)
        bursts = at(0, 1, 1.01, 1.02, 2, 3, 4, 5, 5.01, 6)

        assert usual_distance(holes) == HOUR
        assert abs(usual_distance(bursts) - HOUR) < timedelta(minutes=1)

    def test_bears_that_fetches_are_a_little_late(self):
        late = at(0, 1.1, 2.0, 3.05, 4.2, 5.0)

        assert abs(usual_distance(late) - HOUR) < timedelta(minutes=10)

    @pytest.mark.parametrize("points", [at(), at(0), at(0, 1), at(0, 1, 2)])
    def test_is_not_known_of_a_handful_of_points(self, points):
        assert usual_distance(points) is None

    def test_is_not_known_of_points_at_one_moment(self):
        assert usual_distance(at(0, 0, 0, 0, 5)) is None


class TestGaps:
    def test_name_the_points_at_their_ends_and_how_many_are_missing(self):
        assert find_gaps(at(0, 1, 4, 5, 7), HOUR) == [
            SeriesGap(START + HOUR, START + 4 * HOUR, 2),
            SeriesGap(START + 5 * HOUR, START + 7 * HOUR, 1),
        ]

    def test_begin_beyond_one_and_a_half_of_the_usual_distance(self):
        assert find_gaps(at(0, 1.5), HOUR) == []
        assert [gap.missing for gap in find_gaps(at(0, 1.51), HOUR)] == [1]

    def test_are_none_where_nothing_is_expected(self):
        assert find_gaps(at(0, 100), None) == []
        assert find_gaps(at(0), HOUR) == find_gaps(at(), HOUR) == []


class TestOverdue:
    def test_says_since_when_nothing_came(self):
        assert overdue(START, HOUR, START + 2 * HOUR) == 2 * HOUR

    def test_waits_as_long_as_for_a_gap(self):
        assert overdue(START, HOUR, START + 1.5 * HOUR) is None

    def test_expects_nothing_without_a_usual_distance(self):
        assert overdue(START, None, START + 900 * HOUR) is None
