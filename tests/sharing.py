"""How several workers share the suite: file by file, the longest first, a product's tests together.

pytest-xdist's own groups come to nothing with this pytest: it keeps names of tests elsewhere.
"""

from itertools import groupby

import pytest
from xdist.scheduler import LoadScopeScheduling

PRODUCTS = "tests/e2e/"
ON_THE_DEMO = {"tests/e2e/test_bot_at_night.py", "tests/e2e/test_pages.py"}
# These share no product. The last of them commits to the database of the tests: it keeps its place.
REAL_PRICES, SILENT_BOTS = "tests/e2e/test_real_prices.py", "tests/e2e/test_silent_bots.py"
# What takes long begins early, so that no worker waits for it in the end.
FIRST = (
    "demo",
    "products",
    REAL_PRICES,
    "tests/config/test_run.py",
    "tests/config/test_embedded.py",
)


def file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def group_of(file: str) -> str:
    """Return the group whose tests one worker has, all of them; a file may be one by itself."""
    if file in ON_THE_DEMO:
        return "demo"
    if file.startswith(PRODUCTS) and file not in (REAL_PRICES, SILENT_BOTS):
        return "products"
    return file


def place_of(item: pytest.Item) -> int:
    """Return where a test stands among those that begin early; all others keep their order."""
    group = group_of(file_of(item.nodeid))
    return FIRST.index(group) if group in FIRST else len(FIRST)


def units_of(nodeids: list[str]) -> dict[str, str]:
    """Return what each test is handed out with: its group, as far as it stands together.

    A file may stand in several places: tests that commit come after all those that roll back,
    and must.
    """
    beside = groupby(nodeids, lambda nodeid: group_of(file_of(nodeid)))
    return {
        nodeid: f"{group} {number}"
        for number, (group, tests) in enumerate(beside)
        for nodeid in tests
    }


class ByFile(LoadScopeScheduling):
    """Hands out file by file, in the order that was collected."""

    units: dict[str, str]

    def schedule(self) -> None:
        if self.collection is None:
            self.units = units_of(next(iter(self.registered_collections.values())))
        super().schedule()

    def _split_scope(self, nodeid: str) -> str:
        return self.units[nodeid]
