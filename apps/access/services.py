"""Making, changing and recognizing keys; keeping answers; the roles of staff."""

import functools
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import connection, transaction
from django.db.models import Q

from apps.access import domain, roles
from apps.access.choices import KeyState
from apps.access.models import IDEMPOTENCY_LIFETIME, ApiKey, IdempotencyRecord
from apps.access.scopes import validate_scopes
from apps.shared.errors import DomainError
from apps.shared.prepared import prepared

KEY_LIFETIME = timedelta(days=365)
ROTATION_OVERLAP = timedelta(days=7)
# Last use is for people who clean up keys: a minute is exact enough, a write per request dear.
LAST_USE_EXACTNESS = timedelta(minutes=1)


class KeyRefused(DomainError):
    """A key that lets nobody in; the code says why."""

    status = 401

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class KeyNotRotatable(DomainError):
    """Only a key that is valid and not replaced yet can be replaced."""

    code = "key_not_rotatable"
    status = 409


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A fresh key and its text, which cannot be had again."""

    key: ApiKey
    text: str


# --- Keys ---------------------------------------------------------------------------------


def create_key(
    *,
    client: str,
    scopes: list[str],
    now: datetime,
    expires_at: datetime | None = None,
    bot: str = "",
    agent: str = "",
    created_by: Any = None,
) -> IssuedKey:
    """Make a key for a client, valid for a year unless ``expires_at`` says otherwise.

    Raises ValidationError (Django's) for unknown scopes, an empty client, an expiry that
    has passed.
    """
    validate_scopes(scopes)
    if expires_at is not None and expires_at <= now:
        raise ValidationError({"expires_at": "This moment has passed."})
    return _issue(
        ApiKey(
            client=client,
            scopes=sorted(scopes),
            bot=bot,
            agent=agent,
            expires_at=expires_at or now + KEY_LIFETIME,
            created_by=created_by,
        )
    )


def _issue(key: ApiKey) -> IssuedKey:
    """Give a new row its secret and store it."""
    key.prefix, text = domain.new_key()
    key.key_hash = domain.key_hash(text, settings.API_KEY_PEPPER)
    key.full_clean(exclude=["created_by"])
    key.save()
    return IssuedKey(key, text)


@transaction.atomic
def rotate_key(
    *,
    key_id: int,
    now: datetime,
    overlap: timedelta = ROTATION_OVERLAP,
    created_by: Any = None,
) -> IssuedKey:
    """Replace a key by a new one with the same rights and the same span of life.

    The old one goes on for ``overlap`` (never beyond its own expiry), so that the program
    can be changed over in peace. Raises KeyNotRotatable.
    """
    old = ApiKey.objects.select_for_update(of=("self",)).get(pk=key_id)
    state = old.state(now)
    if state is not KeyState.ACTIVE:
        raise KeyNotRotatable(f"{old} cannot be replaced: it is {state.label.lower()}.")
    issued = _issue(
        ApiKey(
            client=old.client,
            scopes=old.scopes,
            bot=old.bot,
            agent=old.agent,
            expires_at=now + (old.expires_at - old.created_at),
            line=old.line,
            created_by=created_by,
        )
    )
    old.replaced_by = issued.key
    old.expires_at = min(old.expires_at, now + overlap)
    old.save(update_fields=["replaced_by", "expires_at"])
    return issued


def revoke_key(*, key_id: int, now: datetime) -> bool:
    """Close a key at once and for good; tell whether it was open until now."""
    return bool(ApiKey.objects.filter(pk=key_id, revoked_at=None).update(revoked_at=now))


def identify(*, text: str, now: datetime) -> ApiKey:
    """Return the key that a program showed. Raises KeyRefused unless it opens something.

    Why a key is refused is told only to who holds the whole of it.
    """
    prefix = domain.prefix_of(text)
    key = _key_by_prefix(prefix) if prefix else None
    if key is None or not key.matches(text):
        raise KeyRefused("key_unknown", "This is not a key of ours.")
    state = key.state(now)
    if state is KeyState.REVOKED:
        raise KeyRefused("key_revoked", "This key was revoked.")
    if state is KeyState.EXPIRED:
        raise KeyRefused("key_expired", f"This key expired at {key.expires_at:%Y-%m-%d %H:%M} UTC.")
    return key


@functools.cache
def _by_prefix() -> str:
    """Return the statement that fetches a key, put together once instead of at every request."""
    # No first(): it would sort what can only be one row.
    statement, _ = ApiKey.objects.filter(prefix="").order_by().query.sql_with_params()
    return statement


def _key_by_prefix(prefix: str) -> ApiKey | None:
    with prepared(connection) as cursor:
        cursor.execute(_by_prefix(), [prefix])
        values = cursor.fetchone()
    names = [field.attname for field in ApiKey._meta.concrete_fields]
    return ApiKey.from_db(connection.alias, names, values) if values else None


def note_use(*, key: ApiKey, now: datetime) -> None:
    """Write down that a key was used, at most once a minute, waiting for nobody."""
    if key.last_used_at and now - key.last_used_at < LAST_USE_EXACTNESS:
        return
    with connection.cursor() as cursor:
        # A row that somebody else holds is skipped: the next request will note its use.
        cursor.execute(
            "UPDATE api_keys SET last_used_at = %s WHERE id IN"
            " (SELECT id FROM api_keys WHERE id = %s FOR UPDATE SKIP LOCKED)",
            [now, key.pk],
        )


# --- Answers ------------------------------------------------------------------------------


def kept_answer(*, owner: str, key: str, now: datetime) -> IdempotencyRecord | None:
    """Return the answer kept under a client's ``Idempotency-Key`` within the last 24 hours."""
    return IdempotencyRecord.objects.filter(
        owner=owner, key=key, created_at__gt=now - IDEMPOTENCY_LIFETIME
    ).first()


def keep_answer(
    *,
    owner: str,
    key: str,
    fingerprint: str,
    status: int,
    headers: dict[str, str],
    body: bytes,
    now: datetime,
) -> None:
    """Keep an answer; one that outlived its day under the same key gives way."""
    IdempotencyRecord.objects.bulk_create(
        [
            IdempotencyRecord(
                owner=owner,
                key=key,
                fingerprint=fingerprint,
                status=status,
                headers=headers,
                body=body,
                created_at=now,
            )
        ],
        update_conflicts=True,
        unique_fields=["owner", "key"],
        update_fields=["fingerprint", "status", "headers", "body", "created_at"],
    )


def forget_answers(*, now: datetime, batch: int = 1000) -> int:
    """Delete the answers older than a day, batch by batch; return how many."""
    old = IdempotencyRecord.objects.filter(created_at__lte=now - IDEMPOTENCY_LIFETIME)
    total = 0
    while True:
        deleted, _ = IdempotencyRecord.objects.filter(
            pk__in=list(old.order_by("created_at").values_list("pk", flat=True)[:batch])
        ).delete()
        total += deleted
        if deleted < batch:
            return total


# --- Roles --------------------------------------------------------------------------------


@transaction.atomic
def ensure_roles() -> dict[str, int]:
    """Bring the four groups to what apps/access/roles.py says; return permissions per role.

    What was added to these groups by hand goes: own wishes belong into own groups. Raises
    ImproperlyConfigured when the table and the models do not fit.
    """
    if forgotten := roles.models_without_line():
        raise ImproperlyConfigured(f"No line in apps/access/roles.py: {', '.join(forgotten)}.")
    if unknown := roles.lines_without_model():
        raise ImproperlyConfigured(f"No such model, but a role: {', '.join(unknown)}.")
    counts = {}
    for role in roles.Role:
        wanted = Q(pk__in=[])
        names = list(roles.permissions_of(role))
        for app_label, codename in names:
            wanted |= Q(content_type__app_label=app_label, codename=codename)
        permissions = list(Permission.objects.filter(wanted))
        if len(permissions) != len(names):
            raise ImproperlyConfigured(f"{role} needs permissions that migrate has not made yet.")
        group, _ = Group.objects.get_or_create(name=role.value)
        group.permissions.set(permissions)
        counts[role.value] = len(permissions)
    return counts
