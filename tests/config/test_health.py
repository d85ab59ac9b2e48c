"""Whether the process lives, and whether it can serve."""

import pytest
from django.db import OperationalError

from config import health


def raise_operational_error():
    raise OperationalError("connection to server at secret.example failed")


class TestLivez:
    def test_asks_nothing_of_anybody(self, client, django_assert_num_queries):
        answer = client.get("/livez")

        assert answer.status_code == 200
        assert answer.content == b"ok\n"


@pytest.mark.django_db
class TestReadyz:
    def test_is_ready_with_every_migration(self, client):
        answer = client.get("/readyz")

        assert (answer.status_code, answer.json()) == (200, {"ready": True, "problems": {}})

    def test_names_the_migrations_that_are_missing(self, client, monkeypatch):
        monkeypatch.setattr(health, "unapplied_migrations", lambda: ["market.0009_more"])

        answer = client.get("/readyz")

        assert answer.status_code == 503
        assert answer.json()["problems"] == {"migrations": ["market.0009_more"]}

    def test_tells_no_secrets_of_a_database_that_is_away(self, client, monkeypatch):
        monkeypatch.setattr(health, "unapplied_migrations", raise_operational_error)

        answer = client.get("/readyz")

        assert answer.status_code == 503
        assert answer.json()["problems"] == {"database": "OperationalError"}
