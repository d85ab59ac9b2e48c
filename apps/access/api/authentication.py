"""Who calls the API: a program with a key, or staff with the session of the admin."""

from dataclasses import dataclass

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from apps.access import services
from apps.access.domain import shown_key
from apps.access.models import ApiKey


@dataclass(frozen=True, slots=True)
class Client:
    """A program, where Django expects a user. It has no permissions but its key's scopes."""

    name: str

    pk = None
    is_active = is_authenticated = True
    is_anonymous = is_staff = is_superuser = False

    def __str__(self) -> str:
        return self.name


class KeyAuthentication(BaseAuthentication):
    """``Authorization: Bearer <key>``, or Basic with the key as password.

    The key becomes ``request.auth``.
    """

    def authenticate(self, request: Request) -> tuple[Client, ApiKey] | None:
        token = shown_key(request.headers.get("Authorization", ""))
        if token is None:
            return None
        now = timezone.now()
        # Who answers twice has looked the key up before us, outside of the transaction.
        key = getattr(request._request, "api_key", None)
        if key is None:
            try:
                key = services.identify(text=token, now=now)
            except services.KeyRefused as refusal:
                raise AuthenticationFailed(refusal.message, code=refusal.code) from refusal
            services.note_use(key=key, now=now)
            # For the log of who did what.
            request._request.api_key = key  # type: ignore[attr-defined]
        return Client(key.client), key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="Blotter"'


class StaffSessionAuthentication(SessionAuthentication):
    """The session of the admin, for its own pages; whatever writes needs the CSRF token."""

    def authenticate(self, request: Request):  # type: ignore[no-untyped-def]
        found = super().authenticate(request)
        return found if found and found[0].is_staff else None
