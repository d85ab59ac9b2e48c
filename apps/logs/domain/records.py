"""Lines as Python's own ``logging.handlers.HTTPHandler`` posts them: every value as text.

The handler sends ``record.__dict__`` urlencoded, message and arguments apart. What the sender
would have read in its own log is worked out again from the text.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from apps.logs.domain.failures import last_raised
from apps.logs.domain.formatting import filled
from apps.logs.domain.levels import LEVEL_NUMBER, severity_of
from apps.logs.domain.reprs import value_of_text

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
LARGEST_INTEGER = 2**31 - 1
LARGEST_BIGINT = 2**63 - 1
# What logging itself puts on every record; all else was added by the sender.
STANDARD = frozenset(
    """name msg args levelname levelno pathname filename module exc_info exc_text stack_info lineno
    funcName created msecs relativeCreated thread threadName processName process taskName message
    asctime correlation_id""".split()  # noqa: SIM905
)
EXCEPTION_INFO = re.compile(
    r"\(<class '([^']{1,500})'>, (.*), (?:<traceback object at 0x[0-9A-Fa-f]+>|None)\)", re.DOTALL
)
RAISED = re.compile(r"^(?:  \| )?([A-Za-z_][\w.<>]*)(?:: ?(.*))?$")


@dataclass(frozen=True, slots=True)
class RecordRow:
    """A line as it is stored; '' and None where the sender did not say."""

    timestamp: datetime
    level: str
    logger_name: str
    message: str
    module: str
    function_name: str
    line_number: int | None
    thread_name: str
    process_id: int | None
    correlation_id: str
    metadata: dict[str, Any]
    error_type: str
    error_message: str
    stack_trace: str


def from_form(fields: Mapping[str, str], *, received: datetime) -> RecordRow:
    """Read one posted record; what is missing or makes no sense is left unknown. Never raises.

    A time that makes no sense becomes ``received``, and what was sent stands in
    ``metadata["sent_timestamp"]``. Other fields that the sender added become metadata, as text.
    """
    metadata: dict[str, Any] = {
        name: value for name, value in fields.items() if name not in STANDARD
    }
    for name in ("pathname", "stack_info", "taskName"):
        if value := _said(fields, name):
            metadata[name] = value
    timestamp = _time_of(fields.get("created", ""))
    if timestamp is None:
        metadata["sent_timestamp"] = fields.get("created", "")
        timestamp = received
    error_type, error_message, trace = _error_of(fields)
    if not error_type and (sent := _said(fields, "exc_info")) and sent != "(None, None, None)":
        metadata["exc_info"] = sent
    return RecordRow(
        timestamp=timestamp,
        level=_level_of(fields),
        logger_name=_said(fields, "name"),
        message=_message_of(fields, metadata),
        module=_said(fields, "module"),
        function_name=_said(fields, "funcName"),
        line_number=_whole(fields.get("lineno", ""), LARGEST_INTEGER),
        thread_name=_said(fields, "threadName"),
        process_id=_whole(fields.get("process", ""), LARGEST_BIGINT),
        correlation_id=_said(fields, "correlation_id"),
        metadata=metadata,
        error_type=error_type,
        error_message=error_message,
        stack_trace=trace,
    )


def _said(fields: Mapping[str, str], name: str) -> str:
    value = fields.get(name, "")
    return "" if value == "None" else value


def _whole(text: str, largest: int) -> int | None:
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        return None
    return number if (number := int(text)) <= largest else None


def _time_of(text: str) -> datetime | None:
    try:
        seconds = float(text)
        moment = datetime.fromtimestamp(seconds, UTC) if math.isfinite(seconds) else EARLIEST
    except (ValueError, OverflowError, OSError):
        return None
    return moment if moment > EARLIEST else None


def _level_of(fields: Mapping[str, str]) -> str:
    number = fields.get("levelno", "").strip()
    return severity_of(number if LEVEL_NUMBER.fullmatch(number) else fields.get("levelname", ""))


def _message_of(fields: Mapping[str, str], metadata: dict[str, Any]) -> str:
    # A Formatter that ran before the handler left the finished text.
    if "message" in fields:
        return fields["message"]
    message, arguments = fields.get("msg", ""), fields.get("args", "")
    done = filled(message, arguments)
    if done is None:
        metadata["msg"], metadata["args"] = message, arguments
        return f"{message} {arguments}"
    return done


def _error_of(fields: Mapping[str, str]) -> tuple[str, str, str]:
    """Return (type, message, trace) of the exception that came with the line."""
    trace = _said(fields, "exc_text")
    for error_type, message in _raised(trace):
        return error_type, message, trace
    match = EXCEPTION_INFO.fullmatch(fields.get("exc_info", ""))
    if not match:
        return "", "", trace
    error_type = match[1].removeprefix("__main__.").removeprefix("builtins.")
    return error_type, str(value_of_text(match[2])), trace


def _raised(trace: str) -> Iterator[tuple[str, str]]:
    """Find the line "Type: message" after the frames, with the lines that belong to it."""
    lines = last_raised(trace).splitlines()
    for number, line in enumerate(lines):
        if line.startswith(("Traceback (", " ", "\t")) and not line.startswith("  | "):
            continue
        match = RAISED.match(line)
        if match:
            group = line.startswith("  | ")
            rest = [text.removeprefix("  | ") if group else text for text in lines[number + 1 :]]
            yield match[1], "\n".join((match[2] or "", *rest)).strip()
            return
