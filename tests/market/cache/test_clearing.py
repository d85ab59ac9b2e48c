"""What leaves the cache, by expiry and by hand, and the figures of what is left."""

import pytest

from apps.market.domain.cache import PatternRefused
from apps.market.models import ApiCacheEntry, CacheDailyStats, CacheInvalidation
from apps.market.services.cache import (
    cache_figures,
    clearing,
    expire,
    flush_counts,
    invalidate,
    preview_invalidation,
    put_entries,
    read_entry,
)
from apps.market.tasks import expire_cache
from tests.market.cache.asked import DAY, MINUTE, NOON
from tests.market.cache.test_reported import Row

pytestmark = pytest.mark.django_db


def keep(*keys, **values):
    outcome = put_entries([Row(cache_key=key, **values) for key in keys], now=NOON)
    assert outcome.failed == 0


def left():
    return set(ApiCacheEntry.objects.values_list("cache_key", flat=True))


def throw(kind, pattern, **values):
    words = {"reason": "wrong prices", "by": "ann", "now": NOON} | values
    return invalidate(kind=kind, pattern=pattern, **words)


class TestInvalidate:
    KEYS = ("a:fetch:50%:BTC_USD", "a:fetch:500:BTCxUSD", "b:fetch:x\\y", "b:Fetch:X")

    @pytest.mark.parametrize(
        ("pattern", "gone"),
        [
            ("%", {KEYS[0]}),
            ("_", {KEYS[0]}),
            ("\\", {KEYS[2]}),
            ("50", {KEYS[0], KEYS[1]}),
            ("50%", {KEYS[0]}),
            ("BTC_USD", {KEYS[0]}),
            ("BTC*USD", {KEYS[0], KEYS[1]}),
            ("*fetch*", set(KEYS[:3])),
            ("USD*BTC", set()),
            ("x\\y", {KEYS[2]}),
            ("'; DELETE FROM api_cache; --", set()),
        ],
    )
    def test_by_pattern_means_it_literally_with_stars(self, pattern, gone):
        keep(*self.KEYS)
        preview = preview_invalidation(kind="pattern", pattern=pattern)

        log = throw("pattern", pattern)

        assert set(self.KEYS) - left() == gone
        assert log.entries_affected == preview.entries == len(gone)
        assert preview.first_keys == sorted(gone)

    @pytest.mark.parametrize("pattern", ["", "*", " * "])
    def test_refuses_a_pattern_for_everything(self, pattern):
        keep("a")
        for call in (preview_invalidation, lambda **words: throw(**words)):
            with pytest.raises(PatternRefused):
                call(kind="pattern", pattern=pattern)
        assert left() == {"a"}
        assert not CacheInvalidation.objects.exists()

    def test_by_type_source_and_key_means_exactly_that(self):
        keep("a", data_type="price")
        keep("b", data_type="prices", api_source="x")
        keep("c", "cc", api_source="X")

        assert throw("type", "price").entries_affected == 1
        assert left() == {"b", "c", "cc"}
        assert throw("source", "x").entries_affected == 1
        assert left() == {"c", "cc"}
        assert throw("key", "c").entries_affected == 1
        assert left() == {"cc"}
        assert throw("all", "").entries_affected == 1
        assert left() == set()

    @pytest.mark.parametrize(
        ("kind", "pattern"), [("all", "x"), ("type", ""), ("key", "a\0"), ("odd", "a")]
    )
    def test_refuses_what_means_nothing(self, kind, pattern):
        with pytest.raises(PatternRefused):
            throw(kind, pattern)

    def test_is_logged_and_counted(self):
        keep("a", "b")

        throw("all", "", reason="", by="x" * 200)

        log = CacheInvalidation.objects.get()
        assert (log.kind, log.pattern, log.reason) == ("all", "", "Manual invalidation")
        assert (log.entries_affected, log.invalidated_at) == (2, NOON)
        assert len(log.invalidated_by) == 150
        assert CacheDailyStats.objects.get().total_invalidations == 2

    def test_the_preview_tells_the_bytes(self):
        keep("a", "b", response_data="[1, 2]")
        keep("other")
        assert preview_invalidation(kind="type", pattern="ohlcv") == (
            3,
            12 + len(Row().response_data),
            ["a", "b", "other"],
        )


class TestExpire:
    def test_deletes_what_may_not_even_stand_in(self, monkeypatch):
        monkeypatch.setattr(clearing, "BATCH", 2)
        keep(*"abcde", data_type="order_book")
        keep("long")

        assert expire(now=NOON + 70 * (MINUTE / 60) - MINUTE / 60) == 0
        assert expire(now=NOON + 70 * (MINUTE / 60)) == 5
        assert left() == {"long"}

    def test_measures_what_is_left(self):
        keep("a", "b")
        expire(now=NOON)
        keep("c")
        read_entry(key="c", now=NOON)
        expire(now=NOON + MINUTE)

        today = CacheDailyStats.objects.get()
        assert (today.unique_keys, today.total_hits, today.total_writes) == (3, 1, 3)
        assert today.total_size_bytes == 3 * len(Row().response_data)

    def test_the_task_does_it(self):
        keep("a")
        assert expire_cache() == 1


class TestFigures:
    def test_of_nothing(self):
        figures = cache_figures(NOON)
        assert (figures.entries, figures.bytes, figures.types, figures.top) == (0, 0, [], [])
        assert figures.today.hit_rate is None

    def test_of_a_week(self, django_assert_num_queries):
        keep("a", "b", data_type="price", api_source="x")
        keep("c", response_data="[" + "1," * 50 + "1]")
        for key in ("c", "c", "b", "unknown"):
            read_entry(key=key, now=NOON)
        flush_counts()
        CacheDailyStats.objects.create(date=(NOON - 6 * DAY).date(), total_hits=6, total_stale=2)
        CacheDailyStats.objects.create(date=(NOON - 7 * DAY).date(), total_hits=99)

        with django_assert_num_queries(7):
            figures = cache_figures(NOON)

        assert (figures.entries, figures.fresh) == (3, 3)
        assert (figures.expiring_5, figures.expiring_60) == (3, 3)
        assert (figures.today.hits, figures.today.misses, figures.today.hit_rate) == (3, 1, 0.75)
        assert (figures.week.calls_saved, figures.week.stale) == (9, 2)
        assert figures.week.hit_rate == 0.9
        assert [(each.name, each.entries, each.hits) for each in figures.types] == [
            ("ohlcv", 1, 2),
            ("price", 2, 1),
        ]
        assert [each.name for each in figures.sources] == ["coingecko", "x"]
        assert [(each.key, each.hits) for each in figures.top] == [("c", 2), ("b", 1), ("a", 0)]
        assert figures.largest[0].key == "c"
        later = cache_figures(NOON + 2 * MINUTE)
        assert (later.fresh, later.expiring_5) == (1, 1)
