"""A worker of retention that kills itself: what a child process of a test does.

It is forked from a process that has loaded everything and holds no connection.
"""

import os
import signal
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import django

django.setup()

from django.conf import settings  # noqa: E402 - its settings are read by then
from django.db import connection  # noqa: E402

from apps.executions.domain.states import FINAL  # noqa: E402
from apps.executions.services.work import give_back_steps  # noqa: E402
from apps.retention.services import archiving, emptying, stepping  # noqa: E402
from apps.retention.services.runs import plan_retention, run_under_way  # noqa: E402
from apps.shared.retention import archives, months, snapshots  # noqa: E402

PART_ROWS, BLOCK_ROWS = 4, 2
PATIENCE_SECONDS = 60

# Where it dies, by a name: before or after a call of this function.
POINTS: dict[str, tuple[Any, str, str]] = {
    "planned": (stepping, "finish", "after"),
    "half archived": (archives, "known_blocks", "before"),
    "archived, without its name": (archives, "described", "after"),
    "archived, not known": (archiving, "store", "before"),
    "archived and known": (archiving, "say_archived", "before"),
    "deleted, not committed": (emptying, "note_left", "after"),
    "half deleted": (emptying, "say_left", "before"),
    "counted": (stepping, "count", "after"),
}
MONTHLY: dict[str, tuple[Any, str, str]] = {
    **POINTS,
    "month taken out": (months, "detach_month", "after"),
    "month compared": (months, "drop_detached", "before"),
    "month dropped, not committed": (months, "drop_detached", "after"),
    "month dropped": (emptying, "leave_month", "after"),
}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(point: str, number: int) -> None:
    """Have this process die at the call of this number."""
    module, name, when = MONTHLY[point]
    original, calls = getattr(module, name), [0]

    def called(*args: Any, **values: Any) -> Any:
        calls[0] += 1
        if when == "before" and calls[0] == number:
            die()
        result = original(*args, **values)
        if when == "after" and calls[0] == number:
            die()
        return result

    setattr(module, name, called)
    if module is stepping and name in stepping.STEPS:
        stepping.STEPS[name] = called


def retain(database: str, root: Path, dataset: str, now: datetime, point: str, number: int) -> None:
    """Go on with the run of a dataset, and plan others, until nothing is left to leave."""
    connection.settings_dict["NAME"] = database
    settings.ARCHIVE_ROOT, settings.ARCHIVE_RESERVE = root, 0
    settings.STEP_LEASE = timedelta(seconds=1)
    archiving.PART_ROWS, snapshots.BLOCK_ROWS = PART_ROWS, BLOCK_ROWS  # type: ignore[misc]
    if point:
        arm(point, number)
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        run = run_under_way(dataset) or plan_retention(dataset=dataset, by="ada", now=now)
        go_on(run, lambda: now, until)
        if run.steps.filter(step_name="plan", result_data__nothing=True).exists():
            os._exit(0)
    os._exit(1)


def go_on(run: Any, clock: Callable[[], datetime], until: float) -> None:
    while run.status not in FINAL and time.monotonic() < until:
        give_back_steps(now=clock())
        if not stepping.work(clock=clock, joined=lambda: None):
            # Whoever was killed is still leaving the server.
            time.sleep(0.01)
        run.refresh_from_db()
