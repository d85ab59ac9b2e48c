"""Other programs keep their answers here too: JSON is judged, opaque text is left alone."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from apps.market.domain import cache as rules
from apps.market.models import ApiCacheEntry, CacheDailyStats
from apps.market.services.cache import entries, flush_counts, put_entries, read_entry
from tests.market.cache.asked import DAY, MINUTE, NOON


@dataclass
class Row:
    cache_key: str = "coingecko:fetch:bitcoin:3mo"
    data_type: str = "ohlcv"
    api_source: str = "coingecko"
    response_data: str = '{"price": 95000.0}'
    response_format: str = "json"
    expires_at: datetime | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@pytest.mark.django_db
class TestPutEntries:
    def test_keeps_them_by_the_rule_of_their_type(self):
        outcome = put_entries([Row(), Row(cache_key="k", expires_at=NOON + DAY)], now=NOON)

        assert (outcome.created, outcome.failed) == (2, 0)
        first, second = ApiCacheEntry.objects.order_by("cache_key")
        assert (first.expires_at, first.stale_until) == (
            NOON + 5 * MINUTE,
            NOON + 5 * MINUTE + DAY,
        )
        assert second.expires_at == NOON + DAY

    def test_the_second_takes_the_place_of_the_first_and_keeps_its_hits(self):
        put_entries([Row()], now=NOON)
        read_entry(key=Row().cache_key, now=NOON)
        flush_counts()

        outcome = put_entries([Row(response_data="[]")], now=NOON + MINUTE)

        assert (outcome.created, outcome.replaced) == (0, 1)
        entry = ApiCacheEntry.objects.get()
        assert (entry.response_data, entry.hit_count) == ("[]", 1)

    def test_a_pickle_stays_the_text_it_is(self):
        # Whoever unpickled this would run a command.
        bomb = "Y3Bvc2l4CnN5c3RlbQooUyd0b3VjaCBIRVJFJwp0Ui4="
        put_entries([Row(response_data=bomb, response_format="pickle")], now=NOON)

        found = read_entry(key=Row().cache_key, now=NOON)

        assert (found.entry.response_data, found.entry.response_format) == (bomb, "pickle")

    @pytest.mark.parametrize(
        ("values", "pointer"),
        [
            ({"response_data": "gASVcgg="}, "/response_data"),
            ({"response_data": "[NaN]"}, "/response_data"),
            ({"response_data": ""}, "/response_data"),
            ({"response_data": "\0", "response_format": "pickle"}, "/response_data"),
            ({"response_data": '"\ud800"'}, "/response_data"),
            ({"response_format": "yaml"}, "/response_format"),
            ({"cache_key": ""}, "/cache_key"),
            ({"cache_key": "k" * 256}, "/cache_key"),
            ({"cache_key": "k\0"}, "/cache_key"),
            ({"data_type": "t" * 51}, "/data_type"),
            ({"api_source": ""}, "/api_source"),
            ({"expires_at": NOON}, "/expires_at"),
            ({"metadata": {"x": float("inf")}}, "/metadata"),
            ({"metadata": {"x": "\0"}}, "/metadata"),
        ],
    )
    def test_a_bad_row_is_named_and_does_not_stop_the_others(self, values, pointer):
        outcome = put_entries([Row(**values), Row(cache_key="good")], now=NOON)

        assert (outcome.created, outcome.failed) == (1, 1)
        (failed,) = [each for each in outcome.results if each.errors]
        assert failed.index == 0
        assert pointer in {error.pointer for error in failed.errors}
        assert ApiCacheEntry.objects.get().cache_key == "good"

    def test_a_huge_one_is_refused(self, monkeypatch):
        monkeypatch.setattr(entries, "LARGEST_PAYLOAD", 10)
        outcome = put_entries([Row()], now=NOON)
        assert outcome.results[0].errors[0].code == "too_large"
        assert rules.LARGEST_PAYLOAD == 8 * 1024 * 1024


@pytest.mark.django_db
class TestReadEntry:
    def test_counts_hits_and_misses(self):
        put_entries([Row()], now=NOON)
        states = [
            getattr(read_entry(key=key, now=now, stale=stale), "state", None)
            for key, now, stale in [
                (Row().cache_key, NOON, False),
                (Row().cache_key, NOON + MINUTE, True),
                (Row().cache_key, NOON + 6 * MINUTE, False),
                (Row().cache_key, NOON + 6 * MINUTE, True),
                (Row().cache_key, NOON + 2 * DAY, True),
                ("unknown", NOON, True),
            ]
        ]
        flush_counts()

        assert states == ["hit", "hit", None, "stale", None, None]
        today = CacheDailyStats.objects.get(date=NOON.date())
        assert (today.total_hits, today.total_misses, today.total_stale) == (2, 3, 1)
        assert CacheDailyStats.objects.get(date=(NOON + 2 * DAY).date()).total_misses == 1
        entry = ApiCacheEntry.objects.get()
        assert (entry.hit_count, entry.last_accessed) == (2, NOON + MINUTE)
