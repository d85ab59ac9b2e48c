"""``Idempotency-Key``: a POST that is sent twice is done once and answered twice.

There is no state in between that a crash could leave behind: the work, the answer and the
lock that keeps others out live in one transaction. Killed half way, none of it happened.
"""

import hashlib
import re
from collections.abc import Callable

import pglock
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from apps.access import services
from apps.access.domain import shown_key
from apps.shared.api.errors import ApiError, problem, translate
from apps.shared.api.parsing import MEBIBYTE, read_body

HEADER = "Idempotency-Key"
REPLAY_HEADER = "Idempotent-Replay"
MAX_LENGTH = 255
# The largest that any view takes; each has its own, tighter limit.
MAX_BODY_BYTES = 64 * MEBIBYTE
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Answers that say "not now" or "not you": the next try may well go through.
NOT_KEPT = {401, 403, 408, 429}


class _Undone(Exception):
    """Carries an answer out of the savepoint that its refusal takes back."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__(response.status_code)
        self.response = response


class IdempotencyMiddleware:
    """Answer the second of two equal POSTs under /api/ with the first one's answer.

    It stands innermost, so that only the view's own headers are kept.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST" or not request.path.startswith("/api/"):
            return self.get_response(request)
        key = request.headers.get(HEADER)
        if key is None:
            return self.get_response(request)
        if not key.strip() or len(key) > MAX_LENGTH or CONTROL.search(key):
            return problem(
                400,
                "idempotency_key_invalid",
                f"{HEADER} takes 1 to {MAX_LENGTH} characters, none of them a control character.",
            )
        owner = _owner(request)
        if owner is None:
            return self.get_response(request)
        try:
            body = read_body(request, MAX_BODY_BYTES)
        except ApiError as refusal:
            return translate(refusal)
        fingerprint = _fingerprint(request, body)
        return self._once(request, owner, key, fingerprint)

    def _once(self, request: HttpRequest, owner: str, key: str, fingerprint: str) -> HttpResponse:
        with transaction.atomic():
            lock = pglock.advisory(f"idempotency:{owner}:{key}", xact=True, timeout=0)
            if not lock.acquire():
                busy = problem(
                    409,
                    "idempotency_key_in_use",
                    "The first request with this key still runs.",
                )
                busy["Retry-After"] = "1"
                return busy
            kept = services.kept_answer(owner=owner, key=key, now=timezone.now())
            if kept and kept.fingerprint != fingerprint:
                return problem(
                    422,
                    "idempotency_key_reused",
                    f"This {HEADER} was used within the last day for another request.",
                )
            if kept:
                return HttpResponse(
                    bytes(kept.body),
                    status=kept.status,
                    headers={**kept.headers, REPLAY_HEADER: "true"},
                )
            response = self._run(request)
            if _worth_keeping(response):
                services.keep_answer(
                    owner=owner,
                    key=key,
                    fingerprint=fingerprint,
                    status=response.status_code,
                    headers=dict(response.items()),
                    body=response.content,
                    now=timezone.now(),
                )
        # Only here, behind the commit, may anybody learn of it.
        return response

    def _run(self, request: HttpRequest) -> HttpResponse:
        """Run the view in a savepoint; a refusal takes back whatever it wrote before."""
        try:
            with transaction.atomic():
                response = self.get_response(request)
                if response.status_code >= 400:
                    raise _Undone(response)
                if transaction.get_rollback():
                    raise transaction.TransactionManagementError(
                        "The view hid a failed statement; what it did cannot be committed."
                    )
        except _Undone as undone:
            return undone.response
        return response


def _worth_keeping(response: HttpResponse) -> bool:
    """Tell whether an answer is about the request, and not about the moment or the caller."""
    status = response.status_code
    return status < 500 and status not in NOT_KEPT and not response.streaming


def _owner(request: HttpRequest) -> str | None:
    """Return whose answers are kept, or None for who is not let in anyway."""
    token = shown_key(request.headers.get("Authorization", ""))
    if token is not None:
        now = timezone.now()
        try:
            key = services.identify(text=token, now=now)
        except services.KeyRefused:
            return None
        services.note_use(key=key, now=now)
        request.api_key = key  # type: ignore[attr-defined]
        return key.owner
    user = getattr(request, "user", None)
    return f"user:{user.pk}" if user and user.is_authenticated and user.is_staff else None


def _fingerprint(request: HttpRequest, body: bytes) -> str:
    """Return the hash of what makes two requests the same."""
    digest = hashlib.sha256()
    for part in (
        request.method or "",
        request.get_full_path(),
        request.content_type or "",
    ):
        digest.update(part.encode() + b"\0")
    digest.update(body)
    return digest.hexdigest()
