"""What a run says in words and figures, as it may be stored: no secret, no NUL, no flood."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.conf import settings

from apps.executions.domain.progress import shortened
from apps.logs.domain.cleaning import clean
from apps.logs.domain.evidence import storable_value
from apps.logs.domain.redaction import redact_value
from apps.shared.copying import exact_json
from apps.shared.errors import DomainError, FieldError
from apps.shared.fields import RATIO_LIMIT

# Characters. The list of errors is read whole with each run, a step's own row is not.
LISTED = {"step": 255, "error_type": 255, "error_message": 2_000, "traceback": 8_000}
OF_STEP = {"error_type": 255, "error_message": 10_000, "error_traceback": 50_000, "reason": 50}
OPERATION = 500
TASK = 255
MOST_TASKS = 10_000
LARGEST_COUNT = 2**31 - 1
HUNDRED_MILLIONTH = Decimal("1e-8")


class RefusedReport(DomainError):
    """A report holds what cannot be; its fields are named."""

    code = "invalid"


def refused(name: str, code: str, message: str) -> RefusedReport:
    """Return the error that names one field of a report."""
    return RefusedReport("The report is refused.", [FieldError(f"/{name}", code, message)])


def cleaned(values: Mapping[str, str], limits: Mapping[str, int]) -> dict[str, str]:
    """Return texts without secrets and without what cannot be stored, cut to their limits.

    Long ones are cut in the middle: the end of a traceback says what happened.
    """
    kept = clean(dict(values), {})
    return {name: shortened(kept[name], limits[name]) for name in values}


def line(text: str, limit: int) -> str:
    """Return one text, cleaned, cut at its end."""
    return str(clean({"text": text}, {"text": limit})["text"])


def names(tasks: Sequence[str]) -> list[str]:
    """Return names of tasks, cleaned. Raises RefusedReport for more than are kept."""
    if len(tasks) > MOST_TASKS:
        raise refused("completed_tasks", "too_many", f"Must be at most {MOST_TASKS:,}.")
    return [line(str(task), TASK) for task in tasks]


def document(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON object as it will be read back: no secret, no NaN, no NUL."""
    kept, _ = storable_value(dict(value))
    return dict(json.loads(exact_json.encode(redact_value(kept))))


def error_entries(
    errors: Sequence[Mapping[str, Any]], *, now: datetime, step: str = ""
) -> list[Mapping[str, Any]]:
    """Return errors as a run lists them: step, error_type, error_message, traceback, timestamp."""
    entries: list[Mapping[str, Any]] = []
    for error in errors:
        texts = {name: _text(error.get(name)) for name in LISTED}
        texts["step"] = texts["step"] or step
        moment = error.get("timestamp") or now
        when = moment.isoformat() if isinstance(moment, datetime) else line(str(moment), 50)
        entries.append({**cleaned(texts, LISTED), "timestamp": when})
    return entries


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def measure(name: str, value: Decimal | float | None) -> Decimal | None:
    """Return a measure as its column keeps it. Raises RefusedReport unless it is 0 or greater."""
    if value is None:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        raise refused(name, "not_finite", "Must be a number.")
    try:
        exact_value = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        if not exact_value.is_finite() or not 0 <= exact_value < RATIO_LIMIT:
            raise refused(name, "out_of_range", "Must be 0 or greater, with at most 12 digits.")
        return min(exact_value.quantize(HUNDRED_MILLIONTH), RATIO_LIMIT - HUNDRED_MILLIONTH)
    except InvalidOperation as error:
        raise refused(name, "not_finite", "Must be a number.") from error


def moment(name: str, value: datetime | None, *, now: datetime) -> datetime | None:
    """Return a time that was told. Raises RefusedReport when it lies ahead of our clock."""
    tolerance: timedelta = settings.CLOCK_TOLERANCE
    if value is not None and value > now + tolerance:
        raise refused(name, "in_future", "Lies in the future.")
    return value
