"""Migrations say all that the models say, and every one of them can be taken back."""

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader


def own_labels() -> list[str]:
    return [config.label for config in apps.get_app_configs() if config.name.startswith("apps.")]


@pytest.mark.django_db
def test_no_migration_is_missing():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_every_operation_can_be_reversed():
    disk = MigrationLoader(None).disk_migrations
    stuck = [
        f"{label}.{name}: {operation.describe()}"
        for (label, name), migration in disk.items()
        if label in own_labels()
        for operation in migration.operations
        if not operation.reversible
    ]

    assert stuck == []


@pytest.mark.django_db(transaction=True)
def test_all_tables_of_ours_go_and_come_back():
    with_tables = [label for label in own_labels() if apps.get_app_config(label).models]
    before = set(connection.introspection.table_names())
    try:
        for label in reversed(with_tables):
            call_command("migrate", label, "zero", verbosity=0)
        gone = {
            model._meta.db_table
            for label in with_tables
            for model in apps.get_app_config(label).get_models()
            if model._meta.managed
        }
        assert gone.isdisjoint(connection.introspection.table_names())
    finally:
        call_command("migrate", verbosity=0)

    assert set(connection.introspection.table_names()) == before
