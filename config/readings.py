"""What the desk reads: each reading one bounded query, asked for at most once."""

from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from statistics import median
from typing import Any

from django.db import connection
from django.db.models import Count, QuerySet
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Left, TruncHour
from django.urls import reverse

from apps.alerts import services
from apps.alerts.choices import CheckpointStatus, PerformanceStatus
from apps.alerts.domain.scorecard import ScorecardRow
from apps.alerts.models import Alert, AlertPerformance, TrackedPrice
from apps.executions.choices import ExecutionStatus, Health
from apps.executions.models import Execution
from apps.logs.choices import ActivitySource, ErrorState, NotificationLevel, Severity
from apps.logs.models import (
    ENTRIES,
    ErrorGroup,
    ErrorLog,
    Notification,
    RecentActivity,
    SystemLog,
    UserActionLog,
)
from apps.market.choices import Freshness
from apps.market.domain.candles import Series
from apps.market.domain.freshness import freshness
from apps.market.models import Candle, Feed, Instrument
from apps.shared.admin.reads import About, counts_in_slots, estimate
from apps.shared.partitions import month_of, next_month, partition_name
from apps.shared.quant.intervals import wilson
from apps.shared.quant.scorecards import FEW
from config.agent_readings import AgentReadings
from config.bot_readings import BotReadings
from config.jobs import Job, jobs
from config.market_readings import MarketReadings
from config.retention_readings import RetentionReadings

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WEEK, MONTH = timedelta(days=7), timedelta(days=30)
MOST_SERIES = 1_000
MOST_FEEDS = 20
NEWEST = 8
NEWEST_ACTIVITY = 12
DESCRIPTION_READ = 160
# Each is a count that goes no further, so that a flood costs the desk no more than this.
MOST_IN_HOUR, MOST_WAITING = 10_000, 200
MOST_GROUPS = 20
MOST_RUNS, MOST_RUNS_ENDED = 1_000, 10_000
MOST_TROUBLED_RUNS = 50
# A run of ours that nobody has taken up for longer than that waits for a worker.
UNTAKEN_GRACE = timedelta(minutes=2)
# An hour of errors is a burst from here on, and from so many times the usual hour.
BURST_LEAST, BURST_TIMES = 10, 5
WRITER = "apps.logs.writer"
# The component of our own tasks among the operations.
TICKS = "celery"
# A checkpoint that has just passed is taken within a minute or two.
CHECKPOINT_GRACE = timedelta(minutes=15)


class Readings(AgentReadings, BotReadings, MarketReadings, RetentionReadings):
    """The state of everything at one moment."""

    FEW = FEW

    def __init__(self, at: datetime) -> None:
        self.at = at

    @property
    def hour(self) -> datetime:
        return self.at.replace(minute=0, second=0, microsecond=0)

    @property
    def told_links(self) -> set[str]:
        """Return the pages of what is named by itself: a notification of it would be the second."""
        return self.told_bot_links | self.told_agent_links

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

    # --- executions -----------------------------------------------------------------------

    @cached_property
    def runs_running(self) -> Counter[str]:
        """Return how many runs go on, by their health."""
        running = Execution.objects.running().values_list("health", flat=True)
        return Counter(running[:MOST_RUNS])

    @property
    def midnight(self) -> datetime:
        return self.at.replace(hour=0, minute=0, second=0, microsecond=0)

    @cached_property
    def runs_ended_today(self) -> Counter[str]:
        """Return how many runs have ended since midnight (UTC), by their state."""
        ended = Execution.objects.filter(timestamp_end__gte=self.midnight)
        return Counter(ended.values_list("status", flat=True)[:MOST_RUNS_ENDED])

    @cached_property
    def runs_stuck(self) -> list[Execution]:
        """Return the runs that are heard of and go nowhere, the longest stuck first."""
        stuck = Execution.objects.unhealthy().order_by("stuck_since", "pk")
        return list(self.told_of(stuck))

    @cached_property
    def runs_failed(self) -> list[Execution]:
        """Return the newest runs that failed in the last day and were not retried."""
        failed = Execution.objects.filter(
            status=ExecutionStatus.FAILED, timestamp_end__gte=self.at - DAY, retries__isnull=True
        )
        first_error = KeyTextTransform("error_message", KeyTransform("0", "errors"))
        read = self.told_of(failed.order_by("-timestamp_end", "pk"))
        return list(read.annotate(said=Left(first_error, DESCRIPTION_READ)))

    @property
    def runs_lost(self) -> list[Execution]:
        return [run for run in self.runs_failed if run.health == Health.LOST]

    @cached_property
    def runs_untaken(self) -> list[Execution]:
        """Return the runs of our own that wait for a worker, the longest waiting first."""
        waiting = Execution.objects.filter(
            status=ExecutionStatus.PENDING, created_at__lt=self.at - UNTAKEN_GRACE
        )
        return list(self.told_of(waiting.exclude(runner="").order_by("created_at", "pk")))

    @staticmethod
    def told_of(runs: QuerySet[Execution]) -> QuerySet[Execution]:
        """Return the first of the runs, without what may be long."""
        return runs.defer("errors", "metadata", "completed_tasks", "symbols")[:MOST_TROUBLED_RUNS]

    # --- logs -----------------------------------------------------------------------------

    @cached_property
    def errors_in_hours(self) -> list[int]:
        """Return the errors of the last 25 hours, hour by hour up to now; muted ones left out."""
        muted = ErrorGroup.objects.filter(state=ErrorState.MUTED).values("fingerprint")
        starts = [self.at - back * HOUR for back in range(25, 0, -1)]
        return counts_in_slots(
            ErrorLog.objects.exclude(fingerprint__in=muted),
            "timestamp",
            starts=starts,
            step=HOUR,
            most=MOST_IN_HOUR,
        )

    @property
    def errors_hour(self) -> int:
        return self.errors_in_hours[-1]

    @property
    def errors_usual(self) -> float:
        """Return the errors of the usual hour of the day before the last hour."""
        return median(self.errors_in_hours[:-1])

    @property
    def errors_burst(self) -> bool:
        return self.errors_hour >= max(BURST_LEAST, BURST_TIMES * self.errors_usual)

    @cached_property
    def errors_by_hour(self) -> list[int]:
        return self.by_clock_hour(ErrorLog.objects.all())

    @cached_property
    def requests_by_hour(self) -> list[int]:
        return self.by_clock_hour(UserActionLog.objects.all())

    @property
    def hours(self) -> list[datetime]:
        """Return the beginnings of the last 24 hours of the clock, the running one among them."""
        return [self.hour - back * HOUR for back in range(23, -1, -1)]

    def by_clock_hour(self, entries: QuerySet) -> list[int]:
        return counts_in_slots(
            entries, "timestamp", starts=self.hours, step=HOUR, most=MOST_IN_HOUR
        )

    @cached_property
    def open_groups(self) -> list[ErrorGroup]:
        """Return the newest error groups that wait for somebody, the worst first."""
        newest = ErrorGroup.objects.unsettled().order_by("-last_seen")[:MOST_GROUPS]
        return sorted(
            newest, key=lambda each: (each.state != ErrorState.REGRESSED, -each.count, each.pk)
        )

    @cached_property
    def unseen(self) -> list[Notification]:
        """Return the newest notifications that nobody has seen."""
        newest = Notification.objects.unseen().order_by("-created_at")
        return list(newest.defer("message")[:MOST_WAITING])

    @property
    def unseen_alarming(self) -> list[Notification]:
        return [each for each in self.unseen if each.level != NotificationLevel.INFO]

    @cached_property
    def dropped_lines(self) -> int:
        """Return how many log lines our own processes dropped in the last 24 hours."""
        told = SystemLog.objects.filter(logger_name=WRITER, timestamp__gte=self.at - DAY)
        counts = told.order_by("-timestamp").values_list("metadata__dropped", flat=True)[:1_000]
        return sum(count for count in counts if isinstance(count, int))

    @cached_property
    def tables_without_next_month(self) -> list[str]:
        month = next_month(month_of(self.at))
        named = {partition_name(model._meta.db_table, month): model for model in ENTRIES}
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NULL",
                [list(named)],
            )
            return sorted(named[name]._meta.db_table for (name,) in cursor.fetchall())

    @cached_property
    def newest_activity(self) -> list[Any]:
        day = RecentActivity.objects.filter(timestamp__gte=self.at - DAY)
        # Ticks of ours that went well would bury everything else.
        told = day.exclude(
            source=ActivitySource.PERFORMANCE, component=TICKS, severity=Severity.INFO
        )
        newest = told.defer("description", "metadata")
        read = newest.annotate(words=Left("description", DESCRIPTION_READ))
        return list(read.order_by("-timestamp", "-id")[:NEWEST_ACTIVITY])

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
