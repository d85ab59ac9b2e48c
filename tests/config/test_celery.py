"""The schedule in code and database, the correlation id of tasks, a broker that is away."""

import socket
import time
from datetime import timedelta

import pytest
from celery import Celery, shared_task
from celery.contrib.testing.worker import start_worker
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from kombu import Connection
from kombu.exceptions import OperationalError

from apps.access.tasks import expire_idempotency_keys
from apps.shared.correlation import correlation_id
from config import jobs
from config.beat import FROM_CODE, Scheduler
from config.celery import HEADER, SCHEDULE, app, broker_url

seen: list[str] = []


@shared_task
def remember_correlation_id() -> None:
    seen.append(correlation_id.get())


@pytest.fixture
def sync(db, monkeypatch):
    """Return what a starting beat does to the rows."""
    # It would close the connection that holds the test's transaction.
    monkeypatch.setattr("django_celery_beat.schedulers.close_old_connections", lambda: None)
    return lambda: Scheduler(app=app)


class TestBrokerUrl:
    def test_writes_a_socket_as_celery_does(self):
        assert broker_url("unix:///run/v.sock?db=1") == "redis+socket:///run/v.sock?virtual_host=1"

    def test_leaves_an_address_alone(self):
        assert broker_url("rediss://cache:6379/0") == "rediss://cache:6379/0"


class TestScheduler:
    def test_writes_the_schedule_of_the_code(self, sync):
        sync()

        rows = {row.name: row for row in PeriodicTask.objects.all()}
        assert {name: rows[name].task for name in SCHEDULE} == {
            name: entry["task"] for name, entry in SCHEDULE.items()
        }
        assert rows["track alert prices"].expire_seconds == 60

    def test_leaves_paused_what_staff_paused(self, sync):
        sync()
        PeriodicTask.objects.filter(name="fetch candles").update(enabled=False)

        sync()

        assert not PeriodicTask.objects.get(name="fetch candles").enabled

    def test_removes_what_the_code_forgot_and_keeps_what_staff_added(self, sync):
        sync()
        interval = PeriodicTask.objects.get(name="fetch candles").interval
        for name, description in (("old", FROM_CODE), ("ours", "")):
            PeriodicTask.objects.create(
                name=name, task="x", interval=interval, description=description
            )

        sync()

        assert not PeriodicTask.objects.filter(name="old").exists()
        assert PeriodicTask.objects.filter(name="ours").exists()


class TestCorrelationId:
    def test_travels_from_the_sender_to_the_task(self):
        token = correlation_id.set("cause-1")
        try:
            with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=20):
                remember_correlation_id.delay()
                deadline = time.monotonic() + 10
                while not seen and time.monotonic() < deadline:
                    time.sleep(0.05)
        finally:
            correlation_id.reset(token)

        assert seen == ["cause-1"]

    def test_is_made_for_a_tick_that_nobody_caused(self):
        with Connection("memory://") as link:
            app.send_task("tick", connection=link)
            message = link.SimpleQueue("celery").get(timeout=1)

        assert len(message.headers[HEADER]) == 32


class TestBrokerThatHangs:
    def test_costs_whoever_publishes_two_seconds(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            other = Celery("other", broker=f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
            other.conf.update(
                broker_transport_options=app.conf.broker_transport_options,
                broker_connection_timeout=app.conf.broker_connection_timeout,
                task_publish_retry=app.conf.task_publish_retry,
            )
            began = time.monotonic()
            with pytest.raises(OperationalError):
                other.send_task("tick")

        assert time.monotonic() - began < 5


@pytest.mark.django_db
class TestJobs:
    def test_know_the_last_success(self, sync):
        sync()
        now = timezone.now()

        expire_idempotency_keys.apply()

        found = {job.name: job for job in jobs.jobs(now=now)}["forget idempotency keys"]
        assert found.last_success >= now
        assert found.seconds is not None
        assert not found.late

    def test_are_late_after_three_missed_beats(self, sync):
        sync()
        expire_idempotency_keys.apply()

        soon = timezone.now() + timedelta(hours=2)
        later = timezone.now() + timedelta(hours=4)

        assert "forget idempotency keys" not in {job.name for job in jobs.late_jobs(now=soon)}
        assert "forget idempotency keys" in {job.name for job in jobs.late_jobs(now=later)}

    def test_are_not_late_while_paused(self, sync):
        sync()
        PeriodicTask.objects.update(enabled=False)

        assert jobs.late_jobs(now=timezone.now() + timedelta(days=9)) == []

    def test_are_not_known_without_a_beat(self):
        assert {job.last_success for job in jobs.jobs(now=timezone.now())} == {None}
        assert jobs.late_jobs(now=timezone.now()) == []
