"""What the page of one analysis tells: its figures, its equity, how each leverage came about."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from django.db.models import Count, Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.analysis.admin import shown
from apps.analysis.admin.breakdowns import breakdown, overview
from apps.analysis.admin.charts import equity_of, equity_points, stake_of
from apps.analysis.domain.leverage import CONSTRAINTS
from apps.analysis.domain.trades import TradeRecord
from apps.analysis.models import Analysis, BacktestMetric, LeverageCalculation
from apps.analysis.services.trade_files import read_trades
from apps.executions.admin.shown import run_link
from apps.shared import display
from apps.shared.admin.charts import Line, line_chart
from apps.shared.errors import DomainError
from apps.shared.quant.performance import DEFINITIONS, define

FIRST_TRADES = 50
# Ours and what was reported are told apart from here on.
NEAR = 1e-6
NOT_REPORTED = "Nobody reported it."
ONLY_REPORTED = "Only the sender reports it."
OPEN = "The trade is open."
ORDER = {name: place for place, name in enumerate(DEFINITIONS)}
# A number so large would not fit the column.
MOST_TRADE_NUMBER = 2**31 - 1


class AnalysisStory:
    """Everything the template of an analysis's page asks for, each read once."""

    def __init__(self, analysis: Analysis, request: HttpRequest) -> None:
        self.analysis = analysis
        self.request = request

    # --- figures --------------------------------------------------------------------------

    @property
    def headlines(self) -> list[dict[str, Any]]:
        """Return the figures that stand above everything else."""
        own = self.analysis
        why = self.why_empty
        names = ["sharpe_ratio", "total_return", "max_drawdown", "win_rate", "total_trades"]
        lines = [
            {
                "label": {"total_trades": "Trades"}.get(name, shown.words(name)),
                "meaning": self.meanings.get(name, ""),
                "value": shown.figure_of(name, getattr(own, name), self.reasons.get(name, why)),
            }
            for name in names
        ]
        leverage = {
            "label": "Leverage, average",
            "meaning": "The mean leverage of the trades that are over.",
            "value": shown.times(own.avg_leverage, why),
        }
        return [*lines, leverage]

    @property
    def why_empty(self) -> str:
        return self.analysis.error_message or "It has no trades to compute it from."

    @cached_property
    def stored(self) -> list[BacktestMetric]:
        return list(self.analysis.metrics.all())

    @cached_property
    def reasons(self) -> dict[str, str]:
        return {each.metric_name: each.reason for each in self.stored if each.reason}

    @cached_property
    def meanings(self) -> dict[str, str]:
        return {each.metric_name: meaning(each.definition) for each in self.stored}

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """Return a line per figure: ours, its sample, and what was reported beside it."""
        last = len(ORDER)
        ordered = sorted(
            self.stored, key=lambda each: (ORDER.get(each.metric_name, last), each.metric_name)
        )
        return [metric_line(each) for each in ordered]

    @property
    def has_reported(self) -> bool:
        return any(each.reported_value is not None for each in self.stored)

    # --- trades ---------------------------------------------------------------------------

    @cached_property
    def file(self) -> tuple[Sequence[TradeRecord], str]:
        """Return the trades, and why there are none to read."""
        if not self.analysis.compressed_path:
            return [], ""
        try:
            return read_trades(self.analysis), ""
        except DomainError as refusal:
            return [], refusal.message

    @property
    def trades(self) -> Sequence[TradeRecord]:
        return self.file[0]

    @property
    def file_problem(self) -> str:
        return self.file[1]

    @property
    def has_file(self) -> bool:
        return bool(self.analysis.compressed_path) and not self.file_problem

    @property
    def download_url(self) -> str:
        return reverse("admin:analysis_trades", args=[self.analysis.pk])

    @cached_property
    def chart(self) -> dict[str, Any] | None:
        """Return the equity of an account that made the trades."""
        curve = equity_of(self.analysis, self.trades) if self.trades else None
        if curve is None:
            return None
        rose = curve.equity[-1] >= 1
        tone = "success" if rose else "danger"
        return line_chart([Line("Account", tone, equity_points(curve))])

    @property
    def stake(self) -> str:
        return f"{display.grouped(stake_of(self.analysis) * 100)} %"

    @property
    def trade_lines(self) -> list[dict[str, Any]]:
        return [self.trade_line(each) for each in self.trades[:FIRST_TRADES]]

    def trade_line(self, trade: TradeRecord) -> dict[str, Any]:
        leverage = shown.times(trade.leverage)
        if self.calculated:
            url = f"{shown.query(self.request, trade=trade.trade_number)}#leverage"
            leverage = display.link(url, leverage)
        long = trade.direction > 0
        return {
            "trade": trade,
            "direction": display.badge("Long", "success")
            if long
            else display.badge("Short", "danger"),
            "exit_reason": display.text(
                shown.words(trade.exit_reason), OPEN if trade.exit_time is None else "Not told."
            ),
            "leverage": leverage,
            "held": held(trade),
            "gross": display.signed_pct(trade.gross_pct, "Not told."),
            "fees": display.price(trade.fees_pct, "Not told."),
            "net": display.signed_pct(trade.net_pct, OPEN),
        }

    # --- leverage -------------------------------------------------------------------------

    @cached_property
    def binding(self) -> dict[str, int]:
        """Return how many trades each constraint ruled, and how many met floor or ceiling."""
        own = self.analysis.leverage_calculations.order_by()
        counted = own.aggregate(
            all=Count("pk"),
            floor=Count("pk", filter=Q(bounded_by="floor")),
            ceiling=Count("pk", filter=Q(bounded_by="ceiling")),
            **{name: Count("pk", filter=Q(binding_constraint=name)) for name in CONSTRAINTS},
        )
        return dict(counted)

    @property
    def calculated(self) -> int:
        return self.binding["all"]

    @property
    def overview(self) -> dict[str, Any]:
        return overview(self.binding)

    @cached_property
    def calculation(self) -> LeverageCalculation | None:
        """Return the sum of the trade asked for, of the first one else."""
        if not self.calculated:
            return None
        own = self.analysis.leverage_calculations.order_by("trade_number")
        asked = self.request.GET.get("trade", "")
        if asked.isascii() and asked.isdigit() and 0 < int(asked[:11]) <= MOST_TRADE_NUMBER:
            found = own.filter(trade_number=int(asked[:11])).first()
            if found is not None:
                return found
        return own.first()

    @property
    def breakdown(self) -> dict[str, Any] | None:
        chosen = self.calculation
        return None if chosen is None else breakdown(chosen)

    @cached_property
    def neighbors(self) -> dict[str, str]:
        """Return the addresses of the trades before and behind the one shown."""
        chosen = self.calculation
        if chosen is None:
            return {}
        own = self.analysis.leverage_calculations.values_list("trade_number", flat=True)
        earlier = own.filter(trade_number__lt=chosen.trade_number).order_by("-trade_number")[:1]
        later = own.filter(trade_number__gt=chosen.trade_number).order_by("trade_number")[:1]
        found = {}
        for name, numbers in (("previous", earlier), ("next", later)):
            for number in numbers:
                found[name] = f"{shown.query(self.request, trade=number)}#leverage"
        return found

    # --- where it comes from --------------------------------------------------------------

    @property
    def parameters(self) -> SafeString:
        reason = "Nobody told what it was computed with."
        if not self.analysis.parameters:
            return display.empty(reason)
        told = display.raw_json(self.analysis.parameters, reason)
        return format_html(
            '<details class="b-fold"><summary>Parameters</summary>{}</details>', told
        )

    @property
    def run(self) -> SafeString:
        return run_link(str(self.analysis.execution_id), whole=True)

    @property
    def ranking_url(self) -> str:
        """Return the address of the ranking of its run."""
        address = reverse("admin:analysis_analysis_changelist")
        own = f"execution__execution_id__exact={self.analysis.execution_id}"
        return f"{address}?{own}"


def held(trade: TradeRecord) -> SafeString:
    """Return how long a trade was held, its end on hover."""
    if trade.exit_time is None:
        return display.empty(OPEN)
    span = display.span_words(trade.exit_time - trade.entry_time)
    return display.figure(span, f"Over at {display.utc_words(trade.exit_time)}")


def meaning(definition: str) -> str:
    """Return the sentence behind a definition id, empty for one that is not ours."""
    try:
        return define(definition)
    except ValueError:
        return ""


def metric_line(metric: BacktestMetric) -> dict[str, Any]:
    name, ours, told = metric.metric_name, metric.metric_value, metric.reported_value
    known = name in DEFINITIONS
    differs = ours is not None and told is not None and not near(ours, told)
    return {
        "name": shown.words(name) if known else display.text(name),
        "meaning": meaning(metric.definition),
        "definition": metric.definition,
        "ours": shown.figure_of(name, ours, metric.reason or ONLY_REPORTED),
        "reason": metric.reason if ours is None else "",
        "n": metric.n,
        "reported": shown.figure_of(name, told, NOT_REPORTED),
        "differs": differs,
    }


def near(one: float, other: float) -> bool:
    """Tell whether two figures agree but for rounding."""
    return abs(one - other) <= NEAR * max(abs(one), abs(other), 1)
