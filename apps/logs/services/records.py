"""Records of Python's ``logging``, as programs outside post them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from apps.logs.domain.records import RecordRow, from_form
from apps.logs.models import ErrorLog, SystemLog
from apps.logs.services.entries import store_entries

SHARED = ("timestamp", "correlation_id", "metadata")
OF_LINES = (
    *SHARED,
    "level",
    "logger_name",
    "message",
    "module",
    "function_name",
    "line_number",
    "thread_name",
    "process_id",
)
# Of an exception of which only the traceback came.
UNNAMED = "Exception"


def store_record(*, fields: Mapping[str, str], now: datetime) -> None:
    """Store the line of a record and, where it tells of an exception, the error.

    ``fields`` are the attributes of a ``LogRecord`` as texts; nothing in them is refused.
    """
    record = from_form(fields, received=now)
    line = {name: getattr(record, name) for name in OF_LINES}
    if not (record.error_type or record.stack_trace):
        # The usual case, without a savepoint: a request stores but one line.
        store_entries(model=SystemLog, rows=[line], now=now)
        return
    with transaction.atomic():
        store_entries(model=SystemLog, rows=[line], now=now)
        store_entries(model=ErrorLog, rows=[error_of(record)], now=now)


def error_of(record: RecordRow) -> dict[str, Any]:
    """Return the columns of the error that a record tells of."""
    return {
        **{name: getattr(record, name) for name in SHARED},
        "error_type": record.error_type or UNNAMED,
        "error_message": record.error_message,
        "stack_trace": record.stack_trace,
        "component": record.logger_name,
    }
