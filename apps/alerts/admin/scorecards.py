"""The scorecard page: how good groups of alerts were, with n and the reason of every gap."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from apps.alerts import services
from apps.alerts.domain.scorecard import ScorecardRow
from apps.shared import display
from apps.shared.admin.periods import PERIODS
from apps.shared.quant.scorecards import FEW, Quantiles

GROUPINGS = {
    "strategy": "Strategy",
    "symbol": "Symbol",
    "timeframe": "Timeframe",
    "direction": "Direction",
    "confidence_band": "Confidence",
}
SPANS = ["week", "month", "all"]
# What the rows of a group can be listed by.
LISTED_BY = {
    "strategy": "strategy",
    "symbol": "symbol",
    "timeframe": "timeframe",
    "direction": "direction__exact",
}
NAMELESS = {"confidence_band": "Not named"}
MOST_ROWS = 200


def scorecard_page(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """Answer with the scorecard counted up by what is asked for, over the span asked for."""
    if not request.user.has_perm("alerts.view_alertperformance"):
        raise PermissionDenied
    by = request.GET.get("by", "strategy")
    by = by if by in GROUPINGS else "strategy"
    span = request.GET.get("span", "all")
    span = span if span in SPANS else "all"
    length: timedelta | None = PERIODS[span][1]
    after = timezone.now() - length if length else None
    filters = services.Filters(timestamp_after=after)
    rows = services.scorecard(by=by, filters=filters)
    whole = services.scorecard(by="all", filters=filters)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Scorecard",
        "by": by,
        "span": span,
        "by_links": [
            {"label": label, "active": key == by, "url": query(by=key, span=span)}
            for key, label in GROUPINGS.items()
        ],
        "span_links": [
            {"label": PERIODS[key][0], "active": key == span, "url": query(by=by, span=key)}
            for key in SPANS
        ],
        "card": scorecard_table(rows[:MOST_ROWS], by=by, span=span),
        "left_out": max(len(rows) - MOST_ROWS, 0),
        "whole": whole[0] if whole else None,
        "calibration": calibration_lines(whole[0]) if whole else [],
        "few": FEW,
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/alerts/scorecard.html", context)


def query(**parameters: str) -> str:
    return f"?{urlencode(parameters)}"


def share(value: Decimal | None, reason: str = "") -> SafeString:
    """Return a share between 0 and 1 as percent."""
    if value is None:
        return display.empty(reason)
    return display.figure(display.pct_words(value * 100, signed=False, places=1))


def scorecard_table(rows: Sequence[ScorecardRow], *, by: str, span: str = "all") -> dict[str, Any]:
    """Return the table: its horizons, and one line per group."""
    return {
        "by": GROUPINGS[by],
        "hours": [horizon.hours for horizon in rows[0].horizons] if rows else [],
        "lines": [scorecard_line(row, by=by, span=span) for row in rows],
    }


def scorecard_line(row: ScorecardRow, *, by: str, span: str) -> dict[str, Any]:
    reasons = row.reasons
    low, high = row.hit_rate_low, row.hit_rate_high
    return {
        "name": row.key or NAMELESS.get(by, "None named"),
        "url": rows_url(row.key, by=by, span=span),
        "row": row,
        "few": row.few,
        "hit_rate": share(row.hit_rate, reasons.get("hit_rate", "")),
        "interval": None
        if low is None or high is None or row.hit_rate is None
        else {
            "words": f"{low * 100:.0f}–{high * 100:.0f} %",
            "left": f"{low * 100:.1f}",
            "width": f"{(high - low) * 100:.1f}",
            "at": f"{row.hit_rate * 100:.1f}",
        },
        "horizons": [
            {
                "mean": display.signed_pct(each.mean, reasons.get(f"horizons/{each.hours}", "")),
                "median": display.signed_pct(
                    each.median, reasons.get(f"horizons/{each.hours}", "")
                ),
                "n": each.n,
                "hours": each.hours,
            }
            for each in row.horizons
        ],
        "max_gain": quantiles(row.max_gain, reasons.get("max_gain", "")),
        "max_loss": quantiles(row.max_loss, reasons.get("max_loss", "")),
        "to_target": display.empty(reasons["seconds_to_target"])
        if row.seconds_to_target is None
        else display.span_words(timedelta(seconds=float(row.seconds_to_target))),
        "brier": display.empty(reasons["brier"])
        if row.brier is None
        else display.figure(f"{row.brier:.3f}"),
    }


def quantiles(values: Quantiles, reason: str) -> dict[str, Any]:
    """Return the median excursion, and its 10 % and 90 % quantiles in words."""
    if values.p50 is None or values.p10 is None or values.p90 is None:
        return {"median": display.empty(reason)}
    low, high = (display.pct_words(each, places=1)[:-2] for each in (values.p10, values.p90))
    return {"median": display.signed_pct(values.p50), "spread": f"{low} … {high}"}


def rows_url(key: str, *, by: str, span: str) -> str:
    """Return the address of the alerts that were counted, empty where no filter names them."""
    if by not in LISTED_BY or not key:
        return ""
    listed = {LISTED_BY[by]: key} | ({} if span == "all" else {"timestamp_last": span})
    return f"{reverse('admin:alerts_alert_changelist')}{query(**listed)}"


def calibration_lines(row: ScorecardRow) -> list[dict[str, Any]]:
    """Return the reliability table: claimed confidence beside what came true."""
    return [
        {
            "band": f"{band.low * 100:.0f}–{band.high * 100:.0f} %",
            "n": band.n,
            "few": band.n < FEW,
            "claimed": share(band.mean_confidence),
            "hit_rate": share(band.hit_rate),
        }
        for band in row.reliability
        if band.n
    ]
