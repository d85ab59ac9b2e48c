"""Keys at hand, for tests that need them in the database."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from apps.access import services


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def issue(db):
    """Make keys that are valid today; whatever is not said has a default."""

    def make(**values) -> services.IssuedKey:
        today = timezone.now()
        defaults = {
            "client": "collector",
            "scopes": ["market:read", "market:write"],
            "expires_at": today + timedelta(days=30),
            "now": today,
        }
        return services.create_key(**defaults | values)

    return make
