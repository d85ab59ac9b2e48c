"""Everything that happened as one list, and everything of one cause."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from apps.access.services import ensure_roles
from apps.logs.models import RecentActivity, SystemLog
from tests.factories import (
    make_error_group,
    make_error_log,
    make_key,
    make_notification,
    make_performance_log,
    make_system_log,
    make_trading_event,
    make_user_action_log,
)

pytestmark = pytest.mark.django_db

ACTIVITY = "/api/v1/logs/activity/"
TRACE = "/api/v1/logs/trace/"
MAKERS = (
    make_system_log,
    make_trading_event,
    make_performance_log,
    make_error_log,
    make_user_action_log,
)
NOW = datetime.now(UTC)


def sources(page: Any) -> list[str]:
    return [each["source"] for each in page["results"]]


def every(api: Any, path: str) -> list[int]:
    """Return the ids of a whole list, page by page, and check the way back."""
    page = api.get(path).json()
    pages = [[each["id"] for each in page["results"]]]
    while page["next"]:
        page = api.get(page["next"]).json()
        pages.append([each["id"] for each in page["results"]])
    back = [pages[-1]]
    while page["previous"]:
        page = api.get(page["previous"]).json()
        back.append([each["id"] for each in page["results"]])
    assert back == pages[::-1]
    return [pk for page in pages for pk in page]


class TestList:
    def test_shows_all_five_tables_newest_first(self, api):
        for place, make in enumerate(MAKERS):
            make(timestamp=NOW - timedelta(minutes=place))

        page = api.get(ACTIVITY).json()

        assert sources(page) == [
            "system_log", "trading_event", "performance", "error", "user_action",
        ]  # fmt: skip
        assert [each["severity"] for each in page["results"]] == [
            "WARNING", "INFO", "INFO", "ERROR", "INFO",
        ]  # fmt: skip
        assert page["results"][1]["description"] == "order_filled - BTC/USD"

    def test_is_filtered(self, api):
        for make in MAKERS:
            make(correlation_id=make.__name__)

        def found(query: str) -> list[str]:
            return sorted(sources(api.get(f"{ACTIVITY}?{query}").json()))

        assert found("source=error,user_action") == ["error", "user_action"]
        assert found("severity=ERROR,WARNING") == ["error", "system_log"]
        assert found("component=bots.grid") == ["error", "system_log"]
        assert found("correlation_id=make_trading_event") == ["trading_event"]
        assert found("timestamp_before=2020-01-01T00:00:00Z") == []
        assert len(found("timestamp_after=2020-01-01T00:00:00Z")) == 5

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
    def test_pages_are_whole_also_where_times_are_equal(self, api, limit):
        for days in (0, 0, 3, 3, 40, 400):
            for make in MAKERS:
                make(timestamp=NOW - timedelta(days=days))
        expected = RecentActivity.objects.order_by("-timestamp", "-id")

        found = every(api, f"{ACTIVITY}?limit={limit}")

        assert found == list(expected.values_list("id", flat=True))

    def test_pages_of_a_filter_are_whole_too(self, api):
        for days in (0, 5, 60, 61):
            for make in MAKERS:
                make(timestamp=NOW - timedelta(days=days), correlation_id="one")
        expected = RecentActivity.objects.filter(severity="INFO").order_by("timestamp", "id")

        found = every(api, f"{ACTIVITY}?limit=2&severity=INFO&ordering=timestamp")

        assert found == list(expected.values_list("id", flat=True))
        assert len(every(api, f"{ACTIVITY}?limit=3&correlation_id=one")) == 20
        assert len(every(api, f"{ACTIVITY}?limit=3&timestamp_after=2020-01-01T00:00:00Z")) == 20

    def test_an_entry_stands_at_its_own_address(self, api):
        entry = make_performance_log()

        assert api.get(f"{ACTIVITY}{entry.pk}/").json() == api.get(ACTIVITY).json()["results"][0]
        assert api.get(f"{ACTIVITY}{entry.pk + 1}/").status_code == 404

    def test_is_not_written(self, api):
        assert api.post(ACTIVITY, {}).status_code == 405

    def test_shows_requests_only_to_staff_who_may_see_them(self):
        entry = make_user_action_log(correlation_id="one")
        make_system_log(correlation_id="one")
        ensure_roles()

        def answers(role: str) -> tuple[list[str], int, int]:
            user = User.objects.create_user(role, is_staff=True)
            user.groups.add(Group.objects.get(name=role))
            client = Client()
            client.force_login(user)
            trace = client.get(f"{TRACE}one/").json()["entries"]
            own = client.get(f"{ACTIVITY}{entry.pk}/").status_code
            return sources(client.get(ACTIVITY).json()), own, len(trace)

        assert answers("Viewer") == (["system_log"], 404, 1)
        assert answers("Risk") == (["system_log", "user_action"], 200, 2)


class TestTrace:
    def test_is_everything_of_one_cause_in_time_order(self, api):
        for place, make in enumerate(MAKERS):
            make(
                timestamp=NOW + timedelta(milliseconds=1.5 * place),
                correlation_id="one",
                metadata={"place": place},
            )
            make(correlation_id="other")

        found = api.get(f"{TRACE}one/").json()

        assert [each["milliseconds"] for each in found["entries"]] == [0, 1.5, 3, 4.5, 6]
        assert [each["metadata"]["place"] for each in found["entries"]] == [0, 1, 2, 3, 4]
        assert found["correlation_id"] == "one"
        assert datetime.fromisoformat(found["started_at"]) == NOW
        assert not found["truncated"]

    def test_shows_what_was_told_and_which_errors_it_concerns(self, api):
        group, error = make_error_group(), make_error_log(correlation_id="one")
        make_error_log(correlation_id="one", fingerprint=group.fingerprint)
        make_error_group()
        notification = make_notification(correlation_id="one")
        make_notification()

        found = api.get(f"{TRACE}one/").json()

        assert [each["id"] for each in found["notifications"]] == [notification.pk]
        assert [each["id"] for each in found["error_groups"]] == [group.pk]
        assert error.pk in {each["id"] for each in found["entries"]}

    def test_of_a_request_shows_what_it_logged(self, api):
        api.headers["X-Request-ID"] = "bot-7:tick-12"
        api.post("/api/v1/logs/system-logs/", [{"logger_name": "a", "message": "b"}] * 2)

        found = api.get(f"{TRACE}bot-7:tick-12/").json()

        assert [each["description"] for each in found["entries"]] == ["b", "b"]

    @pytest.mark.parametrize("name", ["grid/12", "größer", "a b", "100%"])
    def test_knows_whatever_a_program_calls_its_cause(self, api, name):
        make_system_log(correlation_id=name)

        found = api.get(f"{TRACE}{quote(name)}/").json()

        assert (found["correlation_id"], len(found["entries"])) == (name, 1)

    def test_of_very_much_says_that_there_is_more(self, api):
        first = NOW - timedelta(hours=1)
        SystemLog.objects.bulk_create(
            SystemLog(
                timestamp=first + timedelta(seconds=place),
                logger_name="a",
                message=f"{place}",
                correlation_id="one",
            )
            for place in range(1_001)
        )

        found = api.get(f"{TRACE}one/").json()

        assert found["truncated"]
        assert [each["description"] for each in found["entries"]] == [
            f"{place}" for place in range(1_000)
        ]

    @pytest.mark.parametrize("name", ["nobody", "%00", "%ED%A0%80", "x" * 200, "%25", "a b"])
    def test_of_nothing_says_so(self, api, name):
        make_system_log(correlation_id="")
        answer = api.get(f"{TRACE}{name}/")

        assert (answer.status_code, answer.json()["code"]) == (404, "nothing_traced")

    def test_needs_a_key_that_may_read_logs(self):
        key = make_key(scopes=["logs:write"]).text
        assert Client().get(f"{TRACE}one/").status_code == 401
        answer = Client(headers={"Authorization": f"Bearer {key}"}).get(f"{TRACE}one/")
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")

    def test_takes_no_parameter(self, api):
        assert api.get(f"{TRACE}one/?limit=5").status_code == 400
