"""Every model is documented, recognizable, where the design says, and has all its rooms."""

import pytest
from django.contrib import admin
from django.db.models import Model

from apps.access.roles import models_without_line
from tests.contract import registry
from tests.factories import MAKERS

MODELS = registry.own_models()
RANKS = [
    "shared",
    "access",
    "logs",
    "executions",
    "market retention",
    "analysis",
    "alerts bots agents",
]


def rank(app_label: str) -> int:
    return next(height for height, apps in enumerate(RANKS) if app_label in apps.split())


@pytest.mark.parametrize("model", MODELS, ids=registry.label)
class TestEveryModel:
    def test_says_what_a_row_is(self, model):
        written = model.__doc__ or ""
        if written.startswith(f"{model.__name__}("):
            written = ""  # Django's own

        assert written, f"{model._meta.label}: no docstring"

    def test_has_a_name_of_its_own_for_each_row(self, model, db):
        assert model.__str__ is not Model.__str__, f"{model._meta.label}: no __str__"
        make = maker(model)

        assert str(make()) != str(make())

    def test_has_a_page_in_the_admin(self, model):
        if model._meta.label in registry.WITHOUT_ADMIN:
            pytest.skip(registry.WITHOUT_ADMIN[model._meta.label])
        page = admin.site._registry.get(model)

        assert page is not None, f"{model._meta.label}: no admin"
        assert registry.kind_of_admin(page), f"{model._meta.label}: admin is of no known kind"

    def test_has_an_endpoint(self, model):
        if model._meta.label in registry.WITHOUT_ENDPOINT:
            pytest.skip(registry.WITHOUT_ENDPOINT[model._meta.label])
        viewset = registry.viewset_of(model)

        assert viewset is not None, f"{model._meta.label}: no endpoint"
        assert viewset.__doc__, f"{model._meta.label}: its viewset has no docstring"

    def test_is_of_one_kind_on_both_faces(self, model):
        page, viewset = admin.site._registry.get(model), registry.viewset_of(model)
        if page is None or viewset is None:
            pytest.skip("has only one face, for the reason its exemption gives")

        assert registry.kind_of_admin(page) == registry.kind_of_viewset(viewset)

    def test_has_a_row_of_permissions(self, model):
        assert model._meta.label_lower not in models_without_line(), (
            f"{model._meta.label}: no line in apps/access/roles.py"
        )

    def test_lives_in_a_table_with_a_plural_name(self, model):
        assert model._meta.db_table != f"{model._meta.app_label}_{model._meta.model_name}", (
            f"{model._meta.label}: db_table is Django's default"
        )

    def test_points_only_down_the_ranks(self, model):
        own = model._meta.app_label
        for field in model._meta.get_fields():
            target = field.related_model if field.is_relation and field.concrete else None
            if target is None or not target.__module__.startswith("apps."):
                continue
            other = target._meta.app_label
            assert own == other or rank(other) < rank(own), f"{field} points up to {other}"


def maker(model):
    assert model._meta.label in MAKERS, f"{model._meta.label}: no maker in tests/factories.py"
    return MAKERS[model._meta.label]
