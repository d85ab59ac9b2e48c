"""What needs attention, worst first, each with the action that fits."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from apps.logs.choices import ErrorState, NotificationLevel
from apps.shared import display
from config.figures import counted, rows
from config.jobs import Job
from config.readings import MOST_GROUPS, MOST_IN_HOUR, MOST_WAITING, WRITER, Readings

# What comes in numbers is not to hide the rest.
MOST_OF_A_KIND = 4


@dataclass(frozen=True)
class Need:
    """Something that waits for a person; the greater ``weight``, the worse."""

    weight: int
    what: str
    why: str
    action: str
    url: str
    tone: str = "warning"


def late_jobs(now: Readings) -> Iterator[Need]:
    if not now.jobs_ran and not now.just_started:
        yield Need(
            90,
            "Worker and beat have not been seen",
            "No job of the schedule has succeeded yet, so nothing is fetched, tracked or judged.",
            "Open the schedule",
            rows("django_celery_beat_periodictask"),
            "danger",
        )
    for job in now.late_jobs:
        yield Need(
            100,
            f"{job.name.capitalize()}: late",
            job_words(job, now.at),
            "Open the schedule",
            rows("django_celery_beat_periodictask", q=job.name.replace(" ", "+")),
            "danger",
        )


def job_words(job: Job, at: datetime) -> str:
    """Return when a job last succeeded, and what it said when it did not."""
    if job.last_success:
        words = f"It last succeeded {display.span_words(at - job.last_success)} ago"
    else:
        words = "It has not succeeded yet: do worker and beat run?"
    words += f", due every {display.span_words(job.every)}." if job.last_success else ""
    return f"{words} {job.error}" if job.error else words


def unhealthy_feeds(now: Readings) -> Iterator[Need]:
    for feed in now.unhealthy_feeds:
        since = (
            f"last success {display.span_words(now.at - feed.last_success_at)} ago"
            if feed.last_success_at
            else "it never succeeded"
        )
        yield Need(
            80,
            f"Feed of {feed} fails",
            f"{feed.consecutive_failures} times in a row, {since}. {feed.last_error}",
            "Open the feed",
            reverse("admin:market_feed_change", args=[feed.pk]),
            "danger",
        )


def stale_series(now: Readings) -> Iterator[Need]:
    for symbol, series in now.stale_series:
        yield Need(
            60,
            f"{symbol} {series.granularity} from {series.source} is stale",
            f"Its last candle ended {display.span_words(now.at - series.known_until)} ago.",
            "Open the instrument",
            now.instrument_url(symbol),
        )


def waiting_checkpoints(now: Readings) -> Iterator[Need]:
    if now.waiting:
        yield Need(
            50,
            f"{now.waiting:,} alert{'s wait' if now.waiting > 1 else ' waits'} for candles",
            "A checkpoint has passed, and no candle near it has come.",
            "See the alerts",
            rows("alerts_alert", performance__status__exact="open"),
        )


def missing_checkpoints(now: Readings) -> Iterator[Need]:
    if now.missing:
        yield Need(
            30,
            f"{now.missing:,} checkpoint price{'s are' if now.missing > 1 else ' is'} missing",
            "In the last week the candles around them had gaps. Fill the gaps, then judge again.",
            "See the checkpoints",
            rows("alerts_trackedprice", status__exact="missing", timestamp_last="week"),
            "info",
        )


def bursting_errors(now: Readings) -> Iterator[Need]:
    if now.errors_burst:
        yield Need(
            85,
            f"{counted(now.errors_hour, MOST_IN_HOUR)} errors in the last hour",
            f"The usual hour of the day before had {now.errors_usual:,.0f}.",
            "See the errors",
            rows("logs_errorlog", timestamp_last="hour"),
            "danger",
        )


def open_errors(now: Readings) -> Iterator[Need]:
    for group in now.open_groups[:MOST_OF_A_KIND]:
        regressed = group.state == ErrorState.REGRESSED
        where = f" in {group.culprit}" if group.culprit else ""
        what = "came back after it was resolved" if regressed else "is new"
        last = display.span_words(now.at - group.last_seen)
        often = "once" if group.count == 1 else f"{group.count:,} times"
        yield Need(
            70 if regressed else 65,
            f"{group.error_type}{where} {what}",
            f"{often.capitalize()}, last {last} ago. {group.message[:200]}",
            "Look and resolve",
            reverse("admin:logs_errorgroup_change", args=[group.pk]),
            "danger" if regressed else "warning",
        )
    more = len(now.open_groups) - MOST_OF_A_KIND
    if more > 0:
        yield Need(
            64,
            f"{counted(more, MOST_GROUPS - MOST_OF_A_KIND)} more error groups are new",
            "Nobody has resolved or muted them.",
            "See the groups",
            rows("logs_errorgroup", state__exact="new"),
        )


def unseen_notifications(now: Readings) -> Iterator[Need]:
    # Errors are told of by their groups.
    alarming = [each for each in now.unseen_alarming if not each.what.startswith("error_")]
    for each in alarming[:MOST_OF_A_KIND]:
        critical = each.level == NotificationLevel.CRITICAL
        yield Need(
            75 if critical else 55,
            each.subject,
            f"Told {display.span_words(now.at - each.created_at)} ago, and nobody has seen it.",
            "Open",
            reverse("admin:logs_notification_change", args=[each.pk]),
            "danger" if critical else "warning",
        )
    more = len(alarming) - MOST_OF_A_KIND
    if more > 0:
        yield Need(
            54,
            f"{counted(more, MOST_WAITING - MOST_OF_A_KIND)} more notifications warn",
            "Nobody has seen them.",
            "See them",
            rows("logs_notification", seen="no"),
        )


def dropped_lines(now: Readings) -> Iterator[Need]:
    if now.dropped_lines:
        count = now.dropped_lines
        yield Need(
            72,
            f"{count:,} log line{'s were' if count > 1 else ' was'} dropped",
            "In the last 24 hours the database did not take them in time.",
            "See when",
            rows("logs_systemlog", logger_name=WRITER),
        )


def missing_months(now: Readings) -> Iterator[Need]:
    tables = now.tables_without_next_month
    if tables:
        yield Need(
            45,
            "Next month has no place of its own in the logs",
            f"Lines are kept all the same, but cannot be dropped by month: {', '.join(tables)}.",
            "Open the schedule",
            rows("django_celery_beat_periodictask"),
        )


NEEDS: list[tuple[str, Callable[[Readings], Iterator[Need]]]] = [
    ("django_celery_beat.view_periodictask", late_jobs),
    ("market.view_feed", unhealthy_feeds),
    ("market.view_instrument", stale_series),
    ("alerts.view_alert", waiting_checkpoints),
    ("alerts.view_trackedprice", missing_checkpoints),
    ("logs.view_errorlog", bursting_errors),
    ("logs.view_errorgroup", open_errors),
    ("logs.view_notification", unseen_notifications),
    ("logs.view_systemlog", dropped_lines),
    ("django_celery_beat.view_periodictask", missing_months),
]
