"""Staff make, replace and revoke keys; the key itself is seen once."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.access import services
from apps.access.models import ApiKey
from apps.access.roles import Role

KEY = re.compile(r"blt_[a-z0-9]{8}_[0-9a-f]{64}")
LIST = "admin:access_apikey_changelist"

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin():
    return logged_in(User.objects.create_superuser("root"))


def logged_in(user, **options):
    client = Client(**options)
    client.force_login(user)
    return client


def member(role):
    services.ensure_roles()
    user = User.objects.create_user(f"{role.value} person", is_staff=True)
    user.groups.add(Group.objects.get(name=role.value))
    return logged_in(user)


def form(**values):
    day = timezone.now() + timedelta(days=90)
    return {
        "client": "collector",
        "scopes": ["market:read", "market:write"],
        "bot": "",
        "agent": "",
        "expires_at_0": f"{day:%Y-%m-%d}",
        "expires_at_1": "12:00:00",
    } | values


def address(name, key):
    return reverse(f"admin:access_apikey_{name}", args=[key.pk])


class TestAdd:
    def test_offers_every_scope_as_a_box(self, admin):
        page = admin.get(reverse("admin:access_apikey_add")).content.decode()

        boxes = re.findall(r'<input[^>]*type="checkbox"[^>]*>', page)
        assert {"alerts:read", "market:write"} <= {
            re.search(r'value="([^"]+)"', box)[1] for box in boxes if "scopes" in box
        }

    def test_shows_the_key_once_and_lets_nobody_keep_the_page(self, admin):
        answer = admin.post(reverse("admin:access_apikey_add"), form())
        text = KEY.search(answer.content.decode())[0]
        key = ApiKey.objects.get()

        assert answer.status_code == 200
        assert "no-store" in answer["Cache-Control"]
        assert services.identify(text=text, now=timezone.now()) == key
        assert key.created_by.username == "root"
        for later in (address("change", key), address("edit", key), reverse(LIST)):
            assert text not in admin.get(later).content.decode()

    @pytest.mark.parametrize(
        "wrong",
        [
            {"client": ""},
            {"scopes": []},
            {"scopes": ["auth:write"]},
            {"expires_at_0": "2020-01-01"},
            {"expires_at_0": ""},
        ],
    )
    def test_refuses_what_makes_no_sense(self, admin, wrong):
        answer = admin.post(reverse("admin:access_apikey_add"), form(**wrong))

        assert answer.status_code == 200
        assert not KEY.search(answer.content.decode())
        assert not ApiKey.objects.exists()


class TestChange:
    def test_takes_a_scope_away_without_touching_the_secret(self, admin, issue):
        issued = issue()
        answer = admin.post(address("edit", issued.key), form(scopes=["market:read"]))

        assert answer.status_code == 302
        key = services.identify(text=issued.text, now=timezone.now())
        assert key.scopes == ["market:read"]

    def test_deletes_no_key(self, admin, issue):
        assert admin.post(address("delete", issue().key), {"post": "yes"}).status_code == 403
        assert ApiKey.objects.exists()


class TestReplace:
    def test_asks_first(self, admin, issue):
        issued = issue()

        assert admin.get(address("rotate", issued.key)).status_code == 200
        assert ApiKey.objects.count() == 1

    def test_shows_the_new_key_and_keeps_the_old_one_for_the_overlap(self, admin, issue):
        issued = issue()
        answer = admin.post(address("rotate", issued.key), {"overlap": "24"})
        text = KEY.search(answer.content.decode())[0]
        now = timezone.now()

        assert "no-store" in answer["Cache-Control"]
        assert services.identify(text=text, now=now).line == issued.key.line
        assert services.identify(text=issued.text, now=now + timedelta(hours=23))
        with pytest.raises(services.KeyRefused):
            services.identify(text=issued.text, now=now + timedelta(hours=25))

    def test_says_why_not(self, admin, issue):
        issued = issue()
        services.revoke_key(key_id=issued.key.pk, now=timezone.now())
        answer = admin.post(address("rotate", issued.key), {"overlap": "24"}, follow=True)

        assert "cannot be replaced" in answer.content.decode()
        assert ApiKey.objects.count() == 1


class TestRevoke:
    def test_asks_first(self, admin, issue):
        issued = issue()

        assert admin.get(address("revoke", issued.key)).status_code == 200
        assert services.identify(text=issued.text, now=timezone.now())

    def test_closes_at_once(self, admin, issue):
        issued = issue()
        admin.post(address("revoke", issued.key))

        with pytest.raises(services.KeyRefused):
            services.identify(text=issued.text, now=timezone.now())

    def test_needs_a_csrf_token(self, issue):
        issued = issue()
        client = logged_in(User.objects.create_superuser("root"), enforce_csrf_checks=True)

        assert client.post(address("revoke", issued.key)).status_code == 403
        assert services.identify(text=issued.text, now=timezone.now())


class TestLists:
    def test_filters_by_state(self, admin, issue):
        issue(client="alive one")
        services.revoke_key(key_id=issue(client="closed one").key.pk, now=timezone.now())
        page = admin.get(reverse(LIST), {"state": "revoked"}).content.decode()

        assert "closed one" in page
        assert "alive one" not in page

    def test_export_leaves_the_hash_behind(self, admin, issue):
        issued = issue()
        answer = admin.get(reverse("admin:access_apikey_export", args=["csv"]))
        rows = b"".join(answer).decode()

        assert issued.key.prefix in rows
        assert issued.key.key_hash not in rows

    def test_are_not_narrowed_by_the_hash(self, admin, issue):
        first = issue().key.key_hash[0]

        assert admin.get(reverse(LIST), {"key_hash__startswith": first}).status_code == 400


class TestRoles:
    def test_administrators_make_keys(self):
        answer = member(Role.ADMINISTRATOR).post(reverse("admin:access_apikey_add"), form())

        assert KEY.search(answer.content.decode())

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.RISK])
    def test_others_see_them_and_change_nothing(self, role, issue):
        issued = issue()
        client = member(role)

        assert client.get(address("change", issued.key)).status_code == 200
        assert client.get(reverse("admin:access_apikey_add")).status_code == 403
        assert client.get(address("edit", issued.key)).status_code == 403
        assert client.post(address("rotate", issued.key), {"overlap": "0"}).status_code == 403
        assert client.post(address("revoke", issued.key)).status_code == 403
        assert services.identify(text=issued.text, now=timezone.now())

    def test_administrator_cannot_make_himself_superuser(self):
        client = member(Role.ADMINISTRATOR)
        root = User.objects.create_superuser("root")
        user = User.objects.get(username="Administrator person")
        values = {"username": user.username, "is_active": "on", "is_staff": "on"}
        joined = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
        page = reverse("admin:auth_user_change", args=[user.pk])

        client.post(page, values | joined | {"is_superuser": "on"})
        user.refresh_from_db()
        assert not user.is_superuser
        change = reverse("admin:auth_user_change", args=[root.pk])
        assert client.post(change, values | joined).status_code == 403
        password = reverse("admin:auth_user_password_change", args=[root.pk])
        assert client.get(password).status_code == 403


class TestContentSecurityPolicy:
    def test_admin_gets_what_its_theme_needs_and_no_inline_script(self, admin):
        policy = admin.get(reverse("admin:index"))["Content-Security-Policy"]
        scripts = re.search(r"script-src ([^;]+)", policy)[1]

        assert scripts == "'self' 'unsafe-eval'"

    def test_everything_else_is_strict(self):
        policy = Client().get("/api/v1/market/candles/")["Content-Security-Policy"]

        assert "unsafe" not in policy
        assert "default-src 'self'" in policy
