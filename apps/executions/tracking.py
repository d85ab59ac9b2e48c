"""Runs of our own code: ``tracked_execution`` around the whole, ``run.step`` around a part.

    with tracked_execution("CANDLE_IMPORT", symbol="ETH/BTC", total_tasks=2) as run:
        with run.step("read") as result:
            result["rows"] = …
        run.check_cancelled()
        with run.step("store"):
            …

Each of these writes is over when it returns, so that others see it: inside an open transaction
they raise RuntimeError. Once the run has begun, a report that cannot be stored is logged and
never fails the work.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

import psutil
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from apps.executions.choices import ExecutionStatus, StepStatus
from apps.executions.domain.states import FINAL, RUNNING
from apps.executions.models import Execution
from apps.executions.services.runs import (
    ProgressReport,
    StepReport,
    finish,
    new_execution_id,
    report_progress,
    report_step,
    start_executions,
)
from apps.shared.errors import Conflict, DomainError

logger = logging.getLogger(__name__)

MEGABYTE = 1_000_000
# A run is heard of so many times within its lease: one or two may get lost.
BEATS_PER_LEASE = 3
# The thread that keeps the lease may be just writing when the work is over.
FAREWELL_SECONDS = 5.0


class ExecutionCancelled(Exception):
    """Somebody wishes this run to end. Let it pass: it ends the run as CANCELLED.

    An ordinary exception, so that code which tidies up after any failure does so here too. Code
    that swallows every exception swallows this one as well; ``check_cancelled`` raises it again.
    """


class Beginning(NamedTuple):
    """What is told of a run when it begins."""

    execution_id: str
    execution_type: str
    symbol: str
    symbols: Sequence[str]
    status: str
    timestamp_start: datetime | None
    total_tasks: int
    triggered_by: str
    server_id: str
    version: str
    lease_seconds: int
    metadata: Mapping[str, Any]


class Meter:
    """What this process uses from here on: share of a core, peak of memory, disk read and written.

    A process that does several things at once counts them all.
    """

    def __init__(self) -> None:
        self._process = psutil.Process(os.getpid())
        self._began = time.monotonic()
        self._cpu, self._disk = self._cpu_seconds(), self._disk_bytes()

    def report(self) -> ProgressReport:
        """Return a report of these measures alone, as far as the system tells them."""
        found: dict[str, Any] = {}
        seconds = time.monotonic() - self._began
        try:
            if seconds > 0:
                used = self._cpu_seconds() - self._cpu
                found["cpu_usage_avg"] = round(max(0.0, 100 * used / seconds), 2)
            found["memory_peak_mb"] = round(self._process.memory_info().rss / MEGABYTE, 2)
            moved = self._disk_bytes() - self._disk
            found["disk_io_mb"] = round(max(0, moved) / MEGABYTE, 2)
        except psutil.Error:
            logger.debug("The system does not say what this process uses.", exc_info=True)
        return ProgressReport(**found)

    def _cpu_seconds(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def _disk_bytes(self) -> int:
        # Not every system counts it.
        counters = getattr(self._process, "io_counters", None)
        if counters is None:
            return 0
        try:
            counted = counters()
        except (psutil.Error, OSError):
            return 0
        return int(counted.read_bytes + counted.write_bytes)


class Pulse:
    """Keeps the lease of a run from a thread of its own, on a connection of its own.

    It connects only after the first interval: a short run costs no connection.
    """

    def __init__(self, execution_id: str, *, interval: float, meter: Meter) -> None:
        self.execution_id = execution_id
        self.interval = interval
        self.meter = meter
        self.beats = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="execution-pulse", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; one that hangs in the database is left behind."""
        self._over.set()
        self._thread.join(FAREWELL_SECONDS)

    def _run(self) -> None:
        try:
            while not self._over.wait(self.interval):
                if not self._beat():
                    return
        finally:
            connection.close()

    def _beat(self) -> bool:
        """Give a sign of life; False when the run has ended."""
        try:
            report = self.meter.report()
            report_progress(execution_id=self.execution_id, now=timezone.now(), report=report)
            self.beats += 1
        except DomainError as error:
            logger.warning("%s is not kept alive any more: %s", self.execution_id, error.message)
            return False
        except Exception:
            # The next one may get through; the work goes on in any case.
            logger.warning("%s gave no sign of life", self.execution_id, exc_info=True)
            connection.close()
        return True


class TrackedRun:
    """The run inside its ``with`` block."""

    def __init__(self, execution_id: str) -> None:
        self.execution_id = execution_id
        # The exception that a step has told already: it is one failure, not two.
        self._told: BaseException | None = None
        self._names: Counter[str] = Counter()

    @contextmanager
    def step(self, name: str) -> Iterator[dict[str, Any]]:
        """Record a step: SUCCESS with what the block puts into the dict it is given, or FAILED.

        A name that comes again is numbered: ``read (2)``. Steps may stand inside one another.
        """
        self._names[name] += 1
        if self._names[name] > 1:
            name = f"{name} ({self._names[name]})"
        result: dict[str, Any] = {}
        self._tell(StepReport(step_name=name, status=StepStatus.RUNNING))
        try:
            yield result
        except ExecutionCancelled:
            self._tell(StepReport(step_name=name, status=StepStatus.CANCELLED, result_data=result))
            raise
        except BaseException as error:
            self._told = error
            failure = StepReport(
                step_name=name,
                status=StepStatus.FAILED,
                result_data=result,
                error_type=type(error).__name__,
                error_message=message_of(error),
                error_traceback=trace_of(error),
            )
            self._tell(failure)
            raise
        self._tell(StepReport(step_name=name, status=StepStatus.SUCCESS, result_data=result))

    def progress(
        self,
        operation: str | None = None,
        *,
        completed: Sequence[str] = (),
        total_tasks: int | None = None,
    ) -> None:
        """Say what it does now, what is completed, how many tasks there are after all."""
        report = ProgressReport(
            current_operation=operation, completed_tasks=completed, total_tasks=total_tasks
        )
        self.store(
            lambda: report_progress(
                execution_id=self.execution_id, now=timezone.now(), report=report
            )
        )

    def check_cancelled(self) -> None:
        """Raise ExecutionCancelled when somebody wishes this run to end, or when it has ended.

        Asks the database each time: call it between pieces of work, not for each row.
        """
        columns = ("status", "cancel_requested_at")
        found = Execution.objects.filter(pk=self.execution_id).values_list(*columns).first()
        if found is None or found[0] in FINAL or found[1] is not None:
            raise ExecutionCancelled(f"{self.execution_id} is to end.")

    def end(self, status: ExecutionStatus, error: BaseException | None, meter: Meter) -> None:
        """End the run, with the error that ended it unless a step has told it."""
        errors = []
        if error is not None and error is not self._told:
            errors = [
                {
                    "error_type": type(error).__name__,
                    "error_message": message_of(error),
                    "traceback": trace_of(error),
                }
            ]
        report = meter.report()
        if not connection.in_atomic_block:
            # What failed may have been the connection itself.
            connection.close_if_unusable_or_obsolete()
        self.store(
            lambda: finish(
                execution_id=self.execution_id,
                status=status,
                now=timezone.now(),
                errors=errors,
                report=report,
            )
        )

    def store(self, write: Callable[[], Any]) -> None:
        """Write so that it is over, and seen by others, when this returns."""
        try:
            with transaction.atomic(durable=True):
                write()
        except DomainError as error:
            # It has ended without us, as lost for example: what is final stays.
            logger.warning("%s takes no report: %s", self.execution_id, error.message)
        except DatabaseError:
            logger.exception("A report of %s was not stored", self.execution_id)

    def _tell(self, report: StepReport) -> None:
        self.store(
            lambda: report_step(execution_id=self.execution_id, now=timezone.now(), report=report)
        )


@contextmanager
def tracked_execution(
    execution_type: str,
    *,
    symbol: str = "",
    total_tasks: int = 0,
    triggered_by: str = "",
    metadata: Mapping[str, Any] | None = None,
    lease_seconds: int = 300,
    execution_id: str = "",
) -> Iterator[TrackedRun]:
    """Run a block as an execution that staff can watch and cancel.

    It is RUNNING at once. A block that ends makes it COMPLETED, unless its steps say otherwise;
    one that raises FAILED, and the exception goes on its way; ExecutionCancelled makes it
    CANCELLED and goes no further. Whoever is killed is found by the watch when the lease is over.
    Raises Conflict when ``execution_id`` is taken, and RuntimeError inside a transaction.
    """
    now = timezone.now()
    beginning = Beginning(
        execution_id=execution_id or new_execution_id(execution_type, now),
        execution_type=execution_type,
        symbol=symbol,
        symbols=[],
        status=RUNNING,
        timestamp_start=now,
        total_tasks=total_tasks,
        triggered_by=triggered_by,
        server_id=socket.gethostname()[:255],
        version="",
        lease_seconds=lease_seconds,
        metadata=metadata or {},
    )
    with transaction.atomic(durable=True):
        if not start_executions([beginning], now=now).created:
            raise Conflict(f"There is an execution {execution_id} already.", ["execution_id"])
    run, meter = TrackedRun(beginning.execution_id), Meter()
    pulse = Pulse(run.execution_id, interval=lease_seconds / BEATS_PER_LEASE, meter=meter)
    pulse.start()
    try:
        yield run
    except ExecutionCancelled:
        pulse.stop()
        run.end(ExecutionStatus.CANCELLED, None, meter)
    except BaseException as error:
        pulse.stop()
        run.end(ExecutionStatus.FAILED, error, meter)
        raise
    else:
        pulse.stop()
        run.end(ExecutionStatus.COMPLETED, None, meter)


def message_of(error: BaseException) -> str:
    """Return what an exception says, whatever its ``__str__`` does."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a foreign __str__ may raise anything
        return f"<{type(error).__name__} that has no text>"


def trace_of(error: BaseException) -> str:
    """Return the traceback as Python prints it."""
    try:
        return "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001 - it contains the text of the exception
        return "".join(traceback.format_tb(error.__traceback__))
