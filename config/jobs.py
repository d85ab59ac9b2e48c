"""Our own periodic tasks: when each last succeeded, and which is late.

Kept in the cache, not in a table: it is worth something only while the processes run, and a
tick makes it anew. Without a cache the answer is "not known", never an error.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from celery.schedules import crontab
from celery.signals import task_failure, task_prerun, task_success
from django.core.cache import cache
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from redis.exceptions import RedisError

from config.celery import SCHEDULE

logger = logging.getLogger(__name__)

# A tick is late when it missed this many beats, and not before the grace has passed:
# right after a start nothing has run yet.
MISSED_BEATS = 3
GRACE = timedelta(minutes=2)
KEPT_FOR = timedelta(days=40)


@dataclass(frozen=True, slots=True)
class Job:
    """One entry of the schedule and how it fares. Times are None when not known.

    ``scheduled`` is false until a beat has seen the entry.
    """

    name: str
    task: str
    every: timedelta
    scheduled: bool
    paused: bool
    last_success: datetime | None
    last_failure: datetime | None
    error: str
    seconds: float | None
    late: bool


def jobs(*, now: datetime) -> list[Job]:
    """Return every entry of the schedule with its last success and whether it is late.

    Late is a job that did not succeed within three of its beats; counted from its last
    success, else from the time its entry was last changed (the first start of the beat).
    """
    entries = {row.name: row for row in PeriodicTask.objects.filter(name__in=SCHEDULE)}
    kept = _read({entry["task"] for entry in SCHEDULE.values()})
    found = []
    for name, entry in SCHEDULE.items():
        row, task = entries.get(name), entry["task"]
        done, failed = kept.get(_key(task, "success"), {}), kept.get(_key(task, "failure"), {})
        beat = interval_of(entry)
        since = done.get("at") or (row.date_changed if row else None)
        paused = row is not None and not row.enabled
        late = not paused and since is not None and now - since > max(MISSED_BEATS * beat, GRACE)
        found.append(
            Job(
                name=name,
                task=task,
                every=beat,
                scheduled=row is not None,
                paused=paused,
                last_success=done.get("at"),
                last_failure=failed.get("at"),
                error=failed.get("error", ""),
                seconds=done.get("seconds"),
                late=late,
            )
        )
    return found


def late_jobs(*, now: datetime) -> list[Job]:
    """Return the jobs that a person should look at: late ones."""
    return [job for job in jobs(now=now) if job.late]


def failures_in_a_row(task: str) -> int:
    """Return how often a job has failed since it last succeeded; 0 where it is not known."""
    kept = _read({task})
    done, failed = kept.get(_key(task, "success"), {}), kept.get(_key(task, "failure"), {})
    if not failed or (done and done["at"] > failed["at"]):
        return 0
    return int(failed.get("in_a_row", 1))


def interval_of(entry: Mapping[str, Any]) -> timedelta:
    """Return how long it is from one run of a job to the next."""
    schedule = entry["schedule"]
    return timedelta(days=1) if isinstance(schedule, crontab) else timedelta(seconds=schedule)


def _key(task: str, outcome: str) -> str:
    return f"job:{task}:{outcome}"


def _read(tasks: set[str]) -> dict[str, dict[str, Any]]:
    keys = [_key(task, outcome) for task in tasks for outcome in ("success", "failure")]
    try:
        return cache.get_many(keys)
    except RedisError:
        return {}


def _write(task: str, outcome: str, value: dict[str, Any]) -> None:
    try:
        cache.set(_key(task, outcome), value, KEPT_FOR.total_seconds())
    except RedisError:
        # The task itself is done; only its note is lost until the next beat.
        logger.warning("The outcome of %s could not be noted.", task)


SCHEDULED = {entry["task"] for entry in SCHEDULE.values()}


@task_prerun.connect
def note_start(task: Any, **kwargs: Any) -> None:
    task.request.began_at = timezone.now()


@task_success.connect
def note_success(sender: Any, **kwargs: Any) -> None:
    """Write down when a periodic task ended well, and how long it took."""
    if sender.name in SCHEDULED:
        now = timezone.now()
        began = getattr(sender.request, "began_at", now)
        _write(sender.name, "success", {"at": now, "seconds": (now - began).total_seconds()})


@task_failure.connect
def note_failure(sender: Any, exception: BaseException, **kwargs: Any) -> None:
    """Write down when a periodic task last raised, and what."""
    if sender.name in SCHEDULED:
        error = f"{type(exception).__name__}: {exception}"[:500]
        note = {"error": error, "in_a_row": failures_in_a_row(sender.name) + 1}
        _write(sender.name, "failure", {"at": timezone.now(), **note})
