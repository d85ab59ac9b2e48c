"""The web servers note that they can be heard."""

from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.utils import timezone

from apps.executions.domain.liveness import DOOR_GAP
from apps.executions.models import Watch
from config import door


@pytest.mark.django_db(transaction=True)
class TestTheDoor:
    def test_is_noted_and_stays_open_from_note_to_note(self):
        door.note()
        opened = Watch.objects.get(name="door").awake_since
        door.note()

        watch = Watch.objects.get(name="door")
        assert watch.awake_since == opened
        assert timezone.now() - watch.looked_at < timedelta(minutes=1)

    def test_outlives_a_database_that_is_away(self, monkeypatch, caplog):
        def away(**kwargs):
            raise DatabaseError("gone")

        monkeypatch.setattr(door, "note_look", away)

        door.note()

        assert "could not be noted: DatabaseError" in caplog.text

    def test_is_noted_more_often_than_a_watch_calls_it_closed(self):
        assert DOOR_GAP.total_seconds() > 3 * door.SECONDS
