"""Everything that happened as one list, as far as one may look."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.logs.choices import ActivitySource
from tests.factories import (
    make_error_log,
    make_performance_log,
    make_system_log,
    make_trading_event,
    make_user_action_log,
)
from tests.logs.pages import MARKUP, page, staff

pytestmark = pytest.mark.django_db

ACTIVITY = "admin:logs_recentactivity_changelist"


def one_of_each(**values):
    """Make an entry of each source and return them by the names of their pages."""
    return {
        "systemlog": make_system_log(**values),
        "tradingevent": make_trading_event(**values),
        "performancelog": make_performance_log(**values),
        "errorlog": make_error_log(**values),
        "useractionlog": make_user_action_log(**values),
    }


def links_of(made):
    return {name: reverse(f"admin:logs_{name}_change", args=[row.pk]) for name, row in made.items()}


class TestActivity:
    def test_links_each_line_to_its_own_entry_and_to_its_trace(self, admin_client):
        links = links_of(one_of_each(correlation_id="cause"))

        shown = page(admin_client, ACTIVITY)

        assert [name for name, link in links.items() if link not in shown] == []
        assert shown.count("/admin/logs/trace/cause/") == 5

    @pytest.mark.parametrize("source", ActivitySource.values)
    def test_is_filtered_by_source(self, admin_client, source):
        links = links_of(one_of_each())

        shown = page(admin_client, ACTIVITY, source__exact=source)

        assert sum(link in shown for link in links.values()) == 1

    def test_is_filtered_by_severity_and_component(self, admin_client):
        wanted = make_system_log(level="CRITICAL", logger_name="bots.x")
        make_system_log(level="CRITICAL"), make_system_log(logger_name="bots.x")

        shown = page(admin_client, ACTIVITY, severity__exact="CRITICAL", component="bots.x")

        assert f"/admin/logs/systemlog/{wanted.pk}/change/" in shown
        assert shown.count("/admin/logs/systemlog/") == 2  # the menu's and this one

    def test_finds_an_id_over_all_five_at_once_however_long_ago(self, admin_client):
        links = links_of(
            one_of_each(correlation_id="cause", timestamp=timezone.now() - timedelta(days=40))
        )
        make_system_log(message="cause")

        shown = page(admin_client, ACTIVITY, q="cause")

        assert [name for name, link in links.items() if link not in shown] == []
        assert "1–5 of 5 activity" in shown

    def test_shows_the_last_day_unless_asked_for_more(self, admin_client):
        old = make_system_log(timestamp=timezone.now() - timedelta(days=3))

        assert f"/{old.pk}/change/" not in page(admin_client, ACTIVITY)
        assert f"/{old.pk}/change/" in page(admin_client, ACTIVITY, timestamp_last="week")

    def test_shows_foreign_text_as_text(self, admin_client):
        make_system_log(message=MARKUP), make_error_log(error_type=MARKUP)

        shown = page(admin_client, ACTIVITY)

        assert "<img src=x" not in shown
        assert shown.count("&lt;img src=x") >= 2

    def test_hides_the_sources_that_one_may_not_open(self):
        request = make_user_action_log(request_path="/secret/")
        log = make_system_log()
        client = staff("view_recentactivity", "view_systemlog")

        shown = page(client, ACTIVITY)

        assert f"/{log.pk}/change/" in shown
        assert "/secret/" not in shown
        hidden = reverse("admin:logs_recentactivity_change", args=[request.pk])
        assert client.get(hidden).status_code == 302

    def test_shows_a_line_on_a_page_of_its_own(self, admin_client):
        log = make_system_log(message="word " * 400 + MARKUP)

        shown = page(admin_client, "admin:logs_recentactivity_change", log.pk)

        assert f"/admin/logs/systemlog/{log.pk}/change/" in shown
        assert "<img src=x" not in shown
