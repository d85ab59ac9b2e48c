"""The correlation id: one name for everything that one cause brings about.

A request takes it from ``X-Request-ID`` or gets a new one, and gives it back; log lines
and tasks carry it on.
"""

import logging
import re
import time
import uuid
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

HEADER = "X-Request-ID"
ACCEPTED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\-]{0,99}")

correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")


def new_correlation_id() -> str:
    """Return a fresh id: 32 hexadecimal digits."""
    return uuid.uuid4().hex


class CorrelationMiddleware:
    """Give each request its id for as long as it runs, and the answer the same id."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get(HEADER, "")
        # Foreign text goes into logs and headers: only what is harmless there is taken over.
        token = correlation_id.set(given if ACCEPTED.fullmatch(given) else new_correlation_id())
        try:
            response = self.get_response(request)
            response[HEADER] = correlation_id.get()
            return response
        finally:
            correlation_id.reset(token)


class CorrelationFilter(logging.Filter):
    """Put the id on every log record, for formatters that name it."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.correlation_id = correlation_id.get()
        return True


class UtcFormatter(logging.Formatter):
    """Log lines in UTC, wherever the machine stands, and in text that can be printed."""

    converter = time.gmtime  # type: ignore[assignment]  # as the documentation has it

    def format(self, record: logging.LogRecord) -> str:
        # Half a character, which texts from outside may hold, would cost the whole line.
        return super().format(record).encode("utf-8", "backslashreplace").decode()
