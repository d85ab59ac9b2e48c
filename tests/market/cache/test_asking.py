"""A question is answered from the cache, from outside, or by what stands in."""

import threading
from itertools import chain

import pytest
from django.db import OperationalError, connection

from apps.logs.services.batches import connect
from apps.market.domain.cache import NotJson
from apps.market.models import ApiCacheEntry, CacheRule
from apps.market.services.cache import LoadFailed, asking, entries, forget_rules, put_entries
from apps.market.services.cache.asking import flights
from tests.market.cache.asked import (
    CONCURRENCY,
    DAY,
    MINUTE,
    NOON,
    SECOND,
    ask,
    in_processes,
    in_threads,
)
from tests.market.cache.test_reported import Row


def seen(answers):
    """Return how each asker fared: its state, or the name of its error."""
    return sorted(getattr(each, "state", type(each).__name__) for each in answers)


@pytest.mark.django_db
class TestCached:
    def test_is_fetched_once_and_then_kept_for_its_time(self, outside):
        first, again = ask(outside), ask(outside, NOON + 59 * SECOND)

        assert (first.state, first.value) == ("fetched", {"call": 1})
        assert (again.state, again.value) == ("hit", {"call": 1})
        assert (again.cached_at, again.expires_at) == (NOON, NOON + MINUTE)
        assert outside.calls == 1

    def test_is_fetched_anew_when_it_has_expired(self, outside):
        ask(outside)

        assert ask(outside, NOON + MINUTE).value == {"call": 2}
        assert ApiCacheEntry.objects.get().cached_at == NOON + MINUTE

    def test_other_arguments_are_another_question(self, outside):
        ask(outside)
        ask(outside, args=["ETH"])
        ask(outside, kwargs={"vs": "USD"})

        keys = ApiCacheEntry.objects.values_list("cache_key", flat=True)
        assert set(keys) == {"venue:price:BTC", "venue:price:ETH", "venue:price:BTC:vs=USD"}
        assert outside.calls == 3

    def test_what_stands_in_the_table_says_what_was_asked(self, outside):
        ask(outside, kwargs={"vs": "USD"})

        entry = ApiCacheEntry.objects.get()
        assert (entry.data_type, entry.api_source, entry.response_format) == (
            "price",
            "Venue",
            "json",
        )
        assert entry.response_data == '{"call":1}'
        assert entry.size_bytes == len(entry.response_data)
        assert entry.metadata == {"method": "price", "args": ["BTC"], "kwargs": {"vs": "USD"}}
        assert entry.stale_until == NOON + 6 * MINUTE

    def test_stands_in_while_the_outside_fails_and_says_so(self, outside):
        ask(outside)
        outside.down = ConnectionError("nobody there")

        late = ask(outside, NOON + 5 * MINUTE)

        assert (late.state, late.value) == ("stale", {"call": 1})
        assert late.cached_at == NOON
        assert late.error == "ConnectionError: nobody there"

    def test_does_not_stand_in_for_ever(self, outside):
        ask(outside)
        outside.down = ConnectionError("nobody there")

        with pytest.raises(ConnectionError, match="nobody there"):
            ask(outside, NOON + 6 * MINUTE)

    def test_an_error_without_an_older_answer_goes_up(self, outside):
        outside.down = ConnectionError("nobody there")

        with pytest.raises(ConnectionError):
            ask(outside)
        assert not ApiCacheEntry.objects.exists()

    def test_rules_are_data(self, outside):
        CacheRule.objects.update_or_create(
            data_type="price", defaults={"ttl_seconds": 5, "stale_seconds": 0}
        )
        forget_rules()
        assert ask(outside).expires_at == NOON + 5 * SECOND
        assert ask(outside, args=["x"], data_type="odd").expires_at == NOON + 5 * MINUTE

    def test_an_answer_may_be_good_for_less(self, outside):
        assert ask(outside, good_until=lambda value: NOON + SECOND).expires_at == NOON + SECOND
        assert ask(outside, NOON + SECOND, good_until=lambda value: NOON).state == "fetched"
        assert ApiCacheEntry.objects.get().cached_at == NOON

    def test_nobody_changes_what_another_gets(self, outside):
        first = ask(outside)
        first.value["call"] = "changed"
        assert ask(outside).value == {"call": 1}

    def test_only_json_is_kept(self):
        with pytest.raises(NotJson):
            ask(lambda: {"price": float("nan")})
        assert not ApiCacheEntry.objects.exists()

    def test_a_huge_answer_is_handed_on_but_not_kept(self, outside, monkeypatch):
        monkeypatch.setattr(asking, "LARGEST_PAYLOAD", 5)

        assert ask(outside).value == {"call": 1}
        assert ask(outside).value == {"call": 2}
        assert not ApiCacheEntry.objects.exists()

    def test_opaque_text_under_its_key_is_no_answer(self, outside):
        put_entries([Row(cache_key="venue:price:BTC", response_format="pickle")], now=NOON)

        assert ask(outside).value == {"call": 1}
        assert ApiCacheEntry.objects.get().response_format == "json"

    def test_a_later_answer_is_not_replaced_by_an_earlier_one(self, outside):
        ask(outside, NOON + MINUTE)
        entry = ApiCacheEntry.objects.get()
        kept = entries.Kept(
            entry.cache_key, "price", "Venue", "{}", "json", {}, NOON + MINUTE, NOON + MINUTE
        )
        assert entries.keep(kept, now=NOON) is None
        assert ApiCacheEntry.objects.get().response_data == '{"call":1}'

    def test_a_database_that_is_away_does_not_matter(self, outside, monkeypatch):
        def away(key):
            raise OperationalError("the connection is closed")

        monkeypatch.setattr(asking, "entry_at", away)

        answer = ask(outside)

        assert (answer.state, answer.value) == ("fetched", {"call": 1})
        outside.down = ConnectionError("nobody there")
        with pytest.raises(ConnectionError):
            ask(outside)

    def test_a_cache_that_cannot_tell_failures_does_not_matter(self, outside, settings):
        settings.CACHES = {
            "default": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": "redis://127.0.0.1:1/0",
            }
        }
        outside.down = ConnectionError("nobody there")
        with pytest.raises(ConnectionError):
            ask(outside)

    def test_leaves_no_lock_behind(self, outside):
        ask(outside)
        outside.down = ConnectionError("nobody there")
        with pytest.raises(ConnectionError):
            ask(outside, NOON + DAY)

        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
            assert cursor.fetchone() == (0,)
        assert flights.flying == {}


@pytest.mark.django_db(transaction=True)
class TestManyAtOnce:
    def test_threads_make_one_call(self, outside):
        outside.seconds = 0.2

        answers = in_threads(CONCURRENCY, lambda: ask(outside))

        assert outside.calls == 1
        assert seen(answers) == ["fetched"] + ["hit"] * (CONCURRENCY - 1)
        assert all(each.value == {"call": 1} for each in answers)

    def test_threads_that_wait_take_no_connection(self, outside, settings):
        outside.seconds = 0.2
        pool = settings.DATABASES["default"]["OPTIONS"]["pool"]["max_size"]

        threads, answers = [], []
        for _ in range(2 * pool):
            thread = threading.Thread(target=lambda: answers.append(ask_and_close(outside)))
            threads.append(thread)
            thread.start()
        for thread in threads:
            thread.join()

        assert outside.calls == 1
        assert len(answers) == 2 * pool

    def test_processes_make_one_call(self, outside):
        outside.seconds = 0.3
        count = max(2, CONCURRENCY // 16)

        def work(number):
            return seen(in_threads(CONCURRENCY // count, lambda: ask(outside)))

        found = list(chain.from_iterable(in_processes(count, work)))

        assert outside.calls == 1
        assert sorted(found) == ["fetched"] + ["hit"] * (len(found) - 1)
        assert len(found) == CONCURRENCY

    def test_threads_share_a_failure(self, outside):
        outside.seconds, outside.down = 0.2, ConnectionError("nobody there")

        answers = in_threads(CONCURRENCY, lambda: ask(outside))

        assert outside.calls == 1
        assert seen(answers) == ["ConnectionError"] * CONCURRENCY

    @pytest.mark.parametrize("with_older", [False, True], ids=["nothing older", "older"])
    def test_processes_share_a_failure(self, outside, with_older):
        if with_older:
            ask(outside)
        before = outside.calls
        outside.seconds, outside.down = 0.3, ConnectionError("nobody there")

        def work(number):
            answers = in_threads(2, lambda: ask(outside, NOON + 2 * MINUTE))
            return [str(getattr(each, "error", each)) + seen([each])[0] for each in answers]

        found = list(chain.from_iterable(in_processes(2, work)))

        assert outside.calls == before + 1
        assert all("nobody there" in each for each in found)
        if with_older:
            assert all(each.endswith("stale") for each in found)

    def test_one_that_waits_too_long_gets_what_is_kept(self, outside):
        ask(outside)
        started, finish = threading.Event(), threading.Event()

        def slow():
            started.set()
            finish.wait(20)
            return "late"

        flier = threading.Thread(target=lambda: ask_and_close(slow, NOON + 2 * MINUTE))
        flier.start()
        started.wait(20)
        try:
            answer = ask(outside, NOON + 2 * MINUTE, patience=0.05)
            assert (answer.state, answer.value) == ("stale", {"call": 1})
            with pytest.raises(LoadFailed, match=r"No answer within 0\.05 s"):
                ask(outside, NOON + DAY, patience=0.05)
        finally:
            finish.set()
            flier.join()
        assert outside.calls == 1

    def test_one_that_waits_too_long_for_another_process_does_too(self, outside):
        ask(outside)
        with connect() as other, other.cursor() as cursor:
            lock = asking.pglock.advisory("market.cache:venue:price:BTC").int_lock_id
            cursor.execute("SELECT pg_advisory_lock(%s)", [lock])

            answer = ask(outside, NOON + 2 * MINUTE, patience=0.05)
            with pytest.raises(LoadFailed, match="Another process is asking"):
                ask(outside, NOON + DAY, patience=0.05)

        assert (answer.state, answer.value) == ("stale", {"call": 1})
        assert outside.calls == 1

    def test_a_database_that_goes_away_during_the_call_does_not_matter(self, outside):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()

        def load():
            with connect() as other:
                other.execute("SELECT pg_terminate_backend(%s)", [pid])
            return outside()

        try:
            answer = ask(load)
        finally:
            connection.close()

        assert (answer.state, answer.value) == ("fetched", {"call": 1})
        assert outside.calls == 1


def ask_and_close(outside, now=NOON):
    try:
        return ask(outside, now)
    finally:
        connection.close()
