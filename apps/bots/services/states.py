"""What bots keep with us for their restart: documents that only who knows the last one changes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection, transaction

from apps.bots.models import BotInstance, BotState
from apps.bots.services.instances import UnknownBot
from apps.shared.copying import exact_json
from apps.shared.errors import Conflict, DomainError, FieldError

LONGEST_VALUE = 1024 * 1024

# Written and compared as text, in which numbers stay as they were sent.
INSERT = """
INSERT INTO bot_state (key, bot_id, value, version, created_at, updated_at)
VALUES (%(key)s, %(bot_id)s, %(value)s::jsonb, 1, %(now)s, %(now)s)
ON CONFLICT (key) DO NOTHING
"""
HELD = """
SELECT version, bot_id, value = %(value)s::jsonb FROM bot_state
WHERE key = %(key)s FOR NO KEY UPDATE
"""
REPLACE = """
UPDATE bot_state SET value = %(value)s::jsonb, version = version + 1, updated_at = %(now)s
WHERE key = %(key)s
"""


class VersionConflict(DomainError):
    """Another version is stored than the one that was to be replaced; the message names it."""

    code = "version_conflict"
    status = 409


class RefusedState(DomainError):
    """The document cannot be kept."""

    code = "invalid"
    status = 400


@transaction.atomic
def put_state(
    *, key: str, bot_id: str | None, value: Any, version: int | None, now: datetime
) -> tuple[BotState, bool]:
    """Store a document under its key; return it, and whether the key was new.

    ``version`` is the one that is to be replaced, 0 where there must be none; without it whatever
    is stored is replaced. Of several writers with the same version exactly one succeeds. The same
    value once more, by who replaced the same version, is harmless. A document never changes from
    one bot to another; without ``bot_id`` it stays whose it is.

    Raises VersionConflict, UnknownBot, Conflict for another bot's document, RefusedState for one
    above 1 MiB.
    """
    text = exact_json.encode(value).decode()
    if len(text.encode()) > LONGEST_VALUE:
        error = FieldError("/value", "too_long", "Must be at most 1 MiB of JSON.")
        raise RefusedState("The document is larger than 1 MiB.", [error])
    if bot_id is not None and not BotInstance.objects.filter(pk=bot_id).exists():
        error = FieldError("/bot_id", "unknown_bot", "There is no bot of this name.")
        raise UnknownBot("There is no bot of this name.", [error])
    values = {"key": key, "bot_id": bot_id, "value": text, "now": now}
    with connection.cursor() as cursor:
        if not version:
            cursor.execute(INSERT, values)
            if cursor.rowcount:
                return BotState.objects.get(pk=key), True
        cursor.execute(HELD, values)
        held = cursor.fetchone()
        if held is None:
            raise conflict("No version is stored.")
        stored, owner, same = held
        if bot_id is not None and owner != bot_id:
            raise Conflict("This document belongs to another bot.", ["bot_id"])
        repeated = same and (version is None or stored == version + 1)
        if not repeated:
            if version is not None and stored != version:
                raise conflict(f"The stored version is {stored}.")
            cursor.execute(REPLACE, values)
    return BotState.objects.get(pk=key), False


def conflict(message: str) -> VersionConflict:
    return VersionConflict(message, [FieldError("/version", "version_conflict", message)])
