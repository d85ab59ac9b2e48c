"""Requests are counted per key; without a Valkey that answers nobody is held up."""

import socket
import threading
import time
import uuid

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from apps.shared.api import throttling
from apps.shared.api.throttling import Counter, parse_rate

PROBE = "/api/v1/market/probe/"


@pytest.fixture
def name():
    return f"test:{uuid.uuid4()}"


@pytest.fixture
def closed_port():
    """An address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"redis://127.0.0.1:{taken.getsockname()[1]}/0"


@pytest.fixture
def silent_port():
    """An address that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(50)
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


@pytest.mark.parametrize(
    ("rate", "expected"),
    [("1/second", (1, 1)), ("600/minute", (600, 60)), ("5/hour", (5, 3600)), ("9/day", (9, 86400))],
)
def test_reads_a_rate(rate, expected):
    assert parse_rate(rate) == expected


@pytest.mark.parametrize("rate", ["", "0/minute", "-1/minute", "10", "10/m", "10/minute ", "x/day"])
def test_refuses_what_is_no_rate(rate):
    with pytest.raises(ImproperlyConfigured):
        parse_rate(rate)


class TestCounter:
    def test_counts_within_the_window(self, settings, name):
        counter = Counter(settings.BROKER_URL)

        counted = [counter.count(name, 60) for _ in range(3)]

        assert [count for count, _ in counted] == [1, 2, 3]
        assert all(0 < left <= 60 for _, left in counted)

    def test_begins_anew_behind_the_window(self, settings, name):
        counter = Counter(settings.BROKER_URL)
        counter.count(name, 1)
        time.sleep(1.1)

        assert counter.count(name, 1)[0] == 1

    def test_loses_nothing_when_many_count_at_once(self, settings, name):
        counter = Counter(settings.BROKER_URL)
        counter.count(name, 60)
        threads = [
            threading.Thread(target=lambda: [counter.count(name, 60) for _ in range(25)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert counter.count(name, 60)[0] == 102

    def test_absent_server_is_left_alone_for_a_while(self, closed_port):
        counter = Counter(closed_port)
        started = time.monotonic()

        assert [counter.count("a", 60) for _ in range(100)] == [None] * 100
        assert time.monotonic() - started < 1

    def test_hanging_server_costs_its_timeout_once(self, silent_port):
        counter = Counter(silent_port, timeout=0.3)
        started = time.monotonic()

        assert counter.count("a", 60) is None
        assert 0.2 < time.monotonic() - started < 1

        started = time.monotonic()
        assert [counter.count("a", 60) for _ in range(100)] == [None] * 100
        assert time.monotonic() - started < 0.1

    def test_only_one_of_many_tries_a_hanging_server(self, silent_port):
        counter = Counter(silent_port, timeout=0.5)
        took = []

        def ask():
            started = time.monotonic()
            counter.count("a", 60)
            took.append(time.monotonic() - started)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len([seconds for seconds in took if seconds > 0.25]) == 1

    def test_server_that_comes_back_is_asked_again(self, settings, silent_port, name):
        counter = Counter(silent_port, timeout=0.1, resting=0.2)
        assert counter.count(name, 60) is None

        counter._client = Counter(settings.BROKER_URL)._client
        counter._script = counter._client.register_script(throttling.COUNT)
        assert counter.count(name, 60) is None
        time.sleep(0.25)
        assert counter.count(name, 60)[0] == 1


@pytest.mark.django_db
@pytest.mark.urls("tests.access.endpoints")
class TestRequests:
    def ask(self, issued):
        return Client(headers={"Authorization": f"Bearer {issued.text}"}).get(PROBE)

    def test_refused_beyond_the_rate(self, issue, settings):
        settings.API_RATES = {"default": "2/minute"}
        issued = issue()

        assert [self.ask(issued).status_code for _ in range(3)] == [200, 200, 429]
        answer = self.ask(issued)
        assert answer.json()["code"] == "throttled"
        assert 1 <= int(answer["Retry-After"]) <= 60

    def test_each_key_has_its_own_count(self, issue, settings):
        settings.API_RATES = {"default": "1/minute"}

        assert [self.ask(issue()).status_code for _ in range(3)] == [200] * 3

    def test_bucket_of_a_view_is_counted_apart(self, issue, settings, monkeypatch):
        settings.API_RATES = {"default": "1/minute", "heartbeat": "3/minute"}
        issued = issue()
        assert [self.ask(issued).status_code for _ in range(2)] == [200, 429]

        monkeypatch.setattr(
            "tests.access.endpoints.InstrumentView.throttle_scope", "heartbeat", raising=False
        )
        assert [self.ask(issued).status_code for _ in range(4)] == [200, 200, 200, 429]

    @pytest.mark.parametrize("address", ["closed_port", "silent_port"])
    def test_goes_on_without_valkey(self, issue, settings, request, address):
        settings.BROKER_URL = request.getfixturevalue(address)
        settings.API_RATES = {"default": "1/minute"}
        issued = issue()
        started = time.monotonic()

        assert [self.ask(issued).status_code for _ in range(5)] == [200] * 5
        assert time.monotonic() - started < 2
