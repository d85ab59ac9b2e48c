"""Planning runs: one at a time for each dataset, every night for each policy in force."""

from datetime import timedelta

import pytest

from apps.executions.choices import ExecutionStatus
from apps.executions.models import Execution
from apps.retention.models import RetentionPolicy
from apps.retention.services.policies import ForbiddenPolicy, ensure_policies
from apps.retention.services.runs import (
    RUNNER,
    HeldPolicy,
    plan_nightly,
    plan_retention,
    run_under_way,
)
from apps.shared.errors import Conflict
from apps.shared.retention.datasets import UnknownDataset, datasets
from tests.retention.trades import NOW
from tests.threads import at_once

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def policies(db):
    ensure_policies(now=NOW)


def plan(dataset="trades"):
    return plan_retention(dataset=dataset, by="ada", now=NOW)


def write(dataset, **values):
    RetentionPolicy.objects.filter(dataset=dataset).update(**values)


class TestOneRun:
    def test_is_an_execution_with_a_step_for_each_stage(self):
        run = plan()

        assert (run.execution_type, run.runner) == ("RETENTION", RUNNER)
        assert (run.status, run.triggered_by) == (ExecutionStatus.PENDING, "ada")
        assert list(run.steps.order_by("stage").values_list("step_name", flat=True)) == [
            "plan",
            "archive",
            "delete",
            "count",
        ]

    def test_says_by_what_it_was_planned(self):
        assert plan().metadata == {
            "dataset": "trades",
            "policy": {
                "age_days": 90,
                "time_column": "exit_time",
                "exemptions": ["live", "open", "open_orders"],
                "archive": True,
            },
            "planned_at": NOW.isoformat(),
            "cutoff": (NOW - timedelta(days=90)).isoformat(),
        }

    def test_archives_nothing_where_the_policy_says_so(self):
        assert not plan("api_cache").steps.filter(step_name="archive").exists()

    def test_may_be_of_a_policy_that_is_off(self):
        write("trades", enabled=False)

        assert plan().status == ExecutionStatus.PENDING

    def test_makes_the_policy_where_there_is_none(self):
        RetentionPolicy.objects.all().delete()
        plan()

        assert RetentionPolicy.objects.filter(dataset="trades").exists()

    def test_is_refused_while_another_one_is_under_way(self):
        first = plan()

        with pytest.raises(Conflict, match=first.pk):
            plan()
        assert run_under_way("trades") == first
        plan("features")

    def test_may_follow_one_that_has_ended(self):
        first = plan()
        Execution.objects.filter(pk=first.pk).update(status="CANCELLED", timestamp_end=NOW)

        assert plan().pk != first.pk

    def test_is_refused_while_the_policy_is_held(self):
        write("trades", held_until=NOW + timedelta(days=7))

        with pytest.raises(HeldPolicy, match="2026-07-08 03:30 UTC: rows were restored"):
            plan()

    def test_is_refused_by_name_for_a_policy_that_touches_what_stays(self):
        write("trades", exemptions=["open", "open_orders"])

        with pytest.raises(ForbiddenPolicy, match="Live trades are never deleted"):
            plan()
        with pytest.raises(UnknownDataset):
            plan("tea")
        assert not Execution.objects.exists()

    @pytest.mark.django_db(transaction=True)
    def test_is_one_however_many_ask_at_once(self):
        def ask():
            try:
                return plan().pk
            except Conflict:
                return None

        asked = at_once([ask] * 4)

        assert len([each for each in asked if each]) == 1
        assert Execution.objects.count() == 1


class TestEveryNight:
    def test_plans_what_is_in_force(self):
        write("trades", held_until=NOW + timedelta(hours=1))
        write("features", enabled=False)
        write("predictions", held_until=NOW)
        planned = {run.metadata["dataset"] for run in plan_nightly(now=NOW)}

        on = {each.name for each in datasets() if each.enabled}
        assert planned == on - {"trades", "features"}

    def test_leaves_out_what_is_under_way(self):
        plan()

        assert "trades" not in [run.metadata["dataset"] for run in plan_nightly(now=NOW)]
        assert plan_nightly(now=NOW) == []

    def test_plans_what_is_forbidden_too_so_that_its_run_says_why(self):
        write("trades", exemptions=[])
        runs = {run.metadata["dataset"]: run for run in plan_nightly(now=NOW)}

        assert runs["trades"].metadata["cutoff"] is None
        assert len(runs) == len([each for each in datasets() if each.enabled])

    def test_leaves_out_what_no_app_declares(self):
        RetentionPolicy.objects.create(dataset="tea", age_days=0, time_column="at")

        assert "tea" not in [run.metadata["dataset"] for run in plan_nightly(now=NOW)]

    def test_keeps_the_order_in_which_what_others_cite_comes_first(self):
        names = [run.metadata["dataset"] for run in plan_nightly(now=NOW)]

        assert names == [each.name for each in datasets() if each.enabled]
