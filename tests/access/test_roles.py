"""The four roles hold what the table says, however often they are made."""

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command

from apps.access import roles, services
from apps.access.roles import Role


def test_every_role_sees_at_least_what_a_viewer_sees():
    for model in roles.TABLE:
        for role in Role:
            assert roles.allowed(model, Role.VIEWER) <= roles.allowed(model, role), model


def test_viewer_only_reads():
    for model in roles.TABLE:
        assert roles.allowed(model, Role.VIEWER) <= {"view"}, model


def test_only_administrators_touch_staff_and_keys():
    for model in ("auth.user", "auth.group", "access.apikey"):
        for role in set(Role) - {Role.ADMINISTRATOR}:
            assert roles.allowed(model, role) <= {"view"}


def test_private_texts_are_read_by_nobody_who_may_not_view_their_rows():
    for model in roles.TABLE:
        for role in Role:
            actions = roles.allowed(model, role)
            assert "read" not in actions or "view" in actions, model


def test_private_texts_are_not_for_viewers_and_operators():
    for model in roles.TABLE:
        for role in (Role.VIEWER, Role.OPERATOR):
            assert "read" not in roles.allowed(model, role), model


def test_model_without_a_line_is_named(monkeypatch):
    monkeypatch.delitem(roles.TABLE, "market.candle")

    assert roles.models_without_line() == ["market.candle"]


def test_line_without_a_model_is_named(monkeypatch):
    monkeypatch.setitem(roles.TABLE, "market.ghost", ("v", "v", "v", "v"))

    assert roles.lines_without_model() == ["market.ghost"]


@pytest.mark.django_db
class TestEnsureRoles:
    def test_gives_each_group_what_the_table_says(self):
        services.ensure_roles()

        for role in Role:
            held = Group.objects.get(name=role.value).permissions.all()
            assert {
                (permission.content_type.app_label, permission.codename) for permission in held
            } == set(roles.permissions_of(role))

    def test_changes_nothing_the_second_time(self):
        assert services.ensure_roles() == services.ensure_roles()
        assert Group.objects.count() == len(Role)

    def test_takes_back_what_was_added_by_hand(self):
        services.ensure_roles()
        viewer = Group.objects.get(name="Viewer")
        viewer.permissions.add(Permission.objects.get(codename="delete_user"))

        services.ensure_roles()

        assert not viewer.permissions.filter(codename="delete_user").exists()

    def test_member_gets_the_permissions(self):
        services.ensure_roles()
        user = User.objects.create_user("olga", is_staff=True)
        user.groups.add(Group.objects.get(name="Operator"))

        assert user.has_perm("market.change_instrument")
        assert not user.has_perm("auth.view_user")

    def test_refuses_a_model_that_the_table_forgot(self, monkeypatch):
        monkeypatch.delitem(roles.TABLE, "market.candle")

        with pytest.raises(ImproperlyConfigured, match=r"market\.candle"):
            services.ensure_roles()

    def test_command_says_what_it_did(self, capsys):
        call_command("ensure_roles")

        printed = capsys.readouterr().out
        assert [line.split(":")[0] for line in printed.splitlines()] == [
            role.value for role in Role
        ]
