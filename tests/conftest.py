"""What every test may rely on."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db.backends.postgresql.operations import DatabaseOperations
from django.test import override_settings

from tests.client import ApiClient
from tests.factories import make_key


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """Hash passwords fast: the real way takes a tenth of a second for each user that is made."""
    cheap = "django.contrib.auth.hashers.MD5PasswordHasher"
    with override_settings(PASSWORD_HASHERS=[cheap, *settings.PASSWORD_HASHERS]):
        yield


def delete_what_is_there(
    self: DatabaseOperations, style: Any, tables: Sequence[str], **options: Any
) -> list[str]:
    """Return what empties ``tables``: to truncate them all, empty ones too, takes far longer.

    Names of models and permissions stay: they would be made again at once, as they were.
    """
    rows = " UNION ALL ".join(
        f"SELECT '{table}' WHERE EXISTS (SELECT FROM {self.quote_name(table)})"
        for table in tables
        if table not in {"django_content_type", "auth_permission"}
    )
    with self.connection.cursor() as cursor:
        cursor.execute(rows)
        return [f"DELETE FROM {self.quote_name(table)}" for (table,) in cursor.fetchall()]


@pytest.fixture(scope="session", autouse=True)
def quick_flush() -> Iterator[None]:
    """Empty the database fast behind tests with transactions of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "sql_flush", delete_what_is_there)
        yield


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    """Begin each test without what others cached, throttled requests included."""
    cache.clear()


@pytest.fixture(scope="module")
def passable_folder() -> Iterator[Path]:
    """Return a folder for state folders of embedded servers.

    pytest's own is closed to other users, so that root would have to place data outside.
    """
    with tempfile.TemporaryDirectory(prefix="blotter-tests-") as name:
        os.chmod(name, 0o711)
        yield Path(name)


@pytest.fixture
def api(db: None) -> ApiClient:
    """Return a client of the API whose key opens everything."""
    return ApiClient(make_key().text)
