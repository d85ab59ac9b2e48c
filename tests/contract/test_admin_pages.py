"""Every admin page opens, and asks the database as often for many rows as for few."""

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.contract import registry
from tests.factories import MAKERS

MODELS = [
    model for model in registry.own_models() if model._meta.label not in registry.WITHOUT_ADMIN
]


def address(model, page, *args):
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
    return reverse(name, args=args)


def queries(client, url):
    with CaptureQueriesContext(
        connection,
    ) as captured:
        response = client.get(url)
    assert response.status_code == 200
    return len(captured)


@pytest.mark.django_db
@pytest.mark.parametrize("model", MODELS, ids=registry.label)
class TestEveryAdminPage:
    def test_changelist_costs_the_same_for_many_rows(self, admin_client, model):
        make, url = MAKERS[model._meta.label], address(model, "changelist")
        make(), make()
        queries(admin_client, url)  # what is cached for all pages is there now
        few = queries(admin_client, url)
        for _ in range(10):
            make()

        assert queries(admin_client, url) == few

    def test_changelist_answers_a_search(self, admin_client, model):
        MAKERS[model._meta.label]()

        assert admin_client.get(address(model, "changelist"), {"q": "BTC"}).status_code == 200

    def test_changelist_survives_a_search_for_nonsense(self, admin_client, model):
        nonsense = "%'\"\\;--  ｢"

        assert admin_client.get(address(model, "changelist"), {"q": nonsense}).status_code == 200

    def test_page_of_a_row_opens(self, admin_client, model):
        row = MAKERS[model._meta.label]()

        assert admin_client.get(address(model, "change", row.pk)).status_code == 200

    def test_page_of_no_row_goes_back_to_the_index(self, admin_client, model):
        pk = MAKERS[model._meta.label]().pk

        missing = pk + 1_000_000 if isinstance(pk, int) else "no-such-row"
        assert admin_client.get(address(model, "change", missing)).status_code in {302, 404}

    def test_add_page_opens_where_rows_are_made_by_hand(self, admin_client, rf, admin_user, model):
        request = rf.get("/")
        request.user = admin_user
        may_add = admin.site._registry[model].has_add_permission(request)

        answer = admin_client.get(address(model, "add"))

        assert answer.status_code == (200 if may_add else 403)
