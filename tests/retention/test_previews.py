"""The dry run: what would leave and what stays, also of a policy that is off."""

import json

import pytest

from apps.bots.models import Trade
from apps.retention.models import RetentionPolicy
from apps.retention.services.policies import ForbiddenPolicy, change_policy, ensure_policies
from apps.retention.services.previews import all_rows, preview, preview_all, told
from apps.shared.retention.datasets import UnknownDataset, datasets
from tests.factories import make_trade
from tests.retention.trades import NOW, make_trees

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def policies():
    ensure_policies(now=NOW)


def test_counts_what_leaves_and_why_the_rest_stays():
    make_trees(3)
    make_trade(closed=True)

    found = preview(dataset="trades", now=NOW)

    assert (found.old, found.rows) == (4, 3)
    assert sum(found.dependents.values()) == 12
    assert {each.name: each.rows for each in found.exempt if each.rows} == {"live": 1}
    assert Trade.objects.count() == 10


def test_counts_by_the_policy_as_staff_changed_it():
    make_trees(1)
    policy = RetentionPolicy.objects.get(dataset="trades")
    change_policy(policy=policy, changes={"age_days": 365}, by="ada", now=NOW)

    assert preview(dataset="trades", now=NOW).rows == 0


def test_counts_also_what_is_off_and_what_has_no_row_yet():
    make_trees(1)
    RetentionPolicy.objects.filter(dataset="trades").update(enabled=False)
    assert preview(dataset="trades", now=NOW).rows == 1

    RetentionPolicy.objects.all().delete()
    assert preview(dataset="trades", now=NOW).rows == 1


def test_of_all_is_in_the_order_in_which_they_run():
    assert [each.dataset for each in preview_all(now=NOW)] == [each.name for each in datasets()]


def test_of_all_leaves_out_what_is_forbidden():
    RetentionPolicy.objects.filter(dataset="trades").update(exemptions=[])

    assert "trades" not in [each.dataset for each in preview_all(now=NOW)]
    with pytest.raises(ForbiddenPolicy, match="Live trades are never deleted"):
        preview(dataset="trades", now=NOW)


def test_knows_no_other_dataset():
    with pytest.raises(UnknownDataset):
        preview(dataset="tea", now=NOW)


def test_is_told_in_what_json_can_hold():
    make_trees(2)
    kept = json.loads(json.dumps(told(preview(dataset="trades", now=NOW))))

    assert (kept["rows"], all_rows(kept)) == (2, 10)
    assert kept["cutoff"].startswith("2026-04-02")
    assert kept["exempt"][0]["name"] == "live"
