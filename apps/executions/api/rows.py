"""What programs send of their runs: who they are, how far they came, how they ended.

Messages and tracebacks are taken whatever they hold; names, states and numbers must be right.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from apps.executions.choices import ExecutionStatus, StepStatus
from apps.executions.domain.states import FINAL, PENDING, RUNNING
from apps.shared.api.nested import RowsCheck
from apps.shared.api.rows import (
    RATIO_LIMIT,
    ZERO,
    Evidence,
    JsonObject,
    Moment,
    Row,
    Word,
    number,
    text,
)
from apps.shared.api.values import ChoiceCheck, EvidenceCheck, NumberCheck, Refused, TextCheck
from apps.shared.fields import RATIO_PLACES

LARGEST_COUNT = 2**31 - 1
LONGEST_LEASE = 7 * 24 * 3600
MOST_SYMBOLS = 1_000
MOST_TASKS = 10_000
MOST_ERRORS = 1_000


@dataclass(frozen=True, slots=True)
class ListCheck:
    """A list of at most ``maximum`` texts, each of them as ``each`` wants it."""

    each: TextCheck | EvidenceCheck
    maximum: int

    def read(self, value: Any) -> list[str]:
        """Return the texts of a JSON list; the first that is wrong is named by its place."""
        if not isinstance(value, list):
            raise Refused("type", "Must be a list of strings.")
        if len(value) > self.maximum:
            raise Refused("too_many", f"Must be at most {self.maximum:,}.")
        for place, one in enumerate(value):
            try:
                self.each.read(one)
            except Refused as refused:
                raise Refused(refused.code, refused.message, f"/{place}") from refused
        return value

    def admits(self, column: Sequence[list[str]], *, short: bool) -> bool:
        """Tell whether all lists are fine."""
        try:
            for value in column:
                self.read(value)
        except Refused:
            return False
        return True


def words(allowed: Sequence[str], description: str) -> Meta:
    """Return the metadata of a word that must be one of some states."""
    return Meta(
        description=description,
        extra={"check": ChoiceCheck(tuple(allowed))},
        extra_json_schema={"enum": list(allowed)},
    )


def evidence(maximum: int) -> Meta:
    """Return the metadata of a short text that is kept whatever characters it holds."""
    return Meta(max_length=maximum, extra={"check": EvidenceCheck(maximum=maximum)})


# No slash: the key stands in addresses, with a verb behind it.
ExecutionKey = Annotated[
    str,
    text(
        255,
        minimum=1,
        pattern=r"[^\s/]+(?: [^\s/]+)*",
        description="Chosen by the client; without slashes.",
    ),
]
Started = Annotated[
    str,
    words(
        [PENDING.value, RUNNING.value],
        "RUNNING begins it at once; a PENDING one begins with its first report, or with begin/.",
    ),
]
Ended = Annotated[
    str,
    words(
        [status.value for status in ExecutionStatus if status in FINAL],
        "How it ended by its own account; steps that failed make a COMPLETED one less.",
    ),
]
Symbols = Annotated[
    list[str],
    Meta(
        description="Where it is about several.",
        extra={
            "check": ListCheck(
                TextCheck(minimum=1, maximum=50, pattern=r"\S+(?: \S+)*"), MOST_SYMBOLS
            )
        },
    ),
]
Tasks = Annotated[
    list[str],
    Meta(
        description="Names of tasks that are done; those told before are kept.",
        extra={"check": ListCheck(EvidenceCheck(maximum=255), MOST_TASKS)},
    ),
]
Count = Annotated[int, Meta(ge=0, le=LARGEST_COUNT)]
Lease = Annotated[
    int,
    Meta(
        ge=1,
        le=LONGEST_LEASE,
        description="Not heard of for so many seconds, it is lost.",
    ),
]
Measured = Annotated[
    Decimal,
    number(
        NumberCheck(minimum=ZERO, below=RATIO_LIMIT, places=RATIO_PLACES),
        "0 or greater; at most 12 digits before the point and 8 behind it.",
    ),
]
StepWord = Annotated[str, words(StepStatus.values, "A step may end without having begun.")]


class ExecutionRow(Row):
    """A run as its program announces it."""

    execution_id: ExecutionKey
    execution_type: Annotated[str, text(50, minimum=1, pattern=r"\S+(?: \S+)*")]
    status: Started = PENDING.value
    symbol: Word = ""
    symbols: Symbols = []
    timestamp_start: Moment | None = None
    total_tasks: Count = 0
    triggered_by: Annotated[str, text(150)] = ""
    server_id: Annotated[str, text(255)] = ""
    version: Annotated[str, text(100)] = ""
    lease_seconds: Lease = 300
    metadata: JsonObject = {}


class EmptyRow(Row):
    """Nothing needs to be said."""


class ProgressRow(Row):
    """How far a run is; an empty object is a mere sign of life."""

    current_operation: Annotated[str, evidence(500)] | None = None
    completed_tasks: Tasks = []
    total_tasks: Count | None = None
    cpu_usage_avg: Measured | None = None
    memory_peak_mb: Measured | None = None
    disk_io_mb: Measured | None = None


class StepRow(Row):
    """What became of one step."""

    step_name: Annotated[str, text(255, minimum=1)]
    status: StepWord
    timestamp_start: Moment | None = None
    timestamp_end: Moment | None = None
    result_data: JsonObject = {}
    reason: Word = ""
    error_type: Annotated[str, evidence(255)] = ""
    error_message: Evidence = ""
    error_traceback: Evidence = ""


class RunErrorRow(Row):
    """One thing that went wrong in a run."""

    step: Annotated[str, evidence(255)] = ""
    error_type: Annotated[str, evidence(255)] = ""
    error_message: Evidence = ""
    traceback: Evidence = ""
    timestamp: Moment | None = None


class FinishRow(ProgressRow, kw_only=True):
    """How a run ended, with what is left to tell of it."""

    status: Ended
    timestamp_end: Moment | None = None
    errors: Annotated[
        list[RunErrorRow], Meta(extra={"check": RowsCheck(RunErrorRow, MOST_ERRORS)})
    ] = []


class RetryRow(Row):
    """The new run."""

    execution_id: (
        Annotated[
            str,
            text(
                255,
                minimum=1,
                pattern=r"[^\s/]+(?: [^\s/]+)*",
                description="Of the new run; sent again, the same run is answered.",
            ),
        ]
        | None
    ) = None


class RunAnswer(msgspec.Struct):
    """How a run stands after a report."""

    execution_id: str
    status: Annotated[str, words(ExecutionStatus.values, "Its state.")]
    progress_percentage: Annotated[str, Meta(description="A decimal, 0 to 100.")]
    cancel_requested: Annotated[
        bool, Meta(description="Somebody wishes it to end: finish it as CANCELLED.")
    ]


class CancellationAnswer(msgspec.Struct):
    """Whether somebody wishes a run to end."""

    execution_id: str
    status: Annotated[str, words(ExecutionStatus.values, "Its state.")]
    cancel_requested: bool
    cancel_requested_at: datetime | None
    cancel_requested_by: str
