"""Retention over HTTP: read by keys, written by nobody."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from apps.retention.models import RetentionPolicy
from apps.retention.services.policies import ensure_policies
from tests.factories import make_archive, make_bot, make_key, make_policy_change, make_trade

pytestmark = pytest.mark.django_db

POLICIES = "/api/v1/retention/policies/"
CHANGES = "/api/v1/retention/policy-changes/"
ARCHIVES = "/api/v1/retention/archives/"


@pytest.fixture
def api():
    key = make_key(scopes=["retention:read"])
    return Client(headers={"Authorization": f"Bearer {key.text}"})


@pytest.fixture
def trades():
    ensure_policies(now=timezone.now())
    return RetentionPolicy.objects.get(dataset="trades")


def results(api, address, **query):
    answer = api.get(address, query)
    assert answer.status_code == 200, answer.content
    return answer.json()["results"]


class TestPolicies:
    def test_are_listed_by_dataset(self, api, trades):
        names = [each["dataset"] for each in results(api, POLICIES, limit="1000")]

        assert names == sorted(names)
        assert len(names) == RetentionPolicy.objects.count()

    def test_are_narrowed(self, api, trades):
        RetentionPolicy.objects.filter(pk=trades.pk).update(enabled=False, age_days=7)

        assert [each["id"] for each in results(api, POLICIES, dataset="trades")] == [trades.pk]
        assert trades.pk in [each["id"] for each in results(api, POLICIES, enabled="false")]
        assert trades.pk in [each["id"] for each in results(api, POLICIES, age_days_max="7")]

    def test_cannot_be_written(self, api, trades):
        for method in (api.post, api.put, api.patch, api.delete):
            assert method(f"{POLICIES}{trades.pk}/").status_code in {403, 405}


class TestPreview:
    def test_tells_what_would_leave_and_why_the_rest_stays(self, api, trades):
        left = timezone.now() - timedelta(days=200)
        times = {"entry_time": left - timedelta(hours=3), "exit_time": left}
        make_trade(bot=make_bot(type="paper"), closed=True, **times)
        make_trade(bot=make_bot(type="live"), closed=True, **times)

        told = api.get(f"{POLICIES}{trades.pk}/preview/").json()

        stay = {each["name"]: each["rows"] for each in told["exempt"]}
        assert (told["dataset"], told["time"]) == ("trades", "exit_time")
        assert (told["old"], told["rows"], stay["live"]) == (2, 1, 1)
        assert told["oldest"] == told["newest"] == left.isoformat().replace("+00:00", "Z")
        assert set(told["dependents"]) == {"trades", "orders", "fills"}

    def test_of_a_forbidden_policy_is_refused_by_name(self, api, trades):
        RetentionPolicy.objects.filter(pk=trades.pk).update(exemptions=[])

        answer = api.get(f"{POLICIES}{trades.pk}/preview/")

        assert (answer.status_code, answer.json()["code"]) == (409, "forbidden_policy")
        assert "Live trades are never deleted." in answer.json()["detail"]

    def test_of_no_policy_is_not_found(self, api):
        assert api.get(f"{POLICIES}1000000/preview/").status_code == 404
        assert api.get(f"{POLICIES}none/preview/").status_code == 404

    def test_takes_no_parameters(self, api, trades):
        assert api.get(f"{POLICIES}{trades.pk}/preview/", {"days": "3"}).status_code == 400

    def test_is_described(self, api):
        schema = api.get("/api/v1/schema/", headers={"Accept": "application/json"}).json()

        path = schema["paths"]["/api/v1/retention/policies/{id}/preview/"]["get"]
        reference = path["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
        assert (
            "exempt" in schema["components"]["schemas"][reference.rsplit("/", 1)[1]]["properties"]
        )


class TestChanges:
    def test_name_the_dataset_and_who_changed_what(self, api, trades):
        change = make_policy_change(policy=trades)
        make_policy_change()

        found = results(api, CHANGES, **{"policy.dataset": "trades", "changed_by": "someone"})

        assert [each["id"] for each in found] == [change.pk]
        assert found[0]["policy"] == {"dataset": "trades"}
        assert (found[0]["before"], found[0]["after"]) == ({"age_days": 90}, {"age_days": 30})


class TestArchives:
    def test_are_narrowed(self, api):
        kept = make_archive(path="trades/a/0001")
        make_archive(dataset="alerts", status="damaged")

        for query in ({"dataset": "trades"}, {"status": "kept"}, {"path": "trades/a/0001"}):
            assert [each["id"] for each in results(api, ARCHIVES, **query)] == [kept.pk]

    def test_tell_what_they_hold(self, api):
        row = api.get(f"{ARCHIVES}{make_archive().pk}/").json()

        assert (row["rows"], row["roots"], row["left_rows"]) == (12, 4, 12)
        assert len(row["sha256"]) == 64
