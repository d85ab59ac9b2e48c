"""What every test may rely on."""

import pytest
from django.core.cache import cache

from tests.client import ApiClient
from tests.factories import make_key


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    """Begin each test without what others cached, throttled requests included."""
    cache.clear()


@pytest.fixture
def api(db: None) -> ApiClient:
    """Return a client of the API whose key opens everything."""
    return ApiClient(make_key().text)
