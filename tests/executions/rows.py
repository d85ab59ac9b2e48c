"""Runs as programs tell them, and several threads that set out at the same moment."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from django.db import connection

from apps.executions.models import Execution, ExecutionStep

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

_numbers = count(1)


@dataclass(slots=True)
class Sent:
    """A run as a program sends it."""

    execution_id: str = field(default_factory=lambda: f"run-{next(_numbers)}")
    execution_type: str = "NIGHTLY"
    symbol: str = "BTC/USD"
    symbols: list[str] = field(default_factory=list)
    status: str = "RUNNING"
    timestamp_start: datetime | None = None
    total_tasks: int = 0
    triggered_by: str = "USER"
    server_id: str = "server-1"
    version: str = "1.2"
    lease_seconds: int = 300
    metadata: dict[str, Any] = field(default_factory=dict)


def stored(execution_id: str) -> Execution:
    return Execution.objects.get(pk=execution_id)


def step_of(execution_id: str, name: str) -> ExecutionStep:
    return ExecutionStep.objects.get(execution_id=execution_id, step_name=name)


def every_bit() -> list[str]:
    """Return all rows of runs and steps as text, with the places where they stand.

    A row that was written anew stands elsewhere, even when it says the same.
    """
    rows: list[str] = []
    with connection.cursor() as cursor:
        for table in ("execution_logs", "execution_steps"):
            cursor.execute(f"SELECT ctid::text || xmin::text || t::text FROM {table} t ORDER BY 1")
            rows += [text for (text,) in cursor.fetchall()]
    return rows
