"""The health of candles in the admin: their series, what is wrong with them, and what helps."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.safestring import SafeString

from apps.executions.models import Execution
from apps.market.admin import shown
from apps.market.admin.health_map import health_page
from apps.market.admin.health_pages import SeriesStory, states_of
from apps.market.admin.runs import RunStepsMixin, planned_step
from apps.market.choices import COLORS, DefectKind
from apps.market.models import CandleDay, CandleDefect, CandleSeries, Feed
from apps.market.services.backfill import plan_backfill
from apps.market.services.health import accept_defects, check_series
from apps.shared import display
from apps.shared.admin import DerivedAdmin
from apps.shared.admin.steps import Step, StepsMixin
from apps.shared.errors import DomainError

NOT_CHECKED = "It is checked within a quarter of an hour after its first candles came."
# What a check reads in seconds.
MOST_CHECKED = 1_000_000
NO_EXPECTATION = "How many are to be expected is not known of it."


# --- What staff do ------------------------------------------------------------------------


def backfill(rows: QuerySet, /, *, by: str, now: datetime) -> Execution | None:
    """Plan the run that fetches what is missing in these series."""
    return plan_backfill(series_ids=list(rows.values_list("pk", flat=True)), by=by, now=now)


def backfill_words(rows: QuerySet) -> str:
    """Say how many gaps would be filled, and by which feeds; of which series nobody fetches."""
    chosen = list(rows)
    feeds = {
        (feed.symbol, feed.source, feed.granularity): feed
        for feed in Feed.objects.filter(enabled=True, symbol__in={row.symbol for row in chosen})
    }
    told, without = [], []
    for row in chosen:
        feed = feeds.get((row.symbol, row.source, row.granularity))
        if feed is None:
            without.append(str(row))
            continue
        found = row.defects.filter(kind=DefectKind.GAP, accepted_at__isnull=True).count()
        gaps = f"{found:,} gap{'' if found == 1 else 's'}"
        via = feed.exchange or feed.get_provider_display()
        told.append(f"{gaps} of {row} by its feed from {via}")
    words = f"Fetches what is missing: {'; '.join(told)}." if told else ""
    if without:
        words += f" No enabled feed fetches {'; '.join(without)}: add one under Feeds first."
    return display.visible(words.strip())


class TooMuch(DomainError):
    """More than can be looked at while somebody waits for the answer."""

    code = "too_much"


def has_gaps(series: CandleSeries) -> bool:
    return series.gaps > 0


def has_defects(series: CandleSeries) -> bool:
    """Return whether it has defects that nobody has accepted: only those are counted."""
    return any(
        (series.gaps, series.duplicates, series.zero_volume, series.outliers, series.spreads)
    )


def check(rows: QuerySet, /, *, by: str, now: datetime) -> int:
    """Look at these series from their first candle on, now. Raises TooMuch."""
    chosen = list(rows.only("pk", "candles"))
    if len(chosen) > 1 and sum(row.candles for row in chosen) > MOST_CHECKED:
        raise TooMuch(
            f"More than {MOST_CHECKED:,} candles at once: choose fewer series. What is new or"
            " changed is looked at by itself within the hour."
        )
    return check_series(series_ids=[row.pk for row in chosen], now=now)


def accept_all(rows: QuerySet, /, *, by: str, now: datetime) -> int:
    """Accept every open defect of these series; return of how many series it was."""
    found = CandleDefect.objects.open().filter(series__in=rows.order_by().values("pk"))
    count = found.order_by().values("series").distinct().count()
    accept_defects(CandleDefect.objects.filter(pk__in=found.values("pk")), by=by, now=now)
    return count


def accept_step(rows: QuerySet, /, *, by: str, now: datetime) -> int:
    """Accept these defects: they are known and stay as they are."""
    return accept_defects(rows, by=by, now=now)


def accept_words(rows: QuerySet) -> str:
    count = CandleDefect.objects.open().filter(series__in=rows.order_by().values("pk")).count()
    return (
        f"{count:,} open defect{'' if count == 1 else 's'} will be marked as known: they stay in"
        " the list, greyed, and no longer count as something to do."
    )


# --- Series -------------------------------------------------------------------------------


@admin.register(CandleSeries)
class CandleSeriesAdmin(RunStepsMixin, DerivedAdmin):
    list_display = [
        "symbol", "source", "granularity", "state", "known", "gaps", "duplicates", "zero_volume",
        "outliers", "spreads", "last", "checked_at",
    ]  # fmt: skip
    list_filter = ["symbol", "source", "granularity", "checked_at", "gaps", "outliers", "missing"]
    search_fields = ["=symbol"]
    titles = {"duplicates": "Repeated", "spreads": "Spread", "checked_at": "Checked"}
    empty_reasons = {
        "checked_at": NOT_CHECKED,
        "checked_until": NOT_CHECKED,
        "recheck_from": "Nothing behind that came or changed since.",
        "expected": NO_EXPECTATION,
        "missing": NO_EXPECTATION,
    }
    empty_hint = "A series begins with its first candle, by a feed, the API or an import."
    list_before_template = "admin/market/health_before.html"
    page_template = "admin/market/candle_series.html"
    groups = [
        ("Series", ["symbol", "source", "granularity", "first_timestamp", "last_timestamp"]),
        ("Checked", ["checked_at", "checked_until", "recheck_from", "candles", "expected",
                     "missing"]),
    ]  # fmt: skip
    steps = [
        Step("check", "Check now", "checked", check, lambda series: True),
        planned_step("backfill", "Backfill gaps", "will be filled", has_gaps, "Fetched again."),
        Step("accept-all", "Accept its defects", "accepted with all their defects", accept_all,
             has_defects, "Known."),
    ]  # fmt: skip
    planned = {"backfill": backfill}
    meaning = {"backfill": backfill_words, "accept-all": accept_words}
    asked_as = {"backfill": "Backfill the gaps of", "accept-all": "Accept the defects of"}

    class Media:
        js = ["js/heatmap.js"]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.health_view)
        return [path("health/", view, name="market_health"), *super().get_urls()]

    def health_view(self, request: HttpRequest) -> HttpResponse:
        return health_page(self, request)

    def prepare_rows(self, rows: Sequence[Any]) -> None:
        now = timezone.now()
        for row, state in zip(rows, states_of(rows, now=now), strict=True):
            row.state_badge = state.badge

    @admin.display(description="State")
    def state(self, obj: Any) -> SafeString:
        return obj.state_badge

    @admin.display(description="Coverage")
    def known(self, obj: CandleSeries) -> SafeString:
        return coverage_of(obj)

    @admin.display(description="Last candle ended")
    def last(self, obj: CandleSeries) -> SafeString:
        return shown.ended(obj.last_timestamp, obj.granularity)

    def page_badges(self, obj: CandleSeries) -> list[SafeString]:
        (state,) = states_of([obj], now=timezone.now())
        return [state.badge]

    def page_context(self, request: HttpRequest, obj: CandleSeries) -> dict[str, Any]:
        story = SeriesStory(obj, now=timezone.now())
        return super().page_context(request, obj) | {"story": story, "known": coverage_of(obj)}


def coverage_of(series: CandleSeries) -> SafeString:
    """Return how much of what was to be expected is there."""
    if series.expected is None or series.missing is None:
        return display.empty(NO_EXPECTATION if series.checked_at else NOT_CHECKED, figure=True)
    return shown.coverage(shown.share_of(series.expected - series.missing, series.expected))


# --- Days ---------------------------------------------------------------------------------


@admin.register(CandleDay)
class CandleDayAdmin(DerivedAdmin):
    list_display = [
        "day", "series_link", "known", "candles", "expected", "zero_volume", "defects",
    ]  # fmt: skip
    list_filter = ["series__symbol", "series__source", "series__granularity", "defects"]
    list_select_related = ["series"]
    search_fields = ["=series__symbol"]
    search_help_text = "Exact symbol"
    ordering = ["-day", "-id"]
    sortable_by = ["day"]
    empty_reasons = {"expected": NO_EXPECTATION}
    empty_hint = "They are counted when a series is looked through."
    groups = [("Day", ["series", "day", "candles", "expected", "zero_volume", "defects"])]

    def get_queryset(self, request: HttpRequest) -> QuerySet[CandleDay]:
        return super().get_queryset(request).select_related("series")

    @admin.display(description="Series")
    def series_link(self, obj: CandleDay) -> SafeString:
        url = shown.address(CandleSeries, "change", obj.series_id)
        return display.link(url, display.visible(str(obj.series)))

    @admin.display(description="Coverage")
    def known(self, obj: CandleDay) -> SafeString:
        if obj.expected is None:
            return display.empty(NO_EXPECTATION, figure=True)
        return shown.coverage(shown.share_of(obj.candles, obj.expected), "None was expected.")

    def page_title(self, obj: CandleDay) -> str:
        return f"{obj.series}, {obj.day}"


# --- Defects ------------------------------------------------------------------------------


@admin.register(CandleDefect)
class CandleDefectAdmin(StepsMixin, DerivedAdmin):
    list_display = [
        "start", "series_link", "kind", "candles", "strength", "detail", "found_at",
        "accepted_at",
    ]  # fmt: skip
    list_filter = [
        "start", "kind", "series__symbol", "series__source", "series__granularity", "accepted_at",
        "candles",
    ]  # fmt: skip
    list_select_related = ["series"]
    search_fields = ["=series__symbol"]
    search_help_text = "Exact symbol"
    time = "start"
    sortable_by = ["start"]
    ordering = ["-start", "-id"]
    colors = COLORS
    titles = {"candles": "Intervals", "accepted_at": "Accepted", "found_at": "Found"}
    empty_reasons = {
        "value": "It has no strength of its own.",
        "detail": "Nothing more to say.",
        "accepted_at": "Nobody has accepted it.",
        "accepted_by": "Nobody has accepted it.",
    }
    empty_hint = "Every series is looked through after new candles; nothing is wrong with any."
    groups = [
        ("Defect", ["series", "kind", "start", "end", "candles", "value", "detail"]),
        ("Dealt with", ["found_at", "accepted_at", "accepted_by"]),
    ]
    steps = [
        Step("accept", "Accept", "accepted", accept_step, lambda defect: defect.accepted_at is None,
             "They are known and stay as they are: greyed in the lists, nothing to do any more."),
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[CandleDefect]:
        return super().get_queryset(request).select_related("series")

    @admin.display(description="Series")
    def series_link(self, obj: CandleDefect) -> SafeString:
        url = shown.address(CandleSeries, "change", obj.series_id)
        return display.link(url, display.visible(str(obj.series)))

    @admin.display(description="Strength")
    def strength(self, obj: CandleDefect) -> SafeString:
        return strength_of(obj)

    def page_title(self, obj: CandleDefect) -> str:
        return f"{obj.get_kind_display()} in {obj.series}"

    def page_badges(self, obj: CandleDefect) -> list[SafeString]:
        badges = [display.badge(obj.get_kind_display(), COLORS[DefectKind(obj.kind)])]
        return [*badges, display.badge("Accepted")] if obj.accepted_at else badges


def strength_of(defect: CandleDefect) -> SafeString:
    """Return how strong a defect is, in the unit of its kind."""
    if defect.value is None:
        return display.empty("It has no strength of its own.", figure=True)
    words = f"{defect.value:,.3g}"
    unit = {DefectKind.OUTLIER: " dev.", DefectKind.SPREAD: " %"}.get(DefectKind(defect.kind), "")
    return display.figure(f"{words}{unit}", repr(defect.value))
