"""What every test may rely on."""

import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    """Begin each test without what others cached, throttled requests included."""
    cache.clear()
