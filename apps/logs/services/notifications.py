"""What staff should know: told once, in the transaction that made it so."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from apps.logs.choices import NotificationLevel
from apps.logs.domain.cleaning import clean
from apps.logs.models import Notification
from apps.shared.correlation import correlation_id

NAMES = ["what", "level", "subject", "message", "link", "dedupe_key", "correlation_id"]
LIMITS = {
    field.name: field.max_length
    for field in Notification._meta.concrete_fields
    if field.name in NAMES
}
INSERT = f"""
INSERT INTO notifications ({", ".join(NAMES)}, seen_by, created_at)
VALUES ({", ".join(f"%({name})s" for name in NAMES)}, '', %(now)s)
ON CONFLICT (dedupe_key) WHERE NOT (dedupe_key = '') DO NOTHING
"""


def notify(
    *,
    what: str,
    level: NotificationLevel,
    subject: str,
    now: datetime,
    message: str = "",
    link: str = "",
    dedupe_key: str = "",
) -> bool:
    """Tell staff of a change of state, in the caller's transaction; return whether it is new.

    The same ``dedupe_key`` is told once, for ever: a change that may happen again puts its
    time into it. Without a key it is told each time.
    """
    with connection.cursor() as cursor:
        return insert_notification(
            cursor,
            what=what,
            level=level,
            subject=subject,
            message=message,
            link=link,
            dedupe_key=dedupe_key,
            now=now,
        )


def insert_notification(cursor: Any, *, now: datetime, **values: str) -> bool:
    """Write a notification by the given cursor; return whether it is new.

    Its cause is what runs here, unless ``correlation_id`` names another.
    """
    # The key says whether it was told already: cut, it would swallow others.
    if len(values["dedupe_key"]) > (LIMITS["dedupe_key"] or 0):
        raise ValueError("A dedupe key has at most 255 characters.")
    texts = clean({"correlation_id": correlation_id.get(), **values}, LIMITS)
    cursor.execute(INSERT, {**{name: texts[name] for name in NAMES}, "now": now})
    return bool(cursor.rowcount)


def notify_all(told: Sequence[Mapping[str, Any]], *, now: datetime) -> None:
    """Tell staff of many changes at once, each given by the keywords of ``notify``."""
    if not told:
        return
    usual = {"message": "", "link": "", "dedupe_key": "", "correlation_id": correlation_id.get()}
    rows = [clean({**usual, **each}, LIMITS) for each in told]
    if any(len(each.get("dedupe_key", "")) > (LIMITS["dedupe_key"] or 0) for each in told):
        raise ValueError("A dedupe key has at most 255 characters.")
    Notification.objects.bulk_create(
        [Notification(**{name: row[name] for name in NAMES}, created_at=now) for row in rows],
        ignore_conflicts=True,
    )


def acknowledge(*, notifications: QuerySet[Notification], by: str, now: datetime) -> int:
    """Say who has seen these notifications; return how many nobody had seen before."""
    unseen = notifications.filter(seen_at__isnull=True)
    return unseen.update(seen_by=by[:150], seen_at=now)
