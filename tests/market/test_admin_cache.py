"""The cache in the admin: how it goes, what is in it, and throwing answers away."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.market.models import ApiCacheEntry, CacheInvalidation
from tests.factories import make_cache_entry, make_cache_rule, make_cache_stats
from tests.logs.pages import MARKUP, exported, page

pytestmark = pytest.mark.django_db

CACHE = "admin:market_cache"
INVALIDATE = "admin:market_apicacheentry_invalidate"
ENTRY = "admin:market_apicacheentry_change"
ENTRIES = "admin:market_apicacheentry_changelist"


def staff(*permissions):
    """Return the client of somebody on the staff who may do just that in the market."""
    user = User.objects.create_user("someone", is_staff=True)
    for name in permissions:
        user.user_permissions.add(
            Permission.objects.get(codename=name, content_type__app_label="market")
        )
    client = Client()
    client.force_login(user)
    return client


class TestPage:
    def test_tells_how_the_cache_goes(self, admin_client):
        today = timezone.now().date()
        make_cache_stats(date=today, total_hits=7, total_misses=3, total_stale=2)
        make_cache_stats(date=today - timedelta(days=1), total_hits=1, total_misses=9)
        make_cache_entry(hit_count=41, size_bytes=2048)

        html = page(admin_client, CACHE)

        for words in ("70 %", "40 %", "7 of 10", "2,048 bytes", "41", "<bar-chart", "coingecko"):
            assert words in html

    def test_says_what_would_fill_it(self, admin_client):
        html = page(admin_client, CACHE)

        assert "Nothing was asked yet." in html
        assert "Nothing is kept." in html

    def test_costs_the_same_for_many_answers_as_for_few(self, admin_client):
        def queries():
            with CaptureQueriesContext(connection) as captured:
                page(admin_client, CACHE)
            return len(captured)

        make_cache_entry(hit_count=1), make_cache_stats(date=timezone.now().date())
        queries()
        few = queries()
        for number in range(12):
            make_cache_entry(hit_count=number, api_source=f"source {number}")

        # Session and user; seven of the service; the days, what expires, and the log.
        assert queries() == few <= 12

    def test_is_closed_to_those_who_may_not_look(self):
        assert staff("view_candle").get(reverse(CACHE)).status_code == 403

    def test_offers_nothing_to_throw_away_to_those_who_may_only_look(self):
        assert reverse(INVALIDATE) not in page(staff("view_apicacheentry"), CACHE)


class TestEntries:
    def test_show_what_came_from_outside_as_text(self, admin_client):
        entry = make_cache_entry(
            cache_key=f"x:{MARKUP}", api_source=MARKUP[:50], response_data=f'["{MARKUP}\x1b"]'
        )

        for html in (
            page(admin_client, ENTRY, entry.pk), page(admin_client, ENTRIES),
            page(admin_client, CACHE),
        ):  # fmt: skip
            assert MARKUP not in html
            assert "\x1b" not in html

    def test_never_decode_an_opaque_answer(self, admin_client):
        entry = make_cache_entry(response_format="pickle", response_data="gASVJgAAAAAAAA==")

        html = page(admin_client, ENTRY, entry.pk)

        assert "never decoded here" in html
        assert "gASVJgAAAAAAAA==" in html

    def test_show_the_beginning_of_a_large_answer(self, admin_client):
        entry = make_cache_entry(response_data='"' + "x" * 150_000 + '"')

        html = page(admin_client, ENTRY, entry.pk)

        assert "Only the first" in html
        assert "x" * 90_000 in html
        assert "x" * 110_000 not in html

    def test_say_whether_they_are_fresh(self, admin_client):
        old = timezone.now() - timedelta(hours=2)
        make_cache_entry(cached_at=old, expires_at=old + timedelta(minutes=5),
                         stale_until=old + timedelta(days=1))  # fmt: skip

        assert ">Stale</span>" in page(admin_client, ENTRIES)

    def test_are_exported_without_their_answers(self, admin_client):
        make_cache_entry(response_data='["the answer"]')

        assert b"the answer" not in exported(admin_client, ENTRIES)

    def test_have_no_form(self, admin_client):
        entry = make_cache_entry()
        url = reverse("admin:market_apicacheentry_edit", args=[entry.pk])

        assert admin_client.get(url).status_code == 403


class TestInvalidation:
    def test_is_seen_before_it_is_done(self, admin_client):
        entry = make_cache_entry(cache_key="coingecko:fetch:bitcoin")
        make_cache_entry(cache_key="kraken:fetch:ether")

        html = admin_client.post(
            reverse(INVALIDATE), {"kind": "pattern", "pattern": "bitcoin", "reason": "Wrong"}
        ).content.decode()

        assert "coingecko:fetch:bitcoin" in html
        assert "kraken:fetch:ether" not in html
        assert 'name="confirmed"' in html
        assert ApiCacheEntry.objects.filter(pk=entry.pk).exists()
        assert not CacheInvalidation.objects.exists()

    def test_throws_away_what_was_confirmed_and_logs_it(self, admin_client):
        make_cache_entry(cache_key="coingecko:fetch:bitcoin")
        make_cache_entry(cache_key="kraken:fetch:ether")

        answer = admin_client.post(
            reverse(INVALIDATE),
            {"kind": "pattern", "pattern": "bitcoin", "reason": MARKUP, "confirmed": "yes"},
            follow=True,
        )

        assert "1 cached answer thrown away." in answer.content.decode()
        assert MARKUP not in answer.content.decode()
        assert ApiCacheEntry.objects.get().cache_key == "kraken:fetch:ether"
        logged = CacheInvalidation.objects.get()
        assert (logged.invalidated_by, logged.entries_affected) == ("admin", 1)

    def test_takes_a_percent_sign_for_itself(self, admin_client):
        make_cache_entry(cache_key="coingecko:fetch:bitcoin")

        html = admin_client.post(
            reverse(INVALIDATE), {"kind": "pattern", "pattern": "%", "reason": "All?"}
        ).content.decode()

        assert "No cached answer fits." in html

    @pytest.mark.parametrize(
        ("told", "said"),
        [
            ({"kind": "pattern", "pattern": "", "reason": "x"}, "Say of what."),
            ({"kind": "pattern", "pattern": "*", "reason": "x"}, "only wildcards"),
            ({"kind": "all", "pattern": "x", "reason": "x"}, "For everything it stays empty."),
            ({"kind": "type", "pattern": "crypto", "reason": ""}, "This field is required."),
            ({"kind": "nothing", "pattern": "x", "reason": "x"}, "Select a valid choice."),
        ],
    )
    def test_says_what_it_cannot_do(self, admin_client, told, said):
        make_cache_entry()

        html = admin_client.post(reverse(INVALIDATE), told | {"confirmed": "yes"}).content.decode()

        assert said in html
        assert ApiCacheEntry.objects.exists()

    def test_is_refused_to_those_who_may_only_look(self):
        client = staff("view_apicacheentry")
        make_cache_entry()

        told = {"kind": "all", "pattern": "", "reason": "x", "confirmed": "yes"}
        assert client.post(reverse(INVALIDATE), told).status_code == 403
        assert ApiCacheEntry.objects.exists()

    def test_needs_the_token_of_its_page(self, admin_user):
        client = Client(enforce_csrf_checks=True)
        client.force_login(admin_user)

        assert client.post(reverse(INVALIDATE), {"kind": "all"}).status_code == 403


class TestRules:
    def test_tell_times_in_words(self, admin_client):
        make_cache_rule(data_type="mine", ttl_seconds=7200, stale_seconds=86_400)

        html = page(admin_client, "admin:market_cacherule_changelist")

        assert ">2 h</span>" in html
        assert ">1 d</span>" in html

    def test_are_edited_but_not_renamed(self, admin_client):
        rule = make_cache_rule(data_type="mine")
        url = reverse("admin:market_cacherule_edit", args=[rule.pk])

        admin_client.post(url, {"data_type": "other", "ttl_seconds": "60", "stale_seconds": "0"})

        rule.refresh_from_db()
        assert (rule.data_type, rule.ttl_seconds) == ("mine", 60)
