"""How long something took, and what it cost: ``timed`` as a decorator or around a block."""

import functools
import inspect
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

import psutil

from apps.logs.writer import writer
from apps.shared.correlation import correlation_id

P = ParamSpec("P")
T = TypeVar("T")

# By name: neither Celery's nor anybody else's code is needed here for it.
TIMEOUTS = frozenset({"TimeoutError", "SoftTimeLimitExceeded", "TimeLimitExceeded"})
# Below this many seconds the clock of a thread says nothing about its share.
SHORTEST_SHARE = 0.001
MEGABYTE = 1_000_000


class timed:
    """Record one run of an operation: duration, outcome, memory, share of a core.

    ``with timed("get_features"): …`` or ``@timed("get_features", component="features")`` on an
    ordinary function. What the code returns or raises is left as it is; a run ends as *error*
    when it raises, as *timeout* when that says so. CPU time is that of the calling thread.
    """

    def __init__(self, name: str, component: str = "") -> None:
        self.name = name
        self.component = component

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            # Calling one only makes it; there is nothing to time yet.
            raise TypeError("timed() takes ordinary functions.")

        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> T:
            with timed(self.name, self.component):
                return function(*args, **kwargs)

        return run

    def __enter__(self) -> "timed":
        self.began, self.cpu_began = time.perf_counter(), time.thread_time()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.finish(error)

    def finish(self, error: BaseException | None = None) -> None:
        """Hand over the row of this run."""
        seconds = time.perf_counter() - self.began
        cpu = time.thread_time() - self.cpu_began
        record_operation(
            self.name,
            seconds=seconds,
            error=error,
            component=self.component,
            memory_usage_mb=resident_megabytes(),
            cpu_usage_percent=round(100 * cpu / seconds, 1) if seconds > SHORTEST_SHARE else None,
        )


def record_operation(
    name: str, *, seconds: float, error: BaseException | None, component: str = "", **values: Any
) -> None:
    """Hand over the row of an operation that ends now; ``error`` is what it raised, if it did."""
    writer.put(
        "PerformanceLog",
        {
            "timestamp": datetime.now(UTC) - timedelta(seconds=seconds),
            "correlation_id": correlation_id.get(),
            "operation_name": name,
            "duration_ms": round(1000 * seconds, 3),
            "status": outcome_of(error),
            "component": component,
            "metadata": {"error": type(error).__qualname__} if error else {},
            **values,
        },
    )


def outcome_of(error: BaseException | None) -> str:
    """Return how an operation ended that raised ``error``, or nothing."""
    if error is None:
        return "success"
    names = {kind.__name__ for kind in type(error).__mro__}
    return "timeout" if names & TIMEOUTS else "error"


def resident_megabytes() -> float | None:
    """Return the memory of this process, or None where the system does not say."""
    try:
        return round(_process(os.getpid()).memory_info().rss / MEGABYTE, 1)
    except psutil.Error:
        return None


@functools.lru_cache(maxsize=1)
def _process(pid: int) -> psutil.Process:
    # Making one costs more than asking it, and a forked process is another one.
    return psutil.Process(pid)
