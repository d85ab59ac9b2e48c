"""The months of the log tables are there before they are needed."""

from datetime import UTC, date, datetime

import pytest

from apps.logs.models import ENTRIES, SystemLog
from apps.logs.services.partitions import make_partitions
from apps.logs.tasks import make_partitions as task
from apps.shared.partitions import existing_months
from tests.factories import make_performance_log, make_system_log

pytestmark = pytest.mark.django_db


class TestMakePartitions:
    def test_makes_three_months_of_every_table_once(self):
        now = datetime(2031, 11, 30, 23, 59, tzinfo=UTC)

        assert make_partitions(now=now) == 3 * len(ENTRIES)
        assert make_partitions(now=now) == 0
        for model in ENTRIES:
            wanted = {date(2031, 11, 1), date(2031, 12, 1), date(2032, 1, 1)}
            assert wanted <= set(existing_months(model._meta.db_table))

    def test_gives_late_lines_a_month_of_their_own(self):
        now = datetime(2031, 11, 30, tzinfo=UTC)
        late = make_performance_log(timestamp=datetime(2031, 2, 3, tzinfo=UTC), status="error")
        make_partitions(now=now)

        assert date(2031, 2, 1) in existing_months("performance_logs")
        late.refresh_from_db()
        assert late.severity == "ERROR"

    def test_makes_no_partition_for_a_clock_that_is_wrong_by_years(self):
        make_system_log(timestamp=datetime(1970, 1, 1, tzinfo=UTC))
        make_partitions(now=datetime(2031, 11, 30, tzinfo=UTC))

        assert date(1970, 1, 1) not in existing_months("system_logs")
        assert SystemLog.objects.filter(timestamp__year=1970).exists()


def test_the_task_says_how_many_it_made():
    assert task() == 0  # the migration made them
