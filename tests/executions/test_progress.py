"""How far a run is, counted from what it has gone through."""

from decimal import Decimal

import pytest

from apps.executions.choices import ExecutionStatus
from apps.executions.domain.progress import (
    capped,
    final_percentage,
    joined,
    percentage,
    running_percentage,
    shortened,
    tally,
)


def counted(steps=(), completed=(), total=0):
    return tally(steps, completed_tasks=completed, total_tasks=total)


class TestTally:
    def test_counts_a_step_and_a_completed_task_of_one_name_once(self):
        found = counted([("fetch", "SUCCESS")], ["fetch", "save"], 4)

        assert (found.succeeded, found.gone_through, found.tasks) == (2, 2, 4)

    def test_believes_the_step_where_both_speak(self):
        found = counted([("fetch", "FAILED_INSUFFICIENT_DATA")], ["fetch"], 1)

        assert (found.succeeded, found.failed) == (0, 1)

    def test_leaves_out_what_waits_runs_or_was_cancelled(self):
        steps = [("a", "PENDING"), ("b", "RUNNING"), ("c", "CANCELLED"), ("d", "SKIPPED")]
        found = counted(steps, (), 4)

        assert (found.gone_through, found.skipped, found.expected) == (1, 1, 3)

    def test_knows_of_more_tasks_than_were_announced(self):
        assert counted([("a", "SUCCESS"), ("b", "PENDING"), ("c", "PENDING")], (), 2).tasks == 3


class TestPercentage:
    @pytest.mark.parametrize(
        ("done", "total", "shown"),
        [(0, 4, "0"), (1, 4, "25"), (1, 3, "33.33"), (2, 3, "66.66"), (4, 4, "100")],
    )
    def test_is_the_share_of_what_is_over(self, done, total, shown):
        completed = [f"task {number}" for number in range(done)]

        assert percentage(counted((), completed, total)) == Decimal(shown)

    def test_is_nothing_where_nobody_said_how_many_there_are(self):
        assert percentage(counted([("a", "SUCCESS")])) == 0

    def test_never_falls_while_running(self):
        assert running_percentage(Decimal(50), counted((), ["a"], 10)) == 50

    def test_is_never_whole_while_running(self):
        assert running_percentage(Decimal(0), counted((), ["a"], 1)) == 99

    def test_is_whole_for_what_is_complete(self):
        assert final_percentage(ExecutionStatus.COMPLETED, Decimal(0), counted()) == 100

    def test_is_whole_for_what_went_through_everything_and_failed_in_part(self):
        found = counted([("a", "FAILED"), ("b", "SUCCESS")], (), 2)

        assert final_percentage(ExecutionStatus.PARTIAL_SUCCESS, Decimal(99), found) == 100

    def test_says_how_much_was_left_out(self):
        found = counted((), ["a"], 4)

        assert final_percentage(ExecutionStatus.PARTIAL_SUCCESS, Decimal(25), found) == 25

    @pytest.mark.parametrize("status", [ExecutionStatus.FAILED, ExecutionStatus.CANCELLED])
    def test_is_never_whole_for_what_was_broken_off(self, status):
        assert final_percentage(status, Decimal(0), counted((), ["a"], 1)) == 99


class TestLists:
    def test_names_come_once_and_in_their_order(self):
        assert joined(["b", "a"], ["a", "c", "c"]) == ["b", "a", "c"]

    def test_of_very_many_errors_the_first_and_the_last_are_listed(self):
        errors = [{"n": number} for number in range(500)]

        kept = capped(errors)

        assert kept == errors[:100] + errors[-100:]
        assert capped(errors[:200]) == errors[:200]

    def test_a_list_that_grows_one_by_one_keeps_the_same(self):
        kept = []
        for number in range(500):
            kept = capped([*kept, number])

        assert kept == [*range(100), *range(400, 500)]

    def test_a_long_text_loses_its_middle(self):
        text = "first line" + "x" * 1000 + "last line"

        cut = shortened(text, 100)

        assert len(cut) == 100
        assert cut.startswith("first line")
        assert cut.endswith("last line")
        assert shortened("short", 100) == "short"
