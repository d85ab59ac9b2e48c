"""What the desk reads of retention: each reading one bounded query, asked for once."""

from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from apps.retention.choices import ArchiveStatus
from apps.retention.models import Archive, RetentionPolicy

MOST_DAMAGED = 20
# Policies run one after the other: those that ended so close to the newest were one round.
ROUND = timedelta(hours=12)


class Freed(NamedTuple):
    """What the last round of retention freed, of all policies that took part in it."""

    at: datetime | None
    policies: int
    rows: int
    bytes: int


class RetentionReadings:
    """The part of the readings that is about what leaves the database."""

    at: datetime

    @cached_property
    def policies(self) -> list[RetentionPolicy]:
        return list(RetentionPolicy.objects.order_by("dataset"))

    @property
    def freed(self) -> Freed:
        ended = [(each.last_run_at, each) for each in self.policies if each.last_run_at]
        newest = max((at for at, _ in ended), default=None)
        if newest is None:
            return Freed(None, 0, 0, 0)
        last = [each for at, each in ended if newest - at <= ROUND]
        return Freed(
            newest,
            len(last),
            sum(each.last_rows or 0 for each in last),
            sum(each.last_bytes or 0 for each in last),
        )

    @property
    def failing_policies(self) -> list[RetentionPolicy]:
        return [each for each in self.policies if each.enabled and each.last_error]

    @cached_property
    def damaged_archives(self) -> list[Archive]:
        """Archives whose files are no longer what was written, the newest first."""
        damaged = Archive.objects.filter(status=ArchiveStatus.DAMAGED)
        return list(damaged.order_by("-created_at", "-pk")[:MOST_DAMAGED])
