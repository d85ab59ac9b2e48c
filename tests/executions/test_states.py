"""Which state may follow which, and how a run has ended."""

import pytest

from apps.executions.choices import ExecutionStatus, StepStatus
from apps.executions.domain.states import (
    EXECUTION,
    FINAL,
    STEP_FAILED,
    STEP_FINAL,
    STEP_OPEN,
    final_status,
    sources,
    step_sources,
)

S = ExecutionStatus
ALLOWED = {
    (S.PENDING, S.RUNNING),
    (S.PENDING, S.FAILED),
    (S.PENDING, S.CANCELLED),
    (S.RUNNING, S.COMPLETED),
    (S.RUNNING, S.PARTIAL_SUCCESS),
    (S.RUNNING, S.FAILED),
    (S.RUNNING, S.CANCELLED),
}


class TestRuns:
    @pytest.mark.parametrize("before", S)
    @pytest.mark.parametrize("after", S)
    def test_go_only_where_the_table_says(self, before, after):
        assert (before in sources(after)) == ((before, after) in ALLOWED)

    def test_never_leave_a_final_state(self):
        assert {S.COMPLETED, S.PARTIAL_SUCCESS, S.FAILED, S.CANCELLED} == FINAL
        assert not FINAL & set(EXECUTION)
        assert all(not FINAL & sources(status) for status in S)


class TestSteps:
    def test_never_leave_a_final_state(self):
        assert all(not STEP_FINAL & step_sources(status) for status in StepStatus)

    def test_may_end_without_having_been_seen_to_begin(self):
        assert all(step_sources(status) == STEP_OPEN for status in STEP_FINAL)

    def test_do_not_go_back_to_waiting(self):
        assert not step_sources(StepStatus.PENDING)
        assert step_sources(StepStatus.RUNNING) == {StepStatus.PENDING}

    def test_fail_in_four_ways(self):
        assert len(STEP_FAILED) == 4
        assert STEP_FAILED <= STEP_FINAL


class TestTheEnd:
    @pytest.mark.parametrize(
        ("succeeded", "failed", "tasks", "outcome"),
        [
            (18, 0, 18, S.COMPLETED),
            (0, 0, 0, S.COMPLETED),
            (1, 17, 18, S.PARTIAL_SUCCESS),
            (0, 18, 18, S.FAILED),
            (17, 0, 18, S.PARTIAL_SUCCESS),
            (0, 0, 18, S.FAILED),
            (3, 1, 0, S.PARTIAL_SUCCESS),
        ],
    )
    def test_is_complete_only_when_everything_succeeded(self, succeeded, failed, tasks, outcome):
        assert final_status(S.COMPLETED, succeeded=succeeded, failed=failed, tasks=tasks) == outcome

    @pytest.mark.parametrize("word", [S.FAILED, S.CANCELLED, S.PARTIAL_SUCCESS])
    def test_is_taken_as_it_comes_where_it_is_not_praise(self, word):
        assert final_status(word, succeeded=18, failed=0, tasks=18) == word
