"""Models that are registered, and since when each has had its status."""

import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.analysis.models import MLModel, ModelStatusChange
from apps.analysis.services.registry import (
    active_models,
    note_status_changes,
    register_models,
    replace_models,
)

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass(slots=True)
class Sent:
    """A model as a program sends it."""

    model_id: str = "lstm_v1"
    name: str = "lstm"
    version: str = "1.0"
    model_type: str = "LSTM"
    parameters: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    file_path: str = ""
    status: str = "candidate"


def register(now=NOON, **values):
    return register_models([Sent(**values)], by="trainer", now=now)


def put(now, **values):
    return replace_models([Sent(**values)], by="staff", now=now)


def history(model_id="lstm_v1"):
    found = ModelStatusChange.objects.filter(model_id=model_id).order_by("since", "id")
    return list(found.values_list("status", "since", "changed_by"))


class TestTheHistoryOfStatuses:
    def test_begins_with_the_registration(self):
        register()

        assert history() == [("candidate", NOON, "trainer")]

    def test_gains_a_row_by_every_change(self):
        register()
        put(NOON + HOUR, status="active")
        put(NOON + 2 * HOUR, status="retired")

        assert history() == [
            ("candidate", NOON, "trainer"),
            ("active", NOON + HOUR, "staff"),
            ("retired", NOON + 2 * HOUR, "staff"),
        ]

    def test_gains_none_without_a_change(self):
        register()
        register(NOON + HOUR)
        put(NOON + HOUR, metrics={"accuracy": 0.5})

        assert history() == [("candidate", NOON, "trainer")]

    def test_gains_none_by_what_is_refused(self):
        register()
        outcome = register(NOON + HOUR, status="active")

        assert [error.pointer for error in outcome.results[0].errors] == ["/status"]
        assert history() == [("candidate", NOON, "trainer")]

    def test_runs_forward_even_where_clocks_do_not(self):
        register()
        put(NOON - HOUR, status="active")

        assert [since for _, since, _ in history()] == [NOON, NOON]
        assert [each.model_id for each in active_models(at=NOON)] == ["lstm_v1"]

    def test_is_made_whole_again_for_a_row_written_otherwise(self):
        register()
        MLModel.objects.update(status="deprecated")

        assert note_status_changes(["lstm_v1"], by="someone", now=NOON + HOUR) == 1
        assert note_status_changes(["lstm_v1"], by="someone", now=NOON + HOUR) == 0
        assert history()[-1] == ("deprecated", NOON + HOUR, "someone")

    def test_costs_the_same_queries_for_one_and_for_many(self):
        with CaptureQueriesContext(connection) as for_one:
            register()
        rows = [replace(Sent(), model_id=f"m{number}") for number in range(50)]
        with CaptureQueriesContext(connection) as for_many:
            register_models(rows, by="trainer", now=NOON)

        assert len(for_many) == len(for_one)
        assert ModelStatusChange.objects.count() == 51


@pytest.mark.django_db(transaction=True)
def test_changes_at_once_leave_a_history_without_doubles():
    register()
    failures, start = [], threading.Barrier(4)

    def work(number):
        try:
            start.wait()
            for turn in range(10):
                put(NOON + turn * HOUR, status=["active", "deprecated"][(turn + number) % 2])
        except Exception as error:  # noqa: BLE001 - carried over to the test's own thread
            failures.append(error)
        finally:
            connection.close()

    workers = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    statuses = [status for status, _, _ in history()]
    assert failures == []
    assert all(one != next_ for one, next_ in pairwise(statuses))
    assert statuses[-1] == MLModel.objects.get().status


class TestActiveModels:
    @pytest.fixture(autouse=True)
    def _models(self):
        register(status="active")
        register(model_id="lstm_v2", version="2.0")
        put(NOON + HOUR, model_id="lstm_v2", version="2.0", status="active")
        put(NOON + 2 * HOUR, status="retired")
        register(model_id="gru_v1", name="gru", status="active")

    def at(self, moment, **asked):
        return [(each.model_id, each.since) for each in active_models(at=moment, **asked)]

    @pytest.mark.parametrize(
        ("hours", "expected"),
        [
            (-1, []),
            (0, [("lstm_v1", 0)]),
            (1, [("lstm_v1", 0), ("lstm_v2", 1)]),
            (2, [("lstm_v2", 1)]),
            (999, [("lstm_v2", 1)]),
        ],
    )
    def test_are_those_whose_last_status_then_was_active(self, hours, expected):
        found = self.at(NOON + hours * HOUR, name="lstm")

        assert found == [(name, NOON + since * HOUR) for name, since in expected]

    def test_come_by_name(self):
        assert [name for name, _ in self.at(NOON + HOUR)] == ["gru_v1", "lstm_v1", "lstm_v2"]

    def test_carry_the_last_time_they_became_active(self):
        put(NOON + 3 * HOUR, status="active")

        assert self.at(NOON + 4 * HOUR, name="lstm")[1] == ("lstm_v1", NOON + 3 * HOUR)
