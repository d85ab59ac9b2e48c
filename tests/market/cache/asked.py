"""An outside that counts its calls, and processes that ask it at the same moment."""

import json
import multiprocessing
import os
import tempfile
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import connection

from apps.market.services.cache import Cached, cached

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
# How many ask at the same moment; 64 in full.
CONCURRENCY = int(os.environ.get("CACHE_CONCURRENCY", "8"))


class Outside:
    """Answers ``{"call": n}``, or fails; its calls are counted in a file that processes share."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "calls"
        self.file.touch()
        self.down: Exception | None = None
        # Keeps a call under way for so long that others come meanwhile.
        self.seconds = 0.0

    @property
    def calls(self) -> int:
        return self.file.stat().st_size

    def __call__(self) -> Any:
        with self.file.open("ab") as file:
            file.write(b".")
        if self.seconds:
            threading.Event().wait(self.seconds)
        if self.down:
            raise self.down
        return {"call": self.calls}


def ask(outside: Callable[[], Any], now: datetime = NOON, **words: Any) -> Cached:
    """Ask for a price: fresh for a minute, standing in for five more."""
    defaults: dict[str, Any] = {"source": "Venue", "method": "price", "args": ["BTC"]}
    defaults["data_type"] = "price"
    return cached(**defaults | words, load=outside, now=now)


def in_threads(count: int, call: Callable[[], Any]) -> list[Any]:
    """Make a call in so many threads at the same moment; return what each gave or raised.

    A thread has a connection only when the call opens one: there are fewer than threads.
    """
    start = threading.Barrier(count)
    found: list[Any] = []

    def work() -> None:
        start.wait(20)
        try:
            found.append(call())
        except Exception as error:  # noqa: BLE001 - carried over to the test's own thread
            found.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def in_processes(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Do ``work(number)`` in so many forked processes at the same moment; return what each gave.

    What it gives must be JSON. The parent has no connection while they are born.
    """
    connection.close()
    connection.close_pool()
    context = multiprocessing.get_context("fork")
    start = context.Barrier(count)
    with tempfile.TemporaryDirectory() as folder:

        def run(number: int) -> None:
            start.wait(20)
            (Path(folder) / str(number)).write_text(json.dumps(work(number)))
            connection.close()
            connection.close_pool()

        children = [context.Process(target=run, args=(number,)) for number in range(count)]
        for child in children:
            child.start()
        for child in children:
            child.join(60)
        return [json.loads((Path(folder) / str(number)).read_text()) for number in range(count)]
