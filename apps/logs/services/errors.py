"""Errors that are one and the same: counted as they come, and what staff decide about them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from apps.logs.choices import ErrorState, NotificationLevel
from apps.logs.domain.failures import culprit_of
from apps.logs.models import ErrorGroup
from apps.logs.services.notifications import insert_notification

CULPRIT_LENGTH = ErrorGroup._meta.get_field("culprit").max_length
MESSAGE_LENGTH = 2_000
# Who reopened a resolved error: not a person.
BY_ITSELF = "came again"

# In the order of the fingerprint, so that two batches never wait for each other in a circle.
# A late line from before it was resolved says nothing new.
UPSERT = """
INSERT INTO error_groups AS held (
    fingerprint, error_type, culprit, component, message, count, first_seen, last_seen, state,
    state_changed_by
)
VALUES (%(fingerprint)s, %(error_type)s, %(culprit)s, %(component)s, %(message)s, %(count)s,
    %(first_seen)s, %(last_seen)s, 'new', '')
ON CONFLICT (fingerprint) DO UPDATE SET
    count = held.count + excluded.count,
    first_seen = least(held.first_seen, excluded.first_seen),
    last_seen = greatest(held.last_seen, excluded.last_seen),
    message = CASE WHEN excluded.last_seen >= held.last_seen
        THEN excluded.message ELSE held.message END,
    component = CASE WHEN excluded.last_seen >= held.last_seen
        THEN excluded.component ELSE held.component END,
    state = CASE WHEN held.state = 'resolved' AND excluded.last_seen > held.state_changed_at
        THEN 'regressed' ELSE held.state END,
    state_changed_by = CASE WHEN held.state = 'resolved'
        AND excluded.last_seen > held.state_changed_at
        THEN %(by)s ELSE held.state_changed_by END,
    state_changed_at = CASE WHEN held.state = 'resolved'
        AND excluded.last_seen > held.state_changed_at
        THEN %(now)s ELSE held.state_changed_at END,
    updated_at = %(now)s
RETURNING held.id, xmax = 0, held.state = 'regressed' AND held.state_changed_at = %(now)s
"""


def count_errors(cursor: Any, rows: Iterable[Mapping[str, Any]], *, now: datetime) -> None:
    """Add stored errors to their groups; a new error, and one that came back, is notified.

    ``rows`` hold the columns of error logs. Runs in the transaction of ``cursor``.
    """
    groups: dict[str, dict[str, Any]] = {}
    for row in rows:
        moment, group = row["timestamp"], groups.get(row["fingerprint"])
        if group is None:
            groups[row["fingerprint"]] = {
                **{name: row[name] for name in ("fingerprint", "error_type", "component")},
                "message": row["error_message"][:MESSAGE_LENGTH],
                "stack_trace": row["stack_trace"],
                "correlation_id": row["correlation_id"],
                "count": 1,
                "first_seen": moment,
                "last_seen": moment,
            }
            continue
        group["count"] += 1
        group["first_seen"] = min(group["first_seen"], moment)
        if moment >= group["last_seen"]:
            group |= {
                "last_seen": moment,
                "message": row["error_message"][:MESSAGE_LENGTH],
                "component": row["component"],
            }
    for _, group in sorted(groups.items()):
        culprit = culprit_of(group.pop("stack_trace"))
        group["culprit"] = (
            f"{culprit.path} in {culprit.function}"[:CULPRIT_LENGTH] if culprit else ""
        )
        cursor.execute(UPSERT, {**group, "by": BY_ITSELF, "now": now})
        pk, created, regressed = cursor.fetchone()
        if created or regressed:
            tell(cursor, pk, group, regressed=regressed, now=now)


def tell(cursor: Any, pk: int, group: Mapping[str, Any], *, regressed: bool, now: datetime) -> None:
    """Notify staff of an error that is new, or that came back after it was resolved."""
    state = f"regressed:{now.isoformat()}" if regressed else "new"
    where = f" in {group['culprit']}" if group["culprit"] else ""
    insert_notification(
        cursor,
        what="error_regressed" if regressed else "error_new",
        level=NotificationLevel.WARNING,
        subject=f"{'Came back' if regressed else 'New error'}: {group['error_type']}{where}",
        message=group["message"],
        link=f"/admin/logs/errorgroup/{pk}/change/",
        dedupe_key=f"error:{group['fingerprint']}:{state}",
        correlation_id=group["correlation_id"],
        now=now,
    )


def resolve(groups: QuerySet[ErrorGroup], *, by: str, now: datetime) -> int:
    """Say that these errors are mended; whichever comes again is then *regressed*.

    Returns how many changed, as ``mute`` and ``reopen`` do.
    """
    return _change(groups, ErrorState.RESOLVED, by=by, now=now)


def mute(groups: QuerySet[ErrorGroup], *, by: str, now: datetime) -> int:
    """Say that these errors need nobody, however often they come."""
    return _change(groups, ErrorState.MUTED, by=by, now=now)


def reopen(groups: QuerySet[ErrorGroup], *, by: str, now: datetime) -> int:
    """Take back that errors are resolved or muted."""
    settled = groups.filter(state__in=[ErrorState.RESOLVED, ErrorState.MUTED])
    return _change(settled, ErrorState.NEW, by=by, now=now)


def _change(groups: QuerySet[ErrorGroup], state: ErrorState, *, by: str, now: datetime) -> int:
    return groups.exclude(state=state).update(
        state=state, state_changed_by=by[:150], state_changed_at=now, updated_at=now
    )
