"""How long things took is told, and told without getting in their way."""

import time

import pytest
from billiard.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded
from celery import shared_task
from celery.exceptions import Ignore
from celery.signals import task_failure

from apps.logs import timing
from apps.logs.timing import timed
from apps.shared.correlation import correlation_id
from config.celery import HEADER


@shared_task(name="tests.run_task")
def run_task(kind: str) -> str:
    """Return the id it runs under, or raise."""
    errors = {
        "refused": ValueError("no"),
        "slow": SoftTimeLimitExceeded(),
        "ignored": Ignore(),
    }
    if kind in errors:
        raise errors[kind]
    return correlation_id.get()


@pytest.fixture
def rows(monkeypatch):
    rows = []

    class Kept:
        def put(self, table, values):
            assert table == "PerformanceLog"
            rows.append(values)

    monkeypatch.setattr(timing, "writer", Kept())
    return rows


class TestTimed:
    def test_tells_of_a_block(self, rows):
        token = correlation_id.set("cause-1")
        try:
            with timed("get_features", component="features"):
                time.sleep(0.02)
        finally:
            correlation_id.reset(token)

        (row,) = rows
        assert (row["operation_name"], row["component"]) == ("get_features", "features")
        assert (row["status"], row["correlation_id"]) == ("success", "cause-1")
        assert row["duration_ms"] >= 20
        assert row["memory_usage_mb"] > 1
        assert 0 <= row["cpu_usage_percent"] < 100

    def test_tells_of_each_call_of_a_function(self, rows):
        @timed("double")
        def double(number: int) -> int:
            """Return twice the number."""
            return 2 * number

        assert [double(number) for number in (1, 2)] == [2, 4]
        assert [row["operation_name"] for row in rows] == ["double", "double"]
        assert (double.__name__, double.__doc__) == ("double", "Return twice the number.")

    def test_keeps_the_calls_of_a_function_that_calls_itself_apart(self, rows):
        @timed("countdown")
        def countdown(number: int) -> None:
            if number:
                countdown(number - 1)

        countdown(3)

        durations = [row["duration_ms"] for row in rows]
        assert len(durations) == 4
        assert durations == sorted(durations)

    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (ValueError("no"), "error"),
            (KeyboardInterrupt(), "error"),
            (TimeoutError(), "timeout"),
            (SoftTimeLimitExceeded(), "timeout"),
        ],
    )
    def test_lets_through_what_is_raised_and_says_how_it_ended(self, rows, error, status):
        with pytest.raises(type(error)) as raised, timed("get_features"):
            raise error

        assert raised.value is error
        assert rows[0]["status"] == status
        assert rows[0]["metadata"] == {"error": type(error).__qualname__}

    def test_says_nothing_of_the_share_of_a_moment(self, rows):
        with timed("nothing"):
            pass

        assert rows[0]["cpu_usage_percent"] is None

    def test_refuses_what_it_cannot_time(self):
        async def later() -> None: ...

        with pytest.raises(TypeError):
            timed("later")(later)


class TestTask:
    def test_leaves_a_row_under_the_id_it_came_with(self, rows):
        assert run_task.apply(["fine"], headers={HEADER: "cause-2"}).get()

        (row,) = rows
        assert (row["operation_name"], row["component"]) == ("tests.run_task", "celery")
        assert row["status"] == "success"
        assert row["correlation_id"]
        assert row["duration_ms"] > 0
        assert correlation_id.get() == ""

    @pytest.mark.parametrize(
        ("kind", "status"), [("refused", "error"), ("slow", "timeout"), ("ignored", "success")]
    )
    def test_says_how_it_ended(self, rows, kind, status):
        run_task.apply([kind])

        assert [row["status"] for row in rows] == [status]

    def test_that_was_killed_is_told_by_the_parent(self, rows):
        task_failure.send(sender=run_task, exception=TimeLimitExceeded(150))

        (row,) = rows
        assert (row["operation_name"], row["status"]) == ("tests.run_task", "timeout")
        assert row["duration_ms"] == 150_000
