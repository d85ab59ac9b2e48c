"""Each test counts from nothing and reads the rules anew."""

from collections.abc import Iterator

import pytest

from apps.market.services.cache.counting import counts
from apps.market.services.cache.entries import forget_rules
from tests.market.cache.asked import Outside


@pytest.fixture(autouse=True)
def nothing_counted() -> Iterator[None]:
    counts.begin()
    forget_rules()
    yield
    counts.begin()


@pytest.fixture
def outside(tmp_path) -> Outside:
    return Outside(tmp_path)
