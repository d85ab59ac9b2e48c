"""A process that watches bots by a clock of the test's, and has another at hand when it is killed.

``python -m tests.e2e.bot_checker <database> <clock file> <file for the process id>``
"""

import os
import sys
from datetime import datetime
from pathlib import Path

import django


def watch(clock: Path, parent: int) -> None:
    """Look as often as possible, at the time that stands in the file."""
    from apps.bots.services.watching import watch_bots

    while os.getppid() == parent:
        watch_bots(now=datetime.fromisoformat(clock.read_text()))


def main(database: str, clock: Path, pid: Path) -> None:
    """Have one child watch; where it dies, the next one takes over."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.db import connection

    connection.settings_dict["NAME"] = database
    own = os.getpid()
    while True:
        child = os.fork()
        if not child:
            watch(clock, own)
            os._exit(0)
        written = pid.with_suffix(".new")
        written.write_text(str(child))
        written.rename(pid)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
