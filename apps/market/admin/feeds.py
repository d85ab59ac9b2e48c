"""Feeds in the admin: what is fetched, and how that goes."""

from django.contrib import admin
from django.utils.safestring import SafeString

from apps.market.choices import COLORS, FeedState
from apps.market.models import Feed
from apps.shared import display
from apps.shared.admin import EntityAdmin


@admin.register(Feed)
class FeedAdmin(EntityAdmin):
    list_display = [
        "symbol", "source", "granularity", "state", "last_success_at", "consecutive_failures",
        "last_error", "provider", "enabled",
    ]  # fmt: skip
    list_filter = ["state", "enabled", "provider", "granularity"]
    search_fields = ["symbol", "source", "exchange"]
    colors = COLORS
    empty_reasons = {
        "last_fetch_at": "Not fetched yet.",
        "last_success_at": "Never succeeded yet.",
        "last_candle_at": "No candle fetched yet.",
        "last_error": "No error.",
    }
    groups = [
        ("Health", ["state", "enabled", "last_success_at", "last_candle_at", "last_fetch_at",
                    "next_fetch_at", "consecutive_failures", "last_error"]),
        ("Series", ["symbol", "source", "granularity"]),
        ("Provider", ["provider", "exchange", "venue_symbol", "connection", "options"]),
    ]  # fmt: skip
    readonly_fields = [
        "state", "next_fetch_at", "last_fetch_at", "last_success_at", "last_candle_at",
        "consecutive_failures", "last_error",
    ]  # fmt: skip
    empty_hint = "A feed fetches one series from an exchange or broker every minute."

    def page_badges(self, obj: Feed) -> list[SafeString]:
        return [display.badge(obj.get_state_display(), COLORS[FeedState(obj.state)])]
