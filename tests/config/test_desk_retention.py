"""What the desk says of retention: when it last ran, what it freed, what went wrong."""

from datetime import UTC, datetime, timedelta

import pytest

from apps.retention.choices import ArchiveStatus
from config import retention_figures, retention_needs
from config.readings import Readings
from tests.factories import make_archive, make_policy

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 6, 17, 15, tzinfo=UTC)
NIGHT = NOW.replace(hour=3, minute=30)


def freed():
    return retention_figures.freed(Readings(NOW))


def needs():
    now = Readings(NOW)
    return [need for _, read in retention_needs.NEEDS for need in read(now)]


class TestTheFigure:
    def test_says_that_nothing_has_run_yet(self):
        make_policy()

        figure = freed()

        assert (figure.value, figure.under) == ("—", "it has not run yet: daily at 03:30 UTC")

    def test_adds_up_what_the_last_round_freed(self):
        make_policy(last_run_at=NIGHT, last_rows=1_200, last_bytes=3_000_000)
        make_policy(last_run_at=NIGHT + timedelta(minutes=9), last_rows=34, last_bytes=0)

        figure = freed()

        assert figure.value == "1,234"
        assert "2.9" in figure.under
        assert "11 h ago" in figure.under

    def test_leaves_out_policies_that_ran_another_night(self):
        make_policy(last_run_at=NIGHT, last_rows=10, last_bytes=100)
        make_policy(last_run_at=NIGHT - timedelta(days=3), last_rows=5_000, last_bytes=100)

        assert freed().value == "10"

    def test_is_marked_while_a_policy_fails(self):
        make_policy(last_run_at=NIGHT, last_rows=0, last_bytes=0, last_error="No room.")

        figure = freed()

        assert figure.tone == "b-loss"
        assert figure.under.endswith("1 failed")


class TestNeeds:
    def test_are_none_where_all_went_well(self):
        make_policy(last_run_at=NIGHT, last_rows=10, last_bytes=100)
        make_archive()

        assert needs() == []

    def test_name_a_policy_that_failed_and_why(self):
        make_policy(dataset="trades", last_run_at=NIGHT, last_error="No room on the disk.")

        (need,) = needs()

        assert need.what == "Retention of trades failed"
        assert need.why == "No room on the disk."

    def test_leave_out_policies_that_are_off(self):
        make_policy(enabled=False, last_error="No room on the disk.")

        assert needs() == []

    def test_tell_the_rest_of_many_in_one(self):
        for _ in range(7):
            make_policy(last_error="No room on the disk.")

        assert needs()[-1].what == "Retention of 3 more datasets failed"

    def test_name_an_archive_that_is_damaged(self):
        first = make_archive(status=ArchiveStatus.DAMAGED, note="trades.parquet has another sum.")
        make_archive(status=ArchiveStatus.DAMAGED)

        (need,) = needs()

        assert need.tone == "danger"
        assert "and 1 more" in need.what
        assert first.path in need.what or first.note != need.why
