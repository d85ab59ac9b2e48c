"""The scorecard of decisions: how often the price went where they said, and how sure they were."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.safestring import SafeString

from apps.agents.admin import shown
from apps.agents.choices import Action
from apps.agents.domain.scorecard import DecisionScorecardRow
from apps.agents.models import TradingAgent
from apps.agents.services.scorecards import Filters, scorecard
from apps.analysis.admin.scorecards import (
    chosen,
    links,
    quantiles,
    reliability_chart,
    reliability_lines,
    share,
)
from apps.shared import display
from apps.shared.admin.figures import ratio
from apps.shared.admin.periods import PERIODS
from apps.shared.quant.scorecards import FEW

GROUPINGS: Final = {
    "agent": "Agent",
    "model": "Model",
    "prompt_version": "Prompt",
    "action": "Action",
    "coin": "Coin",
    "confidence_band": "Confidence",
}
SPANS: Final = ["week", "month", "all"]
TAKEN: Final = {"": "All", "yes": "Accepted", "no": "Rejected"}
MOST_ROWS: Final = 200


def scorecard_page(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """Answer with the scorecard counted up by what is asked for, over the span asked for."""
    if not request.user.has_perm("agents.view_decisionoutcome"):
        raise PermissionDenied
    by = chosen(request, "by", GROUPINGS, "agent")
    span = chosen(request, "span", SPANS, "month")
    taken = chosen(request, "taken", TAKEN, "")
    length: timedelta | None = PERIODS[span][1]
    filters = Filters(
        moment_after=timezone.now() - length if length else None,
        is_accepted=[taken == "yes"] if taken else [],
    )
    rows = scorecard(by=by, filters=filters)
    whole = next(iter(scorecard(by="all", filters=filters)), None)
    now = {"by": by, "span": span, "taken": taken}
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Scorecard of decisions",
        "by": GROUPINGS[by],
        "span": span,
        "by_links": links("by", GROUPINGS, now),
        "taken_links": links("taken", TAKEN, now),
        "span_links": links("span", {key: PERIODS[key][0] for key in SPANS}, now),
        "hours": [each.hours for each in rows[0].horizons] if rows else [],
        "lines": lines(rows[:MOST_ROWS], by),
        "left_out": max(len(rows) - MOST_ROWS, 0),
        "whole": whole,
        "reliability": reliability_lines(whole) if whole else [],
        "chart": reliability_chart(whole) if whole else None,
        "few": FEW,
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/agents/league_scorecard.html", context)


def lines(rows: Sequence[DecisionScorecardRow], by: str) -> list[dict[str, Any]]:
    """Return the groups as the table shows them."""
    names: dict[str, str] = {}
    if by == "agent":
        ids = [UUID(row.key) for row in rows]
        found = TradingAgent.objects.filter(pk__in=ids).values_list("pk", "name")
        names = {str(pk): name for pk, name in found}
    return [line(row, by, names) for row in rows]


def name_of(key: str, by: str, names: dict[str, str]) -> SafeString:
    """Return what a group is called; an agent leads to its page."""
    if by == "agent":
        return shown.link(TradingAgent, key, names.get(key, key))
    if by == "action":
        return display.text(dict(Action.choices).get(key, key), "It could not be read.")
    if by == "prompt_version":
        return shown.version(key, "None was told.")
    return display.short_text(key, "None was told.")


def line(row: DecisionScorecardRow, by: str, names: dict[str, str]) -> dict[str, Any]:
    """Return one group as the table shows it."""
    reasons = row.reasons
    low, high, rate = row.hit_rate_low, row.hit_rate_high, row.hit_rate
    known = low is not None and high is not None and rate is not None
    return {
        "name": name_of(row.key, by, names),
        "row": row,
        "few": row.few,
        "hit_rate": share(rate, reasons.get("hit_rate", "")),
        "interval": None
        if not known
        else {
            "words": f"{low * 100:.0f}–{high * 100:.0f} %",  # type: ignore[operator]
            "low": f"{low * 100:.1f}",  # type: ignore[operator]
            "width": f"{(high - low) * 100:.1f}",  # type: ignore[operator]
            "at": f"{rate * 100:.1f}",  # type: ignore[operator]
        },
        "means": [
            display.signed_pct(each.mean, reasons.get(f"horizons/{each.hours}", ""))
            for each in row.horizons
        ],
        "bought": [
            display.signed_pct(each.mean, reasons.get(f"bought/{each.hours}", ""))
            for each in row.bought[-1:]
        ],
        "max_gain": quantiles(row.max_gain, reasons.get("max_gain", "")),
        "max_loss": quantiles(row.max_loss, reasons.get("max_loss", "")),
        "brier": ratio(None if row.brier is None else float(row.brier), reasons.get("brier", "")),
        "undecided": "; ".join(f"{n} × {note}" for note, n in row.undecided_reasons.items()),
    }
