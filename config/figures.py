"""The figures of the desk, each with the address of the rows behind it."""

from collections.abc import Callable
from dataclasses import dataclass

from django.urls import reverse

from apps.executions.choices import ExecutionStatus, Health
from apps.shared import display
from config.readings import MOST_IN_HOUR, MOST_RUNS, MOST_RUNS_ENDED, MOST_WAITING, Readings


@dataclass(frozen=True)
class Figure:
    """A number, and the address of the rows behind it."""

    label: str
    value: str
    under: str
    url: str
    tone: str = ""
    title: str = ""


def rows(name: str, **filters: str) -> str:
    """Return the address of a list under its filters."""
    query = "&".join(f"{key}={value}" for key, value in filters.items())
    return reverse(f"admin:{name}_changelist") + (f"?{query}" if query else "")


def tracked(now: Readings) -> Figure:
    return Figure(
        "Alerts tracked",
        f"{now.alerts_open:,}",
        "prices still to come",
        rows("alerts_alert", performance__status__exact="open"),
    )


def hit_rate(now: Readings) -> Figure:
    n, hits = now.decided
    rate = f"{hits / n * 100:.1f} %" if n else display.EMPTY
    under = f"of {n:,} decided" if n else "none decided yet"
    title = "Successes among the settled and decided alerts of the last 30 days."
    if now.hit_interval:
        low, high = now.hit_interval
        title += f" Wilson 95 % interval: {low * 100:.0f} to {high * 100:.0f} %."
    few = "b-quiet" if n < now.FEW else ""
    return Figure(
        "Hit rate, 30 days",
        rate,
        under,
        reverse("admin:alerts_scorecard") + "?span=month",
        few,
        title,
    )


def raised(now: Readings) -> Figure:
    return Figure(
        "Alerts, last 24 h",
        f"{now.alerts_day:,}",
        "raised",
        rows("alerts_alert", timestamp_last="day"),
    )


def stale(now: Readings) -> Figure:
    count, all_of_them = len(now.stale_symbols), len(now.symbols)
    under = f"of {all_of_them:,} with candles" if all_of_them else "no candles yet"
    tone = "b-loss" if count else ""
    url = rows("market_instrument")
    return Figure("Instruments stale", f"{count:,}", under, url, tone)


def candles(now: Readings) -> Figure:
    newest = now.newest_candle
    under = f"newest began {display.span_words(now.at - newest)} ago" if newest else "none yet"
    url = rows("market_candle", timestamp_last="all")
    title = "An estimate of the database, which does not count them."
    # The planner guesses a few rows for an empty table too.
    stored = str(now.candles) if newest else "0"
    return Figure("Candles stored", stored, under, url, title=title if newest else "")


def counted(count: int, most: int) -> str:
    """Return a count that went no further than ``most``."""
    return f"{count:,}+" if count >= most else f"{count:,}"


def running(now: Readings) -> Figure:
    count, stuck = now.runs_running.total(), now.runs_running[Health.STUCK]
    under = f"{stuck:,} of them stuck" if stuck else "none stuck" if count else "nothing goes on"
    url = rows("executions_execution", status__exact=ExecutionStatus.RUNNING)
    if stuck:
        url = rows("executions_execution", health=Health.STUCK)
    tone = "b-warn" if stuck else ""
    return Figure("Runs running", counted(count, MOST_RUNS), under, url, tone)


def failed(now: Readings) -> Figure:
    ended = now.runs_ended_today
    count, in_part = ended[ExecutionStatus.FAILED], ended[ExecutionStatus.PARTIAL_SUCCESS]
    total = ended.total()
    under = f"of {counted(total, MOST_RUNS_ENDED)} ended" if total else "none ended"
    under += f", {in_part:,} more in part" if in_part else ""
    url = rows(
        "executions_execution",
        status__exact=ExecutionStatus.FAILED,
        timestamp_end_after=f"{now.midnight:%Y-%m-%d}",
    )
    tone = "b-loss" if count else ""
    return Figure("Runs failed today", f"{count:,}", under, url, tone, "Since midnight UTC.")


def errors(now: Readings) -> Figure:
    count = now.errors_hour
    under = f"usually {now.errors_usual:,.0f} an hour"
    url = rows("logs_errorlog", timestamp_last="hour")
    title = "Those of muted groups are left out. Usual: the median hour of the day before."
    tone = "b-loss" if now.errors_burst else ""
    return Figure("Errors, last hour", counted(count, MOST_IN_HOUR), under, url, tone, title)


def unseen(now: Readings) -> Figure:
    count, alarming = len(now.unseen), len(now.unseen_alarming)
    under = f"{alarming:,} of them warn" if alarming else "none of them warns"
    url = rows("logs_notification", seen="no")
    tone = "b-warn" if alarming else ""
    return Figure(
        "Unseen notifications",
        counted(count, MOST_WAITING),
        under if count else "all seen",
        url,
        tone,
    )


def jobs(now: Readings) -> Figure:
    late, known = len(now.late_jobs), len(now.jobs)
    url = rows("django_celery_beat_periodictask")
    if not late and not now.jobs_ran:
        why = "Nothing is late yet, but no job is known to have succeeded: do worker and beat run?"
        return Figure("Own jobs late", display.EMPTY, "none has run yet", url, "b-quiet", why)
    under = f"of {known} on the schedule" if now.jobs_ran else "none has run yet"
    return Figure("Own jobs late", f"{late:,}", under, url, "b-loss" if late else "")


FIGURES: list[tuple[str, Callable[[Readings], Figure]]] = [
    ("alerts.view_alert", tracked),
    ("alerts.view_alertperformance", hit_rate),
    ("alerts.view_alert", raised),
    ("market.view_instrument", stale),
    ("market.view_candle", candles),
    ("executions.view_execution", running),
    ("executions.view_execution", failed),
    ("logs.view_errorlog", errors),
    ("logs.view_notification", unseen),
    ("django_celery_beat.view_periodictask", jobs),
]
