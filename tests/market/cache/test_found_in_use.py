"""What was found by using the cache wrongly."""

import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from time import monotonic
from typing import Any

import pytest
from django.db import connection, transaction

from apps.market.choices import FeedState
from apps.market.domain.cache import NotJson, cache_key, from_json, like_text, pattern_holds
from apps.market.models import ApiCacheEntry, CacheRule, Feed
from apps.market.providers.base import ProviderRubbish
from apps.market.services import feeds
from apps.market.services.cache import invalidate, put_entries, read_entry
from apps.market.services.cache.clearing import last_invalidation
from tests.market.cache.asked import DAY, NOON, SECOND, ask, in_threads

HALF = "\ud800"


@dataclass
class Reported:
    cache_key: str = "a:b"
    data_type: str = "price"
    api_source: str = "lab"
    response_data: str = "{}"
    response_format: str = "json"
    expires_at: datetime | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


class TestAnAnswerUnderWay:
    """It was asked for before somebody threw such answers away, and may be what was wrong."""

    @pytest.mark.django_db
    @pytest.mark.parametrize(
        ("kind", "pattern"),
        [
            ("all", ""),
            ("type", "price"),
            ("source", "Venue"),
            ("key", "venue:price:BTC"),
            ("pattern", "ven*BTC"),
        ],
    )
    def test_is_not_kept_when_such_are_thrown_away_meanwhile(self, outside, kind, pattern):
        def load():
            invalidate(kind=kind, pattern=pattern, reason="wrong", by="sam", now=NOON + SECOND)
            return outside()

        assert ask(load).state == "fetched"

        assert not ApiCacheEntry.objects.exists()
        assert ask(outside, NOON + 2 * SECOND).state == "fetched"

    @pytest.mark.django_db
    def test_is_kept_when_others_are_thrown_away(self, outside):
        def load():
            for kind, pattern in [
                ("type", "ohlcv"),
                ("source", "venue"),
                ("key", "venue:price"),
                ("pattern", "BTC*ven"),
            ]:
                invalidate(kind=kind, pattern=pattern, reason="-", by="sam", now=NOON + SECOND)
            return outside()

        ask(load)

        assert ask(outside, NOON + 2 * SECOND).state == "hit"

    @pytest.mark.django_db
    def test_is_kept_when_they_were_thrown_away_before(self, outside):
        invalidate(kind="all", pattern="", reason="wrong", by="sam", now=NOON - SECOND)

        ask(outside)

        assert ask(outside, NOON + SECOND).state == "hit"

    @pytest.mark.django_db(transaction=True)
    def test_is_never_one_from_before_whatever_comes_when(self):
        def throw():
            invalidate(kind="all", pattern="", reason="wrong", by="sam", now=NOON)

        turns = iter([lambda: ask(last_invalidation), throw] * 4)
        found = in_threads(8, lambda: next(turns)())

        assert not [each for each in found if isinstance(each, Exception)]
        kept = ApiCacheEntry.objects.values_list("response_data", flat=True)
        assert list(kept) in ([], [str(last_invalidation())])

    @pytest.mark.django_db(transaction=True)
    def test_waits_for_an_invalidation_that_is_under_way_too(self, outside):
        thrown = threading.Event()

        def throw():
            with transaction.atomic():
                invalidate(kind="all", pattern="", reason="wrong", by="sam", now=NOON)
                thrown.set()
                somebody_waits_for_a_lock()
            connection.close()

        thrower = threading.Thread(target=throw)

        def load():
            thrower.start()
            thrown.wait(20)
            return outside()

        ask(load)
        thrower.join(20)

        assert not ApiCacheEntry.objects.exists()


def somebody_waits_for_a_lock(seconds=5):
    """Return once somebody waits for an advisory lock, or when nobody did for so long."""
    end = monotonic() + seconds
    with connection.cursor() as cursor:
        while monotonic() < end:
            cursor.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            if cursor.fetchone():
                return


class TestPatternsOfTwoKinds:
    @pytest.mark.parametrize(
        "pattern", ["a", "a*c", "*b", "%", "_", "\\", "c*a", "aa", "a*a", "a**c"]
    )
    @pytest.mark.django_db
    def test_mean_the_same_here_and_in_the_database(self, pattern):
        keys = ["abc", "a%c", "a_c", "a\\c", "ca", "aXa"]
        put_entries([Reported(cache_key=key) for key in keys], now=NOON)

        like = ApiCacheEntry.objects.extra(where=["cache_key LIKE %s"], params=[like_text(pattern)])

        matched = set(like.values_list("cache_key", flat=True))
        assert {key for key in keys if pattern_holds(pattern, key)} == matched


@pytest.mark.django_db
class TestAClockSetBack:
    def test_does_not_make_an_answer_of_the_future_a_fresh_one(self, outside):
        ask(outside, NOON + DAY)

        assert ask(outside).state == "fetched"
        assert ask(outside, NOON + SECOND).state == "hit"

    def test_does_not_hide_what_is_reported(self):
        put_entries([Reported(response_data="1")], now=NOON + DAY)
        assert read_entry(key="a:b", now=NOON) is None

        put_entries([Reported(response_data="2")], now=NOON)

        found = read_entry(key="a:b", now=NOON)
        assert found is not None
        assert found.entry.response_data == "2"

    def test_by_a_little_changes_nothing(self, outside):
        ask(outside, NOON + SECOND)

        assert ask(outside).state == "hit"


@pytest.mark.django_db
class TestQuestionsWithStrangeSigns:
    @pytest.mark.parametrize("sign", ["\0", HALF, f"a{HALF}:b=\0"])
    def test_are_answered_and_kept(self, outside, sign):
        words = {"args": [sign], "kwargs": {"name": sign}}

        first = ask(outside, **words)
        again = ask(outside, NOON + SECOND, **words)

        assert (first.state, again.state) == ("fetched", "hit")

    def test_name_whatever_they_like(self, outside):
        assert ask(outside, kwargs={"source": 1, "method": 2}).state == "fetched"
        assert ApiCacheEntry.objects.get().cache_key == "venue:price:BTC:method=2:source=1"


class TestNames:
    def test_with_signs_of_a_key_do_not_make_two_questions_one(self):
        keys = {
            cache_key("s", "m", a="b=c"),
            cache_key("s", "m", **{"a=b": "c"}),
            cache_key("s", "m", "x", b=1),
            cache_key("s", "m", **{"x:b": 1}),
        }

        assert len(keys) == 4


class TestNumbersBeyondAllBounds:
    @pytest.mark.parametrize("text", ["1e999", "[-1e400]", '{"a": {"b": 1e309}}'])
    def test_are_no_answer(self, text):
        with pytest.raises(NotJson):
            from_json(text)

    @pytest.mark.django_db
    def test_are_not_kept(self):
        outcome = put_entries([Reported(response_data="[1e999]")], now=NOON)

        assert outcome.results[0].errors[0].code == "not_json"


@pytest.mark.django_db
class TestReported:
    def test_until_the_end_of_time_may_stand_in_until_then(self):
        CacheRule.objects.update_or_create(
            data_type="price", defaults={"ttl_seconds": 60, "stale_seconds": 2_147_483_647}
        )
        last = datetime(9999, 12, 30, tzinfo=UTC)

        assert put_entries([Reported(expires_at=last)], now=NOON).created == 1

        assert ApiCacheEntry.objects.get().stale_until.year == 9999

    @pytest.mark.parametrize("metadata", [{"a": [HALF]}, {HALF: 1}, {"a": {"b": "\0"}}])
    def test_with_strange_signs_beside_it_is_named(self, metadata):
        rows = [Reported(metadata=metadata), Reported(cache_key="good")]

        outcome = put_entries(rows, now=NOON)

        assert (outcome.created, outcome.failed) == (1, 1)
        assert outcome.results[0].errors[0].pointer == "/metadata"

    def test_may_spell_a_strange_sign_out(self):
        metadata = {"pattern": "\\u0000", "price": Decimal("1.10")}

        assert put_entries([Reported(metadata=metadata)], now=NOON).created == 1


@pytest.mark.django_db
class TestThePageOfAnAnswer:
    @pytest.mark.parametrize("answer", ['{"a": "\\ud800"}', "[1e999]"])
    def test_shows_what_cannot_be_laid_out_as_it_came(self, admin_client, answer):
        put_entries([Reported()], now=NOON)
        ApiCacheEntry.objects.update(response_data=answer)

        page = admin_client.get(
            f"/admin/market/apicacheentry/{ApiCacheEntry.objects.get().pk}/change/"
        ).content.decode()

        assert answer.replace('"', "&quot;") in page

    def test_names_an_address_that_answers(self, admin_client):
        put_entries([Reported(response_data=json.dumps("x" * 150_000))], now=NOON)

        page = admin_client.get(
            f"/admin/market/apicacheentry/{ApiCacheEntry.objects.get().pk}/change/"
        ).content.decode()

        address = page.partition("GET <code>")[2].partition("</code>")[0]
        assert admin_client.get(address).status_code == 200


@pytest.mark.django_db
def test_a_venue_s_strange_words_do_not_stop_the_other_feeds(monkeypatch):
    for symbol in ("A/B", "C/D"):
        Feed.objects.create(
            symbol=symbol, source="s", granularity="1h", provider="replay",
            options={"source": "x"}, next_fetch_at=NOON,
        )  # fmt: skip

    def refuse(feed, now, recall):
        raise ProviderRubbish(f"It says {HALF}\0.")

    monkeypatch.setattr(feeds, "believable_rows", refuse)

    feeds.fetch_due_feeds(now=NOON)

    failed = Feed.objects.filter(state=FeedState.UNHEALTHY, last_error="It says \ufffd\ufffd.")
    assert failed.count() == 2
