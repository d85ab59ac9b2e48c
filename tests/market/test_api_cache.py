"""The cache of outside answers through the API: put, look up, throw away, rules, statistics."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.market.domain.cache import DEFAULT_RULES
from apps.market.models import ApiCacheEntry, CacheDailyStats, CacheInvalidation, CacheRule
from apps.market.services.cache import flush_counts, forget_rules
from apps.market.services.cache.counting import counts
from tests.client import ApiClient
from tests.factories import (
    make_cache_entry,
    make_cache_invalidation,
    make_cache_rule,
    make_cache_stats,
    make_key,
)

pytestmark = pytest.mark.django_db

CACHE = "/api/v1/market/api-cache/"
INVALIDATE = f"{CACHE}invalidate/"
RULES = "/api/v1/market/cache-rules/"
STATS = "/api/v1/market/cache-stats/"
LOG = "/api/v1/market/cache-invalidations/"
KEY = "coingecko:fetch:ETH/BTC:3mo"


@pytest.fixture(autouse=True)
def rules_of_the_source(db: None) -> Iterator[None]:
    """Begin with the rules as they are made, and nothing counted; leave no trace of either."""
    rules = [CacheRule(**rule._asdict()) for rule in DEFAULT_RULES]
    CacheRule.objects.bulk_create(rules, ignore_conflicts=True)
    forget_rules()
    counts.take()
    yield
    forget_rules()
    counts.take()


def sent(**values: Any) -> dict[str, Any]:
    return {
        "data_type": "price",
        "api_source": "coingecko",
        "response_data": '{"price": 50000.25}',
    } | values


def lasts(entry: dict[str, Any]) -> timedelta:
    ends, began = (datetime.fromisoformat(entry[name]) for name in ("expires_at", "cached_at"))
    return ends - began


class TestEntry:
    def test_is_put_and_read_under_a_key_with_slashes_and_colons(self, api):
        answer = api.put(f"{CACHE}{KEY}/", sent(metadata={"method": "fetch", "n": 1.50}))

        assert answer.status_code == 201, answer.json()
        found = api.get(f"{CACHE}{KEY}/").json()
        assert (found["cache_key"], found["response_data"]) == (KEY, '{"price": 50000.25}')
        assert (found["size_bytes"], found["hit_count"]) == (19, 0)
        assert found["metadata"] == {"method": "fetch", "n": 1.5}

    def test_lasts_as_the_rule_of_its_type_says(self, api):
        assert lasts(api.put(f"{CACHE}a/", sent()).json()) == timedelta(seconds=60)
        other = api.put(f"{CACHE}b/", sent(data_type="of no rule")).json()
        assert lasts(other) == timedelta(seconds=300)

    def test_lasts_as_long_as_it_is_told(self, api):
        assert lasts(api.put(f"{CACHE}a/", sent(ttl_seconds=7)).json()) == timedelta(seconds=7)
        end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
        told = api.put(f"{CACHE}a/", sent(expires_at=end.isoformat())).json()
        assert datetime.fromisoformat(told["expires_at"]) == end
        assert datetime.fromisoformat(told["stale_until"]) == end + timedelta(minutes=5)

    def test_put_again_takes_the_place_of_the_one_before_and_keeps_its_hits(self, api):
        make_cache_entry(cache_key=KEY, hit_count=5)

        answer = api.put(f"{CACHE}{KEY}/", sent(response_data="[3]"))

        assert (answer.status_code, answer.json()["hit_count"]) == (200, 5)
        assert ApiCacheEntry.objects.get().response_data == "[3]"

    def test_of_another_format_is_kept_as_the_text_it_is(self, api):
        pickled = "gASVEwAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOULg=="

        api.put(f"{CACHE}a/", sent(response_format="pickle", response_data=pickled))

        found = api.get(f"{CACHE}a/").json()
        assert (found["response_format"], found["response_data"]) == ("pickle", pickled)

    def test_comes_many_at_once(self, api):
        rows = [sent(cache_key="a"), sent(cache_key="b", response_data="{"), sent(cache_key="c")]

        answer = api.post(CACHE, rows)

        assert (answer.json()["created"], answer.json()["failed"]) == (2, 1)
        [bad] = answer.json()["results"]
        assert (bad["index"], bad["errors"][0]["code"]) == (1, "not_json")
        assert api.post(CACHE, rows[0]).status_code == 200

    @pytest.mark.parametrize(
        ("values", "name", "code"),
        [
            ({"ttl_seconds": -1}, "ttl_seconds", "invalid"),
            ({"ttl_seconds": 0}, "ttl_seconds", "invalid"),
            ({"ttl_seconds": 10**12}, "ttl_seconds", "invalid"),
            ({"ttl_seconds": "60"}, "ttl_seconds", "type"),
            ({"ttl_seconds": 60, "expires_at": "2999-01-01T00:00:00Z"}, "ttl_seconds", "one_of"),
            ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at", "past"),
            ({"expires_at": "2999-01-01T00:00:00"}, "expires_at", "naive"),
            ({"response_data": "{'price': 1}"}, "response_data", "not_json"),
            ({"response_data": "NaN"}, "response_data", "not_json"),
            ({"response_data": "[" * 100_000}, "response_data", "not_json"),
            ({"response_data": ""}, "response_data", "text"),
            ({"response_data": {"price": 1}}, "response_data", "type"),
            ({"response_data": "a\0b", "response_format": "pickle"}, "response_data", "unstorable"),
            ({"response_format": "xml"}, "response_format", "not_a_choice"),
            ({"data_type": ""}, "data_type", "empty"),
            ({"api_source": "a" * 51}, "api_source", "too_long"),
            ({"metadata": [1]}, "metadata", "type"),
            ({"hit_count": 3}, "hit_count", "unknown"),
            ({"cache_key": "b"}, "cache_key", "differs_from_path"),
        ],
    )
    def test_is_refused_by_what_is_wrong(self, api, values, name, code):
        answer = api.put(f"{CACHE}a/", sent(**values))

        assert answer.status_code == 400
        errors = answer.json()["errors"]
        assert (errors[0]["pointer"], errors[0]["code"]) == (f"/{name}", code)
        assert not ApiCacheEntry.objects.exists()

    @pytest.mark.parametrize("key", ["invalidate", "lookup", "a" * 256, "", "a\nb", " a"])
    def test_has_a_key_that_can_be_asked_for(self, api, key):
        answer = api.post(CACHE, sent(cache_key=key))

        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"] == "/cache_key"

    def test_of_nothing_is_not_found(self, api):
        assert api.get(f"{CACHE}nothing/").status_code == 404

    @pytest.mark.parametrize("method", ["PATCH", "DELETE"])
    def test_is_neither_patched_nor_deleted(self, api, method):
        assert api.send(method, f"{CACHE}{make_cache_entry().cache_key}/").status_code == 405


class TestList:
    def test_leaves_the_answers_out_unless_they_are_asked_for(self, api):
        make_cache_entry(cache_key="a", response_data="[7]")

        [found] = api.get(CACHE).json()["results"]
        [named] = api.get(f"{CACHE}?fields=cache_key,response_data").json()["results"]

        assert "response_data" not in found
        assert named == {"cache_key": "a", "response_data": "[7]"}

    def test_is_filtered_and_ordered(self, api):
        now = datetime.now(UTC)
        for place, key in enumerate("cab"):
            make_cache_entry(
                cache_key=key,
                data_type=f"type {place}",
                hit_count=place,
                cached_at=now + timedelta(seconds=place),
            )

        def keys(query: str) -> str:
            results = api.get(f"{CACHE}?{query}").json()["results"]
            return "".join(each["cache_key"] for each in results)

        assert keys("") == "bac"
        assert keys("ordering=cache_key") == "abc"
        assert keys("data_type=type 0,type 2") == "bc"
        assert keys("hit_count_min=1&api_source=coingecko") == "ba"
        assert keys("response_format=pickle") == ""

    def test_costs_a_fixed_number_of_queries(self, api, django_assert_num_queries):
        for _ in range(3):
            make_cache_entry()
        api.get(CACHE)

        with django_assert_num_queries(2):
            api.get(CACHE)


class TestLookup:
    def test_is_a_hit_while_it_is_fresh_and_is_counted(self, api):
        make_cache_entry(cache_key=KEY, response_data="[7]")

        answer = api.get(f"{CACHE}lookup/?cache_key={KEY}").json()
        missed = api.get(f"{CACHE}lookup/?cache_key=nothing")

        assert (answer["state"], answer["response_data"]) == ("hit", "[7]")
        assert (missed.status_code, missed.json()["code"]) == (404, "not_cached")
        flush_counts()
        assert ApiCacheEntry.objects.get().hit_count == 1
        today = CacheDailyStats.objects.get()
        assert (today.total_hits, today.total_misses) == (1, 1)

    def test_gives_out_what_has_expired_when_that_will_do(self, api):
        began = datetime.now(UTC) - timedelta(minutes=10)
        make_cache_entry(cache_key=KEY, cached_at=began)

        assert api.get(f"{CACHE}lookup/?cache_key={KEY}").status_code == 404
        found = api.get(f"{CACHE}lookup/?cache_key={KEY}&stale=true")
        assert found.json()["state"] == "stale"

    @pytest.mark.parametrize("query", ["", "cache_key=", "cache_key=a&stale=perhaps", "key=a"])
    def test_refuses_a_bad_question(self, api, query):
        assert api.get(f"{CACHE}lookup/?{query}").status_code == 400


class TestInvalidation:
    @pytest.mark.parametrize(
        ("kind", "pattern", "gone"),
        [
            ("pattern", "bitcoin", {"b:bitcoin", "b:bitcoin_50%"}),
            ("pattern", "%", {"b:bitcoin_50%"}),
            ("pattern", "_", {"b:bitcoin_50%"}),
            ("pattern", "b*5", {"b:bitcoin_50%"}),
            ("pattern", "\\", set()),
            ("type", "news", {"a"}),
            ("type", "new", set()),
            ("source", "coingecko", {"a", "b:bitcoin", "b:bitcoin_50%"}),
            ("key", "a", {"a"}),
            ("all", "", {"a", "b:bitcoin", "b:bitcoin_50%"}),
        ],
    )
    def test_throws_away_what_is_meant_and_nothing_else(self, api, kind, pattern, gone):
        make_cache_entry(cache_key="a", data_type="news")
        make_cache_entry(cache_key="b:bitcoin")
        make_cache_entry(cache_key="b:bitcoin_50%")
        wish = {"kind": kind, "pattern": pattern, "reason": "Odd numbers"}

        counted = api.post(INVALIDATE, wish | {"preview": True}).json()
        assert (counted["entries_affected"], set(counted["first_keys"])) == (len(gone), gone)
        assert ApiCacheEntry.objects.count() == 3
        assert not CacheInvalidation.objects.exists()

        done = api.post(INVALIDATE, wish)

        assert done.status_code == 200
        assert done.json()["entries_affected"] == len(gone)
        kept = set(ApiCacheEntry.objects.values_list("cache_key", flat=True))
        assert kept == {"a", "b:bitcoin", "b:bitcoin_50%"} - gone
        [logged] = api.get(LOG).json()["results"]
        same = [name for name in logged if name != "invalidated_at"]
        assert [done.json()[name] for name in same] == [logged[name] for name in same]
        assert (logged["reason"], bool(logged["invalidated_by"])) == ("Odd numbers", True)

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"kind": "pattern", "pattern": ""}, 400),
            ({"kind": "pattern"}, 400),
            ({"kind": "type"}, 400),
            ({"kind": "all", "pattern": "bitcoin"}, 400),
            ({"pattern": "bitcoin"}, 400),
            ({"kind": "some", "pattern": "bitcoin"}, 400),
            ({"kind": "pattern", "pattern": "a\0"}, 400),
            ({"kind": "pattern", "pattern": "a" * 256}, 400),
            ({"kind": "pattern", "pattern": 5}, 400),
            ({"kind": "pattern", "pattern": "a", "preview": "no"}, 400),
            ({"kind": "pattern", "pattern": "a", "reason": ""}, 400),
            ({"kind": "pattern", "pattern": "*"}, 422),
            ([], 400),
        ],
    )
    def test_is_refused_when_it_is_not_clear(self, api, body, status):
        make_cache_entry(cache_key="bitcoin")

        answer = api.post(INVALIDATE, body)

        assert answer.status_code == status
        assert answer.json()["detail"]
        assert ApiCacheEntry.objects.exists()

    def test_is_for_writers_alone(self):
        reader = ApiClient(make_key(scopes=["market:read"]).text)

        assert reader.post(INVALIDATE, {"kind": "all"}).status_code == 403

    def test_is_counted(self, api):
        make_cache_entry()

        api.post(INVALIDATE, {"kind": "all"})

        assert api.get(STATS).json()["results"][0]["total_invalidations"] == 1

    def test_log_is_filtered(self, api):
        make_cache_invalidation(kind="type", entries_affected=0)
        make_cache_invalidation(kind="all")

        def kinds(query: str) -> list[str]:
            return [each["kind"] for each in api.get(f"{LOG}?{query}").json()["results"]]

        assert kinds("") == ["all", "type"]
        assert kinds("entries_affected_min=1") == ["all"]
        assert kinds("kind=type,key&invalidated_by=somebody") == ["type"]


class TestRules:
    def test_are_those_of_the_source(self, api):
        found = {each["data_type"]: each for each in api.get(RULES).json()["results"]}

        assert found["price"]["ttl_seconds"] == 60
        assert "default" in found

    def test_hold_for_what_is_cached_from_then_on(self, api):
        answer = api.put(f"{RULES}price/", {"ttl_seconds": 90, "stale_seconds": 10})
        forget_rules()

        assert answer.status_code == 200
        entry = api.put(f"{CACHE}a/", sent()).json()
        assert lasts(entry) == timedelta(seconds=90)
        assert api.patch(f"{RULES}price/", {"ttl_seconds": 30}).json()["stale_seconds"] == 10

    def test_are_made_for_new_types(self, api):
        answer = api.put(f"{RULES}order book/L2/", {"ttl_seconds": 5, "description": "Depth."})

        assert answer.status_code == 201
        assert CacheRule.objects.get(data_type="order book/L2").ttl_seconds == 5

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"ttl_seconds": -60}, "/ttl_seconds"),
            ({"ttl_seconds": 0}, "/ttl_seconds"),
            ({"ttl_seconds": 2**31}, "/ttl_seconds"),
            ({"ttl_seconds": 1.5}, "/ttl_seconds"),
            ({"ttl_seconds": "60"}, "/ttl_seconds"),
            ({}, "/ttl_seconds"),
            ({"ttl_seconds": 60, "stale_seconds": -1}, "/stale_seconds"),
            ({"ttl_seconds": 60, "ttl": 60}, "/ttl"),
        ],
    )
    def test_are_refused_by_what_is_wrong(self, api, body, pointer):
        answer = api.put(f"{RULES}price/", body)

        assert answer.status_code == 400
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]

    def test_that_are_not_there_are_not_found(self, api):
        assert api.get(f"{RULES}nothing/").status_code == 404
        assert api.patch(f"{RULES}nothing/", {"ttl_seconds": 5}).status_code == 404

    def test_told_twice_are_told_apart(self, api):
        make_cache_rule(data_type="mine", ttl_seconds=5, stale_seconds=0)

        assert api.post(RULES, {"data_type": "mine", "ttl_seconds": 5}).status_code == 200
        assert api.post(RULES, {"data_type": "mine", "ttl_seconds": 6}).status_code == 409


class TestStats:
    def test_are_read_by_the_day(self, api):
        for number in range(3):
            make_cache_stats(date=f"2026-01-0{number + 1}", total_hits=number)

        days = api.get(f"{STATS}?date_after=2026-01-02&ordering=date").json()["results"]

        assert [(each["date"], each["total_hits"]) for each in days] == [
            ("2026-01-02", 1),
            ("2026-01-03", 2),
        ]
        assert api.get(f"{STATS}2026-01-01/").json()["total_misses"] == 3

    def test_are_written_by_nobody_else(self, api):
        assert api.post(STATS, {}).status_code == 405
        assert api.post(LOG, {}).status_code == 405
        assert json.dumps(api.get(LOG).json()["results"]) == "[]"
