"""What every test may rely on."""

import gc
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
from drf_spectacular.generators import SchemaGenerator
from whitenoise.middleware import WhiteNoiseMiddleware

from tests.client import ApiClient
from tests.factories import make_key
from tests.sharing import ByFile, place_of


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    items.sort(key=place_of)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile | None:
    """Share the suite out our own way where it is shared by groups."""
    if config.getvalue("dist") != "loadgroup":
        return None
    config.option.loadscopereorder = False
    return ByFile(config, log)


def pytest_collection_finish() -> None:
    """Leave what stands by now out of every later search for garbage: it stays to the end."""
    gc.collect()
    gc.freeze()


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


@pytest.fixture(scope="session", autouse=True)
def static_files_found_once() -> Iterator[None]:
    """Look for static files once: every client would go through all of them anew."""
    look, found = WhiteNoiseMiddleware.add_files_from_finders, {}

    def remember(self: WhiteNoiseMiddleware) -> None:
        if not found:
            look(self)
            found.update(self.files)
        self.files.update(found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", remember)
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


@pytest.fixture(scope="session")
def api_document() -> dict[str, Any]:
    """Return the documentation of the whole API, made once: to be read, not to be changed."""
    return SchemaGenerator().get_schema(request=None, public=True)


@pytest.fixture
def api(db: None) -> ApiClient:
    """Return a client of the API whose key opens everything."""
    return ApiClient(make_key().text)
