"""Error groups in the admin: how often they come, and what one may decide about them."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.logs.admin import errors
from apps.logs.choices import ErrorState
from tests.factories import make_error_group, make_error_log
from tests.logs.pages import MARKUP, page, staff

pytestmark = pytest.mark.django_db

GROUPS = "admin:logs_errorgroup_changelist"


def step(client, name, group):
    return client.post(reverse(f"admin:logs_errorgroup_{name}", args=[group.pk]), follow=True)


class TestList:
    def test_shows_state_culprit_count_and_how_it_went(self, admin_client):
        group = make_error_group(count=1_234, culprit="apps/bots/grid.py in close")
        for _ in range(3):
            make_error_log(fingerprint=group.fingerprint)

        shown = page(admin_client, GROUPS)

        assert 'b-badge b-danger">New<' in shown
        assert "apps/bots/grid.py in close" in shown
        assert ">1,234<" in shown
        assert 'aria-label="3 in the last 24 hours"' in shown

    def test_reads_all_its_sparklines_in_one_query(self, admin_client, django_assert_num_queries):
        for _ in range(4):
            make_error_log(fingerprint=make_error_group().fingerprint)
        page(admin_client, GROUPS)  # what is suggested in filters is cached now

        with django_assert_num_queries(4):  # session, user, groups, sparklines
            page(admin_client, GROUPS)

    def test_counts_each_error_in_its_hour(self):
        now = timezone.now().replace(minute=30)
        one, other = make_error_group(), make_error_group()
        for hours, fingerprint in ((0, one), (2, one), (2, one), (23, one), (24, one), (2, other)):
            make_error_log(
                fingerprint=fingerprint.fingerprint, timestamp=now - timedelta(hours=hours)
            )

        counts = errors.counts_by_hour([one.fingerprint, other.fingerprint], now)

        assert counts[one.fingerprint] == [1] + [0] * 20 + [2, 0, 1]
        assert counts[other.fingerprint] == [0] * 21 + [1, 0, 0]

    def test_counts_no_further_than_it_must(self, monkeypatch):
        monkeypatch.setattr(errors, "MOST_IN_HOUR", 2)
        now = timezone.now().replace(minute=30)
        group = make_error_group()
        for _ in range(4):
            make_error_log(fingerprint=group.fingerprint, timestamp=now)

        assert errors.counts_by_hour([group.fingerprint], now)[group.fingerprint][-1] == 2

    def test_is_filtered_by_state(self, admin_client):
        make_error_group(error_type="WantedError", state=ErrorState.REGRESSED)
        make_error_group(error_type="OtherError")

        shown = page(admin_client, GROUPS, state__exact="regressed")

        assert "WantedError" in shown
        assert "OtherError" not in shown

    def test_resolves_what_is_chosen_and_says_how_many(self, admin_client):
        chosen = [make_error_group(), make_error_group()]
        left = make_error_group()

        answer = admin_client.post(
            reverse(GROUPS),
            {"action": "resolve", "_selected_action": [g.pk for g in chosen], "index": 0},
            follow=True,
        )

        assert "2 error groups resolved" in answer.content.decode()
        left.refresh_from_db()
        assert left.state == ErrorState.NEW
        for group in chosen:
            group.refresh_from_db()
            assert (group.state, group.state_changed_by) == (ErrorState.RESOLVED, "admin")


class TestSteps:
    @pytest.mark.parametrize(
        ("name", "before", "after"),
        [
            ("resolve", ErrorState.NEW, ErrorState.RESOLVED),
            ("mute", ErrorState.REGRESSED, ErrorState.MUTED),
            ("reopen", ErrorState.MUTED, ErrorState.NEW),
            ("reopen", ErrorState.RESOLVED, ErrorState.NEW),
        ],
    )
    def test_change_the_state_and_say_by_whom(self, admin_client, name, before, after):
        group = make_error_group(state=before)

        shown = step(admin_client, name, group).content.decode()

        group.refresh_from_db()
        assert group.state == after
        assert f">{after.label}<" in shown
        assert "admin, <time" in shown

    def test_can_be_undone_where_they_are_taken(self, admin_client):
        group = make_error_group()

        shown = step(admin_client, "resolve", group).content.decode()

        assert reverse("admin:logs_errorgroup_reopen", args=[group.pk]) in shown
        assert reverse("admin:logs_errorgroup_resolve", args=[group.pk]) not in shown

    def test_are_not_taken_by_following_a_link(self, admin_client):
        group = make_error_group()

        answer = admin_client.get(reverse("admin:logs_errorgroup_resolve", args=[group.pk]))

        group.refresh_from_db()
        assert (answer.status_code, group.state) == (405, ErrorState.NEW)

    def test_are_for_those_who_may_change_a_group(self):
        group = make_error_group()
        client = staff("view_errorgroup")

        assert "Resolve" not in page(client, "admin:logs_errorgroup_change", group.pk)
        assert step(client, "resolve", group).status_code == 403
        listed = page(client, GROUPS)
        assert 'name="_selected_action"' not in listed

    def test_need_the_token_of_the_page(self, admin_user):
        client = Client(enforce_csrf_checks=True)
        client.force_login(admin_user)

        assert step(client, "resolve", make_error_group()).status_code == 403


class TestPage:
    def test_shows_its_newest_trace_and_times(self, admin_client):
        group = make_error_group()
        for hours in range(25):
            make_error_log(
                fingerprint=group.fingerprint,
                stack_trace=f'  File "/srv/apps/bots/x.py", line 1, in step\n    call({hours})',
                correlation_id=f"cause-{hours}",
                timestamp=timezone.now() - timedelta(hours=hours),
            )

        shown = page(admin_client, "admin:logs_errorgroup_change", group.pk)

        assert "call(0)" in shown
        assert "call(1)" not in shown
        assert shown.count("/admin/logs/trace/cause-") == 20
        assert "/admin/logs/trace/cause-19/" in shown
        assert "25 in the last 14 days" in shown

    def test_says_so_when_its_lines_are_gone(self, admin_client):
        shown = page(admin_client, "admin:logs_errorgroup_change", make_error_group().pk)

        assert "Its lines are gone." in shown

    def test_shows_foreign_text_as_text(self, admin_client):
        group = make_error_group(error_type=MARKUP, message=MARKUP, culprit=MARKUP)
        make_error_log(fingerprint=group.fingerprint, error_message=MARKUP, stack_trace=MARKUP)

        for html in (
            page(admin_client, GROUPS),
            page(admin_client, "admin:logs_errorgroup_change", group.pk),
        ):
            assert "<img src=x" not in html

    def test_costs_the_same_however_often_it_came(self, admin_client, django_assert_num_queries):
        group = make_error_group()
        make_error_log(fingerprint=group.fingerprint)
        # session, user, group, days, newest ones, the newest trace
        with django_assert_num_queries(6):
            page(admin_client, "admin:logs_errorgroup_change", group.pk)
        for _ in range(30):
            make_error_log(fingerprint=group.fingerprint)
        with django_assert_num_queries(6):
            page(admin_client, "admin:logs_errorgroup_change", group.pk)
