"""Every dataset there is: archived, deleted, restored, and compared row by row as text."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.test import override_settings
from django.utils import timezone

from apps.shared.retention.archives import write_part
from apps.shared.retention.datasets import Dataset, Rule, datasets
from apps.shared.retention.deleting import delete_block
from apps.shared.retention.manifests import Manifest, resolve
from apps.shared.retention.months import leave_month, months_to_leave
from apps.shared.retention.restoring import restore
from tests.retention import kinds

pytestmark = pytest.mark.django_db(transaction=True)

# Values that get lost where anybody is careless, by the beginning of a type's name.
AWKWARD = {
    "text": "'ä,\"''\n\\N\\.\t '",
    "character varying": "',\"'''",
    "jsonb": """'{"b": [1.50, null, "\\n\\"", 1e30], "a": ""}'""",
    "double precision": "'-0'",
    "numeric": "0.00000001",
}


@pytest.fixture(autouse=True)
def archive_root(tmp_path: Path) -> Iterator[None]:
    with override_settings(ARCHIVE_ROOT=tmp_path, ARCHIVE_RESERVE=0):
        yield


def make_awkward(declared: Dataset, rule: Rule) -> None:
    """Put awkward values into all columns that take them and decide about nothing."""
    for model in declared.models:
        fields = model._meta.concrete_fields
        decisive = {each.column for each in fields if each.choices or each.is_relation}
        with connection.cursor() as cursor:
            found = connection.introspection.get_constraints(cursor, model._meta.db_table)
            decisive.update(*(each["columns"] for each in found.values() if each["unique"]))
            cursor.execute(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
                "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped "
                "AND attgenerated = ''",
                [model._meta.db_table],
            )
            for column, type in cursor.fetchall():
                values = [value for name, value in AWKWARD.items() if type.startswith(name)]
                if not values or column in decisive or column == rule.time:
                    continue
                try:
                    with transaction.atomic():
                        cursor.execute(
                            f'UPDATE "{model._meta.db_table}" SET "{column}" = {values[0]}'
                        )
                except DatabaseError:
                    continue


def snapshot(declared: Dataset) -> dict[str, dict[str, tuple[str | None, ...]]]:
    """Return all rows of the tables of a dataset: every column as text, by key."""
    found = {}
    for model in declared.models:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) "
                "AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                [model._meta.db_table],
            )
            columns = ", ".join(f'"{name}"::text' for (name,) in cursor.fetchall())
            key = model._meta.pk.column
            cursor.execute(f'SELECT "{key}"::text, {columns} FROM "{model._meta.db_table}"')
            found[model._meta.label] = {row[0]: tuple(row[1:]) for row in cursor.fetchall()}
    return found


def archived_and_gone(rule: Rule, now: Any) -> list[tuple[Path, Manifest]]:
    """Have everything of a dataset leave that may, and return its archives."""
    months = months_to_leave(rule, now) if rule.dataset.monthly else []
    archives = []
    for number, month in enumerate([*months, None]):
        written = write_part(
            rule=rule, now=now, after=None, path=f"{rule.dataset.name}/{number}", month=month
        )
        if written is None:
            continue
        folder = resolve(Path(settings.ARCHIVE_ROOT), written.path)
        archives.append((folder, written.manifest))
        if month is not None:
            assert not leave_month(rule=rule, month=month, archives=archives[-1:]).stayed
            continue
        for block in range(written.manifest.blocks):
            with transaction.atomic():
                left = delete_block(
                    rule=rule, now=now, folder=folder, manifest=written.manifest, block=block
                )
            assert not left.stayed
    return archives


def restored(declared: Dataset, archives: list[tuple[Path, Manifest]]) -> int:
    """Bring all archives back, and return how many rows came."""
    with transaction.atomic():
        results = [
            restore(dataset=declared, folder=folder, manifest=manifest)
            for folder, manifest in archives
        ]
    assert not any(each.differing or each.conflicting for told in results for each in told)
    return sum(each.inserted for told in results for each in told)


def test_rows_of_every_dataset_come_back_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    # What is newest of its kind stays, and the rest is older than any age below.
    monkeypatch.setattr(kinds, "AGES", (5, 900))
    kinds.make_all_kinds(now)
    assert datasets()
    for declared in datasets():
        # As young as the kinds allow, so that every dataset has something that leaves.
        age = min(timedelta(days=declared.age_days), timedelta(days=400))
        rule = Rule(declared, declared.times[0], age, frozenset())
        make_awkward(declared, rule)
        before = snapshot(declared)
        archives = archived_and_gone(rule, now)
        gone = snapshot(declared)
        name = declared.name
        for label, rows in before.items():
            # Whoever adds a dataset adds rows of it, its dependents among them, to the kinds.
            assert len(gone[label]) < len(rows), f"{name}: no row of {label} left"
        left = sum(map(len, before.values())) - sum(map(len, gone.values()))
        assert left == sum(manifest.rows for _, manifest in archives), name
        assert restored(declared, archives) == left, name
        assert snapshot(declared) == before, name
        assert restored(declared, archives) == 0, f"{name}: rows came back twice"
