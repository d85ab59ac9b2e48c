"""What needs attention about retention: policies that fail, archives that are damaged."""

from collections.abc import Callable, Iterator

from django.urls import reverse

from config.figures import counted, rows
from config.needs import MOST_OF_A_KIND, Need
from config.readings import Readings
from config.retention_readings import MOST_DAMAGED


def failing_policies(now: Readings) -> Iterator[Need]:
    for policy in now.failing_policies[:MOST_OF_A_KIND]:
        yield Need(
            63,
            f"Retention of {policy} failed",
            policy.last_error,
            "Open the policy",
            reverse("admin:retention_retentionpolicy_change", args=[policy.pk]),
        )
    more = len(now.failing_policies) - MOST_OF_A_KIND
    if more > 0:
        yield Need(
            62,
            f"Retention of {more:,} more datasets failed",
            "Nothing of them has left.",
            "See the policies",
            rows("retention_retentionpolicy"),
        )


def damaged_archives(now: Readings) -> Iterator[Need]:
    found = now.damaged_archives
    if not found:
        return
    first, more = found[0], len(found) - 1
    others = f", and {counted(more, MOST_DAMAGED - 1)} more" if more else ""
    yield Need(
        88,
        f"Archive {first} is damaged{others}",
        first.note or "Its files are no longer what was written.",
        "Look at it",
        reverse("admin:retention_archive_change", args=[first.pk]),
        "danger",
    )


NEEDS: list[tuple[str, Callable[[Readings], Iterator[Need]]]] = [
    ("retention.view_retentionpolicy", failing_policies),
    ("retention.view_archive", damaged_archives),
]
