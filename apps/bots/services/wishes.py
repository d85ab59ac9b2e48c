"""What staff want of bots: to run, to pause, to stop. Told with the next heartbeat."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import F, QuerySet

from apps.bots.choices import DesiredState
from apps.bots.models import BotInstance

PERSON, REASON = 150, 500


@transaction.atomic
def wish(
    rows: QuerySet[BotInstance], /, *, state: DesiredState, by: str, reason: str, now: datetime
) -> int:
    """Want something of these bots; return of how many it was not wanted already.

    Each such wish is an instruction with a number of its own, delivered with the next heartbeat
    and acknowledged by a later one.
    """
    # In one order, so that two of these never wait for each other in a circle.
    wanted = BotInstance.objects.filter(pk__in=rows.order_by().values("pk"))
    held = wanted.order_by("pk").select_for_update(no_key=True)
    turned = [bot.pk for bot in held if bot.desired_state != state]
    return BotInstance.objects.filter(pk__in=turned).update(
        desired_state=state,
        desired_by=by[:PERSON],
        desired_reason=reason[:REASON],
        desired_at=now,
        instruction=F("instruction") + 1,
        delivered_at=None,
        acknowledged_at=None,
        updated_at=now,
    )
