"""Policies: made by the code, changed by staff on the record, refused by name."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError

from apps.retention.models import PolicyChange, RetentionPolicy
from apps.retention.services.policies import (
    ForbiddenPolicy,
    RefusedPolicy,
    change_policy,
    ensure_policies,
    policy_of,
    problems,
    rule_of,
)
from apps.shared.retention.datasets import UnknownDataset, dataset, datasets

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 7, 1, 3, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def policies():
    ensure_policies(now=NOW)


def of(name="trades"):
    return RetentionPolicy.objects.get(dataset=name)


def change(name="trades", **changes):
    return change_policy(policy=of(name), changes=changes, by="ada", now=NOW)


def write(name="trades", **values):
    """Write a policy as SQL would, past everything that looks at it."""
    RetentionPolicy.objects.filter(dataset=name).update(**values)


class TestEnsuring:
    def test_makes_one_for_each_dataset_as_the_code_proposes_it(self):
        assert {each.dataset for each in RetentionPolicy.objects.all()} == {
            each.name for each in datasets()
        }
        trades = of()
        assert (trades.age_days, trades.time_column, trades.enabled) == (90, "exit_time", True)
        assert trades.exemptions == ["live", "open", "open_orders"]
        assert not of("alerts").enabled
        assert not of("api_cache").archive

    def test_tells_who_made_it(self):
        (made,) = PolicyChange.objects.filter(policy=of())
        assert (made.changed_by, made.before) == ("SETUP", {})
        assert made.after["age_days"] == 90

    def test_leaves_what_staff_changed(self):
        change(age_days=365, enabled=False)

        assert ensure_policies(now=NOW) == 0
        assert (of().age_days, of().enabled) == (365, False)

    def test_makes_one_that_is_missing(self):
        of("features").delete()

        assert ensure_policies(now=NOW) == 1

    def test_leaves_one_whose_dataset_is_gone_and_never_applies_it(self):
        gone = RetentionPolicy.objects.create(dataset="tea", age_days=1, time_column="at")
        ensure_policies(now=NOW)

        assert RetentionPolicy.objects.filter(pk=gone.pk).exists()
        with pytest.raises(UnknownDataset):
            rule_of(gone)


class TestEveryDefault:
    @pytest.mark.parametrize("name", [each.name for each in datasets()])
    def test_can_be_applied(self, name):
        rule = rule_of(policy_of(name))

        assert rule.dataset is dataset(name)
        assert rule.age == timedelta(days=rule.dataset.age_days)


class TestChanging:
    def test_is_recorded_with_what_it_was_and_became(self):
        changed = change(age_days=120, enabled=False)

        assert (changed.age_days, changed.enabled) == (120, False)
        (record,) = PolicyChange.objects.filter(changed_by="ada")
        assert record.before == {"age_days": 90, "enabled": True}
        assert record.after == {"age_days": 120, "enabled": False}
        assert record.changed_at == NOW

    def test_is_not_recorded_where_nothing_changes(self):
        change(age_days=90, exemptions=["open_orders", "open", "live", "live"])

        assert not PolicyChange.objects.filter(changed_by="ada").exists()

    def test_may_leave_rows_that_others_cite_unsaid(self):
        citation = dataset("executions").mandatory[-1]
        changed = change("executions", exemptions=["running", citation.name])

        assert citation.name.startswith("cited_by_")
        assert changed.exemptions == ["running"]
        assert citation in rule_of(changed).holding

    def test_lifts_what_may_be_lifted(self):
        assert "unseen" in rule_of(of("notifications")).exemptions

        changed = change("notifications", exemptions=[])

        assert "unseen" not in [each.name for each in rule_of(changed).holding]

    def test_clears_a_hold_and_sets_none(self):
        write(held_until=NOW + timedelta(days=3))

        with pytest.raises(RefusedPolicy, match="Can only be cleared"):
            change(held_until=NOW)
        assert change(held_until=None).held_until is None

    @pytest.mark.parametrize(
        ("changes", "field", "words"),
        [
            ({"age_days": -1}, "/age_days", "from 31 to 36,525 days"),
            ({"age_days": 40_000}, "/age_days", "from 31 to 36,525 days"),
            ({"age_days": "90"}, "/age_days", "whole number"),
            ({"age_days": True}, "/age_days", "whole number"),
            ({"time_column": "entry_time"}, "/time_column", "Must be one of: exit_time"),
            ({"exemptions": ["open", "open_orders"]}, "/exemptions", "Live trades are never"),
            ({"exemptions": []}, "/exemptions", "Trades with open orders are never deleted"),
            (
                {"exemptions": ["live", "open", "open_orders", "mine"]},
                "/exemptions",
                "Unknown: mine",
            ),
            ({"exemptions": "live"}, "/exemptions", "list of names"),
            ({"enabled": "yes"}, "/enabled", "true or false"),
            ({"dataset": "orders"}, "/dataset", "Cannot be changed"),
            ({"last_rows": 1}, "/last_rows", "Cannot be changed"),
        ],
    )
    def test_refuses_by_name(self, changes, field, words):
        with pytest.raises(RefusedPolicy, match=words) as refused:
            change(**changes)

        assert [each.pointer for each in refused.value.errors] == [field]
        assert not PolicyChange.objects.filter(changed_by="ada").exists()

    def test_names_every_problem_of_a_policy(self):
        found = problems(dataset("trades"), -1, "tea", ["live"])

        assert sorted(found) == ["age_days", "exemptions", "time_column"]


class TestRowsThatOthersStillNeed:
    def test_may_not_leave_by_any_policy(self):
        with pytest.raises(RefusedPolicy, match="from 31 to"):
            change(age_days=30)

        assert change(age_days=31).age_days == 31

    def test_stay_where_the_policy_was_written_by_sql(self):
        write(age_days=0)

        with pytest.raises(ForbiddenPolicy, match="needed by others"):
            rule_of(of())


class TestWhatWasWrittenBehindTheCode:
    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"exemptions": ["open", "open_orders"]}, "Live trades are never deleted"),
            ({"exemptions": {"live": True}}, "list of names"),
            ({"time_column": "entry_time"}, "Must be one of"),
        ],
    )
    def test_is_refused_when_it_is_applied(self, values, words):
        write(**values)

        with pytest.raises(ForbiddenPolicy, match=words):
            rule_of(of())

    def test_a_negative_age_is_refused_by_the_database(self):
        with pytest.raises(IntegrityError, match="retention_policies"):
            write(age_days=-1)
