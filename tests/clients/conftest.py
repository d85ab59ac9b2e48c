"""A server that misbehaves, and a client of it that does not wait."""

import threading
from collections.abc import Iterator

import pytest

from clients.blotter_client import Blotter
from tests.clients.server import KEY, FakeBlotter, impatient


@pytest.fixture
def server() -> Iterator[FakeBlotter]:
    with FakeBlotter() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def blotter(server, waits) -> Blotter:
    """Return a client that notes how long it would wait, and does not."""
    return impatient(Blotter(server.url, KEY, timeout=0.3, retries=3), waits)
