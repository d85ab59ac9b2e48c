"""The Celery app and the whole schedule.

A message is only a wake-up: every task finds its work in the database. So nothing here is
precious, and a message that finds nobody in time is dropped.
"""

import os
import sys
from typing import Any

from celery import Celery
from celery.schedules import crontab
from celery.signals import (
    before_task_publish,
    setup_logging,
    task_failure,
    task_postrun,
    task_prerun,
    worker_process_shutdown,
)
from django.conf import settings

from apps.logs.timing import record_operation, timed
from apps.logs.writer import writer
from apps.shared.correlation import correlation_id, new_correlation_id

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# Two minutes are far more than any tick needs; whoever works longer works in pieces.
SOFT_LIMIT, HARD_LIMIT = 120, 150
HEADER = "blotter_correlation_id"


def every(*, task: str, seconds: int) -> dict[str, Any]:
    """Run a task at a steady beat; a message older than its beat is dropped.

    ``expires`` is Celery's own word for it, ``expire_seconds`` that of the scheduler whose
    entries stand in the database; it ignores the other.
    """
    expiry = {"expires": seconds, "expire_seconds": seconds}
    return {"task": task, "schedule": float(seconds), "options": expiry}


def daily(*, task: str, hour: int, minute: int) -> dict[str, Any]:
    """Run a task once a day at a time in UTC; it may wait for six hours at most."""
    expiry = {"expires": 21_600, "expire_seconds": 21_600}
    return {"task": task, "schedule": crontab(hour=hour, minute=minute), "options": expiry}


SCHEDULE = {
    "fetch candles": every(task="apps.market.tasks.fetch_candles", seconds=60),
    "build features": every(task="apps.market.tasks.build_features", seconds=60),
    "fill gaps of candles": every(task="apps.market.tasks.run_backfills", seconds=60),
    "check candles": every(task="apps.market.tasks.check_candles", seconds=900),
    "verify features": every(task="apps.market.tasks.verify_features", seconds=3600),
    "refresh coverage on request": every(
        task="apps.market.tasks.run_coverage_refreshes", seconds=60
    ),
    "refresh feature coverage": every(task="apps.market.tasks.refresh_coverage", seconds=3600),
    "classify regimes": every(task="apps.market.tasks.classify_regimes", seconds=3600),
    "expire cached answers": every(task="apps.market.tasks.expire_cache", seconds=300),
    "track alert prices": every(task="apps.alerts.tasks.track_prices", seconds=60),
    "settle alerts": every(task="apps.alerts.tasks.settle_alerts", seconds=60),
    "settle predictions and signals": every(task="apps.analysis.tasks.settle_claims", seconds=60),
    "work on symbol additions": every(task="apps.analysis.tasks.run_symbol_additions", seconds=60),
    "watch executions": every(task="apps.executions.tasks.watch_executions", seconds=15),
    "check heartbeats of bots": every(task="apps.bots.tasks.check_heartbeats", seconds=15),
    "check limits": every(task="apps.bots.tasks.check_limits", seconds=15),
    # Of each quarter of an hour one snapshot is kept: so often that none is passed over.
    "snapshot bots": every(task="apps.bots.tasks.snapshot_bots", seconds=300),
    "snapshot paper portfolios": every(task="apps.bots.tasks.snapshot_portfolios", seconds=300),
    "learn usual gaps of bots": every(task="apps.bots.tasks.measure_usual_gaps", seconds=900),
    "judge decisions of agents": every(task="apps.agents.tasks.judge_decisions", seconds=60),
    "mark trades of agents": every(task="apps.agents.tasks.mark_trades", seconds=60),
    "price model calls": every(task="apps.agents.tasks.price_calls", seconds=300),
    "snapshot agents": every(task="apps.agents.tasks.snapshot_agents", seconds=300),
    "rank agents": every(task="apps.agents.tasks.rank_agents", seconds=900),
    "retention": daily(task="apps.retention.tasks.retain", hour=3, minute=30),
    "run retention": every(task="apps.retention.tasks.run_retention", seconds=60),
    "make log partitions": every(task="apps.logs.tasks.make_partitions", seconds=3600),
    "forget idempotency keys": every(
        task="apps.access.tasks.expire_idempotency_keys", seconds=3600
    ),
}


def broker_url(url: str) -> str:
    """Return the address as Celery writes it: a socket is ``redis+socket://``."""
    return url.replace("unix://", "redis+socket://", 1).replace("?db=", "?virtual_host=")


app = Celery("blotter", broker=broker_url(settings.CELERY_BROKER_URL), set_as_current=True)
app.conf.update(
    accept_content=["json"],
    task_serializer="json",
    timezone="UTC",
    # A task is taken off the queue when it is done, so a killed worker loses none.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_ignore_result=True,
    task_soft_time_limit=SOFT_LIMIT,
    task_time_limit=HARD_LIMIT,
    # A broker that hangs or is away costs whoever publishes two seconds, not 45.
    task_publish_retry=False,
    broker_connection_timeout=2,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "socket_timeout": 2,
        "socket_connect_timeout": 2,
        "retry_on_timeout": False,
        "visibility_timeout": 2 * HARD_LIMIT,
        "global_keyprefix": "blotter:",
    },
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    worker_cancel_long_running_tasks_on_connection_loss=True,
    beat_scheduler="config.beat:Scheduler",
    beat_max_loop_interval=5,
    beat_schedule=SCHEDULE,
)
app.autodiscover_tasks()


@setup_logging.connect
def keep_our_logging(**kwargs: Any) -> None:
    """Leave the logging as the settings made it: who listens here keeps Celery from its own."""


@before_task_publish.connect
def send_correlation_id(headers: dict[str, Any], **kwargs: Any) -> None:
    """Give a message the id of what caused it."""
    headers.setdefault(HEADER, correlation_id.get() or new_correlation_id())


@task_prerun.connect
def begin_run(task: Any, **kwargs: Any) -> None:
    """Work under the id that came with the message, or under a new one; time it."""
    # What is not Celery's own among the headers of a message becomes part of the request.
    correlation_id.set(task.request.get(HEADER) or new_correlation_id())
    task.request.timed = timed(task.name, "celery").__enter__()


@task_postrun.connect
def end_run(task: Any, retval: Any, state: str | None, **kwargs: Any) -> None:
    """Record the run, then forget the id: a worker process lives on."""
    error = retval if isinstance(retval, BaseException) else sys.exc_info()[1]
    if timing := getattr(task.request, "timed", None):
        timing.finish(None if state in ("SUCCESS", "IGNORED", "REJECTED") else error)
    correlation_id.set("")


@task_failure.connect
def record_killed(sender: Any, exception: BaseException, **kwargs: Any) -> None:
    """Record a run that was ended by force; its own process cannot any more."""
    if type(exception).__name__ == "TimeLimitExceeded":
        seconds = float(exception.args[0]) if exception.args else HARD_LIMIT
        record_operation(sender.name, seconds=seconds, error=exception, component="celery")


@worker_process_shutdown.connect
def store_last_lines(**kwargs: Any) -> None:
    """Store what is left: a process of the pool ends without Python's own farewell."""
    writer.close()
