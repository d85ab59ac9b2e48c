"""What every test may rely on."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.cache import cache

from tests.client import ApiClient
from tests.factories import make_key


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
