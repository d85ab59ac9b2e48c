"""Wake-ups: "look what is due", sent to a worker after commit and in nobody's way.

A wake-up that is lost costs time, never work: the task's own beat comes anyway.
"""

import logging
import os
import threading
import time
from queue import SimpleQueue

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from apps.shared.correlation import correlation_id

logger = logging.getLogger(__name__)

# However many requests ask, a task is woken so often at most by one process.
PAUSE_SECONDS = 1.0
# A broker that does not answer is left alone for so long: beats come anyway.
REST_SECONDS = 15.0
EXPIRES_SECONDS = 60


def wake(task: str) -> None:
    """Have a worker run the task of this name soon after the running transaction commits.

    Never raises and never waits for the broker. The task runs under the correlation id of
    whoever asked first.
    """
    cause = correlation_id.get()
    transaction.on_commit(lambda: waker.ask(task, cause), robust=True)


class Waker:
    """Sends wake-ups from a thread of its own; a task that waits to be sent is not asked twice."""

    def __init__(self, pause: float = PAUSE_SECONDS, rest: float = REST_SECONDS) -> None:
        self.pause = pause
        self.rest = rest
        self._lock = threading.Lock()
        self._asked: set[str] = set()
        self._queue: SimpleQueue[tuple[str, str]] = SimpleQueue()
        self._process = 0

    def ask(self, task: str, cause: str) -> None:
        """Send a wake-up soon."""
        with self._lock:
            if self._process != os.getpid():
                # A forked process inherits the queue, but not the thread.
                self._process, self._asked, self._queue = os.getpid(), set(), SimpleQueue()
                threading.Thread(target=self._run, name="wake-ups", daemon=True).start()
            if task in self._asked:
                return
            self._asked.add(task)
        self._queue.put((task, cause))

    def _run(self) -> None:
        sent: dict[str, float] = {}
        while True:
            task, cause = self._queue.get()
            time.sleep(max(0.0, sent.get(task, 0.0) + self.pause - time.monotonic()))
            with self._lock:
                # From here on whoever asks wants a later look: this one may miss his row.
                self._asked.discard(task)
            sent[task] = time.monotonic()
            correlation_id.set(cause)
            try:
                current_app.send_task(task, expires=EXPIRES_SECONDS)
            except (OperationalError, OSError) as error:
                logger.warning("%s was not woken: %s", task, error)
                time.sleep(self.rest)


waker = Waker()
