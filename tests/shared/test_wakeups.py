"""Whoever stores something may have it looked at at once, without waiting for anybody."""

import threading

import pytest
from django.db import transaction
from kombu.exceptions import OperationalError

from apps.shared import wakeups
from apps.shared.correlation import correlation_id


class Broker:
    """Takes wake-ups in the place of Celery; may hang or fail."""

    def __init__(self):
        self.sent = []
        self.arrived = threading.Semaphore(0)
        self.open = threading.Event()
        self.open.set()
        self.error = None

    def send_task(self, task, expires):
        self.open.wait(10)
        self.sent.append((task, correlation_id.get()))
        self.arrived.release()
        if self.error:
            raise self.error


@pytest.fixture
def broker(monkeypatch):
    broker = Broker()
    monkeypatch.setattr(wakeups, "current_app", broker)
    return broker


def arrived(broker, count):
    for _ in range(count):
        assert broker.arrived.acquire(timeout=10)
    return broker.sent


@pytest.mark.django_db(transaction=True)
class TestWake:
    def test_waits_for_the_commit(self, broker, monkeypatch):
        monkeypatch.setattr(wakeups, "waker", wakeups.Waker(pause=0))
        with transaction.atomic():
            wakeups.wake("look")
            assert broker.sent == []

        assert [task for task, _ in arrived(broker, 1)] == ["look"]

    def test_says_nothing_of_what_was_rolled_back(self, broker, monkeypatch):
        monkeypatch.setattr(wakeups, "waker", wakeups.Waker(pause=0))
        with transaction.atomic():
            wakeups.wake("look at what never was")
            transaction.set_rollback(True)
        wakeups.wake("look")

        assert [task for task, _ in arrived(broker, 1)] == ["look"]


class TestWaker:
    def test_hands_on_the_cause(self, broker):
        wakeups.Waker(pause=0).ask("look", "request-7")

        assert arrived(broker, 1) == [("look", "request-7")]

    def test_sends_once_for_all_who_asked_before_it_was_sent(self, broker):
        waker = wakeups.Waker(pause=0)
        broker.open.clear()
        waker.ask("hold the thread", "")
        for number in range(100):
            waker.ask("look", f"request-{number}")
        broker.open.set()

        assert arrived(broker, 2)[1:] == [("look", "request-0")]

    def test_sends_again_for_who_asks_after_it_was_sent(self, broker):
        waker = wakeups.Waker(pause=0)
        waker.ask("look", "one")
        arrived(broker, 1)
        waker.ask("look", "two")

        assert arrived(broker, 1) == [("look", "one"), ("look", "two")]

    def test_leaves_a_broker_that_is_away_alone_for_a_while(self, broker, monkeypatch):
        slept = []
        monkeypatch.setattr(wakeups.time, "sleep", slept.append)
        waker = wakeups.Waker(pause=0, rest=7)
        broker.error = OperationalError("nobody there")
        waker.ask("look", "one")
        arrived(broker, 1)
        broker.error = None
        waker.ask("look", "two")
        arrived(broker, 1)

        assert slept.count(7) == 1

    def test_outlives_a_broker_that_is_away(self, broker):
        waker = wakeups.Waker(pause=0, rest=0)
        broker.error = OperationalError("nobody there")
        waker.ask("look", "one")
        arrived(broker, 1)
        broker.error = None
        waker.ask("look", "two")

        assert arrived(broker, 1) == [("look", "one"), ("look", "two")]
