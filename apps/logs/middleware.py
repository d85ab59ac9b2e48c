"""Every request that somebody made, with how it was answered, as a user action."""

import ipaddress
import time
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.crypto import salted_hmac
from django.utils.functional import LazyObject, empty

from apps.logs.writer import writer
from apps.shared.correlation import correlation_id

API = "/api/"
# Whoever sends logs is not to fill the logs with that.
INTAKE = tuple(
    f"/api/v1/logs/{name}/"
    for name in (
        "system-logs", "trading-events", "performance-logs", "error-logs", "user-action-logs",
        "records",
    )
)  # fmt: skip
# Asked every few seconds by machines, by open pages of the desk without anybody at them, and
# by every page for its own words.
UNTOLD = frozenset({"/livez", "/readyz", "/admin/desk/", "/admin/jsi18n/"})
# So ends the address at which an open page of a thing asks for its own parts anew.
REFRESHED = "/live/"
# So ends the one to which programs send signs of life: they would bury everything else.
HEARTBEAT = "/heartbeat/"

# What is being answered here and now, for errors on the way.
current_request: ContextVar[HttpRequest | None] = ContextVar("current_request", default=None)


class UserActionMiddleware:
    """Hand over one row per request when its answer begins; nothing of it waits for that.

    Stands just inside the correlation middleware: what the others refuse is told too. Streamed
    answers are told when they begin.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        began = time.perf_counter()
        token = current_request.set(request)
        # Of a refusal Django speaks when all middleware is done and the id is gone.
        request.correlation_id = correlation_id.get()  # type: ignore[attr-defined]
        status = 500
        try:
            response = self.get_response(request)
            status = response.status_code
            return response
        finally:
            current_request.reset(token)
            if is_told(request, status):
                elapsed = time.perf_counter() - began
                writer.put("UserActionLog", action_of(request, status, elapsed))


def is_told(request: HttpRequest, status: int) -> bool:
    """Tell whether a request is worth a row."""
    path = request.path_info
    if path in UNTOLD:
        return False
    if path.startswith("/admin/") and path.endswith(REFRESHED) and status < 400:
        return False
    if request.method == "POST" and (path.startswith(INTAKE) or path.endswith(HEARTBEAT)):
        return status >= 400
    # Part of a page that is told itself.
    return not path.startswith(settings.STATIC_URL)


def action_of(request: HttpRequest, status: int, seconds: float) -> dict[str, Any]:
    """Return the row of a request; what nobody looked up for the answer is not looked up here."""
    return {
        "timestamp": datetime.now(UTC) - timedelta(seconds=seconds),
        "correlation_id": correlation_id.get(),
        "action_type": kind_of(request, status),
        "user_id": user_of(request),
        "session_id": session_of(request),
        "ip_address": address_of(request.META),
        "user_agent": request.META.get("HTTP_USER_AGENT", ""),
        "request_path": request.get_full_path(),
        "request_method": request.method or "",
        "response_status": status,
        "duration_ms": round(seconds * 1000, 3),
    }


def kind_of(request: HttpRequest, status: int) -> str:
    """Return what somebody did by a request."""
    if request.path_info.startswith(API):
        return "api_call"
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return "page_view"
    match = request.resolver_match
    name = match.view_name if match else ""
    if name == "admin:login":
        return "login" if status == 302 else "login_failed"
    return "logout" if name == "admin:logout" else "form_post"


def user_of(request: HttpRequest) -> str:
    """Return who asks: the client of a key or the name of a user, "" when nobody found out."""
    key = getattr(request, "api_key", None)
    if key is not None:
        return str(key.client)
    # After a logout the first is nobody and the second is who left.
    for user in (request.__dict__.get("user"), request.__dict__.get("_cached_user")):
        looked_up = not isinstance(user, LazyObject) or user.__dict__.get("_wrapped") is not empty
        if user is not None and looked_up and user.is_authenticated:
            return str(user.get_username())
    return ""


def cause_of(request: HttpRequest | None) -> str:
    """Return the correlation id of what runs here, also just after the answer to a request."""
    return correlation_id.get() or getattr(request, "correlation_id", "")


def session_of(request: HttpRequest) -> str:
    """Return a name for the session that opens no door, "" for a request without one."""
    session = getattr(request, "session", None)
    if session is None or not session.accessed:
        return ""
    key = session.session_key or request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    return salted_hmac("apps.logs.session", key).hexdigest()[:16] if key else ""


def address_of(headers: dict[str, Any]) -> str | None:
    """Return the address that a request came from, or None.

    Behind ``TRUSTED_PROXIES`` = n proxies it is the n-th from the right of X-Forwarded-For:
    each adds whom it saw, and what stands further left anybody may have written.
    """
    text = headers.get("REMOTE_ADDR", "")
    if settings.TRUSTED_PROXIES:
        seen = headers.get("HTTP_X_FORWARDED_FOR", "").split(",")
        if len(seen) >= settings.TRUSTED_PROXIES:
            text = seen[-settings.TRUSTED_PROXIES]
    text = text.strip()
    if text.count(":") == 1 or text.startswith("["):
        # With a port, as some proxies write it.
        text = text.rpartition(":")[0].strip("[]") if not text.endswith("]") else text.strip("[]")
    try:
        # The name of an interface means nothing elsewhere.
        return str(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return None
