"""Calls at the same moment, as several programs make them."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Make the calls at the same moment, each in a thread with its own connection.

    Returns what each gave or raised, in their order.
    """
    start = threading.Barrier(len(calls))
    found: list[Any] = [None] * len(calls)

    def work(place: int, call: Callable[[], Any]) -> None:
        try:
            connection.ensure_connection()
            start.wait()
            found[place] = call()
        except Exception as error:  # noqa: BLE001 - carried over to the test's own thread
            found[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
