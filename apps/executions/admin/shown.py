"""How runs and steps look: their states, durations, progress, measures."""

from datetime import datetime, timedelta
from decimal import Decimal

from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.executions.choices import COLORS, ExecutionStatus, Health, StepStatus
from apps.executions.models import Execution, ExecutionStep
from apps.shared import display

# Ids that programs make end in what tells them apart.
LONGEST_ID, BEGINNING, END = 28, 14, 12
NOT_BEGUN = "It has not begun."
NOT_TOLD = "Not told by who runs it."
# From there on parts of a second say nothing any more, and from there on seconds.
SECONDS, MINUTES = timedelta(minutes=2), timedelta(minutes=10)


def short_id(execution_id: str) -> SafeString:
    """Return an id, a long one without its middle."""
    if len(execution_id) <= LONGEST_ID:
        return display.text(execution_id)
    return format_html(
        '<span title="{}">{}…{}</span>',
        display.visible(execution_id),
        display.visible(execution_id[:BEGINNING]),
        display.visible(execution_id[-END:]),
    )


def run_url(execution_id: str) -> str:
    """Return the address of the page of a run, however odd its id."""
    return reverse("admin:executions_execution_change", args=[quote(execution_id)])


def run_link(execution_id: str, *, whole: bool = False) -> SafeString:
    """Return the link to the page of a run."""
    url = run_url(execution_id)
    return display.link(url, display.text(execution_id) if whole else short_id(execution_id))


def state(run: Execution) -> SafeString:
    """Return the state of a run, and what is wrong with it."""
    status = ExecutionStatus(run.status)
    shown = display.badge(status.label, COLORS[status])
    troubled = trouble(run)
    return format_html("{} {}", shown, troubled) if troubled else shown


def trouble(run: Execution) -> SafeString | None:
    """Return the badge of what is wrong with a run as seen from outside, if anything is."""
    health = Health(run.health)
    if health == Health.OK:
        return None
    why = {
        Health.STUCK: "It is heard of, but makes no progress.",
        Health.LOST: "It was not heard of for longer than its lease.",
    }
    return display.badge(health.label, COLORS[health], why[health])


def step_state(step: ExecutionStep) -> SafeString:
    status = StepStatus(step.status)
    return display.badge(status.label, COLORS[status])


def span(length: timedelta) -> str:
    """Return how long something took, as exactly as that says something.

    >>> [span(timedelta(seconds=each)) for each in (0, 2.5, 182, 7_380)]
    ['0 s', '2.50 s', '3 min 02 s', '2 h 3 min']
    """
    if length >= MINUTES or not length:
        return display.span_words(length)
    if length >= SECONDS:
        minutes, rest = divmod(length // timedelta(seconds=1), 60)
        return f"{minutes} min {rest:02} s"
    return display.duration_words(Decimal(length // timedelta(microseconds=1)) / 1000)


def duration(
    start: datetime | None, end: datetime | None, now: datetime, reason: str = NOT_BEGUN
) -> SafeString:
    """Return how long something took, or has taken so far."""
    if start is None:
        return display.empty(reason, figure=True)
    taken = max((end or now) - start, timedelta(0))
    return display.figure(span(taken), "" if end else "So far.")


def seconds(value: Decimal | None, reason: str = "") -> SafeString:
    """Return a number of seconds in the unit that fits."""
    if value is None:
        return display.empty(reason, figure=True)
    return display.figure(span(timedelta(seconds=float(value))))


def percent_words(value: Decimal) -> str:
    return display.pct_words(value, signed=False, places=0 if value == value.to_integral() else 1)


def progress(value: Decimal) -> SafeString:
    """Return progress as a bar with its figure."""
    words = percent_words(value)
    return format_html(
        '<span class="b-progress"><progress max="100" value="{}">{}</progress>'
        '<span class="b-num">{}</span></span>',
        f"{value:.1f}",
        words,
        words,
    )


def measured(value: Decimal | None, unit: str, reason: str = NOT_TOLD) -> SafeString:
    """Return a measure to a tenth, whole on hover."""
    if value is None:
        return display.empty(reason)
    rounded = value.quantize(Decimal("0.1"))
    return display.figure(f"{display.grouped(rounded)} {unit}", f"{display.grouped(value)} {unit}")
