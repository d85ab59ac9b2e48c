"""Two analyses side by side: figures, equity in one chart, and what was set otherwise."""

import json
from collections.abc import Iterator
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString

from apps.analysis.admin import shown
from apps.analysis.admin.charts import equity_of, equity_points
from apps.analysis.admin.pages import ORDER, meaning
from apps.analysis.models import Analysis
from apps.analysis.services.trade_files import read_trades
from apps.shared import display
from apps.shared.admin.charts import Line, line_chart
from apps.shared.errors import DomainError
from apps.shared.quant.performance import DEFINITIONS

NAMES: Final = ("a", "b")
TONES: Final = ("info", "warning")
MOST_ID: Final = 2**63 - 1
MOST_PARAMETERS: Final = 200
# Of which figures more is better; of losses and falls, which are negative, nearer to 0 is more.
# The others say nothing of good and bad.
MORE_IS_BETTER: Final = {
    "total_return", "annual_return", "sharpe_ratio", "sortino_ratio", "calmar_ratio",
    "max_drawdown", "omega_ratio", "value_at_risk_95", "conditional_value_at_risk_95",
    "win_rate", "profit_factor", "expectancy", "average_win", "average_loss", "payoff_ratio",
    "best_trade", "worst_trade", "sharpe_per_trade",
}  # fmt: skip
LESS_IS_BETTER: Final = {"annual_volatility", "longest_losing_streak"}
COLUMNS: Final = (
    "sharpe_ratio", "total_return", "max_drawdown", "win_rate", "total_trades",
)  # fmt: skip


def comparison_page(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """Answer with both analyses, or with which of them is not known."""
    asked = [request.GET.get(name, "").replace("\0", "") for name in NAMES]
    found = [known(each) for each in asked]
    problem = ""
    missing = [text for text, each in zip(asked, found, strict=True) if each is None]
    if missing:
        named = " and ".join(f"“{text[:40]}”" if text else "none given" for text in missing)
        problem = f"There is no such analysis: {named}."
    elif asked[0] == asked[1]:
        problem = "Both are the same analysis."
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": "Comparison",
        "problem": problem,
        "pair": None if problem else Pair([each for each in found if each is not None]),
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/analysis/comparison.html", context)


def known(text: str) -> Analysis | None:
    """Return the analysis of an id as it was typed."""
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) > MOST_ID:
        return None
    return Analysis.objects.filter(pk=int(text)).first()


class Pair:
    """Everything the template of a comparison asks for."""

    def __init__(self, analyses: list[Analysis]) -> None:
        self.analyses = analyses
        self.sides = [
            {
                "letter": letter.upper(),
                "tone": tone,
                "name": f"{each.symbol} {each.timeframe}",
                "config": each.config,
                "url": shown.analysis_url(each),
                "status": shown.status(each),
                "origin": shown.origin(each),
                "period": (each.period_start, each.period_end),
            }
            for letter, tone, each in zip(NAMES, TONES, analyses, strict=True)
        ]
        self.problems: list[str] = []
        self.chart = self.drawn()

    @property
    def mixed(self) -> bool:
        """Whether the figures of one are computed here and those of the other reported."""
        return len({each.origin for each in self.analyses}) > 1

    def drawn(self) -> dict[str, Any] | None:
        """Return both equity curves in one chart; note which of them cannot be drawn."""
        lines = []
        for letter, tone, each in zip(NAMES, TONES, self.analyses, strict=True):
            try:
                trades = read_trades(each)
            except DomainError as refusal:
                self.problems.append(f"{letter.upper()}: {refusal.message}")
                continue
            curve = equity_of(each, trades)
            if curve is None or not trades:
                self.problems.append(f"{letter.upper()}: it made no trades.")
                continue
            lines.append(Line(letter.upper(), tone, equity_points(curve)))
        return line_chart(lines) if lines else None

    @property
    def figures(self) -> Iterator[dict[str, Any]]:
        """Yield one line per figure that either has, the better one marked."""
        held = [self.values(each) for each in self.analyses]
        names = sorted({*held[0], *held[1]}, key=lambda name: (ORDER.get(name, len(ORDER)), name))
        for name in names:
            pair = [each.get(name, (None, "Not among its figures.", "")) for each in held]
            best = better(name, pair[0][0], pair[1][0])
            yield {
                "name": shown.words(name) if name in DEFINITIONS else display.text(name),
                "meaning": meaning(pair[0][2]) or meaning(pair[1][2]),
                "differs": len({each[2] for each in pair if each[2]}) > 1,
                "cells": [
                    {"value": shown.figure_of(name, value, reason), "better": best == place}
                    for place, (value, reason, _) in enumerate(pair)
                ],
            }

    def values(self, analysis: Analysis) -> dict[str, tuple[float | None, str, str]]:
        """Return value, reason and definition of each figure: ours where there is one."""
        found: dict[str, tuple[float | None, str, str]] = {
            name: (getattr(analysis, name), "It has none.", "") for name in COLUMNS
        }
        for each in analysis.metrics.all():
            ours = each.metric_value is not None or each.definition
            value = each.metric_value if ours else each.reported_value
            found[each.metric_name] = (value, each.reason, each.definition)
        return found

    @property
    def parameters(self) -> list[dict[str, Any]]:
        """Return what was set otherwise, by the path to it."""
        left, right = (dict(flat(each.parameters)) for each in self.analyses)
        return [
            {"name": display.visible(name), "values": [left.get(name), right.get(name)]}
            for name in sorted({*left, *right})
            if left.get(name) != right.get(name)
        ][:MOST_PARAMETERS]

    @property
    def columns(self) -> list[dict[str, Any]]:
        """Return what both were tried out on, where that differs."""
        asked = ("symbol", "timeframe", "config", "source")
        lines: list[dict[str, Any]] = []
        for name in asked:
            values: list[str | SafeString] = [getattr(each, name) for each in self.analyses]
            if values[0] != values[1]:
                lines.append(
                    {
                        "name": {"config": "Configuration"}.get(name, shown.words(name)),
                        "values": values,
                    }
                )
        return lines


def better(name: str, first: float | None, second: float | None) -> int | None:
    """Return which of two figures is the better one: 0, 1, or None where neither is.

    >>> better("max_drawdown", -0.1, -0.3), better("annual_volatility", 0.5, 0.2)
    (0, 1)
    """
    if first is None or second is None or first == second:
        return None
    if name in MORE_IS_BETTER:
        return 0 if first > second else 1
    if name in LESS_IS_BETTER:
        return 0 if first < second else 1
    return None


def flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the single values of nested parameters, each with the path to it."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from flat(inner, f"{path} / {name}" if path else str(name))
    elif path:
        yield path, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
