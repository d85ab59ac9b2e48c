"""Taking alerts in."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from apps.alerts.domain.validation import AlertFacts, AlertRow, checked
from apps.alerts.models import Alert
from apps.logs.services.events import record_trading_events
from apps.shared.ingest import Ingested, RowStatus, ingest

OPEN_PERFORMANCES = """
    INSERT INTO performance_summary
        (alert_id, symbol, entry_price, next_checkpoint_at, judged_through, created_at, updated_at)
    SELECT alert_id, symbol, entry_price, timestamp, timestamp, %(now)s, %(now)s FROM alerts
    WHERE alert_id = ANY(%(alert_ids)s)
"""


@transaction.atomic
def raise_alerts(rows: Sequence[AlertRow], *, now: datetime) -> Ingested:
    """Store alerts, each with an open performance, and say what became of each row.

    A row that breaks a rule is *failed* with its fields named, and does not hold up the others.
    An ``alert_id`` that is stored already is *unchanged* with the same content and *failed*
    with other content.
    """
    ahead = settings.CLOCK_TOLERANCE
    facts: list[AlertFacts] = []
    places: list[int] = []
    outcome = Ingested()
    for index, row in enumerate(rows):
        alert, errors = checked(row, now=now, ahead=ahead)
        if errors:
            outcome.fail(index, errors)
        else:
            facts.append(alert)
            places.append(index)
    stored = ingest(
        Alert, facts, columns=AlertFacts._fields, key=["alert_id"], on_conflict="refuse"
    )
    listed = {result.index for result in stored.results if result.status != RowStatus.CREATED}
    created = [alert.alert_id for index, alert in enumerate(facts) if index not in listed]
    if created:
        with connection.cursor() as cursor:
            cursor.execute(OPEN_PERFORMANCES, {"alert_ids": created, "now": now})
        known = set(created)
        record_trading_events([event(alert) for alert in facts if alert.alert_id in known])
    outcome.merge(stored, places)
    outcome.sort()
    return outcome


def event(alert: AlertFacts) -> dict[str, Any]:
    """Return what the logs say of an alert that was raised."""
    return {
        "event_type": "alert_raised",
        "symbol": alert.symbol,
        "side": alert.direction,
        "price": alert.entry_price,
        "strategy": alert.strategy,
        "alert_id": alert.alert_id,
        "raised_at": alert.timestamp.isoformat(),
    }
