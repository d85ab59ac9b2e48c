"""The scorecard of models: how good their predictions and signals were, with n and why empty."""

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

from apps.analysis.domain.scorecard import ModelScorecardRow
from apps.analysis.services.scorecards import CLAIMS, Filters, model_scorecard
from apps.shared import display
from apps.shared.admin.charts import bar_chart
from apps.shared.admin.periods import PERIODS
from apps.shared.quant.scorecards import FEW, Quantiles, Scorecard

GROUPINGS = {
    "model_version": "Model",
    "symbol": "Symbol",
    "direction": "Direction",
    "confidence_band": "Confidence",
    "horizon_hours": "Horizon",
}
SPANS = ["week", "month", "all"]
KINDS = {"": "Both", "prediction": "Predictions", "signal": "Signals"}
# What the outcomes of a group can be listed by.
LISTED_BY = {
    "model_version": "model_version",
    "symbol": "symbol",
    "direction": "direction__exact",
}
MOST_ROWS = 200


def scorecard_page(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """Answer with the scorecard counted up by what is asked for, over the span asked for."""
    if not request.user.has_perm("analysis.view_modeloutcome"):
        raise PermissionDenied
    by = chosen(request, "by", GROUPINGS, "model_version")
    span = chosen(request, "span", SPANS, "all")
    claim = chosen(request, "claim", CLAIMS, "")
    length: timedelta | None = PERIODS[span][1]
    after = timezone.now() - length if length else None
    filters = Filters(moment_after=after, claim=claim)
    rows = model_scorecard(by=by, filters=filters)
    whole = model_scorecard(by="all", filters=filters)
    now = {"by": by, "span": span, "claim": claim}
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Model scorecard",
        "span": span,
        "by": GROUPINGS[by],
        "by_links": links("by", GROUPINGS, now),
        "claim_links": links("claim", KINDS, now),
        "span_links": links("span", {key: PERIODS[key][0] for key in SPANS}, now),
        "lines": [scorecard_line(row, by=by, span=span) for row in rows[:MOST_ROWS]],
        "left_out": max(len(rows) - MOST_ROWS, 0),
        "whole": whole[0] if whole else None,
        "reliability": reliability_lines(whole[0]) if whole else [],
        "chart": reliability_chart(whole[0]) if whole else None,
        "few": FEW,
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/analysis/scorecard.html", context)


def chosen(request: HttpRequest, name: str, offered: Any, usual: str) -> str:
    """Return what a parameter asks for, if it is offered."""
    asked = request.GET.get(name, usual)
    return asked if asked in offered else usual


def links(name: str, offered: dict[str, str], now: dict[str, str]) -> list[dict[str, Any]]:
    """Return a switch: an address for each value of a parameter, the others as they are."""
    return [
        {"label": label, "active": now[name] == key, "url": f"?{urlencode(now | {name: key})}"}
        for key, label in offered.items()
    ]


def share(value: Decimal | None, reason: str = "") -> SafeString:
    """Return a share between 0 and 1 as percent."""
    if value is None:
        return display.empty(reason, figure=True)
    return display.figure(display.pct_words(value * 100, signed=False, places=1))


def scorecard_line(row: ModelScorecardRow, *, by: str, span: str = "all") -> dict[str, Any]:
    """Return one group as the table shows it."""
    reasons = row.reasons
    low, high = row.hit_rate_low, row.hit_rate_high
    return {
        "name": named(row.key, by),
        "url": rows_url(row.key, by=by, span=span),
        "row": row,
        "few": row.few,
        "hit_rate": share(row.hit_rate, reasons.get("hit_rate", "")),
        "interval": None
        if low is None or high is None or row.hit_rate is None
        else {
            "words": f"{low * 100:.0f}–{high * 100:.0f} %",
            "low": f"{low * 100:.1f}",
            "width": f"{(high - low) * 100:.1f}",
            "at": f"{row.hit_rate * 100:.1f}",
        },
        "mean": display.signed_pct(row.mean_change, reasons.get("mean_change", "")),
        "median": display.signed_pct(row.median_change, reasons.get("median_change", "")),
        "max_gain": quantiles(row.max_gain, reasons.get("max_gain", "")),
        "max_loss": quantiles(row.max_loss, reasons.get("max_loss", "")),
        "brier": display.empty(reasons.get("brier", ""), figure=True)
        if row.brier is None
        else display.figure(f"{row.brier:.3f}"),
        "undecided": "; ".join(f"{n} × {note}" for note, n in row.undecided_reasons.items()),
    }


def named(key: str, by: str) -> str:
    if not key:
        return "None named" if by != "direction" else "No direction"
    return f"{key} h" if by == "horizon_hours" else display.visible(key)


def quantiles(values: Quantiles, reason: str) -> dict[str, Any]:
    """Return the median excursion, and its 10 % and 90 % quantiles in words."""
    if values.p50 is None or values.p10 is None or values.p90 is None:
        return {"median": display.empty(reason, figure=True)}
    low, high = (display.pct_words(each, places=1)[:-2] for each in (values.p10, values.p90))
    return {"median": display.signed_pct(values.p50), "spread": f"{low} … {high}"}


def rows_url(key: str, *, by: str, span: str) -> str:
    """Return the address of the outcomes that were counted, empty where no filter names them."""
    if by not in LISTED_BY or not key:
        return ""
    wanted = {LISTED_BY[by]: key} | ({} if span == "all" else {"moment_last": span})
    return f"{reverse('admin:analysis_modeloutcome_changelist')}?{urlencode(wanted)}"


def reliability_lines(row: Scorecard) -> list[dict[str, Any]]:
    """Return the reliability table: claimed confidence beside what came true."""
    return [
        {
            "band": band_name(band.low, band.high),
            "n": band.n,
            "few": band.n < FEW,
            "claimed": share(band.mean_confidence),
            "hit_rate": share(band.hit_rate),
        }
        for band in row.reliability
        if band.n
    ]


def reliability_chart(row: Scorecard) -> dict[str, Any] | None:
    """Return claimed and true shares of all ten bands as bars; None where nothing is claimed."""
    if not any(band.n for band in row.reliability):
        return None
    return bar_chart(
        [band_name(band.low, band.high) for band in row.reliability],
        [
            ("Claimed, %", "default", percents([b.mean_confidence for b in row.reliability])),
            ("Came true, %", "info", percents([b.hit_rate for b in row.reliability])),
        ],
    )


def band_name(low: Decimal, high: Decimal) -> str:
    return f"{low * 100:.0f}–{high * 100:.0f} %"


def percents(shares: Sequence[Decimal | None]) -> list[float | None]:
    return [None if each is None else round(float(each) * 100, 1) for each in shares]
