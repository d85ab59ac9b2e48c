"""How figures of analyses look: fractions as percent, ratios, counts, each with its sign."""

from decimal import Decimal
from typing import Any

from django.db.models import F, OrderBy
from django.http import HttpRequest, QueryDict
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.analysis.choices import COLORS, AnalysisStatus, Origin, OutcomeStatus
from apps.analysis.models import Analysis, ModelOutcome
from apps.executions.admin.shown import run_url
from apps.market.choices import Granularity
from apps.shared import display
from apps.shared.admin.filters import NumberRangeFilter, TextFilter
from apps.shared.quant.performance import DEFINITIONS, Unit, unit_of

MINUS = "\u2212"
# Beyond that digits are a wall: 1.2e+15 says as much.
LARGEST = 1e9
# Below that two places say too little.
LEAST = 0.1
# What words of a name are written with capitals of their own.
WRITTEN = {"btc": "BTC", "95": "95 %"}
# Ratios whose sign tells good from bad; of the others the measure is 1, or there is none.
SIGNED_RATIOS = {"sharpe_ratio", "sortino_ratio", "calmar_ratio", "sharpe_per_trade"}
# Ids of runs are long and end in what tells them apart.
END_OF_ID = 6


def words(name: str) -> str:
    """Return the name of a figure as a person reads it.

    >>> words("sharpe_ratio"), words("value_at_risk_95")
    ('Sharpe ratio', 'Value at risk 95 %')
    """
    found = " ".join(WRITTEN.get(word, word) for word in name.split("_"))
    return found[:1].upper() + found[1:]


def digits(value: float, places: int) -> str:
    """Return a number to so many places, with a real minus sign and thousands apart."""
    size = abs(value)
    shown = f"{size:.3g}" if size >= LARGEST else f"{size:,.{places}f}"
    # What rounds to zero has no sign.
    return f"{MINUS if value < 0 and float(shown.replace(',', '')) else ''}{shown}"


def toned(shown: str, exact: str, *, plus: bool) -> SafeString:
    """Return a figure whose sign means gain or loss, the whole number on hover."""
    tone = ""
    if shown.startswith(MINUS):
        tone = "b-loss"
    elif any(each in shown for each in "123456789"):
        tone, shown = "b-gain", f"+{shown}" if plus else shown
    return format_html('<span class="b-num {}" title="{}">{}</span>', tone, exact, shown)


def signed_share(value: float | None, reason: str = "") -> SafeString:
    """Return a fraction as signed percent: a return, a drawdown."""
    if value is None:
        return display.empty(reason, figure=True)
    return toned(f"{digits(value * 100, 2)} %", f"{value!r} as a fraction", plus=True)


def share(value: float | None, reason: str = "") -> SafeString:
    """Return a fraction as percent: a win rate."""
    if value is None:
        return display.empty(reason, figure=True)
    return display.figure(f"{digits(value * 100, 1)} %")


def signed_ratio(value: float | None, reason: str = "") -> SafeString:
    """Return a ratio whose sign means good or bad: Sharpe, Sortino."""
    if value is None:
        return display.empty(reason, figure=True)
    return toned(digits(value, 2), repr(value), plus=False)


def ratio(value: float | None, reason: str = "") -> SafeString:
    """Return a number without a meaning of its sign."""
    if value is None:
        return display.empty(reason, figure=True)
    size = abs(value)
    few = f"{size:.3g}" if 0 < size < LEAST else digits(size, 2)
    return display.figure(f"{MINUS if value < 0 else ''}{few}", repr(value))


def weight(value: float | None, reason: str = "") -> SafeString:
    """Return an importance: small numbers that are compared with each other."""
    if value is None:
        return display.empty(reason, figure=True)
    return display.figure(digits(value, 4), repr(value))


def times(value: float | Decimal | None, reason: str = "") -> SafeString:
    """Return a leverage to two places, the whole number on hover."""
    if value is None:
        return display.empty(reason, figure=True)
    exact = display.grouped(value) if isinstance(value, Decimal) else repr(value)
    return display.figure(f"{digits(float(value), 2)}×", f"{exact}×")


def figure_of(name: str, value: float | None, reason: str = "") -> SafeString:
    """Return a figure of the performance tables in its unit; an unknown name as a number."""
    if value is None:
        return display.empty(reason, figure=True)
    if name not in DEFINITIONS:
        return ratio(value)
    unit = unit_of(name)
    if unit == Unit.COUNT:
        return display.figure(f"{value:,.0f}")
    if unit == Unit.RATIO:
        return signed_ratio(value) if name in SIGNED_RATIOS else ratio(value)
    return share(value) if name in ("win_rate", "annual_volatility") else signed_share(value)


# --- Badges -------------------------------------------------------------------------------

WHOSE = {
    Origin.NONE: "It has no figures yet.",
    Origin.COMPUTED: "Computed here from its trades.",
    Origin.REPORTED: "As a program reported them; there are no trades to compute them from.",
}


LISTED = {Origin.NONE: "None", Origin.COMPUTED: "Computed", Origin.REPORTED: "Reported"}


def short_origin(analysis: Analysis) -> SafeString:
    """Return whose figures an analysis shows, in the one word that a list has room for."""
    found = Origin(analysis.origin)
    return display.badge(LISTED[found], COLORS[found], WHOSE[found])


def origin(analysis: Analysis) -> SafeString:
    """Return whose figures an analysis shows."""
    found = Origin(analysis.origin)
    return display.badge(found.label, COLORS[found], WHOSE[found])


def run_end(execution_id: str) -> SafeString:
    """Return the link to a run by the end of its id, the whole on hover."""
    visible = display.visible(execution_id)
    words = visible if len(visible) <= 2 * END_OF_ID else f"…{visible[-END_OF_ID:]}"
    return display.link(
        run_url(execution_id), format_html('<span title="{}">{}</span>', visible, words)
    )


def status(analysis: Analysis) -> SafeString:
    found = AnalysisStatus(analysis.status)
    return display.badge(found.label, COLORS[found])


def outcome(found: ModelOutcome | None) -> SafeString:
    """Return what became of a prediction or signal in one badge."""
    if found is None:
        return display.empty("Nothing is judged of it.")
    if found.status == OutcomeStatus.OPEN:
        return display.badge("Open", COLORS[OutcomeStatus.OPEN], "Its horizon is still to come.")
    if found.status == OutcomeStatus.NO_CLAIM:
        return display.badge("No claim", COLORS[OutcomeStatus.NO_CLAIM], found.note)
    if found.is_hit is None:
        return display.badge("Undecided", "warning", found.note)
    if found.is_hit:
        return display.badge("Hit", "success", "The price moved as it said.")
    return display.badge("Miss", "danger", "The price did not move as it said.")


def analysis_url(analysis: Analysis) -> str:
    return reverse("admin:analysis_analysis_change", args=[analysis.pk])


# --- Lists --------------------------------------------------------------------------------


class EmptyLast(F):
    """A column to sort by with what is not known at the end, whichever way."""

    def asc(self, **kwargs: Any) -> OrderBy:
        return super().asc(**kwargs | {"nulls_last": True})

    def desc(self, **kwargs: Any) -> OrderBy:
        return super().desc(**kwargs | {"nulls_last": True})


class ShareFilter(NumberRangeFilter):
    """A fraction between two bounds, which may be written in percent: 0.55 or 55 %."""

    @staticmethod
    def parse(text: str) -> Decimal | None:
        number = NumberRangeFilter.parse(text.removesuffix("%").strip().replace(MINUS, "-"))
        if number is None:
            return None
        return number / 100 if text.endswith("%") else number

    def inputs(self) -> list[dict[str, Any]]:
        # A keyboard for digits alone has no sign for percent.
        return [each | {"kind": "", "hint": "0.55 or 55 %"} for each in super().inputs()]


class TimeframeFilter(TextFilter):
    """A timeframe; those in use are suggested."""

    def inputs(self) -> list[dict[str, Any]]:
        return [each | {"suggestions": list(Granularity.values)} for each in super().inputs()]


def query(request: HttpRequest, **changes: Any) -> str:
    """Return the query of this page with some parameters changed, ``None`` taking one out."""
    found: QueryDict = request.GET.copy()
    for name, value in changes.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = str(value)
    return f"?{found.urlencode()}"
