"""The writer: what this process has to say goes into the log tables behind everybody's back.

``put`` only hands a row over. One thread gathers rows and stores them in batches on its own
connection. While the database is away rows wait; when the queue is full they are dropped and
counted, and the count is a log line itself as soon as lines get through again.
"""

import atexit
import contextlib
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings

if TYPE_CHECKING:
    from apps.logs.models import LogEntry

NAME = "apps.logs.writer"
# What stores rows, by name: it needs the models, and logging begins before there are any.
BATCHES = "apps.logs.services.batches"
# Texts beyond LARGE characters are counted too: a flood of long ones must not fill the memory.
LARGE, LARGE_CAPACITY = 4_096, 64_000_000
BATCH_ROWS, BATCH_CHARACTERS = 50_000, 20_000_000
GATHER = 0.2  # seconds
LONGEST_PAUSE = 5.0
EXIT_LIMIT = 2.0
COMPLAINT_EVERY = 60.0

FULL = "the queue was full"
REFUSED = "refused by the database"


class Mark:
    """Stands in the queue behind the rows that somebody waits for."""

    def __init__(self, *, last: bool) -> None:
        self.last = last
        self.taken = False
        self.passed = threading.Event()


class Writer:
    """Stores rows of the log tables from a thread of its own; one per process.

    ``written`` and ``dropped`` count rows since this process began. At most ``capacity`` rows,
    of all tables together, wait or are being stored.
    """

    def __init__(self, *, capacity: int | None = None, enabled: bool | None = None) -> None:
        # None: as the settings have it. They are asked later: logging begins before.
        self._given = capacity, enabled
        self._begin()
        _writers.add(self)

    def _begin(self) -> None:
        # Unlike a lock of ours, this queue may be used from wherever Python code may run.
        self.capacity = self._given[0] or 0
        self._queue: SimpleQueue[tuple[str, Mapping[str, Any], int] | Mark] = SimpleQueue()
        self._lock = threading.RLock()
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None
        self._connection: Any = None
        self._in_hand = self._large = self._failures = 0
        self._unreported = {FULL: 0, REFUSED: 0}
        self._reason = ""
        self._complained = -COMPLAINT_EVERY
        self._quiet = False
        self.written = self.dropped = 0

    def put(
        self, table: "str | type[LogEntry]", values: Mapping[str, Any] | Sequence[Mapping[str, Any]]
    ) -> None:
        """Hand over one row or several; ``table`` is a model of the logs app or its name.

        Returns at once and never raises. The rows belong to the writer from then on.
        """
        rows = [values] if isinstance(values, Mapping) else values
        try:
            if self._thread is None and not self._start():
                return
            name = table if isinstance(table, str) else table.__name__
            for row in rows:
                size = sum([len(each) for each in row.values() if type(each) is str])
                if not self._has_room(size):
                    self.drop(1)
                    continue
                self._queue.put((name, row, size))
        except Exception as error:  # noqa: BLE001 - who logs must not fail by logging
            self.drop(len(rows), REFUSED, repr(error))

    def drop(self, rows: int, why: str = FULL, reason: str = "") -> None:
        """Count rows that will not be stored."""
        with self._lock:
            self.dropped += rows
            self._unreported[why] += rows
            self._reason = reason or self._reason

    def flush(self, timeout: float, *, patient: bool = True) -> bool:
        """Wait until everything handed over so far is stored; return whether it is.

        Who is not ``patient`` gives up as soon as the database refuses.
        """
        return self._passes(Mark(last=False), timeout, patient)

    def close(self, timeout: float = EXIT_LIMIT) -> bool:
        """Store what is there if that is possible now, and end; say so where it is not.

        The thread and its connection end; a row that comes later begins anew.
        """
        mark = Mark(last=True)
        if self._passes(mark, timeout, patient=False):
            return True
        left = self._in_hand + self._queue.qsize() - (not mark.taken)
        if not self._quiet:
            _say(f"{left} log lines were not stored: the database does not answer")
        return False

    def is_own_thread(self) -> bool:
        """Whether the caller is the writer itself."""
        return self._thread is threading.current_thread()

    # --- Before the queue -------------------------------------------------------------------

    def _passes(self, mark: Mark, timeout: float, patient: bool) -> bool:
        thread = self._thread
        if thread is None or not thread.is_alive():
            return True
        if not patient and not apps.ready:
            return False
        deadline, failures = time.monotonic() + timeout, self._failures
        # In this order: whoever takes the mark ends the haste, so it must have begun before.
        self._hurry.set()
        self._queue.put(mark)
        while (left := deadline - time.monotonic()) > 0:
            if mark.passed.wait(left if patient else min(left, 0.02)):
                return True
            if not patient and self._failures > failures:
                return False
        return False

    def _start(self) -> bool:
        enabled = self._given[1]
        if not (settings.LOG_TO_DATABASE if enabled is None else enabled):
            return False
        with self._lock:
            if self._thread is None:
                self.capacity = self.capacity or settings.LOG_QUEUE_ROWS
                thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
                self._thread = thread
                try:
                    thread.start()
                except RuntimeError:
                    self._thread = None
                    raise
        return True

    def _has_room(self, size: int) -> bool:
        # Who races us here may put in a row too many; what counts is that none gets lost.
        if self._queue.qsize() + self._in_hand >= self.capacity:
            return False
        if size > LARGE:
            with self._lock:
                if self._large + size > LARGE_CAPACITY:
                    return False
                self._large += size
        return True

    # --- Behind the queue: only the thread ------------------------------------------------------

    def _run(self) -> None:
        # The first lines are logged while the applications are being loaded.
        apps.ready_event.wait()
        while self._thread is threading.current_thread():
            try:
                self._write_some()
            except Exception as error:  # noqa: BLE001 - nobody else would start us again
                self._complain(error)
                time.sleep(GATHER)

    def _write_some(self) -> None:
        """Wait for rows, store them, tell who waited."""
        rows, marks, large = self._gather()
        try:
            self._deliver(rows)
        except Exception as error:
            self.drop(len(rows), REFUSED, repr(error))
            raise
        finally:
            self._in_hand = 0
            if large:
                with self._lock:
                    self._large -= large
        if any(mark.last for mark in marks):
            self._disconnect()
            self._thread = None
        for mark in marks:
            mark.passed.set()
        if self._thread is None and not self._queue.empty():
            # Somebody took us for alive a moment ago.
            self._start()

    def _gather(self) -> tuple[list[tuple[str, Mapping[str, Any]]], list[Mark], int]:
        rows: list[tuple[str, Mapping[str, Any]]] = []
        marks: list[Mark] = []
        characters = large = 0
        item = self._queue.get()
        self._in_hand = 1
        if self._queue.qsize() < BATCH_ROWS:
            self._hurry.wait(GATHER)
        while True:
            if isinstance(item, Mark):
                item.taken = True
                marks.append(item)
            else:
                name, row, size = item
                rows.append((name, row))
                self._in_hand = len(rows)
                characters += size
                large += size if size > LARGE else 0
            if len(rows) >= BATCH_ROWS or characters >= BATCH_CHARACTERS:
                break
            try:
                item = self._queue.get_nowait()
            except Empty:
                break
        if marks:
            # Only now: between their coming and here there may be many batches.
            self._hurry.clear()
        return rows, marks, large

    def _deliver(self, rows: list[tuple[str, Mapping[str, Any]]]) -> None:
        """Store rows, however long it takes, and then what there is to say of dropped ones."""
        batches = import_module(BATCHES)
        while rows := [*rows, *self._report()]:
            delivery = batches.Delivery(deque([batches.Batch(rows, datetime.now(UTC))]))
            self._insist(delivery)
            self.written += delivery.stored
            for (_, row), reason in delivery.refused:
                # A report that is refused itself would be reported for ever.
                if row.get("logger_name") != NAME:
                    self.drop(1, REFUSED, reason)
            rows = []

    def _insist(self, delivery: Any) -> None:
        batches = import_module(BATCHES)
        pause = 0.0
        while delivery.pending:
            try:
                if self._connection is None:
                    self._connection = batches.connect()
                delivery.run(self._connection)
            except Exception as error:  # noqa: BLE001 - tried again, and said
                self._quiet = batches.lacks_tables(error)
                self._failures += 1
                self._disconnect()
                self._complain(error)
                if pause:
                    self._hurry.wait(pause)
                    self._hurry.clear()
                pause = min(max(0.1, 2 * pause), LONGEST_PAUSE)

    def _report(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Return a line for each kind of loss since the last report."""
        with self._lock:
            counts, self._unreported = self._unreported, {FULL: 0, REFUSED: 0}
            reason, self._reason = self._reason, ""
        return [
            (
                "SystemLog",
                {
                    "timestamp": datetime.now(UTC),
                    "level": "WARNING",
                    "logger_name": NAME,
                    "message": f"{count} log {noun} dropped: {why}",
                    "process_id": os.getpid(),
                    "metadata": {"dropped": count} | ({"reason": reason} if why == REFUSED else {}),
                },
            )
            for why, count in counts.items()
            for noun in ["line was" if count == 1 else "lines were"]
            if count
        ]

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.close()

    def _complain(self, error: Exception) -> None:
        """Say once a minute on stderr what is wrong: a log line would come back to us."""
        if self._quiet or time.monotonic() - self._complained < COMPLAINT_EVERY:
            return
        self._complained = time.monotonic()
        first = str(error).strip().partition("\n")[0]
        _say(f"log lines wait to be stored: {type(error).__name__}: {first}")

    # --- A process that is born of another ----------------------------------------------------

    def _after_fork(self) -> None:
        """Begin anew in a child: rows, thread and connection are the parent's."""
        # Kept from being collected: that would end the session both still share.
        _parents.append((self._connection, self._queue))
        self._begin()


def _say(text: str) -> None:
    # Not by sys.stderr: who holds its lock when the interpreter ends takes everybody with him.
    with contextlib.suppress(OSError):
        os.write(2, f"blotter: {text}\n".encode(errors="replace"))


def _forked() -> None:
    for each in list(_writers):
        each._after_fork()


_writers: weakref.WeakSet[Writer] = weakref.WeakSet()
_parents: list[Any] = []
os.register_at_fork(after_in_child=_forked)

writer = Writer()
atexit.register(writer.close)
