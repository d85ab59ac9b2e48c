"""Every refusal as RFC 9457 problem+json: what went wrong, where, and under which request id."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from django.core.exceptions import (
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
    ValidationError,
)
from django.core.signals import got_request_exception
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
)
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import is_valid_path
from rest_framework import exceptions

from apps.shared.correlation import correlation_id
from apps.shared.errors import DomainError, FieldError

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
PREFIX = "/api/"
RETRY_SECONDS = 2

# What each status is called when nothing more particular is known.
CODES = {
    400: ("bad_request", "The request cannot be understood."),
    401: ("not_authenticated", "This needs an API key: Authorization: Bearer <key>."),
    403: ("permission_denied", "This is not allowed."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take that method."),
    406: ("not_acceptable", "Only JSON is served here."),
    409: ("conflict", "This contradicts what is stored."),
    412: ("precondition_failed", "The row is no longer what If-Match names."),
    413: ("body_too_large", "The body is larger than this server takes."),
    415: ("unsupported_media_type", "Send JSON, with Content-Type: application/json."),
    422: ("refused", "The rules refuse this."),
    429: ("throttled", "Too many requests; wait before the next one."),
    500: ("server_error", "Something failed on our side; it has been recorded."),
    503: ("unavailable", "The database does not answer; try again shortly."),
}


class ApiError(Exception):
    """A request that the API itself refuses, before any rule of a domain is asked."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        errors: Sequence[FieldError] = (),
        **extensions: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.extensions = extensions


def problem(
    status: int,
    code: str = "",
    detail: str = "",
    *,
    errors: Iterable[FieldError] = (),
    headers: Mapping[str, str] | None = None,
    **extensions: Any,
) -> HttpResponse:
    """Return an answer of ``status`` that says what went wrong.

    Without ``code`` and ``detail`` the usual ones of the status are taken. ``extensions``
    become further members of the document.
    """
    usual_code, usual_detail = CODES.get(status, ("error", "The request failed."))
    code = code or usual_code
    document = {
        "type": f"urn:blotter:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail or usual_detail,
        "code": code,
        "request_id": correlation_id.get(),
        "errors": list(errors),
        **extensions,
    }
    response = HttpResponse(msgspec.json.encode(document), status=status, content_type=CONTENT_TYPE)
    for name, value in (headers or {}).items():
        response[name] = value
    return response


def exception_handler(error: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """Turn whatever a view of the API raised into a problem; nothing inside is shown."""
    response = translate(error)
    request = context["request"]
    if isinstance(error, DataError | IntegrityError):
        # The caller learns no more than that; whoever looks after the rules needs the reason.
        logger.warning("%s reached the database unchecked: %s", request.path, reason_of(error))
    if response.status_code == 500:
        logger.error("%s failed", request.path, exc_info=error)
        got_request_exception.send(sender=None, request=request._request)
    return response


def reason_of(error: DatabaseError) -> str:
    """Return what the database says of an error, and where: nothing of what the rows hold.

    PostgreSQL adds values of the row; some of them are for the eyes of few.
    """
    told = getattr(error.__cause__, "diag", None)
    if told is None:
        return type(error).__name__
    # COPY puts the value behind the name of its column.
    place, _, _ = (told.context or "").partition(": ")
    parts = [told.message_primary, told.table_name, told.column_name, told.constraint_name, place]
    return "; ".join(part for part in parts if part)


def translate(error: Exception) -> HttpResponse:
    """Return the problem that stands for ``error``; 500 for what nobody foresaw."""
    for kind, build in TRANSLATIONS:
        if isinstance(error, kind):
            return build(error)
    return problem(500)


def _from_api(error: ApiError) -> HttpResponse:
    return problem(error.status, error.code, error.detail, errors=error.errors, **error.extensions)


def _from_domain(error: DomainError) -> HttpResponse:
    return problem(error.status, error.code, error.message, errors=error.errors)


def _from_rest_framework(error: exceptions.APIException) -> HttpResponse:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(max(1, int(wait)))
    if isinstance(error, exceptions.ValidationError):
        return problem(
            error.status_code,
            "invalid",
            errors=list(_details("", error.detail)),
            headers=headers,
        )
    code = error.get_codes()
    usual = CODES.get(error.status_code, ("", ""))[0]
    return problem(
        error.status_code,
        code if isinstance(code, str) and code != "error" else usual,
        str(error.detail),
        headers=headers,
    )


def _details(pointer: str, detail: Any) -> Iterable[FieldError]:
    """Yield the messages of DRF's nested error detail, each with its JSON pointer."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from _details(f"{pointer}/{name}", inner)
    elif isinstance(detail, list):
        for inner in detail:
            yield from _details(pointer, inner)
    else:
        yield FieldError(pointer, getattr(detail, "code", "invalid"), str(detail))


def _from_validation(error: ValidationError) -> HttpResponse:
    if hasattr(error, "error_dict"):
        errors = [
            FieldError("" if name == "__all__" else f"/{name}", one.code or "invalid", message)
            for name, group in error.error_dict.items()
            for one in group
            for message in one.messages
        ]
    else:
        errors = [FieldError("", "invalid", message) for message in error.messages]
    return problem(400, "invalid", errors=errors)


def _from_unavailable(error: Exception) -> HttpResponse:
    logger.warning("The database refused: %s", error)
    return problem(503, headers={"Retry-After": str(RETRY_SECONDS)})


def _always(status: int, code: str = "", detail: str = "") -> Callable[[Any], HttpResponse]:
    return lambda error: problem(status, code, detail)


# In this order: the first kind that fits decides.
TRANSLATIONS: Sequence[tuple[type[Exception] | tuple[type[Exception], ...], Any]] = [
    (ApiError, _from_api),
    (DomainError, _from_domain),
    (exceptions.APIException, _from_rest_framework),
    (Http404, _always(404, "not_found", "There is no such thing.")),
    (PermissionDenied, _always(403)),
    (ValidationError, _from_validation),
    (RequestDataTooBig, _always(413)),
    ((TooManyFieldsSent, TooManyFilesSent), _always(400)),
    ((SuspiciousOperation, BadRequest), _always(400)),
    (RecursionError, _always(400, "nested_too_deep", "The body is nested too deep.")),
    (IntegrityError, _always(409, "conflict", "This contradicts what is stored.")),
    (DataError, _always(400, "out_of_range", "A value does not fit its column.")),
    ((OperationalError, InterfaceError), _from_unavailable),
    (DatabaseError, _always(500)),
]


class ProblemMiddleware:
    """Give every refusal under ``/api/`` the shape of a problem, whoever refused.

    Unknown addresses, hosts, broken sessions and crashes outside of views are answered by
    Django in HTML; a program gets JSON instead.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if self._lacks_slash(request):
            # Django would redirect, and a redirected POST loses its body.
            return problem(404, detail="Addresses of this API end with a slash.")
        response = self.get_response(request)
        if response.status_code < 400 or not request.path_info.startswith(PREFIX):
            return response
        if response.get("Content-Type", "").startswith(CONTENT_TYPE):
            return response
        kept = {
            name: response[name]
            for name in ("Allow", "Retry-After", "WWW-Authenticate")
            if name in response
        }
        return problem(response.status_code, headers=kept)

    @staticmethod
    def _lacks_slash(request: HttpRequest) -> bool:
        path = request.path_info
        if request.method in ("GET", "HEAD", "OPTIONS") or path.endswith("/"):
            return False
        return path.startswith(PREFIX) and not is_valid_path(path)
