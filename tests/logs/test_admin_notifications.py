"""Notifications in the admin: what waits first, and who has seen it."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from tests.factories import make_notification
from tests.logs.pages import MARKUP, page, staff

pytestmark = pytest.mark.django_db

NOTIFICATIONS = "admin:logs_notification_changelist"


def acknowledged(client, *notifications):
    return client.post(
        reverse(NOTIFICATIONS),
        {"action": "acknowledge", "_selected_action": [n.pk for n in notifications], "index": 0},
        follow=True,
    ).content.decode()


def seen(**values):
    return make_notification(seen_by="ada", seen_at=timezone.now(), **values)


class TestList:
    def test_shows_what_nobody_has_seen_first(self, admin_client):
        waits = make_notification(subject="waits")
        seen(subject="was seen")
        type(waits).objects.filter(pk=waits.pk).update(
            created_at=timezone.now() - timedelta(days=30)
        )

        shown = page(admin_client, NOTIFICATIONS)

        assert shown.index(">waits<") < shown.index(">was seen<")
        assert "Not seen" in shown
        assert "ada <time" in shown

    @pytest.mark.parametrize(("asked", "kept"), [("no", "waits"), ("yes", "was seen")])
    def test_is_filtered_by_whether_it_was_seen(self, admin_client, asked, kept):
        make_notification(subject="waits"), seen(subject="was seen")

        shown = page(admin_client, NOTIFICATIONS, seen=asked)

        assert [s for s in ("waits", "was seen") if f">{s}<" in shown] == [kept]
        assert 'title="Remove this filter"' in shown

    def test_takes_a_nonsense_filter_for_none(self, admin_client):
        make_notification(subject="waits")

        assert ">waits<" in page(admin_client, NOTIFICATIONS, seen="perhaps")

    def test_acknowledges_what_is_chosen_and_says_how_many(self, admin_client):
        chosen = [make_notification(), make_notification()]
        left, before = make_notification(), seen()

        assert "2 notifications acknowledged" in acknowledged(admin_client, *chosen, before)
        for each in (*chosen, left, before):
            each.refresh_from_db()
        assert [each.seen_by for each in chosen] == ["admin", "admin"]
        assert left.seen_at is None
        assert before.seen_by == "ada"

    def test_shows_foreign_text_as_text(self, admin_client):
        told = make_notification(subject=MARKUP, message=MARKUP, what=MARKUP)

        for html in (
            page(admin_client, NOTIFICATIONS),
            page(admin_client, "admin:logs_notification_change", told.pk),
        ):
            assert "<img src=x" not in html


class TestPage:
    def test_acknowledges_with_one_button(self, admin_client):
        told = make_notification()
        url = reverse("admin:logs_notification_acknowledge", args=[told.pk])
        assert url in page(admin_client, "admin:logs_notification_change", told.pk)

        shown = admin_client.post(url, follow=True).content.decode()

        assert "1 notification acknowledged" in shown
        assert "admin" in shown
        assert url not in shown

    def test_is_acknowledged_by_those_who_may_change_it(self):
        told = make_notification()
        client = staff("view_notification")

        answer = client.post(reverse("admin:logs_notification_acknowledge", args=[told.pk]))

        assert answer.status_code == 403
        assert "Acknowledge" not in page(client, "admin:logs_notification_change", told.pk)

    def test_leads_to_what_it_is_about(self, admin_client):
        told = make_notification(link="/admin/market/feed/")

        shown = page(admin_client, "admin:logs_notification_change", told.pk)

        assert 'class="b-link" href="/admin/market/feed/">Open<' in shown

    @pytest.mark.parametrize(
        "link", ["//evil.example/", "https://evil.example/", "javascript:alert(1)", "/\\evil"]
    )
    def test_never_leads_to_another_host(self, admin_client, link):
        told = make_notification(link=link)

        shown = page(admin_client, "admin:logs_notification_change", told.pk)

        assert f'href="{link}"' not in shown
