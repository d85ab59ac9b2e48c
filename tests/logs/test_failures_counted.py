"""Errors that are one and the same are counted, and told when they are new or come back."""

from datetime import UTC, datetime, timedelta

import pytest

from apps.logs.choices import ErrorState
from apps.logs.models import ErrorGroup, ErrorLog, Notification
from apps.logs.services.entries import store_entries
from apps.logs.services.errors import mute, reopen, resolve

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TRACE = """Traceback (most recent call last):
  File "/srv/apps/bots/grid.py", line {line}, in close
    return book(price)
ValueError: no price
"""

pytestmark = pytest.mark.django_db


def report(*moments, line=7, message="no price", error_type="ValueError"):
    rows = [
        {
            "timestamp": moment,
            "error_type": error_type,
            "error_message": message,
            "stack_trace": TRACE.format(line=line),
            "component": "bots.grid",
        }
        for moment in moments
    ]
    store_entries(model=ErrorLog, rows=rows, now=max(moments))


def told():
    return list(Notification.objects.order_by("id").values_list("what", flat=True))


class TestCountErrors:
    def test_counts_and_remembers_first_and_last(self):
        report(NOON + HOUR, NOON)
        report(NOON + 2 * HOUR, NOON - HOUR)

        [group] = ErrorGroup.objects.all()
        assert group.count == 4
        assert (group.first_seen, group.last_seen) == (NOON - HOUR, NOON + 2 * HOUR)
        assert group.culprit.endswith("bots/grid.py in close")

    def test_takes_a_moved_line_of_code_for_the_same_error(self):
        report(NOON, line=7)
        report(NOON, line=70)

        assert ErrorGroup.objects.get().count == 2

    def test_tells_other_types_apart(self):
        report(NOON)
        report(NOON, error_type="KeyError")

        assert ErrorGroup.objects.count() == 2

    def test_shows_the_newest_message(self):
        report(NOON, message="new")
        report(NOON - HOUR, message="late")

        assert ErrorGroup.objects.get().message == "new"

    def test_tells_what_brought_it_about(self):
        row = {"error_type": "E", "correlation_id": "request-7"}
        store_entries(model=ErrorLog, rows=[row, row | {"correlation_id": "later"}], now=NOON)

        assert Notification.objects.get().correlation_id == "request-7"

    def test_tells_a_new_error_once(self):
        report(NOON)
        report(NOON + HOUR)

        assert told() == ["error_new"]
        assert Notification.objects.get().link.endswith(f"/{ErrorGroup.objects.get().pk}/change/")


class TestWhatStaffDecide:
    def test_a_resolved_error_that_comes_again_regressed_and_is_told(self):
        report(NOON)
        resolve(ErrorGroup.objects.all(), by="ada", now=NOON + HOUR)
        report(NOON + 2 * HOUR)
        report(NOON + 3 * HOUR)

        assert ErrorGroup.objects.get().state == ErrorState.REGRESSED
        assert told() == ["error_new", "error_regressed"]

    def test_a_late_line_from_before_it_was_resolved_says_nothing_new(self):
        report(NOON)
        resolve(ErrorGroup.objects.all(), by="ada", now=NOON + HOUR)
        report(NOON + HOUR / 2)

        assert ErrorGroup.objects.get().state == ErrorState.RESOLVED

    def test_it_is_told_each_time_it_comes_back(self):
        report(NOON)
        for day in (1, 2):
            later = NOON + timedelta(days=day)
            resolve(ErrorGroup.objects.all(), by="ada", now=later)
            report(later + HOUR)

        assert told() == ["error_new", "error_regressed", "error_regressed"]

    def test_a_muted_error_is_counted_and_never_told(self):
        report(NOON)
        mute(ErrorGroup.objects.all(), by="ada", now=NOON)
        report(NOON + HOUR)

        group = ErrorGroup.objects.get()
        assert (group.state, group.count, group.state_changed_by) == (ErrorState.MUTED, 2, "ada")
        assert told() == ["error_new"]

    def test_what_is_settled_can_be_opened_again(self):
        report(NOON)
        resolve(ErrorGroup.objects.all(), by="ada", now=NOON)

        assert reopen(ErrorGroup.objects.all(), by="bob", now=NOON) == 1
        assert reopen(ErrorGroup.objects.all(), by="bob", now=NOON) == 0
        assert ErrorGroup.objects.get().state == ErrorState.NEW

    def test_deciding_twice_changes_once(self):
        report(NOON)

        assert resolve(ErrorGroup.objects.all(), by="ada", now=NOON) == 1
        assert resolve(ErrorGroup.objects.all(), by="bob", now=NOON) == 0
        assert ErrorGroup.objects.get().state_changed_by == "ada"
