"""What the cache counts is what a counter beside it counts, in whatever process."""

import os
import random
from collections import Counter
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from apps.market.models import ApiCacheEntry, CacheDailyStats
from apps.market.services.cache import (
    LoadFailed,
    asking,
    counting,
    flush_at_exit,
    flush_counts,
    invalidate,
    put_entries,
    read_entry,
)
from apps.market.services.cache.counting import WHAT, counts
from apps.market.services.cache.entries import keep
from tests.market.cache.asked import DAY, MINUTE, NOON, SECOND, ask, in_processes
from tests.market.cache.test_reported import Row

OPERATIONS = int(os.environ.get("CACHE_OPERATIONS", "150"))


def told():
    """Return what the days say, all together."""
    total = Counter()
    for day in CacheDailyStats.objects.all():
        total.update({what: getattr(day, f"total_{what}") for what in WHAT})
    return +total


@pytest.mark.django_db
class TestFlushCounts:
    def test_writes_once_what_was_counted(self, outside):
        for second in range(5):
            ask(outside, NOON + second * SECOND)

        assert flush_counts()
        assert flush_counts()

        assert told() == {"hits": 4, "misses": 1, "writes": 1}
        entry = ApiCacheEntry.objects.get()
        assert (entry.hit_count, entry.last_accessed) == (4, NOON + 4 * SECOND)

    def test_a_read_costs_no_write(self, outside):
        ask(outside)
        with CaptureQueriesContext(connection) as captured:
            ask(outside)
            read_entry(key="venue:price:BTC", now=NOON)
        assert [each["sql"].split()[0] for each in captured] == ["SELECT"] * 2

    def test_counts_each_day_apart(self, outside):
        ask(outside, NOON - DAY)
        ask(outside, NOON)
        flush_counts()

        days = CacheDailyStats.objects.order_by("date").values_list("date", "total_misses")
        assert list(days) == [((NOON - DAY).date(), 1), (NOON.date(), 1)]

    def test_a_stale_answer_is_a_miss_and_an_error_too(self, outside):
        ask(outside)
        outside.down = ConnectionError("nobody there")
        ask(outside, NOON + 2 * MINUTE)
        flush_counts()
        assert told() == {"misses": 2, "writes": 1, "stale": 1, "errors": 1}

    def test_keeps_what_cannot_be_written(self, outside, monkeypatch):
        ask(outside)

        def away(cursor, counted):
            raise OperationalError("the connection is closed")

        with monkeypatch.context() as patched:
            patched.setattr(counting, "write", away)
            assert not flush_counts()
        ask(outside)

        assert flush_counts()
        assert told() == {"hits": 1, "misses": 1, "writes": 1}

    def test_an_older_read_does_not_turn_the_last_one_back(self, outside):
        ask(outside, NOON)
        ask(outside, NOON + 2 * SECOND)
        ask(outside, NOON + SECOND)
        flush_counts()
        ask(outside, NOON)
        flush_counts()
        assert ApiCacheEntry.objects.get().last_accessed == NOON + 2 * SECOND

    def test_a_key_that_is_gone_is_passed_over(self, outside):
        ask(outside)
        ask(outside)
        ApiCacheEntry.objects.all().delete()
        assert flush_counts()
        assert told()["hits"] == 1


@pytest.mark.django_db(transaction=True)
class TestProcesses:
    def test_write_by_themselves_after_a_while(self, outside, monkeypatch):
        ask(outside)
        assert told() == {}
        monkeypatch.setattr(counting, "FLUSH_SECONDS", -1.0)
        ask(outside)
        assert told() == {"hits": 1, "misses": 1, "writes": 1}

    def test_write_when_they_end(self, outside):
        ask(outside)
        flush_at_exit()
        flush_at_exit()
        assert told() == {"misses": 1, "writes": 1}

    def test_end_without_a_word_when_there_is_no_database(self, outside, monkeypatch):
        def gone():
            raise OperationalError("no such socket")

        monkeypatch.setattr(counting, "own_connection", gone)
        ask(outside)
        flush_at_exit()
        assert counts.take().days

    def test_a_child_does_not_count_again_what_its_parent_has(self, outside):
        ask(outside)
        ask(outside)

        def work(number):
            ask(outside)
            flush_counts()
            flush_counts()

        in_processes(2, work)
        flush_counts()

        assert told() == {"hits": 3, "misses": 1, "writes": 1}
        assert ApiCacheEntry.objects.get().hit_count == 3

    def test_statistics_equal_a_counter_beside_them(self, outside):
        put_entries([Row(cache_key="never thrown away", expires_at=NOON + DAY)], now=NOON)

        def work(number):
            return mixed(random.Random(number), outside)

        beside = Counter({"writes": 1})
        for found in in_processes(3, work):
            beside.update(found)
        flush_counts()

        kept_hits = beside.pop("kept hits")
        assert told() == +beside
        assert min(beside[what] for what in WHAT) > 0
        assert ApiCacheEntry.objects.get(cache_key="never thrown away").hit_count == kept_hits


def mixed(chance, outside):
    """Do this and that, with time going on and the outside failing now and then; count along."""
    beside, letters = Counter(), "abc"
    now = NOON

    def load():
        if chance.random() < 0.3:
            beside["errors"] += 1
            raise ConnectionError("nobody there")
        return outside()

    def keeping(kept, *, now):
        is_new = keep(kept, now=now)
        beside["writes"] += is_new is not None
        return is_new

    # Whether an answer is kept depends on the others, so that is where it is counted.
    asking.keep = keeping

    def question():
        try:
            state = ask(load, now, args=[f"BTC{chance.choice(letters)}"]).state
        except (ConnectionError, LoadFailed):
            state = "failed"
        beside["hits" if state == "hit" else "misses"] += 1
        beside["stale"] += state == "stale"

    def reading():
        key = chance.choice(["never thrown away", "unknown"])
        found = read_entry(key=key, now=now)
        beside["hits" if found else "misses"] += 1
        beside["kept hits"] += found is not None

    def throwing():
        log = invalidate(
            kind="pattern", pattern=f"BTC{chance.choice(letters)}", reason="", by="", now=now
        )
        beside["invalidations"] += log.entries_affected

    for _ in range(OPERATIONS):
        now += timedelta(seconds=chance.choice([0, 1, 30]))
        chance.choices([question, reading, throwing, flush_counts], [10, 5, 1, 1])[0]()
    flush_counts()
    return beside
