"""What the league tells: who stands where, with what certainty, and how they came along."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import F, QuerySet
from django.urls import reverse
from django.utils import timezone

from apps.agents.admin import curves, performance, shown, standing_rows
from apps.agents.choices import AgentMode, AgentStatus, Period
from apps.agents.models import AgentStanding, TradingAgent
from apps.shared import display
from apps.shared.admin.charts import LINE_TONES, Line, line_chart
from apps.shared.admin.figures import ratio

VIEWS: Final = {"agents": "Agents", "prompts": "Versions of prompts"}
SPANS: Final = {Period.WEEK: timedelta(days=7), Period.MONTH: timedelta(days=30)}
# So many lines of each mode; as many lines in the chart as have a color.
MOST_ROWS, MOST_VERSIONS, MOST_LINES = 200, 300, len(LINE_TONES)
# An interval that reaches so many times as far as is usual does not count for the scale.
USUAL: Final = 5
ZERO: Final = Decimal(0)
# Of an agent the page needs no more than what it is called by and measured against.
OF_AGENT: Final = [
    f"agent__{name}"
    for name in ("id", "name", "mode", "status", "llm_model", "benchmark_coin", "coins")
]


class League:
    """Everything that the template of the league asks for, each read once."""

    def __init__(self, asked_for: dict[str, str]) -> None:
        self.now = timezone.now()
        self.view = asked_for.get("view", "agents")
        self.period = Period(asked_for.get("period", Period.ALL))
        most = MOST_ROWS if self.view == "agents" else MOST_VERSIONS
        found = self.standings() if self.view == "agents" else self.versions_of_prompts()
        if "mode" in asked_for:
            found = found.filter(agent__mode=asked_for["mode"])
        rows = list(found[: most + 1])
        # Real money comes first, where anybody has some.
        mode = rows[0].agent.mode if rows else AgentMode.PAPER
        self.mode = AgentMode(asked_for.get("mode") or mode)
        own = [row for row in rows if row.agent.mode == self.mode]
        self.rows, self.cut = own[:most], len(own) > most
        self.ranked = [row for row in self.rows if row.rank is not None]
        self.unranked = [row for row in self.rows if row.rank is None]
        self.scale = Scale.over(self.ranked or self.rows)

    def standings(self) -> QuerySet[AgentStanding]:
        """Return the lines of the agents, mode by mode, the best first."""
        rows = lines().filter(period=self.period, prompt_version="")
        best = F("rank").asc(nulls_last=True)
        return rows.order_by("agent__mode", best, "-decisions", "agent__name")

    def versions_of_prompts(self) -> QuerySet[AgentStanding]:
        """Return the lines of the versions, agent by agent, the newest first."""
        rows = lines().exclude(prompt_version="")
        newest = F("began_at").desc(nulls_last=True)
        return rows.order_by("agent__mode", "agent__name", newest, "prompt_version")

    # --- where else to look ---------------------------------------------------------------

    def url(self, **changes: str) -> str:
        chosen = {"mode": self.mode.value, "period": self.period.value, "view": self.view}
        return f"?{urlencode(chosen | changes)}"

    def links(self, name: str, offered: dict[str, str], now: str) -> list[dict[str, Any]]:
        return [
            {"label": label, "active": now == key, "url": self.url(**{name: key})}
            for key, label in offered.items()
        ]

    @property
    def mode_links(self) -> list[dict[str, Any]]:
        return self.links("mode", dict(AgentMode.choices), self.mode)

    @property
    def period_links(self) -> list[dict[str, Any]]:
        return self.links("period", dict(Period.choices), self.period)

    @property
    def view_links(self) -> list[dict[str, Any]]:
        return self.links("view", VIEWS, self.view)

    @property
    def compute_url(self) -> str:
        return reverse("admin:agents_league_compute") + self.url()

    # --- the table ------------------------------------------------------------------------

    @property
    def as_of(self) -> Any:
        return max((row.computed_at for row in self.rows), default=None)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [self.line(row) for row in self.ranked]

    @property
    def others(self) -> list[dict[str, Any]]:
        return [self.line(row) for row in self.unranked]

    def line(self, row: AgentStanding) -> dict[str, Any]:
        """Return one agent as the table shows it."""
        return {
            "key": row.agent_id,
            "rank": standing_rows.rank(row),
            "agent": shown.link(TradingAgent, row.agent_id, row.agent.name),
            "model": display.short_text(row.agent.llm_model),
            "active": row.agent.status == AgentStatus.ACTIVE,
            "status": row.agent.get_status_display(),
            "verdict": shown.verdict(row),
            "net_return": shown.percent_return(row.net_return, shown.reason_of(row, "net_return")),
            "interval": self.scale.place(row),
            "cost": standing_rows.known_cost(row),
            "drawdown": performance.percent(
                row.max_drawdown_percent, shown.reason_of(row, "max_drawdown_percent")
            ),
            "sharpe": ratio(row.sharpe_ratio, shown.reason_of(row, "sharpe_ratio")),
            "decisions": display.number(row.decisions),
            "model_share": shown.share(
                row.model_share,
                row.model_share_low,
                row.model_share_high,
                shown.reason_of(row, "model_share", "It has decided nothing."),
            ),
            "trades": display.number(row.trades),
            "unknown": row.unknown_trades,
            "per_decision": shown.cost(
                row.cost_per_decision, shown.reason_of(row, "cost_per_decision")
            ),
            "hit_rate": shown.share(
                row.hit_rate, reason=shown.reason_of(row, "hit_rate", "Nothing is judged yet.")
            ),
            "judged": row.judged,
            "hold": standing_rows.against(row, "hold_return"),
            "equal": standing_rows.against(row, "equal_return"),
        }

    @property
    def versions(self) -> list[dict[str, Any]]:
        return [
            standing_rows.version_line(row)
            | {"agent": shown.link(TradingAgent, row.agent_id, row.agent.name)}
            for row in self.rows
        ]

    # --- the chart ------------------------------------------------------------------------

    @cached_property
    def chart(self) -> dict[str, Any] | None:
        """Return the courses of the best and of holding; None where none has any."""
        drawn = (self.ranked or self.rows)[:MOST_LINES]
        began = [row.began_at for row in drawn if row.began_at]
        if self.period in SPANS:
            began = [self.now - SPANS[self.period]]
        if not began:
            return None
        window = curves.Window.until(self.now, min(began))
        found = curves.returns([row.agent_id for row in drawn], window)
        lines = [
            Line(display.visible(row.agent.name), tone, found[row.agent_id])
            for tone, row in zip(LINE_TONES, drawn, strict=False)
            if len(found.get(row.agent_id, ())) > 1
        ]
        if not lines:
            return None
        coin, symbol = shown.benchmark(drawn[0].agent)
        held = curves.hold(symbol, window)
        if held:
            lines.append(Line(display.visible(f"Holding {coin}"), "default", held, dashed=True))
        return line_chart(lines, unit=" %", legend=True)


def lines() -> QuerySet[AgentStanding]:
    """Return the lines of the league with what is shown of their agents."""
    rows = AgentStanding.objects.select_related("agent")
    return rows.only(*fields_of(AgentStanding), *OF_AGENT)


def fields_of(model: Any) -> list[str]:
    return [field.name for field in model._meta.concrete_fields if field.name != "created_at"]


@dataclass(frozen=True, slots=True)
class Scale:
    """What all intervals of a table are drawn on: a stretch of percents that holds zero."""

    low: Decimal
    high: Decimal

    @classmethod
    def over(cls, rows: Sequence[AgentStanding]) -> "Scale":
        """Return the scale of these rows; one that lies far out does not press the others flat."""
        ends = [(row.return_low, row.return_high) for row in rows]
        known = [(low, high) for low, high in ends if low is not None and high is not None]
        if not known:
            return cls(Decimal(-1), Decimal(1))
        typical = sorted(max(-low, high, high - low) for low, high in known)[len(known) // 2]
        near = [pair for pair in known if max(-pair[0], pair[1]) <= USUAL * typical] or known
        low = min(*(low for low, _ in near), ZERO)
        high = max(*(high for _, high in near), ZERO)
        return cls(low, high) if high > low else cls(Decimal(-1), Decimal(1))

    def at(self, value: Decimal) -> float:
        """Return where a return lies, from 0 to 100."""
        share = float(value - self.low) / float(self.high - self.low)
        return round(min(max(share, 0.0), 1.0) * 100, 1)

    def place(self, row: AgentStanding) -> dict[str, Any] | None:
        """Return where the interval of a row is drawn, and in words; None where there is none."""
        low, high, own = row.return_low, row.return_high, row.net_return
        if low is None or high is None or own is None:
            return None
        start = self.at(low)
        return {
            "words": shown.interval_words(low, high),
            "low": start,
            "width": round(max(self.at(high) - start, 1.0), 1),
            "at": min(self.at(own), 98.0),
            "zero": min(self.at(ZERO), 99.0),
        }
