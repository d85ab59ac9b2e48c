"""Python's own logging as a way into the tables: any ``logger.info(…)`` of our code."""

import logging
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest

from apps.logs.domain.levels import severity_of
from apps.logs.middleware import cause_of, current_request, user_of
from apps.logs.writer import REFUSED, writer

# What every record has; anything else came by ``extra=``.
USUAL = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message", "asctime", "taskName", "correlation_id",
}  # fmt: skip
SIMPLE = frozenset({str, int, float, bool, type(None)})
DEEPEST = 8
UNPRINTABLE = "(cannot be shown)"


class DatabaseHandler(logging.Handler):
    """Hands each record to the writer: a line, and an error where it carries an exception.

    Costs some microseconds, waits for nothing and never raises. What the writer itself and its
    database driver log is left out, or one line would bring about the next.
    """

    def createLock(self) -> None:
        """Have none: nothing here is shared between threads."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Put the record into the queue as it is now; arguments may change later."""
        try:
            if record.name.startswith("psycopg") or writer.is_own_thread():
                return
            line = line_of(record)
            writer.put("SystemLog", line)
            error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
            if error is not None:
                writer.put("ErrorLog", error_of(record, error, line))
        except Exception as mistake:  # noqa: BLE001 - who logs must not fail by logging
            writer.drop(1, REFUSED, repr(mistake))


def line_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return a record as a row of the system log."""
    message, metadata = message_of(record), {}
    for name in record.__dict__.keys() - USUAL:
        value = record.__dict__[name]
        # Django adds the whole request; there is a row of its own for that.
        if not isinstance(value, HttpRequest):
            metadata[name] = plain(value)
    if record.stack_info:
        metadata["stack_info"] = record.stack_info
    return {
        "timestamp": datetime.fromtimestamp(record.created, UTC),
        "correlation_id": cause_of(request_of(record)),
        "metadata": metadata,
        "level": severity_of(record.levelno),
        "logger_name": record.name,
        "message": message,
        "module": record.module,
        "function_name": record.funcName or "",
        "line_number": record.lineno,
        "thread_name": record.threadName or "",
        "process_id": record.process,
    }


def error_of(
    record: logging.LogRecord, error: BaseException, line: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the exception of a record as a row of the error log, beside its line."""
    kind = type(error)
    if not record.exc_text:
        # Where the standard formatter keeps it too: whoever comes second need not do it again.
        record.exc_text = "".join(traceback.format_exception(error)).rstrip("\n")
    request = request_of(record)
    builtin = kind.__module__ in ("builtins", "__main__")
    return {
        "timestamp": line["timestamp"],
        "correlation_id": line["correlation_id"],
        "metadata": line["metadata"],
        "error_type": kind.__qualname__ if builtin else f"{kind.__module__}.{kind.__qualname__}",
        "error_message": shown(error),
        "stack_trace": record.exc_text,
        "component": record.name,
        "user_id": user_of(request) if request else "",
        "request_path": request.get_full_path() if request else "",
    }


def request_of(record: logging.LogRecord) -> HttpRequest | None:
    """Return the request that a record is about; what Django says of an answer names its own."""
    named = record.__dict__.get("request")
    return named if isinstance(named, HttpRequest) else current_request.get()


def message_of(record: logging.LogRecord) -> str:
    """Return the message with its arguments; where they do not fit, both as they are."""
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - a mistake in a log call is not to hide the line
        return f"{shown(record.msg)} {shown(record.args)}"


def shown(value: Any) -> str:
    """Return an object as text, whatever its own code does."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - foreign code
        return UNPRINTABLE


def plain(value: Any, depth: int = 0) -> Any:
    """Return a copy as JSON has it: the original may change before it is written."""
    if type(value) in SIMPLE:
        return value
    if depth < DEEPEST:
        if isinstance(value, dict):
            return {shown(key): plain(inner, depth + 1) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [plain(inner, depth + 1) for inner in value]
    return shown(value)
