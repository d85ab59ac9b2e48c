"""The cache of outside answers in the admin: its entries, its rules, its days, its log."""

import json
from contextlib import suppress
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.market.admin import shown
from apps.market.admin.cache_pages import cache_page, invalidate_page
from apps.market.choices import COLORS, InvalidationKind, ResponseFormat
from apps.market.domain.cache import NotJson, from_json
from apps.market.models import ApiCacheEntry, CacheDailyStats, CacheInvalidation, CacheRule
from apps.shared import display
from apps.shared.admin import DerivedAdmin, EntityAdmin

# What a page shows of an answer; the API gives it whole.
SHOWN_BYTES = 100_000
# Laid out over many lines only where that does not make a wall of it.
LAID_OUT = 20_000


def staleness(entry: ApiCacheEntry) -> SafeString:
    """Return whether an answer is fresh, kept in case its source fails, or past use."""
    now = timezone.now()
    if entry.expires_at > now:
        return display.badge("Fresh", "success")
    if entry.stale_until > now:
        return display.badge("Stale", "warning", "Given out only while its source fails.")
    return display.badge("Past use", "default", "It is taken out with the next round.")


@admin.register(ApiCacheEntry)
class ApiCacheEntryAdmin(EntityAdmin):
    list_display = [
        "cache_key", "data_type", "api_source", "state", "size", "hit_count", "cached_at",
        "expires_at", "last_accessed", "response_format",
    ]  # fmt: skip
    list_filter = [
        "cached_at", "expires_at", "data_type", "api_source", "response_format", "hit_count",
        "size_bytes",
    ]  # fmt: skip
    search_fields = ["=cache_key"]
    search_help_text = "Exact key"
    large_table = True
    time = "cached_at"
    ordering = ["-cached_at", "-id"]
    sortable_by = ["cached_at", "expires_at", "data_type", "api_source"]
    list_before_template = "admin/market/cache_before.html"
    colors = COLORS
    shows = {"size_bytes": shown.size}
    titles = {"response_format": "Format"}
    export_fields = [
        field.name for field in ApiCacheEntry._meta.concrete_fields if field.name != "response_data"
    ]
    empty_reasons = {
        "last_accessed": "Nobody has asked for it again.",
        "metadata": "Nothing was sent along.",
    }
    empty_hint = "The answers of providers are kept here, and what programs report by the API."
    page_template = "admin/market/cache_entry.html"
    groups = [
        ("Entry", ["cache_key", "data_type", "api_source", "response_format", "size_bytes"]),
        ("Times", ["cached_at", "expires_at", "stale_until", "hit_count", "last_accessed",
                   "created_at", "updated_at"]),
        ("Sent along", ["metadata"]),
    ]  # fmt: skip

    # What sources answered is kept as it came; what is wrong is thrown away, not written over.

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        guard = self.admin_site.admin_view
        return [
            path("cache/", guard(self.cache_view), name="market_cache"),
            path("invalidate/", guard(self.invalidate_view), name=self.url_name("invalidate")),
            *super().get_urls(),
        ]

    def cache_view(self, request: HttpRequest) -> HttpResponse:
        return cache_page(self, request)

    def invalidate_view(self, request: HttpRequest) -> HttpResponse:
        return invalidate_page(self, request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiCacheEntry]:
        # The page of an answer reads what it shows of it; nothing else needs it.
        return super().get_queryset(request).defer("response_data")

    @admin.display(description="State")
    def state(self, obj: ApiCacheEntry) -> SafeString:
        return staleness(obj)

    @admin.display(description="Size")
    def size(self, obj: ApiCacheEntry) -> SafeString:
        return shown.size(obj.size_bytes)

    def page_badges(self, obj: ApiCacheEntry) -> list[SafeString]:
        return [staleness(obj), format_html("expires {}", display.age(obj.expires_at))]

    def page_context(self, request: HttpRequest, obj: ApiCacheEntry) -> dict[str, Any]:
        opaque = obj.response_format != ResponseFormat.JSON
        may = request.user.has_perm("market.change_apicacheentry")
        url = shown.address(
            ApiCacheEntry, "invalidate", kind=InvalidationKind.KEY.value, pattern=obj.cache_key
        )
        return super().page_context(request, obj) | {
            "payload": payload_of(obj, opaque=opaque),
            "opaque": opaque,
            "size": shown.size(obj.size_bytes),
            "cut": obj.size_bytes > SHOWN_BYTES,
            "shown_bytes": shown.size(SHOWN_BYTES),
            "format": ResponseFormat(obj.response_format).label,
            "invalidate_url": url if may else "",
        }


def payload_of(entry: ApiCacheEntry, *, opaque: bool) -> SafeString:
    """Return an answer as text to read, never as anything else; a large one its beginning."""
    text = entry.response_data[:SHOWN_BYTES]
    if not opaque and len(text) <= LAID_OUT:
        # What is no JSON after all is shown as it came.
        with suppress(ValueError, RecursionError, NotJson):
            # Halves of characters have no bytes, which is a ValueError.
            text = json.dumps(from_json(text), indent=2, ensure_ascii=False).encode().decode()
    return display.folded("Read the answer", text, "It is empty.")


# --- How long answers last ----------------------------------------------------------------


class RuleForm(forms.ModelForm):
    """How long answers of a type are fresh: said in seconds, told beside that in words."""

    class Meta:
        help_texts = {
            "ttl_seconds": "300 are five minutes, 3600 an hour, 86400 a day.",
            "data_type": "“default” answers for every type without a rule of its own.",
        }


@admin.register(CacheRule)
class CacheRuleAdmin(EntityAdmin):
    form = RuleForm
    list_display = ["data_type", "fresh", "kept", "description", "updated_at"]
    search_fields = ["data_type", "description"]
    fields = ["data_type", "ttl_seconds", "stale_seconds", "description"]
    groups = [("Rule", ["data_type", "fresh", "kept", "description", "created_at", "updated_at"])]
    empty_reasons = {"description": "Nobody described it."}
    empty_hint = "Without a rule answers are fresh for five minutes."

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["data_type"] if obj is not None else []

    @admin.display(description="Fresh for", ordering="ttl_seconds")
    def fresh(self, obj: CacheRule) -> SafeString:
        return seconds(obj.ttl_seconds)

    @admin.display(description="Kept after that", ordering="stale_seconds")
    def kept(self, obj: CacheRule) -> SafeString:
        return seconds(obj.stale_seconds)


def seconds(value: int) -> SafeString:
    """Return a time to live in words, exactly on hover."""
    return display.figure(shown.seconds_words(value), f"{value:,} seconds")


# --- What it did --------------------------------------------------------------------------


@admin.register(CacheInvalidation)
class CacheInvalidationAdmin(DerivedAdmin):
    list_display = [
        "invalidated_at", "kind", "pattern", "entries_affected", "reason", "invalidated_by",
    ]  # fmt: skip
    list_filter = ["invalidated_at", "kind", "invalidated_by"]
    time = "invalidated_at"
    ordering = ["-invalidated_at", "-id"]
    sortable_by = ["invalidated_at"]
    colors = COLORS
    titles = {"pattern": "Of what"}
    empty_reasons = {"pattern": "All of it.", "invalidated_by": "By a program of ours."}
    empty_hint = "Whoever throws cached answers away before their time is noted here."
    groups = [
        ("Thrown away", ["invalidated_at", "kind", "pattern", "entries_affected"]),
        ("By whom, and why", ["invalidated_by", "reason"]),
    ]


@admin.register(CacheDailyStats)
class CacheDailyStatsAdmin(DerivedAdmin):
    list_display = [
        "date", "rate", "total_hits", "total_misses", "total_writes", "total_stale",
        "total_errors", "total_invalidations", "unique_keys", "size", "updated_at",
    ]  # fmt: skip
    list_filter = ["updated_at"]
    ordering = ["-date"]
    sortable_by = ["date"]
    shows = {"total_size_bytes": shown.size}
    empty_hint = "A day begins with the first question to the cache."
    groups = [
        ("Day", ["date", "rate", "unique_keys", "total_size_bytes", "updated_at"]),
        ("Counted", ["total_hits", "total_misses", "total_writes", "total_stale", "total_errors",
                     "total_invalidations"]),
    ]  # fmt: skip

    @admin.display(description="Hit rate")
    def rate(self, obj: CacheDailyStats) -> SafeString:
        asked = obj.total_hits + obj.total_misses
        return shown.rate(obj.total_hits, asked)

    @admin.display(description="Size")
    def size(self, obj: CacheDailyStats) -> SafeString:
        return shown.size(obj.total_size_bytes)
