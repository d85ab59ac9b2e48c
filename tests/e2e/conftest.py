"""The products that tests share: to start one takes as long as most of them.

They run until the last of these tests; who shares them with whom, ``tests.sharing`` says.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest

from tests.e2e.product import Product, running

# Settings of the harried product: how many rows a log writer keeps, how long a step is its
# worker's.
QUEUE = 200
LEASE_SECONDS = 4


@pytest.fixture(scope="package")
def shared_product() -> Iterator[Product]:
    """Return a product for all who leave its processes alone; ask it ``with_key`` of one's own.

    It holds what other tests stored, so nobody counts all of its rows.
    """
    with started(18_400) as product:
        yield product


@pytest.fixture(scope="package")
def harried_product() -> Iterator[Product]:
    """Return a product whose processes are stopped and killed, with little room and patience."""
    with started(
        18_360,
        LOG_QUEUE_ROWS=str(QUEUE),
        SYMBOL_HISTORY_DAYS="14",
        STEP_LEASE_SECONDS=str(LEASE_SECONDS),
    ) as product:
        yield product


@contextmanager
def started(port: int, **variables: str) -> Iterator[Product]:
    """Start a product without a demo in a folder that every user may pass; see it end well."""
    with tempfile.TemporaryDirectory(prefix="blotter-tests-") as name:
        os.chmod(name, 0o711)
        with running(Path(name), port, DEMO="0", **variables) as product:
            yield product
            assert product.stop() == 0


# --- The demo in a browser ------------------------------------------------------------------


@pytest.fixture(scope="package")
def demo_product() -> Iterator[Product]:
    """Return a product with its demo, for the pages; it may be added to."""
    with tempfile.TemporaryDirectory(prefix="blotter-tests-") as name:
        os.chmod(name, 0o711)
        with running(Path(name), 18_330, DEMO="1") as product:
            if "not installed" in product.said():
                pytest.skip("the demo's data (requirements-demo.txt) is not installed")
            yield product


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Return Chromium, where the machine has one."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        # Chromium's own sandbox refuses to work for root.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def login(demo_product: Product, browser: Any) -> Any:
    """Return the cookies of the administrator, who came in by the password that was printed."""
    found = re.search(r"Log in as (\S+) with (\S+)", demo_product.said())
    assert found, demo_product.said()
    name, password = found.groups()
    context = browser.new_context()
    page = context.new_page()
    page.goto(urljoin(demo_product.address, "/admin/"))
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    page.wait_for_url("**/admin/")
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture(scope="module")
def context_of(browser: Any, login: Any) -> Iterator[Callable[..., Any]]:
    """Return a function that gives the browser of one visitor, who keeps what he has loaded."""
    known: dict[tuple[str, bool], Any] = {}

    def context(theme: str, anonymous: bool) -> Any:
        if (theme, anonymous) not in known:
            known[theme, anonymous] = browser.new_context(
                color_scheme=theme,
                timezone_id="Europe/Berlin",
                storage_state=None if anonymous else login,
            )
        return known[theme, anonymous]

    yield context
    for each in known.values():
        each.close()


@pytest.fixture
def opened(demo_product: Product, context_of: Any) -> Iterator[Callable[..., Any]]:
    """Return a function that opens a page; whatever went wrong in it fails the test."""
    pages: list[Any] = []
    wrong: list[tuple[object, str]] = []
    own = (demo_product.address, "data:", "blob:")

    def console(said: Any) -> None:
        if said.type in ("error", "warning"):
            wrong.append((said.type, said.text))

    def request(asked: Any) -> None:
        if not asked.url.startswith(own):
            wrong.append(("another host", asked.url))

    def response(given: Any) -> None:
        if given.status >= 400:
            wrong.append((given.status, given.url))

    def open_page(
        address: str,
        *,
        theme: str = "light",
        width: int = 1440,
        anonymous: bool = False,
        before: str = "",
        until: str = "load",
    ) -> Any:
        page = context_of(theme, anonymous).new_page()
        pages.append(page)
        page.set_default_timeout(30_000)
        page.on("console", console)
        page.on("pageerror", lambda error: wrong.append(("error", str(error))))
        page.on("request", request)
        page.on("response", response)
        page.set_viewport_size({"width": width, "height": 900})
        if before:
            page.add_init_script(before)
        page.goto(urljoin(demo_product.address, address), wait_until=until)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert wrong == []
