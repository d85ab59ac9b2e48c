"""Who is let in, who is not, and what each of them is told."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from apps.access import services
from apps.market.models import Instrument

PROBE = "/api/v1/market/probe/"
BOUND = "/api/v1/market/bound/"
JSON = "application/json"

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.access.endpoints")]


def bearer(issued, **options):
    return Client(headers={"Authorization": f"Bearer {issued.text}"}, **options)


def person(*codenames, **values):
    user = User.objects.create_user("olga", **{"is_staff": True} | values)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


def logged_in(user, **options):
    client = Client(**options)
    client.force_login(user)
    return client


def assert_problem(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer["Content-Type"] == "application/problem+json"


class TestKeys:
    def test_opens_with_its_scope(self, issue):
        answer = bearer(issue(client="feed")).get(PROBE)

        assert answer.status_code == 200
        assert answer.json()["who"] == "feed"

    def test_asks_who_comes_without_one(self):
        answer = Client().get(PROBE)

        assert_problem(answer, 401, "not_authenticated")
        assert answer["WWW-Authenticate"].startswith("Bearer")

    @pytest.mark.parametrize("header", ["Bearer", "Bearer nonsense", "Bearer a b", "bearer ÿ"])
    def test_refuses_nonsense(self, header):
        answer = Client(headers={"Authorization": header}).get(PROBE)

        assert_problem(answer, 401, "key_unknown")
        assert answer["WWW-Authenticate"].startswith("Bearer")

    def test_does_not_know_other_schemes(self):
        answer = Client(headers={"Authorization": "Digest b2xnYTpwYXNz"}).get(PROBE)

        assert_problem(answer, 401, "not_authenticated")

    def test_takes_no_password_of_a_person_for_a_key(self):
        answer = Client(headers={"Authorization": "Basic b2xnYTpwYXNz"}).get(PROBE)

        assert_problem(answer, 401, "key_unknown")
        # A browser must not ask for one either.
        assert answer["WWW-Authenticate"].startswith("Bearer")

    def test_says_that_a_key_expired(self, issue):
        issued = issue()
        issued.key.expires_at = timezone.now() - timedelta(seconds=1)
        issued.key.save()

        assert_problem(bearer(issued).get(PROBE), 401, "key_expired")

    def test_says_that_a_key_was_revoked(self, issue):
        issued = issue()
        services.revoke_key(key_id=issued.key.pk, now=timezone.now())

        assert_problem(bearer(issued).get(PROBE), 401, "key_revoked")

    def test_names_the_scope_that_is_missing(self, issue):
        reader = bearer(issue(scopes=["market:read"]))
        answer = reader.post(PROBE, {"symbol": "A"}, content_type=JSON)

        assert_problem(answer, 403, "scope_missing")
        assert "market:write" in answer.json()["detail"]
        assert not Instrument.objects.exists()

    def test_says_405_rather_than_asking_for_a_scope(self, issue):
        assert bearer(issue(scopes=["market:read"])).delete(PROBE).status_code == 405

    def test_needs_no_csrf_token(self, issue):
        client = bearer(issue(), enforce_csrf_checks=True)

        assert client.post(PROBE, {"symbol": "A"}, content_type=JSON).status_code == 201

    def test_key_decides_over_a_session(self, issue):
        client = logged_in(person(is_superuser=True))
        headers = {"Authorization": f"Bearer {issue(scopes=['alerts:read']).text}"}

        assert_problem(client.get(PROBE, headers=headers), 403, "scope_missing")

    def test_notes_when_it_was_used(self, issue):
        issued = issue()
        before = timezone.now()
        bearer(issued).get(PROBE)

        issued.key.refresh_from_db()
        assert before <= issued.key.last_used_at <= timezone.now()


class TestBindings:
    def test_free_key_sees_everybody(self, issue):
        assert bearer(issue()).get(f"{BOUND}beta/").status_code == 200

    def test_sees_its_own(self, issue):
        client = bearer(issue(bot="alpha"))

        assert client.get(f"{BOUND}alpha/").status_code == 200
        assert client.get(BOUND, {"country": "alpha"}).status_code == 200

    def test_refuses_another_in_the_address(self, issue):
        assert_problem(bearer(issue(bot="alpha")).get(f"{BOUND}beta/"), 403, "other_subject")

    @pytest.mark.parametrize("query", ["country=beta", "bot=beta", "country=alpha,beta"])
    def test_refuses_another_in_the_query(self, issue, query):
        answer = bearer(issue(bot="alpha")).get(f"{BOUND}?{query}")

        assert_problem(answer, 403, "other_subject")

    def test_key_of_an_agent_sees_no_bot(self, issue):
        assert_problem(bearer(issue(agent="a")).get(f"{BOUND}alpha/"), 403, "other_subject")

    def test_sees_what_belongs_to_nobody(self, issue):
        assert bearer(issue(bot="alpha")).get(PROBE).status_code == 200


class TestSessions:
    def test_reading_needs_the_permission_to_view(self):
        assert_problem(logged_in(person()).get(PROBE), 403, "permission_missing")

    def test_reads_with_it(self):
        assert logged_in(person("view_instrument")).get(PROBE).status_code == 200

    def test_lets_in_nobody_but_staff(self):
        everyone = person("view_instrument", is_staff=False)

        assert_problem(logged_in(everyone).get(PROBE), 401, "not_authenticated")

    def test_writing_needs_the_permission_to_add(self):
        client = logged_in(person("view_instrument"))
        answer = client.post(PROBE, {"symbol": "A"}, content_type=JSON)

        assert_problem(answer, 403, "permission_missing")

    def test_writing_needs_a_csrf_token(self):
        client = logged_in(person("add_instrument"), enforce_csrf_checks=True)
        answer = client.post(PROBE, {"symbol": "A"}, content_type=JSON)

        assert_problem(answer, 403, "permission_denied")
        assert not Instrument.objects.exists()

    def test_writes_with_both(self):
        client = logged_in(person("add_instrument"))

        assert client.post(PROBE, {"symbol": "A"}, content_type=JSON).status_code == 201
