"""Keys of programs, and the answers they may ask for twice."""

import hashlib
import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from apps.access import domain
from apps.access.choices import KeyState
from apps.access.scopes import validate_scopes
from apps.shared.models import CreatedModel

IDEMPOTENCY_LIFETIME = timedelta(hours=24)


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    """Named reads of keys."""

    def usable(self, now: datetime) -> "ApiKeyQuerySet":
        """Return the keys that open something at ``now``."""
        return self.filter(revoked_at=None, expires_at__gt=now)

    def in_state(self, state: KeyState, now: datetime) -> "ApiKeyQuerySet":
        """Return the keys that stand so at ``now``; says the same as ``ApiKey.state``."""
        if state is KeyState.REVOKED:
            return self.exclude(revoked_at=None)
        if state is KeyState.EXPIRED:
            return self.filter(revoked_at=None, expires_at__lte=now)
        return self.usable(now).filter(replaced_by__isnull=state is KeyState.ACTIVE)


class ApiKey(CreatedModel):
    """What a program shows to be let in. The key itself is not kept, only a keyed hash of it."""

    client = models.CharField(max_length=100, help_text="The program that holds this key.")
    prefix = models.CharField(
        max_length=20,
        unique=True,
        editable=False,
        help_text="The visible start of the key.",
    )
    key_hash = models.CharField(max_length=64, editable=False)
    scopes = ArrayField(
        models.CharField(max_length=60),
        validators=[validate_scopes],
        help_text="What the key opens. Write does not include read.",
    )
    bot = models.CharField(
        max_length=255,
        blank=True,
        help_text="Bound to this bot: nothing of another bot or agent is read or written.",
    )
    agent = models.CharField(
        max_length=255,
        blank=True,
        help_text="Bound to this agent: nothing of another bot or agent is read or written.",
    )
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Exact to a minute."
    )
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    line = models.UUIDField(
        default=uuid.uuid4,
        editable=False,
        help_text="Shared by a key and the keys that replaced it.",
    )
    replaced_by = models.OneToOneField(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="replaces",
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
    )

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        db_table = "api_keys"
        verbose_name = "API key"
        ordering = ["client", "-created_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=~Q(client=""), name="api_keys_client_not_empty"),
            models.CheckConstraint(
                condition=Q(scopes__len__gt=0), name="api_keys_scopes_not_empty"
            ),
            models.CheckConstraint(
                condition=Q(replaced_by=None) | ~Q(replaced_by=F("id")),
                name="api_keys_not_replaced_by_self",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.client} ({self.prefix})"

    def state(self, now: datetime) -> KeyState:
        """Return how the key stands at ``now``."""
        return domain.state_at(
            now,
            expires_at=self.expires_at,
            revoked_at=self.revoked_at,
            replaced=self.replaced_by_id is not None,
        )

    def matches(self, key: str) -> bool:
        """Tell whether ``key`` is the text this row was made for."""
        return domain.same_hash(self.key_hash, domain.key_hash(key, settings.API_KEY_PEPPER))

    @property
    def bindings(self) -> dict[str, str]:
        """Return what the key is held to, by kind; empty when it is free."""
        named = {"bot": self.bot, "agent": domain.one_spelling(self.agent)}
        return {kind: name for kind, name in named.items() if name}

    @property
    def owner(self) -> str:
        """Return whose idempotent answers these are: this line of keys, with these rights.

        The rights belong to it: a key that lost a scope must not be handed an answer that
        it could no longer ask for.
        """
        rights = "\n".join([*sorted(self.scopes), f"bot={self.bot}", f"agent={self.agent}"])
        return f"key:{self.line}:{hashlib.sha256(rights.encode()).hexdigest()[:16]}"


class IdempotencyRecord(CreatedModel):
    """The first answer to a request that named an ``Idempotency-Key``, kept for a day."""

    owner = models.CharField(max_length=100)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(
        max_length=64, help_text="SHA-256 of method, address, content type and body."
    )
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField(default=dict)
    body = models.BinaryField()

    class Meta:
        db_table = "idempotency_records"
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["owner", "key"], name="idempotency_records_one_per_key")
        ]
        indexes = [models.Index(fields=["created_at"], name="idempotency_created_idx")]

    def __str__(self) -> str:
        return f"{self.key} of {self.owner}"
