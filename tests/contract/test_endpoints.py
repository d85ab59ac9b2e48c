"""Every endpoint lets in whom it should, and nobody else."""

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from apps.access.roles import TABLE, Role, allowed
from apps.access.services import ensure_roles
from tests.contract import registry
from tests.factories import MAKERS, make_key

MODELS = [
    model for model in registry.own_models() if model._meta.label not in registry.WITHOUT_ENDPOINT
]


def list_address(model):
    viewset = registry.viewset_of(model)
    for endpoint in registry.endpoints():
        if endpoint.view is viewset and endpoint.is_list:
            return endpoint.path
    raise AssertionError(f"{model._meta.label}: no list endpoint")


def with_key(**values):
    return Client(headers={"Authorization": f"Bearer {make_key(**values).text}"})


def staff(role):
    ensure_roles()
    user = User.objects.create_user(f"{role.value} person", is_staff=True)
    user.groups.add(Group.objects.get(name=role.value))
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.django_db
@pytest.mark.parametrize("model", MODELS, ids=registry.label)
class TestEveryEndpoint:
    def test_asks_for_a_key(self, model):
        answer = Client().get(list_address(model))

        assert answer.status_code == 401
        assert answer["Content-Type"] == "application/problem+json"

    def test_refuses_a_key_of_another_app(self, model):
        other = "market:read" if model._meta.app_label == "alerts" else "alerts:read"
        answer = with_key(scopes=[other]).get(list_address(model))

        assert answer.status_code == 403
        assert answer.json()["code"] == "scope_missing"

    def test_shows_rows_to_a_reader(self, model):
        defaults = model._default_manager.count()
        MAKERS[model._meta.label]()
        answer = with_key(scopes=[f"{model._meta.app_label}:read"]).get(list_address(model))

        assert answer.status_code == 200
        assert len(answer.json()["results"]) == defaults + 1

    def test_lets_no_reader_write(self, model):
        client = with_key(scopes=[f"{model._meta.app_label}:read"])
        answer = client.post(list_address(model), [], content_type="application/json")

        assert answer.status_code in ({403} if writable(model) else {403, 405})

    def test_tells_a_writer_what_it_knows_to_do(self, model):
        client = with_key(scopes=[f"{model._meta.app_label}:write"])
        answer = client.post(list_address(model), "{}", content_type="application/json")

        assert answer.status_code == (400 if writable(model) else 405)

    def test_deletes_nothing(self, model):
        answer = with_key().delete(list_address(model))

        assert answer.status_code == 405

    def test_refuses_a_parameter_it_does_not_know(self, model):
        answer = with_key().get(list_address(model), {"no_such_filter": "1"})

        assert answer.status_code == 400
        assert "no_such_filter" in answer.json()["detail"] + str(answer.json()["errors"])

    @pytest.mark.parametrize("role", list(Role))
    def test_shows_staff_what_their_role_may_see(self, model, role):
        answer = staff(role).get(list_address(model))

        may = "view" in allowed(model._meta.label_lower, role)
        assert answer.status_code == (200 if may else 403)


def writable(model):
    return registry.kind_of_viewset(registry.viewset_of(model)) != "derived"


def test_every_line_of_the_roles_is_about_an_existing_model():
    assert all("." in name for name in TABLE)
