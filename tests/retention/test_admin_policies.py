"""Policies in the admin: the list, a policy's page, its preview, its form, running it by hand."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.bots.models import Trade
from apps.executions.admin.shown import run_url
from apps.executions.models import Execution
from apps.retention.models import PolicyChange, RetentionPolicy
from apps.retention.services.policies import ensure_policies
from tests.factories import make_archive, make_bot, make_policy, make_trade
from tests.logs.pages import page

pytestmark = pytest.mark.django_db

LIST = "admin:retention_retentionpolicy_changelist"
PAGE = "admin:retention_retentionpolicy_change"
PREVIEW = "admin:retention_retentionpolicy_preview"
PREVIEW_ALL = "admin:retention_retentionpolicy_preview_all"
RUN = "admin:retention_retentionpolicy_run"
EDIT = "admin:retention_retentionpolicy_edit"
CHANGES = "admin:retention_policychange_changelist"


@pytest.fixture
def trades():
    ensure_policies(now=timezone.now())
    return RetentionPolicy.objects.get(dataset="trades")


def old_trade(days=200, kind="paper"):
    """Make a trade of a bot that was closed so many days ago."""
    left = timezone.now() - timedelta(days=days)
    return make_trade(
        bot=make_bot(type=kind),
        closed=True,
        entry_time=left - timedelta(hours=3),
        exit_time=left,
    )


def staff(*permissions):
    """Return the client of somebody on the staff who may do just that with retention."""
    user = User.objects.create_user("someone", is_staff=True)
    for name in permissions:
        user.user_permissions.add(
            Permission.objects.get(codename=name, content_type__app_label="retention")
        )
    client = Client()
    client.force_login(user)
    return client


def sent(policy, **values):
    """Return what the form of a policy sends when nothing is changed but ``values``."""
    form = {
        "age_days": policy.age_days,
        "time_column": policy.time_column,
        "exemptions": policy.exemptions,
    }
    form |= {name: "on" for name in ("enabled", "archive") if getattr(policy, name)}
    return {name: value for name, value in (form | values).items() if value is not None}


def words_of(client, name, *args):
    """Return the words of a page, without the marks around them."""
    return re.sub(r"<[^>]+>", "", page(client, name, *args))


def changed():
    """Return what somebody changed: policies that were made with their defaults left out."""
    return PolicyChange.objects.exclude(before={})


def posted(client, name, policy, values):
    """Return the answer to a form, and its page."""
    answer = client.post(reverse(name, args=[policy.pk]), values)
    return answer, answer.content.decode()


class TestList:
    def test_has_a_line_for_each_dataset(self, admin_client, trades):
        RetentionPolicy.objects.filter(pk=trades.pk).update(
            last_run_at=timezone.now() - timedelta(hours=5), last_rows=1234, last_bytes=2048
        )

        html = page(admin_client, LIST)

        assert html.count("data-row") >= RetentionPolicy.objects.count()
        for words in ("Closed paper", "90 d", "5 h ago", "1,234", "2,048 bytes", "it is open"):
            assert words in html

    def test_says_what_failed_is_held_or_unknown(self, admin_client, trades):
        RetentionPolicy.objects.filter(pk=trades.pk).update(
            last_error="There is no room <b>left</b>.",
            held_until=timezone.now() + timedelta(days=3, minutes=1),
        )
        make_policy(dataset="of_an_app_that_is_gone")

        html = page(admin_client, LIST)

        assert "There is no room &lt;b&gt;left&lt;/b&gt;." in html
        assert "Held 3 d" in html
        assert "no app declares this dataset any more" in html

    def test_asks_as_little_for_many_policies_as_for_one(self, admin_client):
        def queries():
            with CaptureQueriesContext(connection) as captured:
                page(admin_client, LIST)
            return len(captured)

        make_policy()
        queries()
        few = queries()
        ensure_policies(now=timezone.now())

        assert queries() == few

    def test_says_what_would_fill_it(self, admin_client):
        RetentionPolicy.objects.all().delete()

        assert "makes a policy for each dataset" in page(admin_client, LIST)


class TestPage:
    def test_tells_what_stays_and_whether_it_may_ever_leave(self, admin_client, trades):
        html = page(admin_client, PAGE, trades.pk)

        assert "it is open" in html
        assert "Never" in html

    def test_names_runs_archives_and_changes(self, admin_client, trades):
        make_archive(dataset="trades", rows=77)
        posted(admin_client, EDIT, trades, sent(trades, age_days=60))
        posted(admin_client, RUN, trades, {"confirmed": "yes"})

        html = page(admin_client, PAGE, trades.pk)

        for words in ("2025-05-06 to 2025-08-14", "77", "Kept for (days): 90 → 60", "Pending"):
            assert words in html

    def test_says_what_would_fill_it(self, admin_client, trades):
        html = page(admin_client, PAGE, trades.pk)

        assert "It has not run yet." in html
        assert "Nothing of it is archived yet." in html
        assert "Made with its defaults." in html

    def test_counts_nothing(self, admin_client, trades):
        with CaptureQueriesContext(connection) as captured:
            page(admin_client, PAGE, trades.pk)

        assert not any('FROM "bot_trades"' in each["sql"] for each in captured)

    def test_opens_where_the_dataset_is_gone(self, admin_client):
        policy = make_policy(dataset="gone")

        assert "no app declares this dataset any more" in page(
            admin_client, PAGE, policy.pk
        ).replace("No app", "no app")
        assert admin_client.get(reverse(EDIT, args=[policy.pk])).status_code == 404


class TestPreview:
    def test_counts_what_leaves_and_what_stays(self, admin_client, trades):
        old_trade(), old_trade(days=300)
        old_trade(kind="live")
        old_trade(days=5)

        html = words_of(admin_client, PREVIEW, trades.pk)

        assert "Archive and delete 2 rows now" in html
        assert "of 3 old rows" in html
        assert "live" in html

    def test_says_that_nothing_would_leave(self, admin_client, trades):
        html = words_of(admin_client, PREVIEW, trades.pk)

        assert "Nothing would leave now." in html
        assert "Leave them" not in html

    def test_of_a_policy_that_does_not_archive_says_that_it_is_for_good(self, admin_client, trades):
        RetentionPolicy.objects.filter(pk=trades.pk).update(archive=False)
        old_trade()

        html = words_of(admin_client, PREVIEW, trades.pk)

        assert "gone for good" in html
        assert "Delete 1 row now" in html
        assert "Archive and" not in html

    def test_of_one_that_is_off_may_be_run_by_hand(self, admin_client, trades):
        RetentionPolicy.objects.filter(pk=trades.pk).update(enabled=False)
        old_trade()

        html = words_of(admin_client, PREVIEW, trades.pk)

        assert "This policy is off" in html
        assert "1 row now" in html

    def test_of_one_that_is_held_may_not(self, admin_client, trades):
        RetentionPolicy.objects.filter(pk=trades.pk).update(
            held_until=timezone.now() + timedelta(days=1)
        )
        old_trade()

        html = words_of(admin_client, PREVIEW, trades.pk)
        posted(admin_client, RUN, trades, {"confirmed": "yes"})

        assert "neither by night nor by hand" in html
        assert "1 row now" not in html
        assert not Execution.objects.exists()

    def test_of_a_policy_that_is_forbidden_says_why(self, admin_client, trades):
        RetentionPolicy.objects.filter(pk=trades.pk).update(exemptions=[])

        assert "never deleted" in page(admin_client, PREVIEW, trades.pk)

    def test_of_all_datasets_has_totals(self, admin_client, trades):
        old_trade(), old_trade()

        html = page(admin_client, PREVIEW_ALL)

        assert "Closed paper" in html
        assert "In all" in html

    def test_is_shown_without_the_button_to_who_only_looks(self, trades):
        old_trade()

        html = words_of(staff("view_retentionpolicy"), PREVIEW, trades.pk)

        assert "1 row would leave" in html
        assert "1 row now" not in html


class TestRun:
    def test_is_planned_once_and_shown(self, admin_client, trades):
        old_trade()

        first, _ = posted(admin_client, RUN, trades, {"confirmed": "yes"})
        second, _ = posted(admin_client, RUN, trades, {"confirmed": "yes"})

        run = Execution.objects.get()
        assert run.triggered_by == "admin"
        assert first["Location"] == run_url(run.execution_id)
        assert second["Location"] == reverse(PREVIEW, args=[trades.pk])

    def test_needs_the_confirmation(self, admin_client, trades):
        posted(admin_client, RUN, trades, {})
        read = admin_client.get(reverse(RUN, args=[trades.pk]))

        assert read.status_code == 405
        assert not Execution.objects.exists()

    def test_needs_the_permission(self, trades):
        answer, _ = posted(staff("view_retentionpolicy"), RUN, trades, {"confirmed": "yes"})

        assert answer.status_code == 403
        assert not Execution.objects.exists()


class TestForm:
    @pytest.mark.usefixtures("trades")
    def test_saves_and_records_who_changed_what(self, admin_client):
        runs = RetentionPolicy.objects.get(dataset="executions")
        answer, _ = posted(
            admin_client,
            EDIT,
            runs,
            sent(runs, age_days=30, time_column="created_at", enabled=None),
        )

        runs.refresh_from_db()
        change = changed().get()
        assert answer["Location"] == reverse(PAGE, args=[runs.pk])
        assert (runs.age_days, runs.time_column, runs.enabled) == (30, "created_at", False)
        assert change.changed_by == "admin"
        assert "Age counts from: timestamp_end → created_at" in page(admin_client, CHANGES)

    def test_saved_as_it_is_records_nothing(self, admin_client, trades):
        posted(admin_client, EDIT, trades, sent(trades))

        assert not changed().exists()

    def test_shows_what_never_leaves_as_chosen_for_good(self, admin_client, trades):
        html = page(admin_client, EDIT, trades.pk)

        assert '<input type="checkbox" checked disabled>' in html
        assert "Never leaves" in html

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"age_days": "-1"}, "Must be from 31 to 36,525 days."),
            ({"age_days": "soon"}, "Enter a whole number."),
            ({"time_column": "entry_fee"}, "Must be one of: exit_time."),
            ({"exemptions": ["open", "open_orders"]}, "Live trades are never deleted."),
            ({"exemptions": ["live", "open", "open_orders", "mine"]}, "Unknown: mine."),
        ],
    )
    def test_refuses_at_its_field(self, admin_client, trades, values, words):
        answer, html = posted(admin_client, EDIT, trades, sent(trades, **values))

        before, _, after = html.partition(words)
        assert answer.status_code == 200
        assert after, "it is not said"
        assert '<p class="b-error"' in before
        assert not changed().exists()

    def test_ends_a_hold(self, admin_client, trades):
        RetentionPolicy.objects.filter(pk=trades.pk).update(
            held_until=timezone.now() + timedelta(days=1)
        )
        posted(admin_client, EDIT, trades, sent(trades))
        trades.refresh_from_db()
        assert trades.held_until is not None

        posted(admin_client, EDIT, trades, sent(trades, clear_hold="on"))

        trades.refresh_from_db()
        assert trades.held_until is None

    def test_is_for_those_who_may_change_it(self, trades):
        client = staff("view_retentionpolicy")

        assert client.get(reverse(EDIT, args=[trades.pk])).status_code == 403
        assert posted(client, EDIT, trades, sent(trades, age_days=1))[0].status_code == 403
        assert ">Edit</a>" not in page(client, PAGE, trades.pk)


def test_nothing_leaves_by_looking(admin_client, trades):
    old_trade()
    for name in (PAGE, PREVIEW, EDIT):
        page(admin_client, name, trades.pk)
    page(admin_client, PREVIEW_ALL)

    assert Trade.objects.count() == 1
