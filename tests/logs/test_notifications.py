"""A change of state is told once, in its own transaction, until somebody has seen it."""

from datetime import UTC, datetime

import pytest
from django.db import transaction

from apps.logs.choices import NotificationLevel
from apps.logs.models import Notification
from apps.logs.services.notifications import acknowledge, notify
from apps.shared.correlation import correlation_id

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def tell(**values):
    usual = {
        "what": "bot_silent",
        "level": NotificationLevel.CRITICAL,
        "subject": "Bot 7 is silent",
    }
    return notify(now=NOON, **usual | values)


class TestNotify:
    def test_tells_the_same_once(self):
        assert tell(dedupe_key="bot:7:silent:12:00")
        assert not tell(dedupe_key="bot:7:silent:12:00")
        assert tell(dedupe_key="bot:7:silent:13:00")

        assert Notification.objects.count() == 2

    def test_tells_each_time_without_a_key(self):
        assert tell()
        assert tell()

    def test_is_not_told_when_the_change_is_rolled_back(self):
        with transaction.atomic():
            tell()
            transaction.set_rollback(True)

        assert not Notification.objects.exists()

    def test_names_its_cause(self):
        token = correlation_id.set("request-7")
        tell()
        correlation_id.reset(token)

        assert Notification.objects.get().correlation_id == "request-7"

    def test_holds_no_secret(self):
        tell(message="refused by https://bot:hunter2@venue.example")

        assert "hunter2" not in Notification.objects.get().message

    def test_refuses_a_key_that_would_be_cut(self):
        with pytest.raises(ValueError, match="255"):
            tell(dedupe_key="x" * 256)

    def test_cuts_a_subject_that_is_too_long(self):
        tell(subject="x" * 500)

        assert len(Notification.objects.get().subject) == 200


class TestAcknowledge:
    def test_says_who_has_seen_it_and_when(self):
        tell()

        assert acknowledge(notifications=Notification.objects.all(), by="ada", now=NOON) == 1
        seen = Notification.objects.get()
        assert (seen.seen_by, seen.seen_at) == ("ada", NOON)

    def test_leaves_it_to_the_first(self):
        tell()
        acknowledge(notifications=Notification.objects.all(), by="ada", now=NOON)

        assert acknowledge(notifications=Notification.objects.all(), by="bob", now=NOON) == 0
        assert Notification.objects.get().seen_by == "ada"
        assert not Notification.objects.unseen().exists()
