"""A POST sent twice is done once, whatever happens in between."""

import threading
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from apps.access import services
from apps.access.models import IdempotencyRecord
from apps.market.models import Instrument
from tests.access.endpoints import Gate

PROBE = "/api/v1/market/probe/"

pytestmark = pytest.mark.urls("tests.access.endpoints")


def send(issued, body, key="attempt-1", path=PROBE, **options):
    headers = {"Idempotency-Key": key}
    if issued:
        headers["Authorization"] = f"Bearer {issued.text}"
    client = options.pop("client", None) or Client(raise_request_exception=False)
    return client.post(path, body, content_type="application/json", headers=headers)


def symbols():
    return sorted(Instrument.objects.values_list("symbol", flat=True))


@pytest.mark.django_db
class TestTheSecondTime:
    def test_gets_the_first_answer_again(self, issue):
        issued = issue()
        first = send(issued, {"symbol": "A"})
        second = send(issued, {"symbol": "A"})

        assert (first.status_code, second.status_code) == (201, 201)
        assert second.content == first.content
        assert second["Location"] == first["Location"]
        assert second["Content-Type"] == first["Content-Type"]
        assert (first.get("Idempotent-Replay"), second["Idempotent-Replay"]) == (None, "true")
        assert symbols() == ["A"]

    def test_is_answered_under_its_own_request_id(self, issue):
        issued = issue()

        assert send(issued, {})["X-Request-ID"] != send(issued, {})["X-Request-ID"]

    def test_refuses_another_body(self, issue):
        issued = issue()
        send(issued, {"symbol": "A"})
        answer = send(issued, {"symbol": "B"})

        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
        assert symbols() == ["A"]

    @pytest.mark.parametrize("path", ["/api/v1/market/bound/", PROBE + "?atomic=1"])
    def test_refuses_another_address(self, issue, path):
        issued = issue()
        send(issued, {})

        assert send(issued, {}, path=path).status_code == 422

    def test_runs_anew_after_a_day(self, issue):
        issued = issue()
        send(issued, {"symbol": "A"})
        IdempotencyRecord.objects.update(created_at=timezone.now() - timedelta(hours=24))

        assert send(issued, {"symbol": "B"}).status_code == 201
        assert send(issued, {"symbol": "B"})["Idempotent-Replay"] == "true"
        assert symbols() == ["A", "B"]

    def test_another_client_is_another_request(self, issue):
        send(issue(), {"symbol": "A"})

        assert "Idempotent-Replay" not in send(issue(), {"symbol": "B"})
        assert symbols() == ["A", "B"]

    def test_key_that_replaced_the_first_is_the_same_client(self, issue):
        old = issue()
        send(old, {"symbol": "A"})
        new = services.rotate_key(key_id=old.key.pk, now=timezone.now())

        assert send(new, {"symbol": "A"})["Idempotent-Replay"] == "true"

    def test_key_that_lost_a_right_gets_no_old_answers(self, issue):
        issued = issue()
        send(issued, {"symbol": "A"})
        issued.key.scopes = ["market:read"]
        issued.key.save()

        assert send(issued, {"symbol": "A"}).status_code == 403

    def test_staff_session_has_its_own(self):
        client = Client()
        client.force_login(User.objects.create_superuser("olga"))
        send(None, {"symbol": "A"}, client=client)

        assert send(None, {"symbol": "A"}, client=client)["Idempotent-Replay"] == "true"


@pytest.mark.django_db
class TestRefusals:
    @pytest.mark.parametrize("status", [400, 404, 409, 422])
    def test_takes_back_what_was_written_and_keeps_the_answer(self, issue, status):
        issued = issue()
        first = send(issued, {"symbol": "A", "status": status})
        second = send(issued, {"symbol": "A", "status": status})

        assert (first.status_code, second.status_code) == (status, status)
        assert second["Idempotent-Replay"] == "true"
        assert symbols() == []

    @pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
    def test_may_be_tried_again_when_it_was_not_about_the_request(self, issue, status):
        issued = issue()
        send(issued, {"symbol": "A", "status": status})

        assert "Idempotent-Replay" not in send(issued, {"symbol": "A", "status": status})
        assert not IdempotencyRecord.objects.exists()
        assert symbols() == []

    def test_crash_leaves_nothing_behind(self, issue):
        issued = issue()

        assert send(issued, {"symbol": "A", "crash": True}).status_code == 500
        assert symbols() == []
        assert send(issued, {"symbol": "A"}).status_code == 201

    def test_view_that_hides_a_failed_statement_does_not_answer_2xx(self, issue):
        issued = issue()

        assert send(issued, {"symbol": "A", "hide_failure": True}).status_code == 500
        assert symbols() == []


@pytest.mark.django_db
class TestTheHeader:
    @pytest.mark.parametrize("key", ["", "   ", "x" * 256, "a\x07b", "a\x7f", "a\x9fb"])
    def test_refuses_nonsense(self, issue, key):
        answer = send(issue(), {"symbol": "A"}, key=key)

        assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_invalid")
        assert answer["Content-Type"] == "application/problem+json"
        assert symbols() == []

    @pytest.mark.parametrize(
        "key", ["x" * 255, '"8e03978e-40d5"', "grün/€".encode().decode("latin1")]
    )
    def test_takes_what_clients_send(self, issue, key):
        issued = issue()
        key = "".join(letter for letter in key if not 0x7F <= ord(letter) <= 0x9F)
        send(issued, {"symbol": "A"}, key=key)

        assert send(issued, {"symbol": "A"}, key=key)["Idempotent-Replay"] == "true"

    def test_is_not_needed(self, issue):
        headers = {"Authorization": f"Bearer {issue().text}"}
        answer = Client().post(PROBE, {}, content_type="application/json", headers=headers)

        assert answer.status_code == 201
        assert not IdempotencyRecord.objects.exists()

    def test_lets_nobody_in(self):
        assert send(None, {"symbol": "A"}).status_code == 401
        assert not IdempotencyRecord.objects.exists()

    def test_means_nothing_outside_of_the_api(self, issue):
        issued = issue()
        send(issued, {}, path="/elsewhere/")

        assert not IdempotencyRecord.objects.exists()

    def test_costs_few_statements(self, issue, django_assert_max_num_queries):
        issued = issue()
        send(issued, {})
        with django_assert_max_num_queries(6):
            send(issued, {})


@pytest.fixture
def held(monkeypatch):
    """A fresh gate for the waiting view; opened at the end whatever happens."""
    fresh = Gate()
    monkeypatch.setattr("tests.access.endpoints.gate", fresh)
    yield fresh
    fresh.go_on.set()


class Sender(threading.Thread):
    """Sends a request on a connection of its own."""

    def __init__(self, *arguments, **options):
        super().__init__()
        self.arguments, self.options, self.answer = arguments, options, None
        self.start()

    def run(self):
        try:
            self.answer = send(*self.arguments, **self.options)
        finally:
            connection.close()


@pytest.mark.django_db(transaction=True)
class TestAtTheSameTime:
    def test_second_one_is_told_to_wait_and_then_gets_the_answer(self, issue, held):
        issued = issue()
        body = {"symbol": "A", "wait": True}
        first = Sender(issued, body)
        assert held.entered.wait(10)

        during = send(issued, body)
        other = send(issued, {"symbol": "B"}, key="attempt-2")
        held.go_on.set()
        first.join(10)
        after = send(issued, body)

        assert (during.status_code, during.json()["code"]) == (409, "idempotency_key_in_use")
        assert int(during["Retry-After"]) >= 1
        assert other.status_code == 201
        assert first.answer.status_code == 201
        assert after["Idempotent-Replay"] == "true"
        assert symbols() == ["A", "B"]

    def test_many_at_once_do_it_once(self, issue):
        issued = issue()
        senders = [Sender(issued, {"symbol": "A"}) for _ in range(6)]
        for sender in senders:
            sender.join(20)

        answers = [sender.answer for sender in senders]
        assert {answer.status_code for answer in answers} <= {201, 409}
        assert [
            answer.status_code for answer in answers if "Idempotent-Replay" not in answer
        ].count(201) == 1
        assert symbols() == ["A"]

    def test_nothing_is_seen_before_the_commit(self, issue, held):
        first = Sender(issue(), {"symbol": "A", "wait": True})
        assert held.entered.wait(10)
        assert symbols() == []

        held.go_on.set()
        first.join(10)
        assert symbols() == ["A"]

    def test_killed_half_way_it_runs_anew(self, issue, held):
        issued = issue()
        body = {"symbol": "A", "wait": True}
        first = Sender(issued, body)
        assert held.entered.wait(10)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_locks"
                " WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
            )
            assert cursor.fetchone()[0] == 1
        held.go_on.set()
        first.join(10)

        assert first.answer.status_code >= 500
        assert symbols() == []
        again = send(issued, body)
        assert (again.status_code, again.get("Idempotent-Replay")) == (201, None)
        assert symbols() == ["A"]

    def test_noting_the_use_of_a_key_waits_for_nobody(self, issue):
        issued = issue()
        seen = []

        def note():
            try:
                services.note_use(key=issued.key, now=timezone.now())
                seen.append("done")
            finally:
                connection.close()

        with transaction.atomic():
            services.ApiKey.objects.select_for_update().get(pk=issued.key.pk)
            other = threading.Thread(target=note)
            other.start()
            other.join(5)
            assert seen == ["done"]
