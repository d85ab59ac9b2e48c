"""What the desk reads: each reading one bounded query, asked for at most once."""

from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property

from django.db.models import Count
from django.db.models.functions import TruncHour
from django.urls import reverse

from apps.alerts import services
from apps.alerts.choices import CheckpointStatus, PerformanceStatus
from apps.alerts.domain.scorecard import FEW, ScorecardRow
from apps.alerts.models import Alert, AlertPerformance, TrackedPrice
from apps.market.choices import Freshness
from apps.market.domain.candles import Series
from apps.market.domain.freshness import freshness
from apps.market.models import Candle, Feed, Instrument
from apps.shared.admin.reads import About, estimate
from apps.shared.quant.intervals import wilson
from config.jobs import Job, jobs

DAY, WEEK, MONTH = timedelta(days=1), timedelta(days=7), timedelta(days=30)
MOST_SERIES = 1_000
MOST_FEEDS = 20
NEWEST = 8
# A checkpoint that has just passed is taken within a minute or two.
CHECKPOINT_GRACE = timedelta(minutes=15)


class Readings:
    """The state of everything at one moment."""

    FEW = FEW

    def __init__(self, at: datetime) -> None:
        self.at = at

    @property
    def hour(self) -> datetime:
        return self.at.replace(minute=0, second=0, microsecond=0)

    # --- alerts ---------------------------------------------------------------------------

    @cached_property
    def alerts_open(self) -> int:
        return AlertPerformance.objects.filter(status=PerformanceStatus.OPEN).count()

    @cached_property
    def alerts_day(self) -> int:
        return Alert.objects.filter(timestamp__gte=self.at - DAY, timestamp__lte=self.at).count()

    @cached_property
    def scorecard(self) -> list[ScorecardRow]:
        """One row per strategy, over the alerts of the last 30 days."""
        filters = services.Filters(timestamp_after=self.at - MONTH)
        return services.scorecard(by="strategy", filters=filters)

    @property
    def decided(self) -> tuple[int, int]:
        """Return how many alerts of 30 days are decided, and how many of them succeeded."""
        return sum(row.n for row in self.scorecard), sum(row.hits for row in self.scorecard)

    @property
    def hit_interval(self) -> tuple[Decimal, Decimal] | None:
        n, hits = self.decided
        found = wilson(hits, n)
        return (found.low, found.high) if found else None

    @cached_property
    def waiting(self) -> int:
        due = self.at - CHECKPOINT_GRACE
        return AlertPerformance.objects.filter(
            status=PerformanceStatus.OPEN, next_checkpoint_at__lt=due
        ).count()

    @cached_property
    def missing(self) -> int:
        return TrackedPrice.objects.filter(
            status=CheckpointStatus.MISSING, timestamp__gte=self.at - WEEK
        ).count()

    @cached_property
    def alerts_by_hour(self) -> dict[datetime, int]:
        return self.by_hour(Alert)

    @cached_property
    def prices_by_hour(self) -> dict[datetime, int]:
        return self.by_hour(TrackedPrice)

    def by_hour(self, model: type[Alert] | type[TrackedPrice]) -> dict[datetime, int]:
        since = self.hour - timedelta(hours=23)
        found = (
            model.objects.filter(timestamp__gte=since, timestamp__lte=self.at)
            .annotate(hour=TruncHour("timestamp"))
            .values("hour")
            .annotate(n=Count("pk"))
            .values_list("hour", "n")
        )
        return dict(found)

    @cached_property
    def newest_alerts(self) -> list[Alert]:
        return list(
            Alert.objects.select_related("performance").order_by("-timestamp", "-id")[:NEWEST]
        )

    # --- market ---------------------------------------------------------------------------

    @cached_property
    def all_series(self) -> list[tuple[str, Series]]:
        return Candle.objects.all_series(limit=MOST_SERIES)

    @cached_property
    def instruments(self) -> dict[str, Instrument]:
        symbols = {symbol for symbol, _ in self.all_series}
        found = Instrument.objects.filter(symbol__in=symbols, active=True)
        return {each.symbol: each for each in found.only("symbol", "asset_class")}

    @cached_property
    def feeds(self) -> list[Feed]:
        return list(Feed.objects.filter(enabled=True))

    @property
    def unhealthy_feeds(self) -> list[Feed]:
        unhealthy = [feed for feed in self.feeds if feed.state == "unhealthy"]
        return unhealthy[:MOST_FEEDS]

    @property
    def symbols(self) -> set[str]:
        return {symbol for symbol, _ in self.all_series} & set(self.instruments)

    @cached_property
    def stale_series(self) -> list[tuple[str, Series]]:
        """The series of active instruments that should have gone on, the longest silent first."""
        fetched = {(feed.symbol, feed.source, feed.granularity) for feed in self.feeds}
        stale = [
            (symbol, series)
            for symbol, series in self.all_series
            if symbol in self.instruments
            and freshness(
                series,
                asset_class=self.instruments[symbol].asset_class,
                fetched=(symbol, series.source, series.granularity) in fetched,
                now=self.at,
            )
            == Freshness.STALE
        ]
        return sorted(stale, key=lambda each: each[1].known_until)

    @property
    def stale_symbols(self) -> set[str]:
        return {symbol for symbol, _ in self.stale_series}

    def instrument_url(self, symbol: str) -> str:
        return reverse("admin:market_instrument_change", args=[self.instruments[symbol].pk])

    @cached_property
    def candles(self) -> About:
        return estimate(Candle.objects.all())

    @cached_property
    def newest_candle(self) -> datetime | None:
        return (
            Candle.objects.order_by("-timestamp", "-id").values_list("timestamp", flat=True).first()
        )

    # --- our own jobs ---------------------------------------------------------------------

    @cached_property
    def jobs(self) -> list[Job]:
        return jobs(now=self.at)

    @property
    def jobs_ran(self) -> bool:
        """Whether any job of ours is known to have succeeded: worker and beat were seen."""
        return any(job.last_success for job in self.jobs)

    @property
    def just_started(self) -> bool:
        """Whether a beat is there whose first ticks are still to come."""
        return all(job.scheduled and not job.late for job in self.jobs)

    @property
    def late_jobs(self) -> list[Job]:
        return [job for job in self.jobs if job.late]
