"""Answers as JSON: plain values, and what became of rows that were sent."""

from decimal import Decimal
from typing import Any

import msgspec
from django.http import HttpResponse

from apps.shared.api import batches
from apps.shared.api.errors import ApiError, problem
from apps.shared.fields import plain_text
from apps.shared.ingest import Ingested


def json_response(content: bytes, status: int = 200) -> HttpResponse:
    """Return an answer whose body is JSON already."""
    return HttpResponse(content, status=status, content_type="application/json")


def answer(value: Any, status: int = 200) -> HttpResponse:
    """Return any value of plain types as JSON: decimals as strings, times with their offset."""
    return json_response(msgspec.json.encode(value), status)


def plain_values(value: Any) -> Any:
    """Return the value with every decimal in plain notation."""
    if isinstance(value, Decimal):
        return plain_text(value)
    if isinstance(value, dict):
        return {name: plain_values(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(each) for each in value]
    return value


def check_one(outcome: Ingested) -> None:
    """Raise the refusal of a single row that was not stored."""
    if not outcome.failed:
        return
    errors = outcome.results[0].errors
    if errors and all(error.code == "differs" for error in errors):
        names = ", ".join(error.pointer[1:] for error in errors)
        raise ApiError(
            409, "conflict", f"Stored under the same key with other content: {names}.", errors
        )
    raise batches.invalid(errors)


def batch_answer(outcome: Ingested, size: int, *, verbose: bool, atomic: bool) -> HttpResponse:
    """Answer a list: how many of each, and every row that was not plainly created.

    A batch of which nothing could be stored is a refusal; its counts and results stand in
    the problem under the same names.
    """
    results: list[Any] = list(outcome.results)
    if verbose:
        listed = {result.index for result in results}
        results += [
            {"index": index, "status": "created", "errors": []}
            for index in range(size if outcome.created else 0)
            if index not in listed
        ]
        results.sort(key=lambda one: one["index"] if isinstance(one, dict) else one.index)
    document: dict[str, Any] = {
        "created": outcome.created,
        "unchanged": outcome.unchanged,
        "replaced": outcome.replaced,
        "failed": outcome.failed,
        "results": results,
    }
    if outcome.failed and (atomic or outcome.failed == size):
        of = f"{outcome.failed} of {size} rows are refused"
        detail = f"{of}; nothing is stored." if atomic else f"{of}."
        return problem(400, "batch_refused", detail, **document)
    return answer(document, 201 if size and outcome.created == size else 200)
