"""Request bodies as exact values: strict JSON, nothing guessed, nothing rounded."""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest
from django.http.request import UnreadablePostError

from apps.shared.api.errors import ApiError

MAX_DEPTH = 64
MEBIBYTE = 1024 * 1024
READ_BYTES = 256 * 1024
# Python refuses to read longer integers, and PostgreSQL has no use for them.
MAX_INTEGER_DIGITS = 18

JSON, LINES, CSV = "application/json", "application/x-ndjson", "text/csv"
BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


class NotStrict(Exception):
    """Text that is no JSON, or JSON that means two things: a stable code and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def loads(text: str | bytes) -> Any:
    """Return the value of a JSON text; numbers with a point or exponent become decimals.

    Raises NotStrict for whatever readers of JSON disagree about: a name given twice, NaN,
    deep nesting, bytes that are not UTF-8, a byte order mark.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as error:
            raise NotStrict("not_utf8", f"Byte {error.start} is not UTF-8.") from error
    if text.startswith("\ufeff"):
        raise NotStrict("byte_order_mark", "Starts with a byte order mark.")
    if not text.strip():
        raise NotStrict("empty", "The body is empty.")
    check_depth(text)
    try:
        return _decoder.decode(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise NotStrict("malformed", f"No JSON: {error.msg} at {where}.") from error


def check_depth(text: str) -> None:
    """Raise NotStrict where brackets stand too deep inside each other."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for token in BRACKETS.finditer(text):
        bracket = token[0]
        if bracket in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise NotStrict("nested_too_deep", f"Is nested deeper than {MAX_DEPTH}.")
        elif bracket in "]}":
            depth -= 1


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                shown = name[:50].encode(errors="replace").decode()
                raise NotStrict("duplicate_name", f'The name "{shown}" stands twice.')
            seen.add(name)
    return values


def _whole(digits: str) -> int | Decimal:
    return int(digits) if len(digits.lstrip("-")) <= MAX_INTEGER_DIGITS else Decimal(digits)


def _exact(digits: str) -> Decimal:
    try:
        return Decimal(digits)
    except InvalidOperation as error:
        raise NotStrict("number_too_large", "Holds a number beyond all bounds.") from error


def _no_constant(name: str) -> Any:
    raise NotStrict("malformed", f"No JSON: {name} is not a JSON value.")


_decoder = json.JSONDecoder(
    object_pairs_hook=_named_once,
    parse_float=_exact,
    parse_int=_whole,
    parse_constant=_no_constant,
)


# --- The body of a request ----------------------------------------------------------------


def content_type(request: HttpRequest, accepted: tuple[str, ...]) -> str:
    """Return which of ``accepted`` a request says its body is; anything else is a 415."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length == "0" and "HTTP_TRANSFER_ENCODING" not in request.META:
        raise ApiError(400, "empty", "The body is empty.")
    name, _, parameters = request.META.get("CONTENT_TYPE", "").partition(";")
    name = name.strip().lower()
    if name == JSON or (name.startswith("application/") and name.endswith("+json")):
        name = JSON
    if name not in accepted:
        raise ApiError(415, "unsupported_media_type", f"Send the body as {' or '.join(accepted)}.")
    charset = re.search(r'charset\s*=\s*"?([^";\s]+)', parameters, re.IGNORECASE)
    if charset and charset[1].lower() not in {"utf-8", "utf8", "us-ascii"}:
        raise ApiError(415, "unsupported_charset", "Send the body as UTF-8.")
    if request.META.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
        raise ApiError(415, "unsupported_encoding", "Send the body without compression.")
    return name


def read_body(request: HttpRequest, limit: int) -> bytes:
    """Return the body, or refuse it with 413 once it is longer than ``limit`` bytes.

    A body sent in pieces says no length beforehand: it is read until it ends or is too long.
    """
    too_large = ApiError(413, "body_too_large", f"The body is larger than {limit // MEBIBYTE} MiB.")
    length = request.META.get("CONTENT_LENGTH") or ""
    if length.isdigit() and int(length) > limit:
        raise too_large
    if not hasattr(request, "_body"):
        source: Any = request
        if isinstance(request, WSGIRequest) and not length:
            # Django takes a body without a length for an empty one.
            chunked = "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower()
            source = request.environ["wsgi.input"] if chunked else request
        pieces, total = [], 0
        try:
            while piece := source.read(READ_BYTES):
                pieces.append(piece)
                total += len(piece)
                if total > limit:
                    raise too_large
        except (OSError, UnreadablePostError) as error:
            raise ApiError(400, "body_incomplete", "The body ended too early.") from error
        request._body = b"".join(pieces)
    body: bytes = request.body
    if len(body) > limit:
        raise too_large
    return body


def empty_body(body: bytes) -> bool:
    return not body.strip(b" \t\r\n")
