"""The months of the log tables: made before they are needed."""

from datetime import datetime, timedelta

from apps.logs.models import ENTRIES
from apps.shared.partitions import make_months, month_of, months_from, months_without_partition

MONTHS_AHEAD = 2
# Older lines stay in the catch-all: a clock that is wrong by years makes no partitions.
LATE = timedelta(days=3 * 366)


def make_partitions(*, now: datetime) -> int:
    """Have this month, the next two, and the months of lines that came late.

    Returns how many partitions are new. May run twice at once.
    """
    this = month_of(now)
    ahead = months_from(this, 1 + MONTHS_AHEAD)
    made = 0
    for model in ENTRIES:
        table = model._meta.db_table
        late = months_without_partition(table, since=month_of(now - LATE))
        made += len(make_months(table, [*ahead, *(month for month in late if month < this)]))
    return made
