"""The heat map of candles: series by series, day by day, how much of what was expected is there."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from apps.market.admin import shown
from apps.market.choices import AssetClass, Granularity
from apps.market.models import CandleDay, CandleSeries, Instrument

SPANS: Final = {"30": 30, "60": 60, "90": 90}
ORDERS: Final = {"symbol": "By symbol", "worst": "Most missing first"}
PER_PAGE, MOST_PAGE = 50, 100
# Shares from there on have a color of their own; below them all that is not nothing.
STEPS: Final = ((1.0, 5), (0.99, 4), (0.9, 3), (0.5, 2))
LEGEND: Final = (
    (5, "all"), (4, "99 % and more"), (3, "90 % and more"), (2, "half and more"),
    (1, "less"), (0, "none"),
)  # fmt: skip


class Day(NamedTuple):
    """One cell: the step of its color ("" where nothing was to be expected), and its words."""

    tone: str
    marked: bool
    words: str


def stretch(last: date, days: int) -> list[date]:
    """Return so many days up to ``last``, oldest first."""
    return [last - timedelta(days=back) for back in range(days - 1, -1, -1)]


def days_of(rows: Sequence[CandleSeries], span: Sequence[date]) -> dict[int, list[Day]]:
    """Return a cell for each day of each series; one query for all of them."""
    found = CandleDay.objects.filter(
        series__in=[row.pk for row in rows], day__gte=span[0], day__lte=span[-1]
    ).values_list("series_id", "day", "candles", "expected", "zero_volume", "defects")
    by_day = {(series, day): tuple(rest) for series, day, *rest in found}
    return {row.pk: [cell(row, day, by_day.get((row.pk, day))) for day in span] for row in rows}


def cell(series: CandleSeries, day: date, counted: tuple[Any, ...] | None) -> Day:
    """Return the cell of one day, from (candles, expected, zero volume, defects)."""
    if counted is None:
        return Day("", False, f"{day}: {why_empty(series, day)}")
    candles, expected, zero_volume, defects = counted
    extra = f", {zero_volume:,} without volume" if zero_volume else ""
    if defects:
        extra += f", {defects:,} defect{'' if defects == 1 else 's'}"
    share = shown.share_of(candles, expected) if expected is not None else None
    if share is None:
        held = f"{candles:,} candle{'' if candles == 1 else 's'}"
        closed = "none expected" if expected == 0 else "how many to expect is not known"
        tone = "5" if candles else ""
        return Day(tone, bool(defects), f"{day}: {held}, {closed}{extra}")
    words = f"{day}: {candles:,} of {expected:,} candles, {shown.share_words(share)}{extra}"
    return Day(str(step_of(share)), bool(defects), words)


def step_of(share: float) -> int:
    """Return the step of a share's color: 5 whole, 0 nothing."""
    return next((step for least, step in STEPS if share >= least), 1 if share > 0 else 0)


def why_empty(series: CandleSeries, day: date) -> str:
    if day < series.first_timestamp.date():
        return "before its first candle"
    if series.checked_until is None or day >= series.checked_until.date():
        return "not checked yet"
    if day > series.last_timestamp.date():
        return "after its last candle"
    return "nothing expected"


class HealthMap:
    """Everything that the template of the heat map asks for."""

    def __init__(self, asked: dict[str, str], *, now: datetime) -> None:
        self.asked, self.now = asked, now
        self.days = SPANS[asked["days"]]
        self.span = stretch(now.date(), self.days)
        start = (int(asked["p"]) - 1) * PER_PAGE
        found = list(self.wanted()[start : start + PER_PAGE + 1])
        self.rows, self.more = found[:PER_PAGE], len(found) > PER_PAGE
        self.first_shown = start + 1

    def wanted(self) -> QuerySet[CandleSeries]:
        rows = CandleSeries.objects.all()
        if self.asked["symbol"]:
            rows = rows.filter(symbol__istartswith=self.asked["symbol"])
        for name in ("source", "granularity"):
            if self.asked[name]:
                rows = rows.filter(**{name: self.asked[name]})
        if self.asked["asset_class"]:
            kind = Instrument.objects.filter(asset_class=self.asked["asset_class"])
            rows = rows.filter(symbol__in=kind.values("symbol"))
        by = ("symbol", "source", "granularity", "pk")
        worst = F("missing").desc(nulls_last=True)
        return rows.order_by(worst, *by) if self.asked["order"] == "worst" else rows.order_by(*by)

    @cached_property
    def lines(self) -> list[dict[str, Any]]:
        cells = days_of(self.rows, self.span)
        return [
            {
                "key": row.pk,
                "url": shown.address(CandleSeries, "change", row.pk),
                "symbol": row.symbol,
                "of": f"{row.granularity} {row.source}",
                "days": cells[row.pk],
                "known": known(row),
                "last": shown.ended(row.last_timestamp, row.granularity),
            }
            for row in self.rows
        ]

    @property
    def heads(self) -> list[dict[str, Any]]:
        """Return the days with their names; the first and each Monday is written out."""
        return [
            {
                "day": day,
                "shown": day.weekday() == 0 and (self.span[-1] - day).days > 1,
            }
            for day in self.span
        ]

    @property
    def sources(self) -> list[str]:
        return sorted(set(CandleSeries.objects.values_list("source", flat=True).distinct()[:100]))

    def url(self, **changes: str) -> str:
        told = {name: value for name, value in (self.asked | changes).items() if value}
        return f"?{urlencode(told)}"

    def links(self, name: str, offered: dict[str, str]) -> list[dict[str, Any]]:
        return [
            {
                "label": label,
                "active": self.asked[name] == key,
                "url": self.url(**{name: key, "p": "1"}),
            }
            for key, label in offered.items()
        ]

    @property
    def span_links(self) -> list[dict[str, Any]]:
        return self.links("days", {key: f"{key} days" for key in SPANS})

    @property
    def order_links(self) -> list[dict[str, Any]]:
        return self.links("order", dict(ORDERS))

    @property
    def previous_url(self) -> str:
        page = int(self.asked["p"])
        return self.url(p=str(page - 1)) if page > 1 else ""

    @property
    def next_url(self) -> str:
        page = int(self.asked["p"])
        return self.url(p=str(page + 1)) if self.more and page < MOST_PAGE else ""

    @property
    def last_shown(self) -> int:
        return self.first_shown + len(self.rows) - 1

    @property
    def narrowed(self) -> bool:
        return any(self.asked[name] for name in ("symbol", "source", "granularity", "asset_class"))


def known(row: CandleSeries) -> str:
    """Return how much of what was to be expected is there, in words."""
    if row.expected is None or row.missing is None:
        return ""
    share = shown.share_of(row.expected - row.missing, row.expected)
    return "" if share is None else shown.share_words(share)


def asked_of(request: HttpRequest) -> dict[str, str]:
    """Return what the address asks for; nonsense is what is usual."""
    given = {name: request.GET.get(name, "").replace("\0", "").strip()[:50] for name in (
        "symbol", "source", "granularity", "asset_class", "days", "order", "p",
    )}  # fmt: skip
    offered = {
        "granularity": (Granularity.values, ""),
        "asset_class": (AssetClass.values, ""),
        "days": (list(SPANS), "30"),
        "order": (list(ORDERS), "symbol"),
        "p": ([str(page) for page in range(1, MOST_PAGE + 1)], "1"),
    }
    for name, (known_values, usual) in offered.items():
        if given[name] not in known_values:
            given[name] = usual
    return given


def health_page(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """Answer with the heat map of data health."""
    if not request.user.has_perm("market.view_candleseries"):
        raise PermissionDenied
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Data health",
        "map": HealthMap(asked_of(request), now=timezone.now()),
        "granularities": Granularity.choices,
        "asset_classes": AssetClass.choices,
        "legend": LEGEND,
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/market/health.html", context)
