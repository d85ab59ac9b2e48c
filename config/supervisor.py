"""One parent for several programs: it starts them, starts them again, and ends them.

Each child has a session of its own. To end it, its main process alone is asked, so that a
worker can bring its running task to an end; whoever then stays is ended by force, with all
that it started. When the parent is killed, the system asks the children to end.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any, TextIO

from config.processes import forget_ended, spawn

logger = logging.getLogger(__name__)

GRACE = 30.0  # seconds between asking and force
PAUSE = 0.2
# A child that lived this long ended by accident, not because it cannot run.
STABLE = 60.0
LONGEST_BACKOFF = 30.0


@dataclass
class Child:
    """One program that is to run for as long as the parent does."""

    name: str
    command: Sequence[str]
    options: Mapping[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    starts: int = 0
    due: float = 0.0
    reader: threading.Thread | None = None

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """Keeps children running between ``start`` and ``stop``; shows what they print."""

    def __init__(
        self, children: Sequence[Child], *, output: TextIO | None = None, grace: float = GRACE
    ) -> None:
        self.children = list(children)
        self.output = output or sys.stdout
        self.grace = grace
        self.width = max(len(child.name) for child in children)
        self.writing = threading.Lock()

    def start(self) -> None:
        """Start every child. Only from the main thread: a child ends with its starter's thread."""
        for child in self.children:
            self._start(child)

    def watch(self) -> None:
        """Start children again that ended, later each time; returns only by an exception."""
        while True:
            self.look_after()
            time.sleep(PAUSE)

    def look_after(self) -> None:
        """Notice who has ended, and start again whose time has come."""
        now = time.monotonic()
        for child in self.children:
            if child.process is not None and not child.running:
                self._bury(child, now)
            if child.process is None and now >= child.due:
                self._start(child)

    def stop(self) -> None:
        """End every child: asked first, by force when the grace is over."""
        for child in self.children:
            if child.process is not None:
                child.process.terminate()
        deadline = time.monotonic() + self.grace
        for child in self.children:
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.say(child, "does not end; it is ended by force")
            self._kill_group(child.process)
            child.process.wait()
            if child.reader is not None:
                child.reader.join(1)
        forget_ended()

    def say(self, child: Child, text: str) -> None:
        """Print one line under a child's name."""
        with self.writing:
            print(f"{child.name:<{self.width}} | {text}", file=self.output, flush=True)

    def _start(self, child: Child) -> None:
        child.process = spawn(
            child.command, output=subprocess.PIPE, end_with_us=signal.SIGTERM, **child.options
        )
        child.started = time.monotonic()
        child.starts += 1
        child.reader = threading.Thread(
            target=self._pass_on, args=(child, child.process.stdout), daemon=True
        )
        child.reader.start()

    def _bury(self, child: Child, now: float) -> None:
        assert child.process is not None
        code = child.process.returncode
        # Whom it started goes too, or two pools would work side by side.
        self._kill_group(child.process)
        if now - child.started > STABLE:
            child.starts = 1
        wait = min(2.0 ** (child.starts - 1), LONGEST_BACKOFF)
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
        self.say(child, f"ended {how}; started again in {wait:.0f} s")
        child.process, child.due = None, now + wait

    def _pass_on(self, child: Child, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self.say(child, line.decode(errors="replace").rstrip())

    @staticmethod
    def _kill_group(process: subprocess.Popen[bytes]) -> None:
        # The group has the number of its first member, also when that one is gone.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
