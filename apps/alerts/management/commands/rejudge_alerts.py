"""Judge alerts again after late or corrected candles, and say what changed."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.alerts import services
from apps.executions.tracking import tracked_execution
from apps.shared.fields import plain_text


class Command(BaseCommand):
    help = "Judge alerts again by the candles of today; print every alert that changed, and how."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--symbol", default="", help="Only alerts on this symbol.")
        parser.add_argument("--since", type=moment, help="Only alerts raised since (UTC).")

    def handle(self, *args: Any, **options: Any) -> None:
        run = tracked_execution("REJUDGE_ALERTS", symbol=options["symbol"], triggered_by="COMMAND")
        with run as tracked, tracked.step("judge again") as result:
            result["changed"] = count = self.judge(options["symbol"], options["since"])
        self.stdout.write(f"{count} alert(s) changed." if count else "Nothing changed.")

    def judge(self, symbol: str, since: datetime | None) -> int:
        """Judge again, write what changed, return how many did."""
        now = timezone.now()
        services.track_due_prices(now=now)
        services.settle_alerts(now=now)
        count = 0
        for alert in services.rejudge_alerts(now=now, symbol=symbol, since=since):
            count += 1
            changes = ", ".join(
                f"{name}: {shown(before)} → {shown(after)}"
                for name, (before, after) in alert.changes.items()
            )
            self.stdout.write(f"{alert.alert_id}  {changes}")
        return count


def moment(text: str) -> datetime:
    """Read a date or a time; without an offset it is UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{text!r} is no time; write 2026-01-31 or 2026-01-31T12:00Z."
        raise CommandError(message) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def shown(value: Any) -> str:
    if isinstance(value, Decimal):
        return plain_text(value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="minutes")
    return "empty" if value is None or value == "" else str(value)
