"""What needs attention, worst first, each with the action that fits."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from apps.executions.admin.shown import run_url
from apps.executions.choices import ExecutionStatus, Health
from apps.executions.models import Execution
from apps.logs.choices import ErrorState, NotificationLevel
from apps.shared import display
from config.figures import counted, rows
from config.jobs import Job
from config.readings import (
    MOST_GROUPS,
    MOST_IN_HOUR,
    MOST_TROUBLED_RUNS,
    MOST_WAITING,
    WRITER,
    Readings,
)

# What comes in numbers is not to hide the rest.
MOST_OF_A_KIND = 4
# Kinds of notifications whose cause is named here by itself.
TOLD_OTHERWISE = ("error_", "execution_", "retention_", "archive_")


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


def stuck_runs(now: Readings) -> Iterator[Need]:
    for run in now.runs_stuck[:MOST_OF_A_KIND]:
        since = run.progressed_at or run.timestamp_start or run.created_at
        where = f" It says: {run.current_operation}" if run.current_operation else ""
        yield Need(
            68,
            f"{run_words(run)} is stuck",
            f"No progress for {display.span_words(now.at - since)}, yet it is heard of.{where}",
            "Look at it",
            run_url(run.execution_id),
        )
    yield from more_runs(now.runs_stuck, 67, "are stuck", health=Health.STUCK)


def lost_runs(now: Readings) -> Iterator[Need]:
    for run in now.runs_lost[:MOST_OF_A_KIND]:
        heard = run.heartbeat_at or run.timestamp_start or run.created_at
        yield Need(
            78,
            f"{run_words(run)} is lost",
            f"Last heard of {display.span_words(now.at - heard)} ago; it was given up.",
            "Look and retry",
            run_url(run.execution_id),
            "danger",
        )
    yield from more_runs(now.runs_lost, 77, "are lost", health=Health.LOST)


def failed_runs(now: Readings) -> Iterator[Need]:
    failed = [run for run in now.runs_failed if run.health != Health.LOST]
    for run in failed[:MOST_OF_A_KIND]:
        ended = run.timestamp_end or now.at
        said = getattr(run, "said", None) or "It did not say why."
        yield Need(
            62,
            f"{run_words(run)} failed",
            f"{display.span_words(now.at - ended)} ago. {said}",
            "Look and retry",
            run_url(run.execution_id),
        )
    yield from more_runs(failed, 61, "failed", status__exact=ExecutionStatus.FAILED)


def untaken_runs(now: Readings) -> Iterator[Need]:
    if now.runs_untaken:
        first, count = now.runs_untaken[0], len(now.runs_untaken)
        alone = count == 1
        many = f"{counted(count, MOST_TROUBLED_RUNS)} runs wait for a worker"
        waits = display.span_words(now.at - first.created_at)
        yield Need(
            66,
            f"{run_words(first)} waits for a worker" if alone else many,
            f"Nobody has taken {'it' if alone else 'the first of them'} up for {waits}:"
            " is a worker running?",
            "Look at it" if alone else "See the runs",
            run_url(first.execution_id)
            if alone
            else rows("executions_execution", status__exact=ExecutionStatus.PENDING),
        )


def run_words(run: Execution) -> str:
    """Return what a person calls a run."""
    return f"{run.execution_type} {run.symbol}".strip()


def more_runs(runs: Sequence[Execution], weight: int, what: str, **filters: str) -> Iterator[Need]:
    more = len(runs) - MOST_OF_A_KIND
    if more > 0:
        yield Need(
            weight,
            f"{counted(more, MOST_TROUBLED_RUNS - MOST_OF_A_KIND)} more runs {what}",
            "They are listed, newest first.",
            "See the runs",
            rows("executions_execution", **filters),
        )


def unseen_notifications(now: Readings) -> Iterator[Need]:
    # Errors are told of by their groups; runs, bots and limits by themselves.
    alarming = [
        each
        for each in now.unseen_alarming
        if not each.what.startswith(TOLD_OTHERWISE) and each.link not in now.told_links
    ]
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
    ("executions.view_execution", lost_runs),
    ("executions.view_execution", stuck_runs),
    ("executions.view_execution", untaken_runs),
    ("executions.view_execution", failed_runs),
    ("logs.view_errorlog", bursting_errors),
    ("logs.view_errorgroup", open_errors),
    ("logs.view_notification", unseen_notifications),
    ("logs.view_systemlog", dropped_lines),
    ("django_celery_beat.view_periodictask", missing_months),
]
