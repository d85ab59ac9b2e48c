"""How the cache goes, on one page; and throwing answers away, seen before it is done."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from apps.market.admin import shown
from apps.market.choices import InvalidationKind
from apps.market.models import ApiCacheEntry, CacheDailyStats, CacheInvalidation
from apps.market.services import cache
from apps.shared import display
from apps.shared.admin.charts import bar_chart
from apps.shared.admin.steps import CONFIRMED
from apps.shared.errors import DomainError

PAGE: Final = "admin:market_cache"
DAYS = 30
MOST_LINES, MOST_NAMED = 10, 12


class CacheStory:
    """Everything that the page of the cache asks for, each read once."""

    def __init__(self, *, now: datetime) -> None:
        self.now = now
        since = now.date() - timedelta(days=DAYS - 1)
        self.days = {
            row.date: row
            for row in CacheDailyStats.objects.filter(date__gte=since, date__lte=now.date())
        }
        self.figures = cache.cache_figures(now)

    # --- what it did ----------------------------------------------------------------------

    @property
    def rate_today(self) -> Any:
        today = self.figures.today
        return shown.rate(today.hits, today.hits + today.misses)

    @property
    def rate_week(self) -> Any:
        week = self.figures.week
        return shown.rate(week.hits, week.hits + week.misses)

    @property
    def chart(self) -> dict[str, Any]:
        """Return hits, misses and stale answers of each day."""
        if not self.days:
            return {}
        last = self.now.date()
        span = [last - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
        none = CacheDailyStats()
        rows = [self.days.get(day, none) for day in span]
        return bar_chart(
            [f"{day.day} {day:%b}" for day in span],
            [
                ("Hits", "success", [row.total_hits for row in rows]),
                ("Misses", "info", [row.total_misses for row in rows]),
                ("Given out stale", "warning", [row.total_stale for row in rows]),
            ],
            stacked=True,
        )

    # --- what is in it --------------------------------------------------------------------

    @property
    def past_fresh(self) -> int:
        return self.figures.entries - self.figures.fresh

    @property
    def size(self) -> Any:
        return shown.size(self.figures.bytes)

    @property
    def types(self) -> list[dict[str, Any]]:
        return self.by("data_type", self.figures.types)

    @property
    def sources(self) -> list[dict[str, Any]]:
        return self.by("api_source", self.figures.sources)

    def by(self, column: str, shares: Sequence[cache.Share]) -> list[dict[str, Any]]:
        return [
            {
                "name": one.name,
                "url": shown.address(
                    ApiCacheEntry, "changelist", **{column: one.name, "cached_at_last": "all"}
                ),
                "entries": one.entries,
                "hits": one.hits,
                "size": shown.size(one.bytes),
            }
            for one in shares[:MOST_LINES]
        ]

    @property
    def top(self) -> list[dict[str, Any]]:
        return [self.line(one) for one in self.figures.top if one.hits]

    @property
    def largest(self) -> list[dict[str, Any]]:
        return [self.line(one) for one in self.figures.largest]

    @property
    def expiring(self) -> list[dict[str, Any]]:
        names = ("id", "cache_key", "data_type", "api_source", "hit_count", "size_bytes")
        rows = ApiCacheEntry.objects.fresh(self.now).order_by("expires_at", "id")
        return [
            self.line(cache.Top(*row))
            for row in rows.values_list(*names, "expires_at")[:MOST_LINES]
        ]

    def line(self, one: cache.Top) -> dict[str, Any]:
        return {
            "key": display.short_text(one.key),
            "url": shown.address(ApiCacheEntry, "change", one.id),
            "hits": one.hits,
            "size": shown.size(one.bytes),
            "expires": display.age(one.expires_at),
            "stale": one.expires_at <= self.now,
        }

    @property
    def thrown(self) -> list[CacheInvalidation]:
        return list(CacheInvalidation.objects.order_by("-invalidated_at", "-pk")[:5])


def cache_page(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """Answer with how the cache goes."""
    if not request.user.has_perm("market.view_apicacheentry"):
        raise PermissionDenied
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Cache of outside answers",
        "story": CacheStory(now=timezone.now()),
        "may_invalidate": request.user.has_perm("market.change_apicacheentry"),
        "may_see_log": request.user.has_perm("market.view_cacheinvalidation"),
        "days": DAYS,
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/market/cache.html", context)


# --- Throwing answers away ----------------------------------------------------------------


class InvalidationForm(forms.Form):
    """By what answers are found, and why they go."""

    kind = forms.ChoiceField(
        choices=InvalidationKind.choices, label="By", widget=UnfoldAdminSelectWidget
    )
    pattern = forms.CharField(
        max_length=255,
        required=False,
        label="Of what",
        widget=UnfoldAdminTextInputWidget,
        help_text="A part of the key, * for anything between; a type; a source; a whole key."
        " Every other character is itself. For everything leave it empty.",
    )
    reason = forms.CharField(
        max_length=255,
        label="Why",
        widget=UnfoldAdminTextInputWidget,
        help_text="It stands in the log.",
    )

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        everything = found.get("kind") == InvalidationKind.ALL
        if everything and found.get("pattern"):
            self.add_error("pattern", "For everything it stays empty.")
        if not everything and "pattern" in found and not found["pattern"].strip():
            self.add_error("pattern", "Say of what.")
        return found


def invalidate_page(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """Ask by what, show how many answers that would be, throw them away once that is confirmed."""
    if not request.user.has_perm("market.change_apicacheentry"):
        raise PermissionDenied
    form = InvalidationForm(request.POST or None, initial=request.GET.dict())
    context: dict[str, Any] = {"form": form}
    if request.method == "POST" and form.is_valid():
        told = form.cleaned_data
        kind, pattern = InvalidationKind(told["kind"]), told["pattern"]
        try:
            if CONFIRMED in request.POST:
                done = cache.invalidate(
                    kind=kind, pattern=pattern, reason=told["reason"],
                    by=request.user.get_username(), now=timezone.now(),
                )  # fmt: skip
                say(request, done)
                return HttpResponseRedirect(reverse(PAGE))
            found = cache.preview_invalidation(kind=kind, pattern=pattern)
        except DomainError as refusal:
            form.add_error("pattern", refusal.message)
        else:
            context |= {
                "preview": found,
                "kind": kind,
                "told": told,
                "keys": found.first_keys[:MOST_NAMED],
                "more": max(found.entries - MOST_NAMED, 0),
                "size": shown.size(found.bytes),
                "confirmed": CONFIRMED,
            }
    context |= {
        **model_admin.admin_site.each_context(request),
        "title": "Throw cached answers away",
        "opts": model_admin.opts,
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/market/cache_invalidate.html", context)


def say(request: HttpRequest, done: CacheInvalidation) -> None:
    """Tell what was thrown away, with the way to its entry in the log."""
    count = done.entries_affected
    words = f"{count:,} cached answer{'' if count == 1 else 's'} thrown away."
    if request.user.has_perm("market.view_cacheinvalidation"):
        url = shown.address(CacheInvalidation, "change", done.pk)
        log = format_html('{} <a class="b-link" href="{}">As logged</a>', words, url)
        messages.success(request, log)
    else:
        messages.success(request, words)
