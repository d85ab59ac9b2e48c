"""Errors are resolved and notifications acknowledged through the API, by whom it says."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from apps.access.services import ensure_roles
from apps.logs.models import ErrorGroup
from tests.client import ApiClient
from tests.factories import make_error_group, make_key, make_notification

pytestmark = pytest.mark.django_db

GROUPS = "/api/v1/logs/error-groups/"
NOTIFICATIONS = "/api/v1/logs/notifications/"


def program(*scopes: str) -> ApiClient:
    return ApiClient(make_key(client="pager", scopes=list(scopes)).text)


def staff(role: str) -> Client:
    ensure_roles()
    user = User.objects.create_user(f"{role} person", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client(enforce_csrf_checks=False)
    client.force_login(user)
    return client


class TestErrorGroups:
    def test_are_filtered(self, api):
        old = datetime.now(UTC) - timedelta(days=9)
        make_error_group(error_type="A", state="muted", component="x", last_seen=old)
        make_error_group(error_type="B", state="regressed", component="y")

        def types(query: str) -> str:
            rows = api.get(f"{GROUPS}?{query}").json()["results"]
            return "".join(each["error_type"] for each in rows)

        assert types("") == "BA"
        assert types("state=new,muted") == "A"
        assert types("error_type=B") == "B"
        assert types("component=x") == "A"
        assert types(f"last_seen_before={old + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}") == "A"
        assert types("ordering=last_seen") == "AB"

    @pytest.mark.parametrize(
        ("before", "decision", "after"),
        [
            ("new", "resolve", "resolved"),
            ("regressed", "mute", "muted"),
            ("muted", "reopen", "new"),
            ("resolved", "reopen", "new"),
        ],
    )
    def test_are_decided_about_by_name(self, before, decision, after):
        group = make_error_group(state=before)
        client = program("logs:write")

        answer = client.post(f"{GROUPS}{group.pk}/{decision}/", {})

        assert answer.status_code == 200
        assert (answer.json()["state"], answer.json()["state_changed_by"]) == (after, "pager")
        assert client.post(f"{GROUPS}{group.pk}/{decision}/", {}).json() == answer.json()

    def test_are_not_reopened_when_they_are_open(self, api):
        group = make_error_group(state="regressed")

        assert api.post(f"{GROUPS}{group.pk}/reopen/", {}).json()["state"] == "regressed"

    @pytest.mark.parametrize("key", ["0", "x", "99999999999999999999"])
    def test_that_are_not_there_are_not_found(self, api, key):
        assert api.post(f"{GROUPS}{key}/mute/", {}).status_code == 404

    def test_are_left_alone_by_who_may_only_look(self):
        group = make_error_group()

        assert program("logs:read").post(f"{GROUPS}{group.pk}/mute/", {}).status_code == 403
        assert staff("Viewer").post(f"{GROUPS}{group.pk}/mute/").status_code == 403
        assert ErrorGroup.objects.get().state == "new"

    def test_are_decided_about_by_staff_who_may_change_them(self):
        group = make_error_group()

        answer = staff("Operator").post(f"{GROUPS}{group.pk}/mute/")

        assert answer.json()["state_changed_by"] == "Operator person"

    def test_are_not_made_from_outside(self, api):
        assert api.post(GROUPS, {}).status_code == 405


class TestNotifications:
    def test_are_filtered(self, api):
        make_notification(subject="A", level="critical", what="bot_silent", correlation_id="one")
        make_notification(subject="B", seen_by="olga", seen_at=datetime.now(UTC))

        def subjects(query: str) -> str:
            rows = api.get(f"{NOTIFICATIONS}?{query}").json()["results"]
            return "".join(sorted(each["subject"] for each in rows))

        assert subjects("") == "AB"
        assert subjects("seen=false") == "A"
        assert subjects("seen=true") == "B"
        assert subjects("level=critical,info") == "A"
        assert subjects("what=feed_unhealthy") == "B"
        assert subjects("correlation_id=one") == "A"
        assert subjects("created_at_before=2020-01-01T00:00:00Z") == ""
        assert api.get(f"{NOTIFICATIONS}?seen=yes").status_code == 400

    def test_are_acknowledged_once(self):
        notification = make_notification()
        path = f"{NOTIFICATIONS}{notification.pk}/acknowledge/"

        first = program("logs:write").post(path, {})
        again = staff("Operator").post(path)

        assert first.json()["seen_by"] == "pager"
        assert first.json()["seen_at"]
        assert again.json() == first.json()

    @pytest.mark.parametrize(
        ("caller", "status"),
        [
            (lambda: program("logs:read"), 403),
            (lambda: program("market:write"), 403),
            (lambda: ApiClient(), 401),
        ],
    )
    def test_are_acknowledged_by_who_may_write(self, caller: Any, status: int):
        path = f"{NOTIFICATIONS}{make_notification().pk}/acknowledge/"

        assert caller().post(path, {}).status_code == status

    def test_that_are_not_there_are_not_found(self, api):
        assert api.post(f"{NOTIFICATIONS}0/acknowledge/", {}).status_code == 404

    def test_take_no_parameter(self, api):
        path = f"{NOTIFICATIONS}{make_notification().pk}/acknowledge/?by=me"

        assert api.post(path, {}).status_code == 400
