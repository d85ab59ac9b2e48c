"""The cache in figures, for its page."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Count, Q, Sum
from django.db.models.functions import Coalesce

from apps.market.models import ApiCacheEntry, CacheDailyStats

LISTED = 10


class Share(NamedTuple):
    """The entries of one type or source."""

    name: str
    entries: int
    bytes: int
    hits: int


class Top(NamedTuple):
    """One entry of a list of the foremost."""

    id: int
    key: str
    data_type: str
    source: str
    hits: int
    bytes: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Days:
    """What the cache did in some days. ``hit_rate`` is hits / questions, None without any.

    ``calls_saved`` are the hits: each would have been a call. Counts that processes have not
    written yet are missing; they follow within seconds.
    """

    hits: int
    misses: int
    writes: int
    invalidations: int
    stale: int
    errors: int

    @property
    def hit_rate(self) -> float | None:
        questions = self.hits + self.misses
        return self.hits / questions if questions else None

    @property
    def calls_saved(self) -> int:
        return self.hits


@dataclass(frozen=True, slots=True)
class CacheFigures:
    """How the cache stands at a moment. ``week`` are seven UTC days, today the last."""

    entries: int
    bytes: int
    fresh: int
    expiring_5: int
    expiring_60: int
    today: Days
    week: Days
    types: list[Share]
    sources: list[Share]
    top: list[Top]
    largest: list[Top]


def cache_figures(now: datetime) -> CacheFigures:
    """Return the figures of the page: seven statements, whatever is kept."""

    def by(minutes: int) -> Q:
        return Q(expires_at__gt=now, expires_at__lte=now + timedelta(minutes=minutes))

    sums = ApiCacheEntry.objects.aggregate(
        entries=Count("id"),
        bytes=Coalesce(Sum("size_bytes"), 0),
        fresh=Count("id", filter=Q(expires_at__gt=now)),
        expiring_5=Count("id", filter=by(5)),
        expiring_60=Count("id", filter=by(60)),
    )
    return CacheFigures(
        **sums,
        today=days(now, 1),
        week=days(now, 7),
        types=shares("data_type"),
        sources=shares("api_source"),
        top=foremost("-hit_count"),
        largest=foremost("-size_bytes"),
    )


def days(now: datetime, count: int) -> Days:
    """Return what the last ``count`` UTC days counted."""
    first = now.date() - timedelta(days=count - 1)
    chosen = CacheDailyStats.objects.filter(date__gte=first, date__lte=now.date())
    names = Days.__dataclass_fields__
    return Days(**chosen.aggregate(**{name: Coalesce(Sum(f"total_{name}"), 0) for name in names}))


def shares(column: str) -> list[Share]:
    """Return the entries by a column, the largest first."""
    rows = ApiCacheEntry.objects.order_by().values_list(column)
    sums = rows.annotate(
        entries=Count("id"), bytes=Sum("size_bytes"), hits=Sum("hit_count")
    ).order_by("-bytes", column)
    return [Share(*row) for row in sums]


def foremost(order: str) -> list[Top]:
    """Return the entries that stand first in an order."""
    columns = ("id", "cache_key", "data_type", "api_source", "hit_count", "size_bytes")
    rows = ApiCacheEntry.objects.order_by(order, "id").values_list(*columns, "expires_at")
    return [Top(*row) for row in rows[:LISTED]]
