"""What needs attention, worst first, each with the action that fits."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from apps.shared import display
from config.figures import rows
from config.jobs import Job
from config.readings import Readings


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


NEEDS: list[tuple[str, Callable[[Readings], Iterator[Need]]]] = [
    ("django_celery_beat.view_periodictask", late_jobs),
    ("market.view_feed", unhealthy_feeds),
    ("market.view_instrument", stale_series),
    ("alerts.view_alert", waiting_checkpoints),
    ("alerts.view_trackedprice", missing_checkpoints),
]
