"""Ticks of the executions app."""

import pytest
from django.utils import timezone

from apps.executions import tasks
from apps.executions.models import Watch
from apps.executions.services.work import PlannedStep, plan_run


@pytest.mark.django_db
def test_a_tick_looks_and_wakes_those_who_have_work(monkeypatch):
    woken = []
    monkeypatch.setattr(tasks, "wake", woken.append)
    plan_run(
        execution_type="OURS", runner="tests.run", steps=[PlannedStep("a")], now=timezone.now()
    )

    assert tasks.watch_executions() == ["tests.run"]
    assert tasks.watch_executions() == ["tests.run"]
    assert woken == ["tests.run", "tests.run"]
    assert Watch.objects.get().name == "executions"
