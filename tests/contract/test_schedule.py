"""The schedule names only tasks that exist, and no task is late by design."""

import pytest

from config.celery import app

app.loader.import_default_modules()


@pytest.mark.parametrize("name", app.conf.beat_schedule)
class TestEveryScheduleEntry:
    def test_names_a_task(self, name):
        assert app.conf.beat_schedule[name]["task"] in app.tasks

    def test_is_dropped_when_the_next_one_is_due(self, name):
        entry = app.conf.beat_schedule[name]

        assert entry["options"]["expires"] > 0
