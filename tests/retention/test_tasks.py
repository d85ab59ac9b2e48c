"""What retention does by the clock."""

import pytest

from apps.executions.models import Execution
from apps.retention import tasks
from apps.retention.services import stepping
from apps.retention.services.policies import ensure_policies
from apps.retention.services.runs import RUNNER
from tests.retention.trades import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def woken(monkeypatch):
    names = []
    monkeypatch.setattr(tasks, "wake", names.append)
    return names


def test_every_night_plans_the_policies(woken):
    ensure_policies(now=NOW)

    assert tasks.retain() == Execution.objects.filter(execution_type="RETENTION").count() > 10


def test_the_runner_is_the_task_of_this_name():
    assert tasks.run_retention.name == RUNNER


@pytest.mark.parametrize(("done", "asked"), [(2, [RUNNER]), (0, [])])
def test_work_goes_on_while_there_is_any(done, asked, woken, monkeypatch):
    monkeypatch.setattr(stepping, "work", lambda **values: done)

    assert tasks.run_retention() == done
    assert woken == asked
