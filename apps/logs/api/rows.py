"""What programs send of what happened: lines, events, operations, errors, requests.

Messages and tracebacks are taken whatever they hold; names and numbers must be right.
"""

from decimal import Decimal
from typing import Annotated

from msgspec import Meta

from apps.logs.choices import OperationStatus, Severity
from apps.logs.domain.levels import LEVEL_NUMBER, SEVERITY_WORDS
from apps.shared.api.rows import (
    RATIO_LIMIT,
    ZERO,
    Address,
    Amount,
    Evidence,
    EvidenceObject,
    Moment,
    Row,
    Signed,
    Word,
    choice,
    number,
    text,
)
from apps.shared.api.values import KnownCheck, NumberCheck
from apps.shared.fields import RATIO_PLACES

LARGEST_LINE = 2**31 - 1
LARGEST_PROCESS = 2**63 - 1
LEVELS = (
    f"{', '.join(Severity.values[:-1])} or {Severity.values[-1]}, in any case; another name of"
    " one such as WARN, FATAL or TRACE; or a number as Python's logging has them."
)
# Unknown words of a record become INFO; whoever writes a level himself hears of a mistake.
INFORMING = frozenset(["INFO", "INF", "INFORMATION", "INFORMATIONAL", "NOTICE", "SUCCESS", "I"])


def known_level(level: str | int) -> bool:
    """Tell whether a word or number is a level, as ``severity_of`` reads it."""
    if isinstance(level, int):
        return True
    word = level.strip().upper()
    return word in SEVERITY_WORDS or word in INFORMING or bool(LEVEL_NUMBER.fullmatch(word))


Level = Annotated[
    str | int,
    Meta(
        description=LEVELS,
        extra={
            "check": KnownCheck(
                knows=known_level, code="not_a_level", message=f"Must be {LEVELS}", kinds=(str, int)
            )
        },
    ),
]
Named = Annotated[str, text(100)]
Required = Annotated[str, text(100, minimum=1)]
Cause = Annotated[
    str, text(100, description="What it has in common with its cause; else the request's id.")
]
Happened = Moment | None
Measured = Annotated[
    Decimal,
    number(
        NumberCheck(minimum=ZERO, below=RATIO_LIMIT, places=RATIO_PLACES),
        "0 or greater; at most 12 digits before the point and 8 behind it.",
    ),
]
User = Annotated[str, text(150, description="A user, or the client of a key.")]


class EntryRow(Row, kw_only=True):
    """What all entries have; without a ``timestamp`` it happened when it arrived."""

    timestamp: Happened = None
    correlation_id: Cause = ""
    metadata: EvidenceObject = {}


class SystemLogRow(EntryRow):
    """A line that a program logged."""

    logger_name: Required
    message: Evidence
    level: Level = Severity.INFO.value
    module: Named = ""
    function_name: Named = ""
    line_number: Annotated[int, Meta(ge=0, le=LARGEST_LINE)] | None = None
    thread_name: Named = ""
    process_id: Annotated[int, Meta(ge=0, le=LARGEST_PROCESS)] | None = None


class TradingEventRow(EntryRow):
    """Something that happened in trading."""

    event_type: Annotated[str, text(50, minimum=1)]
    symbol: Word = ""
    side: Annotated[str, text(10)] = ""
    quantity: Signed | None = None
    price: Amount | None = None
    order_id: Annotated[str, text(255)] = ""
    strategy: Word = ""


class PerformanceLogRow(EntryRow):
    """One run of an operation."""

    operation_name: Required
    duration_ms: Measured
    status: Annotated[str, choice(OperationStatus)] = OperationStatus.SUCCESS.value
    component: Named = ""
    memory_usage_mb: Measured | None = None
    cpu_usage_percent: Measured | None = None


class ErrorLogRow(EntryRow):
    """An error that was raised somewhere; its place in its group is found here."""

    error_type: Annotated[str, text(255, minimum=1)]
    error_message: Evidence = ""
    stack_trace: Evidence = ""
    component: Named = ""
    user_id: User = ""
    request_path: Evidence = ""


class UserActionLogRow(EntryRow):
    """A request that somebody made, and how it was answered."""

    action_type: Annotated[str, text(50, minimum=1)]
    user_id: User = ""
    session_id: Named = ""
    ip_address: Address | None = None
    user_agent: Evidence = ""
    request_path: Evidence = ""
    request_method: Annotated[str, text(10)] = ""
    response_status: Annotated[int, Meta(ge=100, le=599)] | None = None
    duration_ms: Measured | None = None
