"""Where the pages of entries and traces are, and the links that lead there."""

from urllib.parse import urlencode

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.logs.choices import ActivitySource
from apps.logs.models import ErrorLog, PerformanceLog, SystemLog, TradingEvent, UserActionLog
from apps.shared import display
from apps.shared.correlation import ACCEPTED

MODELS = {
    ActivitySource.SYSTEM_LOG: SystemLog,
    ActivitySource.TRADING_EVENT: TradingEvent,
    ActivitySource.PERFORMANCE: PerformanceLog,
    ActivitySource.ERROR: ErrorLog,
    ActivitySource.USER_ACTION: UserActionLog,
}
SHOWN_OF_AN_ID = 12
NO_TRACE = "Nothing is known of its cause: no correlation id came along."


def trace_url(correlation_id: str) -> str:
    """Return the address of a trace, however odd the id that somebody sent."""
    if ACCEPTED.fullmatch(correlation_id):
        return reverse("trace-page", args=[correlation_id])
    return f"{reverse('trace-search')}?{urlencode({'id': correlation_id})}"


def trace_link(correlation_id: str, reason: str = "", *, whole: bool = False) -> SafeString:
    """Return a correlation id, else its beginning, as the link to everything of that cause."""
    if not correlation_id:
        return display.empty(reason or NO_TRACE)
    short = correlation_id if whole else correlation_id[:SHOWN_OF_AN_ID]
    return format_html(
        '<a class="b-link b-trace" href="{}" title="Trace {}">{}{}</a>',
        trace_url(correlation_id),
        display.visible(correlation_id),
        display.visible(short),
        "…" if short != correlation_id else "",
    )


def entry_url(source: str, pk: int) -> str:
    """Return the page of the entry that a line of the activity stands for."""
    model = MODELS[ActivitySource(source)]
    return reverse(f"admin:logs_{model._meta.model_name}_change", args=[pk])
